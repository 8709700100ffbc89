//! `memory-limit`: a container that runs gets less memory than it was given.
//!
//! Mechanism: the engine's `update`, so that the limit outlasts restarts; no swap comes with it.
//! Blast radius: one container. Undone by the old limit, which the engine knows and the kernel is
//! asked about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    capacity::{self, part},
    checks,
};
use crate::{
    protocol::{Capability, EngineOp, MemoryFacts, Op, Outcome},
    runtime::MemoryLimit as Limit,
    units::{Percent, Size},
};

/// Lowers the memory limit of a running container.
///
/// The kernel first takes page cache back, then kills a process: which one, and how often, the
/// `oom_kills` of the `container` probe says, also where the container itself survives. The limit
/// stays over restarts. On cgroup v1 one that is below what cannot be taken back is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryLimit {
    /// The container: `service`. It must have a limit: `memory:`.
    pub(super) target: Target,
    /// Bytes of memory from now on; less than it has.
    limit: Option<Size>,
    /// Instead of `limit`: this share of what it has.
    percent: Option<Percent>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Bytes of memory.
    limit: u64,
    /// Bytes of memory that this injection leaves.
    lowered: u64,
    /// Bytes of memory before the first stage of a ramp.
    total: u64,
}

/// What an engine takes at least.
const LEAST: Size = Size(6 << 20);

const NAME: &str = "memory-limit";

impl MemoryLimit {
    fn old(&self, limit: Option<Limit>) -> Result<Limit, FaultError> {
        let service = &self.target.service;
        match limit {
            None => Err(FaultError::Refused(format!(
                "`{service}` has no memory limit, and the engine could not take ours off again\n\n\
                 hint: give the service `memory: 128MiB`"
            ))),
            Some(old) => Ok(old),
        }
    }

    /// Bytes in the end, of so many at first.
    fn goal(&self, total: u64) -> u64 {
        match self.percent {
            Some(percent) => part(total, percent.0 / 100.0),
            None => self.limit.unwrap_or_default().0,
        }
    }

    /// Bytes that this injection leaves: in a ramp, a share of the way.
    fn lowered(&self, cx: &Cx<'_>, old: Limit, total: u64) -> Result<u64, FaultError> {
        let (service, goal) = (&self.target.service, Size(self.goal(total)));
        if old.memory <= goal.0 {
            return Err(FaultError::Refused(format!(
                "`{service}` has {}, and {goal} would lower nothing",
                Size(old.memory)
            )));
        }
        if goal < LEAST {
            return Err(FaultError::Refused(format!(
                "{goal} of {} is less than engines take\n\nhint: leave {LEAST} at least",
                Size(total)
            )));
        }
        Ok(old.memory - part(old.memory - goal.0, cx.share))
    }

    /// The amount in words.
    fn amount(&self) -> String {
        match (self.percent, self.limit) {
            (Some(percent), _) => format!("{percent} of what it has"),
            (None, limit) => limit.unwrap_or_default().to_string(),
        }
    }

    fn check_amount(&self) -> Option<String> {
        match (self.limit, self.percent) {
            (None, None) => Some("neither `limit` nor `percent` is given, so nothing says how much memory is left\n\nhint: write `limit: 32MiB`, or `percent: 50%`".into()),
            (Some(_), Some(_)) => {
                Some("`limit` and `percent` say the same thing\n\nhint: write one".into())
            }
            (Some(limit), None) if limit < LEAST => Some(format!(
                "`limit: {limit}` is less than engines take\n\nhint: write {LEAST} at least"
            )),
            (None, Some(percent)) if !(percent.0 > 0.0 && percent.0 < 100.0) => Some(format!(
                "`percent: {percent}` is no lower limit\n\nhint: write `percent: 50%`"
            )),
            _ => None,
        }
    }

    fn set(cx: &Cx<'_>, limit: Limit) -> Vec<Op> {
        let container = cx.site.place.container.clone();
        let Limit { memory, with_swap } = limit;
        vec![Op::Engine(EngineOp::LimitMemory { container, memory, with_swap })]
    }
}

/// The kernel counts in pages.
fn is_limited_to(facts: &MemoryFacts, bytes: u64) -> bool {
    const PAGE: u64 = 4096;
    facts.limit.is_some_and(|limit| limit / PAGE == bytes / PAGE)
}

