//! The library, as a test of somebody else's uses it: on a container that it did not make. In an
//! executable of its own, since a process has one helper binary.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

/// They need a container engine.
mod docker {
    use std::{
        fs,
        io::{BufRead as _, BufReader, Write as _},
        path::Path,
        process::{Command, Stdio},
        sync::mpsc,
        time::{Duration, Instant},
    };

    use keelhaul::{
        run::LiveError,
        runtime::{
            ContainerFacts, ContainerSpec, Docker, ImageRef, MountSource, MountSpec, PROGRAM,
            PullPolicy, Runtime as _, SPECIMEN_IMAGE, State, take_program,
        },
        testing::{Error, Http, Subject, Write, attach, faults},
        verdict::Verdict,
    };

    const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");
    const DEADLINE: Duration = Duration::from_secs(120);
    /// Names the container for a process that is going to be killed.
    const HOLD: &str = "KEELHAUL_TEST_HOLD";

    /// A specimen with its data in memory. Nothing about it is keelhaul's.
    struct Theirs {
        docker: Docker,
        id: String,
        before: ContainerFacts,
        mounts: String,
    }

    impl Theirs {
        async fn start(name: &str) -> Self {
            take_program(Path::new(KEELHAUL)).unwrap();
            let docker = Docker::connect(None).expect("these tests need a container engine");
            let image = ImageRef { name: SPECIMEN_IMAGE.into(), pull: PullPolicy::Never };
            let source = MountSource::Tmpfs { size: Some(16 << 20), inodes: None, mode: None };
            let spec = ContainerSpec {
                name: format!("theirs-{name}-{}", std::process::id()),
                image: docker.ensure_image(&image).await.unwrap(),
                entrypoint: Some(vec![PROGRAM.into(), "specimen".into()]),
                mounts: vec![MountSpec {
                    target: "/data".into(),
                    source,
                    read_only: false,
                    relabel: None,
                }],
                ..ContainerSpec::default()
            };
            let id = docker.create_container(&spec).await.unwrap();
            docker.start(&id).await.unwrap();
            let before = docker.inspect(&id).await.unwrap();
            let mounts = mounts(&before);
            Self { docker, id, before, mounts }
        }

        async fn attach(&self) -> Subject {
            attach(&self.id).program(KEELHAUL).await.unwrap()
        }

        /// Nothing of ours is left, and the container is what it was, as soon as anybody looks.
        async fn is_untouched(&self) -> bool {
            let now = self.docker.inspect(&self.id).await.unwrap();
            assert_eq!((now.state, &now.started_at), (State::Running, &self.before.started_at));
            let proof = format!("/proc/{}/root/data/proof", now.pid);
            mounts(&now) == self.mounts
                && fs::write(&proof, "writable").and_then(|()| fs::remove_file(&proof)).is_ok()
        }

        /// What is left of a run, without the journal where its keeper ended by itself.
        async fn left(&self, run: &str) -> Vec<String> {
            let objects = self.docker.objects(run).await.unwrap();
            objects.into_iter().map(|object| object.name).collect()
        }
    }

    impl Drop for Theirs {
        fn drop(&mut self) {
            let _ = Command::new("docker").args(["rm", "-f", "-v", &self.id]).output();
        }
    }

    /// The mount table of a container, as its init has it.
    fn mounts(facts: &ContainerFacts) -> String {
        fs::read_to_string(format!("/proc/{}/mountinfo", facts.pid)).unwrap()
    }

    #[tokio::test]
    async fn a_fault_is_seen_to_come_and_to_go_and_records_are_kept() {
        let theirs = Theirs::start("seen").await;
        let reports = tempfile::tempdir().unwrap();
        let subject = attach(&theirs.id).program(KEELHAUL).reports(reports.path()).await.unwrap();
        assert_eq!(subject.container(), theirs.id);
        let run = subject.run().to_owned();
        subject.expect(Http::get("/health")).within("30s").await.unwrap();
        let ledger = subject.ledger("http: { service: subject }").await.unwrap();
        ledger.acknowledged(20, "30s").await.unwrap();
        let fault = subject.inject(faults::ReadOnly::at("/data")).await.unwrap();
        assert!(!theirs.is_untouched().await, "{fault:?}");
        subject.expect(Write::at("/data").with("fails", "EROFS")).await.unwrap();
        let unmet = subject.expect(Write::at("/data")).await.unwrap_err();
        assert!(matches!(&unmet, Error::Unmet(why) if why.contains("EROFS")), "{unmet}");
        fault.heal().await.unwrap();
        assert!(theirs.is_untouched().await);
        subject.expect_yaml("write: { service: subject, path: /data }").await.unwrap();
        ledger.acknowledged(20, "60s").await.unwrap();
        let report = ledger.judge().await.unwrap();
        assert!(report.acknowledged >= 40 && report.lost == 0, "{report}");
        let record = subject.record();
        assert_eq!(record.cases[0].faults[0].id, "read-only-1");
        // what was expected and not seen is kept
        assert_eq!(subject.verdict().await.unwrap(), Verdict::Fail);
        assert_eq!(theirs.left(&run).await, Vec::<String>::new());
        let written = fs::read_dir(reports.path()).unwrap().next().unwrap().unwrap().path();
        let junit = fs::read_to_string(written.join("junit.xml")).unwrap();
        assert!(junit.contains("fault read-only-1 (read-only): effect"), "{junit}");
    }

