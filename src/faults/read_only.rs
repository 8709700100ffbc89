//! `read-only`: a mount refuses writes.
//!
//! Mechanism: a clone of the mount, with the read-only attribute set, is moved on top of it; unlike
//! a remount this never fails because a file is open for writing. Blast radius: the mount
//! namespace of one container; with `break_open_files` the volume's whole superblock. Undone by
//! detaching the clone; a broken filesystem heals only when every user has unmounted it, so its
//! container is restarted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks, observe::tried,
};
use crate::{
    protocol::{Capability, EngineOp, Init, MountFacts, MountFlag, Op, Outcome, Read},
    volumes::{Filesystem, VolumeSpec},
};

/// Makes a mount refuse writes, as a host does after a disk error.
///
/// What is opened from now on gets `EROFS`. Descriptors that are open for writing keep writing, and
/// the report says how many; `break_open_files` breaks them too. Use it on a log or state
/// directory to see whether the service degrades, stays up and resumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadOnly {
    /// The mount: `service:/path`, where something is mounted at exactly this path.
    pub(super) target: Target,
    /// Also break descriptors that are open for writing. Only on `ext4` and `xfs` volumes; the
    /// revert restarts the container, because only an unmount heals the filesystem.
    #[serde(default)]
    break_open_files: bool,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The mount that was on top.
    mount: u64,
    /// The init whose namespace is changed.
    init: Init,
    /// Descriptors open for writing.
    writers: u64,
}

/// Milliseconds between SIGTERM and SIGKILL when a container is restarted to heal its filesystem:
/// long enough to end in order, short enough for a rollback.
const HEAL_GRACE_MS: u64 = 2000;

const NAME: &str = "read-only";

impl ReadOnly {
    fn ops(&self, cx: &Cx<'_>, top: &MountFacts) -> Vec<Op> {
        let place = cx.site.place.clone();
        let mut ops = vec![Op::StackClone {
            place: place.clone(),
            set: vec![MountFlag::ReadOnly],
            clear: Vec::new(),
        }];
        if self.break_open_files {
            ops.push(Op::BreakFilesystem { place, dev: top.dev });
        }
        ops
    }

    fn undo(&self, cx: &Cx<'_>, before: &Before) -> Vec<Op> {
        let place = cx.site.place.clone();
        let container = place.container.clone();
        let mut undo = vec![Op::Unstack { place, init: before.init, keep: before.mount }];
        if self.break_open_files {
            let restart = EngineOp::Restart { container, grace_ms: HEAL_GRACE_MS };
            undo.push(Op::Engine(restart));
        }
        undo
    }
}

fn read_only(mount: &MountFacts) -> bool {
    mount.options.iter().any(|option| option == "ro")
}

/// A broken filesystem says so among the options of its superblock (ext4 since Linux 6.14, where
/// before it said `ro`); a stopped XFS says nothing there and answers a lookup with EIO.
fn broken(mount: &MountFacts, errno: Option<&String>) -> bool {
    let says = |option: &String| matches!(option.as_str(), "ro" | "emergency_ro" | "shutdown");
    mount.super_options.iter().any(says) || errno.is_some_and(|errno| errno == "EIO")
}