fn effect(proven: bool, facts: &MemoryFacts) -> Effect {
    let limit = facts.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("{limit} bytes"));
    let evidence = format!(
        "the kernel allows {limit}; {} in use, {} processes killed for want of memory",
        facts.used, facts.oom_kills
    );
    Effect { proven, evidence, notes: Vec::new() }
}

impl Fault for MemoryLimit {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MemoryCgroup];
    const EXAMPLE: &'static str = "memory-limit: { target: agent, limit: 32MiB }";
    const RAMPS: bool = true;
    const ON_OTHERS: OnOthers = OnOthers::Refused {
        why: "who runs out of memory is killed, and nobody would start it again",
        hint: "give the service an `image`, so that it belongs to the run",
    };

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("lower the memory limit of `{}` to {}", self.target, self.amount()),
            undo: "set the old limit".into(),
            proof: "the limit in the container's cgroup".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let path = checks::needs_no_path(NAME, &self.target);
        path.into_iter().chain(self.check_amount()).collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let old = self.old(cx.running().await?.memory)?;
        let total = capacity::total(cx, old.memory);
        let lowered = self.lowered(cx, old, total)?;
        let with_swap = i64::try_from(lowered).unwrap_or(i64::MAX);
        let new = Limit { memory: lowered, with_swap };
        let before = Before { limit: old.memory, lowered, total };
        Ok(Prepared { before, ops: Self::set(cx, new), undo: Self::set(cx, old) })
    }

    async fn verify(&self, at: &Before, _: &[Outcome], cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.memory().await?;
        Ok(effect(is_limited_to(&facts, at.lowered), &facts))
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.memory().await?;
        Ok(effect(is_limited_to(&facts, before.limit), &facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> MemoryLimit {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_by_the_limit_in_the_cgroup_and_undone_by_the_old_one() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let old = Limit { memory: 128 << 20, with_swap: 256 << 20 };
        fake.world().container.as_mut().unwrap().memory = Some(old);
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent, limit: 32MiB }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let op = |memory: u64, with_swap| {
            let container = "c1".into();
            vec![Op::Engine(EngineOp::LimitMemory { container, memory, with_swap })]
        };
        assert_eq!(prepared.ops, op(32 << 20, 32 << 20));
        assert_eq!(prepared.undo, op(128 << 20, 256 << 20));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().memory.limit = Some(32 << 20);
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().memory.limit = None;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_without_a_limit_and_where_nothing_would_be_lowered() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let high = fault("{ target: agent, limit: 128MiB }").prepare(&cx).await;
        assert!(matches!(high, Err(FaultError::Refused(why)) if why.contains("lower nothing")));
        fake.world().container.as_mut().unwrap().memory = None;
        let none = fault("{ target: agent, limit: 32MiB }").prepare(&cx).await;
        assert!(matches!(none, Err(FaultError::Refused(why)) if why.contains("no memory limit")));
    }

    #[tokio::test]
    async fn a_share_is_taken_in_stages() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let set = |memory| {
            let limit = Limit { memory, with_swap: 256 << 20 };
            fake.world().container.as_mut().unwrap().memory = Some(limit);
        };
        let fault = fault("{ target: agent, percent: 25% }");
        set(128 << 20);
        let half = Cx { share: 0.5, ..fake.cx(&site) };
        let first = fault.prepare(&half).await.unwrap().before;
        assert_eq!((first.limit, first.lowered), (128 << 20, 80 << 20));
        set(first.lowered);
        let first = serde_json::to_value(first).unwrap();
        let rest = Cx { share: 1.0, first: Some(&first), ..fake.cx(&site) };
        let second = fault.prepare(&rest).await.unwrap().before;
        assert_eq!((second.limit, second.lowered), (80 << 20, 32 << 20));
        set(16 << 20);
        assert!(fault.prepare(&fake.cx(&site)).await.is_err(), "4 MiB is too little");
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        let wrong = |yaml| fault(yaml).check(&none).len();
        assert_eq!(wrong("{ target: agent, limit: 6MiB }"), 0);
        assert_eq!(wrong("{ target: agent, percent: 40% }"), 0);
        assert_eq!(wrong("{ target: agent:/data, limit: 4MiB }"), 2);
        assert_eq!(wrong("{ target: agent }"), 1);
        assert_eq!(wrong("{ target: agent, limit: 6MiB, percent: 40% }"), 1);
        assert_eq!(wrong("{ target: agent, percent: 0% }"), 1);
        assert_eq!(wrong("{ target: agent, percent: 100% }"), 1);
    }
}
