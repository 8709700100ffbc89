//! The command line: one file per verb, wiring only.
//!
//! `anyhow` is used here and nowhere below. Data goes to stdout, progress and logs to stderr.

mod again;
mod args;
mod attach;
mod audit;
mod check;
mod commit;
mod completions;
mod doctor;
mod explain;
mod explore;
mod files;
mod gameday;
mod gaps;
mod history;
mod init;
mod keys;
mod language;
mod list;
mod man;
mod output;
mod plan;
mod ports;
mod progress;
mod recover;
mod remember;
mod replay;
mod report;
mod run;
mod schema;
mod server;
mod set_up;
mod shell;
mod signals;
mod theirs;

use std::{ffi::OsString, process::ExitCode as ProcessExit};

use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{diagnostic::closest, failpoint, verdict::ExitCode};
use args::{Arguments, Verb};

/// Parses the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> ProcessExit {
    let arguments = match parsed(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // help and version are not errors: clap knows where each belongs
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Pass };
            let _ = error.print();
            return exit(code);
        }
    };
    if let Some(code) = server::take_over(&arguments.verb) {
        return code;
    }
    failpoint::this_is(failpoint::Role::Cli);
    output::init_logs(arguments.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&anyhow::Error::new(error));
            return exit(ExitCode::Error);
        }
    };
    let code = runtime.block_on(dispatch(arguments));
    // a blocked system call must not keep the process: whatever it holds is in the journal
    runtime.shutdown_background();
    exit(code)
}

/// What the command line says against these words, the first of which names the program; none where
/// it would begin, or show its help. Nothing is done.
#[must_use]
pub fn refused(words: &[String]) -> Option<String> {
    parsed(words).err().filter(clap::Error::use_stderr).map(|error| error.to_string())
}

fn parsed<W: Into<OsString> + Clone>(
    words: impl IntoIterator<Item = W>,
) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(words).map_err(without_inner_verbs)
}

/// What keelhaul calls in its own containers is nobody's mistyped verb.
fn without_inner_verbs(mut error: clap::Error) -> clap::Error {
    let of = |kind| error.get(kind).cloned();
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(typed))) =
        (error.kind(), of(ContextKind::InvalidSubcommand))
    {
        let command = Arguments::command();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let meant = closest(&typed, verbs.map(clap::Command::get_name));
        let meant = meant.into_iter().map(str::to_owned).collect();
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    error
}

/// The command as users know it: what keelhaul calls in its own containers is not for them.
fn users_command() -> clap::Command {
    let whole = Arguments::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let verbs: Vec<clap::Command> = verbs.collect();
    let mut shown = clap::Command::new("keelhaul").version(env!("CARGO_PKG_VERSION"));
    shown = shown.after_help(args::EXAMPLES).args(whole.get_arguments().cloned());
    match whole.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
    .subcommands(verbs)
}

async fn dispatch(arguments: Arguments) -> ExitCode {
    let done = match arguments.verb {
        Verb::Run(args) => run::run(args).await,
        Verb::Gameday(args) => gameday::gameday(args).await,
        Verb::Check(args) => check::check(&args),
        Verb::Plan(args) => plan::plan(&args).await,
        Verb::List(args) => list::list(&args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Schema(args) => schema::schema(&args),
        Verb::Completions(args) => completions::completions(&args),
        Verb::Man(args) => man::man(&args),
        Verb::Doctor(args) => doctor::doctor(&args).await,
        Verb::Init(args) => init::init(&args).await,
        Verb::Audit(args) => audit::audit(&args).await,
        Verb::Recover(args) => recover::recover(&args).await,
        Verb::History(args) => history::history(&args),
        Verb::Explore(args) => explore::explore(&args).await,
        Verb::Replay(args) => replay::replay(&args).await,
        Verb::Report(args) => report::report(&args),
        Verb::Shell(args) => shell::shell(&args).await,
        Verb::Helper(_)
        | Verb::HelperFacts(_)
        | Verb::HelperWorker(_)
        | Verb::HelperGrower(_)
        | Verb::HelperErrand(_)
        | Verb::HelperHold(_)
        | Verb::HelperInterposer(_)
        | Verb::HelperLease(_)
        | Verb::ShellServer(_)
        | Verb::Engine(_)
        | Verb::Specimen(_) => Ok(ExitCode::Usage),
    };
    done.unwrap_or_else(|error| {
        output::error(&error);
        ExitCode::Error
    })
}

fn exit(code: ExitCode) -> ProcessExit {
    ProcessExit::from(code as u8)
}
