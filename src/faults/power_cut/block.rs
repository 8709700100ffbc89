//! The cut of a disk of ours under a real filesystem: its ops, and what shows that it happened.

use serde::{Deserialize, Serialize};

use super::super::{
    Cx, Effect, FaultError, Prepared, lifecycle::Before as Container, observe::sibling, unexpected,
};
use crate::{
    protocol::{
        CUT_CANARY, CutFacts, CutProfile, EngineOp, Op, Outcome, Place, PowerOp, Read, Reading,
        UNSYNCED_CANARY, canaries,
    },
    runtime::State,
    volumes::object_name,
};

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// What the names of the canaries begin with.
    mark: String,
}

/// More than a canary has.
const CONTENT: u64 = 64;

/// Says what is to be done.
pub(super) async fn prepare(
    wanted: CutProfile,
    cx: &Cx<'_>,
) -> Result<Prepared<Before>, FaultError> {
    let unknown = || FaultError::Refused(format!("no disk is left by `{}`", wanted.name()));
    let profile = wanted.of_disk().ok_or_else(unknown)?;
    let facts = cx.running().await?;
    let volume = cx.site.volume.as_ref().ok_or_else(|| {
        FaultError::Refused(format!("no volume is mounted at `{}`", cx.site.place.path))
    })?;
    let disk = object_name(cx.run, &volume.name);
    let (place, mark) = (cx.site.place.clone(), cx.marker());
    let cut = PowerOp::Cut {
        place: place.clone(),
        disk: disk.clone(),
        profile,
        seed: cx.seed,
        mark: mark.clone(),
    };
    // one that has ended of it by then is stopped all the same
    let kill = EngineOp::Stop { container: facts.id.clone(), grace_ms: 0 };
    let restore = PowerOp::Restore { place, disk: disk.clone() };
    let start = EngineOp::Start { container: facts.id.clone() };
    let ops = vec![
        Op::Power(cut),
        // before it ends by itself, and to the engine by our wish: it is not started meanwhile
        Op::Engine(kill),
        Op::Power(restore),
        Op::Engine(start),
    ];
    // a container that is not up by then is not started: a disk whose server has ended has nothing
    // that could be mounted
    let undo = vec![Op::Power(PowerOp::Undo { disk })];
    Ok(Prepared { before: Before { container: Container::of(&facts), mark }, ops, undo })
}

/// Looks at the canaries, from the container as it runs now.
pub(super) async fn verify(
    before: &Before,
    outcomes: &[Outcome],
    cx: &Cx<'_>,
) -> Result<Effect, FaultError> {
    let facts = before.container.again(cx).await?;
    let cut = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Cut(cut) => Some(*cut),
        _ => None,
    });
    let Some(cut) = cut else { return Ok(Effect::unproven("nothing was cut")) };
    let evidence = before.container.evidence(&facts);
    if !before.container.started_anew(&facts) {
        return Ok(Effect::unproven(format!("it was not started anew: {evidence}")));
    }
    let lost = format!("{} of {} writes in the disk's cache were lost", cut.dropped, cut.volatile);
    if facts.state != State::Running {
        // a service that does not survive what is left is what this is for: no reason to doubt it
        let proven = cut.canary.is_some();
        let effect = Effect { proven, evidence: format!("{lost}; {evidence}"), notes: Vec::new() };
        return Ok(effect.note("it has ended again, so the canaries cannot be looked at"));
    }
    let place = Place { container: facts.id, pid: facts.pid, ..cx.site.place.clone() };
    let seen = Canaries::look(&place, &before.mark, cx).await?;
    let effect =
        Effect { proven: seen.fit(cut), evidence: format!("{lost}; {seen}"), notes: Vec::new() };
    Ok(match cut.volatile {
        0 => effect.note("the service itself had nothing in the disk's cache"),
        _ => effect,
    })
}

/// What became of the canaries.
struct Canaries {
    /// Which content the synced one has: that which came last, or an earlier one; none where it is
    /// not there.
    synced: Option<bool>,
    /// The other one is there with its content.
    unsynced: bool,
}

