//! Filesystems of containers that are not the run's: what acts on a whole one is done only where it is theirs
//! alone, as the host sees it.
//!
//! By what the engine says of a mount the plan refuses what is certain to be shared; before the fault
//! every mount namespace and every open file of the host is looked at, and right before the act again.

use super::{Changes, Cx, Effect, FaultError};
use crate::{
    protocol::{FsFacts, Op, OtherUser, Outcome, Read, Reading, Sole, SoleOp},
    runtime::{ContainerMount, OWN_FILESYSTEMS},
};

/// What to do instead of filling what others use.
const STRIKE_ALONE: &str = "`io-error` with `errno: ENOSPC, ops: [create, write], insert: true` lets \
                            writes fail for this container alone";

/// What to do instead of freezing it.
const STALL_ALONE: &str =
    "`io-stall` with `insert: true` holds up the operations of this container alone";

impl Changes {
    /// What to do instead where it would reach others; none where it reaches nobody else.
    pub(super) fn instead(self) -> Option<&'static str> {
        match self {
            Self::Room => Some(STRIKE_ALONE),
            Self::Answers => Some(STALL_ALONE),
            Self::Surroundings | Self::Processes | Self::Files | Self::Mounts => None,
        }
    }

    /// It is done to a whole filesystem, whoever uses that, and so only where nobody else is seen to.
    #[must_use]
    pub fn takes_whole(self) -> bool {
        self.instead().is_some()
    }
}

/// Why the filesystem of a mount cannot be its container's alone, by what the engine says; none where it
/// may be. Pure.
pub(super) fn shared_anyway(mount: &ContainerMount) -> Option<String> {
    let why = match (mount.kind.as_str(), &mount.own) {
        ("tmpfs", _) => return None,
        ("volume", Some(own)) => {
            let other = own.shared_with.first()?;
            format!("container `{other}` has volume `{}` too", mount.volume)
        }
        ("volume", None) => {
            format!("volume `{}` is a directory on the engine's own", mount.volume)
        }
        _ => format!("`{}` is a directory on one of the host's", mount.source),
    };
    Some(why)
}

/// Whom nobody may look at, in words.
#[must_use]
pub fn unseen(pid: u32) -> String {
    format!(
        "process {pid} of the host could not be looked at: whether it uses a filesystem that is \
         filled or frozen, nobody can say"
    )
}

/// With what the look right before the act has left open.
pub(super) fn looked_at(effect: Effect, outcomes: &[Outcome]) -> Effect {
    let closed = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Unseen { pid } => Some(*pid),
        _ => None,
    });
    match closed {
        Some(pid) => effect.note(unseen(pid)),
        None => effect,
    }
}

/// The same words, whoever has found it out.
pub(super) fn not_alone(why: &str) -> String {
    format!("its filesystem is not its alone: {why}")
}

