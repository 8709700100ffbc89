//! Every verb and option, with the help that users read.

mod debugging;
mod doctor;
mod explore;
mod history;
mod init;
mod replay;

use std::path::{Path, PathBuf};

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum,
    builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};

pub(super) use debugging::Debugging;
pub(super) use doctor::DoctorArgs;
pub(super) use explore::ExploreArgs;
pub(super) use history::{
    HistoryAdd, HistoryArgs, HistoryCompare, HistoryFormat, HistoryShow, HistoryVerb, Since,
};
pub(super) use init::InitArgs;
pub(super) use replay::ReplayArgs;

use crate::{
    audit::Weight,
    plan::{SelectError, Shard},
    report::Format,
    specimen::SpecimenArgs,
    units::Duration,
    verdict::FailOn,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  keelhaul doctor                         what this host can do, and why not
  keelhaul check scenarios/               find every mistake, touch nothing
  keelhaul plan scenarios/capacity        every action with its undo
  keelhaul run scenarios/ --jobs 2        run a suite; reports in reports/latest
  keelhaul gameday my.yaml                inject and revert by key, watch, save as a scenario
  keelhaul explain inode-exhaustion       what a fault does, and its parameters
  keelhaul init --compose compose.yaml    write a first suite for what runs already
  keelhaul audit web db                   which choices about their mounts bite later
  keelhaul history --since 7d             what the runs of a week came to
  keelhaul replay FILE.crash              judge a kept crash state again
  keelhaul recover --all                  finish what a crash left

Exit codes:
  0 pass or skipped   1 a hypothesis failed, or `audit` found something
  2 bad scenario or command line
  3 harness error     4 rollback incomplete   5 inconclusive   130 interrupted";

/// Break the storage under a container, and prove that its service survived.
#[derive(Debug, Parser)]
#[command(name = "keelhaul", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) verb: Verb,

    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run scenarios and report a verdict.
    Run(RunArgs),
    /// Inject and revert by key, on the subjects of a scenario.
    Gameday(GamedayArgs),
    /// Find every mistake in scenarios; touch nothing.
    Check(CheckArgs),
    /// Show every action with its undo; touch nothing.
    Plan(PlanArgs),
    /// List faults, probes, volumes, workloads, weaknesses, rules.
    List(ListArgs),
    /// Explain a fault, probe, volume, workload or key of a scenario.
    Explain(ExplainArgs),
    /// Print the JSON schema of the scenario language.
    Schema(SchemaArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Write the man pages, one for each verb.
    Man(ManArgs),
    /// Say what this host can and cannot do, and why.
    Doctor(DoctorArgs),
    /// Write a first suite for a container or a Compose file.
    Init(InitArgs),
    /// Name the choices about containers' mounts that bite later; touch nothing.
    Audit(AuditArgs),
    /// Undo what a crashed run left behind.
    Recover(RecoverArgs),
    /// Judge a crash state again that `explore` has kept.
    Replay(ReplayArgs),
    /// Look at more states of a disk's past, by the log that `explore` has kept.
    Explore(ExploreArgs),
    /// Render the reports of a run again, from its events.
    Report(ReportArgs),
    /// Say what many runs came to, and what changes from run to run.
    History(HistoryArgs),
    /// Open a shell in a subject's namespaces.
    Shell(ShellArgs),
    /// The helper's keeper, inside its container.
    #[command(hide = true)]
    Helper(ServerArgs),
    /// Says what this executable is and needs, for a program that links the library.
    #[command(hide = true)]
    HelperFacts(ServerArgs),
    /// The helper's worker, started by the keeper.
    #[command(hide = true)]
    HelperWorker(ServerArgs),
    /// Allocates memory in a subject's cgroup, started by the worker.
    #[command(hide = true)]
    HelperGrower(ServerArgs),
    /// A trial of the worker's, in a process of its own.
    #[command(hide = true)]
    HelperErrand(ServerArgs),
    /// Holds what a subject's user could still have, started by the worker.
    #[command(hide = true)]
    HelperHold(ServerArgs),
    /// Serves a filesystem under a volume, started by the worker.
    #[command(hide = true)]
    HelperInterposer(ServerArgs),
    /// Says how old a run's lease is, inside a container on its volume.
    #[command(hide = true)]
    HelperLease(ServerArgs),
    /// The shell's own side, inside a container beside the subject.
    #[command(hide = true)]
    ShellServer(ServerArgs),
    /// An engine of the scenario's own, inside its container.
    #[command(hide = true)]
    Engine(ServerArgs),
    /// The reference subject, inside its container.
    #[command(hide = true)]
    Specimen(Box<SpecimenArgs>),
}

/// Which scenarios, and with which values.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Scenario files, or directories that are searched for `*.yaml`.
    #[arg(default_value = "scenarios", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Give a variable a value.
    #[arg(long, value_name = "VAR=VALUE")]
    pub(super) set: Vec<String>,

    /// Only scenarios with this tag, `!tag` without; every one given must hold.
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Vec<String>,

    /// Only this case, as reports name it.
    #[arg(long, value_name = "ID")]
    pub(super) case: Option<String>,

    /// Seed of every decision; the same seed gives the same faults.
    #[arg(long)]
    pub(super) seed: Option<u64>,

    /// Whether the controls run: the same scenarios with a known bug, which must fail.
    #[arg(long, value_enum, default_value_t)]
    pub(super) controls: Controls,

    /// Only the K-th of N parts of the suite.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub(super) shard: Option<Shard>,
}