    #[tokio::test]
    async fn what_cannot_be_done_says_why_and_does_nothing() {
        let theirs = Theirs::start("wrong").await;
        let missing = attach(&theirs.id).program("/no/such/keelhaul").await.unwrap_err();
        assert!(matches!(missing, Error::Program(_)), "{missing}");
        let nobody = attach("no-such-container").program(KEELHAUL).await.unwrap_err();
        assert!(nobody.to_string().contains("`no-such-container`"), "{nobody}");
        let subject = theirs.attach().await;
        let misspelt = subject.inject_yaml("raed-only: { target: 'subject:/data' }").await;
        let misspelt = misspelt.unwrap_err().to_string();
        assert!(misspelt.contains("did you mean `read-only`?"), "{misspelt}");
        let nowhere = subject.inject(faults::ReadOnly::at("/dat")).await.unwrap_err().to_string();
        assert!(nowhere.contains("did you mean `/data`?"), "{nowhere}");
        let destroyed = subject.inject(faults::Recreate::whole()).await.unwrap_err();
        assert!(matches!(&destroyed, Error::Fault(LiveError::Refused(_))), "{destroyed}");
        let late = subject.expect(Write::at("/data")).within("soon").await.unwrap_err();
        assert!(matches!(late, Error::Invalid(_)), "{late}");
        assert!(theirs.is_untouched().await);
        subject.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_dropped_is_reverted_in_a_test_that_panics_too() {
        let theirs = Theirs::start("dropped").await;
        let subject = theirs.attach().await;
        drop(subject.inject(faults::ReadOnly::at("/data")).await.unwrap());
        let end = Instant::now() + DEADLINE;
        while !theirs.is_untouched().await {
            assert!(Instant::now() < end, "the fault is still in force");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(subject);

        let (told, run) = mpsc::channel();
        let id = theirs.id.clone();
        let test = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let subject = attach(&id).program(KEELHAUL).await.unwrap();
                let _fault = subject.inject(faults::ReadOnly::at("/data")).await.unwrap();
                told.send(subject.run().to_owned()).unwrap();
                panic!("as tests do");
            });
        });
        let run = run.recv().unwrap();
        assert!(test.join().is_err());
        // the drop has waited: nothing is left by now
        assert!(theirs.is_untouched().await);
        assert_eq!(theirs.left(&run).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_fault_whose_time_was_up_under_its_guard_fails_the_test() {
        let theirs = Theirs::start("late").await;
        let subject = theirs.attach().await;
        let short = faults::ReadOnly::at("/data").lasting(Duration::from_secs(4));
        let fault = subject.inject(short).await.unwrap();
        let end = Instant::now() + DEADLINE;
        while subject.record().cases[0].faults[0].reverted.is_none() {
            assert!(Instant::now() < end, "the fault is still in force");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(fault);
        let late = subject.close().await.unwrap_err();
        let Error::NotPassed { verdict: Verdict::Inconclusive, why } = &late else {
            panic!("{late}")
        };
        assert!(why.contains("the time of `read-only-1` was up while it was held"), "{why}");
        assert!(theirs.is_untouched().await);
    }

    /// The other side of the next test; does nothing without it.
    #[tokio::test]
    async fn held() {
        let Ok(container) = std::env::var(HOLD) else { return };
        let subject = attach(container).program(KEELHAUL).await.unwrap();
        let _fault = subject.inject(faults::ReadOnly::at("/data")).await.unwrap();
        writeln!(std::io::stdout(), "\nrun {}", subject.run()).unwrap();
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn a_test_process_that_is_killed_leaves_the_container_as_it_was() {
        let theirs = Theirs::start("killed").await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "docker::held", "--nocapture"])
            .env(HOLD, &theirs.id)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let run = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("run ")?.to_owned()));
        let run = run.expect("it came up");
        assert!(!theirs.is_untouched().await);
        child.kill().unwrap();
        child.wait().unwrap();
        let end = Instant::now() + DEADLINE;
        let journal = vec![format!("keelhaul-{run}")];
        // its own journal is what a keeper cannot remove; the next run does
        while !theirs.is_untouched().await || !is_within(&theirs.left(&run).await, &journal) {
            assert!(Instant::now() < end, "left: {:?}", theirs.left(&run).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let recovered = Command::new(KEELHAUL).args(["recover", &run]).output().unwrap();
        assert!(recovered.status.success(), "{recovered:?}");
        assert_eq!(theirs.left(&run).await, Vec::<String>::new());
    }

    fn is_within(left: &[String], allowed: &[String]) -> bool {
        left.iter().all(|one| allowed.contains(one))
    }
}
