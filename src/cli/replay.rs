//! `replay`: judges a crash state again that `explore` has kept. What it is put on is taken away again.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use serde_json::json;

use super::{
    args::{AuditFormat, ReplayArgs},
    audit, output, signals,
};
use crate::{
    block::Image,
    crash_state::{CrashState, Facts, Records},
    helper::{self, HelperLink as _, client::Helper},
    protocol::Replayed,
    report::text::one_line,
    run::{self, Redactor},
    runtime::Docker,
    verdict::{ExitCode, Verdict},
};

/// Version of the JSON.
const FORMAT: u32 = 1;
/// Bytes of a file that is worth reading: a state has fewer.
const LARGEST: u64 = 256 << 20;
/// Bytes that are shown of what a file or a program says.
const SHOWN: usize = 4000;
/// Before what to do.
const HINT: &str = "\n\nhint: ";

pub(super) async fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let (file, state) = match opened(&args.file) {
        Ok(opened) => opened,
        Err(why) => {
            output::say(format!("error: `{}`: {why}", args.file.display()));
            return Ok(ExitCode::Usage);
        }
    };
    if let Some(to) = &args.extract {
        let extracted = extract(&state.image, to);
        extracted.with_context(|| format!("cannot write `{}`", to.display()))?;
        return Ok(ExitCode::Pass);
    }
    let facts = state.facts;
    let docker = Arc::new(Docker::connect(None)?);
    let container = match reader(&docker, args.container.as_deref(), &facts).await? {
        Ok(container) => container,
        Err(why) => {
            output::say(format!("error: {why}"));
            return Ok(ExitCode::Usage);
        }
    };
    let redactor = match &container {
        Some(id) => hiding(&docker, id).await?,
        None => Redactor::default(),
    };
    if let Some(told) = told(args.container.as_deref(), &facts) {
        output::say(told);
    }
    let judged = judged(docker, (&file, container)).await?;
    ended_with(judged, (args, &facts), &redactor)
}

/// The file, and the state in it.
pub(super) fn opened(path: &Path) -> Result<(Vec<u8>, CrashState), String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if path.is_dir() {
        return Err(format!(
            "it is a directory, and no state\n\nhint: `keelhaul run SCENARIO --replay {}` strikes again \
             what the faults of a run struck",
            path.display()
        ));
    }
    if length > LARGEST {
        return Err(format!("it has {length} bytes, more than any state"));
    }
    let file = fs::read(path).map_err(|error| error.to_string())?;
    let state = CrashState::decode(&file).map_err(|error| plain(&error.to_string()))?;
    Ok((file, state))
}

/// Writes what is not zeros of a disk.
fn extract(image: &Image, to: &Path) -> std::io::Result<()> {
    let file = File::create_new(to)?;
    file.set_len(image.size())?;
    image.data().try_for_each(|(offset, bytes)| file.write_all_at(&bytes, offset))
}

/// The container whose program reads the state, where one does; or why there is none.
pub(super) async fn reader(
    docker: &Docker,
    container: Option<&str>,
    facts: &Facts,
) -> anyhow::Result<Result<Option<String>, String>> {
    let (command, name) = match (&facts.records, container) {
        (Records::File(_), None) => return Ok(Ok(None)),
        (Records::File(file), Some(_)) => {
            return Ok(Err(format!(
                "the records of this state are read from its file `{}`, by no program\n\nhint: leave \
                 `--in` out",
                plain(file)
            )));
        }
        (Records::Program { command, .. }, name) => (command, name),
    };
    let program = plain(command.first().map_or("", String::as_str));
    let Some(name) = name else {
        return Ok(Err(format!(
            "`{program}` reads this state, and nothing says in which container\n\nhint: start the image \
             without the service, and name it: `--in CONTAINER`"
        )));
    };
    let all = docker.listed().await?;
    Ok(match audit::called(name, &all) {
        Ok(found) if found.running => Ok(Some(found.id.clone())),
        Ok(_) => Err(format!(
            "`{name}` does not run, and `{program}` is to run in it\n\nhint: `docker start {name}`"
        )),
        Err(why) => Err(why.trim_start_matches("error: ").to_owned()),
    })
}

/// What is run, before it is: the file says so, and whoever wrote it may be somebody else.
pub(super) fn told(container: Option<&str>, facts: &Facts) -> Option<String> {
    match (container, &facts.records) {
        // quoted, so that no control character reaches a terminal
        (Some(name), Records::Program { command, .. }) => {
            Some(format!("the state has this run in `{name}`: {command:?}"))
        }
        _ => None,
    }
}

