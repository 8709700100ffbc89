//! What faults of the block interposer share: which requests, where on the disk, and the proof.
//!
//! Mechanism: rules armed in the disk of ours under the volume's filesystem. Proof: the same requests
//! on the very device, behind the filesystem's end, get what the rules say; beside it the disk
//! counts what it did to the filesystem's. Undone by disarming. What the filesystem makes of it, such
//! as to take no more writes, is its own, and stays until it is mounted anew.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    Cx, Declared, Effect, FaultError, Prepared, Target, checks,
    io::{AGAIN, Aim, Before, Hit, NEVER_SLOW, how},
    io_bytes::told,
    unexpected,
};
use crate::{
    protocol::{
        ByteRange, Caller, DiskAttempt, DiskOp, FlushAttempt, IoAction, IoRule, Op, Read, Reading,
        TriedBytes, TriedDurable, TriedOp, Trigger,
    },
    volumes::{Layer, object_name},
};

/// Parameters that all of them have.
pub(super) struct DiskAim<'a> {
    pub(super) name: &'static str,
    pub(super) target: &'a Target,
    pub(super) ops: &'a [DiskOp],
    pub(super) range: Option<ByteRange>,
    pub(super) when: &'a Trigger,
}

/// Whoever asks.
const ANYBODY: &Caller = &Caller { uid: None, process: None };
/// Times that it is looked whether somebody was struck.
const LOOKS: u32 = 20;
/// Between two of them.
const LOOK: Duration = Duration::from_millis(50);
/// What is not back by then hangs, where nothing was to hang.
const PATIENCE_MS: u64 = 6000;

