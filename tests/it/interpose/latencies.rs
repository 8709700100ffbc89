//! What is delayed waits as long as its rule says: how it lies, and how it grows.
//!
//! Callers see what the machine adds to it as well, so each figure has room above, and hardly any
//! below.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use keelhaul::protocol::{Delay, Distribution, IoAction, IoOp, IoRule};

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

/// What every operation waits at least, in microseconds, and what is added at most.
const LEAST: u64 = 2_000;
const MORE: u64 = 60_000;
/// Files that are read at the same time, each so often.
const FILES: usize = 16;
const READS: usize = 25;

fn reads(delay: Delay) -> Vec<IoRule> {
    vec![rule(&[IoOp::Read], IoAction::Delay(delay))]
}

fn took(file: &File) -> Duration {
    let started = Instant::now();
    file.read_at(&mut [0], 0).unwrap();
    started.elapsed()
}

/// How long reads took, in microseconds beyond the least, sorted.
fn added(beneath: &Path, distribution: Distribution) -> Vec<u64> {
    let rules = reads(Delay { us: LEAST, jitter_us: MORE, distribution, ramp_us: 0 });
    let mounted = Mounted::over(beneath, rules.clone());
    mounted.arm(rules);
    let reads = |file: File| (0..READS).map(|_| took(&file)).collect::<Vec<_>>();
    let open = |n: usize| File::create_new(mounted.at().join(n.to_string()));
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let read = |n| {
            drop(open(n).unwrap());
            let file = File::open(mounted.at().join(n.to_string())).unwrap();
            scope.spawn(move || reads(file))
        };
        let readers: Vec<_> = (0..FILES).map(read).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).map(micros).collect()
    });
    assert!(all.iter().all(|us| *us >= LEAST), "{all:?}");
    all.sort_unstable();
    all.into_iter().map(|us| us - LEAST).collect()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

/// Such a share of all, in parts of what is added at most.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100] as f64 / MORE as f64
}

#[test]
fn callers_wait_as_their_distribution_says() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let found = [Distribution::Uniform, Distribution::Normal, Distribution::Pareto]
        .map(|distribution| added(&ext4.directory(distribution.name()), distribution));
    // what it should be, and up to so much more, where a busy machine is late
    let expected = [
        [(10, 0.10), (50, 0.50), (90, 0.90)],
        [(10, 0.28), (50, 0.50), (90, 0.72)],
        [(10, 0.00), (50, 0.01), (90, 0.08)],
    ];
    for (found, expected) in found.iter().zip(expected) {
        for (percent, expected) in expected {
            let got = percentile(found, percent);
            let room = expected - 0.08..expected + 0.20;
            assert!(room.contains(&got), "{percent} %: {got}, and not {expected}: {found:?}");
        }
    }
}

#[test]
fn a_latency_grows_over_its_ramp_and_then_stays() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let rules = reads(Delay { us: 200_000, ramp_us: 3_000_000, ..Delay::default() });
    let mounted = Mounted::over(&ext4.directory("d"), rules.clone());
    drop(File::create_new(mounted.at().join("file")).unwrap());
    let file = File::open(mounted.at().join("file")).unwrap();
    mounted.arm(rules);
    let early = took(&file);
    assert!(early < Duration::from_millis(150), "{early:?}");
    // the server began to count before this does
    let began = Instant::now();
    let mut last = early;
    while began.elapsed() < Duration::from_millis(2500) {
        let least = began.elapsed().as_millis() * 200 / 3000;
        last = took(&file);
        assert!(last.as_millis() >= least, "{last:?}, and not {least} ms or more");
    }
    assert!(last < Duration::from_millis(400), "{last:?}");
    std::thread::sleep(Duration::from_millis(600));
    let whole = took(&file);
    assert!(whole >= Duration::from_millis(200), "{whole:?}");
}
