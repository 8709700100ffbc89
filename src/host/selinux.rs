//! `SELinux` labels of files, and what the kernel's policy says of them.
//!
//! A label is an extended attribute, which any kernel with one keeps, in force or not; the policy is
//! asked through selinuxfs, where there is one. It decides nothing by itself.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr, lgetxattr, lsetxattr};

use super::error::{Context, HostError, HostResult};
use super::metadata::{Change, Meant, change};
use super::process::Identity;

/// Where labels are kept (xattr(7)).
const LABEL: &str = "security.selinux";
/// Longer than any policy's.
const LONGEST: usize = 4096;

/// The label of a path, not following a final symbolic link; none where it has none.
///
/// # Errors
/// The failed call.
pub fn label(path: &Path) -> HostResult<Option<String>> {
    let mut value = [0; LONGEST];
    match lgetxattr(path, LABEL, &mut value[..]) {
        Ok(length) => Ok(Some(text(value.get(..length).unwrap_or_default()))),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(HostError::sys("getxattr", path, errno)),
    }
}

/// Gives a file or directory the label `to`, if it has `from`.
///
/// # Errors
/// `EINVAL` for a label that the policy does not know; the failed call.
pub fn set_label(path: &Path, meant: Meant, from: &str, to: &str) -> HostResult<Change> {
    change(path, meant, |file, _| {
        let mut value = [0; LONGEST];
        let length = fgetxattr(file, LABEL, &mut value[..]).op("getxattr", path)?;
        let now = text(value.get(..length).unwrap_or_default());
        if now != from || from == to {
            return Ok(Change::LeftAlone);
        }
        fsetxattr(file, LABEL, &terminated(to), XattrFlags::empty()).op("setxattr", path)?;
        Ok(Change::Made)
    })
}

/// Gives a file or directory of our own a label, whatever it has.
///
/// # Errors
/// `EINVAL` for a label that the policy does not know; the failed call.
pub fn give_label(path: &Path, label: &str) -> HostResult<()> {
    lsetxattr(path, LABEL, &terminated(label), XattrFlags::empty()).op("setxattr", path)
}

/// The kernel keeps the terminating zero, and so does setfilecon(3).
fn terminated(label: &str) -> Vec<u8> {
    [label.as_bytes(), &[0]].concat()
}

/// What a process acts as.
///
/// # Errors
/// [`HostError::Gone`]; `EINVAL` where no such module is in force.
pub fn subject(process: Identity) -> HostResult<String> {
    let path = process.proc_path("attr/current");
    let value = fs::read(&path).op("read", &path)?;
    process.check()?;
    Ok(text(&value))
}

/// Whether the policy lets `subject` write to an object of this class (`file`, `dir`). `selinuxfs` is
/// where that is mounted.
///
/// # Errors
/// `EINVAL` for a label that the policy does not know; the failed call.
pub fn may_write(selinuxfs: &Path, subject: &str, object: &str, class: &str) -> HostResult<bool> {
    let number = |name: &str| -> HostResult<u32> {
        let path = selinuxfs.join("class").join(class).join(name);
        let text = fs::read_to_string(&path).op("read", &path)?;
        let number = text.trim().parse();
        number.map_err(|_| HostError::malformed(path.display().to_string(), text))
    };
    let (class, write) = (number("index")?, number("perms/write")?);
    let path = selinuxfs.join("access");
    let mut file = OpenOptions::new().read(true).write(true).open(&path).op("open", &path)?;
    // the kernel answers on the descriptor that asked
    let question = format!("{subject} {object} {class}");
    file.write_all(question.as_bytes()).op("write", &path)?;
    let mut answer = String::new();
    file.read_to_string(&mut answer).op("read", &path)?;
    allowed(&answer, write).ok_or_else(|| HostError::malformed("access", answer))
}

/// The kernel's answer: what is allowed, in hexadecimal, and more.
fn allowed(answer: &str, permission: u32) -> Option<bool> {
    let allowed = u32::from_str_radix(answer.split_whitespace().next()?, 16).ok()?;
    let bit = 1_u32.checked_shl(permission.checked_sub(1)?)?;
    Some(allowed & bit != 0)
}

fn text(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    const SHARED: &str = "system_u:object_r:container_file_t:s0";
    const PRIVATE: &str = "system_u:object_r:container_file_t:s0:c1,c2";

    #[test]
    fn a_label_goes_there_and_back_and_no_further() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            let file = fs.dir.join("f");
            fs::write(&file, "").unwrap();
            let meta = fs::metadata(&file).unwrap();
            let who = Meant { dev: Some(meta.dev()), inode: meta.ino() };
            if label(&file).unwrap().is_none() {
                // a kernel without SELinux labels nothing, and keeps what it is given
                let value = format!("{SHARED}\0");
                rustix::fs::setxattr(&file, LABEL, value.as_bytes(), XattrFlags::empty()).unwrap();
            }
            let before = label(&file).unwrap().unwrap();
            assert_eq!(set_label(&file, who, &before, PRIVATE), Ok(Change::Made));
            assert_eq!(label(&file).unwrap().as_deref(), Some(PRIVATE));
            assert_eq!(set_label(&file, who, &before, PRIVATE), Ok(Change::LeftAlone), "twice");
            assert_eq!(set_label(&file, who, PRIVATE, &before), Ok(Change::Made));
            assert_eq!(label(&file).unwrap(), Some(before.clone()));
            fs::rename(&file, fs.dir.join("g")).unwrap();
            assert_eq!(set_label(&file, who, &before, PRIVATE), Ok(Change::Elsewhere));
        });
    }

    #[test]
    fn the_policy_is_asked_as_selinuxfs_wants_it() {
        let dir = tempfile::tempdir().unwrap();
        let class = dir.path().join("class/file");
        fs::create_dir_all(class.join("perms")).unwrap();
        fs::write(class.join("index"), "6\n").unwrap();
        fs::write(class.join("perms/write"), "3\n").unwrap();
        assert!(may_write(dir.path(), "a", "b", "file").is_err(), "nobody to ask");
        assert!(may_write(dir.path(), "a", "b", "dir").is_err(), "no such class");
        let access = dir.path().join("access");
        // a plain file answers with what comes after the question
        fs::write(&access, "????????? 4 ffffffff 0 fffffffb 12 0").unwrap();
        assert_eq!(may_write(dir.path(), "sub", "obj", "file"), Ok(true));
        assert!(fs::read_to_string(&access).unwrap().starts_with("sub obj 6"));
    }

    #[test]
    fn the_answer_is_read_bit_by_bit() {
        assert_eq!(allowed("4 ffffffff 0 fffffffb 12 0", 3), Some(true));
        assert_eq!(allowed("3 ffffffff 0 fffffffb 12 0", 3), Some(false));
        assert_eq!((allowed("", 3), allowed("x", 3), allowed("4", 0)), (None, None, None));
        assert_eq!(text(b"a:b:c\0"), "a:b:c");
    }
}
