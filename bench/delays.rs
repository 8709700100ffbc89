//! How well an injected latency is kept: what callers wait, against what was asked for, alone and many
//! at a time on the few threads of one interposer.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Instant,
};

use keelhaul::{
    interpose::Beneath,
    protocol::{Delay, IoAction, IoOp},
};

use crate::{
    Bench,
    injection::millis,
    interposed::{self, Interposed, rule},
    record::{Measurement, Side},
    samples::Samples,
    say,
};

/// Milliseconds that are asked for, callers at a time, and reads of each.
const ASKED: [(u32, usize, usize); 4] = [(1, 1, 1000), (1, 64, 60), (10, 1, 200), (10, 64, 30)];
const GOAL: &str = "p50 ≤ 1.15, p99 ≤ 1.25";

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    if let Some(missing) = interposed::missing() {
        say(&format!("  delays are left out: {missing}"));
        return Ok(Vec::new());
    }
    let directory = bench.scratch.join("delays");
    let beneath = directory.join("beneath");
    fs::create_dir_all(&beneath)?;
    fs::write(beneath.join("file"), "x")?;
    let late = |us| vec![rule(&[IoOp::Read], IoAction::Delay(Delay::of(us)))];
    let interposed = Interposed::over(&directory, "at", Beneath::Directory(beneath), late(1000))?;
    let mut rows = Vec::new();
    for (asked, callers, reads) in ASKED {
        interposed.arm(late(u64::from(asked) * 1000))?;
        let took = waits(&interposed.at.join("file"), callers, reads)?;
        let subject = Side::of(format!("what each of {callers} callers waits"), &took);
        let name = format!("latency-{asked}ms-{callers}");
        let asked = Side::fixed("asked for", f64::from(asked));
        let n = callers * reads;
        rows.push(Measurement::new(&name, "ms", asked, subject, n).goal(GOAL));
    }
    Ok(rows)
}

/// Milliseconds that reads took.
fn waits(path: &Path, callers: usize, reads: usize) -> anyhow::Result<Samples> {
    let caller = || -> std::io::Result<Vec<f64>> {
        let file = File::open(path)?;
        let mut took = Vec::with_capacity(reads);
        for _ in 0..reads {
            let started = Instant::now();
            file.read_at(&mut [0], 0)?;
            took.push(millis(started));
        }
        Ok(took)
    };
    let mut samples = Samples::default();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        for caller in callers {
            let took = caller.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??;
            took.into_iter().for_each(|one| samples.push(one));
        }
        anyhow::Ok(())
    })?;
    Ok(samples)
}
