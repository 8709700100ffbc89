//! The built program from outside: a scenario in a directory of its own, its events as they come,
//! its end. It judges nothing.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Nothing that a test waits for takes so long, on a busy machine too.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Path of the program under test.
pub(crate) const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");

/// Runs the program to its end.
pub(crate) fn keelhaul(args: &[&str], env: &[(String, String)]) -> (i32, String) {
    let mut command = Command::new(KEELHAUL);
    let output = command.args(args).envs(env.iter().cloned()).stdin(Stdio::null()).output();
    let output = output.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (code(output.status), String::from_utf8_lossy(&text).into_owned())
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}

/// A scenario that is about to run.
pub(crate) struct Test {
    directory: tempfile::TempDir,
    out: PathBuf,
    /// Environment of the command line.
    pub(crate) env: Vec<(String, String)>,
    user: Option<u32>,
    flags: &'static [&'static str],
}

impl Test {
    pub(crate) fn of(yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("scenario.yaml"), yaml).unwrap();
        let out = directory.path().join("reports");
        Self { directory, out, env: Vec::new(), user: None, flags: &[] }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// May touch what runs already.
    pub(crate) fn attached(mut self) -> Self {
        self.flags = &["--attach", "--yes"];
        self
    }

    /// Writes the reports elsewhere.
    pub(crate) fn out(mut self, out: &Path) -> Self {
        out.clone_into(&mut self.out);
        self
    }

    /// Runs as another user, without its groups.
    pub(crate) fn user(mut self, user: u32) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(self.directory.path(), mode).unwrap();
        // the build directory may be closed to others
        std::fs::copy(KEELHAUL, self.directory.path().join("keelhaul")).unwrap();
        self.user = Some(user);
        self
    }

    pub(crate) fn start(self) -> Run {
        let errors = std::fs::File::create(self.directory.path().join("stderr")).unwrap();
        let copy = self.directory.path().join("keelhaul");
        let program = if self.user.is_some() { copy } else { KEELHAUL.into() };
        let mut command = Command::new(program);
        command.arg("run").arg(self.directory.path().join("scenario.yaml"));
        command.args(["--format", "json", "--out"]).arg(&self.out).args(self.flags);
        command.envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // a signal is for the run alone
        command.process_group(0);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let event = serde_json::from_str::<Value>(&line).unwrap_or(Value::Null);
                if sender.send(event["event"].clone()).is_err() {
                    break;
                }
            }
        });
        Run { test: self, child, events, seen: Vec::new() }
    }

    /// Runs to the end.
    pub(crate) fn finish(self) -> Ended {
        self.start().end()
    }
}

/// A scenario that runs. Whatever becomes of it, nothing of it stays.
pub(crate) struct Run {
    test: Test,
    child: Child,
    events: Receiver<Value>,
    seen: Vec<Value>,
}

impl Run {
    /// Waits for the next event of this kind; none when the program ends before.
    pub(crate) fn look_for(&mut self, kind: &str) -> Option<Value> {
        let end = Instant::now() + BOUND;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if event["kind"] == kind {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no `{kind}`: {}", self.told()),
            }
        }
    }

    /// The first event of this kind, if it has come.
    pub(crate) fn arrived(&mut self, kind: &str) -> Option<Value> {
        self.seen.extend(self.events.try_iter());
        self.seen.iter().find(|event| event["kind"] == kind).cloned()
    }

    /// The same where the program must not end before.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        self.look_for(kind).unwrap_or_else(|| panic!("ended before `{kind}`: {}", self.told()))
    }

    /// The first event of this kind, waiting for it if it has not come.
    pub(crate) fn first(&mut self, kind: &str) -> Value {
        match self.seen.iter().find(|event| event["kind"] == kind) {
            Some(event) => event.clone(),
            None => self.until(kind),
        }
    }

    /// The run's id: its objects carry it, or it with `-N`.
    pub(crate) fn id(&mut self) -> String {
        self.first("run-started")["run"].as_str().unwrap().to_owned()
    }

    /// Full id of the subject's container.
    pub(crate) fn container(&mut self) -> String {
        self.first("subject-started")["container"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its environment without what makes it die or do nothing.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let plain = |(name, _): &&(String, String)| !name.starts_with("KEELHAUL_");
        self.test.env.iter().filter(plain).cloned().collect()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        while self.look_for("").is_some() {}
        let status = self.child.wait().unwrap();
        Ended {
            code: code(status),
            events: std::mem::take(&mut self.seen),
            stderr: self.stderr(),
            env: self.env(),
            reports: self.reports(),
            run: self,
        }
    }

    fn stderr(&self) -> String {
        let path = self.test.directory.path().join("stderr");
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Names of the files that were written as reports.
    fn reports(&self) -> Vec<String> {
        let latest = std::fs::read_dir(self.test.out.join("latest"));
        let names = latest.into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    fn told(&self) -> String {
        let seen: Vec<String> = self.seen.iter().map(ToString::to_string).collect();
        format!("{}\n{}", seen.join("\n"), self.stderr())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            if let Some(run) = self.seen.iter().find_map(|event| event["run"].as_str()) {
                super::recover(run, &self.env());
            }
        }
    }
}

/// A scenario that ran.
pub(crate) struct Ended {
    /// Exit code; of a signal, its negative number.
    pub(crate) code: i32,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) reports: Vec<String>,
    run: Run,
}

impl Ended {
    pub(crate) fn id(&self) -> String {
        let id = self.events.iter().find_map(|event| event["run"].as_str());
        id.unwrap_or_default().to_owned()
    }

    /// Every event of this kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["kind"] == kind).collect()
    }

    /// Verdict of the run; null when it did not come to one.
    pub(crate) fn verdict(&self) -> Value {
        self.all("run-ended").first().map_or(Value::Null, |event| event["verdict"].clone())
    }

    /// Verdict of an assertion; null when there is none.
    pub(crate) fn asserted(&self, assertion: &str) -> Value {
        let found = self.all("asserted").into_iter().find(|one| one["assertion"] == assertion);
        found.map_or(Value::Null, |one| one["verdict"].clone())
    }

    /// Everything that was said, for messages of failed tests and to look for words.
    pub(crate) fn told(&self) -> String {
        let events: Vec<String> = self.events.iter().map(ToString::to_string).collect();
        let _ = &self.run;
        format!("exit code {}\n{}\n{}", self.code, events.join("\n"), self.stderr)
    }
}
