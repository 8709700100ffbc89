//! A holder in a container's memory cgroup that reads a file of ours round and round: what it reads
//! pushes out of the page cache what the container had there.
//!
//! It ends with its worker, and with the container, whose cgroup it must not keep.

use std::{
    io::Write as _,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    hold, memory_cgroup,
    place::{init, inside},
};
use crate::{
    host::{cgroup::Cgroup, process::Identity, stream::Stream},
    protocol::{Init, Outcome, Place},
};

/// The verb of this holder.
pub(super) const WHAT: &str = "stream";
/// So long is one turn of reading and resting.
const TURN: Duration = Duration::from_millis(20);
const TURNS_PER_SECOND: u64 = 50;
/// The rest after a turn that took too long: standard input must be looked at.
const LEAST_REST: Duration = Duration::from_millis(1);
/// The file is so many times longer than all that the container may cache: at its end, nothing of
/// its begin is left.
const LONGER: u64 = 4;

/// Starts the holder; it reads when this returns.
pub(super) fn start(place: &Place, mark: &str, rate: u64, cx: &Context) -> Done {
    let target = Init::from(init(place)?);
    let read = |command: &mut Command| {
        let (pid, since) = (target.pid.to_string(), target.start_time.to_string());
        command.args([WHAT, &pid, &since, &place.path, &rate.to_string()]);
    };
    hold::start(mark, read, cx)?;
    Ok(Outcome::Done)
}

/// Runs the holder. Arguments: pid and start time of the container's init, a directory in it, bytes
/// per second.
pub(super) fn keep(mut args: impl Iterator<Item = String>) -> ExitCode {
    let Some((target, dir, rate)) = read_arguments(&mut args) else { return ExitCode::from(2) };
    let opened = open(target, &dir);
    let line = match &opened {
        Ok(_) => "held 1 0".to_owned(),
        Err(error) => format!("failed {error}"),
    };
    let (Ok(()), Ok(mut stream)) = (writeln!(std::io::stdout(), "{line}"), opened) else {
        return ExitCode::FAILURE;
    };
    while target.is_alive() {
        let started = Instant::now();
        if stream.read(rate / TURNS_PER_SECOND).is_err() {
            return ExitCode::FAILURE;
        }
        if hold::input_ended(TURN.saturating_sub(started.elapsed()).max(LEAST_REST)) {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn read_arguments(args: &mut impl Iterator<Item = String>) -> Option<(Identity, String, u64)> {
    let (pid, start_time) = (args.next()?.parse().ok()?, args.next()?.parse().ok()?);
    Some((Identity { pid, start_time }, args.next()?, args.next()?.parse().ok()?))
}

/// The file is opened before the cgroup is joined: what it takes to get there is ours.
fn open(target: Identity, dir: &str) -> Result<Stream, HelperError> {
    let cgroup: Cgroup = memory_cgroup::of(target, "memory")?;
    let limit = cgroup.memory_limit()?.ok_or_else(|| {
        HelperError::Refused("without a memory limit the host's page cache would be used up".into())
    })?;
    let length = limit.saturating_mul(LONGER);
    let stream = inside(target, dir, |here| Stream::new(here.path, length))?;
    cgroup.join()?;
    Ok(stream)
}
