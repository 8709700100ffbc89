//! The parts of the scenario language, for `explain`: what each key of a file, a service, a step is.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{explain::section, keys};
use crate::{
    catalog::{Parameter, parameters_of},
    scenario::{
        Attach, Control, ExecStep, ExpectFailure, Healthcheck, Matrix, Objectives, RecoverStep,
        Scenario, Service, step_schema,
    },
};

/// A part of a file: its name, what it is, its keys.
struct Part {
    name: &'static str,
    what: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

const PARTS: [Part; 11] = [
    Part { name: "scenario", what: "a file", schema: Scenario::json_schema },
    Part { name: "service", what: "one of `services`", schema: Service::json_schema },
    Part { name: "step", what: "one of `steps`", schema: step_schema },
    Part { name: "control", what: "one of `controls`", schema: Control::json_schema },
    Part { name: "objectives", what: "of a scenario", schema: Objectives::json_schema },
    Part { name: "matrix", what: "of a scenario", schema: Matrix::json_schema },
    Part { name: "expect_failure", what: "of a scenario", schema: ExpectFailure::json_schema },
    Part { name: "attach", what: "of a service", schema: Attach::json_schema },
    Part { name: "healthcheck", what: "of a service", schema: Healthcheck::json_schema },
    Part { name: "recover", what: "a step", schema: RecoverStep::json_schema },
    Part { name: "exec", what: "a step", schema: ExecStep::json_schema },
];

/// Every part and every key that is called so; none when nothing is.
pub(super) fn explanation(word: &str) -> Option<String> {
    let mut text = String::new();
    for part in &PARTS {
        let keys = parameters_of(part.schema);
        if let Some(key) = keys.iter().find(|key| key.name == word) {
            one_key(&mut text, part, key);
        }
        // one of many is called as they are: `services`
        if keys::stands_for(word, part.name) {
            separate(&mut text);
            let _ = writeln!(text, "{} ({})\n", part.name, part.what);
            section(&mut text, "Keys", &keys);
        }
    }
    let known: Vec<&str> = names().collect();
    for meaning in keys::explanations(word, &known) {
        separate(&mut text);
        text.push_str(&meaning);
    }
    (!text.is_empty()).then_some(text)
}

/// The names of the parts.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|part| part.name)
}

fn one_key(text: &mut String, part: &Part, key: &Parameter) {
    separate(text);
    let _ = writeln!(text, "{} (key of a {}: {})\n\n{}", key.name, part.name, key.takes, key.doc);
    let _ = writeln!(text, "\nExample\n  {}", keys::written(key));
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_keys_and_every_key_says_what_it_is() {
        for part in &PARTS {
            let keys = parameters_of(part.schema);
            assert!(!keys.is_empty(), "{}", part.name);
            for key in keys {
                assert!(!key.doc.is_empty(), "{}: {}", part.name, key.name);
            }
            assert!(explanation(part.name).is_some());
        }
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        let timeout = explanation("timeout").unwrap();
        assert!(timeout.contains("key of a scenario") && timeout.contains("key of a healthcheck"));
        assert!(explanation("services").unwrap().contains("image"));
        assert_eq!(explanation("nonsense"), None);
    }

    #[test]
    fn keys_of_faults_and_volumes_say_where_they_stand_with_an_example() {
        let target = explanation("target").unwrap();
        assert!(target.contains("The container: `service`.") && target.contains("`crash`"));
        assert!(target.contains("Example\n") && target.contains("{ target: agent"), "{target}");
        let interpose = explanation("interpose").unwrap();
        assert!(interpose.contains("`bind`, `docker`") && interpose.contains("Example\n"));
        // below a key of a key
        assert!(explanation("every").unwrap().contains("`when`"));
    }
}