impl DiskAim<'_> {
    /// What it has in common with faults of files.
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: self.name,
            target: self.target,
            files: None,
            ops: &[],
            by: ANYBODY,
            range: self.range,
            at_least: None,
            when: self.when,
            besides: None,
            insert: None,
        }
    }

    /// Which requests, in words.
    pub(super) fn words(&self) -> String {
        let range = self.range.map(|ByteRange { from, to }| format!(" from {from} to {to}"));
        let (ops, which) = (self.names(), self.aim().which());
        format!("{ops} on the disk under {}{}{which}", self.target, range.unwrap_or_default())
    }

    fn names(&self) -> String {
        self.ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(", ")
    }

    /// What is wrong with them on this target.
    pub(super) fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let (name, target) = (self.name, self.target);
        let mut wrong: Vec<String> = checks::needs_path(name, target).into_iter().collect();
        wrong.extend(checks::needs_volume(name, target, declared));
        wrong.extend(self.check_volume(declared));
        if self.ops.is_empty() {
            wrong.push(format!("`{name}` strikes no request\n\nhint: write `ops: [read, write]`"));
        }
        if self.range.is_some_and(|range| range.from >= range.to) {
            wrong.push(format!(
                "`{name}` strikes an empty range\n\nhint: `to` is the first byte after it"
            ));
        }
        wrong.extend(self.aim().check_when());
        wrong
    }

    fn check_volume(&self, declared: &Declared<'_>) -> Option<String> {
        let (name, target) = (self.name, self.target);
        let volume = declared.volume?;
        if volume.interpose() != Some(Layer::Block) {
            return Some(format!(
                "`{name}` strikes on a disk of ours under a filesystem, and the `{}` volume at \
                 `{target}` has none\n\nhint: write `ext4: {{ size: 64MiB, interpose: block }}`",
                volume.name()
            ));
        }
        if declared.is_mount_point || target.path.is_none() {
            return None;
        }
        if volume.name() == "btrfs" {
            return Some(format!(
                "`{name}` strikes one file by its place on the disk, and btrfs does not say where \
                 `{target}` lies\n\nhint: name the volume's mount point and a `range`, or use ext4"
            ));
        }
        self.range.map(|_| {
            format!(
                "`{name}` takes a file or a `range` of the disk, not both\n\nhint: name the volume's \
                 mount point, or leave `range` out"
            )
        })
    }

    /// The rule: about the disk's ranges that the target lies in, and flushes, which have no place.
    pub(super) async fn rules(
        &self,
        cx: &Cx<'_>,
        action: IoAction,
    ) -> Result<Vec<IoRule>, FaultError> {
        let ranges = match cx.site.below().unwrap_or_default() {
            "" => self.range.into_iter().collect(),
            _ => self.places(cx).await?,
        };
        let rule = IoRule {
            paths: vec!["**".to_owned()],
            ops: self.ops.iter().map(|op| op.as_io()).collect(),
            by: Caller::default(),
            ranges,
            at_least: None,
            when: self.when.clone(),
            action,
        };
        Ok(vec![rule])
    }

    /// Where the target, a file, lies on the disk now.
    async fn places(&self, cx: &Cx<'_>) -> Result<Vec<ByteRange>, FaultError> {
        let places = match cx.helper.read(Read::OnDevice(cx.site.place.clone())).await? {
            Reading::OnDevice(places) => places,
            other => return Err(unexpected(&other)),
        };
        if places.is_empty() {
            let why = format!(
                "`{}` has no block of the disk to itself: it is empty, or so small that it lies within \
                 its inode",
                self.target
            );
            return Err(FaultError::Refused(why));
        }
        Ok(places)
    }

    /// Looks how the requests go now, and says which rules are to be armed.
    pub(super) async fn prepare(
        &self,
        cx: &Cx<'_>,
        action: IoAction,
        hit: Hit,
    ) -> Result<Prepared<Before>, FaultError> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        cx.running().await?;
        let set = format!("{}-{}", self.name, LAST.fetch_add(1, Ordering::Relaxed));
        let volume = cx.site.volume.as_ref().ok_or_else(|| {
            FaultError::Refused(format!("no volume is mounted at `{}`", self.target))
        })?;
        let disk = object_name(cx.run, &volume.name);
        let rules = self.rules(cx, action).await?;
        let tried = tried(cx, (&disk, &set), (self.ops, 1), hit).await?;
        if let Some(one) = tried.iter().find(|one| one.hit) {
            let why = one.errno.clone().unwrap_or_else(|| how(one));
            let path = &volume.mount_point;
            return Err(FaultError::Refused(format!(
                "the disk under `{path}` does not answer as it should as it is: {why}"
            )));
        }
        let took_us = tried.iter().map(|one| one.took_us).collect();
        let (seed, again) = (cx.seed, None);
        let arm = Op::ArmRules { interposer: disk.clone(), set: set.clone(), seed, rules, again };
        let undo = Op::DisarmRules { interposer: disk.clone(), set: set.clone() };
        let root = cx.site.place.clone();
        let before = Before { interposer: disk, set, root, took_us, inserted: None };
        Ok(Prepared { before, ops: vec![arm], undo: vec![undo] })
    }

    /// Waits until the filesystem has been struck, but not for long: what hangs of a trial may keep
    /// everybody else from coming to the disk at all.
    pub(super) async fn await_struck(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<(), FaultError> {
        self.aim().await_window(before, cx).await?;
        for _ in 0..LOOKS {
            let facts = cx.rule_facts(before).await?.unwrap_or_default();
            if !facts.armed || facts.hit > 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Tries each kind of request until it is hit, and says how that went.
    pub(super) async fn attempt(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        hit: Hit,
    ) -> Result<Vec<TriedOp>, FaultError> {
        self.aim().await_window(before, cx).await?;
        let disk = (before.interposer.as_str(), before.set.as_str());
        tried(cx, disk, (self.ops, self.aim().tries()), hit).await
    }

    /// Writes and flushes, and looks whether that is durable.
    pub(super) async fn flush(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<TriedDurable, FaultError> {
        let (disk, set, round) = (before.interposer.clone(), before.set.clone(), round());
        match cx.helper.read(Read::TryFlush(FlushAttempt { disk, set, round })).await? {
            Reading::DurableTried(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }

    /// Moves known bytes by the one kind of request, until not all of them arrive.
    pub(super) async fn bytes(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<TriedBytes, FaultError> {
        let hit = Hit::slow(NEVER_SLOW);
        let disk = (before.interposer.as_str(), before.set.as_str());
        let attempt = attempt(disk, (self.ops, self.aim().tries()), hit);
        match cx.helper.read(Read::TryDiskBytes(attempt)).await? {
            Reading::BytesTried(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }

    /// Likewise, while the rules are in force: proven where the request says that it was done, and
    /// what became of the bytes is `theirs`.
    pub(super) async fn bytes_seen(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        theirs: impl FnOnce(&TriedBytes) -> bool,
    ) -> Result<Effect, FaultError> {
        let tried = self.bytes(before, cx).await?;
        let said = tried.errno.is_none() && tried.moved == tried.block;
        let proven = said && theirs(&tried);
        self.seen(before, cx, Effect { proven, evidence: told(&tried), notes: Vec::new() }).await
    }

    /// Likewise, and all of them must arrive as it is.
    pub(super) async fn prepare_bytes(
        &self,
        cx: &Cx<'_>,
        action: IoAction,
    ) -> Result<Prepared<Before>, FaultError> {
        let prepared = self.prepare(cx, action, Hit::slow(NEVER_SLOW)).await?;
        let tried = self.bytes(&prepared.before, cx).await?;
        if tried.hit() {
            let why = format!("the disk does not keep what it is given as it is: {}", told(&tried));
            return Err(FaultError::Refused(why));
        }
        Ok(prepared)
    }

    /// The effect is gone where all of them arrive.
    pub(super) async fn bytes_gone(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.bytes(before, cx).await?;
        if tried.hit() {
            return Ok(Effect::unproven(told(&tried)));
        }
        self.reached(before, cx).await
    }

    /// What was seen, as long as the rules are in force, and why it may not be seen any more.
    pub(super) async fn seen(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        effect: Effect,
    ) -> Result<Effect, FaultError> {
        self.aim().seen(before, cx, effect).await
    }

    /// Each request in words, as the trial went.
    pub(super) fn told(&self, tried: &[TriedOp]) -> String {
        let told = self.ops.iter().zip(tried).map(|(op, one)| {
            let how = one.errno.clone().unwrap_or_else(|| how(one));
            let nth = match one.attempts {
                0 | 1 => String::new(),
                attempts => format!(" at attempt {attempts}"),
            };
            format!("{}: {how}{nth}", op.name())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// The effect is gone, and what the rules have done meanwhile.
    pub(super) async fn gone(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        hit: Hit,
    ) -> Result<Effect, FaultError> {
        let mut tried = self.attempt(before, cx, hit).await?;
        for _ in 0..AGAIN {
            // a busy machine is slow by itself, and not again and again
            if tried.iter().all(|one| !one.hit || one.errno.is_some()) {
                break;
            }
            tried = self.attempt(before, cx, hit).await?;
        }
        if tried.iter().any(|one| one.hit) {
            return Ok(Effect::unproven(self.told(&tried)));
        }
        self.reached(before, cx).await
    }

    /// What the rules have done to the filesystem's requests, now that they are not in force.
    pub(super) async fn reached(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.rule_facts(before).await?.unwrap_or_default();
        if facts.hit == 0 {
            return Err(FaultError::ReachedNobody(format!(
                "the rule is gone, and struck none of the filesystem's requests, of which {} matched: \
                 {}\n\nhint: what is in the page cache is not read from the disk, and what nobody syncs \
                 is written late; let it last longer, or look at the target, `range` and `when`",
                facts.matched,
                self.words()
            )));
        }
        let (hit, matched, names) = (facts.hit, facts.matched, self.names());
        Ok(Effect::proven(format!(
            "no {names} is struck any more; {hit} of {matched} requests of the filesystem were"
        )))
    }
}

/// The number of a trial: what is counted for it begins anew.
fn round() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn attempt((disk, set): (&str, &str), (ops, most): (&[DiskOp], u64), hit: Hit) -> DiskAttempt {
    DiskAttempt {
        disk: disk.to_owned(),
        set: set.to_owned(),
        round: round(),
        ops: ops.to_vec(),
        most,
        slow_us: hit.slow_us,
        within_ms: hit.within_ms.unwrap_or(PATIENCE_MS),
    }
}

async fn tried(
    cx: &Cx<'_>,
    disk: (&str, &str),
    ops: (&[DiskOp], u64),
    hit: Hit,
) -> Result<Vec<TriedOp>, FaultError> {
    match cx.helper.read(Read::TryDisk(attempt(disk, ops, hit))).await? {
        Reading::IoTried(tried) => Ok(tried),
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::IoOp,
        units::Size,
    };

    const VOLUME: &str = "ext4: { size: 64MiB, interpose: block }";
    const ACTION: IoAction = IoAction::Error { errno: libc::EIO };

    fn target(path: &str) -> Target {
        serde_saphyr::from_str(&format!("'agent:{path}'")).unwrap()
    }

    fn range(from: u64, to: u64) -> ByteRange {
        ByteRange { from: Size(from), to: Size(to) }
    }

    #[tokio::test]
    async fn a_file_is_struck_where_it_lies_and_flushes_anywhere() {
        let (fake, site) = (Fake::default(), testing::site("/data/journal.log", VOLUME));
        let (cx, target, when) = (fake.cx(&site), target("/data/journal.log"), Trigger::default());
        let ops = &[DiskOp::Flush, DiskOp::Read, DiskOp::Write][..];
        let aim = DiskAim { name: "x", target: &target, ops, range: None, when: &when };
        assert!(matches!(aim.rules(&cx, ACTION).await, Err(FaultError::Refused(_))), "no place");
        fake.world().beneath.interposed.places = vec![range(4096, 8192), range(16384, 20480)];
        let rules = aim.rules(&cx, ACTION).await.unwrap();
        let [rule] = &rules[..] else { panic!("{rules:?}") };
        assert_eq!(rule.ranges, [range(4096, 8192), range(16384, 20480)]);
        assert_eq!(rule.ops, [IoOp::Fsync, IoOp::Read, IoOp::Write]);
    }

    #[test]
    fn only_a_disk_of_ours_can_be_struck_and_only_somewhere() {
        let count = |volume: &str, path: &str, range, ops: &[DiskOp]| {
            let (spec, target) = (testing::volume_spec(volume), target(path));
            let is_mount_point = path == "/data";
            let declared = Declared { volume: Some(&spec), is_mount_point, host_wide: false };
            let when = Trigger::default();
            let aim = DiskAim { name: "x", target: &target, ops, range, when: &when };
            aim.check(&declared).len()
        };
        let ops = &[DiskOp::Read][..];
        let btrfs = "btrfs: { size: 128MiB, interpose: block }";
        assert_eq!(count(VOLUME, "/data", None, ops), 0);
        assert_eq!(count(VOLUME, "/data", Some(range(0, 4096)), ops), 0);
        assert_eq!(count(VOLUME, "/data/x", None, ops), 0);
        assert_eq!(count(VOLUME, "/data/x", Some(range(0, 4096)), ops), 1);
        assert_eq!(count(VOLUME, "/data", Some(range(4096, 4096)), ops), 1);
        assert_eq!(count(VOLUME, "/data", None, &[]), 1);
        assert_eq!(count(btrfs, "/data/x", None, ops), 1);
        assert_eq!(count(btrfs, "/data", None, ops), 0);
        for other in ["ext4: { size: 64MiB }", "docker: { interpose: file }"] {
            assert_eq!(count(other, "/data", None, ops), 1);
        }
    }
}
