//! `remove-volume`: a volume is destroyed, and its container comes up with an empty one.
//!
//! Mechanism: the engine removes the container and the volume, and makes both anew with the same
//! names and configuration. Blast radius: one container and a volume of the run that nothing else
//! uses. Nothing is brought back: volume and container belong to the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks, grace, lifecycle::Before as Container,
};
use crate::{
    protocol::{Capability, EngineOp, FileFacts, Op, Outcome},
    runtime::{ContainerFacts, State},
    volumes::VolumeSpec,
};

/// Destroys a volume of the run with all that is in it.
///
/// The container that uses it is removed first, and comes up with an empty volume of the same name.
/// What was on it is in the backups or nowhere: use it to rehearse a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveVolume {
    /// Where a `docker` volume is mounted: `service:/path`.
    pub(super) target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// When the volume's own directory was made, nanoseconds since the epoch.
    born_ns: i64,
}

const NAME: &str = "remove-volume";

/// The engine's name of the volume that is mounted here.
fn object(facts: &ContainerFacts, path: &str) -> Option<String> {
    let mount = facts.mounts.iter().find(|mount| mount.destination == path)?;
    (!mount.volume.is_empty()).then(|| mount.volume.clone())
}

async fn directory(cx: &Cx<'_>) -> Result<Option<FileFacts>, FaultError> {
    cx.file(&cx.site.place).await
}

impl Fault for RemoveVolume {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "remove-volume: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::NOT_WHAT_WAS_THERE;

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("destroy the volume at `{}`, and make it anew, empty", self.target),
            undo: "nothing: volume and container go with the run".into(),
            proof: "another container, on a directory that was made since".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        let other = declared.volume.filter(|volume| !matches!(volume, VolumeSpec::Docker(_)));
        if let Some(volume) = other {
            wrong.push(format!(
                "`{NAME}` acts on a `docker` volume, and `{}` is on `{}`, whose data is not the \
                 engine's to remove\n\nhint: use a `docker` volume",
                self.target,
                volume.name()
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        let path = &cx.site.place.path;
        let refuse = |why: String| Err(FaultError::Refused(why));
        let Some(volume) = object(&facts, path) else {
            return refuse(format!("no volume of the engine is mounted at `{path}`"));
        };
        let Some(born_ns) = directory(cx).await?.and_then(|directory| directory.born_ns) else {
            return refuse(format!(
                "the filesystem of `{path}` does not say when a directory was made, so nothing \
                 could be proven"
            ));
        };
        let grace_ms = grace::milliseconds(None, &facts);
        let replace = EngineOp::ReplaceVolume { container: facts.id.clone(), volume, grace_ms };
        let before = Before { container: Container::of(&facts), born_ns };
        Ok(Prepared { before, ops: vec![Op::Engine(replace)], undo: Vec::new() })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = before.container.again(cx).await?;
        let mut place = cx.site.place.clone();
        (place.container, place.pid) = (facts.id.clone(), facts.pid);
        let born_ns = cx.file(&place).await?.and_then(|directory| directory.born_ns);
        let younger = born_ns.is_some_and(|born| born > before.born_ns);
        let evidence = format!(
            "{}; the directory is {}",
            before.container.evidence(&facts),
            if younger { "another one, made since" } else { "the old one" }
        );
        let up = before.container.made_anew(&facts) && facts.state == State::Running;
        Ok(Effect { proven: younger && up, evidence, notes: Vec::new() })
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

    fn fault(yaml: &str) -> RemoveVolume {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";

    fn world() -> Fake {
        let fake = Fake::default();
        {
            let mut world = fake.world();
            world.container.as_mut().unwrap().mounts = vec![ContainerMount {
                destination: "/data".into(),
                kind: "volume".into(),
                source: "/volumes/v".into(),
                volume: "v".into(),
                writable: true,
                own: None,
            }];
            let directory = FileFacts { born_ns: Some(100), ..testing::file(1, 2) };
            world.files.insert("/data".into(), directory);
        }
        fake
    }

    #[tokio::test]
    async fn proven_by_another_container_on_a_younger_directory() {
        let (fake, site) = (world(), testing::site("/data", "docker: {}"));
        let cx = fake.cx(&site);
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        let replace = EngineOp::ReplaceVolume {
            container: "c1".into(),
            volume: "v".into(),
            grace_ms: 10_000,
        };
        assert_eq!(prepared.ops, [Op::Engine(replace)]);
        assert!(prepared.undo.is_empty());
        let before = prepared.before;
        fake.world().container.as_mut().unwrap().id = "c2".into();
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "only recreated");
        fake.world().files.get_mut("/data").unwrap().born_ns = Some(200);
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().id = "c1".into();
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_where_nothing_could_be_proven() {
        let (fake, site) = (world(), testing::site("/data", "docker: {}"));
        fake.world().files.get_mut("/data").unwrap().born_ns = None;
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("proven")));
        fake.world().container.as_mut().unwrap().mounts.clear();
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("no volume")));
    }

    #[test]
    fn static_complaints() {
        let (docker, ext4) =
            (testing::volume_spec("docker: {}"), testing::volume_spec("ext4: { size: 64MiB }"));
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&docker), true)).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&ext4), true)).len(), 1);
        assert_eq!(fault(PLAIN).check(&on(Some(&docker), false)).len(), 1);
    }
}