impl Cx<'_> {
    /// Refuses to act on a whole filesystem that others use too, if the container is not the run's: says
    /// who they are. Otherwise, who may use it; none for what is the run's.
    pub(super) async fn alone(
        &self,
        name: &str,
        changes: Changes,
        fs: &FsFacts,
    ) -> Result<Option<Sole>, FaultError> {
        if !self.attached {
            return Ok(None);
        }
        let sole = self.sole().await?;
        let Some(why) = self.used_by_others(fs, &sole).await? else { return Ok(Some(sole)) };
        let hint = changes.instead().unwrap_or_default();
        let refusal = super::attached::refusal(name, &not_alone(&why), hint);
        Err(FaultError::Refused(refusal))
    }

    async fn used_by_others(
        &self,
        fs: &FsFacts,
        sole: &Sole,
    ) -> Result<Option<String>, FaultError> {
        let path = &self.site.place.path;
        if fs.is_host {
            return Ok(Some(format!("`{path}` is on the engine's own, or on the host's")));
        }
        if !OWN_FILESYSTEMS.contains(&fs.fs_type.as_str()) {
            let fs_type = &fs.fs_type;
            return Ok(Some(format!("nobody can say who else uses the {fs_type} at `{path}`")));
        }
        let read = Read::Others { place: self.site.place.clone(), sole: sole.clone() };
        let others = match self.helper.read(read).await? {
            Reading::Others(others) => others,
            other => return Err(super::unexpected(&other)),
        };
        let mut named = Vec::new();
        for other in others {
            named.push(self.named(other).await.to_string());
        }
        Ok((!named.is_empty()).then(|| named.join("; ")))
    }

    /// With the name of its container instead of the id.
    async fn named(&self, mut other: OtherUser) -> OtherUser {
        if let Some(id) = &other.container {
            let short = id.get(..12).unwrap_or(id).to_owned();
            let facts = self.runtime.inspect(id).await;
            other.container = Some(facts.map_or(short, |facts| facts.name));
        }
        other
    }

    /// Every container that the run acts on and has not made, and the directory of the volume.
    async fn sole(&self) -> Result<Sole, FaultError> {
        let facts = self.facts().await?;
        let point = self.site.volume.as_ref().map(|volume| volume.mount_point.as_str());
        let volumes = facts.mounts.into_iter().filter(|mount| mount.kind == "volume");
        let here = volumes.into_iter().find(|mount| Some(mount.destination.as_str()) == point);
        let mut containers: Vec<String> =
            self.all_attached.values().map(|facts| facts.id.clone()).collect();
        if !containers.contains(&self.site.place.container) {
            containers.push(self.site.place.container.clone());
        }
        Ok(Sole { containers, engine_mount: here.map(|mount| mount.source) })
    }

    /// The look right before the act that it guards.
    pub(super) fn guard(&self, fs: &FsFacts, sole: Option<Sole>) -> Option<Op> {
        let (place, dev) = (self.site.place.clone(), fs.dev);
        sole.map(|sole| Op::Sole(SoleOp::Check { place, dev, sole }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Has,
        runtime::OwnFilesystem,
    };

    #[test]
    fn what_is_shared_anyway_is_known_from_the_mount() {
        let mount = |kind: &str, own: Option<&[&str]>| ContainerMount {
            destination: "/x".into(),
            kind: kind.into(),
            source: "/srv/x".into(),
            volume: "pg".into(),
            writable: true,
            own: own.map(|others| OwnFilesystem {
                fs_type: "ext4".into(),
                shared_with: others.iter().map(ToString::to_string).collect(),
            }),
        };
        assert_eq!(shared_anyway(&mount("tmpfs", None)), None);
        assert_eq!(shared_anyway(&mount("volume", Some(&[]))), None);
        for (mount, said) in [
            (mount("volume", None), "`pg` is a directory on the engine's own"),
            (mount("volume", Some(&["web"])), "container `web` has volume `pg` too"),
            (mount("bind", None), "`/srv/x` is a directory on one of the host's"),
        ] {
            let why = shared_anyway(&mount).unwrap();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn who_could_not_be_looked_at_is_said() {
        let told = |outcomes: &[Outcome]| looked_at(Effect::proven("full"), outcomes).notes;
        assert_eq!(told(&[Outcome::Done, Outcome::Already]), [""; 0]);
        let notes = told(&[Outcome::Unseen { pid: 1 }, Outcome::Done]);
        assert!(notes[0].starts_with("process 1 of the host could not be looked at"), "{notes:?}");
    }

    async fn alone(fake: &Fake, attached: bool, fs: &FsFacts) -> Result<Option<Sole>, String> {
        let site = testing::site("/data", "docker: {}");
        let cx = Cx { attached, ..fake.cx(&site) };
        cx.alone("disk-full", Changes::Room, fs).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn theirs_must_be_nobody_elses_and_whose_it_is_too_is_said() {
        let fake = Fake::default();
        let ext4 = testing::fs("ext4");
        assert_eq!(alone(&fake, false, &ext4).await, Ok(None), "the run's own");
        let sole = alone(&fake, true, &ext4).await.unwrap().unwrap();
        assert_eq!(sole.containers, ["c1"]);
        let host = FsFacts { is_host: true, ..testing::fs("ext4") };
        let why = alone(&fake, true, &host).await.unwrap_err();
        assert!(why.contains("the engine's own") && why.contains("errno: ENOSPC"), "{why}");
        let why = alone(&fake, true, &testing::fs("nfs4")).await.unwrap_err();
        assert!(why.contains("nobody can say who else uses the nfs4"), "{why}");
        fake.world().beneath.others = vec![OtherUser {
            pid: 7,
            command: "tail".into(),
            container: None,
            has: Has::Open("/mnt/x".into()),
        }];
        let why = alone(&fake, true, &ext4).await.unwrap_err();
        assert!(why.contains("`tail` (pid 7) on the host has `/mnt/x` open"), "{why}");
        assert_eq!(alone(&fake, false, &ext4).await, Ok(None), "the run's own");
    }
}
