//! The process of one interposer. It ends with its connection, or with the keeper: what it holds
//! (the mount beneath, the connection) ends with it.

use std::{
    io::{BufRead as _, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{PidfdFlags, Resource, Rlimit, getrlimit, setrlimit, umask},
};
use serde::{Deserialize, Serialize};

use super::{
    control,
    session::{Rules, Session, Setup},
};
use crate::host::{
    errno::Errno,
    error::{HostError, HostResult},
    namespace::in_mount_ns,
    process::Identity,
};

/// What it says when it can be used.
pub const READY: &str = "ready";

/// What the process is told on its first line of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The interposer.
    pub setup: Setup,
    /// Where it is mounted.
    pub at: PathBuf,
    /// In whose mount namespace; none for its own.
    pub within: Option<Identity>,
    /// Where it listens for rules.
    pub socket: PathBuf,
    /// With whom it ends; none for nobody.
    pub ends_with: Option<Identity>,
}

/// Runs it. Its arguments are there for those who look for the process.
pub fn main(_: impl Iterator<Item = String>) -> ExitCode {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let orders = read.ok().and_then(|_| serde_json::from_str::<Orders>(&line).ok());
    let Some(orders) = orders else { return ExitCode::from(2) };
    let started = start(&orders);
    let mut out = std::io::stdout();
    let said = match &started {
        Ok(_) => writeln!(out, "{READY}"),
        Err(error) => writeln!(out, "{error}"),
    };
    match started {
        Ok(session) if said.is_ok() => {
            let rules = session.rules();
            let ended = session.wait();
            leave_facts(&orders.socket, &rules);
            match ended {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let _ = writeln!(std::io::stderr(), "the interposer ended: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => ExitCode::FAILURE,
    }
}

/// Where an interposer leaves what its rules have done, for those who ask when it has ended.
#[must_use]
pub fn facts_file(socket: &Path) -> PathBuf {
    socket.with_extension("facts")
}

/// Whoever used it is gone, and may have been struck: that is worth a try.
fn leave_facts(socket: &Path, rules: &Rules) {
    if let Ok(text) = serde_json::to_string(&rules.all_facts()) {
        let _ = std::fs::write(facts_file(socket), text);
    }
}

fn start(orders: &Orders) -> HostResult<Session> {
    // what is made is to have the mode that the caller asked for; the kernel has masked it
    umask(rustix::fs::Mode::empty());
    many_files();
    if let Some(keeper) = orders.ends_with {
        end_with(keeper)?;
    }
    let session = Session::start(&orders.setup)?;
    let failed =
        |error: std::io::Error| HostError::sys("bind", &orders.socket, Errno::of_io(&error));
    let _ = std::fs::remove_file(&orders.socket);
    let listener = UnixListener::bind(&orders.socket).map_err(failed)?;
    let rules = session.rules();
    let control = std::thread::Builder::new().name("control".into());
    control.spawn(move || control::serve(&listener, &rules)).map_err(failed)?;
    match orders.within {
        Some(target) => in_mount_ns(target, || session.attach(&orders.at))??,
        None => session.attach(&orders.at)?,
    }
    Ok(session)
}

/// As many descriptors as we may have.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Ends this process when another does.
fn end_with(keeper: Identity) -> HostResult<()> {
    let gone = || HostError::Gone { pid: keeper.pid };
    let pid = i32::try_from(keeper.pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(gone)?;
    let watched = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    keeper.check()?;
    let watch = std::thread::Builder::new().name("keeper".into());
    let watching = watch.spawn(move || {
        // a signal may come in between
        while poll(&mut [PollFd::new(&watched, PollFlags::IN)], None).is_err() {}
        std::process::exit(0)
    });
    watching.map(drop).map_err(|error| HostError::sys("clone", "thread", Errno::of_io(&error)))
}
