//! The mount table of a process, parsed from `/proc/<pid>/mountinfo` (proc(5)).
//!
//! [`Reader`] is opened before a namespace is entered and can be read again inside it, where
//! `/proc` is another one. This file only reads; it changes no mount.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountEntry {
    /// The mount's id; equal to `stx_mnt_id` of statx(2). The kernel reuses ids of gone mounts.
    pub id: u64,
    /// The id of the mount it is mounted on.
    pub parent: u64,
    /// Device number (major, minor) of the superblock.
    pub dev: (u32, u32),
    /// The directory of the file system that forms the root of this mount.
    pub root: PathBuf,
    /// Where it is mounted, relative to the process's root.
    pub mount_point: PathBuf,
    /// Options of this mount, separated by commas.
    pub options: String,
    /// The optional fields, such as `shared:7` or `master:2`.
    pub propagation: Vec<String>,
    /// The type of the file system, such as `ext4` or `fuse.sshfs`.
    pub fs_type: String,
    /// The source name that was given when it was mounted.
    pub source: String,
    /// Options of the superblock, separated by commas.
    pub super_options: String,
}

impl MountEntry {
    /// Whether the mount's own options contain this flag, such as `ro`.
    #[must_use]
    pub fn has_option(&self, flag: &str) -> bool {
        self.options.split(',').any(|option| option == flag)
    }

    /// The value of a `key=value` option of the superblock.
    #[must_use]
    pub fn super_option(&self, key: &str) -> Option<&str> {
        let mut options = self.super_options.split(',');
        options.find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether a mount placed on top of this one also appears in other namespaces.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.propagation.iter().any(|field| field.starts_with("shared:"))
    }

    /// What tells this mount apart, also after its id has been reused.
    #[must_use]
    pub fn key(&self) -> MountKey {
        MountKey { id: self.id, dev: self.dev, root: self.root.clone() }
    }
}

/// The identity of a mount, to be kept in a journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MountKey {
    /// The mount's id.
    pub id: u64,
    /// Device number (major, minor) of its superblock.
    pub dev: (u32, u32),
    /// The directory of the file system that forms its root.
    pub root: PathBuf,
}

/// Every mount a process sees, in the kernel's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountTable(pub Vec<MountEntry>);

impl MountTable {
    /// The mount table of a process as it is now.
    ///
    /// # Errors
    /// As [`Reader::open`] and [`Reader::read`].
    pub fn of(target: Identity) -> HostResult<Self> {
        Reader::open(target)?.read()
    }

    /// The mounts stacked exactly at this absolute path, lowest first.
    ///
    /// Only those that the path leads to: a mount hidden by another one on a parent directory is
    /// left out. Empty when the path is no mount point. Symbolic links are not followed.
    #[must_use]
    pub fn at(&self, path: &Path) -> Vec<&MountEntry> {
        self.walk(path).1
    }

    /// The mount that this absolute path resolves to: the topmost one with the longest mount
    /// point on the way. Symbolic links are not followed.
    #[must_use]
    pub fn covering(&self, path: &Path) -> Option<&MountEntry> {
        let (above, stack) = self.walk(path);
        stack.last().copied().or(above)
    }

    /// Walks down as the kernel resolves a path. Returns the mount above the last component, and
    /// the stack at the last component.
    fn walk(&self, path: &Path) -> (Option<&MountEntry>, Vec<&MountEntry>) {
        let mut above = None;
        let mut stack = Vec::new();
        let mut prefix = PathBuf::new();
        for component in path.components().filter(|part| *part != Component::CurDir) {
            prefix.push(component);
            above = stack.last().copied().or(above);
            stack = self.stack_on(above, &prefix);
        }
        (above, stack)
    }

    fn stack_on<'a>(
        &'a self,
        above: Option<&'a MountEntry>,
        mount_point: &Path,
    ) -> Vec<&'a MountEntry> {
        let mut stack: Vec<&MountEntry> = Vec::new();
        loop {
            let parent = stack.last().copied().or(above);
            let next = self.0.iter().rev().find(|entry| {
                entry.mount_point == mount_point
                    && match parent {
                        Some(parent) => entry.parent == parent.id && entry.id != parent.id,
                        None => self.is_lowest(entry),
                    }
            });
            match next {
                // every id at most once: a malformed table must not loop
                Some(entry) if stack.iter().all(|seen| seen.id != entry.id) => stack.push(entry),
                _ => return stack,
            }
        }
    }

    fn is_lowest(&self, entry: &MountEntry) -> bool {
        entry.parent == entry.id || self.0.iter().all(|other| other.id != entry.parent)
    }
}

/// An open mount table, which can be read as often as wanted, from any namespace.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
}

