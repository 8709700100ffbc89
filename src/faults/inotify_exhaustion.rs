//! `inotify-exhaustion`: the subject's user can watch no more files.
//!
//! Mechanism: a process of ours with the subject's user id takes what that user has left, and again
//! what is freed. Blast radius: everyone with that user id, since the kernel counts per user; so it
//! must be the subject's own (`user: unique`), or the scenario allows the host. Undone by ending the
//! process, which also ends with its worker: nothing outlives the helper.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
    observe::{sibling, tried},
};
use crate::protocol::{Capability, InotifyStock, Op, Outcome, Read, UserFacts};

/// Uses up a user's inotify instances or watches.
///
/// What is watched already stays watched; who starts watching gets `EMFILE` or `ENOSPC`. Use it with
/// a restart to see whether the service falls back to polling. The kernel counts per user: give the
/// service `user: unique`, or say `allow: [host-wide]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InotifyExhaustion {
    /// The container: `service`.
    pub(super) target: Target,
    /// What runs out.
    #[serde(default)]
    of: InotifyStock,
}

const NAME: &str = "inotify-exhaustion";

impl InotifyExhaustion {
    /// What a new watcher is told.
    fn errno(&self) -> &'static str {
        match self.of {
            InotifyStock::Instances => "EMFILE",
            InotifyStock::Watches => "ENOSPC",
        }
    }

    fn mark(&self, cx: &Cx<'_>, user: &UserFacts) -> String {
        // as every mark of a run: `keelhaul-<run>` is in it
        format!("{}-inotify-{}-{}", cx.marker(), self.of.name(), user.uid)
    }

    async fn try_as(&self, user: &Before, cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
        // the root of the image: every user may read it, and no volume's state matters
        let place = sibling(&cx.site.place, "/");
        cx.trial(Read::TryInotify { place, uid: user.uid, gid: user.gid }).await
    }
}

/// Refuses what would reach others.
fn admit(cx: &Cx<'_>, user: &UserFacts) -> Result<(), FaultError> {
    let service = &cx.site.service;
    if user.own_namespace {
        return Err(FaultError::Refused(format!(
            "`{service}` has a user namespace of its own, whose limits cannot be reached from \
             here\n\nhint: run it with `userns_mode: host`"
        )));
    }
    let Some(other) = user.shared_with.as_ref().filter(|_| !cx.host_wide) else { return Ok(()) };
    let hint = if cx.attached {
        // nobody can say how it is made, and the host is not its scenario's to allow
        "run the container as a user that nobody else on the host is"
    } else {
        "give the service `user: unique`, or say `allow: [host-wide]`"
    };
    Err(FaultError::Refused(format!(
        "user {} of `{service}` is also that of `{other}`, which could watch nothing \
         either\n\nhint: {hint}",
        user.uid
    )))
}

/// The subject's user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    uid: u32,
    gid: u32,
}

impl Fault for InotifyExhaustion {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "inotify-exhaustion: { target: agent }";
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("take every inotify {} of `{}`'s user", one(self.of), self.target),
            undo: "end the process that holds them".into(),
            proof: format!("watching as that user fails with {}", self.errno()),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path(NAME, &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let user = cx.user().await?;
        admit(cx, &user)?;
        let before = Before { uid: user.uid, gid: user.gid };
        if let Some(errno) = self.try_as(&before, cx).await? {
            let uid = user.uid;
            return Err(FaultError::Refused(format!(
                "user {uid} can watch nothing already: {errno}"
            )));
        }
        let mark = self.mark(cx, &user);
        let undo = vec![Op::EndHolder { mark: mark.clone() }];
        let hold = Op::HoldInotify { mark, uid: user.uid, gid: user.gid, stock: self.of };
        Ok(Prepared { before, ops: vec![hold], undo })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let errno = self.try_as(before, cx).await?;
        let held = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Held { instances, watches } => {
                Some(format!("; {instances} instances and {watches} watches held"))
            }
            _ => None,
        });
        let evidence = format!(
            "watching as user {}: {}{}",
            before.uid,
            tried(errno.as_ref()),
            held.unwrap_or_default()
        );
        let proven = errno.as_deref() == Some(self.errno());
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(format!("{ended}; no process of ours is left")));
        }
        let errno = self.try_as(before, cx).await?;
        let evidence = format!("watching as user {}: {}", before.uid, tried(errno.as_ref()));
        Ok(Effect { proven: errno.is_none(), evidence, notes: Vec::new() })
    }
}

fn one(stock: InotifyStock) -> &'static str {
    match stock {
        InotifyStock::Instances => "instance",
        InotifyStock::Watches => "watch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> InotifyExhaustion {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn a_process_of_the_subjects_user_holds_and_is_ended_by_its_mark() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let fault = fault("{ target: agent, of: watches }");
        let prepared = fault.prepare(&fake.cx(&site)).await.unwrap();
        let mark = ".keelhaul-r1-inotify-watches-4711".to_owned();
        assert_eq!(prepared.undo, [Op::EndHolder { mark: mark.clone() }]);
        let stock = InotifyStock::Watches;
        assert_eq!(prepared.ops, [Op::HoldInotify { mark, uid: 4711, gid: 4711, stock }]);
    }

    #[tokio::test]
    async fn proven_by_the_errno_of_the_stock_and_no_other() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let before = fault.prepare(&cx).await.unwrap().before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().inotify = Some("ENOSPC");
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().inotify = Some("EMFILE");
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "already");
    }

    #[tokio::test]
    async fn a_shared_user_needs_the_opt_in_and_another_namespace_is_refused() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let fault = fault("{ target: agent }");
        fake.world().user.shared_with = Some("sshd (pid 612)".into());
        let Err(FaultError::Refused(why)) = fault.prepare(&fake.cx(&site)).await else { panic!() };
        assert!(why.contains("sshd (pid 612)") && why.contains("user: unique"), "{why}");
        let theirs = Cx { attached: true, ..fake.cx(&site) };
        let Err(FaultError::Refused(why)) = fault.prepare(&theirs).await else { panic!() };
        assert!(!why.contains("unique") && !why.contains("host-wide"), "{why}");
        let allowed = Cx { host_wide: true, ..fake.cx(&site) };
        assert!(fault.prepare(&allowed).await.is_ok());
        fake.world().user.own_namespace = true;
        assert!(matches!(fault.prepare(&allowed).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn it_acts_on_a_container_as_a_whole() {
        let declared = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert_eq!(fault("{ target: agent:/data }").check(&declared).len(), 1);
        assert!(fault("{ target: agent }").check(&declared).is_empty());
    }
}