impl Selection {
    /// Of a file, whatever it says.
    pub(super) fn without_controls(file: &Path) -> Self {
        Self {
            paths: vec![PathBuf::from(file)],
            set: Vec::new(),
            tag: Vec::new(),
            case: None,
            seed: None,
            controls: Controls::Never,
            shard: None,
        }
    }
}

/// Whether controls run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Controls {
    /// With their scenarios.
    #[default]
    Always,
    /// Without their scenarios.
    Only,
    /// Not at all.
    Never,
}

fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: SelectError| error.to_string())
}

const RUN_EXAMPLES: &str = "\
Examples:
  keelhaul run scenarios/capacity/inode-exhaustion.yaml
  keelhaul run scenarios/ --tag regression --jobs 2 --retries 1
  keelhaul run my.yaml --set image=my-service:edge --hold";

/// Where reports go that nobody sends elsewhere.
pub(super) const REPORTS: &str = "reports";

/// `run`
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) selection: Selection,

    /// Directory of the reports; `latest` in it points to the newest run.
    #[arg(long, default_value = REPORTS, value_name = "DIR", help_heading = "Output")]
    pub(super) out: PathBuf,

    /// What goes to stdout.
    #[arg(long, value_parser = format(), default_value = "human", help_heading = "Output")]
    pub(super) format: Format,

    /// Leave this run out of the history next to its reports.
    #[arg(long, env = "KEELHAUL_NO_HISTORY", value_parser = FalseyValueParser::new(), help_heading = "Output")]
    pub(super) no_history: bool,

    /// Cases side by side.
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Execution")]
    pub(super) jobs: u16,

    /// Run a case that did not pass up to N times again.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Execution")]
    pub(super) retries: u32,

    /// Start no case after this long; a run that leaves cases out is an error.
    #[arg(long, value_name = "TIME", help_heading = "Execution")]
    pub(super) max_time: Option<Duration>,

    /// A capability that this host lacks is a failure, not a skip.
    #[arg(long, help_heading = "Execution")]
    pub(super) require: bool,

    /// Verdicts that make the exit code non-zero.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = FailOn::USUAL, help_heading = "Execution")]
    pub(super) fail_on: Vec<FailOn>,

    /// Let scenarios act on containers that run already (`attach`), after what may happen to them was
    /// shown and confirmed.
    #[arg(long, help_heading = "Containers of yours")]
    pub(super) attach: bool,

    /// Confirm it beforehand.
    #[arg(long, requires = "attach", help_heading = "Containers of yours")]
    pub(super) yes: bool,

    #[command(flatten)]
    pub(super) debugging: Debugging,
}

/// The formats of the report table, as clap wants them.
fn format() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.name()).help(format.doc()));
    PossibleValuesParser::new(values).map(|given| {
        Format::ALL.into_iter().find(|format| format.name() == given).unwrap_or_default()
    })
}

const GAMEDAY_EXAMPLES: &str = "\
Examples:
  keelhaul gameday scenarios/mount/readonly-log-dir.yaml
  keelhaul gameday my.yaml --case 'my[volume=xfs]' --set image=my-service:edge
  keelhaul gameday --attach shop-db-1 label=role=cache project=shop/web

The scenario's services, volumes, workloads and steady state are set up; its steps are left to you.
Containers that run already are shown first; what could not be given back to them is refused.
`?` lists the keys; Ctrl-X is STOP, whatever is typed: it reverts everything. Every fault ends by
itself, after 60 s unless you type another time; leaving, a terminal that goes away and `SIGTERM`
revert everything. Reports are written as for `run`.";

/// `gameday`
#[derive(Debug, Args)]
#[command(after_help = GAMEDAY_EXAMPLES)]
pub(super) struct GamedayArgs {
    /// The scenario whose set-up is used.
    #[arg(value_name = "SCENARIO", required_unless_present = "attach")]
    pub(super) scenario: Option<PathBuf>,

    /// Containers that run already: name, id, `label=KEY=VALUE`, `project=NAME[/SERVICE]`; with a
    /// scenario, and without a value, those that it attaches to.
    #[arg(long, value_name = "CONTAINER", num_args = 0.., help_heading = "Containers of yours")]
    pub(super) attach: Option<Vec<String>>,

    /// Give a variable a value.
    #[arg(long, value_name = "VAR=VALUE")]
    pub(super) set: Vec<String>,

