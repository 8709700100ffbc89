//! Probes as a test writes them. What their parameters may be is known where scenarios are read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::SERVICE;

/// A probe of the subject, with its parameters as in YAML.
///
/// ```
/// use keelhaul::testing::{Http, Probe};
///
/// let refuses = Http::get("/ready").status(503);
/// assert_eq!(refuses, Probe::named("http").with("path", "/ready").with("status", 503));
/// assert_ne!(refuses.clone(), refuses.port(80));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "nothing is read yet"]
pub struct Probe {
    name: &'static str,
    parameters: Map<String, Value>,
}

impl Probe {
    /// Any probe by its name in YAML: `keelhaul list probes` names them all.
    pub fn named(name: &'static str) -> Self {
        let service = Value::from(SERVICE);
        Self { name, parameters: Map::from_iter([("service".to_owned(), service)]) }
    }

    /// Sets a parameter by its name in YAML. A value that JSON cannot hold counts as none.
    pub fn with(mut self, parameter: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.parameters.insert(parameter.to_owned(), value);
        self
    }

    /// `http`: the status it answers with; 200 where none is given.
    pub fn status(self, status: u16) -> Self {
        self.with("status", status)
    }

    /// `http`, `tcp`: the port on the container's loopback.
    pub fn port(self, port: u16) -> Self {
        self.with("port", port)
    }

    pub(super) fn text(self) -> String {
        json!({ self.name: self.parameters }).to_string()
    }
}

/// The `http` probe: asks from inside the container's network namespace; no port is published.
#[derive(Debug, Clone, Copy)]
pub struct Http;

impl Http {
    /// `GET` a path; port 8080 unless told otherwise.
    pub fn get(path: &str) -> Probe {
        Probe::named("http").with("path", path)
    }
}

/// The `container` probe.
#[derive(Debug, Clone, Copy)]
pub struct Container;

impl Container {
    /// It is in this state: `running`, `paused`, `exited`.
    pub fn is(state: &str) -> Probe {
        Probe::named("container").with("state", state)
    }
}

/// The `file` probe.
#[derive(Debug, Clone, Copy)]
pub struct File;

impl File {
    /// A file of the container, by its absolute path; `.with("exists", false)` for one that is gone.
    pub fn at(path: &str) -> Probe {
        Probe::named("file").with("path", path)
    }
}

/// The `mount` probe.
#[derive(Debug, Clone, Copy)]
pub struct Mount;

impl Mount {
    /// What is mounted at an absolute path of the container.
    pub fn at(path: &str) -> Probe {
        Probe::named("mount").with("path", path)
    }
}

/// The `write` probe.
#[derive(Debug, Clone, Copy)]
pub struct Write;

impl Write {
    /// A file can be written in a directory of the container; `.with("fails", "EROFS")` where it must
    /// not be.
    pub fn at(path: &str) -> Probe {
        Probe::named("write").with("path", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read_probe;

    #[test]
    fn they_are_what_a_scenario_would_say() {
        let probes = [
            (Http::get("/ready").status(503).port(80), "http"),
            (Container::is("running"), "container"),
            (File::at("/data/wal").with("exists", true), "file"),
            (Mount::at("/data"), "mount"),
            (Write::at("/data").with("fails", "EROFS"), "write"),
        ];
        for (probe, name) in probes {
            let read = read_probe(&probe.text());
            let read = read.unwrap_or_else(|found| panic!("{}", crate::diagnostic::render(&found)));
            assert_eq!((read.name(), read.service()), (name, Some(SERVICE)));
        }
        assert!(read_probe(&Http::get("/").with("stauts", 1).text()).is_err());
    }
}
