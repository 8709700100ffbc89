//! The process of one interposer, be it a filesystem or a disk. It ends with its connection, or with
//! the keeper: what it holds (the mount beneath, the connection) ends with it.

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
    control::{self, Controlled},
    disk,
    session::{Session, Setup},
};
use crate::host::{
    errno::Errno,
    error::{HostError, HostResult},
    namespace::in_mount_ns,
    process::Identity,
    steady,
};

/// What it says when it can be used; a disk says where, too.
pub const READY: &str = "ready";

/// What the process is told on its first line of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// What to serve.
    pub serve: Serve,
    /// Where it listens to others.
    pub socket: PathBuf,
    /// With whom it ends; none for nobody.
    pub ends_with: Option<Identity>,
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Serve {
    /// A filesystem over another one.
    Files {
        /// The interposer.
        setup: Box<Setup>,
        /// Where it is mounted.
        at: PathBuf,
        /// In whose mount namespace; none for its own.
        within: Option<Identity>,
    },
    /// A disk.
    Disk {
        /// What it is made of.
        setup: disk::Setup,
    },
}

/// What goes on until its connection ends.
enum Served {
    Files(Session),
    Disk(disk::Session),
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
        Ok(Served::Files(_)) => writeln!(out, "{READY}"),
        Ok(Served::Disk(disk)) => writeln!(out, "{READY} {}", disk.device()),
        Err(error) => writeln!(out, "{error}"),
    };
    match started {
        Ok(served) if said.is_ok() => wait(served, &orders.socket),
        _ => ExitCode::FAILURE,
    }
}

fn wait(served: Served, socket: &Path) -> ExitCode {
    let ended = match served {
        Served::Files(session) => {
            let rules = session.rules();
            let ended = session.wait();
            // whoever used it is gone, and may have been struck: that is worth a try
            rules.left().leave(socket);
            ended
        }
        Served::Disk(disk) => disk.wait(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "the interposer ended: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(orders: &Orders) -> HostResult<Served> {
    // what is made is to have the mode that the caller asked for; the kernel has masked it
    umask(rustix::fs::Mode::empty());
    many_files();
    // whatever is refused makes a host short of memory more dangerous, and is no reason not to serve;
    // `doctor` says which is
    let _ = steady::lock_program();
    let _ = steady::flush();
    if let Some(keeper) = orders.ends_with {
        end_with(keeper)?;
    }
    match &orders.serve {
        Serve::Files { setup, at, within } => {
            let session = Session::start(setup)?;
            listen(&orders.socket, session.rules())?;
            match *within {
                Some(target) => in_mount_ns(target, || session.attach(at))??,
                None => session.attach(at)?,
            }
            Ok(Served::Files(session))
        }
        Serve::Disk { setup } => {
            let disk = disk::Session::start(setup)?;
            listen(&orders.socket, disk.power())?;
            Ok(Served::Disk(disk))
        }
    }
}

/// Listens to others from now on.
fn listen(socket: &Path, who: impl Controlled + Send + Sync + 'static) -> HostResult<()> {
    let failed = |error: std::io::Error| HostError::sys("bind", socket, Errno::of_io(&error));
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let control = std::thread::Builder::new().name("control".into());
    control.spawn(move || control::serve(&listener, &who)).map(drop).map_err(failed)
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