    /// Which cell, where the scenario has a matrix.
    #[arg(long, value_name = "ID")]
    pub(super) case: Option<String>,

    /// Directory of the reports; `latest` in it points to the newest run.
    #[arg(long, default_value = REPORTS, value_name = "DIR")]
    pub(super) out: PathBuf,

    /// Leave this run out of the history next to its reports.
    #[arg(long, env = "KEELHAUL_NO_HISTORY", value_parser = FalseyValueParser::new())]
    pub(super) no_history: bool,
}

/// `check`
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// `plan`
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// `list`
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this family: `faults`, `probes`, `volumes`, `workloads`, `weaknesses`, `rules`.
    pub(super) family: Option<String>,
}

/// `explain`
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The name, as scenarios write it; a rule of `audit`; a word of the README.
    pub(super) name: String,
}

/// `schema`
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {}

/// `completions`
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The directory that gets them; made where there is none.
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
}

const AUDIT_EXAMPLES: &str = "\
Examples:
  keelhaul audit                             every container that runs
  keelhaul audit web db --fail-on danger     exit code 1 for what can cost data
  keelhaul audit --project shop --format json
  keelhaul audit --compose compose.yaml

`keelhaul explain RULE` says what a rule looks for, and `--except RULE` leaves it out.";

/// `audit`
#[derive(Debug, Args)]
#[command(after_help = AUDIT_EXAMPLES)]
pub(super) struct AuditArgs {
    /// Containers by name or id, running or not; all that run without any.
    #[arg(value_name = "CONTAINER", conflicts_with_all = ["project", "compose"])]
    pub(super) containers: Vec<String>,

    /// The services of a Compose file, before anything is made of it.
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    pub(super) compose: Option<PathBuf>,

    /// Every container of this Compose project.
    #[arg(long, value_name = "NAME")]
    pub(super) project: Option<String>,

    /// Leave a rule out.
    #[arg(long, value_name = "RULE")]
    pub(super) except: Vec<String>,

    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: AuditFormat,

    /// Findings that make the exit code 1.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [AuditFailOn::Danger, AuditFailOn::Caution])]
    pub(super) fail_on: Vec<AuditFailOn>,
}

/// Formats of an audit, of a replay, and of what `doctor` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AuditFormat {
    /// For a terminal.
    #[default]
    Human,
    /// One object.
    Json,
}

/// A finding that makes the exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AuditFailOn {
    /// What can cost data, or every container of the host.
    Danger,
    /// What makes an outage longer than it need be.
    Caution,
}

impl AuditFailOn {
    pub(super) fn of(self) -> Weight {
        match self {
            Self::Danger => Weight::Danger,
            Self::Caution => Weight::Caution,
        }
    }
}

const RECOVER_EXAMPLES: &str = "\
Examples:
  keelhaul recover --list        runs that left something, and which are alive
  keelhaul recover k7f3a9        one run
  keelhaul recover --all         every run whose lease has expired, but those kept on purpose";

/// `recover`
#[derive(Debug, Args)]
#[command(after_help = RECOVER_EXAMPLES)]
#[group(skip)]
#[command(group = ArgGroup::new("what").required(true).args(["run", "all", "list"]))]
pub(super) struct RecoverArgs {
    /// The run, or the beginning of its id.
    pub(super) run: Option<String>,

    /// Every run whose lease has expired, but those kept on purpose.
    #[arg(long)]
    pub(super) all: bool,

    /// Only say what is there.
    #[arg(long)]
    pub(super) list: bool,

    /// Also a run that is alive.
    #[arg(long, requires = "run")]
    pub(super) force: bool,

    /// Directory of the reports: they tell a run of which nothing is left from one that never was.
    #[arg(long, default_value = REPORTS, value_name = "DIR")]
    pub(super) out: PathBuf,
}

/// `report`
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The run's directory, or its id under `--out`; `latest` for the newest.
    #[arg(default_value = "latest")]
    pub(super) run: String,

    /// Directory of the reports.
    #[arg(long, default_value = REPORTS, value_name = "DIR")]
    pub(super) out: PathBuf,

    /// What goes to stdout.
    #[arg(long, value_parser = format(), default_value = "human")]
    pub(super) format: Format,
}

const SHELL_EXAMPLES: &str = "\
Examples:
  keelhaul shell k7f3a9 agent                     look around; `help` lists the commands
  echo 'df /data' | keelhaul shell k7f3a9 agent   one question, from a script";

/// `shell`
#[derive(Debug, Args)]
#[command(after_help = SHELL_EXAMPLES)]
pub(super) struct ShellArgs {
    /// The run, or the beginning of its id; with its slot (`k7f3a9-1`) where cases run side by side and
    /// several have that service.
    pub(super) run: String,

    /// The service.
    pub(super) service: String,
}

/// The helper's own verbs.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Passed on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) rest: Vec<String>,
}
