//! `recover`: undoes what a crashed run left behind, from its journal alone.

use std::{path::Path, sync::Arc};

use anyhow::bail;

use super::{args::RecoverArgs, output, report};
use crate::{
    diagnostic::{closest, suggest},
    helper::recover::{self, Recovered, RunState},
    history::{FILE, History},
    report::text::one_line,
    run::is_run_id,
    runtime::Docker,
    verdict::ExitCode,
};

/// Bytes that are shown of what was given for a run.
const SHOWN: usize = 100;
/// Runs that a hint names.
const NAMED: usize = 5;

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
            let (known, called) = at_engine(&docker, run).await?;
            if called.is_empty() {
                let (said, code) = unknown(run, &known, &args.out)?;
                output::say(said);
                return Ok(code);
            }
            let mut recovered = Vec::new();
            for run in called {
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
        output::say(nothing(&recover::list(&docker).await?));
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

/// All runs there are, and those of them whose id begins with this.
async fn at_engine(docker: &Docker, begin: &str) -> anyhow::Result<(Vec<RunState>, Vec<String>)> {
    let there = |known: &[RunState]| known.iter().any(|state| state.run.starts_with(begin));
    let known = recover::list_until(docker, there).await?;
    let called = runs_called(&known, begin)?;
    Ok((known, called))
}

/// Every run whose id begins with this. A run has an id per case that ran side by side.
fn runs_called(known: &[RunState], begin: &str) -> anyhow::Result<Vec<String>> {
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

/// The run of these reports whose id begins with this, where there is one.
fn reported<'a>(reports: &'a [String], begin: &str) -> anyhow::Result<Option<&'a str>> {
    let ids = reports.iter().map(String::as_str);
    let found: Vec<&str> = ids.filter(|id| !begin.is_empty() && id.starts_with(begin)).collect();
    let whole = found.iter().find(|id| **id == begin);
    if whole.is_none() && found.len() > 1 {
        let named = found[..found.len().min(NAMED)].join(", ");
        let more = if found.len() > NAMED { ", …" } else { "" };
        bail!("`{begin}` may be any of {named}{more}\n\nhint: write more of it");
    }
    Ok(whole.or(found.first()).copied())
}

