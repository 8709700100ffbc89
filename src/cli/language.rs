//! The parts of the scenario language, for `explain`: what each key of a file, a service, a step is.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    explain::{section, takes},
    keys,
};
use crate::{
    catalog::{Parameter, parameters_of},
    scenario::{
        Attach, Compose, Control, ExecStep, ExpectFailure, Healthcheck, LoopStep, Matrix,
        Objectives, RecoverStep, Scenario, Service, step_schema,
    },
};

/// A part of a file: its name, what it is, its keys, and one as it is written.
struct Part {
    name: &'static str,
    what: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    /// Lines of YAML.
    example: &'static str,
}

const SCENARIO: &str = "\
keelhaul: 1
name: killed
volumes: { data: { docker: {} } }
services: { agent: { image: keelhaul/specimen, mounts: { /data: data } } }
steady_state: [{ http: { service: agent, path: /health, status: 200 } }]
steps:
  - { inject: { kill: { target: agent } }, as: killed }
  - { inject: { restart: { target: agent } }, as: started }
  - { recover: { within: 5s } }";

const PARTS: [Part; 13] = [
    Part { name: "scenario", what: "a file", schema: Scenario::json_schema, example: SCENARIO },
    Part {
        name: "service",
        what: "one of `services`",
        schema: Service::json_schema,
        example: "services: { agent: { image: keelhaul/specimen, mounts: { /data: data }, memory: 256MiB } }",
    },
    Part {
        name: "step",
        what: "one of `steps`",
        schema: step_schema,
        example: "- { inject: { pause: { target: agent } }, as: paused, for: 3s }",
    },
    Part {
        name: "control",
        what: "one of `controls`",
        schema: Control::json_schema,
        example: "controls: [{ name: on-tmpfs, fails: [recover], volumes: { data: { tmpfs: {} } } }]",
    },
    Part {
        name: "objectives",
        what: "of a scenario",
        schema: Objectives::json_schema,
        example: "objectives: { rto: 5s, rpo: 0 }",
    },
    Part {
        name: "matrix",
        what: "of a scenario",
        schema: Matrix::json_schema,
        example: "matrix: { axes: { signal: [SIGTERM, SIGKILL], after: [1s, 9s] }, exclude: [{ signal: SIGTERM, after: 9s }] }",
    },
    Part {
        name: "expect_failure",
        what: "of a scenario",
        schema: ExpectFailure::json_schema,
        example: "expect_failure: { until: \"2027-01-31\", because: mended in the next release }",
    },
    Part {
        name: "compose",
        what: "of a scenario",
        schema: Compose::map_schema,
        example: "compose: { file: compose.yaml, services: [db] } # or `compose: compose.yaml`",
    },
    Part {
        name: "attach",
        what: "of a service",
        schema: Attach::json_schema,
        example: "services: { db: { attach: { container: shop-db-1 } } }",
    },
    Part {
        name: "healthcheck",
        what: "of a service",
        schema: Healthcheck::json_schema,
        example: "healthcheck: { command: [/keelhaul, --version], interval: 2s, retries: 5 }",
    },
    Part {
        name: "recover",
        what: "a step",
        schema: RecoverStep::json_schema,
        example: "- { recover: { within: 10s, hold: 3s } }",
    },
    Part {
        name: "exec",
        what: "a step",
        schema: ExecStep::json_schema,
        example: "- { exec: { service: agent, command: [/keelhaul, --version], timeout: 5s } }",
    },
    Part {
        name: "loop",
        what: "a step",
        schema: LoopStep::json_schema,
        example: "- { loop: { times: 5, steps: [{ inject: { kill: { target: agent } } }, { inject: { restart: { target: agent } } }, recover] } }",
    },
];

/// Every part and every key that is called so; none when nothing is.
pub(super) fn explanation(word: &str) -> Option<String> {
    let mut text = String::new();
    for part in &PARTS {
        let keys = parameters_of(part.schema);
        // what is a part of its own has its example there
        let is_part = PARTS.iter().any(|it| it.name == word);
        if let Some(key) = keys.iter().find(|key| key.name == word) {
            one_key(&mut text, part, key, !is_part);
        }
        // one of many is called as they are: `services`
        if keys::stands_for(word, part.name) {
            separate(&mut text);
            let _ = writeln!(text, "{} ({})\n", part.name, part.what);
            section(&mut text, "Keys", &keys);
            let example = part.example.replace('\n', "\n  ");
            let _ = writeln!(text, "\nExample\n  {example}");
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

fn one_key(text: &mut String, part: &Part, key: &Parameter, with_example: bool) {
    separate(text);
    let takes = takes(key);
    let _ = writeln!(text, "{} (key of a {}: {takes})\n\n{}", key.name, part.name, key.doc);
    if with_example {
        let _ = writeln!(text, "\nExample\n  {}", keys::written(key));
    }
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
    fn what_a_probe_says_of_itself_is_not_said_again_of_its_key() {
        assert_eq!(explanation("explore"), None);
        // another meaning stays
        let said = explanation("file").unwrap();
        assert!(said.contains("key:"), "{said}");
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
