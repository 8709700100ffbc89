//! A disk of ours whose server is short of memory along with who writes to it: whatever becomes of the
//! server, the writer ends with an error, and nothing waits for ever.
//!
//! The kernel may have the server wait for memory that is free only when the server has written: then
//! no signal ends it, and an abort of its connection does. Here the test aborts, as the watch of a disk
//! does; `weather::tight` has the watch do it.

use std::{
    cell::Cell,
    fs,
    io::Write as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use keelhaul::host::{
    fuse,
    grower::memory_file,
    loop_device,
    pressure::{Waited, excuse},
};
use rustix::process::{Pid, Signal, kill_process};

use super::{mounted::can_be_tried, own_disk::Disk};
use crate::weather::{say, soak};

/// For all of them.
const ALL: u64 = 2 << 30;
/// Less than the writer has not synced yet.
const WRITER: u64 = 12 << 20;
/// So much less is left to the server and the writer than both need at most.
const SHORT: u64 = 6 << 20;
/// What the helpers of this test take.
const BESIDE: u64 = 3 << 20;
/// Whatever is to end has ended by then, on the busiest machine.
const BOUND: Duration = Duration::from_secs(60);
/// And, where nothing else is going on, by then.
const TORN_DOWN: Duration = Duration::from_secs(5);
/// Nobody who still has a disk ends within this time.
const HUNG: Duration = Duration::from_millis(700);
/// By then the server has needed as much as it ever will.
const FILLED: Duration = Duration::from_millis(1500);
/// So much less is taken where the kernel had to kill somebody, and tried so often.
const SPARE: u64 = 2 << 20;
const TRIES: u64 = 8;
/// What the writer ends with when it could not write.
const FAILED: i32 = 7;

/// Those who are short of memory, and who takes it.
const PARTS: [&str; 3] = ["server", "writer", "hog"];

/// Memory for all, less of it for the writer, and somebody who has most of it.
pub(crate) struct Tight {
    at: PathBuf,
    v1: bool,
    hog: OwnedFd,
    /// Less than planned is taken: with so much more the kernel had to kill somebody.
    spared: Cell<u64>,
}

impl Tight {
    /// None where memory cannot be limited here, which is said.
    pub(crate) fn make(name: &str) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory/cgroup.procs").exists();
        let root = if v1 { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" };
        let at = Path::new(root).join(format!("kh-tight-{}-{name}", std::process::id()));
        let tight = Self { at, v1, hog: memory_file().unwrap(), spared: Cell::new(0) };
        match tight.limit() {
            Ok(()) => Some(tight),
            Err(error) => {
                say(&format!("skipped: memory cannot be limited here: {error}"));
                None
            }
        }
    }

    fn limit(&self) -> std::io::Result<()> {
        let limit = if self.v1 { "memory.limit_in_bytes" } else { "memory.max" };
        fs::create_dir(&self.at)?;
        fs::write(self.at.join(limit), ALL.to_string())?;
        if !self.v1 {
            fs::write(self.at.join("cgroup.subtree_control"), "+memory")?;
        }
        PARTS.iter().try_for_each(|part| fs::create_dir(self.at.join(part)))?;
        fs::write(self.at.join("writer").join(limit), WRITER.to_string())
    }

    /// A process goes there.
    pub(crate) fn joins(&self, part: &str, pid: i32) {
        fs::write(self.at.join(part).join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// A shell that joins a part, and goes on with this.
    fn shell(&self, part: &str, then: &str) -> Command {
        let mut shell = Command::new("sh");
        let joins = format!("echo $$ > \"$0\" && {then}");
        shell.args(["-c", &joins]).arg(self.at.join(part).join("cgroup.procs"));
        shell
    }

    /// Writes to a file and syncs until that fails.
    pub(crate) fn writer(&self, file: &Path) -> Child {
        let dd = "dd if=/dev/zero \"$1\" bs=1M count=18 conv=notrunc,fsync 2>/dev/null";
        let mut shell = self.shell("writer", &format!("while {dd}; do :; done; exit {FAILED}"));
        shell.arg(format!("of={}", file.display())).stdin(Stdio::null()).spawn().unwrap()
    }

    fn number(&self, (v1, v2): (&str, &str)) -> u64 {
        let file = self.at.join(if self.v1 { v1 } else { v2 });
        let text = fs::read_to_string(&file).unwrap();
        // of several lines, `max 17`: how often the limit was met
        let line = text.lines().find(|line| line.starts_with("max ")).unwrap_or(&text);
        line.trim_start_matches("max ").trim().parse().unwrap()
    }

    /// How often somebody wanted more than all may have.
    fn wanted(&self) -> u64 {
        self.number(("memory.failcnt", "memory.events.local"))
    }

    /// How many of them the kernel has killed because nothing else gave way.
    fn killed(&self) -> u64 {
        let file = if self.v1 { "memory.oom_control" } else { "memory.events.local" };
        let parts = PARTS.iter().chain(&[""]).map(|part| self.at.join(part).join(file));
        let counts = parts.filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        });
        counts.sum()
    }

    /// Whether they are short of memory, and all of them live: how much a server needs at most differs
    /// from time to time, and where it is the kernel who ends it, the next one is left a little more.
    pub(crate) fn is_short_of_memory(&self, who: &str, moment: Duration) -> bool {
        let before = self.killed();
        self.press();
        thread::sleep(moment);
        let killed = self.killed() - before;
        if killed > 0 {
            let spared = self.spared.get() + SPARE;
            assert!(spared <= TRIES * SPARE, "{who}: the kernel kills them with all of that");
            self.spared.set(spared);
            say(&format!("{who}: the kernel killed {killed} of them, {spared} bytes are spared"));
        }
        killed == 0
    }

    /// Takes so much that the server and the writer have less than they need, and waits until that shows.
    fn press(&self) {
        thread::sleep(FILLED);
        let peak = ("server/memory.max_usage_in_bytes", "server/memory.peak");
        let taken = ALL + SHORT - self.number(peak) - WRITER - BESIDE - self.spared.get();
        let before = self.wanted();
        let mut hog = self.shell("hog", "exec fallocate -l \"$1\" \"$2\"");
        let file = format!("/proc/{}/fd/{}", std::process::id(), self.hog.as_raw_fd());
        let status = hog.arg(taken.to_string()).arg(file).status().unwrap();
        assert!(status.success() || self.killed() > 0, "fallocate: {status}");
        await_so("there is room for all", || self.wanted() > before);
    }

    /// Gives all of that back.
    pub(crate) fn relax(&self) {
        rustix::fs::ftruncate(&self.hog, 0).unwrap();
    }

    /// Pid and state of all who are in there.
    pub(crate) fn members(&self) -> Vec<String> {
        let lists = PARTS.map(|part| self.at.join(part).join("cgroup.procs"));
        let pids = lists.map(|list| fs::read_to_string(list).unwrap_or_default()).concat();
        let state = |pid: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("State:"));
            format!("{pid} {}", line.unwrap_or("is gone"))
        };
        pids.lines().map(state).collect()
    }
}

