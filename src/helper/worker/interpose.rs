//! Interposers: started here, watched, told their rules, and ended by whoever comes.
//!
//! Each is a process of its own, found again by its name among its arguments, its mount by the
//! source name, its rules by the socket in the run's directory. So an undo needs none of what is
//! kept here; that only tells an end that was meant from one that was not.

use std::{
    fs, io,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    disk, engine, image,
    insertion::is_ours,
    interposers::{End, Made},
    io_trace,
};
use crate::{
    host::{
        error::{HostError, HostResult},
        fuse::{self, Grip},
        loop_device,
        mountinfo::{MountTable, Reader},
        namespace::in_mount_ns,
        process::Identity,
    },
    interpose::{
        Beneath, Setup,
        control::{self, Answer, Ask},
        left,
        serve::{Orders, READY, Serve},
    },
    protocol::{AllStruck, Backing, Interposer, Outcome, RuleFacts},
};

/// The verb of the process.
const VERB: &str = "helper-interposer";
/// Directory of mount points below the run's directory.
pub(super) const DIRECTORY: &str = "interposed";
/// How long an interposer may take to answer.
pub(super) const ANSWER: Duration = Duration::from_millis(1500);
/// A killed process is gone within this time, but for one that hangs in the kernel.
const GONE: Duration = Duration::from_secs(3);

/// Where an interposer listens.
pub(super) fn socket(dir: &Path, name: &str) -> PathBuf {
    dir.join(DIRECTORY).join(format!("{name}.sock"))
}

pub(super) fn sys<T>(act: &'static str, path: &Path, result: io::Result<T>) -> HostResult<T> {
    result.map_err(|error| HostError::sys(act, path, error))
}

/// Starts one, and waits until it serves.
pub(super) fn make(interposer: &Interposer, cx: &Context) -> Done {
    let name = &interposer.name;
    if let Backing::Disk { image } = &interposer.backing {
        return disk::make(name, image, cx);
    }
    let at = image::own(&cx.dir, DIRECTORY, name)?;
    sys("mkdir", &at, fs::create_dir_all(&at))?;
    let engine = engine::process();
    let engine = engine.ok_or_else(|| {
        HelperError::Refused("the engine's process cannot be found, nor its mounts".into())
    })?;
    let host_path = format!("{}/{DIRECTORY}/{name}", cx.host_dir);
    let setup = Setup {
        beneath: beneath(&interposer.backing, engine, cx)?,
        device: image::nodes().join("fuse"),
        source: name.clone(),
        mark: interposer.mark.clone(),
        options: Vec::new(),
        expected: interposer.expected.clone(),
        durability: interposer.durability,
        trace: io_trace::wanted(&cx.dir, name, interposer.traced)?,
    };
    let at = host_path.clone().into();
    start(
        name,
        Serve::Files { setup: Box::new(setup), at, within: Some(engine) },
        End::IsLoss,
        cx,
    )?;
    Ok(Outcome::Directory { host_path })
}

/// Starts the process of one, and waits until it serves; what it said of that.
pub(super) fn start(
    name: &str,
    serve: Serve,
    end: End,
    cx: &Context,
) -> Result<String, HelperError> {
    let orders = Orders { serve, socket: socket(&cx.dir, name), ends_with: keeper() };
    // of one of the same name in an earlier case: what it did is not what this one does
    left::forget(&orders.socket);
    let (child, said) = spawn(name, &orders, cx.deadline)?;
    let connection = connection(name, &orders.serve, &said);
    let made = Made { name: name.to_owned(), child, socket: orders.socket, connection };
    cx.interposers.watch(made, end);
    Ok(said)
}

/// Its connection to the kernel: looked up while it answers.
fn connection(name: &str, serve: &Serve, said: &str) -> Option<Grip> {
    match serve {
        Serve::Disk { .. } => disk::connection(name, said),
        Serve::Files { within, .. } => {
            let table = MountTable::of((*within)?).ok()?;
            // the last: one of the same name may still be about to go
            let ours = table.0.iter().rfind(|mount| is_ours(mount, name));
            Grip::of(ours?.dev.1).ok()
        }
    }
}

/// The process that every interposer ends with.
fn keeper() -> Option<Identity> {
    let keeper = rustix::process::getppid()?;
    Identity::of(keeper.as_raw_nonzero().get().unsigned_abs()).ok()
}

