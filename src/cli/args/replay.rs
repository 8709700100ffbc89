//! `replay`.

use std::path::PathBuf;

use clap::Args;

use super::AuditFormat;

const EXAMPLES: &str = "\
Examples:
  keelhaul replay reports/latest/crash-states/explore-ext4/records-1.crash
  keelhaul replay records-1.crash --in mended          a program of this container reads it
  keelhaul replay records-1.crash --extract disk.img   to mount it, or look at it with debugfs

A state is read by a program where `explore` had one. Start the image that is to read it without the \
service and without a network, with the service's user and environment, and with a volume or a tmpfs \
where it has its data: `docker run --detach --name mended --network none --user postgres --tmpfs \
/var/lib/postgresql/data --entrypoint sleep IMAGE infinity`.

Exit codes:
  0 every promise is kept   1 one is broken   2 no state, or a damaged one   3 it could not be judged
  4 rollback incomplete   130 interrupted";

/// `replay`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ReplayArgs {
    /// The state: `crash-states/<case>/<workload>-<number>.crash` of a run's reports.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,

    /// A running container, by name or id, whose program reads the state in a copy of its mounts.
    #[arg(long = "in", value_name = "CONTAINER")]
    pub(in crate::cli) container: Option<String>,

    /// Only write its disk to this new file, as a sparse image.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["container", "format"])]
    pub(in crate::cli) extract: Option<PathBuf>,

    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: AuditFormat,
}
