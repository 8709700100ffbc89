//! The filesystem's own check of a state that it has recovered, by the tool of the engine's host. Only reads.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::super::super::engine;
use crate::host::{
    namespace::{in_copied_ns, in_mount_ns},
    process::Identity,
    subject_program::{self, Said, Subject},
};

/// A check that takes longer is none.
const WITHIN: Duration = Duration::from_secs(8);
/// Bytes of what it says: a broken filesystem has it say much.
const MOST: u64 = 4 << 20;
/// Lines of that which are told, and characters of all of them.
const LINES: usize = 2;
const CHARS: usize = 240;
/// Where such tools are.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A tool that checks a filesystem and changes nothing.
#[derive(Debug, Clone, Copy)]
struct Tool {
    filesystem: &'static str,
    name: &'static str,
    /// Debian's, and mostly everyone's, name of the package.
    package: &'static str,
    args: &'static [&'static str],
    /// The bit of its exit code that says that it has found errors, and left them (`e2fsck(8)`, `xfs_repair(8)`,
    /// `btrfs-check(8)`).
    errors: u8,
    /// What it says when it has looked at all of it, and has found errors: the code of some is the same where they
    /// could not look.
    says: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        filesystem: "ext4",
        name: "e2fsck",
        package: "e2fsprogs",
        args: &["-f", "-n"],
        errors: 4,
        says: "",
    },
    Tool {
        filesystem: "xfs",
        name: "xfs_repair",
        package: "xfsprogs",
        args: &["-n"],
        errors: 1,
        says: "No modify flag set, skipping filesystem flush and exiting",
    },
    // the subject has the same filesystem mounted from another device, and that is no reason
    Tool {
        filesystem: "btrfs",
        name: "btrfs",
        package: "btrfs-progs",
        args: &["check", "--readonly", "--force"],
        errors: 1,
        says: "error(s) found",
    },
];

/// Checks states of one filesystem.
#[derive(Debug, Clone)]
pub(super) struct Fsck {
    tool: Tool,
    /// Whose programs and devices are the host's.
    host: Identity,
    program: PathBuf,
}

impl Fsck {
    /// The one for this filesystem.
    pub(super) fn find(filesystem: &str) -> Result<Self, String> {
        let host = engine::process();
        Self::at(filesystem, host.ok_or("the engine is not found, whose host has the tools")?)
    }

    fn at(filesystem: &str, host: Identity) -> Result<Self, String> {
        let tool = TOOLS.iter().find(|tool| tool.filesystem == filesystem);
        let tool = *tool.ok_or_else(|| format!("nothing is known to check `{filesystem}`"))?;
        let found = in_mount_ns(host, || {
            let mut paths = DIRECTORIES.iter().map(|it| Path::new(it).join(tool.name));
            paths.find(|path| path.is_file())
        });
        let missing = || {
            let Tool { name, package, .. } = tool;
            format!(
                "there is no `{name}` on the engine's host, and `fsck: true` asks for it\n\nhint: install the \
                 package `{package}` there, or leave `fsck` out"
            )
        };
        let program = found.map_err(|error| error.to_string())?.ok_or_else(missing)?;
        Ok(Self { tool, host, program })
    }

    /// What it finds on a device that nobody has mounted; none where that is whole. An error says nothing
    /// of the state.
    pub(super) fn check(&self, node: &Path) -> Result<Option<String>, String> {
        let here = Path::new("/dev").join(node.file_name().unwrap_or_default());
        self.check_at(&here)
    }

    fn check_at(&self, path: &Path) -> Result<Option<String>, String> {
        let said = |error: crate::host::error::HostError| error.to_string();
        let args = self.tool.args.iter().map(|it| (*it).to_owned());
        let args: Vec<String> = args.chain([path.display().to_string()]).collect();
        let (limits, subject) = ((WITHIN, MOST), Subject::ROOT_WITHOUT_RIGHTS);
        let listened = in_copied_ns(self.host, || {
            if !path.exists() {
                return Ok(Err(format!("`{}` is not among the host's devices", path.display())));
            }
            subject_program::listen(&self.program, &args, &[], &subject, None, limits).map(Ok)
        });
        let name = self.tool.name;
        match listened.and_then(|listened| listened).map_err(said)?? {
            Some(said) => self.came_to(&said, path),
            None => Err(format!(
                "`{name}` did not end within {} s, or said more than {} MiB",
                WITHIN.as_secs(),
                MOST >> 20
            )),
        }
    }

    fn came_to(&self, said: &Said, path: &Path) -> Result<Option<String>, String> {
        let Tool { name, errors, says, .. } = self.tool;
        let output = String::from_utf8_lossy(&said.output);
        let words = || telling(&output, &said.errors, path);
        let has_looked = output.contains(says) || said.errors.contains(says);
        match said.code {
            0 => Ok(None),
            // from 128 on it was killed
            code @ ..128 if code & errors != 0 && has_looked => {
                Ok(Some(format!("`{name}` finds errors after its recovery: {}", words())))
            }
            code => Err(format!("`{name}` ended with {code}: {}", words())),
        }
    }
}

