//! `init`: writes a first suite for a container or a Compose file. Changes nothing of either.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    args::InitArgs,
    audit::called,
    files,
    gaps::{self, bridged},
    output, ports, theirs,
};
use crate::{
    audit, diagnostic,
    report::text::count,
    runtime::{Choices, ChosenSource, Docker, RuntimeError, reaches_engine},
    scenario::{Beside, Env, Gap, Scenario, Sets, compose_gaps, compose_ports, load_beside},
    starter::{self, OnHost, Origin, Original, Over, Ports, Starter, words},
    verdict::ExitCode,
};

/// Lines that make a head a scenario, to read back what it says.
const WHOLE: &str = "keelhaul: 1\nname: starter\n";
pub(super) const HOST_WIDE: &str = "allow: [host-wide]\n";

pub(super) async fn init(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let attached = to_act_on(args);
    let made = match (&args.container, &args.compose) {
        (Some(container), _) => of_container(container).await?,
        (None, Some(file)) => of_compose(file, &args.out)?,
        (None, None) => theirs::suite(&attached).await?,
    };
    let Some(suite) = made else { return Ok(ExitCode::Usage) };
    if suite.is_empty() {
        output::say("error: no scenario applies here\n\nhint: a suite needs a service");
        return Ok(ExitCode::Usage);
    }
    if let Some(taken) = suite.iter().map(|one| args.out.join(&one.name)).find(|path| path.exists())
    {
        output::say(format!(
            "error: `{}` is there already\n\nhint: `--out` names another directory",
            taken.display()
        ));
        return Ok(ExitCode::Usage);
    }
    write(&suite, &args.out)?;
    let mut said = String::new();
    for one in &suite {
        let _ = writeln!(said, "{}", args.out.join(&one.name).display());
    }
    output::data(said)?;
    let (out, attach) = (args.out.display(), if attached.is_empty() { "" } else { " --attach" });
    output::say(format!(
        "{} written; next: `keelhaul plan {out}`, `keelhaul run {out}{attach}`",
        count(suite.len(), "scenario")
    ));
    Ok(ExitCode::Pass)
}

/// Containers that run already, as `gameday` takes them.
fn to_act_on(args: &InitArgs) -> Vec<String> {
    let project = args.compose_project.iter().map(|name| format!("project={name}"));
    args.attach.iter().cloned().chain(project).collect()
}

/// All of it or nothing: half a suite is none, and would stand in the way of the next call.
fn write(suite: &[Starter], out: &Path) -> anyhow::Result<()> {
    let had_place = out.exists();
    fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    let mut begun = Vec::new();
    let written = suite.iter().try_for_each(|one| {
        let path = out.join(&one.name);
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let filled = file.and_then(|mut file| {
            begun.push(path.clone());
            file.write_all(one.text.as_bytes())
        });
        filled.with_context(|| format!("cannot write `{}`", path.display()))
    });
    if written.is_err() {
        // what cannot be removed either is named by the next call
        begun.iter().for_each(|path| drop(fs::remove_file(path)));
        if !had_place {
            let _ = fs::remove_dir(out);
        }
    }
    written
}

/// The suite of a container; none where it is not there, which was said.
async fn of_container(name: &str) -> anyhow::Result<Option<Vec<Starter>>> {
    let docker = Docker::connect(None)?;
    let all = docker.listed().await?;
    let listed = match called(name, &all) {
        Ok(listed) => listed,
        Err(problem) => {
            output::say(problem);
            return Ok(None);
        }
    };
    let choices = docker.choices(&listed.id).await?;
    let image = docker.image_facts(&choices.image).await?;
    // what is gone can only be pulled, and what has no name cannot
    let unnamed = choices.image.starts_with("sha256:");
    let only_here = unnamed || image.as_ref().is_some_and(|image| !image.in_registry);
    let inherited = image.unwrap_or_default().env;
    let service = words(&choices.name);
    let (choices, inherited) = (&choices, &inherited[..]);
    let original = Original { name: &service, choices, inherited, only_here, on_host: &on_host };
    let allow = if original.reads_host() { HOST_WIDE } else { "" };
    let head = |over: Over<'_>| original.copy(over);
    let Some(scenario) = read_back(&format!("{allow}{}", head(None)), Path::new("starter.yaml"))
    else {
        return Ok(None);
    };
    let only_read = only_read(&docker, choices).await?;
    say_left_out(&scenario);
    let ports = BTreeMap::from([(service.clone(), ports::of(&docker, choices).await?)]);
    let user = runs_as(&docker, choices).await?;
    let run_as = user.into_iter().map(|user| (service.clone(), user)).collect();
    let only_read = &only_read[..];
    let origin = Origin { name: "", head: &head, ports: &ports, only_read, run_as: &run_as };
    Ok(Some(starter::suite(&origin, &scenario)))
}

