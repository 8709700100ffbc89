//! The host as the kernel and the engine tell it, not as keelhaul does: what is in force, which
//! processes there are, and what is left of a run.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    harness::keelhaul,
    quiet::Quiet,
    symptoms::{OnDisk, hangs, holds, mangled, shows, slow, stalled, unreadable, unsyncable},
};

/// For what is promised nobody in seconds.
const GONE: Duration = Duration::from_secs(6);
/// A run whose command line is gone must be recoverable by then.
const RECOVERABLE: Duration = Duration::from_secs(45);

/// What the docker client says.
pub(super) fn docker(env: &[(String, String)], args: &[&str]) -> String {
    let output = Command::new("docker").args(args).envs(env.iter().cloned()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Pid of a container's init on this host.
pub(super) fn init_of(env: &[(String, String)], container: &str) -> i32 {
    docker(env, &["inspect", "-f", "{{.State.Pid}}", container]).parse().unwrap_or(0)
}

/// The same from the kernel alone, where the engine cannot be asked; 0 where it does not run.
pub(super) fn init_in(container: &str) -> i32 {
    let within = |pid: i32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        groups.contains(container)
    };
    let ours = processes(|_| true).into_iter().filter(|pid| within(*pid));
    ours.into_iter().find(|pid| !within(parent(*pid))).unwrap_or(0)
}

/// The helper's processes of a run.
pub(super) fn keepers(run: &str) -> Vec<i32> {
    processes(|args| {
        args.get(1).is_some_and(|verb| verb == "helper") && args.iter().any(|arg| is_of(run, arg))
    })
}

/// Processes that hold something for a run.
fn holders(run: &str) -> Vec<i32> {
    processes(|args| {
        args.get(1).is_some_and(|verb| verb == "helper-hold")
            && args.get(2).is_some_and(|mark| mentions(mark, run))
    })
}

/// Processes that serve a filesystem for a run.
pub(super) fn interposers(run: &str) -> Vec<i32> {
    processes(|args| {
        args.get(1).is_some_and(|verb| verb == "helper-interposer")
            && args.get(2).is_some_and(|name| mentions(name, run))
    })
}

/// Waits until no engine has an interposer of a run mounted; how long that took.
pub(super) fn await_unmounted(run: &str, who: &str) -> Duration {
    await_over(|| mounted(run).iter().any(|line| line.contains("fuse.keelhaul")))
        .unwrap_or_else(|late| panic!("{who}: {late} still mounted"))
}

/// The worker of a keeper.
pub(super) fn worker_of(keeper: i32) -> Option<i32> {
    let workers = processes(|args| args.get(1).is_some_and(|verb| verb == "helper-worker"));
    workers.into_iter().find(|pid| parent(*pid) == keeper)
}

/// Pid of `keeper` or `worker`, as soon as there is one.
pub(super) fn pid_of(role: &str, run: &str) -> i32 {
    let end = Instant::now() + GONE;
    loop {
        let keeper = keepers(run).first().copied();
        let pid = if role == "keeper" { keeper } else { keeper.and_then(worker_of) };
        if let Some(pid) = pid {
            return pid;
        }
        assert!(Instant::now() < end, "no {role} of {run}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Slots of a run carry its id and a number.
fn is_of(run: &str, label: &str) -> bool {
    label == run
        || label
            .strip_prefix(run)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn processes(wanted: impl Fn(&[String]) -> bool) -> Vec<i32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<String> = line.split('\0').map(str::to_owned).collect();
        wanted(&args)
    })
    .collect()
}

fn parent(pid: i32) -> i32 {
    let after = stat(pid);
    after.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()).unwrap_or(0)
}

fn stat(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').map_or_else(String::new, |(_, after)| after.trim().to_owned())
}

/// Runs, or is stopped; a zombie is dead.
pub(super) fn lives(pid: i32) -> bool {
    let state = stat(pid);
    !state.is_empty() && !state.starts_with('Z') && !state.starts_with('X')
}

pub(super) fn signal(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// A fault in the kernel's own words, seen from the subject's init.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trace {
    /// More than one mount at this path.
    Stacked(&'static str),
    /// A mount at this path.
    Mounted(&'static str),
    /// No mount at this path.
    Lost(&'static str),
    /// No inode, or no byte, is free at this path.
    Full(&'static str),
    /// Two names are different files.
    Untied(&'static str, &'static str),
    /// No file at this path.
    Missing(&'static str),
    /// A file with this content.
    Holds(&'static str, &'static str),
    /// This path has these permission bits.
    Mode(&'static str, u32),
    /// This path belongs to this user.
    Owner(&'static str, u32),
    /// The root of a btrfs subvolume at this path.
    Snapshot(&'static str),
    /// A quota group with a limit on the btrfs mounted at this path.
    Quota(&'static str),
    /// The subject's user can watch nothing more.
    NoInotify,
    /// The label of this path ends so.
    Labelled(&'static str, &'static str),
    /// This path was written to after now.
    FromTheFuture(&'static str),
    /// The code by which the subject tells the time is not that of other processes.
    OtherClock,
    /// A process of ours, holding this, is in the subject's memory cgroup.
    Held(&'static str),
    /// Tasks are frozen.
    Frozen,
    /// Fewer bytes of memory than this are allowed.
    MemoryBelow(u64),
    /// Bytes that are written to a new file at this path are not all there.
    Mangled(&'static str),
    /// A new file at this path that was written cannot be synced.
    Unsyncable(&'static str),
    /// Reading this file fails with EIO.
    Unreadable(&'static str),
    /// Reading this file takes half a second or more.
    Slow(&'static str),
    /// Reading this file does not come back.
    Hangs(&'static str),
    /// A change at this path does not come back.
    Stalled(&'static str),
    /// A read of the disk under this path goes so.
    Disk(&'static str, OnDisk),
    /// The I/O of the container's cgroup is limited.
    Throttled,
    /// No network interface but the loopback.
    Detached,
    /// Nothing stays in force.
    Nothing,
}

impl Trace {
    /// Whether it is there; not, when the subject has ended.
    pub(super) fn in_force(self, init: i32) -> bool {
        let root = |path: &str| format!("/proc/{init}/root{path}");
        match self {
            // what a dead process does not see is no effect
            _ if init == 0 || !lives(init) => false,
            Self::Stacked(path) => mounts(init, path) > 1,
            Self::Mounted(path) => mounts(init, path) > 0,
            Self::Lost(path) => mounts(init, path) == 0,
            Self::Full(path) => rustix::fs::statfs(root(path))
                .is_ok_and(|fs| fs.f_blocks > 0 && (fs.f_ffree == 0 || fs.f_bavail == 0)),
            Self::Untied(one, other) => untied(&root(one), &root(other)),
            Self::Missing(path) => fs::metadata(root(path)).is_err(),
            Self::Holds(path, text) => holds(&root(path), text),
            Self::Mode(path, bits) => {
                fs::metadata(root(path)).is_ok_and(|meta| meta.mode() & 0o7777 == bits)
            }
            Self::Owner(path, uid) => fs::metadata(root(path)).is_ok_and(|meta| meta.uid() == uid),
            Self::Snapshot(path) => fs::metadata(root(path)).is_ok_and(|meta| meta.ino() == 256),
            Self::Quota(path) => limited(init, path),
            Self::NoInotify => cannot_watch(init),
            Self::Labelled(path, end) => label(&root(path)).is_some_and(|it| it.ends_with(end)),
            Self::FromTheFuture(path) => is_from_the_future(&root(path)),
            Self::OtherClock => vdso(init) != vdso(own()),
            Self::Held(what) => held(init, what),
            Self::Frozen => frozen(init),
            Self::MemoryBelow(bytes) => memory_limit(init).is_some_and(|limit| limit < bytes),
            Self::Mangled(path) => mangled(&root(path)),
            Self::Unsyncable(path) => unsyncable(&root(path)),
            Self::Unreadable(path) => unreadable(&root(path)),
            Self::Slow(path) => slow(&root(path)),
            Self::Hangs(path) => hangs(root(path)),
            Self::Stalled(path) => stalled(root(path)),
            Self::Disk(path, how) => shows(how, root(path)),
            Self::Throttled => throttled(init),
            Self::Detached => detached(init),
            Self::Nothing => false,
        }
    }

    /// Waits until it is not in force; how long that took.
    pub(super) fn await_gone(self, init: i32, who: &str) -> Duration {
        await_over(|| self.in_force(init))
            .unwrap_or_else(|late| panic!("{who}: {late} {self:?} is still in force"))
    }

    /// Once the promised time has passed, it is not in force, whenever it came.
    pub(super) fn assert_none_once_promised(self, init: i32, since: &Quiet, who: &str) {
        while !since.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.in_force(init), "{who}: after {since}, {self:?} is in force");
    }
}

/// Looks until something is no longer so, and says how long that took; or that a look begun after
/// the promised time still saw it.
fn await_over(mut is_so: impl FnMut() -> bool) -> Result<Duration, String> {
    let quiet = Quiet::start();
    loop {
        let (wall, over) = (quiet.wall(), quiet.is_over());
        if !is_so() {
            return Ok(wall);
        }
        if over {
            return Err(format!("after {quiet}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn mounts(init: i32, path: &str) -> usize {
    let table = fs::read_to_string(format!("/proc/{init}/mountinfo")).unwrap_or_default();
    table.lines().filter(|line| line.split(' ').nth(4) == Some(path)).count()
}

fn untied(one: &str, other: &str) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.ino() != other.ino(),
        _ => false,
    }
}

/// A limit of any quota group, of the device mounted there.
fn limited(init: i32, path: &str) -> bool {
    let table = fs::read_to_string(format!("/proc/{init}/mountinfo")).unwrap_or_default();
    let line = table.lines().find(|line| line.split(' ').nth(4) == Some(path)).unwrap_or_default();
    let device = line.split_once("/dev/").and_then(|(_, rest)| rest.split(' ').next());
    let device = device.unwrap_or("none");
    fs::read_dir("/sys/fs/btrfs").into_iter().flatten().flatten().any(|entry| {
        let groups = fs::read_dir(entry.path().join("qgroups")).into_iter().flatten().flatten();
        let flags = groups.map(|group| fs::read_to_string(group.path().join("limit_flags")));
        entry.path().join("devices").join(device).exists()
            && flags.flatten().any(|flags| flags.trim() != "0")
    })
}

/// Tries to watch something as the user of this process.
fn cannot_watch(pid: i32) -> bool {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use std::os::unix::fs::MetadataExt as _;
    let Ok(of) = fs::metadata(format!("/proc/{pid}")) else { return false };
    let tried = std::thread::spawn(move || {
        let uid = rustix::process::Uid::from_raw(of.uid());
        // of this thread alone, which ends here
        rustix::thread::set_thread_uid(uid).unwrap();
        init(CreateFlags::CLOEXEC).and_then(|queue| add_watch(&queue, "/", WatchFlags::CREATE))
    });
    tried.join().unwrap().is_err()
}

fn detached(init: i32) -> bool {
    let table = fs::read_to_string(format!("/proc/{init}/net/dev")).unwrap_or_default();
    let mut names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    !table.is_empty() && names.all(|(name, _)| name.trim() == "lo")
}

/// A file of the process's cgroup, under its name in cgroup v1 or else in v2.
pub(super) fn cgroup_path(pid: i32, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut files = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some(format!("/sys/fs/cgroup{path}/{v2}")),
            one if one == controller => Some(format!("/sys/fs/cgroup/{controller}{path}/{v1}")),
            _ => None,
        }
    });
    files.find(|file| Path::new(file).exists())
}

/// What it says.
pub(super) fn cgroup_file(pid: i32, controller: &str, v1: &str, v2: &str) -> Option<String> {
    fs::read_to_string(cgroup_path(pid, controller, v1, v2)?).ok()
}

fn held(init: i32, what: &str) -> bool {
    let list = cgroup_file(init, "memory", "cgroup.procs", "cgroup.procs").unwrap_or_default();
    list.lines().any(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut args = line.split('\0').skip(1);
        args.next() == Some("helper-hold") && args.nth(1) == Some(what)
    })
}

fn label(path: &str) -> Option<String> {
    let mut value = [0; 256];
    let length = rustix::fs::lgetxattr(path, "security.selinux", &mut value[..]).ok()?;
    Some(String::from_utf8_lossy(&value[..length]).trim_end_matches('\0').to_owned())
}

fn is_from_the_future(path: &str) -> bool {
    let written = fs::metadata(path).and_then(|meta| meta.modified());
    written.is_ok_and(|time| time > std::time::SystemTime::now())
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// The code that the kernel maps into a process.
fn vdso(pid: i32) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap_or_default();
    let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    let address = |text| u64::from_str_radix(text, 16).unwrap_or(0);
    let (start, end) = range.map_or((0, 0), |(start, end)| (address(start), address(end)));
    let mut code = vec![0; usize::try_from(end - start).unwrap_or(0)];
    let memory = fs::File::open(format!("/proc/{pid}/mem"));
    let read = memory.and_then(|memory| memory.read_exact_at(&mut code, start));
    // whose memory is gone has no other code
    if read.is_ok() && !code.is_empty() { code } else { vdso(own()) }
}

fn frozen(pid: i32) -> bool {
    let state = cgroup_file(pid, "freezer", "freezer.state", "cgroup.events");
    let state = state.unwrap_or_default();
    state.contains("FREEZING") || state.contains("FROZEN") || state.contains("frozen 1")
}

fn memory_limit(pid: i32) -> Option<u64> {
    cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max")?.trim().parse().ok()
}

fn throttled(pid: i32) -> bool {
    let limits = cgroup_file(pid, "blkio", "blkio.throttle.write_bps_device", "io.max");
    limits.is_some_and(|text| !text.trim().is_empty())
}

/// A container without a name, which the engine lists and does not have: one that was killed over a
/// removal does that.
fn is_a_ghost(line: &str, env: &[(String, String)]) -> bool {
    let mut words = line.split(' ').skip(1);
    let nameless = words.next() == Some("");
    nameless
        && words.next().is_some_and(|id| docker(env, &["inspect", "-f", "{{.Id}}", id]).is_empty())
}

/// Everything that this host, and the engine, have of a run.
pub(super) fn left_of(run: &str, env: &[(String, String)]) -> Vec<String> {
    let mut left = Vec::new();
    for (kind, list) in [
        (
            "container",
            &["ps", "-a", "--format", "{{.Label \"keelhaul.run\"}} {{.Names}} {{.ID}}"][..],
        ),
        ("volume", &["volume", "ls", "--format", "{{.Label \"keelhaul.run\"}} {{.Name}}"]),
        ("network", &["network", "ls", "--format", "{{.Label \"keelhaul.run\"}} {{.Name}}"]),
    ] {
        let listed = docker(env, &[list, &["--filter", "label=keelhaul.run"]].concat());
        let ours = listed.lines().filter(|line| is_of(run, line.split(' ').next().unwrap_or("")));
        let ours = ours.filter(|line| !is_a_ghost(line, env));
        left.extend(ours.map(|line| format!("{kind} {line}")));
    }
    left.extend(holders(run).iter().map(|pid| format!("holder {pid}")));
    left.extend(keepers(run).iter().map(|pid| format!("process {pid}")));
    left.extend(loops(run).iter().map(|device| format!("loop device {device}")));
    left.extend(mounted(run).iter().map(|line| format!("mount {line}")));
    left.extend(interposers(run).iter().map(|pid| format!("interposer {pid}")));
    let root = docker(env, &["info", "-f", "{{.DockerRootDir}}"]);
    for entry in fs::read_dir(Path::new(&root).join("volumes")).into_iter().flatten().flatten() {
        if mentions(&entry.file_name().to_string_lossy(), run) {
            left.push(format!("directory {}", entry.path().display()));
        }
    }
    left
}

/// Loop devices whose file is a run's: a disk of ours is mounted nowhere by its own name.
pub(super) fn loops(run: &str) -> Vec<String> {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    let ours = devices.filter(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file"));
        backing.is_ok_and(|file| mentions(&file, run))
    });
    ours.map(|device| device.file_name().to_string_lossy().into_owned()).collect()
}

/// What engines, and this process, have mounted of a run.
pub(super) fn mounted(run: &str) -> Vec<String> {
    let engines = processes(|args| args.first().is_some_and(|name| name.ends_with("dockerd")));
    let here = i32::try_from(std::process::id()).unwrap_or(0);
    let all = engines.into_iter().chain([here]).flat_map(|pid| {
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        table.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    all.filter(|line| mentions(line, run)).collect()
}

fn mentions(text: &str, run: &str) -> bool {
    text.contains(&format!("keelhaul-{run}"))
}

/// Nothing is left of a run.
pub(super) fn assert_clean(run: &str, env: &[(String, String)], who: &str) {
    let end = Instant::now() + GONE;
    loop {
        let left = left_of(run, env);
        if left.is_empty() {
            return;
        }
        // what is being removed may still be listed
        assert!(Instant::now() < end, "{who}: left of {run}: {left:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Recovers a run as soon as it is nobody's; says how that went.
pub(crate) fn recover(run: &str, env: &[(String, String)]) -> (i32, String) {
    let end = Instant::now() + RECOVERABLE;
    loop {
        let (code, text) = keelhaul(&["recover", run], env);
        if code == 0 || Instant::now() > end {
            return (code, text);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Recovers twice: the first puts everything back, the second changes nothing.
pub(super) fn recover_twice(run: &str, env: &[(String, String)], who: &str) {
    let (code, text) = recover(run, env);
    assert_eq!(code, 0, "{who}: {text}");
    assert_clean(run, env, who);
    let (code, text) = keelhaul(&["recover", run], env);
    assert!(code == 0 && text.starts_with("nothing to recover"), "{who}: {text}");
    assert_clean(run, env, who);
}

/// A number made from circumstances: the same every time, and different everywhere.
pub(super) fn drawn(from: &[&str], below: u64) -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(from.join("/").as_bytes());
    u64::from_le_bytes(digest[..8].try_into().unwrap()) % below
}
