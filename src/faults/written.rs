//! A fault as a Rust program writes it: a name, a place and parameters, not checked yet. What they are
//! allowed to be is known in one place only, where scenarios are read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::units::Duration;

/// A fault with its parameters, for a service that is not named yet.
///
/// ```
/// use keelhaul::testing::faults::{IoError, Pause};
///
/// assert_eq!(Pause::whole().text("db"), r#"{"pause":{"target":"db"}}"#);
/// let full = IoError::at("/data").with("errno", "ENOSPC");
/// assert_ne!(full, IoError::at("/data").with("errno", "EIO"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "nothing is injected yet"]
pub struct Written {
    name: &'static str,
    path: Option<String>,
    parameters: Map<String, Value>,
    lasts: Option<Duration>,
}

impl Written {
    pub(super) fn new(name: &'static str, path: Option<&str>) -> Self {
        let path = path.map(str::to_owned);
        Self { name, path, parameters: Map::new(), lasts: None }
    }

    /// Sets a parameter by its name in YAML: `.with("errno", "ENOSPC")`. A value that JSON cannot
    /// hold counts as none.
    pub fn with(mut self, parameter: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.parameters.insert(parameter.to_owned(), value);
        self
    }

    /// How long it may last at most, whoever lives.
    pub fn lasting(mut self, time: std::time::Duration) -> Self {
        self.lasts = Some(Duration(time));
        self
    }

    /// What was said of how long it may last.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    /// As an `inject:` holds it, on a service.
    #[must_use]
    pub fn text(&self, service: &str) -> String {
        let target = match &self.path {
            Some(path) => format!("{service}:{path}"),
            None => service.to_owned(),
        };
        let mut parameters = self.parameters.clone();
        parameters.insert("target".to_owned(), target.into());
        json!({ self.name: parameters }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use crate::faults::{FaultSpec, named};

    #[test]
    fn it_is_what_a_scenario_would_say() {
        let written = named::IoError::at("/data").with("errno", "EIO").with("ops", ["write"]);
        let read: FaultSpec = serde_saphyr::from_str(&written.text("db")).unwrap();
        let said = "io-error: { target: 'db:/data', errno: EIO, ops: [write] }";
        assert_eq!(read, serde_saphyr::from_str(said).unwrap());
        assert_eq!(named::Pause::whole().text("db"), r#"{"pause":{"target":"db"}}"#);
    }
}
