//! Which container a service is that runs already: by name, by label, or by what Compose noted.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container that runs already and is nobody's but yours: by `container`, by `label`, or by
/// `project` and `service`. Exactly one must match.
///
/// It is never made, removed or changed for good, and started again only where a step says so. The
/// scenario must say `allow: [attach]`, and the command line `--attach`. What is mounted in it is
/// learned from the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Its name, its id, or the beginning of its id.
    pub container: Option<String>,
    /// A label that it alone has: `key=value`, or `key` with any value.
    pub label: Option<String>,
    /// The Compose project that it belongs to; `service` says which of its containers.
    pub project: Option<String>,
    /// The service of that Compose project.
    pub service: Option<String>,
}

impl Attach {
    /// The keys that are given, and their values.
    #[must_use]
    pub fn given(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("container", &self.container),
            ("label", &self.label),
            ("project", &self.project),
            ("service", &self.service),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
    }
}

impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given();
        let words: Vec<_> = given.iter().map(|(key, value)| format!("{key} `{value}`")).collect();
        f.write_str(&words.join(", "))
    }
}
