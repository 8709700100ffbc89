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
/// better, no port is guessed. Where ports are `only_declared`, each is a comment: an image exposes more
/// than it serves, and whoever reads it knows which.
pub(super) fn state<'a>(
    services: impl IntoIterator<Item = (&'a str, Well, &'a [u16])>,
    only_declared: bool,
) -> String {
    let (sign, why) = if only_declared {
        ("# ", " # exposed by the image: if it is served, this may be asked")
    } else {
        ("", "")
    };
    let mut text = String::from("steady_state:\n");
    for (name, well, ports) in services {
        let (name, holds) = (yaml::text(name), well.holds());
        // writing to a string cannot fail
        let _ = writeln!(text, "  - container: {{ service: {name}, {holds} }}");
        for port in ports.iter().filter(|_| well == Well::Running) {
            let _ = writeln!(text, "  {sign}- tcp: {{ service: {name}, port: {port} }}{why}");
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
        let state = |only_declared| state([("zoo", Well::Running, &[2181][..])], only_declared);
        let head = "steady_state:\n  - container: { service: zoo, state: running }\n";
        assert_eq!(state(false), format!("{head}  - tcp: {{ service: zoo, port: 2181 }}\n"));
        assert!(state(true).starts_with(&format!("{head}  # - tcp: ")), "{}", state(true));
    }
}
