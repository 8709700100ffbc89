//! Inserting an interposer under a process, with many files open there and with none: how long until
//! it is in place, and until what escapes it is counted.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use keelhaul::{
    host::{
        escapes::{Covered, escapes},
        mountinfo::MountTable,
        process::Identity,
    },
    interpose::Beneath,
};

use crate::{
    Bench,
    injection::millis,
    interposed::{self, Interposed},
    record::{Measurement, Side},
    samples::Samples,
    say,
};

const ROUNDS: usize = 9;
const OPEN: usize = 10_000;
const AT: &str = "/mnt/files";
const PATIENCE: Duration = Duration::from_secs(10);

/// A shell with mounts of its own.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// One that has so many files open below the directory.
    fn with_open(files: usize) -> anyhow::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "bash"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("no way to tell it")?;
        let output = BufReader::new(child.stdout.take().context("it cannot be heard")?);
        let mut shell = Self { child, input, output };
        shell.does("ulimit -n $(ulimit -Hn)")?;
        shell.does(&format!("mount -t tmpfs t /mnt; mkdir {AT}; mount -t tmpfs t {AT}"))?;
        let open = format!("exec {{fd}}>{AT}/$n || break");
        shell.does(&format!("for ((n = 0; n < {files}; n++)); do {open}; done"))?;
        Ok(shell)
    }

    /// Does it in the shell itself.
    fn does(&mut self, what: &str) -> anyhow::Result<()> {
        writeln!(self.input, "{what}\necho done")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == "done", "`{what}`: {line}");
        Ok(())
    }

    fn identity(&self) -> anyhow::Result<Identity> {
        Ok(Identity::of(self.child.id())?)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    if let Some(missing) = interposed::missing() {
        say(&format!("  insertion is left out: {missing}"));
        return Ok(Vec::new());
    }
    let directory = bench.scratch.join("insertion");
    fs::create_dir_all(&directory)?;
    let mut shells = [Shell::with_open(0)?, Shell::with_open(OPEN)?];
    let mut found: [[Samples; 2]; 2] = Default::default();
    for round in 0..=ROUNDS {
        let turns = shells.iter_mut().zip(&mut found).zip([0, OPEN]);
        for (at, ((shell, samples), open)) in turns.enumerate() {
            let socket = directory.join(format!("{at}-{round}.sock"));
            let took = once(shell, socket, open)?;
            // the first is for warmth
            let counted = samples.iter_mut().zip(took).filter(|_| round > 0);
            counted.for_each(|(samples, took)| samples.push(took));
        }
    }
    let [none, many] = found;
    let row = |name: &str, what: &str, at: usize| {
        let baseline = Side::of(format!("{what}, no file open"), &none[at]);
        let subject = Side::of(format!("{what}, {OPEN} files open"), &many[at]);
        Measurement::new(name, "ms", baseline, subject, ROUNDS)
    };
    let inserted = row("insertion", "an interposer started and in place", 0);
    let counted = row("insertion-escapes", "what escapes it counted", 1);
    Ok(vec![inserted.goal("≤ 1.15"), counted])
}

/// Milliseconds until it is in place, and then until what escapes it is counted.
fn once(shell: &mut Shell, socket: PathBuf, open: usize) -> anyhow::Result<[f64; 2]> {
    let (target, at) = (shell.identity()?, Path::new(AT));
    let mount = MountTable::of(target)?.covering(at).context("nothing is mounted there")?.id;
    let beneath = Beneath::Covered { target, at: at.to_owned(), mount };
    let started = Instant::now();
    let mut inserted = Interposed::within(target, beneath, at, socket)?;
    let placed = millis(started);
    let cover = MountTable::of(target)?.covering(at).context("nothing covers it")?.dev;
    let started = Instant::now();
    let found = escapes(&[target], &Covered { at: at.to_owned(), mount, cover });
    let counted = millis(started);
    anyhow::ensure!(found.files == open as u64, "{found:?}, and not {open} files");
    shell.does(&format!("umount -l {AT}"))?;
    let end = Instant::now() + PATIENCE;
    while inserted.child.try_wait()?.is_none() {
        anyhow::ensure!(Instant::now() < end, "nobody uses it, and it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok([placed, counted])
}
