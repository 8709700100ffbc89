//! `memory-limit`: a container that runs gets less memory than it was given.
//!
//! Mechanism: the engine's `update`, so that the limit outlasts restarts; no swap comes with it.
//! Blast radius: one container. Undone by the old limit, which the engine knows and the kernel is
//! asked about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
};
use crate::{
    protocol::{Capability, EngineOp, MemoryFacts, Op, Outcome},
    runtime::MemoryLimit as Limit,
    units::Size,
};

/// Lowers the memory limit of a running container.
///
/// The kernel first takes page cache back, then kills a process: which one, and how often, the
/// `oom_kills` of the `container` probe says, also where the container itself survives. The limit
/// stays over restarts. On cgroup v1 one that is below what cannot be taken back is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryLimit {
    /// The container: `service`. It must have a limit: `memory:`.
    pub(super) target: Target,
    /// Bytes of memory from now on; less than it has.
    limit: Size,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Bytes of memory.
    limit: u64,
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
            Some(old) if old.memory <= self.limit.0 => Err(FaultError::Refused(format!(
                "`{service}` has {}, and {} would lower nothing",
                Size(old.memory),
                self.limit
            ))),
            Some(old) => Ok(old),
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

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("lower the memory limit of `{}` to {}", self.target, self.limit),
            undo: "set the old limit".into(),
            proof: "the limit in the container's cgroup".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_no_path(NAME, &self.target).into_iter().collect();
        if self.limit < LEAST {
            wrong.push(format!(
                "engines refuse a limit of {}\n\nhint: write {LEAST} at least",
                self.limit
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let old = self.old(cx.running().await?.memory)?;
        let with_swap = i64::try_from(self.limit.0).unwrap_or(i64::MAX);
        let new = Limit { memory: self.limit.0, with_swap };
        let before = Before { limit: old.memory };
        Ok(Prepared { before, ops: Self::set(cx, new), undo: Self::set(cx, old) })
    }

    async fn verify(&self, _: &Before, _: &[Outcome], cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.memory().await?;
        Ok(effect(is_limited_to(&facts, self.limit.0), &facts))
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

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault("{ target: agent, limit: 6MiB }").check(&none).is_empty());
        assert_eq!(fault("{ target: agent:/data, limit: 4MiB }").check(&none).len(), 2);
    }
}