impl Reader {
    /// Opens the table of a process. It stays bound to the process's namespace and root of now.
    ///
    /// # Errors
    /// [`HostError::Gone`] when the process has ended.
    pub fn open(target: Identity) -> HostResult<Self> {
        let path = target.proc_path("mountinfo");
        let file = match File::open(&path) {
            Ok(file) => file,
            // `EINVAL`: it has let go of its namespaces, and is about to be a zombie
            // (`mounts_open_common` in the kernel's fs/proc_namespace.c)
            Err(e)
                if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::EINVAL)) =>
            {
                return Err(HostError::Gone { pid: target.pid });
            }
            Err(e) => return Err(HostError::sys("open", path, e)),
        };
        target.check()?;
        Ok(Self { file, path })
    }

    /// Opens the table of the calling thread, which may be in a namespace of its own.
    ///
    /// # Errors
    /// When `/proc` is not mounted or is that of another pid namespace.
    pub fn open_own() -> HostResult<Self> {
        let path = PathBuf::from("/proc/thread-self/mountinfo");
        let file = File::open(&path).op("open", &path)?;
        Ok(Self { file, path })
    }

    /// The table as it is now.
    ///
    /// # Errors
    /// [`HostError::Malformed`] for a line that cannot be parsed.
    pub fn read(&self) -> HostResult<MountTable> {
        let mut text = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        // positional: two threads may share a reader
        loop {
            match self.file.read_at(&mut chunk, text.len() as u64).op("read", &self.path)? {
                0 => break,
                n => text.extend_from_slice(&chunk[..n]),
            }
        }
        parse(&text)
    }
}

/// Parses the content of a mountinfo file.
///
/// # Errors
/// [`HostError::Malformed`] with the line that cannot be parsed.
pub fn parse(text: &[u8]) -> HostResult<MountTable> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let entries = lines.map(|line| {
        parse_line(line)
            .ok_or_else(|| HostError::malformed("mountinfo", String::from_utf8_lossy(line)))
    });
    entries.collect::<HostResult<_>>().map(MountTable)
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let dev = std::str::from_utf8(fields.next()?).ok()?;
    let (major, minor) = dev.split_once(':')?;
    let root = unescape_path(fields.next()?);
    let mount_point = unescape_path(fields.next()?);
    let options = unescape_text(fields.next()?);
    let propagation =
        fields.by_ref().take_while(|field| *field != b"-").map(unescape_text).collect();
    Some(MountEntry {
        id,
        parent,
        dev: (major.parse().ok()?, minor.parse().ok()?),
        root,
        mount_point,
        options,
        propagation,
        fs_type: unescape_text(fields.next()?),
        source: unescape_text(fields.next()?),
        super_options: unescape_text(fields.next()?),
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn unescape_path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

fn unescape_text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// The kernel writes blank, tab, newline, backslash and `#` as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|d| d.iter().all(|d| (b'0'..=b'7').contains(d)));
        let code = digits.map(|d| d.iter().fold(0_u32, |sum, &d| sum * 8 + u32::from(d - b'0')));
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(code) if byte == b'\\' => {
                out.push(code);
                rest = &tail[3..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
20 1 8:1 / / rw,relatime - ext4 /dev/a rw
30 20 0:5 / /data rw,nosuid shared:7 master:2 - tmpfs first rw,size=64k,nr_inodes=9
31 30 0:5 /sub /data ro,relatime - tmpfs first rw,size=64k
32 30 0:6 / /data/hidden rw - tmpfs hidden rw
33 31 0:7 / /data/with\\040blank rw - ext4 /dev/b\\134c rw
34 20 0:8 / /database rw - ext4 /dev/d rw
";

    #[test]
    fn a_line_is_read_field_by_field() {
        let table = parse(TABLE.as_bytes()).unwrap();
        let first = &table.0[1];
        assert_eq!((first.id, first.parent, first.dev), (30, 20, (0, 5)));
        assert_eq!(first.propagation, ["shared:7", "master:2"]);
        assert!(first.is_shared() && first.has_option("nosuid") && !first.has_option("ro"));
        assert_eq!(first.super_option("nr_inodes"), Some("9"));
        assert_eq!(table.0[4].mount_point, Path::new("/data/with blank"));
        assert_eq!(table.0[4].source, "/dev/b\\c");
        assert!(parse(b"20 1 8:1 / /").is_err());
    }

    #[test]
    fn a_stack_is_ordered_and_hidden_mounts_are_left_out() {
        let table = parse(TABLE.as_bytes()).unwrap();
        let ids = |path: &str| table.at(Path::new(path)).iter().map(|m| m.id).collect::<Vec<_>>();
        assert_eq!(ids("/"), [20]);
        assert_eq!(ids("/data"), [30, 31]);
        assert_eq!(ids("/data/"), [30, 31]);
        assert_eq!(ids("/data/hidden"), [0_u64; 0]);
        assert_eq!(ids("/data/with blank"), [33]);
        assert_eq!(ids("/other"), [0_u64; 0]);
    }

    #[test]
    fn a_path_resolves_to_the_topmost_mount_on_its_way() {
        let table = parse(TABLE.as_bytes()).unwrap();
        let id = |path: &str| table.covering(Path::new(path)).map(|mount| mount.id);
        assert_eq!(id("/"), Some(20));
        assert_eq!(id("/dat"), Some(20));
        assert_eq!(id("/database/x"), Some(34));
        assert_eq!(id("/data/hidden/x"), Some(31));
        assert_eq!(id("/data/with blank/x/y"), Some(33));
    }

    #[test]
    fn a_table_with_a_cycle_ends() {
        let table = parse(b"5 6 0:1 / / rw - t s rw\n6 5 0:1 / / rw - t s rw\n").unwrap();
        assert!(table.at(Path::new("/")).len() <= 2);
    }

    #[test]
    fn the_own_table_has_a_root() {
        let own = Identity::of(std::process::id()).unwrap();
        let table = MountTable::of(own).unwrap();
        assert!(table.covering(Path::new("/")).is_some());
    }
}
