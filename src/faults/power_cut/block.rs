//! The cut of a disk of ours under a real filesystem: its ops, and what shows that it happened.

use serde::{Deserialize, Serialize};

use super::super::{
    Cx, Effect, FaultError, Prepared, Site, lifecycle::Before as Container, observe::sibling,
    unexpected,
};
use crate::{
    protocol::{
        CUT_CANARY, CutFacts, CutProfile, EngineOp, MountedDisk, Op, Outcome, Place, PowerOp, Read,
        Reading, UNSYNCED_CANARY, canaries,
    },
    runtime::{ContainerFacts, State},
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

/// The disk at one place.
fn disk(site: &Site, run: &str) -> Result<MountedDisk, FaultError> {
    let volume = site.volume.as_ref().ok_or_else(|| {
        FaultError::Refused(format!("no volume is mounted at `{}`", site.place.path))
    })?;
    Ok(MountedDisk { place: site.place.clone(), disk: object_name(run, &volume.name) })
}

/// All places, the target's first.
fn sites<'a>(cx: &Cx<'a>) -> impl Iterator<Item = &'a Site> {
    [cx.site].into_iter().chain(&cx.site.along)
}

/// Says what is to be done.
pub(super) async fn prepare(
    wanted: CutProfile,
    cx: &Cx<'_>,
) -> Result<Prepared<Before>, FaultError> {
    let unknown = || FaultError::Refused(format!("no disk is left by `{}`", wanted.name()));
    let profile = wanted.of_disk().ok_or_else(unknown)?;
    let facts = cx.running().await?;
    let disks = sites(cx).map(|site| disk(site, cx.run)).collect::<Result<Vec<_>, _>>()?;
    let mark = cx.marker();
    let cut = PowerOp::Cut { disks: disks.clone(), profile, seed: cx.seed, mark: mark.clone() };
    // one that has ended of it by then is stopped all the same
    let kill = EngineOp::Stop { container: facts.id.clone(), grace_ms: 0 };
    let restore = disks
        .iter()
        .cloned()
        .map(|MountedDisk { place, disk }| Op::Power(PowerOp::Restore { place, disk }));
    let start = EngineOp::Start { container: facts.id.clone() };
    // before it ends by itself, and to the engine by our wish: it is not started meanwhile
    let ops = [Op::Power(cut), Op::Engine(kill)].into_iter().chain(restore);
    let ops = ops.chain([Op::Engine(start)]).collect();
    // a container that is not up by then is not started: a disk whose server has ended has nothing
    // that could be mounted
    let undo = disks.into_iter().map(|disk| Op::Power(PowerOp::Undo { disk: disk.disk }));
    let undo = undo.collect();
    Ok(Prepared { before: Before { container: Container::of(&facts), mark }, ops, undo })
}

/// Looks at the canaries, from the container as it runs now.
pub(super) async fn verify(
    before: &Before,
    profile: CutProfile,
    outcomes: &[Outcome],
    cx: &Cx<'_>,
) -> Result<Effect, FaultError> {
    let facts = before.container.again(cx).await?;
    let cuts = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Cut(cuts) => Some(cuts),
        _ => None,
    });
    let all = 1 + cx.site.along.len();
    let Some(cuts) = cuts.filter(|cuts| cuts.len() == all) else {
        return Ok(Effect::unproven("nothing was cut"));
    };
    let evidence = before.container.evidence(&facts);
    if !before.container.started_anew(&facts) {
        return Ok(Effect::unproven(format!("it was not started anew: {evidence}")));
    }
    let mut parts = Vec::new();
    for (site, cut) in sites(cx).zip(cuts) {
        parts.push((site, part(site, (*cut, profile), (before, &facts), cx).await?));
    }
    let mut effect = told(parts);
    if facts.state != State::Running {
        effect.evidence = format!("{}; {evidence}", effect.evidence);
        return Ok(effect.note("it has ended again, so the canaries cannot be looked at"));
    }
    // no reason to doubt the cut: our own canary was lost, so the disk does lose what is not durable. A
    // service that syncs all it says has often nothing there to be lost, and it is the correct one
    Ok(match cuts.iter().all(|cut| cut.volatile == 0) {
        true => effect.note("the service itself had nothing in the disk's cache"),
        false => effect,
    })
}

/// What is seen at one place, and whether that is what the cut has left there.
async fn part(
    site: &Site,
    (cut, profile): (CutFacts, CutProfile),
    (before, facts): (&Before, &ContainerFacts),
    cx: &Cx<'_>,
) -> Result<(bool, String), FaultError> {
    let lost = format!("{} of {} writes in the disk's cache were lost", cut.dropped, cut.volatile);
    let lost = match (profile.takes_back(), cut.taken_back) {
        (false, _) => lost,
        (true, 0) => {
            let why = "of what the last flushes had made durable nothing could be taken back so that it shows";
            return Ok((false, format!("{lost}, and {why}")));
        }
        (true, _) => format!("{lost}, and the disk took back what a flush had made durable"),
    };
    if facts.state != State::Running {
        // a service that does not survive what is left is what this is for: no reason to doubt it
        return Ok((cut.canary.is_some(), lost));
    }
    let place = Place { container: facts.id.clone(), pid: facts.pid, ..site.place.clone() };
    let seen = Canaries::look(&place, &before.mark, cx).await?;
    Ok((seen.fit(cut, profile), format!("{lost}; {seen}")))
}

