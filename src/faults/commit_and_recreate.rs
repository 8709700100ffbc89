//! `commit-and-recreate`: takes `docker commit` for a backup, and runs what it kept.
//!
//! Mechanism: the engine's stop, commit, remove, create from the new image, and start; every volume
//! is replaced by a new, empty one. Blast radius: one container. Nothing to undo: container, image
//! and volumes carry the run's label, and the volumes of before go with the run as always.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks, grace,
};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome},
    runtime::{ContainerFacts, State},
};

/// Makes a container anew from its committed image, without its volumes.
///
/// `docker commit` and `docker save` keep the container's own layer and nothing of its volumes.
/// Whoever moves a service with them meets this: the program and its files are all there, every
/// volume is new and empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitAndRecreate {
    /// The container: `service`.
    pub(super) target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    id: String,
    name: String,
    image: String,
    volumes: Vec<String>,
}

fn volumes(facts: &ContainerFacts) -> Vec<String> {
    let names = facts.mounts.iter().map(|mount| mount.volume.clone());
    names.filter(|name| !name.is_empty()).collect()
}

impl Fault for CommitAndRecreate {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "commit-and-recreate: { target: agent }";
    const ON_OTHERS: OnOthers = OnOthers::NOT_WHAT_WAS_THERE;

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "commit the container of `{}`, and run that with empty volumes",
                self.target
            ),
            undo: "nothing: the new container, its image and its volumes go with the run".into(),
            proof: "the container of that name has another id, another image and other volumes"
                .into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("commit-and-recreate", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.facts().await?;
        let grace_ms = grace::milliseconds(None, &facts);
        let op = EngineOp::RunFromCommit { container: facts.id.clone(), grace_ms };
        let volumes = volumes(&facts);
        Ok(Prepared {
            before: Before { id: facts.id, name: facts.name, image: facts.image, volumes },
            ops: vec![Op::Engine(op)],
            undo: Vec::new(),
        })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = cx.runtime.inspect(&before.name).await?;
        let volumes = volumes(&facts);
        let kept = volumes.iter().filter(|name| before.volumes.contains(name)).count();
        let made_anew = facts.id != before.id && facts.image != before.image;
        let image = facts.image.trim_start_matches("sha256:");
        Ok(Effect {
            proven: made_anew && kept == 0 && facts.state == State::Running,
            evidence: format!(
                "container {:.12} of image {image:.12}, {kept} of {} volumes kept",
                facts.id,
                before.volumes.len()
            ),
            notes: Vec::new(),
        })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.verify(before, &[], cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        runtime::ContainerMount,
    };

    fn mount(volume: &str) -> ContainerMount {
        ContainerMount {
            destination: "/data".into(),
            kind: "volume".into(),
            source: "/v".into(),
            volume: volume.into(),
            writable: true,
            own: None,
        }
    }

    #[tokio::test]
    async fn proven_by_another_container_image_and_volume() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let fault: CommitAndRecreate = serde_saphyr::from_str("{ target: agent }").unwrap();
        fake.world().container.as_mut().unwrap().mounts = vec![mount("old")];
        let before = fault.prepare(&cx).await.unwrap().before;
        type Change = fn(&mut ContainerFacts);
        let changes: [(Change, bool); 4] = [
            (|facts| facts.id = "another".into(), false),
            (|facts| facts.image = "sha256:another".into(), false),
            (|facts| facts.mounts = vec![mount("new")], true),
            (|facts| facts.state = State::Exited, false),
        ];
        for (change, proven) in changes {
            change(fake.world().container.as_mut().unwrap());
            assert_eq!(fault.verify(&before, &[], &cx).await.unwrap().proven, proven);
        }
    }
}