impl Drop for Tight {
    fn drop(&mut self) {
        let _ = rustix::fs::ftruncate(&self.hog, 0);
        let end = Instant::now() + BOUND;
        for part in PARTS.iter().chain(&[""]) {
            // one that has just ended may still be counted
            while fs::remove_dir(self.at.join(part)).is_err_and(|error| is_busy(&error))
                && Instant::now() < end
            {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn is_busy(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// Waits until the writer has ended because it could not write.
pub(crate) fn await_end(writer: &mut Child, tight: &Tight, who: &str) {
    let began = Instant::now();
    loop {
        if let Some(status) = writer.try_wait().unwrap() {
            let is_killed = tight.killed() > 0 && status.signal() == Some(libc::SIGKILL);
            assert!(status.code() == Some(FAILED) || is_killed, "{who}: {status}");
            return;
        }
        assert!(began.elapsed() < BOUND, "{who}: the writer hangs: {:?}", tight.members());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until something is so.
pub(crate) fn await_so(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn attached(mark: &str) -> Vec<loop_device::Attached> {
    loop_device::find_marked(Path::new("/dev"), mark).unwrap()
}

/// Who has nothing to do with it can write, and be sure of it.
pub(crate) fn the_host_is_fine() {
    let began = Instant::now();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[7; 4096]).and_then(|()| file.sync_all()).unwrap();
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

/// What was struck at this moment is gone in time.
pub(crate) fn assert_soon(struck: (Instant, Option<Waited>), who: &str) {
    let (took, excused) = (struck.0.elapsed(), excuse(struck.1, BOUND));
    say(&format!("{who}: all of it gone after {took:?}"));
    assert!(
        took < TORN_DOWN + excused,
        "{who}: {took:?}, of which the machine was busy {excused:?}"
    );
}

/// Whether it was this that ended them.
fn strike(tight: &Tight, how: Signal, cycle: u64) -> bool {
    let who = format!("{how:?} {cycle}");
    let mut program = tight.shell("server", "exec \"$@\"");
    program.arg(env!("CARGO_BIN_EXE_keelhaul"));
    let disk = Disk::begin_as(program, Disk::empty);
    let [device] = &attached(&disk.mark)[..] else { panic!("{who}: no device") };
    let connection = fuse::Grip::of(rustix::fs::minor(device.backing.device)).unwrap();
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let file = format!("/proc/{}/fd/{}/file", std::process::id(), mount.as_raw_fd());
    let mut writer = tight.writer(Path::new(&file));
    await_so("nothing is written", || connection.waiting().unwrap() > 0);
    // another point of its way each time
    let moment = Duration::from_millis(20 + cycle * 37 % 400);
    let is_short = tight.is_short_of_memory(&who, moment);
    let server = Pid::from_raw(i32::try_from(disk.pid()).unwrap()).unwrap();
    if is_short {
        assert!(writer.try_wait().unwrap().is_none(), "{who}: it writes: {:?}", tight.members());
        kill_process(server, how).unwrap();
    }
    if is_short && how == Signal::STOP {
        thread::sleep(HUNG);
        assert!(writer.try_wait().unwrap().is_none(), "{who}: nobody has told it anything");
    }
    let struck = (Instant::now(), Waited::now());
    connection.abort().unwrap();
    await_end(&mut writer, tight, &who);
    drop(mount);
    let mark = disk.mark.clone();
    drop(disk);
    await_so("the device stays", || attached(&mark).is_empty());
    await_so("somebody is left", || tight.members().is_empty());
    assert!(connection.waiting().is_err(), "{who}: who holds on to it sees that it is gone");
    assert_soon(struck, &who);
    tight.relax();
    the_host_is_fine();
    is_short
}

#[test]
fn who_writes_with_hardly_any_memory_ends_when_the_server_is_killed_or_stopped() {
    if !can_be_tried() {
        return;
    }
    let Some(tight) = Tight::make("alone") else { return };
    let cycles = if soak() { 100 } else { 4 };
    for cycle in 0..cycles {
        let how = if cycle % 2 == 0 { Signal::KILL } else { Signal::STOP };
        while !strike(&tight, how, cycle) {}
    }
}
