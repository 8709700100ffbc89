//! Random operations on a file through an interposer, and on one beneath: they must never differ.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
};

use keelhaul::protocol::{IoAction, IoOp};
use rustix::fs::{FallocateFlags, copy_file_range, fallocate};

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

/// Numbers that look random; the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const LARGEST: u64 = 300_000;

fn open(dir: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("file"))
        .unwrap()
}

/// One operation; what a reader sees of it.
fn step(file: &File, (kind, at, length, byte): (u64, u64, u64, u8)) -> Vec<u8> {
    let size = usize::try_from(length).unwrap();
    match kind {
        0..=3 => file.write_all_at(&vec![byte; size], at).unwrap(),
        4 => file.set_len(at).unwrap(),
        5 => fallocate(file, FallocateFlags::empty(), at, length + 1).unwrap(),
        6 => {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(file, hole, at, length + 1).unwrap();
        }
        7 => {
            let (mut from, mut to) = (0, at + LARGEST);
            copy_file_range(file, Some(&mut from), file, Some(&mut to), size).unwrap();
        }
        8 => file.sync_all().unwrap(),
        _ => {
            let mut seen = vec![0; size];
            let count = file.read_at(&mut seen, at).unwrap();
            seen.truncate(count);
            return seen;
        }
    }
    file.metadata().unwrap().len().to_le_bytes().to_vec()
}

fn compare(plain: &Path, through: &Path, seed: u64, steps: u64) {
    let mut random = Random(seed);
    let (mut one, mut other) = (open(plain), open(through));
    for number in 0..steps {
        let byte = u8::try_from(1 + number % 200).unwrap();
        let op = (random.below(12), random.below(LARGEST), random.below(40_000), byte);
        assert_eq!(step(&one, op), step(&other, op), "seed {seed}, step {number}: {op:?}");
        if random.below(100) == 0 {
            // another descriptor: another decision who reads and writes
            (one, other) = (open(plain), open(through));
        }
    }
    let whole = |dir: &Path| std::fs::read(dir.join("file")).unwrap();
    assert!(whole(plain) == whole(through), "seed {seed}: the files differ in the end");
}

#[test]
fn random_operations_never_differ_from_those_beneath() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    // left to the kernel, and served by us because a rule may come
    for (name, expected) in
        [("kernel", vec![]), ("served", vec![rule(&[IoOp::Write], IoAction::Error { errno: 5 })])]
    {
        let mounted = Mounted::over(&ext4.directory(name), expected);
        for seed in 1..4 {
            let plain = ext4.directory(&format!("plain-{name}-{seed}"));
            let through = mounted.at().join(seed.to_string());
            std::fs::create_dir(&through).unwrap();
            compare(&plain, &through, seed, 600);
        }
    }
}
