//! The server of a disk answers whoever asks it, and gets on with nothing: that is noticed, who waits
//! for it gets an error though it cannot be killed, and the run says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    fixtures::Fixture,
    harness::Test,
    host::{assert_clean, interposers, loops},
    say,
};

/// By then it is noticed, however busy the machine is: 15 s, and room for the looks.
const NOTICED: Duration = Duration::from_secs(40);

/// And is said by then.
const SAID: Duration = Duration::from_secs(12);

/// Tasks that do nothing until this is dropped, not even end: as one does that waits in the kernel for
/// what only it can do.
struct Frozen(PathBuf);

impl Frozen {
    /// None where single threads cannot be frozen.
    fn make() -> Option<Self> {
        let at = Path::new("/sys/fs/cgroup/freezer").join(format!("kh-{}", std::process::id()));
        let made = fs::create_dir(&at).is_ok().then_some(Self(at));
        if made.is_none() {
            say("skipped: needs the freezer of cgroup v1, which can freeze one thread of several");
        }
        made
    }

    /// Freezes these threads of a process.
    fn freeze(&self, pid: i32, named: &str) {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let is_one = |path: &Path| {
            fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with(named))
        };
        let found: Vec<_> = tasks.filter(|task| is_one(&task.path())).collect();
        assert!(!found.is_empty(), "no thread is a `{named}`");
        for task in found {
            fs::write(self.0.join("tasks"), task.file_name().to_str().unwrap()).unwrap();
        }
        fs::write(self.0.join("freezer.state"), "FROZEN").unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let end = Instant::now() + NOTICED;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Reads the disk past every cache.
fn reader(device: &str) -> Child {
    let input = format!("if=/dev/{device}");
    let mut dd = Command::new("dd");
    dd.args([&input, "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]);
    dd.stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_disk_that_answers_and_gets_on_with_nothing_is_noticed_though_it_cannot_be_killed() {
    let Some(frozen) = Frozen::make() else { return };
    let who = "a disk that gets on with nothing";
    let mut run = Test::of(&Fixture::called("power-cut-block").scenario("50s")).start();
    let (id, env) = (run.id(), run.env());
    run.until("injected");
    let [server] = interposers(&id)[..] else { panic!("{:?}", interposers(&id)) };
    let [device] = &loops(&id)[..] else { panic!("{:?}", loops(&id)) };
    assert!(reader(device).wait().unwrap().success(), "{who}: it works");
    frozen.freeze(server, "fuser");
    let (mut waits, began) = (reader(device), Instant::now());
    let status = loop {
        match waits.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(began.elapsed() < NOTICED, "{who}: nobody has noticed"),
        }
        thread::sleep(Duration::from_millis(50));
    };
    say(&format!("{who}: noticed after {:?}", began.elapsed()));
    assert!(!status.success() && began.elapsed() > Duration::from_secs(4), "{who}: {status}");
    // it has not ended yet, and the run knows all the same
    let until = Instant::now() + SAID;
    while run.arrived("case-ended").is_none() && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    let told = run.arrived("case-ended");
    drop(frozen);
    let ended = run.end();
    let all = ended.told();
    assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{who}: {all}");
    assert!(told.is_some() && all.contains("did not answer and was ended"), "{who}: {all}");
    assert_clean(&id, &env, who);
}
