//! Values of services and workloads with which nothing could be started: refused before anything is made,
//! and not by the engine when half of a case is there.

use super::Cx;
use crate::{
    scenario::{Healthcheck, Service},
    units::Size,
};

/// Docker refuses a smaller memory limit, and takes 0 for none.
const LEAST_MEMORY: Size = Size(6 << 20);

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    for (name, service) in &scenario.services {
        for (key, text) in of_service(service) {
            cx.report(&["services".into(), name.into(), key.into()], text);
        }
    }
    for (name, workload) in &scenario.workloads {
        for text in workload.check() {
            cx.report_below(&["workloads".into(), name.into(), workload.name().into()], &text);
        }
    }
}

fn of_service(service: &Service) -> Vec<(&'static str, String)> {
    let memory = service.memory.filter(|memory| *memory < LEAST_MEMORY).map(|memory| {
        let text = format!(
            "no container can be started with {memory} of memory\n\nhint: write {LEAST_MEMORY} or \
             more; without `memory` there is no limit"
        );
        ("memory", text)
    });
    let cpus = service.cpus.filter(|cpus| !(cpus.is_finite() && *cpus > 0.0)).map(|cpus| {
        ("cpus", format!("{cpus} is no number of processors\n\nhint: write `cpus: 0.5`"))
    });
    let unnamed = |key: &&String| key.is_empty() || key.contains(['=', '\0']);
    let env = service.env.keys().find(unnamed).map(|key| {
        let text = format!(
            "`{key}` is no name of a variable of the environment\n\nhint: write `env: {{ NAME: value }}`"
        );
        ("env", text)
    });
    let health = service.healthcheck.as_ref().and_then(of_health);
    let health = health.map(|text| ("healthcheck", text));
    [memory, cpus, env, health].into_iter().flatten().collect()
}

/// The engine takes nothing for what the image says, and that is not what is written.
fn of_health(check: &Healthcheck) -> Option<String> {
    let text = if check.command.is_empty() {
        "a health check without a `command` checks nothing\n\nhint: write `command: [/bin/true]`"
    } else if check.interval.0.is_zero() || check.timeout.0.is_zero() {
        "a health check takes time\n\nhint: write `interval: 2s` and `timeout: 1s`, or leave them out"
    } else if check.retries == 0 {
        "a health check that may not fail once needs `retries: 1`\n\nhint: write that, or leave it out"
    } else {
        return None;
    };
    Some(text.to_owned())
}