/// `UID:GID` of its user by its own files, which nobody else knows; none where they do not tell.
async fn runs_as(docker: &Docker, choices: &Choices) -> anyhow::Result<Option<String>> {
    // asked for a file, the engine would make missing directories of its binds
    if choices.user.is_empty() || choices.makes_binds && !choices.running {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for path in ["/etc/passwd", "/etc/group"] {
        let found = match docker.small_file(&choices.id, path).await {
            Err(RuntimeError::Refused { .. } | RuntimeError::Timeout { .. }) => None,
            found => found?,
        };
        texts.push(String::from_utf8_lossy(&found.unwrap_or_default()).into_owned());
    }
    let user = audit::resolve(&choices.user, &choices.groups, &texts[0], &texts[1]);
    Ok(user.map(|user| format!("{}:{}", user.uid, user.gid)))
}

/// Where it has written nothing that a power cut could take, which is said.
async fn only_read(docker: &Docker, choices: &Choices) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    let lasts =
        |source: &ChosenSource| matches!(source, ChosenSource::Volume(_) | ChosenSource::Bind(_));
    for mount in choices.mounts.iter().filter(|mount| mount.writable && lasts(&mount.source)) {
        let path = &mount.destination;
        if choices.running && !docker.changed_since_start(&choices.id, path).await? {
            output::say(format!(
                "note: no power cut of `{path}`: no file came or went there since the container was started"
            ));
            paths.push(path.clone());
        }
    }
    Ok(paths)
}

/// The suite of a Compose file; none where it has problems, which were said.
fn of_compose(file: &Path, out: &Path) -> anyhow::Result<Option<Vec<Starter>>> {
    if let Some(problem) = files::missing(file) {
        output::say(problem);
        return Ok(None);
    }
    let absolute =
        |path: &Path| std::path::absolute(path).with_context(|| format!("`{}`", path.display()));
    let (file, out) = (absolute(file)?, absolute(out)?);
    let named = relative(&out, &file).display().to_string();
    let scenario_file = out.join("starter.yaml");
    let (instead, gaps) = bridged(&named, &scenario_file);
    let as_it_is = format!("{HOST_WIDE}{}", instead.head(&named, None));
    let Some(found) = read_back(&as_it_is, &scenario_file) else { return Ok(None) };
    gaps.iter().for_each(|gap| output::say(gaps::told(gap)));
    let instead = instead.apart(&found, &on_host);
    let head = |over: Over<'_>| instead.head(&named, over);
    // without the host's directories that would be written, it may not need any
    let alone = head(None);
    let scenario = match loaded(&alone, &scenario_file) {
        Ok(scenario) => scenario,
        Err(_) => match read_back(&format!("{HOST_WIDE}{alone}"), &scenario_file) {
            Some(scenario) => scenario,
            None => return Ok(None),
        },
    };
    say_left_out(&scenario);
    let name = file.parent().and_then(Path::file_name).map(|name| words(&name.to_string_lossy()));
    let name = name.unwrap_or_else(|| "suite".into());
    let ports = compose_ports(&scenario_file, &whole(&as_it_is), beside(&directory()));
    let meant = |(name, served)| (name, Ports { served, declared: Vec::new() });
    let ports = ports.into_iter().map(meant).collect();
    // of an image that no container is looked at of, nobody knows who a name is
    let (only_read, run_as) = (&[][..], &BTreeMap::new());
    let origin = Origin { name: &name, head: &head, ports: &ports, only_read, run_as };
    Ok(Some(starter::suite(&origin, &scenario)))
}

fn say_left_out(scenario: &Scenario) {
    for what in starter::left_out(scenario) {
        output::say(format!("note: {what}"));
    }
}

/// The scenario that a head makes; none where it has problems, which are said.
pub(super) fn read_back(head: &str, file: &Path) -> Option<Scenario> {
    loaded(head, file)
        .map_err(|problems| output::say(diagnostic::render(&problems).trim_end()))
        .ok()
}

/// The scenario that a head makes, or its problems.
pub(super) fn loaded(head: &str, file: &Path) -> Result<Scenario, Vec<diagnostic::Diagnostic>> {
    let text = whole(head).into_bytes();
    let (files, directory) = ([(file.to_owned(), Ok(text))], directory());
    let mut all = load_beside(&files, &Sets::new(), &Env::new(), beside(&directory))?;
    Ok(all.remove(0).cells.remove(0).scenario)
}

/// What the Compose file of a head wants that a run does not have.
pub(super) fn gaps(head: &str, file: &Path) -> Vec<Gap> {
    compose_gaps(file, &whole(&format!("{HOST_WIDE}{head}")), beside(&directory()))
}

fn directory() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

fn beside(directory: &Path) -> Beside<'_> {
    Beside { read: &read, directory }
}

fn whole(head: &str) -> String {
    format!("{WHOLE}{head}steps: [{{ wait: 1ms }}]\n")
}

/// The directory may not be there yet, and nothing leads up from it then.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    files::beside(&without_dots(path))
}

/// What is at a path, wherever it leads.
fn on_host(path: &str) -> OnHost {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    match fs::metadata(&real).map(|found| found.file_type()) {
        _ if reaches_engine(&real.to_string_lossy()) => OnHost::Special,
        Ok(kind) if kind.is_file() => OnHost::File,
        Ok(kind) if kind.is_socket() || kind.is_fifo() => OnHost::Special,
        Ok(kind) if kind.is_char_device() || kind.is_block_device() => OnHost::Special,
        _ => OnHost::Directory,
    }
}

/// An absolute path without `..`.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// The way from a directory to a file; both are absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other);
    let shared = shared.count();
    let up = from.components().skip(shared).map(|_| std::path::Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_file_goes_up_and_down() {
        let way = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b", "/a/c.yml"), Path::new("../c.yml"));
        assert_eq!(way("/a", "/a/c.yml"), Path::new("c.yml"));
        assert_eq!(without_dots(Path::new("/a/b/../c.yml")), Path::new("/a/c.yml"));
        assert_eq!(way("/a/b/c", "/d/e.yml"), Path::new("../../../d/e.yml"));
    }
}
