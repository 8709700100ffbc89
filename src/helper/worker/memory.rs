//! Ops that use up a container's memory: a tmpfs that grows, and want of memory until the kernel
//! kills. All of it is charged to the container's own cgroup, which must have a limit.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    memory_cgroup,
    mount::same_dev,
    place::{find_init, init, inside, short},
};
use crate::{
    host::{
        cgroup::Cgroup,
        error::HostError,
        fill::open_filler,
        grower::{Grower, memory_file},
        process::Identity,
    },
    protocol::{Dev, Init, Op, Outcome, Place},
};

/// Between two looks at what the grower has come to.
const LOOK: Duration = Duration::from_millis(2);
/// Between the look that finds the victim dead and our own end we go on: who dies then is us, and
/// not somebody else. A victim of choice has 1000, and everybody else 0 as a rule.
const NEXT: i32 = 800;

/// Performs an op on memory.
pub(super) fn act(op: &Op, cx: &Context) -> Done {
    match op {
        Op::GrowTmpfs { place, dev, marker, bytes } => grow_tmpfs(place, *dev, marker, *bytes, cx),
        Op::ExhaustMemory { place, init } => exhaust(place, *init, cx),
        Op::SetOomScore { process, score, .. } => set_oom_score(*process, *score),
        other => Err(HelperError::Refused(format!("{other:?} uses up no memory"))),
    }
}

/// The memory cgroup of an init, and its limit: without one it is the host's memory that would run
/// out.
fn limited(place: &Place, target: Identity) -> Result<(Cgroup, u64), HelperError> {
    let cgroup = memory_cgroup::of(target, "memory")?;
    let limit = cgroup.memory_limit()?.ok_or_else(|| {
        HelperError::Refused(format!(
            "container `{}` has no memory limit: the host's memory would run out",
            short(&place.container)
        ))
    })?;
    Ok((cgroup, limit))
}

/// Waits until the grower is done, or `enough` says so.
fn watch(grower: &mut Grower, cx: &Context, enough: impl Fn() -> bool) -> Result<(), HelperError> {
    while !grower.is_done() && !enough() {
        if cx.cancel.load(Ordering::Relaxed) || Instant::now() >= cx.deadline {
            return Err(HelperError::Refused("using up memory took too long".into()));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Grows a file in the marker directory of a tmpfs, until it is full or the kernel kills.
fn grow_tmpfs(place: &Place, dev: Dev, marker: &str, bytes: u64, cx: &Context) -> Done {
    let target = init(place)?;
    let (cgroup, _) = limited(place, target)?;
    let file = inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        open_filler(here.path, marker)
    })?;
    let before = cgroup.oom_kills()?;
    let Some(file) = file else { return Ok(Outcome::OomKills { before, after: before }) };
    let mut grower = Grower::start(&cgroup, file, bytes, None)?;
    watch(&mut grower, cx, || false)?;
    // a container that was killed has ended by now, but its cgroup is there while the grower is
    Ok(Outcome::OomKills { before, after: cgroup.oom_kills().unwrap_or(before) })
}

/// Uses up the memory of a container until the kernel has killed in it. What was used up is free
/// again afterwards.
fn exhaust(place: &Place, meant: Init, cx: &Context) -> Done {
    let target = Identity::from(meant);
    if find_init(place)? != Some(target) {
        return Err(HostError::Gone { pid: target.pid }.into());
    }
    let (cgroup, limit) = limited(place, target)?;
    let before = cgroup.oom_kills()?;
    let kills = || cgroup.oom_kills().unwrap_or(before);
    let mut grower = Grower::start(&cgroup, memory_file()?, limit, Some(NEXT))?;
    watch(&mut grower, cx, || kills() > before || !target.is_alive())?;
    Ok(Outcome::OomKills { before, after: kills() })
}

/// Sets how much the kernel prefers this very process as a victim; nothing to do once it is gone.
fn set_oom_score(meant: Init, score: i32) -> Done {
    match Identity::from(meant).set_oom_score(score) {
        Ok(()) => Ok(Outcome::Done),
        Err(HostError::Gone { .. }) => Ok(Outcome::Already),
        Err(error) => Err(error.into()),
    }
}
