//! One step: an action, and what modifies it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::ProbeItem;
use crate::{
    faults::{FaultSpec, Part, Profile},
    units::Duration,
};

/// One step, checked to have exactly one action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Its id in reports, in `revert`, `await` and `fails`.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// Go on after a failure.
    pub soft: bool,
}

impl Step {
    /// The probes that it waits for, and the key they are listed under; no key where it waits for
    /// none.
    #[must_use]
    pub fn probes(&self) -> (&'static str, &[ProbeItem]) {
        match &self.action {
            Action::Expect { probes, .. } => ("expect", probes),
            Action::Inject(inject) => {
                inject.when.as_ref().map_or(("", &[]), |when| ("when", &when.probes))
            }
            _ => ("", &[]),
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Inject a fault.
    Inject(Box<InjectStep>),
    /// Probes that must come to hold.
    Expect {
        /// The probes.
        probes: Vec<ProbeItem>,
        /// They must all hold within this time.
        within: Duration,
        /// And go on to hold for this long.
        hold: Option<Duration>,
    },
    /// Let time pass.
    Wait(Duration),
    /// Revert the fault with this name.
    Revert(String),
    /// Wait until every steady-state probe holds again.
    Recover(RecoverStep),
    /// Run a program in a subject.
    Exec(Box<ExecStep>),
    /// Wait for a step in the background.
    Await {
        /// Its name.
        step: String,
        /// It must end within this time.
        within: Duration,
    },
}

/// A fault, when it is injected, and how it goes over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InjectStep {
    /// The fault, on one object or on several.
    pub fault: FaultSpec,
    /// What must hold first.
    pub when: Option<Condition>,
    /// Reverted by the keeper after this time.
    #[serde(rename = "for")]
    pub lasts: Option<Duration>,
    /// How it goes over time.
    pub profile: Profile,
}

impl InjectStep {
    /// The injections that it makes on each of its objects, one after the other.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.profile.parts(self.lasts)
    }
}

/// What must hold before a fault is injected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// The probes.
    pub probes: Vec<ProbeItem>,
    /// They must all hold within this time, or nothing is injected.
    pub within: Duration,
    /// And go on to hold for this long.
    pub hold: Option<Duration>,
}

/// Wait until every steady-state probe holds again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverStep {
    /// Instead of the scenario's `rto`.
    pub within: Option<Duration>,
    /// The probes must hold for this long; 1 s by default.
    pub hold: Option<Duration>,
    /// A service of the run without a restart policy that has ended is started again, as whoever runs it
    /// would: three times at most, and noted. Without it, to end is not to recover.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start: bool,
}

/// A program in a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecStep {
    /// The service.
    pub service: String,
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Expected exit code.
    #[serde(default)]
    pub exit_code: i64,
    /// It must end within this time.
    #[serde(default = "default_within")]
    pub timeout: Duration,
    /// Go on with the next step; `await` waits for the end.
    #[serde(default)]
    pub background: bool,
}

fn default_within() -> Duration {
    Duration::from_secs(10)
}

/// Steps that are done several times over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopStep {
    /// How many rounds.
    #[schemars(range(min = 1, max = 100))]
    pub times: u32,
    /// The steps of a round. `revert` and `await` mean those of the same round; a control's `fails` means
    /// them in any round.
    pub steps: Vec<Step>,
}

/// A step as a map: every action and every modifier is a key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "Step", description = "One step: exactly one action, and what modifies it.")]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Inject a fault.
    inject: Option<FaultSpec>,
    /// Probes that must come to hold.
    expect: Option<Vec<ProbeItem>>,
    /// Let time pass.
    wait: Option<Duration>,
    /// Revert the fault with this name.
    revert: Option<String>,
    /// Wait until every steady-state probe holds again.
    #[serde(default, deserialize_with = "bare")]
    recover: Option<RecoverStep>,
    /// Run a program in a subject.
    exec: Option<ExecStep>,
    /// Wait for a step in the background.
    r#await: Option<String>,
    /// Do steps several times over. What is named in them gets the number of the round: `cut-1`, `cut-2`.
    #[expect(dead_code, reason = "it is written out before steps are read; the schema knows it")]
    r#loop: Option<LoopStep>,
    /// Its id in reports, in `revert`, `await` and `fails`.
    r#as: Option<String>,
    /// `expect`, `await`, `when`: within this time; 10 s by default.
    within: Option<Duration>,
    /// `expect`, `when`: the probes must go on to hold for this long.
    hold: Option<Duration>,
    /// `inject`: probes that must come to hold first; where they do not, nothing is injected and the
    /// run is inconclusive.
    when: Option<Vec<ProbeItem>>,
    /// `inject`: reverted by the keeper after this time.
    r#for: Option<Duration>,
    /// `inject`: how the fault goes over time; `sustained` by default.
    profile: Option<Profile>,
    /// Go on after a failure.
    #[serde(default)]
    soft: bool,
}

