//! The wall clock of a container's processes: shifted, put right, overheard.
//!
//! A holder shifts it again and again, for what is started meanwhile: a program that is executed
//! starts with the true time. It ends with its worker; what it shifted is found by its bytes.

use std::{
    io::Write as _,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    hold,
    place::init,
};
use crate::{
    host::{
        container_process::container_processes,
        error::{HostError, HostResult},
        metadata::Change,
        process::Identity,
        wall_clock,
    },
    protocol::{ClockFacts, Outcome, Place, Told},
};

/// The verb of this holder.
pub(super) const WHAT: &str = "clock";
/// Between two looks for processes that were started meanwhile.
const AGAIN: Duration = Duration::from_millis(20);
/// Processes are put right again and again for so long; less than an op on the time may take.
const RESTLESS: Duration = Duration::from_secs(30);

/// Starts a holder, which shifts the clock of every process before this returns.
pub(super) fn skew(place: &Place, mark: &str, by: i32, cx: &Context) -> Done {
    init(place)?;
    let shift = |command: &mut Command| {
        command.args([WHAT, &place.container, &by.to_string()]);
    };
    hold::start(mark, shift, cx)?;
    Ok(Outcome::Done)
}

/// Runs the holder. Arguments: the container, and how many seconds.
pub(super) fn keep(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (container, by) = (args.next(), args.next().and_then(|by| by.parse().ok()));
    let (Some(container), Some(by)) = (container, by) else { return ExitCode::from(2) };
    let said = match each(&container, |process| wall_clock::shift(process, by)) {
        Ok(shifted) => writeln!(std::io::stdout(), "held {shifted} 0"),
        Err(error) => writeln!(std::io::stdout(), "failed {error}"),
    };
    if said.is_err() {
        return ExitCode::FAILURE;
    }
    while !hold::input_ended(AGAIN) {
        // one that cannot be reached now may be next time
        let _ = each(&container, |process| wall_clock::shift(process, by));
    }
    ExitCode::SUCCESS
}

/// Ends the holder, and then puts right what it shifted.
pub(super) fn put_right(place: &Place, mark: &str, by: i32) -> Done {
    let held = hold::end(mark)?;
    let righted = until_none_is_left(Instant::now() + RESTLESS, || {
        Ok(each(&place.container, |process| wall_clock::put_right(process, by))?)
    })?;
    Ok(if righted > 0 { Outcome::Done } else { held })
}

/// Goes over the processes until a `pass` finds none to change; how many were changed in all. Who is
/// forked after they were listed has the time of a parent that was not changed yet. Once nobody is
/// changed, whoever was forked meanwhile comes of somebody who was right all the while.
fn until_none_is_left(
    until: Instant,
    mut pass: impl FnMut() -> Result<usize, HelperError>,
) -> Result<usize, HelperError> {
    let mut all = 0;
    loop {
        let made = pass()?;
        all += made;
        if made == 0 {
            return Ok(all);
        }
        if Instant::now() >= until {
            return Err(HelperError::Refused(format!(
                "the clocks of {all} processes were put right, and there are more all the time"
            )));
        }
    }
}

/// Changes every process of a container that still lives; how many were changed. The first failure
/// is told when all were tried.
fn each(container: &str, make: impl Fn(Identity) -> HostResult<Change>) -> HostResult<usize> {
    let (mut made, mut failed) = (0, None);
    for process in container_processes(container)? {
        match make(process) {
            Ok(Change::Made) => made += 1,
            Ok(_) | Err(HostError::Gone { .. }) => {}
            Err(_) if !process.is_alive() => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(made), Err)
}

/// The processes of a container, and how many have a shifted clock, as soon as one has.
fn settled(place: &Place, until: Instant) -> Result<(Vec<Identity>, u64), HelperError> {
    let is_shifted = |process: &&Identity| wall_clock::is_true(**process) == Ok(false);
    loop {
        let processes = container_processes(&place.container)?;
        let shifted = processes.iter().filter(is_shifted).count() as u64;
        if shifted > 0 || Instant::now() >= until {
            return Ok((processes, shifted));
        }
        thread::sleep(AGAIN);
    }
}

/// How many clocks are shifted, and what somebody is told who asks in time. A holder is given as long
/// to reach what was started a moment ago: who listens to a process keeps the holder from it.
pub(super) fn facts(place: &Place, within_ms: u64) -> Result<ClockFacts, HelperError> {
    let within = Duration::from_millis(within_ms);
    let (processes, shifted) = settled(place, Instant::now() + within)?;
    let told = match (within_ms, shifted) {
        (0, _) | (_, 0) => None,
        _ => wall_clock::overhear(&processes, within)?,
    };
    let told = told.map(|told| {
        let name = std::fs::read_to_string(told.process.proc_path("comm")).unwrap_or_default();
        let who = format!("{} (pid {})", name.trim(), told.process.pid);
        Told { who, ahead: told.ahead, direct: told.direct }
    });
    Ok(ClockFacts { shifted, told })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(made: &[usize], until: Instant) -> (Result<usize, HelperError>, usize) {
        let (mut count, mut made) = (0, made.iter());
        let all = until_none_is_left(until, || {
            count += 1;
            Ok(*made.next().unwrap_or(&1))
        });
        (all, count)
    }

    #[test]
    fn who_was_forked_meanwhile_is_put_right_too_but_not_for_ever() {
        let later = Instant::now() + RESTLESS;
        assert_eq!(passes(&[0], later), (Ok(0), 1));
        assert_eq!(passes(&[3, 1, 0], later), (Ok(4), 3));
        let restless = passes(&[3, 1], Instant::now());
        assert!(matches!(restless, (Err(HelperError::Refused(_)), 1)), "{restless:?}");
    }
}
