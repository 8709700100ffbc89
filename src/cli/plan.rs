//! `plan`: a dry run: every action with its undo, capabilities and blast radius.

use super::{args::PlanArgs, attach, check, output};
use crate::{plan::text, verdict::ExitCode};

pub(super) async fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let Some(mut cases) = check::cases(&args.selection)? else { return Ok(ExitCode::Usage) };
    let radius = match attach::shown(&mut cases).await {
        Ok(radius) => radius,
        Err(code) => return Ok(code),
    };
    let rendered: Vec<_> = cases.iter().map(text::render).collect();
    output::data(format!("{}{radius}", rendered.join("\n")))?;
    if let (None, Some(first)) = (args.selection.seed, cases.first()) {
        let seed = first.run_seed;
        output::say(format!("`keelhaul run` follows this plan with `--seed {seed}`"));
    }
    Ok(ExitCode::Pass)
}
