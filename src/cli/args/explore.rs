//! `explore`.

use std::path::PathBuf;

use clap::Args;

use super::{AuditFormat, Duration};
use crate::protocol::CutProfile;

const EXAMPLES: &str = "\
Examples:
  keelhaul explore records-1.log-writes --states 5000 --time 5m
  keelhaul explore records-1.log-writes --seed 8 --profiles torn,subset --keep found.crash
  keelhaul explore records-1.log-writes --in mended      a program of this container reads the states

Beside the log lies the crash state that was kept with it, `records-1.crash`: it says where the records are, \
and has what was promised. The service need not run. Of states that a program reads, see `keelhaul replay \
--help`.

Exit codes:
  0 every promise is kept   1 one is broken   2 no log, or a damaged one   3 it could not be looked at
  4 rollback incomplete   5 inconclusive   130 interrupted";

/// `explore`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExploreArgs {
    /// The log: `crash-states/<case>/<workload>-<number>.log-writes` of a run's reports.
    #[arg(value_name = "LOG")]
    pub(in crate::cli) log: PathBuf,

    /// The crash state that was kept with it; by default the log's name with `.crash`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) state: Option<PathBuf>,

    /// A running container, by name or id, whose program reads the states in a copy of its mounts.
    #[arg(long = "in", value_name = "CONTAINER")]
    pub(in crate::cli) container: Option<String>,

    /// What may survive of what was not durable; all that a disk may do by default.
    #[arg(long, value_parser = profile, value_delimiter = ',', value_name = "PROFILE")]
    pub(in crate::cli) profiles: Vec<CutProfile>,

    /// The most states.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000), value_name = "N")]
    pub(in crate::cli) states: u64,

    /// After this time no further state is looked at.
    #[arg(long, default_value = "1m", value_name = "TIME")]
    pub(in crate::cli) time: Duration,

    /// Decides which states are looked at, where there are more.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(in crate::cli) seed: u64,

    /// Check the filesystem of each recovered state by its own tool too; always where it was when the log was kept.
    #[arg(long)]
    pub(in crate::cli) fsck: bool,

    /// Of each state with which nothing is wrong, so many more that a second cut leaves.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000), value_name = "N")]
    pub(in crate::cli) second_cuts: Option<u64>,

    /// Keep the first wrong state in this new file, for `keelhaul replay`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) keep: Option<PathBuf>,

    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: AuditFormat,
}

/// A profile that a disk can have.
fn profile(word: &str) -> Result<CutProfile, String> {
    let known = CutProfile::all().filter(|profile| profile.of_disk().is_some());
    let known: Vec<_> = known.collect();
    known.iter().copied().find(|profile| profile.name() == word).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|profile| profile.name()).collect();
        format!("a disk is left by one of these: {}", names.join(", "))
    })
}
