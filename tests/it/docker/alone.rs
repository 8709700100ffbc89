//! Fills and freezes on containers of somebody else's: done where the filesystem is theirs alone, and refused
//! with the name of whoever else uses it where it is not.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use keelhaul::runtime::{ContainerSpec, MountSource, MountSpec, Runtime as _};
use rustix::process::Signal;

use super::{
    attach::{HELD, RUN},
    guest,
    runtime::Bench,
};
use crate::harness::{DEADLINE, Ran, Test};

/// Runs a program that must not fail; what it printed.
fn done(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the filesystem of a volume is on.
enum On {
    Memory,
    Disk { node: String, _image: tempfile::TempDir },
}

impl On {
    fn disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image").display().to_string();
        done(&["truncate", "-s", "64M", &image]);
        done(&["mkfs.ext4", "-q", &image]);
        let node = done(&["losetup", "--find", "--show", &image]);
        Self::Disk { node, _image: directory }
    }

    /// As `docker volume create --opt` takes it.
    fn options(&self) -> Vec<String> {
        match self {
            Self::Memory => ["type=tmpfs", "device=tmpfs", "o=size=8m"].map(str::to_owned).into(),
            Self::Disk { node, .. } => vec!["type=ext4".into(), format!("device={node}")],
        }
    }
}

/// A container with a volume that has a filesystem of its own. Nothing about it is keelhaul's.
struct Alone {
    bench: Bench,
    on: On,
    volume: String,
    id: String,
    more: Vec<String>,
}

impl Alone {
    async fn start(on: On) -> Self {
        let bench = Bench::new().await;
        let volume = format!("{}-alone", bench.run);
        let options = on.options();
        let mut words = vec!["docker", "volume", "create"];
        words.extend(options.iter().flat_map(|option| ["--opt", option.as_str()]));
        words.push(&volume);
        done(&words);
        let mut this = Self { bench, on, volume, id: String::new(), more: Vec::new() };
        this.id = this.container("db").await;
        this
    }

    fn name(&self, which: &str) -> String {
        format!("{}-{which}", self.bench.run)
    }

    /// A container with the volume.
    async fn container(&self, which: &str) -> String {
        let source = MountSource::Volume { name: self.volume.clone(), no_copy: true };
        let spec = ContainerSpec {
            labels: BTreeMap::new(),
            mounts: vec![MountSpec {
                target: "/data".into(),
                source,
                read_only: false,
                relabel: None,
            }],
            ..self.bench.container(which, "wait")
        };
        let id = self.bench.docker.create_container(&spec).await.unwrap();
        self.bench.docker.start(&id).await.unwrap();
        id
    }

    async fn another(&mut self) -> String {
        let id = self.container("web").await;
        self.more.push(id.clone());
        id
    }

    fn scenario(&self, steps: &str) -> Test {
        let test = Test::new();
        let name = self.name("db");
        test.scenario("theirs.yaml", &format!(
            "keelhaul: 1\nname: theirs\nallow: [attach]\nservices: {{ db: {{ attach: {{ container: {name} }} }} }}\nsteady_state: [{{ container: {{ service: db, state: running }} }}]\nsteps:\n{steps}"
        ));
        test
    }

    /// Where the engine has it.
    fn directory(&self) -> PathBuf {
        done(&["docker", "volume", "inspect", "-f", "{{.Mountpoint}}", &self.volume]).into()
    }

    /// Bytes free for root, and names that are ours.
    fn state(&self) -> (u64, Vec<String>) {
        let directory = self.directory();
        let stat = rustix::fs::statvfs(&directory).unwrap();
        let names = fs::read_dir(&directory).unwrap().flatten();
        let names = names.filter_map(|one| one.file_name().into_string().ok());
        let ours = names.filter(|name| name.starts_with(".keelhaul")).collect();
        (stat.f_bfree * stat.f_frsize, ours)
    }

