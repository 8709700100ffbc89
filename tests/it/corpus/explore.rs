//! States of a recorded disk, one after the other as they are planned: each shown, mounted by the real
//! filesystem, read by the subject, and held against what it had promised.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use keelhaul::{
    block::{Kept, Plan, Profile, plan, unpack},
    crash_state::{Facts, Records, encode, hexadecimal},
    interpose::control::{Answer, Ask},
    ledger::Log,
    protocol::PastFacts,
};

use super::{
    promises::{Promises, broken},
    stage::{Filesystem, Stage, path_of},
    struck,
    subject::{Fault, Found, Subject},
    work::{MIDDLE, Work},
};
use crate::interpose::{own_disk::Disk, pasts::claim};

/// All that a right application survives.
pub(super) const IN_SPECIFICATION: [Profile; 9] = [
    Profile::Drop,
    Profile::KeepAll,
    Profile::Omit1,
    Profile::Keep1,
    Profile::Omit2,
    Profile::Keep2,
    Profile::Prefix,
    Profile::Subset,
    Profile::Torn,
];
/// Of one state of the first cut, so many of the second.
const SECOND: usize = 24;

/// What a state came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Sound,
    /// The filesystem does not go on with it.
    Unmountable(String),
    /// The subject does not go on with it.
    Refused(String),
    /// A promise is broken, and nobody noticed.
    Wrong(String),
}

/// A subject that has done its work, and the past of its disk.
pub(super) struct Recorded<'a> {
    pub(super) subject: &'a Subject,
    pub(super) right: bool,
    pub(super) fault: Fault,
    pub(super) stage: Stage,
    pub(super) past: PastFacts,
    pub(super) promises: Promises,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// States, those included that are like an earlier one.
    pub(super) states: usize,
    /// Those of them that were mounted.
    pub(super) mounted: usize,
    /// Those of them with which the subject, or the filesystem, did not go on.
    pub(super) refused: usize,
    /// The first that is wrong.
    pub(super) first: Option<Blamed>,
}

/// A state that is wrong, and how it came to be.
#[derive(Debug)]
pub(super) struct Blamed {
    pub(super) seen: Seen,
    pub(super) profile: Profile,
    pub(super) cut: u64,
    pub(super) kept: Vec<Kept>,
    /// How long it took to find, from the plan on.
    pub(super) after: Duration,
}

impl<'a> Recorded<'a> {
    /// Has a subject do its work, under its fault or without one, and opens the past.
    pub(super) fn new(
        subject: &'a Subject,
        right: bool,
        (filesystem, fault): (Filesystem, Fault),
    ) -> Self {
        let stage = Stage::fresh(filesystem);
        let mut work = Work::new(&stage, right, fault);
        let done = (subject.work)(&mut work);
        let promises = work.promises();
        let struck = matches!(fault, Fault::FailingDisk | Fault::LyingFlush);
        assert!(struck || done.is_ok(), "{}: {done:?}", subject.name);
        let past = stage.disk.past();
        // what comes now is no part of that, and must not fail
        stage.disk.ask(&Ask::DisarmAll);
        Self { subject, right, fault, stage, past, promises }
    }

    /// The states to be looked at, at most so many.
    pub(super) fn plan(&self, most: usize, seed: u64) -> Plan {
        plan(&self.past.points, &IN_SPECIFICATION, (most, seed), || false)
    }

    /// Looks at states until one is to `blame`, or at all that are planned.
    pub(super) fn look(&self, (most, seed): (usize, u64), blame: impl Fn(&Seen) -> bool) -> Looked {
        let (mut looked, started) = (Looked::default(), Instant::now());
        let mut known: HashMap<[u8; 32], usize> = HashMap::new();
        for way in self.plan(most, seed).ways {
            let (cut, kept) = (self.past.points[way.point].cut, way.kept);
            let (digest, told) = (self.show(cut, &kept), self.promises.by(cut));
            looked.states += 1;
            // with no more promised it says nothing new
            if known.get(&digest).is_some_and(|known| *known >= told) {
                continue;
            }
            known.insert(digest, told);
            looked.mounted += 1;
            let seen = self.judge(cut, &kept, seed);
            looked.refused += usize::from(matches!(seen, Seen::Refused(_)));
            if blame(&seen) {
                let (profile, after) = (way.profile, started.elapsed());
                looked.first = Some(Blamed { seen, profile, cut, kept, after });
                break;
            }
        }
        looked
    }