impl Fault for ReadOnly {
    type Before = Before;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "read-only: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn scope(&self) -> Scope {
        if self.break_open_files { Scope::Superblock } else { Scope::Container }
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (act, undo) = if self.break_open_files {
            (", and break its filesystem for open writers", ", then restart the container")
        } else {
            ("", "")
        };
        Described {
            act: format!("stack a read-only clone on the mount at `{}`{act}", self.target),
            undo: format!("detach the clone{undo}"),
            proof: "creating a file there fails with EROFS, and the mount's flags say `ro`".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        let own = declared.volume.and_then(VolumeSpec::filesystem);
        if self.break_open_files && !matches!(own, Some(Filesystem::Ext4 | Filesystem::Xfs)) {
            let found = declared.volume.map_or("no volume", VolumeSpec::name);
            wrong.push(format!(
                "`break_open_files` needs a volume whose own filesystem can be broken, and \
                 `{}` is on `{found}`\n\nhint: use an `ext4` or `xfs` volume, or leave it out",
                self.target
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = &cx.site.place;
        let stack = cx.mount_stack(place).await?;
        let top = stack.last().ok_or_else(|| {
            FaultError::Refused(format!(
                "nothing is mounted at `{}` in `{}`\n\nhint: `read-only` acts on a mount",
                place.path, cx.site.service
            ))
        })?;
        if read_only(top) {
            return Err(FaultError::Refused(format!(
                "`{}` is mounted read-only already, so the fault would change nothing",
                place.path
            )));
        }
        if self.break_open_files && cx.filesystem(place).await?.is_host {
            return Err(FaultError::Refused(format!(
                "the filesystem at `{}` is the host's own, and breaking it would take the host",
                place.path
            )));
        }
        let (init, writers) = (cx.init().await?, cx.writers(place).await?);
        let before = Before { mount: top.id, init, writers };
        Ok(Prepared { ops: self.ops(cx, top), undo: self.undo(cx, &before), before })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let place = &cx.site.place;
        let errno = cx.trial(Read::TryCreate(place.clone())).await?;
        let mount = cx.mount_of(place).await?;
        let flag = if read_only(&mount) { "ro" } else { "rw" };
        let mut evidence =
            format!("creating a file: {}; the mount is {flag}", tried(errno.as_ref()));
        let refused = match errno.as_deref() {
            Some("EROFS") => true,
            // a stopped filesystem fails before the mount's flag is looked at
            Some("EIO") => self.break_open_files,
            _ => false,
        };
        let mut proven = refused && read_only(&mount);
        if self.break_open_files {
            let broken = broken(&mount, errno.as_ref());
            evidence += if broken { "; the filesystem is broken" } else { "; it is not broken" };
            proven &= broken;
        }
        let effect = Effect { proven, evidence, notes: Vec::new() };
        Ok(match before.writers {
            0 => effect,
            1 if self.break_open_files => effect.note("1 descriptor open for writing was broken"),
            n if self.break_open_files => {
                effect.note(format!("{n} descriptors open for writing were broken"))
            }
            1 => effect.note("1 descriptor open for writing escaped"),
            n => effect.note(format!("{n} descriptors open for writing escaped")),
        })
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            // the namespace took the clone along; a broken filesystem may live on elsewhere
            let proven = !self.break_open_files;
            return Ok(Effect { proven, evidence: ended, notes: Vec::new() });
        }
        let place = &cx.site.place;
        let errno = cx.trial(Read::TryCreate(place.clone())).await?;
        let mount = cx.mount_of(place).await?;
        let flag = if read_only(&mount) { "ro" } else { "rw" };
        let evidence = format!("creating a file: {}; the mount is {flag}", tried(errno.as_ref()));
        let effect = Effect::proven(evidence);
        if errno.is_none() && !read_only(&mount) {
            return Ok(effect);
        }
        let effect = Effect { proven: false, ..effect };
        Ok(if self.break_open_files {
            effect.note("a broken filesystem heals only when every container has unmounted it")
        } else {
            effect
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        runtime::State,
    };

    fn fault(yaml: &str) -> ReadOnly {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";
    const BREAK: &str = "{ target: agent:/data, break_open_files: true }";

    /// The mount as it looks with the clone on top.
    fn flip(fake: &Fake, errno: &'static str) {
        let mut world = fake.world();
        world.create = Some(errno);
        let stack = world.mounts.get_mut("/data").unwrap();
        let mut clone = testing::mount("/data", "ext4");
        clone.id = 99;
        clone.options[0] = "ro".into();
        stack.push(clone);
    }

    #[tokio::test]
    async fn stacks_a_clone_and_detaches_it_down_to_what_was_on_top() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let prepared = fault(PLAIN).prepare(&fake.cx(&site)).await.unwrap();
        let set = vec![MountFlag::ReadOnly];
        assert_eq!(
            prepared.ops,
            [Op::StackClone { place: site.place.clone(), set, clear: Vec::new() }]
        );
        let init = Init { pid: 100, start_time: 5000 };
        let keep = testing::mount("/data", "ext4").id;
        assert_eq!(prepared.undo, [Op::Unstack { place: site.place.clone(), init, keep }]);
    }

    #[tokio::test]
    async fn proven_by_erofs_and_flag_and_counts_the_writers_that_escape() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        fake.world().writers = 2;
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        flip(&fake, "EROFS");
        let effect = fault(PLAIN).verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven);
        assert_eq!(effect.notes, ["2 descriptors open for writing escaped"]);
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().create = Some("EACCES");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn one_kind_of_evidence_is_not_enough() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        fake.world().create = Some("EROFS");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn breaking_restarts_on_revert_and_needs_the_filesystem_to_say_so() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let prepared = fault(BREAK).prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[1], Op::BreakFilesystem { dev: testing::DEV, .. }));
        assert!(matches!(prepared.undo[1], Op::Engine(EngineOp::Restart { .. })));
        flip(&fake, "EROFS");
        assert!(!fault(BREAK).verify(&prepared.before, &[], &cx).await.unwrap().proven);
        let broken = vec!["rw".to_owned(), "emergency_ro".to_owned()];
        fake.world().mounts.get_mut("/data").unwrap()[1].super_options = broken;
        assert!(fault(BREAK).verify(&prepared.before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_where_it_would_change_nothing_or_take_the_host() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        fake.world().fs.is_host = true;
        assert!(matches!(fault(BREAK).prepare(&cx).await, Err(FaultError::Refused(_))));
        assert!(fault(PLAIN).prepare(&cx).await.is_ok());
        flip(&fake, "EROFS");
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().mounts.clear();
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn a_container_that_ended_took_the_clone_along() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(!fault(BREAK).verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let ext4 = testing::volume_spec("ext4: { size: 64MiB }");
        let btrfs = testing::volume_spec("btrfs: { size: 256MiB }");
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault(BREAK).check(&on(Some(&ext4), true)).is_empty());
        assert_eq!(fault(BREAK).check(&on(Some(&btrfs), true)).len(), 1);
        assert!(fault(PLAIN).check(&on(Some(&btrfs), true)).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&ext4), false)).len(), 1);
        assert_eq!(fault("{ target: agent }").check(&on(None, false)).len(), 1);
    }
}
