//! `remount`: a mount goes away and comes back within one breath.
//!
//! Mechanism: a clone of the mount is kept, the mount detached, and the clone attached in its
//! place. Blast radius: the mount namespace of one container. Undone only where it was cut off
//! half-way: by attaching the clone, or another one of the same directory as the engine shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target,
    whole_mount::{self, WholeMount, note_writers},
};
use crate::protocol::{Capability, FileId, Outcome};

/// Unmounts a volume and mounts it again at once, as an automounter does.
///
/// The path shows the same directory as before, on another mount. What is open already stays on
/// the old one: descriptors work on, a working directory below it no longer has a path, and a
/// watch on the mount point has seen it go. Not for a `tmpfs`, whose data would go with its mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remount {
    /// The mount: `service:/path`, where something is mounted at exactly this path.
    pub(super) target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The mount.
    mount: u64,
    /// The directory that was mounted.
    root: FileId,
    /// Descriptors open for writing.
    writers: u64,
}

const NAME: &str = "remount";

impl Fault for Remount {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "remount: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Mounts);

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("detach the mount at `{}`, and attach it again", self.target),
            undo: "attach it, where that was cut off half-way".into(),
            proof: "another mount of the same directory is there".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        whole_mount::complaints(NAME, &self.target, declared)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let found = WholeMount::find(NAME, cx).await?;
        let before = Before { mount: found.facts.id, root: found.root, writers: found.writers };
        let undo = vec![found.attach.clone()];
        Ok(Prepared { before, ops: vec![found.detach, found.attach], undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let place = &cx.site.place;
        let stack = cx.mount_stack(place).await?;
        let now = stack.last().map(|top| top.id);
        let same = cx.file_id(place).await? == Some(before.root);
        let proven = stack.len() == 1 && same && now != Some(before.mount);
        let shown = if same { "the same" } else { "another" };
        let now = now.map_or("none".to_owned(), |id| id.to_string());
        let evidence = format!("mount {now}, before it {}; {shown} directory", before.mount);
        let effect = Effect { proven, evidence, notes: Vec::new() };
        Ok(note_writers(effect, before.writers, "on the old mount"))
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let there = cx.file_id(&cx.site.place).await? == Some(before.root);
        let evidence = if there { "the directory is there" } else { "another directory is there" };
        Ok(Effect { proven: there, evidence: evidence.into(), notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Site,
            testing::{self, Fake},
        },
        protocol::Op,
    };

    fn fault() -> Remount {
        serde_saphyr::from_str("{ target: agent:/data }").unwrap()
    }

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        fake.world().files.insert("/data".into(), testing::file(2, 2));
        let mut site = testing::site("/data", "docker: {}");
        site.place.host_path = Some("/var/lib/docker/volumes/v/_data".into());
        (fake, site)
    }

    #[tokio::test]
    async fn another_mount_of_the_same_directory_is_the_proof() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = fault().prepare(&cx).await.unwrap();
        assert!(matches!(&ops[..], [Op::DetachMount { .. }, Op::AttachMount { .. }]));
        assert_eq!(undo, ops[1..]);
        assert!(!fault().verify(&before, &[], &cx).await.unwrap().proven, "nothing was done");
        fake.world().mounts.get_mut("/data").unwrap()[0].id += 1;
        assert!(fault().verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().files.insert("/data".into(), testing::file(3, 2));
        assert!(!fault().verify(&before, &[], &cx).await.unwrap().proven, "another directory");
        assert!(!fault().verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn what_might_not_come_back_is_refused() {
        let (fake, mut site) = world();
        site.place.host_path = None;
        let refused = fault().prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(_))));
        let (fake, site) = world();
        fake.world().mounts.clear();
        let refused = fault().prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(_))));
    }
}
