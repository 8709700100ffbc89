//! `shell`: our own static shell in a subject's namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal, Write},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{args::ShellArgs, output, signals};
use crate::{
    runtime::{
        Attached, Docker, ImageRef, OWN_IMAGE, ObjectKind, ObjectRef, PullPolicy, Runtime,
        ShellSpec, State, labels,
    },
    verdict::ExitCode,
};

/// How long the engine may take to say how the shell ended.
const ENDING: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) async fn shell(args: &ShellArgs) -> anyhow::Result<ExitCode> {
    let docker = Docker::connect(None)?;
    let objects = docker.all_objects().await?;
    let subject = match choose(&objects, &args.run, &args.service) {
        Ok(subject) => subject,
        Err(error) => {
            output::say(format!("error: {error}"));
            return Ok(ExitCode::Usage);
        }
    };
    let facts = docker.inspect(&subject.id).await?;
    if !matches!(facts.state, State::Running | State::Paused) {
        let state = format!("{:?}", facts.state).to_lowercase();
        bail!(
            "service `{}` of run `{}` does not run: {state}, exit code {}\n\nhint: `docker logs {}` shows what it said last",
            args.service,
            subject.run,
            facts.exit_code,
            facts.name,
        );
    }
    let code = open(&docker, subject, &args.service).await?;
    match u8::try_from(code) {
        Ok(0) => Ok(ExitCode::Pass),
        // the shell's own code, which may be none of ours
        code => std::process::exit(code.map_or(i32::from(ExitCode::Error as u8), i32::from)),
    }
}

/// The one subject that is meant.
fn choose<'a>(
    objects: &'a [ObjectRef],
    begin: &str,
    service: &str,
) -> Result<&'a ObjectRef, String> {
    let subjects: Vec<(&str, &ObjectRef)> =
        objects.iter().filter_map(|object| Some((service_of(object)?, object))).collect();
    let exact = subjects.iter().any(|(_, object)| object.run == begin);
    let of_run: Vec<_> = subjects
        .iter()
        .filter(
            |(_, object)| if exact { object.run == begin } else { object.run.starts_with(begin) },
        )
        .collect();
    if of_run.is_empty() {
        return Err(no_run(begin, &subjects));
    }
    let found: Vec<_> = of_run.iter().filter(|(name, _)| *name == service).collect();
    match found.as_slice() {
        [(_, subject)] => Ok(*subject),
        [] => {
            let names: BTreeSet<&str> = of_run.iter().map(|(name, _)| *name).collect();
            let names: Vec<_> = names.into_iter().collect();
            Err(format!(
                "run `{begin}` has no service `{service}`\n\nhint: it has `{}`",
                names.join("`, `")
            ))
        }
        several => {
            let runs: Vec<_> = several.iter().map(|(_, object)| object.run.as_str()).collect();
            Err(format!(
                "`{begin}` may be any of `{}`\n\nhint: write more of it: `-0` and so on are the slots of \
                 a run that does cases side by side",
                runs.join("`, `")
            ))
        }
    }
}

fn no_run(begin: &str, subjects: &[(&str, &ObjectRef)]) -> String {
    let mut runs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, object) in subjects {
        runs.entry(&object.run).or_default().push(name);
    }
    if runs.is_empty() {
        return format!(
            "no run `{begin}`: no run has a subject at this engine\n\nhint: `keelhaul run … --hold` or `--keep` leaves something to look at"
        );
    }
    let known: Vec<String> =
        runs.iter().map(|(run, names)| format!("`{run}` ({})", names.join(", "))).collect();
    format!(
        "no run `{begin}`\n\nhint: there are {}: each a run and its slot (`keelhaul explain slot`)",
        known.join(", ")
    )
}

/// What the scenario calls a container: the rest of its name, after the run.
fn service_of(object: &ObjectRef) -> Option<&str> {
    let subject = object.kind == ObjectKind::Container && object.role == labels::ROLE_SUBJECT;
    let rest = object.name.strip_prefix("keelhaul-")?.strip_prefix(object.run.as_str())?;
    rest.strip_prefix('-').filter(|_| subject)
}

