//! `broken-hardlinks`: two names of one file become two files, or can no longer be linked.
//!
//! Mechanism: the name is replaced by a copy, as a careless backup or update does; or overlayfs is
//! made to copy the file up, as the first write to an image's file does; or a directory becomes a
//! mount of its own, so that link(2) across its boundary fails with EXDEV. Blast radius: one name,
//! or one directory in one container. Undone by linking the name to its sibling again, if it is
//! still what we left; or by detaching the mount.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
    observe::{parent, sibling, tried},
};
use crate::protocol::{Capability, FileFacts, LinkState, Op, Outcome, Read};

/// Breaks the tie between two names of one file.
///
/// After `copy-and-replace` and `copy-up` both names have the same bytes, but a write through one no
/// longer shows through the other. With `cross-mount` new links into a directory fail with `EXDEV`.
/// Use it on services that rely on link identity: queues, snapshots, content stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenHardlinks {
    /// The name to break: `service:/dir/name`. With `cross-mount`, the directory that gets a mount
    /// of its own.
    pub(super) target: Target,
    /// How.
    mode: Mode,
    /// Another name of the same file, by which the tie is mended: an absolute path in the same
    /// container. With `cross-mount`, the directory from which links are made; the parent without.
    of: Option<String>,
}

/// How a tie is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Replace the name by a copy of its file.
    CopyAndReplace,
    /// Have overlayfs copy the file up from the image's layer.
    CopyUp,
    /// Make the directory a mount of its own.
    CrossMount,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// What the name pointed to; none with `cross-mount`.
    link: Option<LinkState>,
}

const NAME: &str = "broken-hardlinks";

impl BrokenHardlinks {
    /// The other name; `check` has seen to it that there is one where it is needed.
    fn of<'a>(&'a self, cx: &'a Cx<'_>) -> &'a str {
        self.of.as_deref().unwrap_or_else(|| parent(&cx.site.place.path))
    }

    async fn file(&self, cx: &Cx<'_>, path: &str) -> Result<FileFacts, FaultError> {
        let facts = cx.file(&sibling(&cx.site.place, path)).await?;
        facts.filter(|facts| facts.kind == "file").ok_or_else(|| {
            FaultError::Refused(format!("`{path}` is no file in `{}`", cx.site.service))
        })
    }

    async fn copy(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let place = cx.site.place.clone();
        let (name, other) = (self.file(cx, &place.path).await?, self.file(cx, self.of(cx)).await?);
        if !same_file(&name.link, &other.link) {
            return Err(FaultError::Refused(format!(
                "`{}` and `{}` are not the same file, so there is no tie to break\n\nhint: name two \
                 hard links of one file",
                place.path,
                self.of(cx)
            )));
        }
        let of = self.of(cx).to_owned();
        let undo = Op::Relink { place: place.clone(), of, ours: None };
        let op = if self.mode == Mode::CopyUp {
            self.admit_copy_up(cx).await?;
            Op::CopyUp { place }
        } else {
            Op::ReplaceByCopy { place }
        };
        Ok(Prepared { before: Before { link: Some(name.link) }, ops: vec![op], undo: vec![undo] })
    }

    async fn admit_copy_up(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mount = cx.mount_of(&cx.site.place).await?;
        if mount.fs_type == "overlay" {
            return Ok(());
        }
        Err(FaultError::Refused(format!(
            "`{}` is on {}, and only overlayfs copies up\n\nhint: use `mode: copy-and-replace`",
            cx.site.place.path, mount.fs_type
        )))
    }

    async fn cross(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let place = cx.site.place.clone();
        if let Some(errno) = self.try_link(cx).await? {
            return Err(FaultError::Refused(format!(
                "a link from `{}` into `{}` fails already: {errno}",
                self.of(cx),
                place.path
            )));
        }
        let keep = cx.mount_of(&place).await?.id;
        let undo = Op::Unstack { place: place.clone(), init: cx.init().await?, keep };
        let ops = vec![Op::StackClone { place, set: Vec::new(), clear: Vec::new() }];
        Ok(Prepared { before: Before { link: None }, ops, undo: vec![undo] })
    }

    async fn try_link(&self, cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
        let place = sibling(&cx.site.place, self.of(cx));
        cx.trial(Read::TryLink { place, into: cx.site.place.path.clone() }).await
    }

    async fn look(&self, before: &Before, cx: &Cx<'_>) -> Result<(bool, String), FaultError> {
        let Some(link) = before.link else {
            let errno = self.try_link(cx).await?;
            let evidence = format!("linking into it: {}", tried(errno.as_ref()));
            return Ok((errno.as_deref() == Some("EXDEV"), evidence));
        };
        let now = cx.file(&cx.site.place).await?.map(|facts| facts.link);
        let other = cx.file(&sibling(&cx.site.place, self.of(cx))).await?.map(|facts| facts.link);
        let (Some(now), Some(other)) = (now, other) else {
            return Ok((false, "one of the two names is gone".into()));
        };
        let evidence = format!(
            "inode {} with {} names, its sibling {} with {}; before {} with {}",
            now.inode, now.links, other.inode, other.links, link.inode, link.links
        );
        Ok((!same_file(&now, &other), evidence))
    }
}

