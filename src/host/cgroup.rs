//! The cgroup of a process on either hierarchy, and the values in it.
//!
//! Finds directories, reads and writes small files there. It decides no limits.
//!
//! Measured (Docker 20.10, v1): in a container, even with the host's cgroup namespace,
//! `/sys/fs/cgroup/<controller>` shows only the container's own cgroup as its root, so the
//! directories of others are not found there; bind the host's `/sys/fs/cgroup` or enter the
//! namespace that has it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// The file that lists the processes of a cgroup, and takes new ones.
const MEMBERS: &str = "cgroup.procs";

/// Which hierarchy a controller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// One tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// A process's cgroup for one controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Which hierarchy it is on.
    pub version: Version,
    /// Its directory.
    pub dir: PathBuf,
}

impl Cgroup {
    /// The cgroup that governs a process for `controller`, such as `memory` or `blkio` (`io` on
    /// v2). `root` is where the host's cgroup file systems are mounted: `/sys/fs/cgroup`.
    ///
    /// A controller that is on a tree of its own is v1, also where both hierarchies are mounted.
    ///
    /// # Errors
    /// [`HostError::Gone`]; `ENOENT` when the directory is not below `root`, as when the reader is
    /// in a cgroup namespace of its own.
    pub fn of(target: Identity, controller: &str, root: &Path) -> HostResult<Self> {
        Self::below(&memberships(target)?, controller, root)
    }

    /// As [`Cgroup::of`], from what [`memberships`] gave: for a thread that has entered another
    /// mount namespace, where `/proc` is another one too.
    ///
    /// # Errors
    /// As [`Cgroup::of`].
    pub fn below(memberships: &str, controller: &str, root: &Path) -> HostResult<Self> {
        let (version, path) = parse(memberships, controller).ok_or_else(|| {
            HostError::malformed("cgroups of a process", format!("no `{controller}`"))
        })?;
        let relative = path.trim_start_matches('/');
        let bases = match version {
            Version::V1 => [root.join(controller), root.to_path_buf()],
            // beside v1 trees the single one is at `unified`
            Version::V2 => [root.to_path_buf(), root.join("unified")],
        };
        let dirs = bases.map(|base| base.join(relative));
        let found = dirs.iter().find(|dir| dir.join(MEMBERS).exists());
        let dir = found.cloned().ok_or(rustix::io::Errno::NOENT).op("stat", &dirs[0])?;
        Ok(Self { version, dir })
    }

    /// Moves the calling process here, with all of its threads.
    ///
    /// # Errors
    /// The failed call.
    pub fn join(&self) -> HostResult<()> {
        // 0 is the writer itself (cgroups(7))
        self.write(MEMBERS, "0")
    }

    /// Whoever writes `0` to this moves here with all of its threads, from wherever it is.
    ///
    /// # Errors
    /// The failed call.
    pub fn door(&self) -> HostResult<fs::File> {
        let path = self.dir.join(MEMBERS);
        fs::OpenOptions::new().write(true).open(&path).op("open", path)
    }

    /// The content of a file of this cgroup, without the newline at its end.
    ///
    /// # Errors
    /// The failed call.
    pub fn read(&self, name: &str) -> HostResult<String> {
        let path = self.dir.join(name);
        Ok(fs::read_to_string(&path).op("read", path)?.trim_end().to_owned())
    }

    /// Writes a value with a single write(2), as cgroup files want it.
    ///
    /// # Errors
    /// The failed call: `EINVAL` for a value the kernel does not take, `EBUSY` for a limit below
    /// what is in use.
    pub fn write(&self, name: &str, value: &str) -> HostResult<()> {
        let path = self.dir.join(name);
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
            .op("write", path)
    }

    /// The limit of memory in bytes; none where there is no limit.
    ///
    /// # Errors
    /// [`HostError::Malformed`] when the kernel says something else than a number.
    pub fn memory_limit(&self) -> HostResult<Option<u64>> {
        let name = match self.version {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        let text = self.read(name)?;
        if text == "max" {
            return Ok(None);
        }
        Ok(Some(number(name, &text)?).filter(|limit| *limit < V1_UNLIMITED))
    }

    /// Bytes of memory in use, page cache included.
    ///
    /// # Errors
    /// [`HostError::Malformed`] when the kernel says something else than a number.
    pub fn memory_used(&self) -> HostResult<u64> {
        let name = match self.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        number(name, &self.read(name)?)
    }

    /// The page cache of this cgroup, from `memory.stat`.
    ///
    /// # Errors
    /// [`HostError::Malformed`] when the kernel does not say.
    pub fn page_cache(&self) -> HostResult<CgroupCache> {
        let name = "memory.stat";
        let text = self.read(name)?;
        let value = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            let found = found.ok_or_else(|| HostError::malformed(name, format!("no `{key}`")))?;
            number(name, found.trim())
        };
        Ok(match self.version {
            Version::V1 => CgroupCache { bytes: value("cache")?, pages_in: value("pgpgin")? },
            Version::V2 => {
                let bytes = value("file")?;
                CgroupCache { bytes, pages_in: bytes / PAGE + value("pgsteal")? }
            }
        })
    }

