//! `lost-mount`: a mount goes away under a running container.
//!
//! Mechanism: a clone of the mount is kept, and the mount detached. Blast radius: the mount
//! namespace of one container. Undone by attaching the clone, or, when its keeper has died, another
//! clone of the same directory as the engine shows it; nothing is taken away that the engine does
//! not show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target,
    whole_mount::{self, WholeMount, note_writers},
};
use crate::protocol::{Capability, FileId, Init, Outcome};

/// Takes a mount away, as a lost disk or an unmount on the host does.
///
/// The path then shows the directory of the image below, on the container's own layer, which takes
/// writes. Descriptors that are open already still reach the volume. The revert brings the same
/// volume back. Not for a `tmpfs`, whose data would go with its mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostMount {
    /// The mount: `service:/path`, where something is mounted at exactly this path.
    pub(super) target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The directory that was mounted.
    root: FileId,
    /// Its mount's options.
    options: Vec<String>,
    /// The init whose namespace is changed.
    init: Init,
    /// Descriptors open for writing.
    writers: u64,
}

const NAME: &str = "lost-mount";

/// What the path shows now.
struct Look {
    mounts: usize,
    options: Vec<String>,
    root: Option<FileId>,
}

impl Look {
    async fn at(cx: &Cx<'_>) -> Result<Self, FaultError> {
        let place = &cx.site.place;
        let stack = cx.mount_stack(place).await?;
        let options = stack.last().map(|top| top.options.clone()).unwrap_or_default();
        Ok(Self { mounts: stack.len(), options, root: cx.file_id(place).await? })
    }

    fn evidence(&self, before: &Before) -> String {
        let name = |id: &FileId| format!("{}:{}", id.dev, id.inode);
        let mounts = match self.mounts {
            1 => "1 mount there".to_owned(),
            many => format!("{many} mounts there"),
        };
        format!(
            "{}; the path is directory {}, before it {}",
            mounts,
            self.root.as_ref().map_or("none".to_owned(), name),
            name(&before.root)
        )
    }
}

impl Fault for LostMount {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "lost-mount: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::GivenBack {
        changes: Changes::Mounts,
        borne: Some("what it writes there meanwhile stays below the mount"),
    };

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("detach the mount at `{}`", self.target),
            undo: "attach it again".into(),
            proof: "nothing is mounted there, and the path is another directory".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        whole_mount::complaints(NAME, &self.target, declared)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let WholeMount { facts, root, init, writers, detach, attach } =
            WholeMount::find(NAME, cx).await?;
        let before = Before { root, options: facts.options, init, writers };
        Ok(Prepared { before, ops: vec![detach], undo: vec![attach] })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let look = Look::at(cx).await?;
        let proven = look.mounts == 0 && look.root != Some(before.root);
        let effect = Effect { proven, evidence: look.evidence(before), notes: Vec::new() };
        Ok(note_writers(effect, before.writers, "on the volume"))
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if cx.init().await? != before.init {
            return Ok(Effect::proven("the container was started anew, and its mounts with it"));
        }
        let look = Look::at(cx).await?;
        let same = look.mounts == 1 && look.root == Some(before.root);
        let proven = same && look.options == before.options;
        let evidence = format!("{}; options {}", look.evidence(before), look.options.join(","));
        Ok(Effect { proven, evidence, notes: Vec::new() })
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
        protocol::{MountFlag, Op},
        runtime::State,
    };

    fn fault(yaml: &str) -> LostMount {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        let mut mount = testing::mount("/data", "ext4");
        mount.options = vec!["rw".into(), "nosuid".into(), "noexec".into(), "relatime".into()];
        fake.world().mounts.insert("/data".into(), vec![mount]);
        fake.world().files.insert("/data".into(), testing::file(2, 2));
        let mut site = testing::site("/data", "docker: {}");
        site.place.host_path = Some("/var/lib/docker/volumes/v/_data".into());
        (fake, site)
    }

    #[tokio::test]
    async fn detached_and_attached_with_its_flags() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let fault = fault(PLAIN);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let root = FileId { dev: testing::DEV, inode: 2 };
        let (place, init) = (site.place.clone(), Init { pid: 100, start_time: 5000 });
        assert_eq!(ops, [Op::DetachMount { place: place.clone(), mount: 15, root }]);
        let flags = vec![MountFlag::NoExec, MountFlag::NoSuid];
        assert_eq!(undo, [Op::AttachMount { place, init, root, flags }]);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        let mounts = fake.world().mounts.insert("/data".into(), Vec::new()).unwrap();
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "the same directory");
        fake.world().files.insert("/data".into(), testing::file(3, 2));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().mounts.insert("/data".into(), mounts);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven, "another directory");
        fake.world().files.insert("/data".into(), testing::file(2, 2));
        fake.world().mounts.get_mut("/data").unwrap()[0].options.pop();
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven, "other options");
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn nothing_is_taken_that_might_not_come_back() {
        let (fake, mut site) = world();
        let refused = async |fake: &Fake, site: &Site| {
            matches!(fault(PLAIN).prepare(&fake.cx(site)).await, Err(FaultError::Refused(_)))
        };
        assert!(!refused(&fake, &site).await);
        let path = site.place.host_path.take();
        assert!(refused(&fake, &site).await);
        site.place.host_path = path;
        fake.world().mounts.get_mut("/data").unwrap().push(testing::mount("/data", "ext4"));
        assert!(refused(&fake, &site).await, "two mounts");
        fake.world().mounts.insert("/data".into(), vec![testing::mount("/data", "tmpfs")]);
        assert!(refused(&fake, &site).await);
        fake.world().mounts.clear();
        assert!(refused(&fake, &site).await);
    }

    #[test]
    fn static_complaints() {
        let (tmpfs, docker) =
            (testing::volume_spec("tmpfs: {}"), testing::volume_spec("docker: {}"));
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&docker), true)).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&docker), false)).len(), 1);
        assert_eq!(fault(PLAIN).check(&on(Some(&tmpfs), true)).len(), 1);
        assert_eq!(fault("{ target: agent }").check(&on(None, false)).len(), 1);
    }
}
