//! The cut of a volume whose changes are remembered file by file: its ops, and what shows it.

use serde::{Deserialize, Serialize};

use super::super::{
    Cx, Effect, FaultError, Prepared,
    lifecycle::{self, Before as Container},
    observe::sibling,
};
use crate::{
    protocol::{
        CutProfile, Dev, Durability, EngineOp, FileCutOp, Op, Outcome, PendingFacts, Place,
    },
    runtime::{ContainerFacts, State},
    volumes::object_name,
};

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// The directory of the canaries.
    marker: String,
}

/// The cut comes after one of so many changes.
const CHANGES: u64 = 8;

/// Says what is to be done.
pub(super) async fn prepare(
    profile: CutProfile,
    cx: &Cx<'_>,
) -> Result<Prepared<Before>, FaultError> {
    let facts = cx.running().await?;
    let volume = cx.site.volume.as_ref().ok_or_else(|| {
        FaultError::Refused(format!("no volume is mounted at `{}`", cx.site.place.path))
    })?;
    let dev = cx.filesystem(&cx.site.place).await?.dev;
    let interposer = object_name(cx.run, &volume.name);
    let marker = format!("{}-canaries", cx.marker());
    let ops = acts(&facts, cx, (&interposer, profile), (dev, &marker));
    let place = cx.site.place.clone();
    let lift = Op::CutFiles(FileCutOp::Lift { interposer });
    let sweep = Op::RemoveFiller { place, dev, marker: marker.clone() };
    let undo = [lift].into_iter().chain(lifecycle::start_again(cx)).chain([sweep]).collect();
    Ok(Prepared { before: Before { container: Container::of(&facts), marker }, ops, undo })
}

/// Canaries, the fence, the end, what is left, and the start.
fn acts(
    facts: &ContainerFacts,
    cx: &Cx<'_>,
    (interposer, profile): (&str, CutProfile),
    (dev, marker): (Dev, &str),
) -> Vec<Op> {
    let (place, interposer) = (cx.site.place.clone(), interposer.to_owned());
    let (container, seed) = (facts.id.clone(), cx.seed);
    let fence = FileCutOp::Fence { interposer: interposer.clone(), after: 1 + seed % CHANGES };
    vec![
        Op::CutFiles(FileCutOp::PlantCanaries { place, dev, marker: marker.to_owned() }),
        Op::CutFiles(fence),
        // by our wish, so that no policy starts it meanwhile, and also one that has ended of the fence;
        // comes back when it has ended
        Op::Engine(EngineOp::Stop { container: container.clone(), grace_ms: 0 }),
        Op::CutFiles(FileCutOp::Settle { interposer, profile, seed }),
        Op::Engine(EngineOp::Start { container }),
    ]
}

/// What became of the two files: their sizes, where they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Canaries {
    synced: Option<u64>,
    unsynced: Option<u64>,
}

impl Canaries {
    /// Whether this is what the profile leaves. Where syncs of others bring names along, that of the
    /// file that was not synced may be there, but never a byte of it.
    fn fit(self, profile: CutProfile, durability: Durability) -> bool {
        let has_bytes = |size: Option<u64>| size.is_some_and(|bytes| bytes > 0);
        let unsynced = match profile {
            CutProfile::Drop if durability.syncs_names_of_others() => !has_bytes(self.unsynced),
            CutProfile::Drop => self.unsynced.is_none(),
            CutProfile::KeepAll => has_bytes(self.unsynced),
            _ => true,
        };
        has_bytes(self.synced) && unsynced
    }
}

impl Before {
    /// Looks at the canaries, from the container as it runs now.
    pub(super) async fn verify(
        &self,
        profile: CutProfile,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let mut pending = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Pending(facts) => Some(*facts),
            _ => None,
        });
        let Some(cut) = pending.next_back() else { return Ok(Effect::unproven("nothing was cut")) };
        let facts = self.container.again(cx).await?;
        let started = self.container.evidence(&facts);
        if !self.container.started_anew(&facts) || facts.state != State::Running {
            return Ok(Effect::unproven(format!("it does not run again: {started}")));
        }
        let place = Place { pid: facts.pid, ..cx.site.place.clone() };
        let there = async |name: &str| {
            let path = format!("{}/{}/{name}", place.path.trim_end_matches('/'), self.marker);
            let facts = cx.file(&sibling(&place, &path)).await?;
            Ok::<_, FaultError>(facts.map(|facts| facts.size))
        };
        let canaries =
            Canaries { synced: there("synced").await?, unsynced: there("unsynced").await? };
        let durability = cx.site.volume.as_ref().map(|volume| volume.spec.durability());
        Ok(told(cut, canaries, (profile, durability.unwrap_or_default()), &started))
    }
}

