//! A container that somebody else has started, with a volume as a fixture wants it: what a run may attach to,
//! and must leave as it was.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use keelhaul::faults::{Changes, FaultSpec, TABLE, refused_on_attached};

use super::harness::{BOUND, Test};
use super::{
    fixture::{MEMORY, READY},
    fixtures::{FIXTURES, Fixture},
};

/// By then nothing of a run is seen any more.
const GONE: Duration = Duration::from_secs(6);

/// Runs a program that must not fail; what it printed.
fn done(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Those of the table that may act on such a container, as the program itself judges it.
pub(super) fn allowed() -> Vec<&'static Fixture> {
    let is_allowed = |fixture: &&Fixture| {
        let yaml = format!("{}: {}", fixture.fault, fixture.inject);
        let fault: FaultSpec = serde_saphyr::from_str(&yaml).unwrap();
        refused_on_attached(&fault).is_none()
    };
    FIXTURES.iter().filter(is_allowed).collect()
}

/// What a fault changes there; none of what strikes in an interposer.
fn changes(fixture: &Fixture) -> Option<Changes> {
    TABLE.iter().find(|row| row.name == fixture.fault).unwrap().on_others.changes()
}

/// The image of the reference subject, as a run has made it.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let ended = Test::of(&Fixture::called("drop-cache").scenario("")).finish();
        ended.all("subject-started")[0]["image"].as_str().unwrap().to_owned()
    })
}

/// The value of a key in a flow map.
fn value<'a>(map: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = map.split_once(&format!("{key}: "))?;
    rest.split([',', ' ', '}']).next()
}

/// What is seen of it from outside.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    running: bool,
    /// When it was started, and its init's pid.
    start: String,
    /// Its mounts, without numbers that are others when a mount is made again.
    mounts: Vec<String>,
    /// Names, modes and owners of what is in the volume, and of the volume.
    files: BTreeMap<String, (u32, u32, u32)>,
    oom_score: String,
}

/// The container, and what was made for it.
pub(super) struct Theirs<'a> {
    fixture: &'a Fixture,
    name: String,
    id: String,
    disk: Option<(String, tempfile::TempDir)>,
    before: Option<Facts>,
}

impl<'a> Theirs<'a> {
    /// Starts one, and waits until it is at work.
    pub(super) fn start(fixture: &'a Fixture) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("weather-theirs-{}-{number}", std::process::id());
        let mut this = Self { fixture, name, id: String::new(), disk: None, before: None };
        let (volume, memory) = (this.volume(), MEMORY.replace("iB", ""));
        let mut words = vec!["docker", "run", "-d", "--name", &this.name, "--memory", &memory];
        words.extend(["--stop-timeout", "1", "--entrypoint", "/keelhaul"]);
        words.extend(volume.iter().map(String::as_str));
        // a user that nobody else is
        let user =
            (1_000_000_000 + u64::from(std::process::id()) * 100 + u64::from(number)).to_string();
        if fixture.service.contains("user: unique") {
            words.extend(["--user", &user]);
        }
        words.extend([image(), "specimen"]);
        let id = done(&words);
        this.id = id;
        this.await_ready();
        let before = this.facts();
        // else there is nothing that a later look could differ from
        let seen = !before.mounts.is_empty() && !before.files.is_empty();
        assert!(seen, "{}: nothing is seen of it: {before:#?}", fixture.name());
        this.before = Some(before);
        this
    }

    /// The volume that the fixture wants, as arguments of `docker run`.
    fn volume(&mut self) -> Vec<String> {
        let (wanted, at) = (self.fixture.volume, self.fixture.mount);
        let size = value(wanted, "size").unwrap_or_default().replace("iB", "");
        if wanted.contains("tmpfs:") {
            let inodes = value(wanted, "inodes").map(|count| format!(",nr_inodes={count}"));
            let options = format!("{at}:size={size}{}", inodes.unwrap_or_default());
            return ["--tmpfs".into(), options].into();
        }
        if wanted.contains("ext4:") {
            let directory = tempfile::tempdir().unwrap();
            let image = directory.path().join("image").display().to_string();
            done(&["truncate", "-s", &size, &image]);
            done(&["mkfs.ext4", "-q", "-N", value(wanted, "inodes").unwrap_or("256"), &image]);
            let node = done(&["losetup", "--find", "--show", &image]);
            let device = format!("device={node}");
            self.disk = Some((node, directory));
            done(&[
                "docker",
                "volume",
                "create",
                "--opt",
                "type=ext4",
                "--opt",
                &device,
                &self.name,
            ]);
        }
        ["--mount".into(), format!("type=volume,src={},dst={at}", self.name)].into()
    }

