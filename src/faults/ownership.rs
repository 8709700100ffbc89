//! `ownership`: a file or a directory belongs to someone else.
//!
//! Mechanism: fchown(2). Blast radius: every user of the volume. Undone by giving it back to its
//! owner, if nobody else has given it away since; set-id bits that the kernel cleared come back too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target,
    access::{Before, owner},
    checks,
};
use crate::{
    protocol::{Capability, FileOwner, Op, Outcome},
    volumes::Owner,
};

/// Gives a file or a directory to another user and group.
///
/// As after a restore by root, or where the image's user is not the host's. What is below a
/// directory keeps its owner. A service that holds `CAP_DAC_OVERRIDE`, as root in a container does by
/// default, does not notice: then the effect is not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// The file or directory: `service:/path`.
    pub(super) target: Target,
    /// Its new owner, as the host numbers users and groups.
    owner: Owner,
}

const NAME: &str = "ownership";
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const GROUP_EXECUTES: u32 = 0o0010;

/// What a change of owner leaves of the bits of a regular file (chown(2)).
fn cleared(mode: u32) -> u32 {
    let set_gid = if mode & GROUP_EXECUTES == 0 { 0 } else { SET_GID };
    mode & !SET_UID & !set_gid
}

impl Ownership {
    fn wanted(&self) -> FileOwner {
        FileOwner { uid: self.owner.uid, gid: self.owner.gid }
    }
}

impl Fault for Ownership {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "ownership: { target: agent:/data, owner: \"0:0\" }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Files);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("give `{}` to {}", self.target, self.owner),
            undo: "give it back".into(),
            proof: "stat shows the owner, and a trial with the service's own credentials, what it \
                    may do"
                .into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_path(NAME, &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let (before, facts) = Before::of(cx).await?;
        let (place, to) = (cx.site.place.clone(), self.wanted());
        let (file, from) = (before.file, before.owner);
        if from == to {
            return Err(FaultError::Refused(format!(
                "`{}` belongs to {to} already, so the fault would do nothing",
                place.path
            )));
        }
        let mut undo = vec![Op::SetOwner { place: place.clone(), file, from: to, to: from }];
        if facts.kind == "file" && cleared(facts.mode) != facts.mode {
            let (from, to) = (cleared(facts.mode), facts.mode);
            undo.push(Op::SetMode { place: place.clone(), file, from, to });
        }
        let ops = vec![Op::SetOwner { place, file, from, to }];
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = match before.same_file(cx).await? {
            Err(gone) => return Ok(Effect::unproven(gone)),
            Ok(facts) => facts,
        };
        let changed = format!("owner {}, was {}", owner(&facts), before.owner);
        if owner(&facts) != self.wanted() {
            return Ok(Effect::unproven(changed));
        }
        before.judge(&changed, cx).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        before
            .judge_reverted(cx, |facts| {
                let back = owner(facts) != self.wanted() && facts.mode == before.mode;
                (back, format!("owner {}, mode {:04o}", owner(facts), facts.mode))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::FileId,
    };

    fn fault() -> Ownership {
        serde_saphyr::from_str("{ target: agent:/data, owner: \"0:0\" }").unwrap()
    }

    fn world() -> Fake {
        let fake = Fake::default();
        let mut facts = testing::file(12, 2);
        (facts.uid, facts.gid, facts.kind) = (1001, 7, "directory".into());
        fake.world().files.insert("/data".into(), facts);
        fake
    }

    fn give(fake: &Fake, uid: u32, gid: u32) {
        let mut world = fake.world();
        let facts = world.files.get_mut("/data").unwrap();
        (facts.uid, facts.gid) = (uid, gid);
    }

    #[tokio::test]
    async fn the_owner_changes_and_comes_back() {
        let (fake, site) = (world(), testing::site("/data", "bind: {}"));
        let (cx, fault) = (fake.cx(&site), fault());
        let prepared = fault.prepare(&cx).await.unwrap();
        let (place, file) = (site.place.clone(), FileId { dev: testing::DEV, inode: 12 });
        let (old, new) = (FileOwner { uid: 1001, gid: 7 }, FileOwner { uid: 0, gid: 0 });
        let op = |from, to| Op::SetOwner { place: place.clone(), file, from, to };
        assert_eq!((prepared.ops, prepared.undo), (vec![op(old, new)], vec![op(new, old)]));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing happened");
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        give(&fake, 0, 0);
        fake.world().access = [Some("EACCES"), Some("EACCES")];
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.notes.is_empty(), "{effect:?}");
        assert!(effect.evidence.contains("uid 1001: reading worked, writing EACCES"), "{effect:?}");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn a_capability_that_overrides_it_makes_it_unproven() {
        let (fake, site) = (world(), testing::site("/data", "bind: {}"));
        let (cx, fault) = (fake.cx(&site), fault());
        let before = fault.prepare(&cx).await.unwrap().before;
        give(&fake, 0, 0);
        fake.world().access = [None, Some("EACCES")];
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(!effect.proven && effect.evidence.contains("capabilities override"), "{effect:?}");
        // root gets what it could take anyway
        fake.world().access = [None, Some("EACCES")];
        give(&fake, 1001, 7);
        let before = fault.prepare(&cx).await.unwrap().before;
        give(&fake, 0, 0);
        fake.world().access = [None, None];
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn where_nobody_is_refused_anything_the_owner_alone_has_changed() {
        let (fake, site) = (world(), testing::site("/data", "bind: {}"));
        let (cx, fault) = (fake.cx(&site), fault());
        let before = fault.prepare(&cx).await.unwrap().before;
        give(&fake, 0, 0);
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.notes.len() == 1, "{effect:?}");
    }

    #[tokio::test]
    async fn set_id_bits_that_the_kernel_clears_come_back() {
        assert_eq!([0o6755, 0o2745, 0o4644, 0o755].map(cleared), [0o755, 0o2745, 0o644, 0o755]);
        let (fake, site) = (Fake::default(), testing::site("/data/f", "bind: {}"));
        let facts = crate::protocol::FileFacts { mode: 0o4755, uid: 5, ..testing::file(12, 1) };
        fake.world().files.insert("/data/f".into(), facts);
        let undo = fault().prepare(&fake.cx(&site)).await.unwrap().undo;
        assert!(matches!(undo[1], Op::SetMode { from: 0o755, to: 0o4755, .. }), "{undo:?}");
    }

    #[tokio::test]
    async fn a_link_or_nothing_is_refused() {
        let (fake, site) = (world(), testing::site("/data", "bind: {}"));
        fake.world().files.get_mut("/data").unwrap().kind = "symlink".into();
        assert!(matches!(fault().prepare(&fake.cx(&site)).await, Err(FaultError::Refused(_))));
        fake.world().files.clear();
        assert!(matches!(fault().prepare(&fake.cx(&site)).await, Err(FaultError::Refused(_))));
    }
}
