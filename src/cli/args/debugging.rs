//! What `run` is asked for by who wants to see more of it.

use clap::Args;

/// Options of `run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Debugging {
    /// Roll back, then leave containers, volumes and networks to look at.
    #[arg(long, help_heading = "Debugging")]
    pub(in crate::cli) keep: bool,

    /// Stop at the first failing step with the faults in force, until interrupted.
    #[arg(long, help_heading = "Debugging")]
    pub(in crate::cli) hold: bool,

    /// Write every operation on volumes with `interpose: file`, and through what `insert: true` inserts,
    /// to `io-traces` beside the reports. No file is left to the kernel then: reads and writes take
    /// several times as long.
    #[arg(long, help_heading = "Debugging")]
    pub(in crate::cli) trace_io: bool,

    /// Faults on files strike just the operations that they struck in this earlier run, by its directory
    /// or its id under `--out`: the n-th of a kind on a file again, whatever `when` and the seed say.
    /// What does not come again makes the case inconclusive; faults on a disk are refused.
    #[arg(long, value_name = "RUN", help_heading = "Debugging")]
    pub(in crate::cli) replay: Option<String>,
}
