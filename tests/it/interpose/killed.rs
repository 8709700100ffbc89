//! The server is killed, or its connection aborted, while it is used: an error, and no hang.

use std::{fs::File, io::Write as _, sync::mpsc, time::Duration};

use keelhaul::{
    host::fuse,
    protocol::{Delay, IoAction, IoOp},
};
use std::os::unix::fs::MetadataExt as _;

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

/// Nothing may take longer than this to come back with an error.
const PATIENCE: Duration = Duration::from_secs(20);

/// A writer that waits in the interposer, and what it comes back with.
fn waiting_writer(mounted: &Mounted) -> mpsc::Receiver<Option<i32>> {
    let for_ever = IoAction::Delay(Delay::of(3_600_000_000));
    mounted.arm(vec![rule(&[IoOp::Write], for_ever)]);
    let mut file = File::create(mounted.at().join("file")).unwrap();
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = answer.send(file.write_all(b"x").err().and_then(|error| error.raw_os_error()));
    });
    while mounted.facts().matched == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    answered
}

#[test]
fn whoever_waits_gets_an_error_when_the_server_is_killed() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    for round in 0..5 {
        let mut mounted = Mounted::over(&ext4.directory(&format!("d{round}")), Vec::new());
        let answered = waiting_writer(&mounted);
        mounted.child.kill().unwrap();
        mounted.child.wait().unwrap();
        let errno = answered.recv_timeout(PATIENCE).expect("the writer hangs");
        assert!(errno.is_some(), "a write that nobody did was acknowledged");
        assert!(std::fs::read_dir(mounted.at()).is_err());
    }
}

#[test]
fn an_abort_frees_whoever_waits_for_a_server_that_is_stopped() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), Vec::new());
    let connection = rustix::fs::minor(std::fs::metadata(mounted.at()).unwrap().dev());
    let answered = waiting_writer(&mounted);
    let pid = rustix::process::Pid::from_raw(i32::try_from(mounted.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    fuse::abort(connection).unwrap();
    let errno = answered.recv_timeout(PATIENCE).expect("the writer hangs");
    assert!(errno.is_some());
    // twice changes nothing
    fuse::abort(connection).unwrap();
}
