//! What `init` is asked for.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

const EXAMPLES: &str = "\
Examples:
  keelhaul init shop-db                          from a container, running or not
  keelhaul init --compose compose.yaml --out storage-tests
  keelhaul init --attach shop-db-1               for the container itself, as it runs

A suite runs copies: nothing is done to the container, and its volumes are not touched. With `--attach`
or `--compose-project` it acts on the containers themselves, with what can be given back to them, and
runs only where `run` is given `--attach` too.";

/// `init`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
#[command(group = ArgGroup::new("from").required(true)
    .args(["container", "compose", "attach", "compose_project"]))]
pub(in crate::cli) struct InitArgs {
    /// A container by name or id.
    pub(in crate::cli) container: Option<String>,

    /// A Compose file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) compose: Option<PathBuf>,

    /// Containers that run already, to act on: name, id, `label=KEY=VALUE`, `project=NAME[/SERVICE]`.
    #[arg(long, value_name = "CONTAINER", num_args = 1.., help_heading = "Containers of yours")]
    pub(in crate::cli) attach: Vec<String>,

    /// Every running container of this Compose project, to act on.
    #[arg(long, value_name = "NAME", help_heading = "Containers of yours")]
    pub(in crate::cli) compose_project: Option<String>,

    /// Directory for the scenarios; no file there is overwritten.
    #[arg(long, default_value = "scenarios", value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
}