    /// How many processes the kernel has killed here for want of memory.
    ///
    /// From `memory.oom_control` on v1 (this cgroup alone), `memory.events` on v2 (with those
    /// below).
    ///
    /// # Errors
    /// [`HostError::Malformed`] when the kernel does not count (v1 before Linux 4.13).
    pub fn oom_kills(&self) -> HostResult<u64> {
        let name = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = self.read(name)?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        count.ok_or_else(|| HostError::malformed(name, "no `oom_kill`"))
    }
}

/// Of what is counted in pages, these bytes each (x86-64; larger ones elsewhere are one page too).
const PAGE: u64 = 4096;

/// What a cgroup has in the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupCache {
    /// Bytes.
    pub bytes: u64,
    /// Pages that came in since the cgroup was made: all of them on v1, where the kernel counts them;
    /// on v2 those that are there and those that were reclaimed.
    pub pages_in: u64,
}

/// What v1 shows where there is no limit is the largest number of whole pages, whatever their size.
const V1_UNLIMITED: u64 = (i64::MAX as u64) >> 1;

fn number(name: &str, text: &str) -> HostResult<u64> {
    text.parse().map_err(|_| HostError::malformed(name, format!("`{text}` is no number")))
}

/// What `/proc/<pid>/cgroup` says.
///
/// # Errors
/// [`HostError::Gone`], or the failed call.
pub fn memberships(target: Identity) -> HostResult<String> {
    let path = target.proc_path("cgroup");
    let text = fs::read_to_string(&path).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => HostError::Gone { pid: target.pid },
        _ => HostError::sys("read", &path, e),
    })?;
    target.check()?;
    Ok(text)
}

/// The hierarchy and the path of a controller in `/proc/<pid>/cgroup`.
fn parse<'a>(text: &'a str, controller: &str) -> Option<(Version, &'a str)> {
    let lines = || {
        text.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
    };
    let own = lines().find(|(_, names, _)| names.split(',').any(|name| name == controller));
    let single = || lines().find(|(number, names, _)| *number == "0" && names.is_empty());
    own.map(|(_, _, path)| (Version::V1, path))
        .or_else(|| single().map(|(_, _, path)| (Version::V2, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_told_apart() {
        let mixed = "9:name=systemd:/\n4:memory:/docker/a:b\n2:cpu,cpuacct:/x\n0::/u\n";
        assert_eq!(parse(mixed, "memory"), Some((Version::V1, "/docker/a:b")));
        assert_eq!(parse(mixed, "cpuacct"), Some((Version::V1, "/x")));
        assert_eq!(parse(mixed, "io"), Some((Version::V2, "/u")));
        assert_eq!(parse("4:memory:/a\n", "blkio"), None);
    }

    #[test]
    fn counters_of_both_hierarchies_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = |version| Cgroup { version, dir: dir.path().to_path_buf() };
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        fs::write(dir.path().join("memory.oom_control"), v1).unwrap();
        let v2 = "low 0\noom 9\noom_kill 4\noom_group_kill 1\n";
        fs::write(dir.path().join("memory.events"), v2).unwrap();
        assert_eq!(cgroup(Version::V1).oom_kills(), Ok(3));
        assert_eq!(cgroup(Version::V2).oom_kills(), Ok(4));
    }

    #[test]
    fn the_page_cache_of_both_hierarchies_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let cache = |version, text: &str| {
            fs::write(dir.path().join("memory.stat"), text).unwrap();
            Cgroup { version, dir: dir.path().to_path_buf() }.page_cache()
        };
        let v1 = "cache 8192\nrss 1\npgpgin 77\npgpgout 70\ntotal_cache 9\n";
        assert_eq!(cache(Version::V1, v1), Ok(CgroupCache { bytes: 8192, pages_in: 77 }));
        let v2 = "anon 1\nfile 8192\nfile_mapped 3\npgsteal 5\npgsteal_kswapd 4\n";
        assert_eq!(cache(Version::V2, v2), Ok(CgroupCache { bytes: 8192, pages_in: 7 }));
        assert!(cache(Version::V1, v2).is_err());
    }

    #[test]
    fn limits_of_both_hierarchies_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = |version| Cgroup { version, dir: dir.path().to_path_buf() };
        let limit = |version, name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            cgroup(version).memory_limit()
        };
        let v1 = "memory.limit_in_bytes";
        assert_eq!(limit(Version::V1, v1, "67108864\n"), Ok(Some(64 << 20)));
        assert_eq!(limit(Version::V1, v1, "9223372036854771712\n"), Ok(None));
        assert_eq!(limit(Version::V2, "memory.max", "max\n"), Ok(None));
        assert_eq!(limit(Version::V2, "memory.max", "8192\n"), Ok(Some(8192)));
        assert!(limit(Version::V2, "memory.max", "much\n").is_err());
        fs::write(dir.path().join("memory.current"), "4096\n").unwrap();
        assert_eq!(cgroup(Version::V2).memory_used(), Ok(4096));
    }

    #[test]
    fn the_own_cgroup_is_found() {
        let own = Identity::of(std::process::id()).unwrap();
        let cgroup = match Cgroup::of(own, "memory", Path::new("/sys/fs/cgroup")) {
            Err(error) if error.is(libc::ENOENT) => {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr(), "skipped: needs the host's /sys/fs/cgroup");
                return;
            }
            other => other.unwrap(),
        };
        let members = cgroup.read("cgroup.procs").unwrap();
        assert!(members.lines().any(|pid| pid.parse() == Ok(own.pid)), "{members}");
        assert!(cgroup.write("none", "1").unwrap_err().errno().is_some());
    }
}
