//! The moments of injection and revert: whoever works on the storage just then sees the fault's own
//! errno, and no other.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rustix::process::Signal;

use super::harness::Test;
use super::{
    fixtures::Fixture,
    host::{assert_clean, init_of},
};

/// Faults, and all that a client may see of them.
const DECLARED: [(&str, i32); 4] = [
    ("disk-full-ext4", libc::ENOSPC),
    ("inode-exhaustion-tmpfs", libc::ENOSPC),
    ("read-only", libc::EROFS),
    // it hides what was there
    ("shadow-mount", libc::ENOENT),
];

/// More than is left free on a full filesystem, and less than is free before.
const CHUNK: usize = 1 << 20;

/// Writes and reads on a subject's volume, as fast as it can.
struct Hammer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<i32>>,
}

impl Hammer {
    /// `dir` leads through the subject's own mounts.
    fn start(dir: PathBuf) -> Self {
        File::create(dir.join("there")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !until.load(Ordering::Acquire) {
                let done = [write(&dir.join("new")), File::open(dir.join("there")).map(drop)];
                // no errno at all would be a surprise too
                seen.extend(
                    done.into_iter().filter_map(Result::err).map(|e| e.raw_os_error().unwrap_or(0)),
                );
            }
            seen
        });
        Self { stop, thread }
    }

    fn end(self) -> BTreeSet<i32> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn write(path: &Path) -> io::Result<()> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(&vec![b'x'; CHUNK]));
    match (written, fs::remove_file(path)) {
        // it was not made
        (Err(error), Err(gone)) if gone.raw_os_error() == Some(libc::ENOENT) => Err(error),
        (written, removed) => written.and(removed),
    }
}

#[test]
fn a_hammering_client_sees_only_the_declared_errno_across_inject_and_revert() {
    for (fault, errno) in DECLARED {
        let fixture = Fixture::called(fault);
        // the subject stays until the client has ended
        let yaml = fixture.scenario("300ms") + "  - wait: 50s\n";
        let mut run = Test::of(&yaml).start();
        let init = init_of(&run.env(), &run.container());
        let hammer = Hammer::start(format!("/proc/{init}/root/data").into());
        run.until("injected");
        run.until("reverted");
        let seen = hammer.end();
        run.signal(Signal::INT);
        let ended = run.end();
        assert_eq!(ended.asserted("fault.effect"), "pass", "{fault}: {}", ended.told());
        assert_eq!(ended.asserted("fault.revert"), "pass", "{fault}: {}", ended.told());
        assert_eq!(seen, BTreeSet::from([errno]), "{fault}");
        assert_clean(&ended.id(), &ended.env, fault);
    }
}