/// Starts the shell, joins its streams to ours, and returns its exit code.
async fn open(docker: &Docker, subject: &ObjectRef, service: &str) -> anyhow::Result<i64> {
    let own = ImageRef { name: OWN_IMAGE.into(), pull: PullPolicy::Never };
    let image = docker.ensure_image(&own).await?;
    let typed = std::io::stdin().is_terminal();
    let mut command = vec!["shell-server".to_owned(), subject.id.clone(), service.to_owned()];
    command.extend(typed.then(|| "--prompt".to_owned()));
    let spec = ShellSpec {
        name: format!("keelhaul-{}-shell-{}", subject.run, std::process::id()),
        image,
        command,
        labels: labels::of(&subject.run, labels::ROLE_SHELL, ""),
    };
    let interrupt = signals::quiet();
    let shell = docker.create_shell(&spec).await?;
    let talk = async {
        let attached = docker.attach(&shell).await?;
        let waiting = (docker.clone(), shell.clone());
        let ended = tokio::spawn(async move { waiting.0.ended(&waiting.1).await });
        docker.start(&shell).await?;
        join(attached).await?;
        let code = timeout(ENDING, ended).await.context("the shell does not end")??;
        Ok(code?)
    };
    let result = tokio::select! {
        result = talk => result,
        () = interrupt.cancelled() => Ok(i64::from(ExitCode::Interrupted as u8)),
    };
    // it has removed itself, unless something went wrong or we were interrupted
    let object = ObjectRef {
        kind: ObjectKind::Container,
        id: shell,
        name: spec.name,
        run: subject.run.clone(),
        role: labels::ROLE_SHELL.into(),
    };
    docker.remove(&object).await?;
    result
}

/// Joins the shell's streams to ours, until its output ends.
async fn join(attached: Attached) -> anyhow::Result<()> {
    let Attached { mut stdin, mut stdout, mut stderr } = attached;
    let typing = tokio::spawn(async move {
        let copied = tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await;
        // the shell's end of input
        let _ = stdin.shutdown().await;
        copied
    });
    let complaints = tokio::spawn(async move {
        while let Some(line) = stderr.recv().await {
            output::say(line);
        }
    });
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stdout.read(&mut chunk).await? {
            0 => break,
            length => {
                let mut out = std::io::stdout().lock();
                // a closed pipe is the reader's choice
                if out.write_all(&chunk[..length]).and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
        }
    }
    typing.abort();
    drop(stdout);
    complaints.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(run: &str, name: &str, role: &str) -> ObjectRef {
        ObjectRef {
            kind: ObjectKind::Container,
            id: format!("id of {name}"),
            name: name.to_owned(),
            run: run.to_owned(),
            role: role.to_owned(),
        }
    }

    fn objects() -> Vec<ObjectRef> {
        vec![
            object("kabc-0", "keelhaul-kabc-0-agent", "subject"),
            object("kabc-0", "keelhaul-kabc-0-cache-b", "subject"),
            object("kabc-0", "keelhaul-kabc-0-helper-1-0", "helper"),
            object("kabc-1", "keelhaul-kabc-1-web", "subject"),
            object("kabd-0", "keelhaul-kabd-0-agent", "subject"),
        ]
    }

    #[test]
    fn the_beginning_of_a_run_is_enough() {
        let objects = objects();
        let chosen = |begin: &str, service: &str| Ok(choose(&objects, begin, service)?.id.as_str());
        assert_eq!(chosen("kabc", "agent"), Ok("id of keelhaul-kabc-0-agent"));
        assert_eq!(chosen("kabc", "web"), Ok("id of keelhaul-kabc-1-web"));
        assert_eq!(chosen("kabc-0", "cache-b"), Ok("id of keelhaul-kabc-0-cache-b"));
        let unclear: Result<&str, String> = chosen("ka", "agent");
        let said = unclear.unwrap_err();
        assert!(said.contains("any of `kabc-0`, `kabd-0`") && said.contains("slots"), "{said}");
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let objects = objects();
        let said = choose(&objects, "kz", "agent").unwrap_err();
        assert!(
            said.contains("no run `kz`") && said.contains("`kabc-0` (agent, cache-b)"),
            "{said}"
        );
        assert!(said.contains("`keelhaul explain slot`"), "{said}");
        let said = choose(&objects, "kabc-0", "helper").unwrap_err();
        assert!(
            said.contains("no service `helper`") && said.contains("`agent`, `cache-b`"),
            "{said}"
        );
        assert!(choose(&[], "k", "agent").unwrap_err().contains("no run has a subject"));
    }
}
