//! `oom-kill`: the kernel kills a process of a container for want of memory.
//!
//! Mechanism: the process, init unless another is named, is made the first victim, and a process of
//! ours in the container's memory cgroup allocates until the kernel kills; both end with the act.
//! Blast radius: one container, which must have a limit. What is undone is the preference; rollback
//! starts what was running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, checks,
    lifecycle::{self, Before as Container},
    want_of_memory,
};
use crate::protocol::{Capability, Init, Op, Outcome, ProcessFacts};

/// Has the kernel kill a process of a container for want of memory.
///
/// Memory of the container's own cgroup is used up for a moment, so it must have a limit: `memory:`.
/// Killed is the main process, and to the engine the kernel did it: the restart policy applies. With
/// `process` it is another one, as a backup job beside a service that lives on: the engine's OOM
/// flag stays false then, and the cgroup's counter tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OomKill {
    /// The container: `service`.
    pub(super) target: Target,
    /// A part of the command line of the one process to be killed, instead of the main process.
    process: Option<String>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// Processes killed for want of memory until then.
    kills: u64,
    /// The process that was meant, if it was not init.
    victim: Option<Init>,
}

const NAME: &str = "oom-kill";

impl OomKill {
    /// The process that is meant, and how much the kernel prefers it as it is.
    async fn victim(&self, cx: &Cx<'_>, init: Init) -> Result<(Init, i32), FaultError> {
        let Some(part) = &self.process else { return Ok((init, cx.memory().await?.oom_score)) };
        let mut found = cx.processes().await?;
        found.retain(|one| one.process != init && one.command.contains(part));
        match found.as_slice() {
            [ProcessFacts { process, oom_score, .. }] => Ok((*process, *oom_score)),
            [] => Err(FaultError::Refused(format!(
                "no process of `{}` but its main one has `{part}` in its command line",
                self.target
            ))),
            [one, other, ..] => Err(FaultError::Refused(format!(
                "{} processes of `{}` have `{part}` in their command lines, as in `{}` and `{}`\n\n\
                 hint: name more of the one that is meant",
                found.len(),
                self.target,
                called(one),
                called(other)
            ))),
        }
    }
}

/// Which process it is, without its arguments: they may hold a secret.
fn called(one: &ProcessFacts) -> String {
    let program = one.command.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    format!("{name} (pid {})", one.process.pid)
}

impl Fault for OomKill {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MemoryCgroup];
    const EXAMPLE: &'static str = "oom-kill: { target: agent }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Processes);

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (whom, proof) = match &self.process {
            None => ("it".into(), "it ended, and the engine or the cgroup's counter says why"),
            Some(part) => (
                format!("`{part}`"),
                "the process is gone, and the cgroup's counter of OOM kills says why",
            ),
        };
        Described {
            act: format!("use up the memory of `{}` until the kernel kills {whom}", self.target),
            undo: "nothing; rollback starts it if it is not running by then".into(),
            proof: proof.into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let path = checks::needs_no_path(NAME, &self.target);
        let empty = self.process.as_ref().filter(|part| part.trim().is_empty()).map(|_| {
            "`process` names nothing\n\nhint: write a part of its command line, as in `backup`"
                .to_owned()
        });
        path.into_iter().chain(empty).collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        want_of_memory::refuse_unlimited(cx, &facts)?;
        let (memory, init) = (cx.memory().await?, cx.init().await?);
        let (process, score) = self.victim(cx, init).await?;
        let place = || cx.site.place.clone();
        let prefer = |score| Op::SetOomScore { place: place(), process, score };
        let back = prefer(score);
        let ops = vec![prefer(FIRST), Op::ExhaustMemory { place: place(), init }, back.clone()];
        let undo = [vec![back], lifecycle::start_again(cx)].concat();
        let victim = (process != init).then_some(process);
        let before = Before { container: Container::of(&facts), kills: memory.oom_kills, victim };
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let effect = want_of_memory::killed(&before.container, before.kills, outcomes, cx).await?;
        let Some(victim) = before.victim.filter(|_| effect.proven) else { return Ok(effect) };
        want_of_memory::was_it(victim, effect, cx).await
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        lifecycle::runs(cx).await
    }
}

/// The first of all victims: `oom_score_adj`, proc(5).
const FIRST: i32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Init,
        runtime::State,
    };

    fn fault(yaml: &str) -> OomKill {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn the_outcome_alone_proves_nothing() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let init = Init { pid: 100, start_time: 5000 };
        let score = |score| Op::SetOomScore { place: site.place.clone(), process: init, score };
        let exhaust = Op::ExhaustMemory { place: site.place.clone(), init };
        assert_eq!(prepared.ops, [score(1000), exhaust, score(0)]);
        assert_eq!(prepared.undo[0], score(0));
        let before = prepared.before;
        let said = [Outcome::OomKills { before: 0, after: 1 }];
        assert!(!fault.verify(&before, &said, &cx).await.unwrap().proven, "it still runs");
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nobody says why");
        assert!(fault.verify(&before, &said, &cx).await.unwrap().proven, "the counter does");
        fake.world().container.as_mut().unwrap().oom_killed = true;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven, "the engine does");
    }

    #[tokio::test]
    async fn a_kill_that_init_survives_counts() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let before = fault.prepare(&cx).await.unwrap().before;
        fake.world().memory.oom_kills = 1;
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.evidence.contains("running"), "{effect:?}");
    }

    #[tokio::test]
    async fn without_a_limit_it_is_the_hosts_memory_and_refused() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        fake.world().container.as_mut().unwrap().memory = None;
        let refused = fault("{ target: agent }").prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn of_another_process_the_end_is_seen_and_the_count() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent, process: backup --to }"));
        let refused = |result: Result<_, _>, why: &str| {
            assert!(
                matches!(result, Err(FaultError::Refused(text)) if text.contains(why)),
                "{why}"
            );
        };
        refused(fault.prepare(&cx).await, "no process");
        fake.world().processes.push(testing::process(107, "sh -c backup --to /b"));
        fake.world().processes.push(testing::process(108, "backup --to /b"));
        refused(fault.prepare(&cx).await, "2 processes");
        fake.world().processes.remove(1);
        let prepared = fault.prepare(&cx).await.unwrap();
        let victim = testing::process(108, "").process;
        assert!(matches!(prepared.ops[0], Op::SetOomScore { process, .. } if process == victim));
        assert!(matches!(prepared.ops[1], Op::ExhaustMemory { init, .. } if init.pid == 100));
        let before = prepared.before;
        fake.world().memory.oom_kills = 1;
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(!effect.proven && effect.evidence.contains("108"), "another one was: {effect:?}");
        fake.world().processes.remove(1);
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().memory.oom_kills = 0;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "it ended by itself");
    }

    #[test]
    fn a_process_is_named() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault("{ target: agent, process: backup }").check(&none).is_empty());
        assert_eq!(fault("{ target: agent:/data, process: ' ' }").check(&none).len(), 2);
    }
}
