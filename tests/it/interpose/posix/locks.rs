//! Locks: of a descriptor, of a process; and maps.

use std::{fs::File, path::Path, process::Command};

use rustix::fs::{FlockOperation, fcntl_lock, flock};

use super::{Case, file};

fn second(dir: &Path) -> File {
    File::options().read(true).write(true).open(dir.join("f")).unwrap()
}

/// Whether another process gets the lock.
fn other_process_locks(dir: &Path, how: &str) -> bool {
    let path = dir.join("f");
    let locked = Command::new("flock").args(["-n", how]).arg(&path).arg("true").status();
    locked.unwrap().success()
}

pub(super) const CASES: &[Case] = &[
    ("an exclusive lock keeps others out", |dir| {
        let (one, other) = (file(dir, "f", ""), second(dir));
        flock(&one, FlockOperation::LockExclusive).unwrap();
        let refused = flock(&other, FlockOperation::NonBlockingLockShared);
        assert_eq!(refused, Err(rustix::io::Errno::WOULDBLOCK));
        flock(&one, FlockOperation::Unlock).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
    }),
    ("shared locks go together", |dir| {
        let (one, other) = (file(dir, "f", ""), second(dir));
        flock(&one, FlockOperation::LockShared).unwrap();
        flock(&other, FlockOperation::NonBlockingLockShared).unwrap();
    }),
    ("a lock ends with its descriptor", |dir| {
        let (one, other) = (file(dir, "f", ""), second(dir));
        flock(&one, FlockOperation::LockExclusive).unwrap();
        drop(one);
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
    }),
    ("a lock keeps other processes out", |dir| {
        let one = file(dir, "f", "");
        flock(&one, FlockOperation::LockExclusive).unwrap();
        assert!(!other_process_locks(dir, "-x"));
        flock(&one, FlockOperation::Unlock).unwrap();
        assert!(other_process_locks(dir, "-x"));
    }),
    ("a waiter gets the lock", |dir| {
        let (one, other) = (file(dir, "f", ""), second(dir));
        flock(&one, FlockOperation::LockExclusive).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| flock(&other, FlockOperation::LockExclusive));
            flock(&one, FlockOperation::Unlock).unwrap();
            waiting.join().unwrap().unwrap();
        });
    }),
    ("a record lock is granted and released", |dir| {
        let one = file(dir, "f", "x");
        fcntl_lock(&one, FlockOperation::NonBlockingLockExclusive).unwrap();
        fcntl_lock(&one, FlockOperation::Unlock).unwrap();
    }),
    ("a program can be run from it", |dir| {
        std::fs::copy("/bin/true", dir.join("true")).unwrap();
        assert!(Command::new(dir.join("true")).status().unwrap().success());
    }),
    ("a tool maps and changes a file", |dir| {
        file(dir, "f", &"x".repeat(8192));
        let script = "import mmap,sys\nf=open(sys.argv[1],'r+b')\nm=mmap.mmap(f.fileno(),0)\n\
                      assert m[5000:5001]==b'x'\nm[5000:5002]=b'yz'\nm.flush()\nm.close()\n";
        let python = Command::new("python3").args(["-c", script]).arg(dir.join("f")).status();
        // a host without it proves less
        if let Ok(status) = python {
            assert!(status.success());
            assert_eq!(std::fs::read(dir.join("f")).unwrap()[4999..5003], *b"xyzx");
        }
    }),
];
