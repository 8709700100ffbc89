//! A power cut on an interposed volume: canaries, the fence, and what is left behind.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{fs::fdatasync, io::pwrite};

use super::{
    super::HelperError,
    context::{Context, Done},
    interpose::{is_gone, socket, unreachable},
    mount::same_dev,
    place::{init, inside},
};
use crate::{
    host::{
        error::{HostError, HostResult},
        io_trial::{Tries, name_of},
    },
    interpose::control::{self, Answer, Ask},
    protocol::{DurableAttempt, FileCutOp, Outcome, PendingFacts, TriedDurable},
};

/// How long it is waited for changes of others.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an interposer may take to answer.
const ANSWER: Duration = Duration::from_millis(1500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Performs one.
pub(super) fn act(op: &FileCutOp, cx: &Context) -> Done {
    match op {
        FileCutOp::PlantCanaries { place, dev, marker } => {
            inside(init(place)?, &place.path, |here| {
                same_dev(here.path, *dev)?;
                plant(here.path, marker)
            })?;
            Ok(Outcome::Done)
        }
        FileCutOp::Fence { interposer, after } => fence(interposer, *after, cx),
        FileCutOp::Settle { interposer, profile, seed } => {
            let (profile, seed) = (*profile, *seed);
            let settle = Ask::Settle { profile, seed };
            ask_in(&cx.dir, interposer, &settle, left(cx)).map(Outcome::Pending)
        }
        FileCutOp::Lift { interposer } => {
            // where it is still settling, that comes first
            match control::ask(&socket(&cx.dir, interposer), &Ask::Fence(None), left(cx)) {
                Ok(_) => Ok(Outcome::Done),
                Err(error) if is_gone(&error) => Ok(Outcome::Already),
                Err(error) => Err(unreachable(interposer, &error)),
            }
        }
    }
}

/// What is left of an act's time: what it rewrites may be much. A socket knows no wait of nothing.
fn left(cx: &Context) -> Duration {
    cx.deadline.saturating_duration_since(Instant::now()).max(LOOK)
}

/// Two files of the same kind, of which one is made durable with its name.
fn plant(dir: &Path, marker: &str) -> HostResult<()> {
    let dir = dir.join(marker);
    let failed = |error: std::io::Error| HostError::sys("plant canaries", &dir, error);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).map_err(failed)?;
    let plant = |name: &str| {
        let mut file = File::create(dir.join(name))?;
        file.write_all(b"canary")?;
        Ok(file)
    };
    let synced = plant("synced").and_then(|file| file.sync_all());
    synced.and_then(|()| File::open(&dir)?.sync_all()).map_err(failed)?;
    plant("unsynced").map(drop).map_err(failed)
}

/// Right after a change of somebody else, so that there is something to lose.
fn fence(interposer: &str, after: u64, cx: &Context) -> Done {
    let deadline = Instant::now() + PATIENCE;
    let mut facts = ask(interposer, &Ask::Fence(Some(after)), cx)?;
    while !facts.fenced && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        facts = ask(interposer, &Ask::Pending, cx)?;
    }
    if !facts.fenced {
        facts = ask(interposer, &Ask::Fence(Some(0)), cx)?;
    }
    Ok(Outcome::Pending(facts))
}

/// Writes to an interposer's own file and syncs it, and looks whether the interposer still has the
/// way back from that.
pub(super) fn durable(attempt: &DurableAttempt, dir: &Path) -> Result<TriedDurable, HelperError> {
    let DurableAttempt { place, interposer, mark } = attempt;
    let trial = inside(init(place)?, &place.path, |here| {
        let (dir, mark) = (here.path.to_owned(), mark.clone());
        Ok(Tries { dir, mark, most: 1, slow_us: u64::MAX }.remembered())
    })?;
    let own = || pending(dir, interposer).map(|facts| facts.own);
    let before = own()?;
    let written = trial.and_then(|file| pwrite(&file, b"x", 0).map(|_| file));
    let pending = own()?;
    let synced = written.and_then(|file| fdatasync(&file));
    let durable = own()? < pending;
    if synced.is_ok() && pending <= before {
        return Err(HelperError::Refused(format!("`{interposer}` remembers no write of ours")));
    }
    Ok(TriedDurable { errno: synced.err().map(name_of), durable })
}

fn ask(interposer: &str, ask: &Ask, cx: &Context) -> Result<PendingFacts, HelperError> {
    ask_in(&cx.dir, interposer, ask, ANSWER)
}

/// What is not durable in an interposer.
pub(super) fn pending(dir: &Path, interposer: &str) -> Result<PendingFacts, HelperError> {
    ask_in(dir, interposer, &Ask::Pending, ANSWER)
}

fn ask_in(
    dir: &Path,
    interposer: &str,
    ask: &Ask,
    within: Duration,
) -> Result<PendingFacts, HelperError> {
    match control::ask(&socket(dir, interposer), ask, within) {
        Ok(Answer::Pending(Some(facts))) => Ok(facts),
        Ok(Answer::Pending(None)) => Err(HelperError::Refused(format!(
            "`{interposer}` does not remember what is not durable"
        ))),
        Ok(Answer::Refused(why)) => Err(HelperError::Refused(why)),
        Ok(other) => Err(HelperError::Refused(format!("`{interposer}` answered {other:?}"))),
        Err(error) => Err(unreachable(interposer, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead as _, os::unix::net::UnixListener};

    use super::*;
    use crate::protocol::CutProfile;

    #[test]
    fn settling_may_take_as_long_as_its_act() {
        let dir = tempfile::tempdir().unwrap();
        let at = socket(dir.path(), "i");
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&at).unwrap();
        let facts = PendingFacts { undone: 7, ..PendingFacts::default() };
        let settles = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            std::io::BufReader::new(&stream).read_line(&mut line).unwrap();
            std::thread::sleep(ANSWER + ANSWER / 4);
            let answer = serde_json::to_string(&Answer::Pending(Some(facts))).unwrap();
            writeln!(stream, "{answer}").unwrap();
        });
        let interposer = "i".to_owned();
        let settle = FileCutOp::Settle { interposer, profile: CutProfile::Drop, seed: 1 };
        assert_eq!(act(&settle, &Context::testing(dir.path())), Ok(Outcome::Pending(facts)));
        settles.join().unwrap();
    }
}
