//! `plan`: a dry run: every action with its undo, capabilities and blast radius.

use super::{args::PlanArgs, check, output};
use crate::{plan::text, verdict::ExitCode};

pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let Some(cases) = check::cases(&args.selection)? else { return Ok(ExitCode::Usage) };
    let rendered: Vec<_> = cases.iter().map(text::render).collect();
    output::data(rendered.join("\n"))?;
    if let (None, Some(first)) = (args.selection.seed, cases.first()) {
        let seed = first.run_seed;
        output::say(format!("`keelhaul run` follows this plan with `--seed {seed}`"));
    }
    Ok(ExitCode::Pass)
}