/// Hides what the container's environment holds and its image's does not: a program may print it.
pub(super) async fn hiding(docker: &Docker, container: &str) -> anyhow::Result<Redactor> {
    let secrets = run::attached::secrets(docker, container).await?;
    Ok(Redactor::of_values(secrets.iter().map(String::as_str)))
}

/// What came of a replay that has left nothing; otherwise what was said already.
type Judged = Result<Result<Replayed, helper::HelperError>, ExitCode>;

async fn judged(
    docker: Arc<Docker>,
    (file, container): (&[u8], Option<String>),
) -> anyhow::Result<Judged> {
    by_helper(docker, async |helper, run| run::replay(helper, run, file, container).await).await
}

/// Has something done by a helper that leaves nothing; otherwise what was said already.
pub(super) async fn by_helper<T>(
    docker: Arc<Docker>,
    work: impl AsyncFnOnce(&Helper, &str) -> T,
) -> anyhow::Result<Result<T, ExitCode>> {
    let interrupt = signals::interrupt();
    let run = format!("{}-0", run::new_run_id());
    let helper = Helper::start(docker, &run).await?;
    let judged = tokio::select! {
        judged = work(&helper, &run) => Some(judged),
        () = interrupt.cancelled() => None,
    };
    if let Err(left) = ended(&helper).await {
        let hint = format!("hint: `keelhaul recover {run}` finishes it");
        output::say(format!("error: the rollback is incomplete: {left}\n\n{hint}"));
        return Ok(Err(ExitCode::RollbackIncomplete));
    }
    Ok(judged.ok_or(ExitCode::Interrupted))
}

/// Says what came of it, and nothing of the container's secrets.
fn ended_with(
    judged: Judged,
    (args, facts): (&ReplayArgs, &Facts),
    redactor: &Redactor,
) -> anyhow::Result<ExitCode> {
    let replayed = match judged {
        Ok(Ok(replayed)) => replayed,
        Ok(Err(error)) => {
            let why = plain(&redactor.text(hinted(&error, facts)));
            output::say(format!("error: the state could not be judged: {why}"));
            return Ok(ExitCode::Error);
        }
        Err(code) => return Ok(code),
    };
    let replayed = shown(replayed, redactor);
    output::data(match args.format {
        AuditFormat::Human => human(facts, &replayed),
        AuditFormat::Json => json(&args.file, facts, &replayed),
    })?;
    Ok(if replayed.wrong.is_some() { ExitCode::Fail } else { ExitCode::Pass })
}

/// What is wrong is in the words of the program, as a rule.
fn shown(replayed: Replayed, redactor: &Redactor) -> Replayed {
    Replayed { wrong: replayed.wrong.map(|why| redactor.text(why)), ..replayed }
}

/// What keeps a program from reading a state is, as a rule, how its container was made.
pub(super) fn hinted(error: &helper::HelperError, facts: &Facts) -> String {
    let said = error.to_string();
    match &facts.records {
        Records::Program { path, .. } if !said.contains("hint:") => format!(
            "{said}\n\nhint: start the container with the service's user and environment, and with a volume or a \
             tmpfs at `{path}`"
        ),
        _ => said,
    }
}

/// Takes everything away, and makes sure of it.
async fn ended(helper: &Helper) -> Result<(), String> {
    let said = |error: helper::HelperError| error.to_string();
    let report = helper.rollback().await.map_err(said)?;
    if !report.complete() {
        let problems: Vec<_> = report.undone.into_iter().flat_map(|it| it.problems).collect();
        return Err(problems.join("; "));
    }
    helper.finish().await.map_err(said)
}

/// Words of a file, or of a program that it names, so that nothing of them acts on a terminal. A hint
/// stays apart.
pub(super) fn plain(text: &str) -> String {
    let parts: Vec<String> = text.split(HINT).map(|part| one_line(part, SHOWN)).collect();
    parts.join(HINT)
}

fn human(facts: &Facts, replayed: &Replayed) -> String {
    let Facts { filesystem, cut, acknowledged, digest, .. } = facts;
    let wrong = plain(&facts.wrong);
    let from = match &facts.records {
        Records::File(file) => format!("from `{}`", plain(file)),
        Records::Program { command, .. } => {
            format!("by `{}`", plain(command.first().map_or("", String::as_str)))
        }
    };
    let now = match &replayed.wrong {
        Some(wrong) => format!("fail: {}", plain(wrong)),
        None => format!("pass: all {} acknowledged records are there", replayed.acknowledged),
    };
    format!(
        "state  {filesystem}, cut at {cut} with {acknowledged} acknowledged, read {from}\n       \
         SHA-256 {digest}\nthen   {wrong}\nnow    {now}\n"
    )
}

