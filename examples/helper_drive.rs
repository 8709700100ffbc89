//! Drives a helper line by line, for tests that kill things: a small stand-in for the command line.
//!
//! `helper_drive RUN` starts a helper and a line protocol: each line on standard input is a JSON
//! command, each line on standard output its JSON result. The same executable is the helper (its
//! hidden verbs) and the subject (`wait`), so that no other image is needed.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{BufRead as _, Write as _},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use keelhaul::{
    failpoint::{self, Role},
    helper::{HelperLink, client::Helper, recover},
    protocol::{Entry, EntryId, LoadCall, Op, Place, Read},
    runtime::{
        ContainerSpec, Docker, ImageRef, MountSource, MountSpec, OWN_IMAGE, PROGRAM, PullPolicy,
        RestartPolicy, Runtime, VolumeSpec, labels,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What can be asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    /// A container with a tmpfs of 1 MiB and 1000 inodes at `/mem` and a volume at `/data`.
    Subject {
        name: String,
    },
    /// See `HelperLink`.
    Apply(Entry),
    Read(Read),
    Load(LoadCall),
    Revert(EntryId),
    Rollback,
    Expired,
    Lost,
    Finish,
    /// Microseconds of round trips: p50 and p99 of reads, and of entries with their fsync.
    Measure {
        count: usize,
    },
}

type Outcome = Result<Value, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("helper") => keelhaul::helper::keeper::main(args),
        Some("helper-worker") => keelhaul::helper::worker::main(args),
        Some("helper-lease") => keelhaul::helper::keeper::lease(args),
        Some("wait") => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        Some("recover") => say(block_on(recover_verb(args.next()))),
        Some(run) => drive(run),
        None => ExitCode::from(2),
    }
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn say(outcome: Outcome) -> ExitCode {
    let (value, code) = match outcome {
        Ok(value) => (json!({ "ok": value }), ExitCode::SUCCESS),
        Err(error) => (json!({ "error": error.to_string() }), ExitCode::FAILURE),
    };
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{value}");
    let _ = out.flush();
    code
}

async fn recover_verb(run: Option<String>) -> Outcome {
    let docker = Arc::new(Docker::connect(None)?);
    match run.as_deref() {
        Some("--list") => Ok(serde_json::to_value(recover::list(&docker).await?)?),
        Some("--all") => Ok(serde_json::to_value(recover::recover_all(docker).await?)?),
        Some(run) => Ok(serde_json::to_value(recover::recover(docker, run, false).await?)?),
        None => Err("recover --list | --all | RUN".into()),
    }
}

fn drive(run: &str) -> ExitCode {
    failpoint::this_is(Role::Cli);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("KEELHAUL_LOG"))
        .init();
    say(block_on(async {
        let docker = Arc::new(Docker::connect(None)?);
        let started = Instant::now();
        let helper = Helper::start(Arc::clone(&docker), run).await?;
        say(Ok(json!({ "started_ms": millis(started) })));
        let (lines, mut commands) = tokio::sync::mpsc::channel::<String>(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        while let Some(line) = commands.recv().await {
            let command: Command = serde_json::from_str(&line)?;
            let last = matches!(command, Command::Finish);
            say(perform(command, &helper, &docker, run).await);
            if last {
                return Ok(json!("finished"));
            }
        }
        Ok(json!("end of input"))
    }))
}

async fn perform(command: Command, helper: &Helper, docker: &Docker, run: &str) -> Outcome {
    let started = Instant::now();
    let value = match command {
        Command::Subject { name } => subject(docker, run, &name).await?,
        Command::Apply(entry) => serde_json::to_value(helper.apply(entry).await?)?,
        Command::Read(read) => serde_json::to_value(helper.read(read).await?)?,
        Command::Load(call) => serde_json::to_value(helper.load(call).await?)?,
        Command::Revert(id) => serde_json::to_value(helper.revert(id).await?)?,
        Command::Rollback => serde_json::to_value(helper.rollback().await?)?,
        Command::Expired => serde_json::to_value(helper.expired().await?)?,
        Command::Lost => json!(tokio::time::timeout(Duration::from_secs(10), helper.lost()).await?),
        Command::Finish => serde_json::to_value(helper.finish().await?)?,
        Command::Measure { count } => measure(helper, count).await?,
    };
    Ok(json!({ "ms": millis(started), "value": value }))
}

async fn subject(docker: &Docker, run: &str, name: &str) -> Outcome {
    let image = ImageRef { name: OWN_IMAGE.into(), pull: PullPolicy::Never };
    let image = docker.ensure_image(&image).await?;
    let volume = VolumeSpec {
        name: format!("{run}-{name}-data"),
        driver: "local".into(),
        options: BTreeMap::new(),
        labels: labels::of(run, labels::ROLE_VOLUME, ""),
    };
    docker.create_volume(&volume).await?;
    let memory = MountSource::Tmpfs { size: Some(1 << 20), inodes: Some(1000), mode: None };
    let mount = |target: &str, source| MountSpec {
        target: target.into(),
        source,
        read_only: false,
        relabel: None,
    };
    let spec = ContainerSpec {
        name: format!("{run}-{name}"),
        image,
        entrypoint: Some(vec![PROGRAM.into(), "wait".into()]),
        mounts: vec![
            mount("/mem", memory),
            mount("/data", MountSource::Volume { name: volume.name.clone(), no_copy: false }),
        ],
        restart: RestartPolicy::No,
        labels: labels::of(run, labels::ROLE_SUBJECT, ""),
        ..ContainerSpec::default()
    };
    let id = docker.create_container(&spec).await?;
    docker.start(&id).await?;
    let facts = docker.inspect(&id).await?;
    let data = facts.mounts.iter().find(|mount| mount.destination == "/data");
    let host_path = data.map(|mount| mount.source.clone());
    Ok(json!({ "container": id, "pid": facts.pid, "path": "/data", "host_path": host_path }))
}

async fn measure(helper: &Helper, count: usize) -> Outcome {
    let place = Place { container: "0".repeat(64), pid: 1, path: "/".into(), host_path: None };
    let _ = place;
    let mut reads = Vec::new();
    let mut entries = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        helper.read(Read::Loops).await?;
        reads.push(micros(started));
        let entry = Entry {
            what: "measure".into(),
            ops: vec![Op::Nothing],
            undo: vec![],
            expires_ms: None,
        };
        let started = Instant::now();
        let applied = helper.apply(entry).await?;
        entries.push(micros(started));
        helper.revert(applied.id).await?;
    }
    Ok(json!({ "reads": percentiles(reads), "entries": percentiles(entries) }))
}

fn percentiles(mut values: Vec<u64>) -> Value {
    values.sort_unstable();
    let at = |share: usize| values.get((values.len() * share / 100).min(values.len() - 1));
    json!({ "p50": at(50), "p99": at(99) })
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
