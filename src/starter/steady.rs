//! What can be told of a service from outside: its health check, or else its ports, or else that it
//! is there. Pure.

use std::fmt::Write as _;

use super::yaml;

/// TCP ports of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// It serves them.
    pub served: Vec<u16>,
    /// It says that it may: an image exposes more than is served.
    pub declared: Vec<u16>,
}

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

/// The `steady_state` of services, each with its TCP ports. Where a health check knows better, no port
/// is guessed. One that is only declared is a comment: whoever reads it knows whether it is served.
pub(super) fn state<'a>(services: impl IntoIterator<Item = (&'a str, Well, &'a Ports)>) -> String {
    let why = " # exposed by the image: if it is served, this may be asked";
    let mut text = String::from("steady_state:\n");
    for (name, well, ports) in services {
        let (name, holds) = (yaml::text(name), well.holds());
        // writing to a string cannot fail
        let _ = writeln!(text, "  - container: {{ service: {name}, {holds} }}");
        if well != Well::Running {
            continue;
        }
        for port in &ports.served {
            let _ = writeln!(text, "  - tcp: {{ service: {name}, port: {port} }}");
        }
        for port in &ports.declared {
            let _ = writeln!(text, "  # - tcp: {{ service: {name}, port: {port} }}{why}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_only_declared_is_not_asked() {
        let (all, none) = (vec![2181], vec![]);
        let served = Ports { served: all.clone(), declared: none.clone() };
        let declared = Ports { served: none, declared: all };
        let state = |ports| state([("zoo", Well::Running, ports)]);
        let head = "steady_state:\n  - container: { service: zoo, state: running }\n";
        assert_eq!(state(&served), format!("{head}  - tcp: {{ service: zoo, port: 2181 }}\n"));
        assert!(state(&declared).starts_with(&format!("{head}  # - tcp: ")));
    }
}