fn told(
    cut: PendingFacts,
    canaries: Canaries,
    (profile, durability): (CutProfile, Durability),
    started: &str,
) -> Effect {
    let PendingFacts { pending, undone, overflowed, .. } = cut;
    let is = |size: Option<u64>| match size {
        None => "gone",
        Some(0) => "empty",
        Some(_) => "there",
    };
    let evidence = format!(
        "{undone} of {pending} operations that were not durable, as `{}` has it, are undone; of our own \
         files the synced one is {}, the other {}; {started}",
        durability.name(),
        is(canaries.synced),
        is(canaries.unsynced)
    );
    if overflowed {
        return Effect::unproven(format!(
            "more was not durable than can be remembered, and nothing was undone; {evidence}"
        ));
    }
    let some = if profile == CutProfile::KeepAll { pending > 0 } else { undone > 0 };
    Effect { proven: some && canaries.fit(profile, durability), evidence, notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    const CUT: PendingFacts =
        PendingFacts { fenced: true, pending: 5, own: 2, undone: 3, overflowed: false };

    #[test]
    fn a_cut_that_lost_nothing_or_the_wrong_thing_proves_nothing() {
        let strict = Durability::PosixStrict;
        let proven = |cut, synced: bool, unsynced: bool, profile| {
            let [synced, unsynced] = [synced, unsynced].map(|there| there.then_some(6));
            told(cut, Canaries { synced, unsynced }, (profile, strict), "started").proven
        };
        assert!(proven(CUT, true, false, CutProfile::Drop));
        assert!(!proven(CUT, true, true, CutProfile::Drop));
        assert!(!proven(CUT, false, false, CutProfile::Drop));
        assert!(proven(CUT, true, true, CutProfile::Prefix));
        assert!(!proven(PendingFacts { undone: 0, ..CUT }, true, false, CutProfile::Drop));
        assert!(!proven(PendingFacts { overflowed: true, ..CUT }, true, false, CutProfile::Drop));
        let kept = PendingFacts { undone: 0, ..CUT };
        assert!(proven(kept, true, true, CutProfile::KeepAll));
        assert!(!proven(PendingFacts { pending: 0, ..kept }, true, true, CutProfile::KeepAll));
    }

    #[test]
    fn a_name_that_others_have_synced_is_there_without_a_byte() {
        let proven = |unsynced, durability| {
            let canaries = Canaries { synced: Some(6), unsynced };
            let effect = told(CUT, canaries, (CutProfile::Drop, durability), "started");
            assert!(effect.evidence.contains(durability.name()), "{effect:?}");
            effect.proven
        };
        for durability in [Durability::Ext4, Durability::Xfs] {
            assert_eq!(
                [None, Some(0), Some(6)].map(|it| proven(it, durability)),
                [true, true, false]
            );
        }
        for durability in [Durability::PosixStrict, Durability::Btrfs] {
            assert_eq!(
                [None, Some(0), Some(6)].map(|it| proven(it, durability)),
                [true, false, false]
            );
        }
        let canaries = Canaries { synced: Some(0), unsynced: None };
        let emptied = told(CUT, canaries, (CutProfile::Drop, Durability::Ext4), "started");
        assert!(!emptied.proven, "what was synced has lost its bytes");
    }

    #[tokio::test]
    async fn it_fences_before_it_kills_and_settles_before_it_starts() {
        let fake = Fake::default();
        let site = testing::site("/data", "docker: { interpose: file }");
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = prepare(CutProfile::Drop, &cx).await.unwrap();
        assert!(matches!(
            &ops[..],
            [
                Op::CutFiles(FileCutOp::PlantCanaries { .. }),
                Op::CutFiles(FileCutOp::Fence { after: 8, .. }),
                Op::Engine(EngineOp::Stop { grace_ms: 0, .. }),
                Op::CutFiles(FileCutOp::Settle { seed: 7, .. }),
                Op::Engine(EngineOp::Start { .. }),
            ]
        ));
        assert!(matches!(&undo[0], Op::CutFiles(FileCutOp::Lift { .. })));
        let outcomes = [Outcome::Pending(CUT)];
        let effect = before.verify(CutProfile::Drop, &outcomes, &cx).await.unwrap();
        assert!(!effect.proven, "it was not started anew: {effect:?}");
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        let effect = before.verify(CutProfile::Drop, &outcomes, &cx).await.unwrap();
        assert!(!effect.proven, "the synced one is gone: {effect:?}");
        let synced = format!("/data/{}/synced", before.marker);
        fake.world().files.insert(synced, testing::file(3, 2));
        let effect = before.verify(CutProfile::Drop, &outcomes, &cx).await.unwrap();
        assert!(effect.proven, "{effect:?}");
    }
}
