//! What keeps a process that serves a disk out of the kernel's hunt for memory is tried; where it is
//! refused, the disk is served all the same.

use std::{fs, process::Command};

use keelhaul::{
    host::steady,
    interpose::control::{Answer, Ask},
};

use super::{mounted::can_be_tried, own_disk::Disk};

/// KiB of a process that stay in memory.
fn locked(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_program_of_a_disk_is_locked_where_that_may_be_done() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    let may_be = steady::can_lock_program();
    assert_eq!(locked(disk.pid()) > 0, may_be.is_ok(), "{may_be:?}");
    assert!(locked(disk.pid()) < 1 << 20, "not what the disk holds, too");
}

#[test]
fn a_disk_is_served_where_nothing_of_it_may_be_done() {
    if !can_be_tried() {
        return;
    }
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set=-ipc_lock,-sys_resource", "--", "prlimit", "--memlock=0", "--"]);
    without.arg(env!("CARGO_BIN_EXE_keelhaul"));
    let disk = Disk::begin_as(without, Disk::empty);
    assert_eq!(locked(disk.pid()), 0);
    assert!(matches!(disk.ask(&Ask::Ping), Answer::AtWork { .. }));
}
