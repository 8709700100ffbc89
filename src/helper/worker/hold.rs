//! The holder: a process that runs as a subject's user and holds what that user could still have.
//!
//! It ends when its standard input does, which is when its worker ends, however that comes about:
//! so nothing it holds outlives the worker. Undo finds it by the mark among its arguments.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    super::HelperError,
    clock,
    context::{Context, Done},
    facts::refused,
    place::{init, inside},
    stream,
};
use crate::{
    host::{
        container_process::container_processes,
        error::{HostError, HostResult},
        inotify::{self, Hoard, Stock},
        process::Identity,
        user::{User, processes_of},
    },
    protocol::{EventFacts, InotifyStock, Outcome, Place, Trial, UserFacts},
};

/// The verb of the process.
const VERB: &str = "helper-hold";
/// What has been freed since is taken again after this time: before a restarted subject asks.
const AGAIN: Duration = Duration::from_millis(5);
/// A killed process has given back what it held within this time.
const LETTING_GO: Duration = Duration::from_secs(4);

/// Runs the holder. Arguments: the mark, and what to hold.
pub fn hold(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (Some(_mark), Some(stock)) = (args.next(), args.next()) else { return ExitCode::from(2) };
    match stock.as_str() {
        clock::WHAT => return clock::keep(args),
        stream::WHAT => return stream::keep(args),
        _ => {}
    }
    let stock = if stock == "watches" { Stock::Watches } else { Stock::Instances };
    let (mut hoard, mut out) = (Hoard::default(), std::io::stdout());
    let grabbed = hoard.grab(stock);
    let (instances, watches) = hoard.held();
    let said = match grabbed {
        Ok(()) => writeln!(out, "held {instances} {watches}"),
        Err(error) => writeln!(out, "failed {error}"),
    };
    if said.is_err() {
        return ExitCode::FAILURE;
    }
    while !input_ended(AGAIN) {
        // what runs out otherwise was taken before; the subject may only have freed some
        let _ = hoard.grab(stock);
    }
    ExitCode::SUCCESS
}

/// Waits a moment; whether nobody writes to standard input any more.
pub(super) fn input_ended(moment: Duration) -> bool {
    let input = std::io::stdin();
    let moment = Timespec { tv_sec: 0, tv_nsec: i64::from(moment.subsec_nanos()) };
    poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&moment)).is_ok_and(|ready| ready > 0)
}

/// Takes what a user has left of a stock.
pub(super) fn inotify(mark: &str, user: (u32, u32), stock: InotifyStock, cx: &Context) -> Done {
    let as_user = |command: &mut Command| {
        command.arg(stock.name()).uid(user.0).gid(user.1);
    };
    let (instances, watches) = start(mark, as_user, cx)?;
    Ok(Outcome::Held { instances, watches })
}

/// Starts a holder, and waits until it holds everything; says how much that is.
pub(super) fn start(
    mark: &str,
    what: impl FnOnce(&mut Command),
    cx: &Context,
) -> Result<(u64, u64), HelperError> {
    let mut command = Command::new("/proc/self/exe");
    what(command.args([VERB, mark]));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| HostError::sys("spawn", VERB, error))?;
    let line = child.stdout.take().map(|out| first_line(out, child, cx.deadline));
    let line = line.unwrap_or_default();
    let mut words = line.split_whitespace();
    if words.next() == Some("held") {
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        return Ok((number(), number()));
    }
    end(mark)?;
    Err(HelperError::Refused(format!("the holder did not come to hold: {}", line.trim())))
}

/// What a holder says, on a thread that keeps its standard input open until it ends.
fn first_line(out: ChildStdout, mut child: Child, deadline: Instant) -> String {
    let (sender, line) = mpsc::channel();
    let input = child.stdin.take();
    let attend = move || {
        let mut line = String::new();
        let _ = BufReader::new(out).read_line(&mut line);
        let _ = sender.send(line);
        let _ = child.wait();
        drop(input);
    };
    let thread = std::thread::Builder::new().name("holder".into()).spawn(attend);
    let patience = deadline.saturating_duration_since(Instant::now());
    thread.ok().and_then(|_| line.recv_timeout(patience).ok()).unwrap_or_default()
}

/// Ends every holder with this mark, and waits until it is gone.
pub(super) fn end(mark: &str) -> Done {
    let holders = holders(mark)?;
    for holder in &holders {
        match holder.signal(libc::SIGKILL) {
            Ok(()) | Err(HostError::Gone { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let deadline = Instant::now() + LETTING_GO;
    while holders.iter().any(|holder| holder.is_alive()) {
        if Instant::now() >= deadline {
            return Err(HelperError::Refused(format!("the holder `{mark}` does not end")));
        }
        std::thread::sleep(AGAIN);
    }
    Ok(if holders.is_empty() { Outcome::Already } else { Outcome::Done })
}

fn holders(mark: &str) -> HostResult<Vec<Identity>> {
    let processes =
        std::fs::read_dir("/proc").map_err(|error| HostError::sys("readdir", "/proc", error))?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // the identity first: what the arguments are then read of is this very process or gone
    let found = pids.filter_map(|pid| Identity::of(pid).ok());
    Ok(found.filter(|who| is_holder(*who, Some(mark))).collect())
}

/// Whether a process holds for us: with this mark, or with any.
fn is_holder(who: Identity, mark: Option<&str>) -> bool {
    let line = std::fs::read(who.proc_path("cmdline")).unwrap_or_default();
    let mut args = line.split(|byte| *byte == 0).skip(1);
    let verb = args.next() == Some(VERB.as_bytes());
    verb && mark.is_none_or(|mark| args.next() == Some(mark.as_bytes()))
}

/// Tries to watch a directory as another user.
pub(super) fn try_inotify(place: &Place, user: (u32, u32)) -> Result<Trial, HelperError> {
    let tried = inside(init(place)?, &place.path, |here| {
        // a thread of its own, which ends with this
        inotify::become_user(user.0, user.1)?;
        inotify::try_watch(here.path)
    });
    Ok(Trial { errno: tried.map_or_else(refused, |()| Ok(None))? })
}

/// Watches a directory, changes something in another, and says what was told.
pub(super) fn try_events(
    place: &Place,
    from: &Place,
    within_ms: u64,
) -> Result<EventFacts, HelperError> {
    let watched = inside(init(place)?, &place.path, |here| inotify::watch(here.path));
    let queue = match watched {
        Ok(queue) => queue,
        Err(error) => return Ok(EventFacts { errno: refused(error)?, seen: Vec::new() }),
    };
    if let Some(errno) = super::trial::create(from)?.errno {
        let path = Path::new(&from.path).display();
        return Err(HelperError::Refused(format!("no file can be made in `{path}`: {errno}")));
    }
    let seen = inotify::await_events(&queue, Duration::from_millis(within_ms))?;
    Ok(EventFacts { errno: None, seen })
}

/// Whose the container's init is, and who else is that user; holders of ours do not count.
pub(super) fn user(place: &Place) -> Result<UserFacts, HelperError> {
    let User { uid, gid, own_namespace } = User::of(init(place)?)?;
    let own = container_processes(&place.container)?;
    let others = processes_of(uid)?;
    let other = others.into_iter().find(|who| !own.contains(who) && !is_holder(*who, None));
    let shared_with = other.map(|who| {
        let name = std::fs::read_to_string(who.proc_path("comm")).unwrap_or_default();
        format!("{} (pid {})", name.trim(), who.pid)
    });
    Ok(UserFacts { uid, gid, own_namespace, shared_with })
}