/// What was seen at all places; of several, each by its name.
fn told(parts: Vec<(&Site, (bool, String))>) -> Effect {
    let proven = parts.iter().all(|(_, (proven, _))| *proven);
    let several = parts.len() > 1;
    let parts = parts.into_iter().map(|(site, (_, seen))| match several {
        true => format!("at `{}`: {seen}", site.place.path),
        false => seen,
    });
    let evidence = parts.collect::<Vec<_>>().join("; ");
    Effect { proven, evidence, notes: Vec::new() }
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

    /// Whether that is what the cut has left. A disk that has lied has lost what was synced; one that is
    /// beyond its specification may have damaged what leads to it, and of one that takes back what was
    /// durable it may be older than it was.
    fn fit(&self, cut: CutFacts, profile: CutProfile) -> bool {
        let gone = (cut.lied || profile.is_beyond()) && self.synced.is_none();
        let older = profile.takes_back() && self.synced == Some(false);
        cut.canary.is_some() && (self.synced == cut.canary || gone || older) && !self.unsynced
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

    const ALL_LOST: CutFacts =
        CutFacts { volatile: 4, dropped: 4, taken_back: 0, canary: Some(false), lied: false };

    #[tokio::test]
    async fn what_is_to_take_back_something_durable_is_proven_by_that() {
        let fake = Fake::default();
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let cx = fake.cx(&site);
        let yaml = "{ target: 'agent:/data', profile: unserializable }";
        let fault: PowerCut = serde_saphyr::from_str(yaml).unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        let (synced, _) = canaries(&cx.marker());
        fake.world().files.insert(format!("/data/{synced}"), file(CUT_CANARY));
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        for (taken_back, proven) in [(0, false), (1, true)] {
            let cut = CutFacts { dropped: 0, taken_back, canary: Some(true), ..ALL_LOST };
            let outcomes = [Outcome::Cut(vec![cut])];
            let effect = fault.verify(&prepared.before, &outcomes, &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
        }
    }

    #[tokio::test]
    async fn proven_by_what_was_synced_and_what_was_not() {
        let fake = Fake::default();
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let cx = fake.cx(&site);
        let fault: PowerCut = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        let Op::Power(PowerOp::Cut { disks, profile: Profile::Drop, seed: 7, .. }) =
            &prepared.ops[0]
        else {
            panic!("{:?}", prepared.ops)
        };
        let disk = "keelhaul-r1-data".to_owned();
        assert_eq!(disks, &[MountedDisk { place: site.place.clone(), disk: disk.clone() }]);
        assert_eq!(prepared.undo, [Op::Power(PowerOp::Undo { disk })]);
        let cut = |dropped, canary, lied| {
            [Outcome::Cut(vec![CutFacts { dropped, canary: Some(canary), lied, ..ALL_LOST }])]
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

    #[tokio::test]
    async fn several_are_cut_by_one_op_and_proven_only_together() {
        let fake = Fake::default();
        let spec = "ext4: { size: 64MiB, interpose: block }";
        let mut site = testing::site("/data", spec);
        let mut wal = testing::site("/wal", spec);
        wal.volume.as_mut().unwrap().name = "wal".into();
        site.along.push(wal);
        let cx = fake.cx(&site);
        let fault: PowerCut =
            serde_saphyr::from_str("{ target: 'agent:/data', with: ['agent:/wal'] }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        let Op::Power(PowerOp::Cut { disks, .. }) = &prepared.ops[0] else { panic!() };
        assert_eq!(disks[1].disk, "keelhaul-r1-wal");
        assert_eq!((prepared.ops.len(), prepared.undo.len()), (5, 2), "each is given power again");
        let cut = ALL_LOST;
        let outcomes = [Outcome::Cut(vec![cut; 2])];
        let (synced, _) = canaries(&cx.marker());
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        fake.world().files.insert(format!("/data/{synced}"), file("keelhaul canary: synced"));
        let effect = fault.verify(&prepared.before, &outcomes, &cx).await.unwrap();
        assert!(!effect.proven, "of the second it is gone: {effect:?}");
        fake.world().files.insert(format!("/wal/{synced}"), file("keelhaul canary: synced"));
        let effect = fault.verify(&prepared.before, &outcomes, &cx).await.unwrap();
        assert!(effect.proven, "{effect:?}");
        assert!(effect.evidence.contains("at `/data`: 4 of 4"), "{effect:?}");
        assert!(effect.evidence.contains("at `/wal`: 4 of 4"), "{effect:?}");
        let outcomes = [Outcome::Cut(vec![cut])];
        assert!(!fault.verify(&prepared.before, &outcomes, &cx).await.unwrap().proven);
    }
}
