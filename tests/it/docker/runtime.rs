//! The engine through the `Runtime` trait, and the helper's container beside it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use keelhaul::{
    protocol::EngineOp,
    runtime::{
        ContainerSpec, Docker, ENGINE_SOCKET, HELPER_CAPABILITIES, Health, HealthCheck, HelperSpec,
        ImageRef, MountSource, MountSpec, NetworkSpec, OWN_IMAGE, ObjectKind, PullPolicy,
        RUN_DIRECTORY, RestartPolicy, Runtime, RuntimeError, SPECIMEN_IMAGE, State, VolumeSpec,
        build_hash, labels,
    },
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::guest;

const LONG: Duration = Duration::from_secs(60);

/// A run of its own at the engine, removed at its end.
pub(super) struct Bench {
    pub(super) docker: Docker,
    pub(super) run: String,
    image: String,
}

impl Bench {
    pub(super) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let docker = Docker::connect(None).expect("these tests need a container engine");
        let image = ImageRef { name: SPECIMEN_IMAGE.to_owned(), pull: PullPolicy::Never };
        let image = docker.ensure_image(&image).await.unwrap();
        Self { docker, run: format!("test-{}-{number}", std::process::id()), image }
    }

    fn labels(&self, role: &str) -> BTreeMap<String, String> {
        labels::of(&self.run, role, "test")
    }

    pub(super) fn container(&self, name: &str, action: &str) -> ContainerSpec {
        ContainerSpec {
            name: format!("{}-{name}", self.run),
            image: self.image.clone(),
            entrypoint: Some(guest::command(action)),
            labels: self.labels(labels::ROLE_SUBJECT),
            ..ContainerSpec::default()
        }
    }

    async fn start(&self, spec: &ContainerSpec) -> String {
        let id = self.docker.create_container(spec).await.unwrap();
        self.docker.start(&id).await.unwrap();
        id
    }

    /// A helper that repeats what it is told.
    fn helper(&self, volume: String) -> HelperSpec {
        HelperSpec {
            name: format!("{}-helper", self.run),
            image: self.image.clone(),
            command: guest::arguments("echo"),
            env: BTreeMap::new(),
            labels: self.labels(labels::ROLE_HELPER),
            volume,
            mounts: Vec::new(),
            capabilities: HELPER_CAPABILITIES.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    pub(super) async fn volume(&self, name: &str, role: &str) -> String {
        let spec = VolumeSpec {
            name: format!("{}-{name}", self.run),
            driver: "local".to_owned(),
            options: BTreeMap::new(),
            labels: self.labels(role),
        };
        self.docker.create_volume(&spec).await.unwrap();
        spec.name
    }

    async fn until(&self, id: &str, state: State) {
        let end = Instant::now() + LONG;
        while self.docker.inspect(id).await.unwrap().state != state {
            assert!(Instant::now() < end, "never {state:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a program prints after its start mark, and its exit code.
    async fn exec(&self, id: &str, action: &str) -> (String, i64) {
        let output = self.docker.exec(id, &guest::command(action), LONG).await.unwrap();
        let (_, text) = output.stdout.split_once(guest::START).unwrap_or(("", &output.stdout));
        (text.to_owned(), output.exit_code)
    }
}

impl Drop for Bench {
    /// Removes what is left, also of a test that failed.
    fn drop(&mut self) {
        let (docker, run) = (self.docker.clone(), self.run.clone());
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let _ = docker.perform(&EngineOp::RemoveRun { run: run.clone() }).await;
                for object in docker.objects(&run).await.unwrap_or_default() {
                    let _ = docker.remove(&object).await;
                }
            });
        });
        let _ = removal.join();
    }
}

fn start(container: &str) -> EngineOp {
    EngineOp::Start { container: container.to_owned() }
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let facts = Docker::connect(None).unwrap().engine().await.unwrap();
    for text in [&facts.version, &facts.api_version, &facts.kernel, &facts.data_root] {
        assert!(!text.is_empty(), "{facts:?}");
    }
    assert!(["1", "2"].contains(&facts.cgroup_version.as_str()), "{facts:?}");
}

