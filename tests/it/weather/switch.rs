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

/// Faults that change what a path leads to, and all that a client may see of each. Of those that fill
/// a volume a client that frees what it takes may see nothing at all.
const DECLARED: [(&str, i32); 3] =
    [("lost-mount", libc::ENOENT), ("read-only", libc::EROFS), ("shadow-mount", libc::ENOENT)];

const AT_WORK: &str = "steps:
  - expect: [{ file: { service: agent, path: /data/there, exists: true } }]
    within: 20s
";

/// Writes and reads on a subject's volume, as fast as it can.
struct Hammer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<i32>>,
}

impl Hammer {
    /// `dir` leads through the subject's own mounts.
    fn start(dir: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            write(&dir.join("new")).unwrap();
            File::create(dir.join("there")).unwrap();
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
    // one from before the switch may be there, which could not be removed after it
    let written = File::create(path).and_then(|mut file| file.write_all(&[b'x'; 4096]));
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
        // injected once the client is at work; the subject stays until it has ended
        let yaml = fixture.scenario("300ms").replace("steps:\n", AT_WORK) + "  - wait: 50s\n";
        let yaml = yaml.replace("timeout: 60s", "timeout: 2m");
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
