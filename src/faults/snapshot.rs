//! `snapshot`: somebody takes a filesystem snapshot of a volume, whatever is being written there.
//!
//! Mechanism: a read-only snapshot of the btrfs subvolume that is mounted at the target, in a
//! directory of it. Blast radius: the volume's filesystem, which belongs to the run. Undone by
//! discarding it, if it is a snapshot of that very subvolume.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    observe::{sibling, tried},
};
use crate::{
    protocol::{Capability, Dev, Op, Outcome, Place, Read},
    volumes::Filesystem,
};

/// Takes a snapshot of a btrfs volume, as a timer of the host's does.
///
/// The snapshot is read-only and of one moment; whether that was a good moment for the service is
/// the question. It lies in the volume under `name` until the revert: restore from it, and see
/// whether what was written just then can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Where a `btrfs` volume is mounted: `service:/path`.
    pub(super) target: Target,
    /// Its name there, not taken yet.
    #[serde(default = "usual")]
    name: String,
}

fn usual() -> String {
    ".snapshot".into()
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The volume's own.
    dev: Dev,
}

const NAME: &str = "snapshot";
/// Inode number of every subvolume's root (`BTRFS_FIRST_FREE_OBJECTID`).
const ROOT: u64 = 256;
/// Bytes of a name, and somewhat less than btrfs takes.
const LONGEST: usize = 200;

impl Snapshot {
    fn place(&self, cx: &Cx<'_>) -> Place {
        let place = &cx.site.place;
        sibling(place, &format!("{}/{}", place.path.trim_end_matches('/'), self.name))
    }
}

impl Fault for Snapshot {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Btrfs];
    const EXAMPLE: &'static str = "snapshot: { target: agent:/data, name: .snapshot }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("take a snapshot of `{}` as `{}` in it", self.target, self.name),
            undo: "discard the snapshot".into(),
            proof: "a subvolume of its own has the name, and refuses writes with EROFS".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        let other = declared.volume.filter(|v| v.filesystem() != Some(Filesystem::Btrfs));
        if let Some(volume) = other {
            wrong.push(format!(
                "`{NAME}` needs a filesystem with snapshots, which a `{}` volume has not\n\nhint: \
                 use `btrfs: {{ size: 256MiB }}`",
                volume.name()
            ));
        }
        let good = (1..=LONGEST).contains(&self.name.len()) && !self.name.contains(['/', '\0']);
        if !good || [".", ".."].contains(&self.name.as_str()) {
            wrong.push(format!(
                "`name: {}` is not a name in a directory\n\nhint: write `name: .snapshot`",
                self.name
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let refuse = |why: String| Err(FaultError::Refused(why));
        let fs = cx.filesystem(&place).await?;
        if fs.fs_type != "btrfs" || fs.is_host {
            return refuse(format!(
                "`{}` is on {} that does not belong to the run\n\nhint: use a `btrfs` volume",
                place.path, fs.fs_type
            ));
        }
        let root = cx.file(&place).await?.is_some_and(|root| root.link.inode == ROOT);
        if !root {
            return refuse(format!("`{}` is not the root of a subvolume", place.path));
        }
        if cx.file(&self.place(cx)).await?.is_some() {
            return refuse(format!("`{}` is there already in `{}`", self.name, self.target));
        }
        let name = || self.name.clone();
        let undo = Op::DiscardSnapshot { place: place.clone(), dev: fs.dev, name: name() };
        let op = Op::TakeSnapshot { place, dev: fs.dev, name: name() };
        Ok(Prepared { before: Before { dev: fs.dev }, ops: vec![op], undo: vec![undo] })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let place = self.place(cx);
        let Some(found) = cx.file(&place).await? else {
            return Ok(Effect::unproven(format!("nothing is called `{}`", self.name)));
        };
        let own = found.link.inode == ROOT && found.link.dev != before.dev;
        let errno = cx.trial(Read::TryCreate(place)).await?;
        let evidence = format!(
            "`{}` is {}; creating a file in it: {}",
            self.name,
            if own { "a subvolume of its own" } else { "no subvolume" },
            tried(errno.as_ref())
        );
        let proven = own && errno.as_deref() == Some("EROFS");
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await?.filter(|_| cx.site.place.host_path.is_none()) {
            return Ok(Effect::proven(ended));
        }
        let left = cx.file(&self.place(cx)).await?.is_some_and(|found| found.link.inode == ROOT);
        let evidence = format!("`{}` is {}", self.name, if left { "still there" } else { "gone" });
        Ok(Effect { proven: !left, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> Snapshot {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";

    fn world() -> Fake {
        let fake = Fake::default();
        fake.world().fs = testing::fs("btrfs");
        fake.world().files.insert("/data".into(), testing::file(ROOT, 1));
        fake
    }

    #[tokio::test]
    async fn proven_by_a_subvolume_of_its_own_that_refuses_writes() {
        let (fake, site) = (world(), testing::site("/data", "btrfs: { size: 256MiB }"));
        let (cx, fault) = (fake.cx(&site), fault(PLAIN));
        let prepared = fault.prepare(&cx).await.unwrap();
        let named = |op: &Op| match op {
            Op::TakeSnapshot { name, dev, .. } | Op::DiscardSnapshot { name, dev, .. } => {
                name == ".snapshot" && *dev == testing::DEV
            }
            _ => false,
        };
        assert!(named(&prepared.ops[0]) && named(&prepared.undo[0]));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "there is nothing");
        fake.world().create = Some("EROFS");
        let mut found = testing::file(ROOT, 1);
        fake.world().files.insert("/data/.snapshot".into(), found.clone());
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "of the same device");
        found.link.dev = Dev { major: 0, minor: 77 };
        fake.world().files.insert("/data/.snapshot".into(), found);
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().create = None;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "it takes writes");
        let refused = fault.prepare(&cx).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("already")));
    }

    #[tokio::test]
    async fn refused_where_the_mount_is_another_one() {
        let (fake, site) = (world(), testing::site("/data", "btrfs: { size: 256MiB }"));
        fake.world().files.insert("/data".into(), testing::file(12, 1));
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("root")));
        fake.world().fs = testing::fs("tmpfs");
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("tmpfs")));
    }

    #[test]
    fn static_complaints() {
        let btrfs = testing::volume_spec("btrfs: { size: 256MiB }");
        let ext4 = testing::volume_spec("ext4: { size: 64MiB }");
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&btrfs), true)).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&ext4), true)).len(), 1);
        assert_eq!(fault(PLAIN).check(&on(Some(&btrfs), false)).len(), 1);
        for name in ["''", "..", "a/b"] {
            let fault = fault(&format!("{{ target: agent:/data, name: {name} }}"));
            assert_eq!(fault.check(&on(Some(&btrfs), true)).len(), 1, "{name}");
        }
    }
}