#[tokio::test]
async fn our_image_is_made_once() {
    let bench = Bench::new().await;
    let helper = ImageRef { name: "keelhaul/helper".to_owned(), pull: PullPolicy::Always };
    assert_eq!(bench.docker.ensure_image(&helper).await.unwrap(), bench.image);
    let tag = format!("{OWN_IMAGE}:{}", &build_hash().unwrap()[..16]);
    let images = bench.docker.own_images().await.unwrap();
    let ours = images.iter().find(|image| image.name == tag).expect("no image with our tag");
    assert_eq!((ours.id.as_str(), ours.role.as_str()), (bench.image.as_str(), labels::ROLE_IMAGE));
}

#[tokio::test]
async fn a_container_goes_through_its_states() {
    let bench = Bench::new().await;
    let mut spec = bench.container("one", "wait");
    spec.health = Some(HealthCheck {
        command: guest::command("exit 0"),
        interval_ms: 100,
        timeout_ms: 10_000,
        retries: 3,
        start_period_ms: None,
    });
    let id = bench.docker.create_container(&spec).await.unwrap();
    let docker = &bench.docker;
    assert_eq!(docker.inspect(&id).await.unwrap().state, State::Created);
    docker.perform(&start(&id)).await.unwrap();
    docker.perform(&start(&id)).await.unwrap();
    let facts = docker.inspect(&spec.name).await.unwrap();
    assert_eq!((facts.state, facts.name.as_str()), (State::Running, spec.name.as_str()));
    assert!(facts.pid > 1 && facts.id == id && facts.image == bench.image, "{facts:?}");
    let end = Instant::now() + LONG;
    while docker.inspect(&id).await.unwrap().health != Health::Healthy {
        assert!(Instant::now() < end, "never healthy");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    docker.perform(&EngineOp::Unpause { container: id.clone() }).await.unwrap();
    docker.perform(&EngineOp::Pause { container: id.clone() }).await.unwrap();
    assert_eq!(docker.inspect(&id).await.unwrap().state, State::Paused);
    docker.perform(&start(&id)).await.unwrap();
    assert_eq!(docker.inspect(&id).await.unwrap().state, State::Paused);
    docker.perform(&EngineOp::Unpause { container: id.clone() }).await.unwrap();
    docker.perform(&EngineOp::Restart { container: id.clone(), grace_ms: 0 }).await.unwrap();
    let again = docker.inspect(&id).await.unwrap();
    assert!(again.state == State::Running && again.started_at != facts.started_at);
    let kill = EngineOp::Kill { container: id.clone(), signal: "SIGKILL".to_owned() };
    docker.perform(&kill).await.unwrap();
    bench.until(&id, State::Exited).await;
    assert_eq!(docker.inspect(&id).await.unwrap().exit_code, 137);
    docker.perform(&EngineOp::Unpause { container: id.clone() }).await.unwrap();
    docker.perform(&EngineOp::Stop { container: id.clone(), grace_ms: 0 }).await.unwrap();
}

#[tokio::test]
async fn a_spec_is_followed() {
    let bench = Bench::new().await;
    let network = NetworkSpec {
        name: format!("{}-net", bench.run),
        labels: bench.labels(labels::ROLE_NETWORK),
    };
    let mut spec = bench.container("one", "wait");
    spec.network = Some(bench.docker.create_network(&network).await.unwrap());
    spec.aliases = vec!["friend".to_owned()];
    spec.memory = Some(256 << 20);
    spec.cpus = Some(0.5);
    spec.restart = RestartPolicy::UnlessStopped;
    spec.read_only = true;
    spec.user = Some("agent".to_owned());
    spec.cap_drop = vec!["ALL".to_owned()];
    spec.env.insert("COLOUR".to_owned(), "blue = green".to_owned());
    let volume = bench.volume("data", labels::ROLE_VOLUME).await;
    let mount = |target: &str, source, read_only| MountSpec {
        target: target.to_owned(),
        source,
        read_only,
        relabel: None,
    };
    spec.mounts = vec![
        mount("/data", MountSource::Volume { name: volume.clone(), no_copy: true }, false),
        mount("/host-etc", MountSource::Bind { path: "/etc".to_owned() }, true),
        mount(
            "/memory",
            MountSource::Tmpfs { size: Some(1 << 20), inodes: Some(37), mode: Some(0o1770) },
            false,
        ),
    ];
    let id = bench.start(&spec).await;
    let facts = bench.docker.inspect(&id).await.unwrap();
    let seen: Vec<_> = facts
        .mounts
        .iter()
        .map(|one| (one.destination.as_str(), one.kind.as_str(), one.writable))
        .collect();
    let expected =
        [("/data", "volume", true), ("/host-etc", "bind", false), ("/memory", "tmpfs", true)];
    assert_eq!(seen, expected);
    assert_eq!(facts.mounts[0].volume, volume);
    let (mounts, _) = bench.exec(&id, "read /proc/self/mounts").await;
    let memory = mounts.lines().find(|line| line.contains(" /memory ")).unwrap();
    for option in ["size=1024k", "nr_inodes=37", "mode=1770"] {
        assert!(memory.contains(option), "{memory}");
    }
    let root = mounts.lines().find(|line| line.contains(" / ")).unwrap();
    assert!(root.contains("ro,"), "{root}");
    let (status, _) = bench.exec(&id, "read /proc/self/status").await;
    assert!(status.contains("Uid:\t1001\t1001"), "{status}");
    assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
    let (environment, _) = bench.exec(&id, "read /proc/self/environ").await;
    assert!(environment.split('\0').any(|one| one == "COLOUR=blue = green"), "{environment}");
}

#[tokio::test]
async fn the_image_holds_hard_links() {
    let bench = Bench::new().await;
    let id = bench.start(&bench.container("one", "wait")).await;
    let (links, code) = bench.exec(&id, "links").await;
    let lines: Vec<_> = links.lines().collect();
    assert_eq!((lines.len(), code), (2, 0), "{links}");
    assert!(lines[0] == lines[1] && lines[0].ends_with(" 2"), "{links}");
}

#[tokio::test]
async fn logs_are_any_bytes_and_bounded() {
    let bench = Bench::new().await;
    let id = bench.start(&bench.container("bytes", "bytes")).await;
    bench.until(&id, State::Exited).await;
    let log = bench.docker.logs(&id, 0, 1 << 20).await.unwrap();
    // the engine keeps its logs as JSON text: bytes that are no UTF-8 are replaced there
    for part in ["nul \0 escape \x1b[31m bad", " ]]>\n", "on the other stream\n"] {
        let found = log.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(found, "{part:?} not in {:?}", String::from_utf8_lossy(&log));
    }
    let later = bench.docker.logs(&id, i64::from(i32::MAX) * 1_000_000_000, 1 << 20).await.unwrap();
    assert!(later.is_empty());
    let stamped = bench.docker.logs(&id, 1, 1 << 20).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&stamped), String::from_utf8_lossy(&log));
    let id = bench.start(&bench.container("flood", "flood 2048")).await;
    bench.until(&id, State::Exited).await;
    let log = bench.docker.logs(&id, 0, 4096).await.unwrap();
    assert_eq!(log.len(), 4096);
    assert!(log.ends_with(b"xxTHE END"));
}