/// What lies beneath, as the process can reach it.
fn beneath(backing: &Backing, engine: Identity, cx: &Context) -> Result<Beneath, HelperError> {
    match backing {
        Backing::Disk { .. } => {
            Err(HelperError::Refused("beneath a disk of ours lies nothing".into()))
        }
        Backing::Directory { host_path } => {
            let inside = format!("root{host_path}");
            Ok(Beneath::Directory(engine.proc_path(&inside)))
        }
        Backing::Image { name, fs_type, options } => {
            let image = loop_device::Backing::of(&image::path(cx, name)?)?;
            let device = loop_device::find(&image::nodes(), image)?.into_iter().next();
            let device = device.ok_or_else(|| {
                HelperError::Refused(format!("`{name}` is attached to no loop device"))
            })?;
            let (fs_type, options) = (fs_type.clone(), options.clone());
            Ok(Beneath::Device { node: device.node, fs_type, options })
        }
    }
}

fn spawn(name: &str, orders: &Orders, deadline: Instant) -> Result<(Child, String), HelperError> {
    let mut command = Command::new("/proc/self/exe");
    command.args([VERB, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| HostError::sys("spawn", VERB, error))?;
    let mut text = serde_json::to_string(orders)
        .map_err(|error| HelperError::Refused(format!("the orders of `{name}`: {error}")))?;
    text.push('\n');
    let told = child.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
    let (sender, line) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        let listen = move || {
            let mut line = String::new();
            let _ = BufReader::new(out).read_line(&mut line);
            let _ = sender.send(line);
        };
        let listener = std::thread::Builder::new().name("interposer".into()).spawn(listen);
        listener.map_err(|error| HostError::sys("clone", "thread", error))?;
    }
    let patience = deadline.saturating_duration_since(Instant::now());
    let line = line.recv_timeout(patience).unwrap_or_else(|_| "it says nothing".into());
    if let Some(said) = line.strip_prefix(READY) {
        return Ok((child, said.to_owned()));
    }
    let _ = child.kill();
    let _ = child.wait();
    let told = told.and_then(Result::err).map(|error| format!(" ({error})")).unwrap_or_default();
    Err(HelperError::Refused(format!("no interposer `{name}`: {}{told}", line.trim())))
}

/// Ends one, however far it has come. Doing it twice changes nothing.
pub(super) fn end(name: &str, cx: &Context) -> Done {
    let at = image::own(&cx.dir, DIRECTORY, name)?;
    cx.interposers.ends(name);
    let cut = cut(name, cx)?;
    // what it fails of is tried again below, when nobody attaches anything any more: until its end
    // the process may just have been opening its past
    let detached = disk::detach(name);
    let ended = end_processes(name)?;
    let cut = cut | disk::detach(name)? | detached.unwrap_or(true);
    disk::is_gone(name)?;
    let at_socket = socket(&cx.dir, name);
    let _ = fs::remove_file(&at_socket);
    left::forget(&at_socket);
    match fs::remove_dir(&at) {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(if cut || ended { Outcome::Done } else { Outcome::Already })
        }
        Err(error) => Err(HostError::sys("rmdir", at, error).into()),
    }
}

/// Aborts its connection, and detaches its mount from the engine's namespace. False where there
/// is none.
fn cut(name: &str, cx: &Context) -> Result<bool, HelperError> {
    // an engine that is gone took its namespace along, or will be asked again by `recover`
    let Some(engine) = engine::process() else { return Ok(false) };
    let mounts = Reader::open(engine)?;
    let parent = Path::new(&cx.host_dir).join(DIRECTORY);
    let found = in_mount_ns(engine, || {
        let parent = match fs::canonicalize(&parent) {
            Ok(parent) => parent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(HostError::sys("open", &parent, error)),
        };
        let at = parent.join(name);
        let connections = fuse::connections(&mounts, &at, name)?;
        for connection in &connections {
            // first: who waits for a server that hangs holds what a detach may wait for
            fuse::abort(*connection)?;
            fuse::detach(&at)?;
        }
        Ok(connections)
    })??;
    Ok(!found.is_empty())
}

