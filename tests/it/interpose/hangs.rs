//! What hangs comes back when it may, and whoever is killed meanwhile ends.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use keelhaul::{
    host::io_trial::Tries,
    protocol::{IoAction, IoOp},
};
use rustix::process::{Pid, Signal, kill_process};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

/// Nothing may take longer than this to come back.
const PATIENCE: Duration = Duration::from_secs(20);
const HOUR_US: u64 = 3_600_000_000;

fn stall(us: u64, errno: Option<i32>) -> IoAction {
    IoAction::Stall { us, errno }
}

fn await_matched(mounted: &Mounted, count: u64) {
    let started = Instant::now();
    while mounted.facts().matched < count {
        assert!(started.elapsed() < PATIENCE, "{:?}", mounted.facts());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a file, and says how that went.
fn reading(path: &Path) -> mpsc::Receiver<Result<String, Option<i32>>> {
    let (answer, answered) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        let read = fs::read_to_string(path);
        let _ = answer.send(read.map_err(|error| error.raw_os_error()));
    });
    answered
}

#[test]
fn what_hangs_comes_back_when_disarmed_or_when_its_time_is_up() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "x").unwrap();
    let mounted = Mounted::over(&beneath, vec![rule(&IoOp::ALL, stall(1, None))]);
    let file = mounted.at().join("file");
    for (errno, wanted) in [(None, Ok("x".into())), (Some(libc::ESTALE), Err(Some(libc::ESTALE)))] {
        mounted.arm(vec![rule(&[IoOp::Read], stall(HOUR_US, errno))]);
        let read = reading(&file);
        await_matched(&mounted, 1);
        assert!(read.recv_timeout(Duration::from_millis(300)).is_err(), "it does not hang");
        mounted.disarm();
        assert_eq!(read.recv_timeout(PATIENCE).unwrap(), wanted);
        let started = Instant::now();
        mounted.arm(vec![rule(&[IoOp::Read], stall(300_000, errno))]);
        assert_eq!(reading(&file).recv_timeout(PATIENCE).unwrap(), wanted);
        assert!(started.elapsed() >= Duration::from_millis(300));
        mounted.disarm();
    }
}

#[test]
fn a_trial_of_every_operation_sees_that_it_hangs() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let all = vec![rule(&IoOp::ALL, stall(HOUR_US, None))];
    let mounted = Mounted::over(&beneath, all.clone());
    let tries = Tries { dir: mounted.at(), mark: MARK.into(), most: 1, slow_us: u64::MAX };
    mounted.arm(all);
    let tried = tries.within(&IoOp::ALL, Duration::from_millis(300));
    assert!(tried.iter().all(|one| one.hung && one.hit), "{tried:?}");
    mounted.disarm();
    let tried = tries.within(&IoOp::ALL, PATIENCE);
    assert!(tried.iter().all(|one| !one.hung && !one.hit), "{tried:?}");
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn await_end(child: &mut Child) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "a killed process hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn whoever_hangs_can_be_killed() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "x").unwrap();
    let ops = [IoOp::Read, IoOp::Fsync];
    let mounted = Mounted::over(&beneath, vec![rule(&ops, stall(1, None))]);
    let file = mounted.at().join("file");
    for how in [Signal::KILL, Signal::TERM] {
        mounted.arm(vec![rule(&ops, stall(HOUR_US, None))]);
        // those that sync one file wait for each other's lock, where nothing but the end of the
        // first lets the next one go
        let sync = || {
            let mut dd = Command::new("dd");
            let of = format!("of={}", file.display());
            dd.args(["if=/dev/zero", "count=1", "bs=1", "conv=fsync,notrunc", &of]);
            dd.stderr(Stdio::null()).spawn().unwrap()
        };
        let mut waiting: Vec<Child> = (0..8).map(|_| sync()).collect();
        await_matched(&mounted, 1);
        let mut cat = Command::new("cat").arg(&file).stdout(Stdio::null()).spawn().unwrap();
        await_matched(&mounted, 2);
        waiting.iter().chain([&cat]).for_each(|child| signal(child, how));
        waiting.iter_mut().for_each(await_end);
        await_end(&mut cat);
        mounted.disarm();
        drop(File::open(&file).unwrap().sync_all());
    }
}
