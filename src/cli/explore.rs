//! `explore`: more states of a disk's past, by the log that `explore` of a scenario has kept. What they are put
//! on is taken away again.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;

use super::{
    args::{AuditFormat, ExploreArgs},
    output,
    replay::{by_helper, hiding, hinted, opened, plain, reader, told},
};
use crate::{
    block::{Profile, read_log},
    crash_state::{CrashState, Facts, Records},
    ledger::{Event, RecordId},
    probes::{Asked, Sample, judge},
    protocol::{CutProfile, ExploreReport, ExploreSpec, Place, Reads},
    run::{self, ExploreLog, Found, Redactor},
    runtime::Docker,
    verdict::{ExitCode, Verdict},
};

/// Version of the JSON.
const FORMAT: u32 = 1;
/// Bytes of a file that is worth reading: a log has fewer.
const LARGEST: u64 = 256 << 20;

pub(super) async fn explore(args: &ExploreArgs) -> anyhow::Result<ExitCode> {
    let recorded = match Recorded::open(args) {
        Ok(recorded) => recorded,
        Err(why) => return Ok(refused(&why)),
    };
    let facts = &recorded.state.facts;
    let docker = Arc::new(Docker::connect(None)?);
    let container = match reader(&docker, args.container.as_deref(), facts).await? {
        Ok(container) => container,
        Err(why) => return Ok(refused(&why)),
    };
    let redactor = match &container {
        Some(id) => hiding(&docker, id).await?,
        None => Redactor::default(),
    };
    if let Some(told) = told(args.container.as_deref(), facts) {
        output::say(told);
    }
    let explore = spec(args, facts, container);
    let found = by_helper(docker, async |helper, run| {
        let (log, state) = (&recorded.log[..], &recorded.file[..]);
        let told = recorded.told.clone();
        let of = ExploreLog { log, state, told, explore, seed: args.seed };
        run::explore(helper, run, of).await
    });
    match found.await? {
        Ok(Ok(found)) => ended_with(&found, args, (facts, &redactor)),
        Ok(Err(error)) => {
            let why = plain(&redactor.text(hinted(&error, facts)));
            output::say(format!("error: the states could not be looked at: {why}"));
            Ok(ExitCode::Error)
        }
        Err(code) => Ok(code),
    }
}

fn refused(why: &str) -> ExitCode {
    output::say(format!("error: {why}"));
    ExitCode::Usage
}

/// A log, and the state that was kept with it.
struct Recorded {
    log: Vec<u8>,
    told: Vec<(RecordId, u64)>,
    file: Vec<u8>,
    state: CrashState,
}

impl Recorded {
    fn open(args: &ExploreArgs) -> Result<Self, String> {
        if let Some(keep) = args.keep.as_ref().filter(|keep| keep.exists()) {
            let keep = keep.display();
            return Err(format!("`{keep}` is there already\n\nhint: name a new file for `--keep`"));
        }
        let named = |path: &Path, why: String| format!("`{}`: {why}", path.display());
        let log = log(&args.log).map_err(|why| named(&args.log, why))?;
        let logged = read_log(&log).map_err(|why| named(&args.log, plain(&why)))?;
        let path = args.state.clone().unwrap_or_else(|| beside(&args.log));
        let (file, state) = opened(&path).map_err(|why| {
            let hint = match args.state {
                None if !path.exists() => {
                    "\n\nhint: it was kept beside the log, and has what was promised: name it by `--state`"
                }
                _ => "",
            };
            named(&path, format!("{why}{hint}"))
        })?;
        let told = acknowledgements(&logged.told, &state).map_err(|why| named(&args.log, why))?;
        if let Some(beyond) = unnoticed(args, &state.facts) {
            return Err(beyond);
        }
        Ok(Self { log, told, file, state })
    }
}