fn json(file: &Path, facts: &Facts, replayed: &Replayed) -> String {
    let verdict = if replayed.wrong.is_some() { Verdict::Fail } else { Verdict::Pass };
    let whole = json!({
        "replay": FORMAT,
        "file": file,
        "verdict": verdict,
        "state": facts,
        "acknowledged": replayed.acknowledged,
        "wrong": replayed.wrong,
        "unmountable": replayed.unmountable,
        "took_us": replayed.took_us,
    });
    format!("{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash_state::testing::facts;

    #[test]
    fn both_formats_say_what_it_was_and_what_it_is() {
        let sound = Replayed { acknowledged: 41, wrong: None, unmountable: false, took_us: 9 };
        assert_eq!(
            human(&facts(), &sound),
            "state  ext4, cut at 812 with 41 acknowledged, read from `journal.log`\n       SHA-256 ab\n\
             then   1 of 41 acknowledged records lost\n\
             now    pass: all 41 acknowledged records are there\n"
        );
        let wrong = Replayed { wrong: Some("EIO".into()), unmountable: true, ..sound };
        assert!(human(&facts(), &wrong).ends_with("now    fail: EIO\n"));
        let text = json(Path::new("a.crash"), &facts(), &wrong);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["verdict"], &value["state"]["cut"]), (&"fail".into(), &812.into()));
    }

    #[test]
    fn whoever_has_no_place_for_a_state_is_told_how_to_make_one() {
        let error = helper::HelperError::Refused("no such directory".into());
        assert_eq!(hinted(&error, &facts()), "no such directory");
        let (path, command) = ("/data".into(), vec!["dump".into()]);
        let program = Facts { records: Records::Program { path, command }, ..facts() };
        assert!(hinted(&error, &program).contains("hint: start the container with"));
    }

    #[test]
    fn what_a_state_has_run_is_told_before_and_draws_nothing_on_the_terminal() {
        let command = vec!["sh".into(), "-c".into(), "dump \u{1b}[2J".into()];
        let program =
            Facts { records: Records::Program { path: "/data".into(), command }, ..facts() };
        let said = told(Some("mended"), &program).unwrap();
        assert_eq!(said, r#"the state has this run in `mended`: ["sh", "-c", "dump \u{1b}[2J"]"#);
        assert_eq!(told(None, &facts()), None);
    }

    #[test]
    fn nothing_of_a_state_s_own_words_acts_on_a_terminal() {
        let hostile = || "\u{1b}[2J\rpass\nnow".to_owned();
        let (path, command) = (hostile(), vec![hostile()]);
        for records in [Records::File(hostile()), Records::Program { path, command }] {
            let facts = Facts { records, wrong: hostile(), ..facts() };
            let wrong = Some(hostile());
            let replayed = Replayed { acknowledged: 1, wrong, unmountable: false, took_us: 9 };
            let said = human(&facts, &replayed);
            assert_eq!(said.lines().count(), 4, "{said}");
            let error = helper::HelperError::Refused(hostile());
            let said = said + &plain(&hinted(&error, &facts));
            assert!(!said.contains(['\u{1b}', '\r']), "{said}");
        }
    }

    #[test]
    fn what_the_containers_environment_holds_is_not_shown() {
        let redactor = Redactor::of_values(["hunter22", "on"]);
        let wrong = Some("`dump` ended with 1: no user with hunter22 is on".into());
        let replayed = Replayed { acknowledged: 1, wrong, unmountable: false, took_us: 9 };
        let said = shown(replayed, &redactor).wrong.unwrap();
        assert_eq!(said, "`dump` ended with 1: no user with [redacted] is on");
    }

    #[test]
    fn an_extracted_disk_is_the_one_that_was_kept_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("disk.img");
        let mut image = Image::new(1 << 20);
        image.write(5000, &[7; 9]);
        extract(&image, &to).unwrap();
        let mut whole = vec![0; 1 << 20];
        image.read(0, &mut whole);
        assert!(fs::read(&to).unwrap() == whole);
        assert!(extract(&image, &to).is_err());
    }
}
