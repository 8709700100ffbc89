//! An interposer over a directory of a process that runs: what it reaches and what escapes it, and
//! that it ends by itself when nobody uses it any more.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use keelhaul::{
    host::{mountinfo::MountTable, process::Identity},
    interpose::{
        Beneath, Setup, TraceTo,
        control::{self, Answer, Ask},
        left::{facts_file, traced_file},
        serve::{Orders, READY, Serve},
    },
    protocol::{Durability, IoAction, IoOp, TraceFacts, TracedOp},
};

use super::mounted::{can_be_tried, rule};

const AT: &str = "/mnt/a";
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell with mounts of its own, which does what it is told.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// What the commands say, in one line.
    fn says(&mut self, commands: &str) -> String {
        writeln!(self.input, "echo $({commands} 2>&1)").unwrap();
        self.line()
    }

    /// Does them in the shell itself.
    fn does(&mut self, commands: &str) {
        writeln!(self.input, "{commands}; echo done").unwrap();
        assert_eq!(self.line(), "done", "{commands}");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn identity(&self) -> Identity {
        Identity::of(self.child.id()).unwrap()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn trace(socket: &Path) -> PathBuf {
    socket.with_extension("trace")
}

/// What one that has ended has left of its trace is whole, and says how much that is.
fn was_traced(socket: &Path) {
    let facts = fs::read_to_string(traced_file(socket)).unwrap();
    let facts: TraceFacts = serde_json::from_str(&facts).unwrap();
    let text = fs::read_to_string(trace(socket)).unwrap();
    let ops: Vec<TracedOp> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((facts.kept, facts.dropped, facts.after_end), (ops.len() as u64, 0, 0));
    let struck = ops.iter().find(|op| op.op == "read" && op.errno.is_some());
    assert_eq!(
        struck.map(|op| (op.path.as_str(), &op.rules[..])),
        Some(("f", &["set".to_owned()][..]))
    );
    assert!(ops.iter().any(|op| op.op == "write" && op.moved == Some(5)), "{text}");
}

/// Inserts one that fails every read, and traces all.
fn insert(shell: &Shell, socket: &Path) -> Child {
    let target = shell.identity();
    let mount = MountTable::of(target).unwrap().covering(Path::new(AT)).unwrap().id;
    let rules = vec![rule(&[IoOp::Read], IoAction::Error { errno: libc::EIO })];
    let setup = Setup {
        beneath: Beneath::Covered { target, at: AT.into(), mount },
        device: "/dev/fuse".into(),
        source: "keelhaul-test".into(),
        mark: ".kh-trial".into(),
        options: vec!["nosuid".into(), "noatime".into()],
        expected: rules.clone(),
        durability: Durability::default(),
        trace: Some(TraceTo { file: trace(socket), most: 1 << 20 }),
    };
    let serve = Serve::Files { setup: Box::new(setup), at: AT.into(), within: Some(target) };
    let orders = Orders { serve, socket: socket.to_owned(), ends_with: None };
    let mut child = Command::new(env!("CARGO_BIN_EXE_keelhaul"))
        .args(["helper-interposer", "keelhaul-test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", serde_json::to_string(&orders).unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), READY);
    let arm = Ask::Arm { set: "set".into(), seed: 7, rules, again: None };
    assert_eq!(control::ask(socket, &arm, PATIENCE).unwrap(), Answer::Done);
    child
}

fn ends(child: &mut Child) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    false
}

/// On a tmpfs, and on a directory of its filesystem that is no mount point.
#[test]
fn it_reaches_what_is_opened_later_and_ends_with_the_last_file() {
    if !can_be_tried() {
        return;
    }
    for covered in [format!("mount -t tmpfs t {AT}"), "true".to_owned()] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let mut shell = Shell::start();
        shell.does(&format!("mount -t tmpfs t /mnt; mkdir {AT}; {covered}; echo text > {AT}/f"));
        shell.does(&format!("exec 5<{AT}/f"));
        let mut child = insert(&shell, &socket);
        assert_eq!(shell.says("cat <&5"), "text", "what is open escapes it");
        assert!(shell.says(&format!("cat {AT}/f")).contains("Input/output error"));
        assert!(
            shell.says(&format!("grep ' {AT} ' /proc/$$/mountinfo")).contains("nosuid,noatime")
        );
        shell.does(&format!("exec 6<{AT}/f; echo more >> {AT}/f"));
        assert_eq!(control::ask(&socket, &Ask::DisarmAll, PATIENCE).unwrap(), Answer::Done);
        shell.does(&format!("umount -l {AT}"));
        assert_eq!(shell.says(&format!("cat {AT}/f")), "text more", "the directory is its own");
        assert_eq!(shell.says("cat <&6"), "text more", "and so is a file opened meanwhile");
        assert!(child.try_wait().unwrap().is_none(), "it is still in use");
        shell.does("exec 6<&-");
        assert!(ends(&mut child), "nobody uses it");
        let facts = fs::read_to_string(facts_file(&socket)).unwrap();
        assert!(facts.contains("\"armed\":false") && facts.contains("\"hit\":1"), "{facts}");
        was_traced(&socket);
    }
}

#[test]
fn it_ends_with_the_mounts_of_those_it_was_inserted_for() {
    if !can_be_tried() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Shell::start();
    shell.does(&format!("mount -t tmpfs t /mnt; mkdir {AT}"));
    let mut child = insert(&shell, &dir.path().join("socket"));
    drop(shell);
    assert!(ends(&mut child));
}