#[tokio::test]
async fn logs_since_a_moment_hold_nothing_from_the_same_second_before_it() {
    let bench = Bench::new().await;
    let id = bench.start(&bench.container("lines", "lines 200 10")).await;
    bench.until(&id, State::Exited).await;
    let numbers = |log: Vec<u8>| -> Vec<u64> {
        let text = String::from_utf8(log).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("at ")?.parse().ok()).collect()
    };
    let all = numbers(bench.docker.logs(&id, 0, 1 << 20).await.unwrap());
    assert_eq!(all.len(), 200);
    // the engine stamps a line when it has read it: never before it was printed
    let moment = all[100];
    let since = i64::try_from(moment).unwrap();
    let later = numbers(bench.docker.logs(&id, since, 1 << 20).await.unwrap());
    assert!(all.ends_with(&later) && later.contains(&moment), "{moment}: {later:?}");
    let second = 1_000_000_000;
    assert!(moment - later[0] < second / 2, "{moment}: {later:?}");
    let mut pieces = bench.docker.printed(&id, 0, 1 << 20).await.unwrap();
    pieces.retain(|piece| piece.bytes.starts_with(b"at "));
    for (piece, printed) in pieces.iter().zip(&all) {
        let read = piece.at_ns.and_then(|at_ns| u64::try_from(at_ns).ok()).expect("a stamp");
        assert!((*printed..printed + second / 2).contains(&read), "{printed} {piece:?}");
        assert_eq!(numbers(piece.bytes.clone()), [*printed]);
    }
    assert_eq!(pieces.len(), 200);
}

