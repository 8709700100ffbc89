//! Who uses a superblock: which mount namespaces have it mounted, and which processes have a file of it.
//!
//! Looks at every process of the host, and only reads `/proc`. Not seen are a mount attached nowhere through
//! which nothing is open, a namespace that no process is in, and an overlay or a loop device that
//! lies on the filesystem; nor the host's first process, where that is [`closed`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::container_process::container_of;
use super::error::{HostError, HostResult};
use super::mountinfo::{MountEntry, MountTable, parse};
use super::process::Identity;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The superblock, as mountinfo names it: a file's `st_dev` is another one on a btrfs subvolume.
    pub dev: (u32, u32),
    /// Pids of those who may use it.
    pub allowed: &'a BTreeSet<u32>,
    /// Whoever is in the mount namespace of one of these may have it mounted.
    pub inits: &'a [Identity],
    /// The engine, whose namespace has the volumes mounted.
    pub engine: Identity,
    /// Where the engine has it mounted, for those who may use it.
    pub engine_mount: Option<&'a Path>,
}

/// How it is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Mounted here, as the process sees it.
    Mount(PathBuf),
    /// This is open, mapped, or a working directory.
    File(PathBuf),
}

/// Somebody who uses it, and may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuperblockUser {
    /// The process, or the first of a namespace.
    pub pid: u32,
    /// How.
    pub held: Held,
}

/// The host's first process, where it lets nobody look at it: an engine in a sandbox is kept from the
/// sandbox's own. What it uses, nobody can say.
#[must_use]
pub fn closed() -> Option<u32> {
    let link = fs::read_link(format!("/proc/{FIRST}/ns/mnt"));
    link.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied).then_some(FIRST)
}

const FIRST: u32 = 1;

/// Everybody else who uses the superblock, but for who is [`closed`]: mounts first, each by pid.
///
/// # Errors
/// When a process that lives cannot be looked at: then nobody can say that there is no one.
pub fn others(asked: &Asked<'_>) -> HostResult<Vec<SuperblockUser>> {
    let closed = closed();
    let pids: Vec<u32> = pids()?.into_iter().filter(|pid| Some(*pid) != closed).collect();
    let spaces = spaces(&pids)?;
    let mut mounts: BTreeMap<&Path, Vec<MountEntry>> = BTreeMap::new();
    for (name, space) in &spaces {
        mounts.insert(name, space.mounts_of(asked.dev)?);
    }
    let rule = Rule::of(asked, &mounts);
    let mut found = Vec::new();
    for (name, entries) in &mounts {
        let space = &spaces[*name];
        let strange = entries.iter().filter(|entry| !rule.allows(name, space, entry));
        let pid = space.members.first().copied().unwrap_or_default();
        found.extend(
            strange
                .map(|entry| SuperblockUser { pid, held: Held::Mount(entry.mount_point.clone()) }),
        );
    }
    found.sort();
    let ids: HashSet<u64> = mounts.values().flatten().map(|entry| entry.id).collect();
    for pid in pids.into_iter().filter(|pid| !asked.allowed.contains(pid)) {
        let file = file_of(pid, asked.dev, &ids)?;
        found.extend(file.map(|path| SuperblockUser { pid, held: Held::File(path) }));
    }
    Ok(found)
}

fn pids() -> HostResult<Vec<u32>> {
    numbers(Path::new("/proc"))
}