    /// Puts a state on the device; its digest.
    pub(super) fn show(&self, cut: u64, kept: &[Kept]) -> [u8; 32] {
        let claimed = claim(&self.past.stages[0].node);
        let shown = self.stage.disk.ask(&Ask::Show { stage: 0, cut, kept: kept.to_vec() });
        drop(claimed);
        match shown {
            Answer::Shown(digest) => digest,
            other => panic!("{other:?}"),
        }
    }

    /// What the state that is shown comes to.
    fn judge(&self, cut: u64, kept: &[Kept], seed: u64) -> Seen {
        match self.fault {
            Fault::Cut | Fault::FailingDisk | Fault::LyingFlush => {
                self.read(&self.past.stages[0].node, cut)
            }
            Fault::Rot => {
                // at the end of a log, damage and a torn tail are one
                let rotten = self.promises.by(cut) > MIDDLE + 1;
                let disk = self.disk_with(&self.file(cut, kept, rotten));
                self.read(&disk.node, cut)
            }
            Fault::SecondCut => self.cut_again(cut, kept, seed),
        }
    }

    /// Has the power go once more while the subject recovers; the first of the states after it that is not
    /// sound.
    fn cut_again(&self, cut: u64, kept: &[Kept], seed: u64) -> Seen {
        let stage = Stage::on(self.disk_with(&self.file(cut, kept, false)), self.filesystem());
        let told = self.promises.by(cut);
        let found = Found { at: stage.at(), right: self.right, told };
        if let Err(error) = (self.subject.recover)(&found) {
            return Seen::Refused(error.to_string());
        }
        // what is there when it has recovered counts too
        stage.disk.mark();
        let past = stage.disk.past();
        for way in plan(&past.points, &IN_SPECIFICATION, (SECOND, seed), || false).ways {
            let claimed = claim(&past.stages[0].node);
            let show = Ask::Show { stage: 0, cut: past.points[way.point].cut, kept: way.kept };
            let shown = stage.disk.ask(&show);
            drop(claimed);
            assert!(matches!(shown, Answer::Shown(_)), "{shown:?}");
            match self.read(&past.stages[0].node, cut) {
                Seen::Sound => {}
                seen => return seen,
            }
        }
        Seen::Sound
    }

    fn filesystem(&self) -> Filesystem {
        self.stage.filesystem
    }

    /// Mounts what is on a device, has the subject read it, and holds that against what was promised.
    fn read(&self, node: &Path, cut: u64) -> Seen {
        self.read_by(node, &self.promises.ledger(cut), self.promises.by(cut))
    }

    /// The same by a ledger of somebody's.
    pub(super) fn read_by(&self, node: &Path, ledger: &Log, told: usize) -> Seen {
        let mount = match self.filesystem().mount(node, "ro") {
            Ok(mount) => mount,
            Err(error) => return Seen::Unmountable(error.to_string()),
        };
        match self.records(&mount, told) {
            Err(error) => Seen::Refused(error.to_string()),
            Ok(read) => broken(ledger, &read).map_or(Seen::Sound, Seen::Wrong),
        }
    }

    fn records(&self, mount: &OwnedFd, told: usize) -> std::io::Result<Vec<u8>> {
        (self.subject.read)(&Found { at: path_of(mount), right: self.right, told })
    }

    /// A disk that begins with a kept state.
    pub(super) fn disk_with(&self, file: &[u8]) -> Disk {
        Disk::begin_with(|image| std::fs::write(image, file).unwrap())
    }

    /// A state as a file, rotten or as it is.
    pub(super) fn file(&self, cut: u64, kept: &[Kept], rotten: bool) -> Vec<u8> {
        let kept = kept.to_vec();
        let packed = self.stage.written("kept", |to| Ask::Keep { cut, kept, to });
        let mut image = unpack(&packed).unwrap();
        if rotten {
            assert!(struck::rot(&mut image) > 0, "nothing of the middle is in one piece");
        }
        let facts = Facts {
            keelhaul: String::new(),
            filesystem: self.filesystem().name().into(),
            records: Records::File(self.subject.name.into()),
            cut,
            acknowledged: self.promises.by(cut) as u64,
            wrong: String::new(),
            beyond: false,
            fsck: false,
            digest: hexadecimal(&image.digest()),
        };
        let packed = keelhaul::block::pack(&image, u64::MAX).unwrap();
        encode(&facts, &self.promises.ledger(cut), &packed).unwrap()
    }
}