#[tokio::test]
async fn exec_tells_how_it_ended() {
    let bench = Bench::new().await;
    let id = bench.start(&bench.container("one", "wait")).await;
    assert_eq!(bench.exec(&id, "exit 42").await.1, 42);
    let output = bench.docker.exec(&id, &guest::command("bytes"), LONG).await.unwrap();
    assert!(output.stdout.contains("bad \u{fffd}\u{fffd} ]]>"), "{output:?}");
    assert_eq!((output.stderr.as_str(), output.exit_code), ("on the other stream\n", 0));
    let flood = bench.docker.exec(&id, &guest::command("flood 1024"), LONG).await.unwrap();
    assert_eq!(flood.stdout.len(), 64 * 1024);
    let nothing = bench.docker.exec(&id, &["/nowhere".to_owned()], LONG).await;
    let failed = nothing.as_ref().map_or(true, |output| [126, 127].contains(&output.exit_code));
    assert!(failed, "{nothing:?}");
    let soon = Duration::from_millis(1500);
    let slow = bench.docker.exec(&id, &guest::command("wait"), soon).await;
    assert!(matches!(slow, Err(RuntimeError::Timeout { seconds: 2, .. })), "{slow:?}");
}

#[tokio::test]
async fn a_program_in_a_container_can_be_spoken_to() {
    let bench = Bench::new().await;
    let id = bench.start(&bench.container("one", "wait")).await;
    let mut partner = bench.docker.exec_stream(&id, &guest::command("echo")).await.unwrap();
    let mut lines = BufReader::new(partner.stdout).lines();
    while lines.next_line().await.unwrap().expect("it never started") != guest::START.trim() {}
    for word in ["PUT", "ACK", "READ"] {
        partner.stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        partner.stdin.flush().await.unwrap();
        assert_eq!(lines.next_line().await.unwrap(), Some(format!("{word}!")));
    }
    partner.stdin.shutdown().await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None);
    assert_eq!(partner.stderr.recv().await.as_deref(), Some("got PUT"));
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let bench = Bench::new().await;
    let docker = &bench.docker;
    let spec = bench.container("one", "wait");
    docker.create_container(&spec).await.unwrap();
    let twice = docker.create_container(&spec).await.unwrap_err();
    assert!(matches!(&twice, RuntimeError::Conflict { what, .. } if what.contains(&spec.name)));
    let gone = docker.inspect("keelhaul-nowhere").await.unwrap_err();
    let expected = RuntimeError::Gone { what: "container", name: "keelhaul-nowhere".to_owned() };
    assert_eq!(gone, expected);
    let image = ImageRef { name: "keelhaul.invalid/x:1".to_owned(), pull: PullPolicy::Never };
    let missing = RuntimeError::ImageMissing { image: image.name.clone() };
    assert_eq!(docker.ensure_image(&image).await.unwrap_err(), missing);
    let mut other = bench.container("two", "wait");
    other.image.clone_from(&image.name);
    assert_eq!(docker.create_container(&other).await.unwrap_err(), missing);
    let mut other = bench.container("three", "wait");
    other.network = Some("keelhaul-nowhere".to_owned());
    let started = match docker.create_container(&other).await {
        Ok(id) => docker.start(&id).await,
        Err(error) => Err(error),
    };
    assert!(
        matches!(&started, Err(RuntimeError::Gone { what: "network", name }) if name == "keelhaul-nowhere"),
        "{started:?}"
    );
    let network = NetworkSpec {
        name: format!("{}-net", bench.run),
        labels: bench.labels(labels::ROLE_NETWORK),
    };
    docker.create_network(&network).await.unwrap();
    let stopped = docker.exec(&spec.name, &guest::command("exit 0"), LONG).await.unwrap_err();
    assert!(
        matches!(&stopped, RuntimeError::Refused { detail, .. } if detail.contains("not running"))
    );
}

