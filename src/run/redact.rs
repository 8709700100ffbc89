//! Hides secrets in events: matches of the scenario's patterns, and values of variables that may
//! be one: all but small words, numbers and paths, which would garble every report.

use regex::Regex;
use serde_json::Value;

use super::event::Event;
use crate::{
    plan::Case,
    secrets::{is_plain, is_secret, passwords},
};

/// Values shorter than this are words like `1` or `on`: hiding them would garble every report.
const SHORTEST_SECRET: usize = 4;

pub(crate) const HIDDEN: &str = "[redacted]";

/// Fields with words of ours, and ids that tie events together: none holds a secret, and a value
/// like `pass` would make the event unreadable.
const FIXED: [&str; 29] = [
    "kind",
    "case",
    "suite",
    "scenario",
    "assertion",
    "fault",
    "phase",
    "by",
    "lasting",
    "scope",
    "hypothesis",
    "verdict",
    "pending",
    "container",
    "image",
    "workload",
    "service",
    "volume",
    "during",
    "fails",
    "control",
    "run",
    "op",
    "profile",
    "profiles",
    "kept",
    "commit",
    "fingerprint",
    "numbers",
];

/// What to hide.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    patterns: Vec<Regex>,
    values: Vec<String>,
}

impl Redactor {
    /// What a case wants hidden. Patterns that do not compile were refused by `check`.
    #[must_use]
    pub fn of(case: &Case) -> Self {
        let scenario = &case.scenario;
        let patterns = scenario.redact.iter().filter_map(|text| Regex::new(text).ok()).collect();
        let variables = || scenario.services.values().flat_map(|service| &service.env);
        let may_be = |key: &str, value: &str| is_secret(key, value) || !is_plain(value);
        let named = variables().filter(|(key, value)| may_be(key, value));
        let inside = variables().flat_map(|(_, value)| passwords(value));
        let values = named.map(|(_, value)| value.as_str()).chain(inside);
        let values = values.chain(case.secrets.iter().map(String::as_str));
        Self { patterns, ..Self::of_values(values) }
    }

    /// Hides these values, but for words.
    #[must_use]
    pub fn of_values<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let values = values.into_iter().filter(|value| value.len() >= SHORTEST_SECRET);
        let mut values: Vec<String> = values.map(str::to_owned).collect();
        // longest first: a value may contain another
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { patterns: Vec::new(), values }
    }

    /// Hides these values.
    #[cfg(test)]
    pub(crate) fn hiding(values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        Self { patterns: Vec::new(), values }
    }

    /// Nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.values.is_empty()
    }

    /// Hides from now on also what another one hides.
    pub fn merge(&mut self, other: Self) {
        for pattern in other.patterns {
            if !self.patterns.iter().any(|known| known.as_str() == pattern.as_str()) {
                self.patterns.push(pattern);
            }
        }
        self.values.extend(other.values);
        // longest first: a value may contain another
        self.values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.values.dedup();
    }

    /// The event with every secret hidden, in every text that a container or a user wrote.
    #[must_use]
    pub fn apply(&self, event: Event) -> Event {
        if self.is_empty() {
            return event;
        }
        let case = event.case().map(str::to_owned);
        let left_out = |why: &str| Event::Noted {
            case: case.clone(),
            text: format!("an event was left out, because it could not be redacted: {why}"),
        };
        let mut value = match serde_json::to_value(&event) {
            Ok(value) => value,
            Err(error) => return left_out(&error.to_string()),
        };
        if !self.walk(&mut value) {
            return event;
        }
        serde_json::from_value(value).unwrap_or_else(|error| left_out(&error.to_string()))
    }

    /// Whether anything was hidden.
    fn walk(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => self.hide(text),
            Value::Array(items) => {
                items.iter_mut().fold(false, |hidden, item| self.walk(item) | hidden)
            }
            Value::Object(fields) => fields
                .iter_mut()
                .filter(|(name, _)| !FIXED.contains(&name.as_str()))
                .fold(false, |hidden, (_, field)| self.walk(field) | hidden),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// A text as the record of the run has it.
    #[must_use]
    pub fn text(&self, mut text: String) -> String {
        self.hide(&mut text);
        text
    }

    fn hide(&self, text: &mut String) -> bool {
        let mut hidden = false;
        for value in &self.values {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), HIDDEN);
                hidden = true;
            }
        }
        for pattern in &self.patterns {
            if pattern.is_match(text) {
                *text = pattern.replace_all(text, HIDDEN).into_owned();
                hidden = true;
            }
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_patterns_are_hidden_and_ids_kept() {
        let redactor = Redactor {
            patterns: vec![Regex::new("token=[a-z0-9]+").unwrap()],
            values: vec!["hunter22".into()],
        };
        let event = Event::LogCollected {
            case: "hunter22".into(),
            service: "agent".into(),
            text: "login hunter22 token=abc1 ok".into(),
            lines_us: vec![7],
        };
        let Event::LogCollected { case, text, .. } = redactor.apply(event) else { panic!() };
        assert_eq!(case, "hunter22");
        assert_eq!(text, "login [redacted] [redacted] ok");
    }

    #[test]
    fn a_value_that_is_a_word_of_ours_neither_breaks_nor_bares_an_event() {
        let mut redactor = Redactor::default();
        redactor.merge(Redactor::hiding(&["pass"]));
        redactor.merge(Redactor::hiding(&["password"]));
        let event = Event::Asserted {
            case: "a".into(),
            assertion: "verify[0]".into(),
            hypothesis: crate::scenario::Hypothesis::Verify,
            title: "t".into(),
            verdict: Some(crate::verdict::Verdict::Pass),
            message: "password or pass".into(),
            took_us: 1,
        };
        let Event::Asserted { message, verdict, .. } = redactor.apply(event) else { panic!() };
        assert_eq!(message, "[redacted] or [redacted]");
        assert_eq!(verdict, Some(crate::verdict::Verdict::Pass));
    }
}
