//! `ps`, `id`, `env`, and programs of the subject's own.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    Done,
    look::print,
    target::{Target, absolute, field},
};
use crate::host::{
    container_process::container_processes,
    environment,
    error::HostError,
    subject_program::{self, Subject},
};

/// Where programs are looked for when the subject says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The processes of the subject's container, with their pids inside and on the engine's host.
pub(super) fn ps(target: &Target, out: &mut dyn Write) -> Result<(), String> {
    let found = container_processes(&target.container).map_err(|error| error.to_string())?;
    print(out, format_args!("{:>7} {:>9} {:<5} COMMAND", "PID", "HOST PID", "STATE"))?;
    for process in found {
        // one that has ended since is none any more
        let Ok(status) = fs::read_to_string(process.proc_path("status")) else { continue };
        let inside = field(&status, "NSpid").and_then(|pids| pids.split('\t').next_back());
        let state = field(&status, "State").and_then(|state| state.get(..1));
        let line = fs::read(process.proc_path("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let name = field(&status, "Name").unwrap_or_default();
        let command = if line.is_empty() { format!("[{name}]") } else { line };
        let (inside, state) = (inside.unwrap_or("?"), state.unwrap_or("?"));
        print(out, format_args!("{inside:>7} {:>9} {state:<5} {command}", process.pid))?;
    }
    Ok(())
}

/// Who the subject's first process is.
pub(super) fn id(target: &Target, out: &mut dyn Write) -> Result<(), String> {
    let status = target.status()?;
    let first = |name| field(&status, name).and_then(|ids| ids.split('\t').next()).unwrap_or("?");
    let (groups, capabilities) = (field(&status, "Groups"), field(&status, "CapEff"));
    print(
        out,
        format_args!(
            "uid {}  gid {}  groups {}  capabilities {}",
            first("Uid"),
            first("Gid"),
            groups.filter(|groups| !groups.is_empty()).unwrap_or("-"),
            capabilities.unwrap_or("?"),
        ),
    )
}

/// Names in the environment of the subject's first process, or the value of one. Values are not
/// listed: they may be secrets, and a terminal may be recorded.
pub(super) fn env(target: &Target, name: Option<&str>, out: &mut dyn Write) -> Result<(), String> {
    let all = environment(target)?;
    match name {
        None => all.iter().try_for_each(|(name, _)| print(out, format_args!("{name}"))),
        Some(name) => match all.iter().find(|(known, _)| known == name) {
            Some((_, value)) => print(out, format_args!("{value}")),
            None => Err(format!("env: `{name}` is not set")),
        },
    }
}

fn environment(target: &Target) -> Result<Vec<(String, String)>, String> {
    environment::of(target.init()?).map_err(|error| error.to_string())
}

/// Runs a program of the subject's, if it has it. The result is its exit code; 127 without one.
pub(super) fn run(target: &Target, words: &[String], cwd: &Path, stdin: bool) -> Done {
    let Some((name, args)) = words.split_first() else { return Ok(0) };
    let env = environment(target)?;
    let subject = Subject::of(target.init()?).map_err(|error| error.to_string())?;
    let directories = env.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, path)| path);
    let candidates = candidates(name, cwd, directories);
    let input = || if stdin { Stdio::inherit() } else { Stdio::null() };
    let code = target.enter(|| {
        let program = candidates.iter().find(|path| is_program(path))?;
        Some(subject_program::run(program, args, &env, cwd, input(), &subject))
    })?;
    match code {
        Some(Ok(code)) => Ok(code),
        Some(Err(error @ HostError::Sys { .. })) => Err(error.to_string()),
        Some(Err(error)) => Err(format!("{name}: {error}")),
        None => {
            let service = &target.service;
            let said = format!(
                "`{name}` is neither built in nor a program of `{service}`; `help` lists what is built in"
            );
            Err(said)
        }
    }
}

fn candidates(name: &str, cwd: &Path, directories: &str) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![absolute(cwd, name)];
    }
    directories
        .split(':')
        .filter(|one| !one.is_empty())
        .map(|one| absolute(cwd, one).join(name))
        .collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_looked_for_where_the_subject_would_look() {
        let found = candidates("df", Path::new("/data"), "/bin::rel");
        assert_eq!(found, [PathBuf::from("/bin/df"), PathBuf::from("/data/rel/df")]);
        assert_eq!(candidates("./x", Path::new("/data"), "/bin"), [PathBuf::from("/data/x")]);
        assert!(is_program(Path::new("/proc/self/exe")) && !is_program(Path::new("/")));
    }
}
