//! What a whole scenario costs over the engine calls that it cannot do without.
//!
//! The baseline makes and removes the same network, volume and container through the same client,
//! and nothing else: no helper, no fault, no probe, no report.

use std::{collections::BTreeMap, time::Instant};

use keelhaul::{
    run::{Event, Phase, Stamped},
    runtime::{
        Docker, MountSource, MountSpec, NetworkSpec, ObjectKind, ObjectRef, Runtime, VolumeSpec,
        labels,
    },
};

use crate::{
    Bench,
    injection::millis,
    record::{Measurement, Side},
    samples::Samples,
    scenario,
    stand::{DATA, own_image, run_id, subject},
};

const ROUNDS: usize = 6;
/// Cases of the suite: what is done once per run is shared by these.
const CASES: usize = 5;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let image = own_image(&bench.docker).await?;
    let (single, suite) = (scenario::minimal(bench, 1)?, scenario::minimal(bench, CASES)?);
    // the command line's own image is made before anything counts
    scenario::run(bench, &single, 1)?;
    let (mut bare, mut once, mut each) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut bare_parts, mut parts) = (BTreeMap::new(), BTreeMap::new());
    let mut amortized = Samples::default();
    for _ in 0..ROUNDS {
        for _ in 0..2 {
            bare.push(bare_calls(&bench.docker, &image, &mut bare_parts).await?);
        }
        let (took, events) = scenario::run(bench, &single, 1)?;
        once.push(took);
        split(&events, took, &mut parts);
        let (took, events) = scenario::run(bench, &suite, 1)?;
        amortized.push(took / crate::samples::count(CASES));
        cases(&events).for_each(|case| each.push(case));
    }
    let calls = || Side::of("the same network, volume and container by bare engine calls", &bare);
    let row = |name, what: &str, samples: &Samples| {
        Measurement::new(name, "ms", calls(), Side::of(what, samples), ROUNDS)
    };
    parts.extend(bare_parts);
    Ok(vec![
        row("overhead", "a case in a suite: fault in and out, every step proven", &each)
            .goal("≤ 1.1"),
        row(
            "overhead-suite",
            "a case's share of a run of five, helper and process included",
            &amortized,
        ),
        row("overhead-single", "a run of one case, helper and process included", &once)
            .parts(&parts),
    ])
}

type Parts = BTreeMap<String, Samples>;

fn note(parts: &mut Parts, name: &str, value: f64) {
    parts.entry(name.to_owned()).or_default().push(value);
}

/// Milliseconds of the calls.
async fn bare_calls(docker: &Docker, image: &str, parts: &mut Parts) -> anyhow::Result<f64> {
    let run = run_id("bare");
    let of = |role| labels::of(&run, role, "");
    let name = format!("keelhaul-{run}-bare");
    let started = Instant::now();
    let mut last = started;
    let mut lap = |parts: &mut Parts, name: &str| {
        note(parts, name, millis(last));
        last = Instant::now();
    };
    let network = NetworkSpec { name: name.clone(), labels: of(labels::ROLE_NETWORK) };
    let network = docker.create_network(&network).await?;
    lap(parts, "bare 1: network");
    let volume = VolumeSpec {
        name: name.clone(),
        driver: "local".into(),
        options: BTreeMap::new(),
        labels: of(labels::ROLE_VOLUME),
    };
    docker.create_volume(&volume).await?;
    lap(parts, "bare 2: volume");
    let source = MountSource::Volume { name: name.clone(), no_copy: false };
    let mount = MountSpec { target: DATA.into(), source, read_only: false, relabel: None };
    let mut container = subject(&run, image, vec![mount]);
    container.network = Some(network.clone());
    let container = docker.create_container(&container).await?;
    lap(parts, "bare 3: container");
    docker.start(&container).await?;
    lap(parts, "bare 4: start");
    let object = |kind, id: &str| ObjectRef {
        kind,
        id: id.to_owned(),
        name: id.to_owned(),
        run: run.clone(),
        role: String::new(),
    };
    docker.remove(&object(ObjectKind::Container, &container)).await?;
    lap(parts, "bare 5: remove the container");
    docker.remove(&object(ObjectKind::Volume, &name)).await?;
    docker.remove(&object(ObjectKind::Network, &network)).await?;
    lap(parts, "bare 6: remove the volume and the network");
    Ok(millis(started))
}

/// Milliseconds of each case.
fn cases(events: &[Stamped]) -> impl Iterator<Item = f64> {
    let start = |event: &Event| matches!(event, Event::CaseStarted(_));
    let end = |event: &Event| matches!(event, Event::CaseEnded { .. });
    let starts = events.iter().filter(move |stamped| start(&stamped.event));
    let ends = events.iter().filter(move |stamped| end(&stamped.event));
    starts.zip(ends).map(|(from, to)| at(to) - at(from))
}

fn at(stamped: &Stamped) -> f64 {
    std::time::Duration::from_micros(stamped.at_us).as_secs_f64() * 1000.0
}

/// What the time of a run of one case went into.
fn split(events: &[Stamped], took: f64, parts: &mut Parts) {
    let mut since = 0.0;
    let mut doing = "run 0: engine asked";
    for stamped in events {
        let next = match &stamped.event {
            Event::RunStarted(_) => "run 1: helper started",
            Event::PhaseStarted { phase, .. } => match phase {
                Phase::SetUp => "run 2: set-up",
                Phase::SteadyState => "run 3: steady state",
                Phase::Steps => "run 4: steps",
                Phase::Rollback => "run 5: rollback",
                Phase::Verify => "run 6: verify",
                Phase::TearDown => "run 7: tear-down",
            },
            Event::CaseEnded { .. } => "run 8: helper ended",
            Event::RunEnded { .. } => "run 9: process and reports",
            _ => continue,
        };
        note(parts, doing, at(stamped) - since);
        (since, doing) = (at(stamped), next);
    }
    note(parts, doing, took - since);
}
