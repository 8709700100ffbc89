//! `recover`: undoes what a crashed run left behind, from its journal alone.

use std::sync::Arc;

use anyhow::bail;

use super::{args::RecoverArgs, output};
use crate::{
    helper::recover::{self, Recovered, RunState},
    runtime::Docker,
    verdict::ExitCode,
};

pub(super) async fn recover(args: &RecoverArgs) -> anyhow::Result<ExitCode> {
    let docker = Arc::new(Docker::connect(None)?);
    if args.list {
        output::data(listing(&recover::list(&docker).await?))?;
        return Ok(ExitCode::Pass);
    }
    let mut refused = Vec::new();
    let recovered = match &args.run {
        None => recover::recover_all(Arc::clone(&docker)).await?,
        Some(run) => {
            let mut recovered = Vec::new();
            for run in runs_called(&docker, run).await? {
                match recover::recover(Arc::clone(&docker), &run, args.force).await {
                    Ok(one) => recovered.push(one),
                    // what keeps one from being recovered is no reason to leave the others
                    Err(error) => refused.push(error),
                }
            }
            recovered
        }
    };
    recovered.iter().try_for_each(|one| output::data(summary(one)))?;
    if let Some(last) = refused.pop() {
        refused.iter().for_each(|error| output::say(format!("error: {error}")));
        return Err(last.into());
    }
    if recovered.is_empty() {
        // of one that was named it is known
        let others = if args.run.is_none() { recover::list(&docker).await? } else { Vec::new() };
        output::say(nothing(&others));
    }
    let complete = recovered.iter().all(|one| one.problems.is_empty());
    Ok(if complete { ExitCode::Pass } else { ExitCode::RollbackIncomplete })
}

/// A run that was killed a moment ago looks like one that goes on.
fn nothing(states: &[RunState]) -> String {
    let live = states.iter().filter(|state| state.live).map(|state| format!("`{}`", state.run));
    let live: Vec<String> = live.collect();
    if live.is_empty() {
        return "nothing to recover".into();
    }
    let (live, stale) = (live.join(", "), recover::STALE.as_secs_f64());
    format!(
        "nothing to recover\n\nhint: {live} counts as live; if it was killed less than {stale} s \
         ago, ask again when its lease is older than that"
    )
}

/// Every run whose id begins with this. A run has an id per case that ran side by side.
async fn runs_called(docker: &Docker, begin: &str) -> anyhow::Result<Vec<String>> {
    let known = recover::list(docker).await?;
    // a whole id is that run alone: `k7f3a9-1` is not the beginning of `k7f3a9-10`
    if known.iter().any(|state| state.run == begin) {
        return Ok(vec![begin.to_owned()]);
    }
    let found: Vec<String> = known
        .iter()
        .filter(|state| state.run.starts_with(begin))
        .map(|state| state.run.clone())
        .collect();
    let ids: std::collections::BTreeSet<&str> =
        found.iter().map(|run| run.split('-').next().unwrap_or(run)).collect();
    if ids.len() > 1 {
        bail!("`{begin}` may be any of {}\n\nhint: write more of it", found.join(", "));
    }
    Ok(found)
}

fn listing(states: &[RunState]) -> String {
    if states.is_empty() {
        return "nothing is left of any run\n".into();
    }
    let mut text = String::new();
    for state in states {
        let life = match (state.live, state.kept) {
            (true, _) => "live",
            (false, true) => "kept: `recover` removes it when it is named",
            (false, false) => "left behind",
        };
        text.push_str(&format!("{:<12} {life}\n", state.run));
        for object in &state.objects {
            text.push_str(&format!(
                "  {:<10} {}\n",
                format!("{:?}", object.kind).to_lowercase(),
                object.name
            ));
        }
    }
    text
}

fn summary(recovered: &Recovered) -> String {
    let mut text = format!("{}\n", recovered.run);
    for undone in &recovered.undone {
        let ok = undone.problems.is_empty() && undone.pending.is_empty();
        let done = if ok { "undone " } else { "pending" };
        text.push_str(&format!("  {done}  {}\n", undone.what));
    }
    for object in &recovered.removed {
        text.push_str(&format!(
            "  removed  {} {}\n",
            format!("{:?}", object.kind).to_lowercase(),
            object.name
        ));
    }
    for problem in &recovered.problems {
        text.push_str(&format!("  problem  {problem}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_recover_names_the_runs_that_may_have_just_ended() {
        let state = |live| RunState { run: "a-0".into(), live, kept: false, objects: Vec::new() };
        assert_eq!(nothing(&[]), "nothing to recover");
        assert_eq!(nothing(&[state(false)]), "nothing to recover");
        let text = nothing(&[state(true)]);
        assert!(text.contains("hint: `a-0` counts as live") && text.contains("2.5 s"), "{text}");
    }
}
