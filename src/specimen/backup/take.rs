//! One backup, from the lock to the name.
//!
//! The order is the point: lock before gate, or the freeze of one job makes the next one think that
//! the service is ill; an archive that can be written before the freeze, or the service stands
//! still for nothing; thaw before anything that can wait.

use super::super::console::Console;
use super::super::weakness::Weakness;
use super::JobError;
use super::agent::Agent;
use super::archive::{self, Reading};
use super::args::TakeArgs;
use super::parts::{self, Part};
use super::retention;
use super::target::Target;

/// A backup, then the retention, which goes on when backups fail: the disk fills all the same.
pub(super) fn round(args: &TakeArgs, console: &Console) -> Result<String, JobError> {
    let taken = take(args);
    if let Some(keep) = args.keep_for {
        match retention::prune(&args.target, keep, &args.bugs) {
            Ok(0) => {}
            Ok(deleted) => console.say(format!("backup: deleted {deleted} old archives")),
            Err(error) if taken.is_ok() => return Err(error),
            Err(error) => console.say(format!("backup: nothing deleted: {error}")),
        }
    }
    taken
}

fn take(args: &TakeArgs) -> Result<String, JobError> {
    let target = Target::new(&args.target, &args.bugs);
    let _lock = target.lock(args.lock_wait)?;
    let agent = Agent::new(&args.agent);
    if !args.bugs.has(Weakness::NoGate) {
        agent.gate()?;
    }
    let pending = target.begin()?;
    let hot = args.bugs.has(Weakness::NoFreeze);
    let frozen = if hot { None } else { Some(agent.freeze(args.freeze_limit)?) };
    let reading = Reading::new(args.bandwidth.map(|size| size.as_u64()), args.deduplicate);
    let manifest = archive::write(&pending.file, pending.name(), &parts_of(args), reading)?;
    let held = frozen.map_or(Ok(Default::default()), super::agent::Frozen::end)?;
    let path = pending.publish()?;
    Ok(format!(
        "{} with {} files of {} bytes, the service was frozen for {} ms",
        path.display(),
        manifest.files.len(),
        manifest.bytes(),
        held.as_millis()
    ))
}

fn parts_of(args: &TakeArgs) -> Vec<Part> {
    let identity = args.identity.clone().filter(|_| !args.bugs.has(Weakness::DataOnly));
    [parts::data(args.data.clone())].into_iter().chain(identity.map(parts::identity)).collect()
}