    /// As much is free as before, and a write comes back.
    fn assert_given_back(&self, free: u64) {
        let end = Instant::now() + DEADLINE;
        loop {
            let (now, ours) = self.state();
            if ours.is_empty() && now.abs_diff(free) < 64 << 10 {
                break;
            }
            assert!(Instant::now() < end, "{now} bytes free of {free}; {ours:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        let file = self.directory().join("proof");
        fs::write(&file, "writable").unwrap();
        fs::remove_file(file).unwrap();
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let run = |words: &[&str]| drop(Command::new(words[0]).args(&words[1..]).output());
        for id in self.more.iter().chain([&self.id]) {
            run(&["docker", "rm", "-f", id]);
        }
        run(&["docker", "volume", "rm", &self.volume]);
        if let On::Disk { node, .. } = &self.on {
            run(&["losetup", "-d", node]);
        }
    }
}

const FULL: &str = "  - inject: { disk-full: { target: 'db:/data' } }\n    as: full\n";
const STALLED: &str =
    "  - inject: { stall: { target: 'db:/data', at_most: 30s } }\n    as: stalled\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_theirs_alone_is_filled_and_frozen_and_given_back() {
    let theirs = Alone::start(On::disk()).await;
    let (free, _) = theirs.state();
    let inodes = "  - inject: { inode-exhaustion: { target: 'db:/data' } }\n    as: inodes\n";
    let steps = format!(
        "{FULL}  - revert: full\n{inodes}  - revert: inodes\n{STALLED}  - revert: stalled\n"
    );
    let test = theirs.scenario(&steps);
    let ran = test.keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_given_back(free);
    let record = test.record();
    let proven: Vec<_> =
        record.cases[0].faults.iter().filter_map(|one| one.injected.as_ref()).collect();
    assert_eq!(proven.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tmpfs_that_is_theirs_alone_is_filled_and_no_kernel_freezes_it() {
    let theirs = Alone::start(On::Memory).await;
    let (free, _) = theirs.state();
    let ran = theirs.scenario(FULL).keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_given_back(free);
    let ran = theirs.scenario(STALLED).keelhaul(&RUN);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("the kernel freezes no tmpfs"), "{ran:?}");
}

/// Both are refused: whoever uses it too is named, and what can be done instead.
fn refused(theirs: &Alone, who: &str) {
    for (steps, instead) in [(FULL, "errno: ENOSPC"), (STALLED, "`io-stall` with `insert: true`")] {
        let (free, _) = theirs.state();
        let ran = theirs.scenario(steps).keelhaul(&RUN);
        assert!(matches!(ran.code, Some(2 | 3)), "{ran:?}");
        // lines are wrapped for people
        let said = format!("{} {}", ran.stdout, ran.stderr);
        let said = said.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        for words in ["its filesystem is not its alone", who, instead] {
            assert!(said.contains(words), "{words}: {ran:?}");
        }
        theirs.assert_given_back(free);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_container_with_the_volume_is_named() {
    let mut theirs = Alone::start(On::disk()).await;
    theirs.another().await;
    let web = theirs.name("web");
    refused(&theirs, &format!("container `{web}` has volume `{}` too", theirs.volume));
    // what both are of the run's is theirs alone
    let both = theirs.scenario(FULL);
    let text = fs::read_to_string(both.path("theirs.yaml")).unwrap();
    let more = format!("services: {{ web: {{ attach: {{ container: {web} }} }}, ");
    both.scenario("theirs.yaml", &text.replacen("services: { ", &more, 1));
    let (free, _) = theirs.state();
    let ran = both.keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_given_back(free);
}

/// A mount of the host, taken away in the end.
struct Bound(tempfile::TempDir);

impl Bound {
    fn of(directory: &Path) -> Self {
        let point = tempfile::tempdir().unwrap();
        let (from, to) = (directory.display().to_string(), point.path().display().to_string());
        done(&["mount", "--bind", &from, &to]);
        Self(point)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_of_the_host_and_an_open_file_are_named() {
    let theirs = Alone::start(On::disk()).await;
    let below = theirs.directory().join("below");
    fs::create_dir(&below).unwrap();
    let bound = Bound::of(&below);
    assert_eq!(fs::metadata(&below).unwrap().dev(), fs::metadata(bound.0.path()).unwrap().dev());
    refused(&theirs, &format!("the host has it at `{}`", bound.0.path().display()));
    drop(bound);
    let file = fs::File::create(theirs.directory().join("log")).unwrap();
    let me = std::process::id();
    refused(
        &theirs,
        &format!("(pid {me}) on the host has `{}/log` open", theirs.directory().display()),
    );
    drop(file);
    let ran = theirs.scenario(FULL).keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "nobody has it any more: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_while_the_run_was_on_its_way_is_noticed_before_the_fault() {
    let mut theirs = Alone::start(On::disk()).await;
    let (free, _) = theirs.state();
    let command = serde_json::to_string(&guest::command("exit 0")).unwrap();
    let test = theirs.scenario(&format!(
        "  - exec: {{ service: db, command: {command} }}\n  - wait: 15s\n{FULL}"
    ));
    let run = test.start(&RUN, &[], "");
    let end = Instant::now() + DEADLINE;
    while !test.path("reports/latest").exists() {
        assert!(Instant::now() < end, "the run has not begun");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    theirs.another().await;
    let ran: Ran = run.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let said = format!("container `{}` has it at `/data`", theirs.name("web"));
    assert!(ran.stdout.contains(&said), "{said}: {ran:?}");
    theirs.assert_given_back(free);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_is_killed_leaves_it_free_and_thawed() {
    for (on, steps) in [(On::disk(), FULL), (On::Memory, FULL), (On::disk(), STALLED)] {
        let theirs = Alone::start(on).await;
        let (free, _) = theirs.state();
        let test = theirs.scenario(&format!("{steps}{HELD}"));
        let mut run = test.start(&[&RUN[..], &["--hold"]].concat(), &[], "");
        run.until_said("held with");
        if steps == FULL {
            let (now, _) = theirs.state();
            assert!(now < free / 2, "in force: {now} of {free}");
        }
        run.signal(Signal::KILL);
        assert_eq!(run.end().code, None);
        // by the keeper alone; `recover` then finds nothing but the journal
        theirs.assert_given_back(free);
        let ran = test.keelhaul(&["recover", &test.run_id(), "--force"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        theirs.assert_given_back(free);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_unmounted_while_it_was_full_is_not_forgotten() {
    let theirs = Alone::start(On::disk()).await;
    let (free, _) = theirs.state();
    let test = theirs.scenario(&format!("{FULL}{HELD}"));
    let mut run = test.start(&[&RUN[..], &["--hold"]].concat(), &[], "");
    run.until_said("held with");
    done(&["docker", "stop", "-t", "0", &theirs.id]);
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    let recover = || test.keelhaul(&["recover", &test.run_id(), "--force"]);
    let ran = recover();
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let said = format!("{} {}", ran.stdout, ran.stderr);
    assert!(said.contains("is mounted nowhere just now"), "{ran:?}");
    done(&["docker", "start", &theirs.id]);
    let ran = recover();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_given_back(free);
}
