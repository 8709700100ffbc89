//! A smallest scenario for a fault, in one of the ways that it has of acting.

use super::host::Trace;

/// The image of an engine of the scenario's own.
pub(super) const ENGINE: &str = "keelhaul/engine";

/// One way of one fault.
pub(super) struct Fixture {
    /// The word in YAML.
    pub(super) fault: &'static str,
    /// Which way; empty for the only one.
    pub(super) way: &'static str,
    pub(super) volume: &'static str,
    pub(super) mount: &'static str,
    pub(super) inject: &'static str,
    /// What the service is.
    pub(super) image: &'static str,
    /// More keys of the service.
    pub(super) service: &'static str,
    /// Another service, or what else the scenario has, as a line of YAML.
    pub(super) beside: &'static str,
    /// More steps while it is in force, as lines of YAML.
    pub(super) then: &'static str,
    /// How the kernel shows that it is in force.
    pub(super) trace: Trace,
    /// It lasts until it is reverted.
    pub(super) lasts: bool,
}

/// One that happens to the reference subject.
pub(super) const PLAIN: Fixture = Fixture {
    fault: "",
    way: "",
    volume: "",
    mount: "",
    inject: "",
    image: "keelhaul/specimen",
    service: "",
    beside: "",
    then: "",
    trace: Trace::Nothing,
    lasts: false,
};

impl Fixture {
    /// Fault and way.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.fault, self.way).trim_end_matches('-').to_owned()
    }

    /// The whole scenario; the fault is in force for `wait` before it is reverted.
    pub(super) fn scenario(&self, wait: &str) -> String {
        let Self { fault, volume, mount, inject, image, service, beside, then, .. } = self;
        let memory = if *image == ENGINE { "512MiB" } else { "64MiB" };
        let name = self.name();
        let wait = if wait.is_empty() { String::new() } else { format!("\n  - wait: {wait}") };
        let revert = if self.lasts { "\n  - revert: fault" } else { "" };
        format!(
            "keelhaul: 1
name: {name}
timeout: 60s
volumes: {{ data: {volume} }}
services:
  agent: {{ image: {image}, mounts: {{ {mount}: data }}, memory: {memory}, stop_grace: 1s{service} }}{beside}
steady_state:
  - container: {{ service: agent, state: running }}
  - log: {{ service: agent, matches: 'state INIT ->|EACCES|engine: answers' }}
steps:
  - inject: {{ {fault}: {inject} }}
    as: fault{then}{wait}{revert}
"
        )
    }
}
