//! What can be told of a service from outside: its health check, or else its ports, or else that it
//! is there. Pure.

use std::fmt::Write as _;

use super::yaml;

/// How a service is while nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Well {
    /// Its health check says so.
    Healthy,
    /// It has none: it runs, and its ports answer.
    Running,
    /// Nothing of it answers, and nothing should.
    Paused,
}

/// The `steady_state` of services, each with the TCP ports that it serves. Where a health check knows
/// better, no port is guessed: not every one that is declared is served.
pub(super) fn state<'a>(services: impl IntoIterator<Item = (&'a str, Well, &'a [u16])>) -> String {
    let mut text = String::from("steady_state:\n");
    for (name, well, ports) in services {
        let (name, holds) = (yaml::text(name), well.holds());
        // writing to a string cannot fail
        let _ = writeln!(text, "  - container: {{ service: {name}, {holds} }}");
        for port in ports.iter().filter(|_| well == Well::Running) {
            let _ = writeln!(text, "  - tcp: {{ service: {name}, port: {port} }}");
        }
    }
    text
}

impl Well {
    fn holds(self) -> &'static str {
        match self {
            Self::Healthy => "health: healthy",
            Self::Running => "state: running",
            Self::Paused => "state: paused",
        }
    }
}
