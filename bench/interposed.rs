//! Interposers for measurements: mounted in this namespace, or inserted in another, until dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use keelhaul::{
    host::process::Identity,
    interpose::{
        Beneath, Setup,
        control::{self, Answer, Ask},
        serve::{Orders, READY, Serve},
    },
    protocol::{Caller, Durability, IoAction, IoOp, IoRule, Trigger},
};

use crate::scenario::KEELHAUL;

/// Sources of our mounts.
const MARK: &str = "keelhaul-bench";
const PATIENCE: Duration = Duration::from_secs(10);

/// Why interposers cannot be measured here.
pub(crate) fn missing() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists())
        .then_some("it needs root and `/dev/fuse`")
}

/// A rule about every file.
pub(crate) fn rule(ops: &[IoOp], action: IoAction) -> IoRule {
    IoRule {
        paths: vec!["**".into()],
        ops: ops.to_vec(),
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when: Trigger::default(),
        action,
    }
}

/// A rule that is about all that is done to any file, looks at each of these and counts it, and never
/// strikes.
pub(crate) fn never_strikes() -> Vec<IoRule> {
    let when = Trigger { nth: Some(u64::MAX), ..Trigger::default() };
    vec![IoRule { when, ..rule(&IoOp::ALL, IoAction::Error { errno: libc::EIO }) }]
}

/// An interposer that serves.
pub(crate) struct Interposed {
    pub(crate) at: PathBuf,
    pub(crate) child: Child,
    socket: PathBuf,
    mounted: bool,
}

impl Interposed {
    /// Mounts one in `directory`, by this name.
    pub(crate) fn over(
        directory: &Path,
        name: &str,
        beneath: Beneath,
        expected: Vec<IoRule>,
    ) -> anyhow::Result<Self> {
        let at = directory.join(name);
        fs::create_dir_all(&at)?;
        let socket = directory.join(format!("{name}.sock"));
        Self::serve(setup(beneath, expected), (at, None), socket)
    }

    /// Inserts one over a directory of another process.
    pub(crate) fn within(
        target: Identity,
        beneath: Beneath,
        at: &Path,
        socket: PathBuf,
    ) -> anyhow::Result<Self> {
        Self::serve(setup(beneath, Vec::new()), (at.to_owned(), Some(target)), socket)
    }

    fn serve(
        setup: Setup,
        (at, within): (PathBuf, Option<Identity>),
        socket: PathBuf,
    ) -> anyhow::Result<Self> {
        let serve = Serve::Files { setup: Box::new(setup), at: at.clone(), within };
        let orders = Orders { serve, socket: socket.clone(), ends_with: None };
        let mut command = Command::new(KEELHAUL);
        command.args(["helper-interposer", MARK]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = serde_json::to_string(&orders)?;
        writeln!(child.stdin.take().context("no way to tell it")?, "{orders}")?;
        let said = child.stdout.take().context("it cannot be heard")?;
        let served = Self { at, child, socket, mounted: within.is_none() };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        anyhow::ensure!(line.trim() == READY, "the interposer does not serve: {line}");
        Ok(served)
    }

    /// Puts rules in force.
    pub(crate) fn arm(&self, rules: Vec<IoRule>) -> anyhow::Result<()> {
        let arm = Ask::Arm { set: "set".into(), seed: 7, rules, again: None };
        let answer = control::ask(&self.socket, &arm, PATIENCE)?;
        anyhow::ensure!(answer == Answer::Done, "its rules are not in force: {answer:?}");
        Ok(())
    }

    /// How many operations came to its rules, and how many were struck.
    pub(crate) fn came_and_struck(&self) -> anyhow::Result<(u64, u64)> {
        match control::ask(&self.socket, &Ask::Facts { set: "set".into() }, PATIENCE)? {
            Answer::Facts(Some(facts)) => Ok((facts.matched, facts.hit)),
            other => anyhow::bail!("it does not say what its rules did: {other:?}"),
        }
    }
}

fn setup(beneath: Beneath, expected: Vec<IoRule>) -> Setup {
    Setup {
        beneath,
        device: "/dev/fuse".into(),
        source: MARK.into(),
        mark: ".keelhaul-bench".into(),
        options: Vec::new(),
        expected,
        durability: Durability::default(),
        trace: None,
    }
}

impl Drop for Interposed {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