impl Canaries {
    async fn look(place: &Place, mark: &str, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let (synced, unsynced) = canaries(mark);
        let holds = async |name: &str| {
            let path = format!("{}/{name}", place.path.trim_end_matches('/'));
            let place = sibling(place, &path);
            match cx.helper.read(Read::File { place, digest: false, content: CONTENT }).await? {
                Reading::File(facts) => Ok(facts.and_then(|facts| facts.content)),
                other => Err(unexpected(&other)),
            }
        };
        let unsynced = holds(&unsynced).await?;
        Ok(Self {
            synced: holds(&synced).await?.map(|content| content.starts_with(CUT_CANARY)),
            unsynced: unsynced.is_some_and(|content| content.starts_with(UNSYNCED_CANARY)),
        })
    }

    /// Whether that is what the cut has left.
    fn fit(&self, cut: CutFacts) -> bool {
        let lied = cut.lied && self.synced.is_none();
        cut.canary.is_some() && (self.synced == cut.canary || lied) && !self.unsynced
    }
}

impl std::fmt::Display for Canaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let synced = match self.synced {
            None => "a synced file is gone",
            Some(true) => "a synced file is there, with what was written to it afterwards",
            Some(false) => "a synced file is there, without what was written to it afterwards",
        };
        let unsynced = if self.unsynced { "there" } else { "gone" };
        write!(f, "{synced}; one that was not synced is {unsynced}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::Profile,
        faults::{
            Fault as _,
            power_cut::PowerCut,
            testing::{self, Fake},
        },
        protocol::FileFacts,
    };

    fn file(content: &str) -> FileFacts {
        FileFacts { content: Some(content.into()), ..testing::file(1, 1) }
    }

    #[tokio::test]
    async fn proven_by_what_was_synced_and_what_was_not() {
        let fake = Fake::default();
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let cx = fake.cx(&site);
        let fault: PowerCut = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        let Op::Power(PowerOp::Cut { disk, profile: Profile::Drop, seed: 7, .. }) =
            &prepared.ops[0]
        else {
            panic!("{:?}", prepared.ops)
        };
        assert_eq!(disk, "keelhaul-r1-data");
        assert_eq!(prepared.undo, [Op::Power(PowerOp::Undo { disk: disk.clone() })]);
        let cut = |dropped, canary, lied| {
            [Outcome::Cut(CutFacts { volatile: 4, dropped, canary: Some(canary), lied })]
        };
        let dropped = cut(4, false, false);
        let proven = async |outcomes: &[Outcome]| {
            fault.verify(&prepared.before, outcomes, &cx).await.unwrap().proven
        };
        let (synced, unsynced) = canaries(&cx.marker());
        fake.world().files.insert(format!("/data/{synced}"), file("keelhaul canary: synced"));
        assert!(!proven(&dropped).await, "it was not started");
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        assert!(proven(&dropped).await && !proven(&[Outcome::Done]).await);
        fake.world().files.insert(format!("/data/{unsynced}"), file(UNSYNCED_CANARY));
        assert!(!proven(&dropped).await, "the page cache survived");
        fake.world().files.remove(&format!("/data/{unsynced}"));
        fake.world().files.insert(format!("/data/{synced}"), file(CUT_CANARY));
        assert!(!proven(&dropped).await, "the disk's cache survived");
        let kept = cut(0, true, false);
        assert!(proven(&kept).await);
        fake.world().files.remove(&format!("/data/{synced}"));
        assert!(!proven(&kept).await, "what was synced is gone");
        assert!(proven(&cut(4, false, true)).await, "a disk that lies loses that, too");
        fake.world().container.as_mut().unwrap().state = State::Exited;
        let effect = fault.verify(&prepared.before, &kept, &cx).await.unwrap();
        assert!(effect.proven && effect.notes.len() == 1, "{effect:?}");
    }
}