fn same_file(one: &LinkState, other: &LinkState) -> bool {
    (one.dev, one.inode) == (other.dev, other.inode)
}

impl Fault for BrokenHardlinks {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "broken-hardlinks: { target: agent:/data/queue/head, mode: \
        copy-and-replace, of: /data/queue/item }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        if self.mode == Mode::CrossMount { Kind::State } else { Kind::Damage }
    }

    fn scope(&self) -> Scope {
        if self.mode == Mode::CopyAndReplace { Scope::Volume } else { Scope::Container }
    }

    fn needs(&self) -> &'static [Capability] {
        match self.mode {
            Mode::CopyAndReplace => &[],
            Mode::CopyUp => &[Capability::Overlay],
            Mode::CrossMount => Self::NEEDS,
        }
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (target, of) = (&self.target, self.of.as_deref().unwrap_or("its sibling"));
        let (act, undo, proof) = match self.mode {
            Mode::CopyAndReplace => (
                format!("replace `{target}` by a copy of its file"),
                format!("link it to `{of}` again"),
                "the two names have different inodes",
            ),
            Mode::CopyUp => (
                format!("have overlayfs copy `{target}` up"),
                format!("link it to `{of}` again"),
                "the two names have different inodes",
            ),
            Mode::CrossMount => (
                format!("make `{target}` a mount of its own"),
                "detach it".to_owned(),
                "linking a file into it fails with EXDEV",
            ),
        };
        Described { act, undo, proof: proof.into() }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        if self.of.as_ref().is_some_and(|of| !of.starts_with('/')) {
            wrong.push("`of` is not an absolute path\n\nhint: write it from `/`".into());
        }
        let copies = self.mode != Mode::CrossMount;
        if copies && self.of.is_none() {
            wrong.push(
                "without another name of the file the tie cannot be mended\n\nhint: add `of: \
                 /dir/other-name`"
                    .into(),
            );
        }
        if copies && self.of.is_some() && self.of == self.target.path {
            wrong.push("`of` and the target are one name\n\nhint: name another link".into());
        }
        if self.mode == Mode::CopyUp && declared.volume.is_some() {
            wrong.push(format!(
                "`{}` is on a volume, and only files of the image are copied up\n\nhint: use `mode: \
                 copy-and-replace`",
                self.target
            ));
        }
        if !copies && declared.is_mount_point {
            wrong.push(format!(
                "`{}` is a mount of its own already\n\nhint: name a directory below it",
                self.target
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        if self.mode == Mode::CrossMount { self.cross(cx).await } else { self.copy(cx).await }
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let (broken, evidence) = self.look(before, cx).await?;
        Ok(Effect { proven: broken, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if self.mode == Mode::CrossMount {
            if let Some(ended) = cx.ended().await? {
                return Ok(Effect::proven(ended));
            }
            let errno = self.try_link(cx).await?;
            let evidence = format!("linking into it: {}", tried(errno.as_ref()));
            return Ok(Effect { proven: errno.is_none(), evidence, notes: Vec::new() });
        }
        let (broken, evidence) = self.look(before, cx).await?;
        if !broken && !evidence.ends_with("gone") {
            return Ok(Effect::proven(evidence));
        }
        // a copy of ours has one name: what has several was tied anew by the subject since
        let now = cx.file(&cx.site.place).await?.map(|facts| facts.link);
        Ok(match now {
            Some(now) if now.links > 1 => Effect::proven(format!(
                "the subject tied it anew: inode {} with {} names",
                now.inode, now.links
            )),
            _ => Effect::unproven(evidence),
        })
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
        protocol::Init,
    };

    fn fault(mode: &str) -> BrokenHardlinks {
        let yaml = format!("{{ target: agent:/data/a, mode: {mode}, of: /data/b }}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        for name in ["/data/a", "/data/b"] {
            fake.world().files.insert(name.into(), testing::file(12, 2));
        }
        (fake, testing::site("/data/a", "ext4: { size: 64MiB }"))
    }

    #[tokio::test]
    async fn a_copy_is_proven_by_inodes_that_differ_and_mended_by_linking() {
        let (fake, site) = world();
        let (cx, fault) = (fake.cx(&site), fault("copy-and-replace"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let place = site.place.clone();
        assert_eq!(prepared.ops, [Op::ReplaceByCopy { place: place.clone() }]);
        assert_eq!(prepared.undo, [Op::Relink { place, of: "/data/b".into(), ours: None }]);
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.insert("/data/a".into(), testing::file(13, 1));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.remove("/data/a");
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn names_that_are_not_tied_are_refused() {
        let (fake, site) = world();
        fake.world().files.insert("/data/b".into(), testing::file(14, 1));
        let prepared = fault("copy-and-replace").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
        fake.world().files.remove("/data/b");
        let prepared = fault("copy-and-replace").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn only_overlayfs_copies_up() {
        let (fake, site) = world();
        let prepared = fault("copy-up").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
        fake.world().mounts.remove("/data");
        let prepared = fault("copy-up").prepare(&fake.cx(&site)).await.unwrap();
        assert_eq!(prepared.ops, [Op::CopyUp { place: site.place.clone() }]);
    }

    #[tokio::test]
    async fn a_mount_of_its_own_is_proven_by_exdev() {
        let (fake, site) = (Fake::default(), testing::site("/data/dir", "docker: {}"));
        let (cx, fault) = (fake.cx(&site), fault("cross-mount"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let (place, init) = (site.place.clone(), Init { pid: 100, start_time: 5000 });
        assert_eq!(
            prepared.ops,
            [Op::StackClone { place: place.clone(), set: Vec::new(), clear: Vec::new() }]
        );
        let keep = testing::mount("/data", "ext4").id;
        assert_eq!(prepared.undo, [Op::Unstack { place, init, keep }]);
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().link = Some("EXDEV");
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let volume = testing::volume_spec("docker: {}");
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault("copy-and-replace").check(&on(Some(&volume), false)).is_empty());
        assert_eq!(fault("copy-up").check(&on(Some(&volume), false)).len(), 1);
        assert!(fault("copy-up").check(&on(None, false)).is_empty());
        assert_eq!(fault("cross-mount").check(&on(Some(&volume), true)).len(), 1);
        let lone: BrokenHardlinks =
            serde_saphyr::from_str("{ target: agent:/data/a, mode: copy-and-replace }").unwrap();
        assert_eq!(lone.check(&on(Some(&volume), false)).len(), 1);
        assert_eq!(fault("cross-mount").kind(), Kind::State);
        assert_eq!(fault("copy-up").kind(), Kind::Damage);
    }
}