/// What is said of a run that has nothing at the engine. One of which nothing is left is no error,
/// and which that is its reports and the history tell; of any other only the form of its id does.
fn unknown(run: &str, states: &[RunState], out: &Path) -> anyhow::Result<(String, ExitCode)> {
    const NOTHING: &str = "nothing to recover";
    let reports = report::runs(out);
    // its cases side by side have an id each
    let whole = run.split('-').next().unwrap_or(run);
    let remembered = || History::open(&out.join(FILE)).is_ok_and(|all| all.run(whole).is_ok());
    if let Some(known) = reported(&reports, whole)? {
        let out = out.display();
        let said = format!("{NOTHING}: nothing is left of `{known}`, whose reports are in `{out}`");
        return Ok((said, ExitCode::Pass));
    }
    if is_run_id(run) && remembered() {
        let said = format!("{NOTHING}: nothing is left of `{run}`, which the history knows");
        return Ok((said, ExitCode::Pass));
    }
    let names = states.iter().map(|state| state.run.as_str());
    let names: Vec<&str> = names.chain(reports.iter().map(String::as_str)).collect();
    // without what all of them end in: two that only share that are not alike
    let ids = names.iter().map(|name| name.split('-').next().unwrap_or(name));
    let meant = closest(whole, ids);
    if is_run_id(run) && meant.is_none() {
        let (run, out) = (one_line(run, SHOWN), out.display());
        let said = format!(
            "{NOTHING}\n\nhint: no report in `{out}` is of a run `{run}`: whether it left nothing, was recovered \
             already or never was cannot be told here; `--out` names another directory"
        );
        return Ok((said, ExitCode::Pass));
    }
    let hint = suggest(run, names.into_iter().take(NAMED))
        .unwrap_or_else(|| "nothing is left of any run, and none has reports here".into());
    let hint = meant.map_or(hint, |meant| format!("did you mean `{meant}`?"));
    let said = format!("error: no run is called `{}`\n\nhint: {hint}", one_line(run, SHOWN));
    Ok((said, ExitCode::Usage))
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::runtime::scripted::{self, ScriptedEngine};

    /// Makes the directory of a run's reports.
    fn report_of(run: &str, out: &Path) {
        std::fs::create_dir(out.join(run)).unwrap();
        std::fs::write(out.join(run).join("events.jsonl"), "").unwrap();
    }

    #[test]
    fn nothing_to_recover_names_the_runs_that_may_have_just_ended() {
        let state = |live| RunState { run: "a-0".into(), live, kept: false, objects: Vec::new() };
        assert_eq!(nothing(&[]), "nothing to recover");
        assert_eq!(nothing(&[state(false)]), "nothing to recover");
        let text = nothing(&[state(true)]);
        assert!(text.contains("hint: `a-0` counts as live") && text.contains("2.5 s"), "{text}");
    }

    #[test]
    fn a_run_that_never_was_is_told_from_one_of_which_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        report_of("kabcdef", dir.path());
        let objects = Vec::new();
        let there = [RunState { run: "kqrstuv-0".into(), live: false, kept: false, objects }];
        for (run, code, says) in [
            ("kabcdef", ExitCode::Pass, "nothing is left of `kabcdef`"),
            ("kabcdef-3", ExitCode::Pass, "nothing is left of `kabcdef`"),
            ("kab", ExitCode::Pass, "nothing is left of `kabcdef`"),
            ("kzzzzzz-0", ExitCode::Pass, "cannot be told here"),
            ("kabcdeg", ExitCode::Usage, "did you mean `kabcdef`?"),
            ("kqrstuw-0", ExitCode::Usage, "did you mean `kqrstuv`?"),
            ("NONSENSE", ExitCode::Usage, "known here: `kqrstuv-0`, `kabcdef`"),
            ("-", ExitCode::Usage, "no run is called `-`"),
        ] {
            let (said, found) = unknown(run, &there, dir.path()).unwrap();
            assert!(found == code && said.contains(says), "{run}: {said}");
        }
    }

    #[test]
    fn a_beginning_that_several_reports_share_is_none_of_them() {
        let dir = tempfile::tempdir().unwrap();
        ["kabcdef", "kabcxyz", "kab"].iter().for_each(|run| report_of(run, dir.path()));
        let error = unknown("kabc", &[], dir.path()).unwrap_err().to_string();
        assert!(error.contains("`kabc` may be any of kabc"), "{error}");
        assert!(error.contains("kabcdef") && error.contains("kabcxyz"), "{error}");
        // the whole of one, though it begins another
        let (said, code) = unknown("kab", &[], dir.path()).unwrap();
        assert!(code == ExitCode::Pass && said.contains("nothing is left of `kab`"), "{said}");
    }

    #[tokio::test]
    async fn a_run_that_one_list_left_out_is_looked_for_again() {
        let lists = AtomicUsize::new(0);
        let labels = json!({ "keelhaul.run": "kabcdef", "keelhaul.role": "journal" });
        let journal = json!({ "Name": "keelhaul-kabcdef", "Labels": labels, "Driver": "local",
                              "Mountpoint": "/m", "Scope": "local", "Options": {} });
        let engine = ScriptedEngine::start(move |asked| match asked {
            _ if !asked.starts_with("GET /volumes?") => scripted::json(&json!([])),
            _ if lists.fetch_add(1, Ordering::Relaxed) < 2 => {
                scripted::json(&json!({ "Volumes": [] }))
            }
            _ => scripted::json(&json!({ "Volumes": [journal] })),
        });
        let (_, called) = at_engine(&engine.client(), "kab").await.unwrap();
        assert_eq!(called, ["kabcdef"]);
        assert_eq!(engine.asked("GET /volumes?").len(), 3);
    }
}
