//! A smallest scenario for a fault, in one of the ways that it has of acting.

use super::host::Trace;

/// The image of an engine of the scenario's own.
pub(super) const ENGINE: &str = "keelhaul/engine";

/// Of the reference subject.
pub(super) const MEMORY: &str = "64MiB";

/// What a subject prints that has begun its work, or cannot.
pub(super) const READY: &str = "state INIT ->|EACCES|engine: answers";

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
    /// Steps before it, as lines of YAML.
    pub(super) first: &'static str,
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
    first: "",
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
        let Self { volume, mount, image, service, beside, .. } = self;
        let memory = if *image == ENGINE { "512MiB" } else { MEMORY };
        let subject = format!(
            "volumes: {{ data: {volume} }}
services:
  agent: {{ image: {image}, mounts: {{ {mount}: data }}, memory: {memory}, stop_grace: 1s{service} }}{beside}
steady_state:
  - container: {{ service: agent, state: running }}
  - log: {{ service: agent, matches: '{READY}' }}"
        );
        self.on(&subject, wait)
    }

    /// The same on a container that runs already, and has printed long ago what it prints.
    pub(super) fn scenario_on(&self, container: &str, wait: &str) -> String {
        let beside = self.beside;
        let subject = format!(
            "allow: [attach]
services:
  agent: {{ attach: {{ container: {container} }} }}{beside}
steady_state:
  - container: {{ service: agent, state: running }}"
        );
        self.on(&subject, wait)
    }

    fn on(&self, subject: &str, wait: &str) -> String {
        let Self { fault, inject, first, then, .. } = self;
        let name = self.name();
        let wait = if wait.is_empty() { String::new() } else { format!("\n  - wait: {wait}") };
        let revert = if self.lasts { "\n  - revert: fault" } else { "" };
        format!(
            "keelhaul: 1
name: {name}
timeout: 60s
{subject}
steps:{first}
  - inject: {{ {fault}: {inject} }}
    as: fault{then}{wait}{revert}
"
        )
    }
}