/// The first lines that say something of what is wrong, wherever the device is.
fn telling(output: &str, errors: &str, path: &Path) -> String {
    let path = path.display().to_string();
    let lines = output.lines().chain(errors.lines()).map(str::trim);
    let says_nothing = |line: &str| {
        let known = [
            "Pass ",
            "Phase ",
            "Fix? ",
            "e2fsck ",
            "Opening filesystem",
            "Checking filesystem",
            "No modify",
        ];
        line.is_empty()
            || line.starts_with(['-', '[', '*'])
            || known.iter().any(|begin| line.starts_with(begin))
    };
    let lines = lines.filter(|line| !says_nothing(line)).take(LINES);
    let told = lines.map(|line| line.replace(&path, "the device")).collect::<Vec<_>>().join("; ");
    told.chars().take(CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _, process::Command};

    use super::*;

    /// Where an ext4 of 1 KiB blocks has its first group descriptor, whose first word says which block has the
    /// first block bitmap (`struct ext4_group_desc`).
    const DESCRIPTORS: u64 = 2048;

    /// On the host that this test itself is on; none where that cannot be entered, or has no such tool.
    fn fsck(filesystem: &str) -> Option<Result<Fsck, String>> {
        let root = rustix::process::geteuid().is_root();
        let here = Identity::of(std::process::id()).unwrap();
        let found = root.then(|| Fsck::at(filesystem, here));
        if !matches!(&found, Some(Ok(_))) {
            writeln!(std::io::stderr(), "not seen to its end: {found:?}").unwrap();
        }
        found
    }

    #[test]
    fn a_whole_filesystem_is_told_from_one_whose_bitmap_is_not_right() {
        let Some(found) = fsck("ext4") else { return };
        let fsck = match found {
            Ok(fsck) => fsck,
            Err(why) => return assert!(why.contains("there is no `e2fsck`"), "{why}"),
        };
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let words = ["-q", "-F", "-b", "1024", "-O", "^metadata_csum,^uninit_bg"];
        let made = Command::new("mkfs.ext4").args(words).arg(&image).status().unwrap();
        assert!(made.success());
        assert_eq!(fsck.check_at(&image), Ok(None));
        let file = File::options().read(true).write(true).open(&image).unwrap();
        let mut word = [0; 4];
        file.read_exact_at(&mut word, DESCRIPTORS).unwrap();
        file.write_all_at(&[0], u64::from(u32::from_le_bytes(word)) * 1024).unwrap();
        let errors = fsck.check_at(&image).unwrap().unwrap();
        assert!(errors.contains("Block bitmap differences"), "{errors}");
        assert!(!errors.contains(image.to_str().unwrap()), "{errors}");
        // what is no filesystem at all is nothing that it could say of a state
        File::create(&image).unwrap().set_len(1 << 20).unwrap();
        assert!(fsck.check_at(&image).unwrap_err().contains("ended with 8"));
        assert!(fsck.check_at(&dir.path().join("none")).unwrap_err().contains("is not among"));
    }

    #[test]
    fn a_tool_that_could_not_look_has_found_nothing() {
        let said = |name: &str, code, output: &str| {
            let tool = *TOOLS.iter().find(|tool| tool.name == name).unwrap();
            let host = Identity::of(std::process::id()).unwrap();
            let said = Said { code, output: output.into(), errors: String::new() };
            Fsck { tool, host, program: PathBuf::new() }.came_to(&said, Path::new("/dev/loop3"))
        };
        let ended =
            "would have cleared it\nNo modify flag set, skipping filesystem flush and exiting.\n";
        let found = said("xfs_repair", 1, ended).unwrap().unwrap();
        assert!(found.ends_with("recovery: would have cleared it"), "{found}");
        let unknown = "Found unsupported filesystem features.  Exiting now.";
        assert!(said("xfs_repair", 1, unknown).unwrap_err().contains("ended with 1: Found"));
        assert!(said("btrfs", 1, "found 147456 bytes used, error(s) found").unwrap().is_some());
        assert!(said("btrfs", 1, "ERROR: cannot open file system").is_err());
        // errors are errors, whatever else there was
        for code in [4, 5, 12] {
            assert!(said("e2fsck", code, "Block bitmap differences").unwrap().is_some(), "{code}");
        }
        assert!(said("e2fsck", 8, "Bad magic number").is_err());
        assert!(said("e2fsck", 128 + 6, "").is_err(), "it has died");
        assert_eq!(said("xfs_repair", 0, ended), Ok(None));
    }

    #[test]
    fn what_cannot_be_checked_is_named() {
        let here = Identity::of(std::process::id()).unwrap();
        let why = Fsck::at("minix", here).unwrap_err();
        assert_eq!(why, "nothing is known to check `minix`");
    }

    #[test]
    fn the_first_lines_that_say_something_are_told() {
        let output = "e2fsck 1.47\nPass 1: Checking inodes\nBlock bitmap differences: -12\nFix? no\n\n\
                      /dev/loop3: ***** WARNING: Filesystem still has errors *****\nmore";
        let told = telling(output, "", Path::new("/dev/loop3"));
        assert_eq!(
            told,
            "Block bitmap differences: -12; the device: ***** WARNING: Filesystem still has errors *****"
        );
    }
}