/// Ends the processes of this name, and waits until they are gone. False where there are none.
pub(super) fn end_processes(name: &str) -> Result<bool, HelperError> {
    let found = processes(name)?;
    for process in &found {
        match process.signal(libc::SIGKILL) {
            Ok(()) | Err(HostError::Gone { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let deadline = Instant::now() + GONE;
    while found.iter().any(|process| process.is_alive()) {
        if Instant::now() >= deadline {
            return Err(HelperError::Refused(format!("the interposer `{name}` does not end")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(!found.is_empty())
}

fn processes(name: &str) -> HostResult<Vec<Identity>> {
    let all = sys("readdir", Path::new("/proc"), fs::read_dir("/proc"))?;
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // the identity first: what the arguments are then read of is this very process or gone
    let found = pids.filter_map(|pid| Identity::of(pid).ok()).filter(|who| {
        let line = fs::read(who.proc_path("cmdline")).unwrap_or_default();
        let mut args = line.split(|byte| *byte == 0).skip(1);
        args.next() == Some(VERB.as_bytes()) && args.next() == Some(name.as_bytes())
    });
    Ok(found.collect())
}

/// Puts rules in force.
pub(super) fn arm(name: &str, arm: &Ask, cx: &Context) -> Done {
    match ask(name, arm, cx)? {
        Answer::Done => Ok(Outcome::Done),
        Answer::Refused(why) => Err(HelperError::Refused(why)),
        other => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
    }
}

/// Asks one something.
pub(super) fn ask(name: &str, ask: &Ask, cx: &Context) -> Result<Answer, HelperError> {
    control::ask(&socket(&cx.dir, name), ask, ANSWER).map_err(|error| unreachable(name, &error))
}

/// Puts rules out of force.
pub(super) fn disarm(name: &str, set: &str, cx: &Context) -> Done {
    undo(name, &Ask::Disarm { set: set.to_owned() }, cx)
}

/// Asks one to undo something. One that has ended has nothing to undo; one that does not answer is
/// ended.
pub(super) fn undo(name: &str, ask: &Ask, cx: &Context) -> Done {
    match control::ask(&socket(&cx.dir, name), ask, ANSWER) {
        Ok(Answer::Done) => Ok(Outcome::Done),
        Ok(Answer::Already) => Ok(Outcome::Already),
        Ok(other) => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        // it has ended, and its rules with it
        Err(error) if is_gone(&error) => Ok(Outcome::Already),
        Err(_) => {
            cut(name, cx)?;
            end_processes(name)?;
            Ok(Outcome::Done)
        }
    }
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

pub(super) fn unreachable(name: &str, error: &io::Error) -> HelperError {
    HelperError::Refused(format!("the interposer `{name}` cannot be reached: {error}"))
}

/// What a set of rules has done.
pub(super) fn facts(dir: &Path, name: &str, set: &str) -> Result<Option<RuleFacts>, HelperError> {
    let ask = Ask::Facts { set: set.to_owned() };
    let at = socket(dir, name);
    match control::ask(&at, &ask, ANSWER) {
        Ok(Answer::Facts(facts)) => Ok(facts),
        Ok(other) => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        Err(error) => match left::facts(&at).filter(|_| is_gone(&error)) {
            Some(mut facts) => Ok(facts.remove(set)),
            // there never was one
            None if error.kind() == io::ErrorKind::NotFound => Ok(None),
            None => Err(unreachable(name, &error)),
        },
    }
}

/// All that a set of rules has struck.
pub(super) fn all_struck(
    dir: &Path,
    name: &str,
    set: &str,
) -> Result<Option<AllStruck>, HelperError> {
    let at = socket(dir, name);
    match control::ask(&at, &Ask::Struck { set: set.to_owned() }, ANSWER) {
        Ok(Answer::Struck(struck)) => Ok(struck),
        Ok(other) => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        Err(error) => match left::struck(&at).filter(|_| is_gone(&error)) {
            Some(mut struck) => Ok(struck.remove(set)),
            None => Err(unreachable(name, &error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpose::disk;

    #[test]
    fn what_another_of_its_name_has_left_is_gone_before_it_begins() {
        let dir = tempfile::tempdir().unwrap();
        let at = socket(dir.path(), "kh");
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let left = [left::facts_file(&at), left::traced_file(&at), left::trace_file(&at)];
        left.iter().for_each(|file| fs::write(file, "{}").unwrap());
        let (image, nodes) = (dir.path().join("none"), dir.path().to_owned());
        let setup = disk::Setup { image, nodes, mark: "kh".into() };
        let cx = Context::testing(dir.path());
        assert!(
            start("kh", Serve::Disk { setup }, End::IsLoss, &cx).is_err(),
            "no interposer here"
        );
        assert!(left.iter().all(|file| !file.exists()));
    }
}
