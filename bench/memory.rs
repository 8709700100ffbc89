//! Resident memory of the command line and of the helper while fifty containers of the run live.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use keelhaul::runtime::{ObjectKind, Runtime, labels};

use crate::{
    Bench,
    host::kib,
    record::{Measurement, Side},
    samples::Samples,
    scenario,
};

const SERVICES: usize = 50;
/// Fifty containers may take their time.
const LIMIT: Duration = Duration::from_secs(300);
const EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let path = bench.scratch.join("fifty.yaml");
    fs::write(&path, fifty()?)?;
    let mut child = scenario::command(bench, &path, 1)
        .stderr(Stdio::piped())
        .spawn()
        .context(scenario::KEELHAUL)?;
    let found = watch(bench, &mut child).await;
    if found.is_err() {
        let _ = child.kill();
    }
    let output = child.wait_with_output()?;
    let found = found?;
    anyhow::ensure!(
        output.status.success(),
        "`keelhaul run` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    anyhow::ensure!(
        found.full.len() >= 5,
        "seen with all containers only {} times",
        found.full.len()
    );
    let n = found.full.len();
    let cli = Side::of("peak of the command line", &found.cli);
    let helper = Side::of(format!("keeper and worker, {SERVICES} containers alive"), &found.full);
    Ok(vec![
        Measurement::new("memory-cli", "MiB", Side::fixed("allowed", 30.0), cli, n).goal("≤ 1"),
        Measurement::new("memory-helper", "MiB", Side::fixed("allowed", 20.0), helper, n)
            .goal("≤ 1")
            .parts(&found.parts),
    ])
}

/// Services with a volume in memory each, all asked for their health, one of them broken.
fn fifty() -> anyhow::Result<String> {
    let (mut volumes, mut services) = (String::from("volumes:\n"), String::from("services:\n"));
    let mut probes = String::from("steady_state:\n");
    for number in 0..SERVICES {
        writeln!(volumes, "  v{number}: {{ tmpfs: {{ size: 4MiB }} }}")?;
        let mounts = format!("mounts: {{ /data: v{number} }}");
        writeln!(services, "  s{number}: {{ image: keelhaul/specimen, {mounts} }}")?;
        writeln!(probes, "  - http: {{ service: s{number}, path: /health, status: 200 }}")?;
    }
    let head = "keelhaul: 1\nname: fifty\ntimeout: 280s\n";
    let steps = "\
steps:
  - inject: { read-only: { target: \"s0:/data\" } }
    as: broken
  - wait: 8s
  - revert: broken
  - recover: { within: 30s }
";
    Ok([head, &volumes, &services, &probes, steps].concat())
}

#[derive(Default)]
struct Found {
    cli: Samples,
    /// The helper while all containers live.
    full: Samples,
    parts: BTreeMap<String, Samples>,
}

async fn watch(bench: &Bench, child: &mut Child) -> anyhow::Result<Found> {
    let started = Instant::now();
    let ours = format!("-helper-{}-", child.id());
    let mut found = Found::default();
    let mut peak = None;
    while child.try_wait()?.is_none() {
        anyhow::ensure!(started.elapsed() < LIMIT, "not over after {} s", LIMIT.as_secs());
        peak = mib(child.id(), "VmHWM").or(peak);
        sample(bench, &ours, &mut found).await;
        tokio::time::sleep(EVERY).await;
    }
    found.cli.push(peak.context("the command line was never seen")?);
    Ok(found)
}

/// Looks at the helper. Between two looks a process may be gone; then there is nothing to add.
async fn sample(bench: &Bench, ours: &str, found: &mut Found) {
    let Ok(objects) = bench.docker.all_objects().await else { return };
    let containers = objects.iter().filter(|object| object.kind == ObjectKind::Container);
    let Some(helper) = containers.clone().find(|object| object.name.contains(ours)) else { return };
    let subjects = containers
        .filter(|object| object.run == helper.run && object.role == labels::ROLE_SUBJECT)
        .count();
    let Ok(facts) = bench.docker.inspect(&helper.id).await else { return };
    let children = format!("/proc/{0}/task/{0}/children", facts.pid);
    let children = fs::read_to_string(children).unwrap_or_default();
    let mut workers = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    let worker = workers.find_map(Resident::of);
    let (Some(keeper), Some(worker), SERVICES) = (Resident::of(facts.pid), worker, subjects) else {
        return;
    };
    // one program file: its pages are in memory once, however many processes map them
    found.full.push(keeper.own + worker.own + keeper.file.max(worker.file));
    for (name, value) in [
        ("keeper, own memory", keeper.own),
        ("worker, own memory", worker.own),
        ("program file, mapped by both", keeper.file.max(worker.file)),
        ("VmRSS of both added up, program file twice", keeper.all() + worker.all()),
    ] {
        found.parts.entry(name.into()).or_default().push(value);
    }
}

/// Resident memory of a process in MiB (proc(5), `status`).
struct Resident {
    /// Anonymous: nobody else's.
    own: f64,
    /// Of mapped files.
    file: f64,
}

impl Resident {
    fn of(pid: u32) -> Option<Self> {
        Some(Self { own: mib(pid, "RssAnon")?, file: mib(pid, "RssFile")? })
    }

    fn all(&self) -> f64 {
        self.own + self.file
    }
}

fn mib(pid: u32, field: &str) -> Option<f64> {
    let kib = u32::try_from(kib(&format!("/proc/{pid}/status"), field)?).ok()?;
    Some(f64::from(kib) / 1024.0)
}
