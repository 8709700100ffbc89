//! `mount-flags`: a mount's flags change at run time.
//!
//! Mechanism: a clone of the mount, with flags set and cleared on it, is moved on top of it. Blast
//! radius: the mount namespace of one container. Undone by detaching the clone; the mount below was
//! never changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
    observe::{FLAGS, flags},
};
use crate::protocol::{Capability, Init, MountFlag, Op, Outcome};

/// Sets or clears flags of a mount, as a remount by hand does.
///
/// Use it to see whether somebody notices that `noexec` or `nosuid` is no longer in force. What was
/// opened before keeps the old flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountFlags {
    /// The mount: `service:/path`, where something is mounted at exactly this path.
    pub(super) target: Target,
    /// Flags to put in force.
    #[serde(default)]
    set: Vec<Flag>,
    /// Flags to take out of force.
    #[serde(default)]
    clear: Vec<Flag>,
}

/// A flag of a mount, as mount(8) calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Flag {
    /// Refuse writes.
    Ro,
    /// Refuse to execute.
    NoExec,
    /// Ignore set-user-id bits.
    NoSuid,
    /// Ignore device nodes.
    NoDev,
    /// Do not update access times.
    NoAtime,
    /// Do not update those of directories.
    NoDirAtime,
}

impl Flag {
    fn op(self) -> MountFlag {
        match self {
            Self::Ro => MountFlag::ReadOnly,
            Self::NoExec => MountFlag::NoExec,
            Self::NoSuid => MountFlag::NoSuid,
            Self::NoDev => MountFlag::NoDev,
            Self::NoAtime => MountFlag::NoAtime,
            Self::NoDirAtime => MountFlag::NoDirAtime,
        }
    }
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The mount that was on top.
    mount: u64,
    /// Its flags.
    flags: Vec<MountFlag>,
    /// The init whose namespace is changed.
    init: Init,
}

const NAME: &str = "mount-flags";

fn words(flags: &[MountFlag]) -> String {
    let named = FLAGS.iter().filter(|(_, flag)| flags.contains(flag));
    let names: Vec<&str> = named.map(|(name, _)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

impl MountFlags {
    fn set(&self) -> Vec<MountFlag> {
        self.set.iter().map(|flag| flag.op()).collect()
    }

    fn clear(&self) -> Vec<MountFlag> {
        self.clear.iter().map(|flag| flag.op()).collect()
    }

    /// The flags that must be found after the injection.
    fn wanted(&self, before: &[MountFlag]) -> Vec<MountFlag> {
        let (set, clear) = (self.set(), self.clear());
        let stays = |flag: &MountFlag| {
            (before.contains(flag) || set.contains(flag)) && !clear.contains(flag)
        };
        FLAGS.iter().map(|(_, flag)| *flag).filter(stays).collect()
    }
}

impl Fault for MountFlags {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str =
        "mount-flags: { target: agent:/data, set: [noexec, nosuid], clear: [noatime] }";
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (set, clear) = (words(&self.set()), words(&self.clear()));
        Described {
            act: format!(
                "stack a clone on the mount at `{}`, with {set} set and {clear} cleared",
                self.target
            ),
            undo: "detach the clone".into(),
            proof: "the mount table shows exactly these flags changed".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        if self.set.is_empty() && self.clear.is_empty() {
            wrong.push("no flag is changed\n\nhint: write `set: [ro]` or `clear: [noexec]`".into());
        }
        if let Some(flag) = self.set.iter().find(|flag| self.clear.contains(flag)) {
            let name = words(&[flag.op()]);
            wrong.push(format!("`{name}` cannot be set and cleared\n\nhint: write it once"));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let stack = cx.mount_stack(&place).await?;
        let top = stack.last().ok_or_else(|| {
            FaultError::Refused(format!(
                "nothing is mounted at `{}` in `{}`\n\nhint: `{NAME}` acts on a mount",
                place.path, cx.site.service
            ))
        })?;
        let flags = flags(top);
        if self.wanted(&flags) == flags {
            return Err(FaultError::Refused(format!(
                "`{}` has these flags already ({}), so the fault would change nothing",
                place.path,
                words(&flags)
            )));
        }
        let before = Before { mount: top.id, flags, init: cx.init().await? };
        let ops =
            vec![Op::StackClone { place: place.clone(), set: self.set(), clear: self.clear() }];
        let undo = vec![Op::Unstack { place, init: before.init, keep: before.mount }];
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let mount = cx.mount_of(&cx.site.place).await?;
        let now = flags(&mount);
        let evidence = format!("flags {}, before {}", words(&now), words(&before.flags));
        let proven = now == self.wanted(&before.flags) && mount.id != before.mount;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if cx.init().await? != before.init {
            return Ok(Effect::proven("the container was started anew, and its mounts with it"));
        }
        let mount = cx.mount_of(&cx.site.place).await?;
        let now = flags(&mount);
        let evidence = format!("flags {}, before {}", words(&now), words(&before.flags));
        let proven = now == before.flags && mount.id == before.mount;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> MountFlags {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data, set: [nosuid], clear: [noexec] }";

    #[tokio::test]
    async fn proven_when_exactly_these_flags_differ() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let mut mount = testing::mount("/data", "ext4");
        mount.options = vec!["rw".into(), "nodev".into(), "noexec".into()];
        fake.world().mounts.insert("/data".into(), vec![mount.clone()]);
        let (cx, fault) = (fake.cx(&site), fault(PLAIN));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let (set, clear) = (vec![MountFlag::NoSuid], vec![MountFlag::NoExec]);
        assert_eq!(ops, [Op::StackClone { place: site.place.clone(), set, clear }]);
        assert!(matches!(undo[..], [Op::Unstack { keep: 15, .. }]));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        mount.id = 77;
        for (options, proven) in
            [("nosuid,noexec,nodev", false), ("nosuid", false), ("nodev,nosuid", true)]
        {
            mount.options = options.split(',').map(str::to_owned).collect();
            fake.world().mounts.insert("/data".into(), vec![mount.clone()]);
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        let again = fault.prepare(&cx).await;
        assert!(matches!(again, Err(FaultError::Refused(_))), "nothing would change");
        fake.world().mounts.clear();
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let declared = |is_mount_point| Declared { volume: None, is_mount_point, host_wide: false };
        assert!(fault(PLAIN).check(&declared(true)).is_empty());
        assert_eq!(fault(PLAIN).check(&declared(false)).len(), 1);
        assert_eq!(fault("{ target: agent:/data }").check(&declared(true)).len(), 1);
        let both = fault("{ target: agent:/data, set: [ro], clear: [ro] }");
        assert_eq!(both.check(&declared(true)).len(), 1);
    }
}