/// `- recover:` with nothing behind it is `- recover`.
fn bare<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RecoverStep>, D::Error> {
    let given = Option::<RecoverStep>::deserialize(deserializer)?;
    Ok(Some(given.unwrap_or_default()))
}

impl Fields {
    fn into_step(mut self) -> Result<Step, String> {
        let modifiers = self.modifiers();
        let mut actions = self.actions();
        let names: Vec<_> = actions.iter().map(|(name, _)| format!("`{name}`")).collect();
        if actions.len() > 1 {
            return Err(format!(
                "a step has one action, and this one has {}\n\nhint: make each a step of its own",
                names.join(" and ")
            ));
        }
        let Some((name, action)) = actions.pop() else {
            return Err(format!("a step needs an action\n\nhint: one of {ACTIONS}"));
        };
        for (modifier, owners) in modifiers {
            if !owners.contains(&name) {
                let owners: Vec<_> = owners.iter().map(|owner| format!("`{owner}`")).collect();
                let waits = if name == "inject" { ", and to `inject` with `when`" } else { "" };
                return Err(format!(
                    "`{modifier}` does not go with `{name}`\n\nhint: it belongs to {}{waits}",
                    owners.join(" and ")
                ));
            }
        }
        Ok(Step { action, name: self.r#as, soft: self.soft })
    }

    /// The modifiers that are given, and the actions that they belong to.
    fn modifiers(&self) -> Vec<(&'static str, &'static [&'static str])> {
        // with `when`, an injection waits too
        let waits = self.when.is_some();
        let within: &[&str] =
            if waits { &["expect", "await", "inject"] } else { &["expect", "await"] };
        let hold: &[&str] = if waits { &["expect", "inject"] } else { &["expect"] };
        let all: [(_, _, &[&str]); 5] = [
            ("within", self.within.is_some(), within),
            ("hold", self.hold.is_some(), hold),
            ("when", self.when.is_some(), &["inject"]),
            ("for", self.r#for.is_some(), &["inject"]),
            ("profile", self.profile.is_some(), &["inject"]),
        ];
        all.into_iter().filter(|(_, given, _)| *given).map(|(name, _, to)| (name, to)).collect()
    }

    /// Every action that is given.
    fn actions(&mut self) -> Vec<(&'static str, Action)> {
        let within = self.within.unwrap_or_else(default_within);
        let hold = self.hold;
        let (when, lasts) = (self.when.take(), self.r#for);
        let profile = self.profile.unwrap_or_default();
        let inject = self.inject.take().map(|fault| {
            let when = when.map(|probes| Condition { probes, within, hold });
            ("inject", Action::Inject(Box::new(InjectStep { fault, when, lasts, profile })))
        });
        let expect = self.expect.take();
        let expect = expect.map(|probes| ("expect", Action::Expect { probes, within, hold }));
        let recover = self.recover.take().map(|recover| ("recover", Action::Recover(recover)));
        let exec = self.exec.take().map(|exec| ("exec", Action::Exec(Box::new(exec))));
        let wait_for = self.r#await.take().map(|step| ("await", Action::Await { step, within }));
        let wait = self.wait.map(|time| ("wait", Action::Wait(time)));
        let revert = self.revert.take().map(|name| ("revert", Action::Revert(name)));
        [inject, expect, wait, revert, recover, exec, wait_for].into_iter().flatten().collect()
    }
}

const ACTIONS: &str = "`inject`, `expect`, `wait`, `revert`, `recover`, `exec`, `await`, `loop`";

struct StepVisitor;

impl<'de> serde::de::Visitor<'de> for StepVisitor {
    type Value = Step;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a step: a map with one action, or the word `recover`")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Step, E> {
        if word == "recover" {
            let action = Action::Recover(RecoverStep::default());
            return Ok(Step { action, name: None, soft: false });
        }
        Err(E::custom(format!(
            "`{word}` is not a step\n\nhint: only `recover` stands alone; others are {ACTIONS}"
        )))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
        let fields = Fields::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        fields.into_step().map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StepVisitor)
    }
}

/// The schema of a step as a map: every action and every modifier.
#[must_use]
pub fn step_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    Fields::json_schema(generator)
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let map = step_schema(generator);
        schemars::json_schema!({ "anyOf": [{ "const": "recover" }, map] })
    }
}
