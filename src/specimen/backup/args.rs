//! The command lines of the jobs. Says where things are; decides nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::super::args::duration;
use super::super::tenant::TenantArgs;
use super::super::weakness::{self, Weakness, WeaknessChoice};

/// A job beside the service.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Job {
    /// Take a backup: freeze the service, copy, let it go on
    Backup(TakeArgs),
    /// Restore the newest whole archive
    Restore(RestoreArgs),
    /// Rehearse a restore, and prove that the service could live on it
    Drill(DrillArgs),
    /// Bring a second copy of a directory up to date
    Mirror(MirrorArgs),
    /// Live beside it on its volume, and leave files behind
    Tenant(TenantArgs),
}

impl Job {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Drill(_) => "drill",
            Self::Mirror(_) => "mirror",
            Self::Tenant(_) => "tenant",
        }
    }

    /// Whether this bug is switched on.
    pub(super) fn has(&self, weakness: Weakness) -> bool {
        let bugs = match self {
            Self::Backup(args) => &args.bugs,
            Self::Restore(args) => &args.bugs,
            Self::Drill(args) => &args.bugs,
            Self::Mirror(args) => &args.bugs,
            Self::Tenant(_) => return false,
        };
        bugs.has(weakness)
    }
}

/// Bugs to switch on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Bugs {
    /// Switch a known bug on (repeatable); `none` for none
    #[arg(long, value_name = "NAME", value_parser = weakness::parser(), hide_possible_values = true)]
    pub weakness: Vec<WeaknessChoice>,
}

impl Bugs {
    /// Whether this one is switched on.
    pub(super) fn has(&self, weakness: Weakness) -> bool {
        self.weakness.contains(&WeaknessChoice::One(weakness))
    }
}

/// `backup`
#[derive(Debug, Clone, clap::Args)]
pub struct TakeArgs {
    /// Where the service listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub agent: String,

    /// The service's data directory
    #[arg(long, value_name = "DIR", default_value = "/data")]
    pub data: PathBuf,

    /// The directory of its configuration and key
    #[arg(long, value_name = "DIR")]
    pub identity: Option<PathBuf>,

    /// Directory for archives
    #[arg(long, value_name = "DIR", default_value = "/backup")]
    pub target: PathBuf,

    /// Go on: a backup, this pause, the next one
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub every: Option<Duration>,

    /// Delete archives that are older
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub keep_for: Option<Duration>,

    /// Read no faster than this many bytes per second, as in `1MiB`
    #[arg(long, value_name = "SIZE")]
    pub bandwidth: Option<bytesize::ByteSize>,

    /// Keep in memory what was read, as a job does that stores no block twice
    #[arg(long)]
    pub deduplicate: bool,

    /// The service goes on by itself after this time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub freeze_limit: Duration,

    /// How long to wait for another backup to end
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub lock_wait: Duration,

    /// Bugs to switch on
    #[command(flatten)]
    pub bugs: Bugs,
}

/// `restore`
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// An archive, or a directory of archives, of which the newest whole one is taken
    #[arg(long, value_name = "PATH", default_value = "/backup")]
    pub from: PathBuf,

    /// The data directory to fill; it may hold no state
    #[arg(long, value_name = "DIR", default_value = "/data")]
    pub data: PathBuf,

    /// The directory to put configuration and key into
    #[arg(long, value_name = "DIR")]
    pub identity: Option<PathBuf>,

    /// Bugs to switch on
    #[command(flatten)]
    pub bugs: Bugs,
}

/// `drill`
#[derive(Debug, Clone, clap::Args)]
pub struct DrillArgs {
    /// An archive, a snapshot, or a directory of archives, of which the newest whole one is taken
    #[arg(long, value_name = "PATH", default_value = "/backup")]
    pub from: PathBuf,

    /// Directory to restore into: `data` and `identity` in it are replaced
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,

    /// Configuration and key must be there too
    #[arg(long)]
    pub with_identity: bool,

    /// It must be over within this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub within: Option<Duration>,

    /// Bugs to switch on
    #[command(flatten)]
    pub bugs: Bugs,
}

/// `mirror`
#[derive(Debug, Clone, clap::Args)]
pub struct MirrorArgs {
    /// The directory that is right
    #[arg(long, value_name = "DIR", default_value = "/backup")]
    pub from: PathBuf,

    /// Its copy
    #[arg(long, value_name = "DIR", default_value = "/mirror")]
    pub to: PathBuf,

    /// Bugs to switch on
    #[command(flatten)]
    pub bugs: Bugs,
}
