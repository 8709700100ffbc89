//! The loop: a line in, its command done, the next.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Done, change, look,
    parse::{Command, HELP, parse},
    process, space,
    target::{Target, absolute},
};
use crate::host::mountinfo::MountTable;

/// The longest line.
const LINE: u64 = 64 * 1024;
/// Exit code of a command that failed.
const FAILED: u8 = 1;

/// Reads commands from standard input until it ends or `exit`.
///
/// Arguments: `CONTAINER SERVICE [--prompt]`. The exit code is that of the last command.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let (flags, words): (Vec<String>, Vec<String>) = args.partition(|arg| arg.starts_with("--"));
    let [container, service] = words.as_slice() else { return ExitCode::from(2) };
    let target = Target { container: container.clone(), service: service.clone() };
    let prompt = flags.iter().any(|flag| flag == "--prompt");
    let mut session = Session { target, cwd: PathBuf::from("/"), prompt };
    let code = session.talk(&mut BufReader::new(io::stdin()), &mut io::stdout());
    ExitCode::from(code)
}

struct Session {
    target: Target,
    cwd: PathBuf,
    /// Someone types: say where we are, and let programs read what is typed.
    prompt: bool,
}

impl Session {
    fn talk(&mut self, input: &mut dyn BufRead, out: &mut (dyn Write + Send)) -> u8 {
        let mut last = 0;
        loop {
            if self.prompt {
                let _ = write!(out, "{}:{}$ ", self.target.service, self.cwd.display());
            }
            let _ = out.flush();
            let mut line = Vec::new();
            match input.take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return last,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line);
            let done = match parse(line.trim_end_matches('\n')) {
                Ok(Command::Exit(code)) => return code,
                Ok(Command::Nothing) => continue,
                Ok(command) => self.act(command, out),
                Err(error) => Err(error),
            };
            last = done.unwrap_or_else(|error| {
                let _ = out.flush();
                let _ = writeln!(io::stderr(), "{error}");
                FAILED
            });
        }
    }

    fn act(&mut self, command: Command, out: &mut (dyn Write + Send)) -> Done {
        let target = &self.target;
        match command {
            Command::Nothing | Command::Exit(_) => Ok(()),
            Command::Help => write!(out, "{HELP}").map_err(|error| error.to_string()),
            Command::Pwd => look::print(out, format_args!("{}", self.cwd.display())),
            Command::Cd(path) => self.cd(&path),
            Command::Ps => process::ps(target, out),
            Command::Id => process::id(target, out),
            Command::Env(name) => process::env(target, name.as_deref(), out),
            Command::Mounts => space::mounts(&self.table()?, out),
            Command::Df(paths) => {
                let (paths, table) = (self.paths(&paths), self.table()?);
                target.enter(|| space::df(&paths, &table, out))?
            }
            Command::Ls(paths) => {
                let paths = if paths.is_empty() { vec![".".to_owned()] } else { paths };
                let paths = self.paths(&paths);
                target.enter(|| look::ls(&paths, out))?
            }
            Command::Cat(paths) => {
                let paths = self.paths(&paths);
                target.enter(|| look::cat(&paths, out))?
            }
            Command::Stat(paths) => {
                let paths = self.paths(&paths);
                target.enter(|| look::stat(&paths, out))?
            }
            Command::Program(words) => {
                return process::run(target, &words, &self.cwd, self.prompt);
            }
            command => self.change(command),
        }
        .map(|()| 0)
    }

    fn change(&self, command: Command) -> Result<(), String> {
        match command {
            Command::Write { path, text } => {
                let path = absolute(&self.cwd, &path);
                self.target.enter(|| change::write(&path, &text))?
            }
            Command::Touch(paths) => {
                let paths = self.paths(&paths);
                self.target.enter(|| change::touch(&paths))?
            }
            Command::Mkdir { parents, paths } => {
                let paths = self.paths(&paths);
                self.target.enter(|| change::mkdir(&paths, parents))?
            }
            Command::Rm { recursive, force, paths } => {
                let paths = self.paths(&paths);
                self.target.enter(|| change::rm(&paths, recursive, force))?
            }
            other => Err(format!("{other:?} changes nothing")),
        }
    }

    fn cd(&mut self, path: &str) -> Result<(), String> {
        let path = absolute(&self.cwd, path);
        let found = self.target.enter(|| std::fs::metadata(&path))?;
        match found {
            Ok(meta) if meta.is_dir() => {
                self.cwd = path;
                Ok(())
            }
            Ok(_) => Err(format!("{}: ENOTDIR (not a directory)", path.display())),
            Err(error) => Err(super::target::said(&path, &error)),
        }
    }

    /// Read from outside: inside, `/proc` may not be mounted.
    fn table(&self) -> Result<MountTable, String> {
        MountTable::of(self.target.init()?).map_err(|error| error.to_string())
    }

    fn paths(&self, typed: &[String]) -> Vec<PathBuf> {
        let cwd: &Path = &self.cwd;
        typed.iter().map(|path| absolute(cwd, path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let container = "ffffffffffff".into();
        let target = Target { container, service: "agent".into() };
        Session { target, cwd: "/".into(), prompt: true }
    }

    #[test]
    fn the_prompt_says_where_we_are_and_exit_ends_with_its_code() {
        let mut out = Vec::new();
        let code = session().talk(&mut &b"pwd\nexit 7\npwd\n"[..], &mut out);
        assert_eq!((code, out), (7, b"agent:/$ /\nagent:/$ ".to_vec()));
    }

    #[test]
    fn a_subject_that_does_not_run_fails_a_command_and_not_the_session() {
        let mut out = Vec::new();
        assert_eq!(session().talk(&mut &b"ls /\n"[..], &mut out), FAILED);
        assert_eq!(session().talk(&mut &b"ls /\npwd\n"[..], &mut out), 0);
    }
}
