//! Starts the service and ends it: listener, signals, deadlines.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::args::SpecimenArgs;
use super::backup::{self, Job, JobError};
use super::console::Console;
use super::health::State;
use super::http;
use super::service::Service;
use super::session::SessionError;
use super::weakness::{Weakness, WeaknessChoice, table};

/// How long requests may take to finish once the service is asked to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the last snapshot may take.
const LAST_SNAPSHOT: Duration = Duration::from_secs(1);

/// Why the service ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum SpecimenError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {error}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Signals, threads or the server failed.
    #[error("the service failed: {0}")]
    Io(#[from] io::Error),
    /// State that must not be touched.
    #[error("{0}")]
    State(String),
    /// A log line could not be written, and a weakness makes that fatal.
    #[error("cannot write the log: {0}")]
    Log(io::Error),
    /// A job beside the service was not done.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A permission was refused, and a weakness makes that fatal.
    #[error("the storage refused a write: {0}")]
    Denied(String),
    /// `tmpfs-state` without a place for it.
    #[error(
        "weakness `tmpfs-state` needs `--runtime-state`\n\nhint: give it a tmpfs, as in `--runtime-state /run/specimen`"
    )]
    NoRuntimeState,
}

impl SpecimenError {
    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Job(error) => error.exit_code(),
            _ => 1,
        }
    }
}

/// Runs the service until SIGTERM or SIGINT, or prints the weaknesses and ends. Needs a tokio
/// runtime with I/O, time and more than one thread.
///
/// # Errors
/// When it cannot come up, or a weakness makes it give up. A clean stop is `Ok`.
pub async fn serve(args: SpecimenArgs) -> Result<(), SpecimenError> {
    let console = Console::new(anstream::stdout());
    if args.weakness.contains(&WeaknessChoice::List) {
        console.say(table().trim_end());
        return Ok(());
    }
    let stop = asked_to_stop(&args)?;
    if let Some(job) = args.job {
        return run(job, console, stop).await;
    }
    let address = args.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| SpecimenError::Listen { address, error })?;
    serve_until(args, listener, console, stop).await
}

/// Resolves when the service shall end. Listens from now on: as PID 1 the kernel delivers no signal
/// without a handler.
fn asked_to_stop(args: &SpecimenArgs) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    let listens = !args.has(Weakness::IgnoresStop);
    let listen = |kind| listens.then(|| signal(kind)).transpose();
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            () = arrival(&mut terminate) => (),
            () = arrival(&mut interrupt) => (),
        }
    })
}

async fn arrival(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// A job beside the service, to its end or until `stop`, which may come at any point of it.
async fn run(
    job: Job,
    console: Console,
    stop: impl Future<Output = ()>,
) -> Result<(), SpecimenError> {
    let job = tokio::task::spawn_blocking(move || backup::run(&job, &console));
    tokio::select! {
        () = stop => Ok(()),
        done = job => Ok(done.map_err(io::Error::other)??),
    }
}

/// The service on a given listener, until `stop`.
pub(super) async fn serve_until(
    args: SpecimenArgs,
    listener: TcpListener,
    console: Console,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), SpecimenError> {
    if args.has(Weakness::TmpfsState) && args.runtime_state.is_none() {
        return Err(SpecimenError::NoRuntimeState);
    }
    let (fatal, mut fatals) = mpsc::channel(1);
    let service = Arc::new(Service::new(args, console, fatal));
    let (drain, drained) = tokio::sync::oneshot::channel::<()>();
    let app = http::router(service.clone());
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = drained.await;
    });
    let mut server = tokio::spawn(server.into_future());
    let starting = service.clone();
    // It answers on /health while it comes up.
    let start = tokio::task::spawn_blocking(move || starting.start());
    let ended = tokio::select! {
        () = stop => Ok(()),
        Some(error) = fatals.recv() => Err(error),
        error = failure_of(start) => Err(error),
        result = &mut server => result.map_err(io::Error::other)?.map_err(SpecimenError::Io),
    };
    service.health.enter(State::Offline);
    let _ = drain.send(());
    // A client that keeps its connection busy does not keep us.
    if !server.is_finished() && timeout(DRAIN, &mut server).await.is_err() {
        server.abort();
    }
    service.shut_down();
    let last = service.clone();
    let _ = timeout(LAST_SNAPSHOT, tokio::task::spawn_blocking(move || last.save())).await;
    ended
}

/// Resolves only if the start fails for good.
async fn failure_of(start: tokio::task::JoinHandle<Result<(), SessionError>>) -> SpecimenError {
    match start.await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(SessionError::Io(error))) => SpecimenError::Io(error),
        Ok(Err(refused)) => SpecimenError::State(refused.to_string()),
        Err(panic) => SpecimenError::Io(io::Error::other(panic)),
    }
}