#[tokio::test]
async fn a_run_is_removed_whole_and_alone() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let theirs = other.volume("data", labels::ROLE_VOLUME).await;
    let volume = bench.volume("data", labels::ROLE_VOLUME).await;
    let journal = bench.volume("journal", labels::ROLE_JOURNAL).await;
    let network = NetworkSpec {
        name: format!("{}-net", bench.run),
        labels: bench.labels(labels::ROLE_NETWORK),
    };
    let network = bench.docker.create_network(&network).await.unwrap();
    for name in ["one", "two"] {
        let mut spec = bench.container(name, "wait");
        spec.network = Some(network.clone());
        spec.restart = RestartPolicy::Always;
        spec.mounts.push(MountSpec {
            target: "/data".to_owned(),
            source: MountSource::Volume { name: volume.clone(), no_copy: false },
            read_only: false,
            relabel: None,
        });
        let id = bench.start(&spec).await;
        bench.docker.perform(&EngineOp::Pause { container: id }).await.unwrap();
    }
    let kinds: Vec<_> =
        bench.docker.objects(&bench.run).await.unwrap().iter().map(|one| one.kind).collect();
    use ObjectKind::{Container, Network, Volume};
    assert_eq!(kinds, [Container, Container, Volume, Volume, Network]);
    let remove = EngineOp::RemoveRun { run: bench.run.clone() };
    let (one, two) = tokio::join!(bench.docker.perform(&remove), bench.docker.perform(&remove));
    assert_eq!((one, two), (Ok(()), Ok(())));
    let left = bench.docker.objects(&bench.run).await.unwrap();
    assert_eq!(left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [journal.as_str()]);
    assert_eq!(left[0].role, labels::ROLE_JOURNAL);
    bench.docker.perform(&remove).await.unwrap();
    let all = other.docker.all_objects().await.unwrap();
    assert!(all.iter().any(|one| one.name == theirs && one.run == other.run));
}

#[tokio::test]
async fn the_helper_is_attached_before_it_starts() {
    let bench = Bench::new().await;
    let spec = bench.helper(bench.volume("journal", labels::ROLE_JOURNAL).await);
    let id = bench.docker.create_helper(&spec).await.unwrap();
    let mut helper = bench.docker.attach(&id).await.unwrap();
    bench.docker.start(&id).await.unwrap();
    helper.stdin.write_all(b"hello\n").await.unwrap();
    helper.stdin.flush().await.unwrap();
    let mut lines = BufReader::new(helper.stdout).lines();
    while lines.next_line().await.unwrap().expect("it never started") != guest::START.trim() {}
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("hello!"));
    let (environment, _) = bench.exec(&id, "read /proc/self/environ").await;
    let prefix = format!("{ENGINE_SOCKET}=");
    let socket = environment.split('\0').find_map(|one| one.strip_prefix(&prefix)).unwrap();
    assert_eq!(bench.exec(&id, &format!("connect {socket}")).await.1, 0, "{socket}");
    let (devices, _) = bench.exec(&id, "list /host/dev").await;
    assert!(devices.lines().any(|one| one == "null"), "{devices}");
    let (mounts, _) = bench.exec(&id, "read /proc/self/mounts").await;
    assert!(mounts.lines().any(|line| line.contains(&format!(" {RUN_DIRECTORY} "))), "{mounts}");
    let (status, _) = bench.exec(&id, "read /proc/1/comm").await;
    assert_ne!(status.trim(), "keelhaul", "not the host's processes");
    let kinds = bench.docker.objects(&bench.run).await.unwrap();
    bench.docker.perform(&EngineOp::RemoveRun { run: bench.run.clone() }).await.unwrap();
    assert_eq!(bench.docker.objects(&bench.run).await.unwrap(), kinds);
    // the end of our connection is the end of its input, and its end is its removal
    drop((helper.stdin, lines));
    let end = Instant::now() + LONG;
    while bench.docker.inspect(&id).await.is_ok() {
        assert!(Instant::now() < end, "it sees no end of file");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_journal_volume_that_the_engine_makes_anew_belongs_to_the_run() {
    let bench = Bench::new().await;
    let name = format!("{}-removed-meanwhile", bench.run);
    bench.docker.create_helper(&bench.helper(name.clone())).await.unwrap();
    let objects = bench.docker.objects(&bench.run).await.unwrap();
    let volume = objects.iter().find(|one| one.name == name).expect("recover would not see it");
    assert_eq!((volume.kind, volume.role.as_str()), (ObjectKind::Volume, labels::ROLE_JOURNAL));
}
