//! Backups of the service: taken, kept, proven and restored by jobs beside it.
//!
//! `keelhaul specimen backup | restore | drill | mirror`. A job shares the service's volumes and asks it over
//! HTTP to hold still; it knows nothing else of it, and ends with 0 when the work is
//! done, 1 when it failed, 3 when it was rightly left undone.
//!
//! | promise | file |
//! |---|---|
//! | an unhealthy service is not backed up, a healthy one is frozen for the copy | `agent` |
//! | one job at a time, and nothing half ever has an archive's name | `target` |
//! | an archive says what must be in it, by SHA-256 | `archive`, `manifest` |
//! | configuration and key travel with the data | `parts` |
//! | old archives go, the last good one never | `retention` |
//! | nothing is touched before the archive is proven | `restore` |
//! | a copy is taken while the service holds still, or is of no use | `snapshot` |
//! | a source that has vanished does not empty its mirror | `mirror` |

mod agent;
mod archive;
mod args;
mod drill;
mod error;
mod files;
mod manifest;
mod mirror;
mod parts;
mod restore;
mod retention;
mod snapshot;
mod take;
mod target;

use std::thread;

use super::console::Console;
use super::tenant;
use super::weakness::Weakness;
pub use args::Job;
pub use error::JobError;

/// Runs a job to its end; one with `--every` has none.
///
/// # Errors
/// When the work could not be done. It has been said on the console already.
pub(super) fn run(job: &Job, console: &Console) -> Result<(), JobError> {
    let Job::Backup(args) = job else { return once(job, console) };
    let Some(every) = args.every else { return once(job, console) };
    loop {
        // Said and counted by whoever watches the console: the next round may do better.
        let _ = once(job, console);
        thread::sleep(every);
    }
}

/// One round of it.
fn once(job: &Job, console: &Console) -> Result<(), JobError> {
    let done = match job {
        Job::Backup(args) => take::round(args, console),
        Job::Restore(args) => restore::restore(args, console),
        Job::Drill(args) => drill::drill(args, console),
        Job::Mirror(args) => mirror::mirror(args),
        Job::Tenant(args) => tenant::live(args, console),
    };
    let verb = job.verb();
    match done {
        Ok(said) => {
            console.say(format!("{verb}: {said}"));
            Ok(())
        }
        Err(error) => {
            let what = if error.is_skip() { "skipped" } else { "FAILED" };
            console.say(format!("{verb} {what}: {error}"));
            if job.has(Weakness::ExitsZero) { Ok(()) } else { Err(error) }
        }
    }
}
