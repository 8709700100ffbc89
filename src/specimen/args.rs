//! The command line of `keelhaul specimen`. Says where things live; decides nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::backup::Job;
use super::weakness::{self, Weakness, WeaknessChoice};

/// More than ever wait in a test: what `unbounded-queue` lets wait.
const UNBOUNDED: u32 = 1 << 20;

/// Run the reference subject: a small service that survives its storage.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SpecimenArgs {
    /// A job beside the service, instead of the service
    #[command(subcommand)]
    pub job: Option<Job>,

    /// Address to serve HTTP on
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Directory for records and state, meant to be a volume
    #[arg(long, value_name = "DIR", default_value = "/data")]
    pub data: PathBuf,

    /// Directory for log files [default: `logs` in the data directory]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,

    /// Directory that does not survive a restart; only `tmpfs-state` uses it
    #[arg(long, value_name = "DIR")]
    pub runtime_state: Option<PathBuf>,

    /// Directory for published releases [default: the data directory]
    #[arg(long, value_name = "DIR")]
    pub release_dir: Option<PathBuf>,

    /// Directory for configuration and key, made at the first start and needed at every later one
    #[arg(long, value_name = "DIR")]
    pub identity: Option<PathBuf>,

    /// Where there is no state: whether to begin a new session, or to wait for a restore
    #[arg(long, value_enum, default_value_t)]
    pub begin: Begin,

    /// Where `layer-state` keeps the journal
    #[arg(long, value_name = "DIR", default_value = "/var/lib/specimen", hide = true)]
    pub layer_dir: PathBuf,

    /// File with one line of configuration, taken over whenever it is replaced
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How often to look at the configuration where no event tells of a change
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub config_poll: Duration,

    /// How often to prove that data and logs can be written
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub heartbeat: Duration,

    /// Controller to beat to, and to wait for at the start
    #[arg(long, value_name = "HOST:PORT")]
    pub controller: Option<String>,

    /// Name to beat under
    #[arg(long, value_name = "NAME", default_value = "agent")]
    pub name: String,

    /// How often to beat, and to expect others to
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub beat_every: Duration,

    /// Pause after a first failure to reach the controller; doubled with each further one
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub retry_first: Duration,

    /// Longest such pause
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub retry_most: Duration,

    /// Directory shared with others, in which to stand for election as the one that works
    #[arg(long, value_name = "DIR")]
    pub elect_in: Option<PathBuf>,

    /// How long a silent leader is left in office
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub lease: Duration,

    /// Keep the records where the election is held, and hand on to the leader what others are sent
    #[arg(long, requires = "elect_in")]
    pub hand_over: bool,

    /// How others reach the leader: by a connection each time, or by some that stay open
    #[arg(long, value_enum, default_value_t)]
    pub reconnect: Reconnect,

    /// How often to save the state
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub snapshot_every: Duration,

    /// How often to publish a new version of the release
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub release_every: Duration,

    /// How long the storage may take before the answer is that nobody knows
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub deadline: Duration,

    /// Records that may wait for the storage; more are refused
    #[arg(long, value_name = "RECORDS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub queue: u32,

    /// How long the data directory may be lost before an alarm is raised
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub mount_alarm_after: Duration,

    /// Average time of a heartbeat's writes above which a leader leaves its office to others
    /// [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub move_at: Option<Duration>,

    /// Average time above which an alarm is raised, once [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub alarm_at: Option<Duration>,

    /// Mount flags that must be in force on the data directory, as in `noexec,nosuid`
    #[arg(long, value_name = "FLAGS", value_delimiter = ',')]
    pub require_flags: Vec<String>,

    /// Lines per log file
    #[arg(long, value_name = "LINES", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub log_rotate_every: u32,

    /// Log files to keep
    #[arg(long, value_name = "FILES", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub log_keep: u32,

    /// Bytes of an index in the data directory that every record is looked up in [default: none]
    #[arg(long, value_name = "BYTES")]
    pub index_size: Option<u64>,

    /// Directory on another volume, in which to keep how much of the journal is durable
    #[arg(long, value_name = "DIR", conflicts_with = "hand_over")]
    pub watermark: Option<PathBuf>,

    /// How often to write a temporary file [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub temp_every: Option<Duration>,

    /// Bytes of a temporary file
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    pub temp_size: usize,

    /// How long a temporary file may live
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = duration)]
    pub temp_ttl: Duration,

    /// How often to delete temporary files that have lived too long
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub temp_sweep: Duration,

    /// Share of the data filesystem's bytes or inodes in use at which all temporary files go
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0)]
    pub cleanup_at: f64,

    /// Share below which such a cleanup may happen again
    #[arg(long, value_name = "PERCENT", default_value_t = 85.0)]
    pub cleanup_rearm: f64,

    /// Free bytes below which such a cleanup happens, whatever the share
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub cleanup_min_space: u64,

    /// Directory shared with others, with one log that all of them append to
    #[arg(long, value_name = "DIR")]
    pub share_in: Option<PathBuf>,

    /// Pause between two records of that log
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration)]
    pub share_every: Duration,

    /// Pause between the eight writes of a record
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration)]
    pub share_pause: Duration,

    /// Directory of somebody else's, on whose filesystem to watch bytes and inodes
    #[arg(long, value_name = "DIR")]
    pub watch_room: Option<PathBuf>,

    /// Share of them in use at which an alarm is raised
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0)]
    pub room_alarm_at: f64,

    /// Directory whose items `PUT /rounds` renames and gives new modes
    #[arg(long, value_name = "DIR")]
    pub rounds_dir: Option<PathBuf>,

    /// Refuse a data directory whose filesystem does not tell the types of its entries
    #[arg(long)]
    pub require_d_type: bool,

    /// Switch a known bug on (repeatable); `list` prints them
    #[arg(long, value_name = "NAME", value_parser = weakness::parser(), hide_possible_values = true)]
    pub weakness: Vec<WeaknessChoice>,
}

/// When a new session may be begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Begin {
    /// Whenever there is no state.
    #[default]
    Always,
    /// Only where there is no configuration and no key either: they are from an earlier start, and
    /// its state is lost.
    First,
    /// Not at all: this is a standby.
    Never,
}

/// How whoever does not lead reaches the one that does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Reconnect {
    /// Connections stay open: when they end, so has the leader, and what was under way goes to the
    /// next one.
    #[default]
    Warm,
    /// One each time; a record that does not get through is refused.
    Naive,
}

impl SpecimenArgs {
    /// Whether this bug is switched on.
    pub(super) fn has(&self, weakness: Weakness) -> bool {
        self.weakness.contains(&WeaknessChoice::One(weakness))
    }

    /// How long an answer of the storage is waited for.
    pub(super) fn patience(&self) -> Duration {
        if self.has(Weakness::NoDeadline) { Duration::MAX } else { self.deadline }
    }

    /// How many records may wait for it.
    pub(super) fn queue(&self) -> u32 {
        if self.has(Weakness::UnboundedQueue) { UNBOUNDED } else { self.queue }
    }

    pub(super) fn logs_dir(&self) -> PathBuf {
        self.logs.clone().unwrap_or_else(|| self.data.join("logs"))
    }

    pub(super) fn releases_root(&self) -> PathBuf {
        self.release_dir.clone().unwrap_or_else(|| self.data.clone())
    }
}

/// `250ms`, `1s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time\n\nhint: write `250ms`, `1s` or `2m`");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    match Duration::try_from(parsed) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(wrong()),
    }
}