fn log(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!("it has {length} bytes, more than any log that is kept"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// The state that was kept with a log.
fn beside(log: &Path) -> PathBuf {
    log.with_extension("crash")
}

/// Where each record was acknowledged. A log without those of the state belongs to another one.
fn acknowledgements(
    told: &[(String, u64)],
    state: &CrashState,
) -> Result<Vec<(RecordId, u64)>, String> {
    let run = format!(" {}", state.ledger.run);
    let id = |text: &str| {
        let (rest, id) = text.rsplit_once(' ')?;
        id.parse().ok().filter(|_| rest.ends_with(&run))
    };
    let places: Vec<(RecordId, u64)> =
        told.iter().filter_map(|(text, at)| Some((id(text)?, *at))).collect();
    let promised = state.ledger.entries.iter().filter_map(|entry| match entry.event {
        Event::Acknowledged(id) => Some(id),
        _ => None,
    });
    let known: HashSet<RecordId> = places.iter().map(|(id, _)| *id).collect();
    let missing = promised.filter(|id| !known.contains(id)).count();
    match missing {
        0 => Ok(places),
        count => Err(format!(
            "{count} records that are acknowledged in the crash state are not in this log\n\nhint: take the log \
             and the state of one `explore`"
        )),
    }
}

fn profiles(args: &ExploreArgs) -> Vec<CutProfile> {
    match args.profiles.is_empty() {
        true => CutProfile::all_of_a_disk(),
        false => args.profiles.clone(),
    }
}

/// Why a profile says nothing here: a file cannot notice what was done to it.
fn unnoticed(args: &ExploreArgs, facts: &Facts) -> Option<String> {
    let is_file = matches!(facts.records, Records::File(_));
    let beyond = profiles(args).into_iter().find(|profile| is_file && profile.is_beyond())?;
    Some(format!(
        "`{}` is beyond what a disk may do: a service need only notice it, and its file does not say whether it \
         has\n\nhint: use another profile",
        beyond.name()
    ))
}

fn spec(args: &ExploreArgs, facts: &Facts, container: Option<String>) -> ExploreSpec {
    let reads = match &facts.records {
        Records::File(file) => Reads::File(file.clone()),
        Records::Program { path, command } => {
            let (container, path) = (container.unwrap_or_default(), path.clone());
            let place = Place { container, pid: 0, path, host_path: None };
            Reads::Program { place, command: command.clone() }
        }
    };
    let profiles: Vec<Profile> =
        profiles(args).into_iter().filter_map(CutProfile::of_disk).collect();
    ExploreSpec {
        disk: String::new(),
        reads,
        profiles,
        states: args.states,
        time_ms: u64::try_from(args.time.0.as_millis()).unwrap_or(u64::MAX),
        log_writes: false,
        workers: None,
        fsck: checks(args, facts),
        second_cuts: args.second_cuts.unwrap_or_default(),
        draw: None,
    }
}

/// Errors that the filesystem's own check finds make a state a wrong one: where they did when the log was kept, too.
fn checks(args: &ExploreArgs, facts: &Facts) -> bool {
    args.fsck || facts.fsck
}

/// Says what came of it, and nothing of the container's secrets.
fn ended_with(
    found: &Found,
    args: &ExploreArgs,
    (facts, redactor): (&Facts, &Redactor),
) -> anyhow::Result<ExitCode> {
    let (fsck, second) = (checks(args, facts), args.second_cuts.is_some());
    let sample = judge(&found.report, Asked { states: args.states, fsck, second });
    let verdict = match (&sample.violation, sample.vacuous) {
        (None, _) => Verdict::Pass,
        (Some(_), false) => Verdict::Fail,
        (Some(_), true) => Verdict::Inconclusive,
    };
    let shown = |text: &str| plain(&redactor.text(text.to_owned()));
    let sample = Sample {
        observed: shown(&sample.observed),
        violation: sample.violation.as_deref().map(shown),
        ..sample
    };
    output::data(match args.format {
        AuditFormat::Human => human(facts, verdict, &sample),
        AuditFormat::Json => json(args, &found.report, (verdict, &sample)),
    })?;
    match (&args.keep, &found.state) {
        // the verdict stands, wherever the state is
        (Some(to), Some(Ok(state))) => {
            let kept = File::create_new(to).and_then(|mut file| file.write_all(state));
            output::say(match (kept, to.display()) {
                (Ok(()), to) => format!("`keelhaul replay {to}` judges it again"),
                (Err(error), to) => format!("error: the state is not kept: `{to}`: {error}"),
            });
        }
        (Some(_), Some(Err(why))) => output::say(format!("error: the state is not kept: {why}")),
        _ => {}
    }
    Ok(match verdict {
        Verdict::Pass => ExitCode::Pass,
        Verdict::Fail => ExitCode::Fail,
        _ => ExitCode::Inconclusive,
    })
}

fn human(facts: &Facts, verdict: Verdict, sample: &Sample) -> String {
    let Facts { filesystem, acknowledged, .. } = facts;
    let verdict = match (verdict, &sample.violation) {
        (Verdict::Pass, _) => "pass: every promise is kept".to_owned(),
        (Verdict::Fail, Some(violation)) => format!("fail: {violation}"),
        (_, violation) => format!("inconclusive: {}", violation.as_deref().unwrap_or_default()),
    };
    format!(
        "log    {filesystem}, {acknowledged} acknowledged\nseen   {}\nnow    {verdict}\n",
        sample.observed
    )
}

fn json(
    args: &ExploreArgs,
    report: &ExploreReport,
    (verdict, sample): (Verdict, &Sample),
) -> String {
    let whole = json!({
        "explore": FORMAT,
        "log": args.log.display().to_string(),
        "verdict": verdict,
        "observed": sample.observed,
        "violation": sample.violation,
        "states": report.states,
        "alike": report.alike,
        "wrong": report.wrong,
        "unmountable": report.unmountable,
        "moments": report.points,
        "second": report.second,
        "checked": report.checked,
        "took_us": report.took_us,
    });
    format!("{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crash_state::testing::facts,
        ledger::{Entry, Log},
    };

    fn state(acknowledged: &[u64]) -> CrashState {
        let ack = |sequence: &u64| {
            let event = Event::Acknowledged(RecordId { writer: 0, sequence: *sequence });
            Entry { at_us: 5, event }
        };
        let entries = acknowledged.iter().map(ack).collect();
        let ledger = Log { run: "r1".into(), entries, torn: false };
        CrashState { facts: facts(), ledger, image: crate::block::Image::new(4096) }
    }

    #[test]
    fn a_log_has_the_place_of_every_promise_or_belongs_to_another_state() {
        let told = [("at 3 r1 w0-7", 30), ("at 4", 40), ("at 5 r1 w0-8", 50)]
            .map(|(it, at)| (it.to_owned(), at));
        let id = |sequence| RecordId { writer: 0, sequence };
        let places = acknowledgements(&told, &state(&[7])).unwrap();
        assert_eq!(places, [(id(7), 30), (id(8), 50)]);
        let why = acknowledgements(&told, &state(&[7, 9])).unwrap_err();
        assert!(why.starts_with("1 records that are acknowledged"), "{why}");
        let others = [("at 3 r2 w0-7".to_owned(), 30)];
        assert!(acknowledgements(&others, &state(&[7])).is_err(), "it is another run's");
        assert_eq!(beside(Path::new("a/records-1.log-writes")), Path::new("a/records-1.crash"));
    }

    #[test]
    fn every_verdict_is_said() {
        let said = |verdict, sample: &Sample| human(&facts(), verdict, sample);
        let pass = said(Verdict::Pass, &Sample::within("40 states"));
        assert_eq!(
            pass,
            "log    ext4, 41 acknowledged\nseen   40 states\nnow    pass: every promise is kept\n"
        );
        let fail = said(Verdict::Fail, &Sample::outside("40 states", "1 of 40"));
        assert!(fail.ends_with("now    fail: 1 of 40\n"));
        let none = said(Verdict::Inconclusive, &Sample::proves_nothing("", "hung"));
        assert!(none.ends_with("now    inconclusive: hung\n"));
    }
}
