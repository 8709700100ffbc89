//! What POSIX and Linux promise of a filesystem: each case passes on a plain ext4 first, and then
//! through an interposer over one.

mod acls;
mod data;
mod links;
mod locks;
mod metadata;
mod names;
mod ranges;
mod rights;
mod scripts;
mod times;
mod uring;

use std::{
    fs::File,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use keelhaul::protocol::{IoAction, IoOp};
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate};

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

pub(super) use uring::on_ring;

/// A name, and what is done in an empty directory of its own.
type Case = (&'static str, fn(&Path));

fn all() -> Vec<Case> {
    [
        acls::CASES,
        data::CASES,
        links::CASES,
        locks::CASES,
        metadata::CASES,
        names::CASES,
        ranges::CASES,
        rights::CASES,
        scripts::CASES,
        times::CASES,
        uring::CASES,
    ]
    .concat()
}

/// The number of an expected error.
fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    }
}

/// A file with this content.
fn file(dir: &Path, name: &str, content: &str) -> File {
    let mut options = File::options();
    let opened = options.read(true).write(true).create(true).truncate(true).open(dir.join(name));
    let mut file = opened.unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

/// Runs something as another user, on a thread of its own.
fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // of this thread alone, which ends here
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(uid)).unwrap();
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(uid)).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// Names of the cases that fail below a directory.
fn failures(dir: &Path) -> Vec<&'static str> {
    let failed = |(name, case): &Case| {
        let own = dir.join(name.replace(' ', "-"));
        std::fs::create_dir(&own).unwrap();
        catch_unwind(AssertUnwindSafe(|| case(&own))).is_err()
    };
    all().into_iter().filter(failed).map(|(name, _)| name).collect()
}

#[test]
fn an_interposed_volume_is_as_good_as_the_one_beneath() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    assert_eq!(failures(&ext4.directory("plain")), Vec::<&str>::new(), "not even on ext4");
    for (name, expected) in
        [("kernel", vec![]), ("served", vec![rule(&IoOp::ALL, IoAction::Error { errno: 5 })])]
    {
        let mounted = Mounted::over(&ext4.directory(name), expected);
        assert_eq!(failures(&mounted.at()), Vec::<&str>::new(), "{name}");
    }
    // there the kernel remembers names and attributes
    let alone = Mounted::alone(Vec::new());
    assert_eq!(failures(&alone.at()), Vec::<&str>::new(), "alone");
    assert!(all().len() >= 200, "only {} cases", all().len());
}

/// What ext4 can do and an interposed volume cannot: the kernel's FUSE refuses it before anybody is
/// asked, or the library has no such request. Refused and not half done.
#[test]
fn what_fuse_cannot_do_is_refused() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), Vec::new());
    let dir = mounted.at();
    let whole = file(&dir, "f", &"x".repeat(8192));
    for flags in [FallocateFlags::COLLAPSE_RANGE, FallocateFlags::INSERT_RANGE] {
        let refused = fallocate(&whole, flags, 0, 4096);
        assert_eq!(refused, Err(rustix::io::Errno::OPNOTSUPP));
    }
    let nameless = OFlags::TMPFILE | OFlags::RDWR;
    let refused = rustix::fs::open(&dir, nameless, Mode::RUSR).map(drop);
    assert_eq!(refused, Err(rustix::io::Errno::OPNOTSUPP));
    assert_eq!(std::fs::read_to_string(dir.join("f")).unwrap(), "x".repeat(8192));
}
