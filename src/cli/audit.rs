//! `audit`: which choices about a container's mounts bite later. Changes nothing.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;

use super::{
    args::{AuditArgs, AuditFormat},
    files,
    gaps::{self, bridged},
    init::{self, HOST_WIDE},
    output,
};
use crate::{
    audit::{self, Finding, RULES, Subject, Unlooked, Weight},
    diagnostic::suggest,
    report::text::one_line,
    runtime::{Docker, Listed},
    scenario::{Gap, Way, compose_volumes},
    verdict::ExitCode,
};

/// Version of the JSON.
const FORMAT: u32 = 1;
/// Characters that are shown of a key that is not understood, and of why not.
const LONGEST_KEY: usize = 60;
const LONGEST_WHY: usize = 400;

pub(super) async fn audit(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    if let Some(problem) = unknown_rule(&args.except) {
        output::say(problem);
        return Ok(ExitCode::Usage);
    }
    let found = match &args.compose {
        Some(file) => of_compose(file).await?,
        None => of_containers(args).await?,
    };
    let Some((subjects, unlooked)) = found else { return Ok(ExitCode::Usage) };
    let findings = audit::audit(&subjects, &args.except);
    output::data(match args.format {
        AuditFormat::Human => audit::human(&subjects, &findings, &unlooked),
        AuditFormat::Json => json(&subjects, &findings, &unlooked),
    })?;
    let weights: Vec<Weight> = args.fail_on.iter().map(|weight| weight.of()).collect();
    let fails = findings.iter().any(|finding| weights.contains(&finding.weight));
    Ok(if fails { ExitCode::Fail } else { ExitCode::Pass })
}

type Found = Option<(Vec<Subject>, Vec<Unlooked>)>;

/// What the engine says of containers; none where one is not there, which was said.
async fn of_containers(args: &AuditArgs) -> anyhow::Result<Found> {
    let docker = Docker::connect(None)?;
    let all = docker.listed().await?;
    match chosen(args, &all) {
        Ok(ids) => {
            let named = args.project.is_none() && !args.containers.is_empty();
            Ok(Some(audit::gather(&docker, &ids, &all, named).await?))
        }
        Err(problem) => {
            output::say(problem);
            Ok(None)
        }
    }
}

/// What a Compose file says, and the images that are on the engine; none where it has problems,
/// which were said.
async fn of_compose(file: &Path) -> anyhow::Result<Found> {
    if let Some(problem) = files::missing(file) {
        output::say(problem);
        return Ok(None);
    }
    let file = std::path::absolute(file)?;
    let named = file.display().to_string();
    // beside it, so that its paths begin where they do
    let beside = file.with_file_name("audit.yaml");
    let (instead, gaps) = bridged(&named, &beside);
    let head = format!("{HOST_WIDE}{}", instead.head(&named, None));
    let Some(scenario) = init::read_back(&head, &beside) else { return Ok(None) };
    let mut images = BTreeMap::new();
    // without an engine, the file still says enough
    if let Ok(docker) = Docker::connect(None) {
        for service in scenario.services.values() {
            let facts = docker.image_facts(&service.image).await.ok().flatten();
            images.extend(facts.map(|facts| (service.image.clone(), facts)));
        }
    }
    let text = files::beside(&file).ok().flatten().unwrap_or_default();
    let named = compose_volumes(&String::from_utf8_lossy(&text));
    let (mut subjects, mut unlooked) = audit::declared(&scenario, &images, &named);
    let not_understood: Vec<_> = gaps.iter().filter_map(not_understood).collect();
    for subject in &mut subjects {
        let name = &subject.choices.name;
        let own = not_understood.iter().filter(|(_, it)| it.container == *name);
        subject.not_understood = own.map(|(key, _)| key.clone()).collect();
    }
    unlooked.extend(not_understood.into_iter().map(|(_, unlooked)| unlooked));
    Ok(Some((subjects, unlooked)))
}

/// A key of a service that nothing was made of; of a volume or an image, enough is known.
fn not_understood(gap: &Gap) -> Option<(String, Unlooked)> {
    let Way::Without(container, key) = gap.way.clone() else { return None };
    let what = format!("what `{}` says", one_line(&key, LONGEST_KEY));
    let why = one_line(&gaps::what(&gap.problem), LONGEST_WHY);
    Some((key, Unlooked { container, what, why }))
}

fn unknown_rule(except: &[String]) -> Option<String> {
    let known = || RULES.iter().map(|rule| rule.name);
    let name = except.iter().find(|name| !known().any(|known| known == **name))?;
    let hint = suggest(name, known()).unwrap_or_default();
    Some(format!("error: no rule is called `{name}`\n\nhint: {hint}"))
}

/// Ids of the containers that are meant; without any, of all that run and are not a run's own.
fn chosen(args: &AuditArgs, all: &[Listed]) -> Result<Vec<String>, String> {
    let ids = |listed: Vec<&Listed>| listed.into_iter().map(|one| one.id.clone()).collect();
    if let Some(project) = &args.project {
        let found = of_project(project, all);
        return if found.is_empty() { Err(no_project(project, all)) } else { Ok(ids(found)) };
    }
    if args.containers.is_empty() {
        return Ok(ids(all.iter().filter(|one| one.running && !one.ours).collect()));
    }
    args.containers.iter().map(|name| called(name, all).map(|one| one.id.clone())).collect()
}

fn of_project<'a>(project: &str, all: &'a [Listed]) -> Vec<&'a Listed> {
    all.iter().filter(|one| one.project.as_deref() == Some(project)).collect()
}

fn no_project(project: &str, all: &[Listed]) -> String {
    let known = all.iter().filter_map(|one| one.project.as_deref());
    let hint = suggest(project, known).unwrap_or_else(|| "no container here has a project".into());
    format!("error: no container belongs to a Compose project `{project}`\n\nhint: {hint}")
}

/// By name, by id, or by the beginning of an id that only one has.
pub(super) fn called<'a>(name: &str, all: &'a [Listed]) -> Result<&'a Listed, String> {
    let whole = name.trim_start_matches('/');
    if let Some(found) = all.iter().find(|one| one.name == whole || one.id == whole) {
        return Ok(found);
    }
    let begin: Vec<_> = all.iter().filter(|one| one.id.starts_with(whole)).collect();
    match begin.as_slice() {
        [one] if !whole.is_empty() => Ok(one),
        [_, _, ..] if !whole.is_empty() => {
            Err(format!("error: `{name}` may be several containers\n\nhint: write more of the id"))
        }
        _ => {
            let known = all.iter().filter(|one| !one.ours).map(|one| one.name.as_str());
            let hint =
                suggest(whole, known).unwrap_or_else(|| "`docker ps --all` lists them".into());
            Err(format!("error: no container is called `{name}`\n\nhint: {hint}"))
        }
    }
}

fn json(subjects: &[Subject], findings: &[Finding], unlooked: &[Unlooked]) -> String {
    let containers: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let choices = &subject.choices;
            json!({ "name": choices.name, "id": choices.id, "image": choices.image, "running": choices.running })
        })
        .collect();
    let whole = json!({
        "audit": FORMAT,
        "containers": containers,
        "findings": findings,
        "unknown": unlooked,
    });
    format!("{whole:#}\n")
}