/// The names in a directory that are numbers, sorted.
fn numbers(directory: &Path) -> HostResult<Vec<u32>> {
    let entries =
        fs::read_dir(directory).map_err(|error| HostError::sys("readdir", directory, error))?;
    let mut found: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// A mount namespace.
#[derive(Debug, Default)]
struct Space {
    /// Who is in it.
    members: BTreeSet<u32>,
    /// Threads by their root: the mount table of a process leaves out what lies above its root.
    views: BTreeMap<PathBuf, Vec<u32>>,
}

/// Every mount namespace that a thread is in, by its name.
fn spaces(pids: &[u32]) -> HostResult<BTreeMap<PathBuf, Space>> {
    let mut spaces: BTreeMap<PathBuf, Space> = BTreeMap::new();
    for &pid in pids {
        let tasks = unless_gone(pid, || numbers(&PathBuf::from(format!("/proc/{pid}/task"))))?;
        for task in tasks.unwrap_or_default() {
            let link = |name: &str| {
                let path = PathBuf::from(format!("/proc/{task}/{name}"));
                fs::read_link(&path).map_err(|error| HostError::sys("readlink", path, error))
            };
            let seen = unless_gone(task, || Ok((link("ns/mnt")?, link("root")?)))?;
            if let Some((name, root)) = seen {
                let space = spaces.entry(name).or_default();
                space.members.insert(pid);
                space.views.entry(root).or_default().push(task);
            }
        }
    }
    Ok(spaces)
}

impl Space {
    /// The mounts of a superblock, as any of its members sees them.
    fn mounts_of(&self, dev: (u32, u32)) -> HostResult<Vec<MountEntry>> {
        let mut found: Vec<MountEntry> = Vec::new();
        for tasks in self.views.values() {
            for &task in tasks {
                if let Some(table) = unless_gone(task, || table(task))? {
                    let new = table.0.into_iter().filter(|entry| entry.dev == dev);
                    found.extend(new);
                    break;
                }
            }
        }
        found.sort_by_key(|entry| entry.id);
        found.dedup_by_key(|entry| entry.id);
        Ok(found)
    }

    fn is_a_containers(&self) -> bool {
        self.members.iter().any(|pid| container_of(*pid).is_some())
    }
}

fn table(task: u32) -> HostResult<MountTable> {
    let path = PathBuf::from(format!("/proc/{task}/mountinfo"));
    parse(&fs::read(&path).map_err(|error| HostError::sys("read", path, error))?)
}

/// What a look comes to; none where who is looked at has ended, or is about to: it has given back its
/// namespaces then, and of those the kernel says so (`fs/proc/namespaces.c`, `fs/proc_namespace.c`).
fn unless_gone<R>(pid: u32, look: impl FnOnce() -> HostResult<R>) -> HostResult<Option<R>> {
    const WITHOUT: [i32; 3] = [libc::ENOENT, libc::ESRCH, libc::EINVAL];
    match look() {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if WITHOUT.iter().any(|errno| error.is(*errno)) => Ok(None),
        Err(_) if Identity::of(pid).is_err() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which mounts are nobody else's.
struct Rule<'a> {
    asked: &'a Asked<'a>,
    /// Namespaces that may have it.
    theirs: Vec<PathBuf>,
    engine: Option<PathBuf>,
    /// Groups in which the engine's own mount of it goes on to other namespaces.
    groups: HashSet<String>,
}

impl<'a> Rule<'a> {
    fn of(asked: &'a Asked<'a>, mounts: &BTreeMap<&Path, Vec<MountEntry>>) -> Self {
        let name = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let engine = name(asked.engine.pid);
        let hosts = [engine.clone(), name(FIRST)];
        // our own is nobody else's; and who is in the host's has nothing alone
        let pids = asked.inits.iter().map(|init| init.pid).chain([std::process::id()]);
        let mut theirs: Vec<PathBuf> = pids.filter_map(name).collect();
        theirs.retain(|name| !hosts.iter().flatten().any(|host| host == name));
        let of_engine = engine.as_deref().and_then(|engine| mounts.get(engine));
        let own = of_engine.into_iter().flatten();
        let own = own.filter(|entry| asked.engine_mount == Some(entry.mount_point.as_path()));
        let groups = own.flat_map(groups).map(str::to_owned).collect();
        Self { asked, theirs, engine, groups }
    }

    fn allows(&self, name: &Path, space: &Space, entry: &MountEntry) -> bool {
        let theirs = self.theirs.iter().any(|one| one == name);
        if theirs || space.members.is_subset(self.asked.allowed) {
            return true;
        }
        if self.asked.engine_mount != Some(entry.mount_point.as_path()) {
            return false;
        }
        // services of the host get a copy of every mount that the engine makes
        self.engine.as_deref() == Some(name)
            || !space.is_a_containers() && groups(entry).any(|group| self.groups.contains(group))
    }
}

/// The peer groups that a mount belongs to or takes mounts from: `shared:7`, `master:7` (proc(5)).
fn groups(entry: &MountEntry) -> impl Iterator<Item = &str> {
    let fields = entry.propagation.iter();
    fields
        .filter_map(|field| field.strip_prefix("shared:").or_else(|| field.strip_prefix("master:")))
}

/// What a process has of a superblock: the first thing that is found.
fn file_of(pid: u32, dev: (u32, u32), mounts: &HashSet<u64>) -> HostResult<Option<PathBuf>> {
    let at = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let open = unless_gone(pid, || numbers(&at("fd")))?.unwrap_or_default();
    let links = ["root", "cwd", "exe"].map(&at).into_iter();
    let mut links = links.chain(open.into_iter().map(|number| at(&format!("fd/{number}"))));
    let link = links.find(|link| is_on(link, dev, mounts));
    if let Some(link) = link {
        return Ok(Some(fs::read_link(&link).unwrap_or(link)));
    }
    let text = unless_gone(pid, || {
        let path = at("maps");
        fs::read_to_string(&path).map_err(|error| HostError::sys("read", path, error))
    })?;
    Ok(text.unwrap_or_default().lines().find_map(|line| mapped(line, dev)))
}

/// Whether a link of `/proc` leads there. It asks no filesystem, and so waits for none that hangs.
fn is_on(link: &Path, (major, minor): (u32, u32), mounts: &HashSet<u64>) -> bool {
    let flags = AtFlags::STATX_DONT_SYNC.union(AtFlags::NO_AUTOMOUNT);
    let what = StatxFlags::TYPE.union(StatxFlags::MNT_ID);
    // it has ended, or closed it, meanwhile; or it is a filesystem that shows nothing to others
    let Ok(stat) = statx(CWD, link, flags, what) else { return false };
    let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    (stat.stx_dev_major, stat.stx_dev_minor) == (major, minor)
        || known && mounts.contains(&stat.stx_mnt_id)
}

/// The file of a line of `/proc/PID/maps`, if it is on this superblock (proc(5)).
fn mapped(line: &str, dev: (u32, u32)) -> Option<PathBuf> {
    let mut fields = line.split_ascii_whitespace();
    let (major, minor) = fields.nth(3)?.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    let inode = fields.next()?;
    let path = fields.next().unwrap_or("?");
    (inode != "0" && (hex(major)?, hex(minor)?) == dev).then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{Target, root_or_skip};

    fn asked<'a>(dev: (u32, u32), allowed: &'a BTreeSet<u32>, inits: &'a [Identity]) -> Asked<'a> {
        // the tests' own namespace stands for the engine's
        let engine = Identity::of(std::process::id()).unwrap();
        Asked { dev, allowed, inits, engine, engine_mount: None }
    }

    fn dev_at(target: &Target, path: &str) -> (u32, u32) {
        let table = MountTable::of(target.identity()).unwrap();
        table.at(Path::new(path)).last().unwrap().dev
    }

    #[test]
    fn a_tmpfs_of_one_namespace_is_its_own_until_somebody_else_has_it() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("mount -t tmpfs t /mnt; exec 5>/mnt/open");
        let who = target.identity();
        let dev = dev_at(&target, "/mnt");
        let (nobody, inits) = (BTreeSet::new(), [who]);
        let theirs = BTreeSet::from([who.pid]);
        assert_eq!(others(&asked(dev, &theirs, &inits)), Ok(Vec::new()));
        let found = others(&asked(dev, &nobody, &[])).unwrap();
        let held: Vec<_> = found.iter().map(|user| (user.pid, user.held.clone())).collect();
        let expected = [Held::Mount("/mnt".into()), Held::File("/mnt/open".into())];
        assert_eq!(held, expected.map(|held| (who.pid, held)));
        // a file that a process outside has open through the other's namespace
        let file = fs::File::open(format!("/proc/{}/root/mnt/open", who.pid)).unwrap();
        let found = file_of(std::process::id(), dev, &HashSet::new());
        assert!(found.unwrap().is_some());
        drop(file);
        assert_eq!(file_of(std::process::id(), dev, &HashSet::new()), Ok(None));
    }

    #[test]
    fn mapped_files_are_told_by_their_device() {
        let line = "7f00-7f01 rw-s 00000000 07:0a 12 /mnt/a";
        assert_eq!(mapped(line, (7, 10)), Some("/mnt/a".into()));
        assert_eq!(mapped(line, (7, 16)), None);
        assert_eq!(mapped("7f00-7f01 rw-p 00000000 00:00 0 [heap]", (0, 0)), None);
    }

    #[test]
    fn who_has_ended_uses_nothing_and_who_cannot_be_looked_at_is_an_error() {
        let refused = || Err::<(), _>(HostError::malformed("x", "no"));
        assert_eq!(unless_gone(u32::MAX, refused), Ok(None));
        assert!(unless_gone(std::process::id(), refused).is_err());
    }
}