    fn await_ready(&self) {
        let end = Instant::now() + BOUND;
        loop {
            let output = Command::new("docker").args(["logs", &self.id]).output().unwrap();
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if READY.split('|').any(|words| said.contains(words)) {
                return;
            }
            assert!(Instant::now() < end, "{}: {said}", self.fixture.name());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn facts(&self) -> Facts {
        let state = "{{.State.Running}} {{.State.StartedAt}} {{.State.Pid}}";
        let state = done(&["docker", "inspect", "-f", state, &self.id]);
        let pid = state.rsplit(' ').next().unwrap();
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let mut mounts: Vec<String> = read("mountinfo").lines().map(without_numbers).collect();
        mounts.sort_unstable();
        Facts {
            running: state.starts_with("true"),
            start: state.clone(),
            mounts,
            files: files(&format!("/proc/{pid}/root{}", self.fixture.mount)),
            oom_score: read("oom_score_adj"),
        }
    }

    /// Its fault, in a run that attaches to it.
    pub(super) fn test(&self, wait: &str) -> Test {
        Test::of(&self.fixture.scenario_on(&self.name, wait)).attached()
    }

    /// Likewise, with other steps after its fault.
    pub(super) fn test_then(&self, steps: &str) -> Test {
        let scenario = self.fixture.scenario_on(&self.name, "");
        let steps = format!("as: fault{steps}");
        Test::of(&scenario.replace("as: fault\n  - revert: fault", &steps)).attached()
    }

    /// The mode of a file of its volume; none where there is none.
    pub(super) fn mode(&self, name: &str) -> Option<u32> {
        self.facts().files.get(name).map(|(mode, ..)| mode & 0o7777)
    }

    /// It runs as it did, was never started again unless that is what the fault is, and has nothing
    /// in or around it that it had not.
    pub(super) fn assert_as_before(&self, who: &str) {
        let end = Instant::now() + GONE;
        let (before, claim) =
            (self.before.as_ref().unwrap(), format!("keelhaul-attached-{:.12}", self.id));
        loop {
            let (mut now, mut before) = (self.facts(), before.clone());
            now.files.retain(|name, _| before.files.contains_key(name) || !is_its_own(name));
            before.files.retain(|name, _| now.files.contains_key(name) || !is_passing(name));
            if changes(self.fixture) == Some(Changes::Processes) {
                now.start.clone_from(&before.start);
            }
            let claimed = done(&["docker", "ps", "-aq", "--filter", &format!("name={claim}")]);
            if now == before && claimed.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{who}: {now:#?}\nbefore: {before:#?}\nclaim: {claimed}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What the subject itself makes in its volume when it has begun its work.
fn is_its_own(name: &str) -> bool {
    const OWN: [&str; 6] =
        ["current.dat", "initialised", "journal.log", "logs", "releases", "state.json"];
    OWN.contains(&name) || is_passing(name)
}

/// What it writes before it gives it its name.
fn is_passing(name: &str) -> bool {
    name.ends_with(".tmp")
}

/// A line of mountinfo without ids, device and peer groups (proc(5)).
fn without_numbers(line: &str) -> String {
    let (own, filesystem) = line.split_once(" - ").unwrap_or((line, ""));
    let own: Vec<&str> = own.split(' ').skip(3).take(3).collect();
    format!("{} {filesystem}", own.join(" "))
}

fn files(directory: &str) -> BTreeMap<String, (u32, u32, u32)> {
    let facts = |meta: fs::Metadata| (meta.mode(), meta.uid(), meta.gid());
    let inside = fs::read_dir(directory).into_iter().flatten().flatten();
    let named =
        inside.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata()));
    let all = named.chain([(".".to_owned(), fs::metadata(directory))]);
    all.filter_map(|(name, meta)| Some((name, facts(meta.ok()?)))).collect()
}

impl Drop for Theirs<'_> {
    fn drop(&mut self) {
        let run = |words: &[&str]| drop(Command::new(words[0]).args(&words[1..]).output());
        // by name: it may have been made and not started
        run(&["docker", "rm", "-f", "-v", &self.name]);
        run(&["docker", "volume", "rm", &self.name]);
        if let Some((node, _)) = &self.disk {
            run(&["losetup", "--detach", node]);
        }
    }
}
