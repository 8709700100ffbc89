//! What faults of the file interposer share: which files, which operations, whose, and the proof.
//!
//! Mechanism: rules armed in the filesystem of ours under the volume. Proof: the same operations on
//! the interposer's own files, through the very mount that the subject uses, get what the rules
//! say; beside it the interposer counts what it did to others. Undone by disarming.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Effect, FaultError, Prepared, Target, checks, io_inserted::Inserted,
    observe::sibling, unexpected,
};
use crate::{
    protocol::{
        ByteRange, Caller, IoAction, IoAttempt, IoOp, IoRule, Op, Place, Read, Reading, RuleFacts,
        TriedOp, Trigger, mark_of_set,
    },
    units::{Percent, Size},
    volumes::{Layer, mark, object_name},
};

/// What is looked at before injection, and again to see the effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The interposer.
    pub(super) interposer: String,
    /// Name of the set of rules.
    pub(super) set: String,
    /// Where its mount is in the container.
    pub(super) root: Place,
    /// How long the operations took, the longest of each, in microseconds.
    pub(super) took_us: Vec<u64>,
    /// Where one was inserted for this fault.
    pub(super) inserted: Option<Inserted>,
}

/// Parameters that all of them have.
pub(super) struct Aim<'a> {
    pub(super) name: &'static str,
    pub(super) target: &'a Target,
    pub(super) files: Option<&'a str>,
    pub(super) ops: &'a [IoOp],
    pub(super) by: &'a Caller,
    pub(super) range: Option<ByteRange>,
    pub(super) at_least: Option<Size>,
    pub(super) when: &'a Trigger,
    /// What else decides whom it strikes, as a hint: a trial is struck in any case.
    pub(super) besides: Option<&'static str>,
    /// An interposer is to be inserted; none where the fault does not know how.
    pub(super) insert: Option<bool>,
}

/// More attempts than this take too long for a proof.
const MOST_TRIES: u64 = 20_000;
/// An effect of this share of operations is missed by so many attempts once in a billion.
const CERTAIN: f64 = 1e-9;
/// Looks that are taken again where something was slow.
pub(super) const AGAIN: usize = 3;
/// A trial's operations carry one byte each.
const MOST_BYTES: Size = Size(16 << 10);
/// No operation counts as slow.
pub(super) const NEVER_SLOW: u64 = u64::MAX;

/// What an operation counts as hit by, beside an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// It takes this many microseconds.
    pub(super) slow_us: u64,
    /// It may hang, and is not back after this many milliseconds.
    pub(super) within_ms: Option<u64>,
}

impl Hit {
    /// It takes this many microseconds.
    pub(super) fn slow(slow_us: u64) -> Self {
        Self { slow_us, within_ms: None }
    }

    /// It is not back after this many milliseconds.
    pub(super) fn hung(within_ms: u64) -> Self {
        Self { slow_us: NEVER_SLOW, within_ms: Some(within_ms) }
    }

    /// It takes this many microseconds, or is not back after so many milliseconds.
    pub(super) fn slow_or_hung(slow_us: u64, within_ms: u64) -> Self {
        Self { slow_us, within_ms: Some(within_ms) }
    }
}

impl Aim<'_> {
    /// The rule for a target at this path below the volume's root.
    pub(super) fn rule(&self, below: &str, action: IoAction) -> IoRule {
        let at = globset::escape(below);
        let within = |files: &str| match at.as_str() {
            "" => files.to_owned(),
            at => format!("{at}/{files}"),
        };
        let paths = match self.files {
            Some(files) => vec![within(files)],
            None if at.is_empty() => vec!["**".to_owned()],
            None => vec![at.clone(), within("**")],
        };
        IoRule {
            paths,
            ops: self.ops.to_vec(),
            by: self.by.clone(),
            ranges: self.range.into_iter().collect(),
            at_least: self.at_least,
            when: self.when.clone(),
            action,
        }
    }

    /// Which operations on what, in words.
    pub(super) fn words(&self) -> String {
        let ops: Vec<&str> = self.ops.iter().map(|op| op.name()).collect();
        let files = self.files.map(|files| format!(" of files `{files}`")).unwrap_or_default();
        let inserted = if self.inserts() { ", by way of an interposer inserted there" } else { "" };
        format!("{}{files} at {}{}{inserted}", ops.join(", "), self.target, self.which())
    }

    /// Which of those that match, in words.
    pub(super) fn which(&self) -> String {
        let when = self.when;
        let parts = [
            when.probability.map(|share| format!("{share} of them")),
            when.nth.map(|nth| format!("number {nth}")),
            when.every.map(|every| format!("one in {every}")),
            when.after.map(|after| format!("after {after}")),
            when.after_bytes.map(|after| format!("after {after}")),
            when.from.map(|from| format!("from {from} on")),
            when.until.map(|until| format!("until {until} after the injection")),
            self.by.uid.map(|uid| format!("by user {uid}")),
            self.by.process.as_ref().map(|name| format!("by `{name}`")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(", {}", parts.join(", ")) }
    }

    /// What is wrong with them on this target.
    pub(super) fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let (name, target) = (self.name, self.target);
        let mut wrong: Vec<String> = checks::needs_path(name, target).into_iter().collect();
        wrong.extend(match self.inserts() {
            true => self.check_insertion(declared),
            false => self.check_volume(declared),
        });
        if self.ops.is_empty() {
            wrong.push(format!(
                "`{name}` strikes no operation\n\nhint: write `ops: [write, fsync]`"
            ));
        }
        if let Some(error) = self.files.and_then(|files| globset::Glob::new(files).err()) {
            let (files, kind) = (self.files.unwrap_or_default(), error.kind());
            wrong.push(format!(
                "`{files}` is not a glob: {kind}\n\nhint: write one such as `**/*.log`"
            ));
        }
        wrong.extend(self.check_when());
        wrong
    }

    fn check_volume(&self, declared: &Declared<'_>) -> Vec<String> {
        let (name, target) = (self.name, self.target);
        let mut wrong: Vec<String> =
            checks::needs_volume(name, target, declared).into_iter().collect();
        if let Some(volume) = declared.volume
            && volume.interpose() != Some(Layer::File)
        {
            let or = match self.insert {
                Some(_) => ", or `insert: true` to the fault: what is open by then escapes it",
                None => "",
            };
            wrong.push(format!(
                "`{name}` strikes in a filesystem between the volume and its users, and the `{}` \
                 volume at `{target}` has none\n\nhint: add `interpose: file` to the volume{or}",
                volume.name()
            ));
        }
        wrong
    }

    /// What is wrong with the choice of those that are hit.
    pub(super) fn check_when(&self) -> Option<String> {
        let when = self.when;
        let zero = when.nth == Some(0) || when.every == Some(0);
        let never = when.probability == Some(Percent(0.0));
        if zero || never {
            return Some(format!(
                "`{}` strikes nothing with this `when`\n\nhint: counts begin at 1, and a probability above `0%`",
                self.name
            ));
        }
        if let Some(wrong) = self.check_window() {
            return Some(wrong);
        }
        let bytes = when.after_bytes.is_some_and(|after| after > MOST_BYTES);
        (self.tries() > MOST_TRIES || bytes).then(|| {
            format!(
                "`{}` strikes so rarely that its effect cannot be shown\n\nhint: a strike must come \
                 within {MOST_TRIES} operations, or {MOST_BYTES}",
                self.name
            )
        })
    }

    /// How many operations of a kind are hit at least once.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    pub(super) fn tries(&self) -> u64 {
        let when = self.when;
        let bytes = when.after_bytes.map_or(0, |after| after.0);
        let after = when.after.unwrap_or_default().saturating_add(bytes);
        let counted = when.nth.or(when.every).unwrap_or(1);
        let rounds = match when.probability {
            Some(Percent(share)) if share < 100.0 => {
                (CERTAIN.ln() / (1.0 - share / 100.0).ln()).ceil() as u64
            }
            _ => 1,
        };
        after.saturating_add(counted.saturating_mul(rounds))
    }

    /// Looks how the operations go now, and says which rules are to be armed.
    pub(super) async fn prepare(
        &self,
        cx: &Cx<'_>,
        rules: Vec<IoRule>,
    ) -> Result<Prepared<Before>, FaultError> {
        self.prepare_if(cx, rules, Hit::slow(NEVER_SLOW)).await
    }

    /// Likewise, unless an operation is hit as it is.
    pub(super) async fn prepare_if(
        &self,
        cx: &Cx<'_>,
        rules: Vec<IoRule>,
        hit: Hit,
    ) -> Result<Prepared<Before>, FaultError> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        cx.running().await?;
        let set = format!("{}-{}", self.name, LAST.fetch_add(1, Ordering::Relaxed));
        if self.inserts() {
            return self.prepare_insertion(cx, set, rules).await;
        }
        let volume = cx.site.volume.as_ref().ok_or_else(|| {
            FaultError::Refused(format!("no volume is mounted at `{}`", self.target))
        })?;
        let interposer = object_name(cx.run, &volume.name);
        let root = Place { path: volume.mount_point.clone(), ..cx.site.place.clone() };
        let own = mark_of_set(&mark(&interposer), &set);
        let tried = tried(cx, own, &root, (self.ops, 1), hit).await?;
        if let Some(one) = tried.iter().find(|one| one.hit) {
            let (op, path) = (one.op.name(), &root.path);
            let how = match &one.errno {
                Some(errno) => format!("fails with {errno}"),
                None => format!("is {}", how(one)),
            };
            return Err(FaultError::Refused(format!(
                "`{op}` of a file of our own at `{path}` {how} as it is"
            )));
        }
        let took_us = tried.iter().map(|one| one.took_us).collect();
        let (seed, again) = (cx.seed, None);
        let arm =
            Op::ArmRules { interposer: interposer.clone(), set: set.clone(), seed, rules, again };
        let undo = Op::DisarmRules { interposer: interposer.clone(), set: set.clone() };
        let before = Before { interposer, set, root, took_us, inserted: None };
        Ok(Prepared { before, ops: vec![arm], undo: vec![undo] })
    }

    /// Tries each operation until it is hit, and says how that went.
    pub(super) async fn attempt(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        slow_us: u64,
    ) -> Result<Vec<TriedOp>, FaultError> {
        self.attempt_until(before, cx, Hit::slow(slow_us)).await
    }

    /// Likewise, where it is hit by something else than an error.
    pub(super) async fn attempt_until(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        hit: Hit,
    ) -> Result<Vec<TriedOp>, FaultError> {
        before.must_be_there(cx).await?;
        self.await_window(before, cx).await?;
        let most = self.tries();
        let (root, mark) = before.where_to_try(cx);
        tried(cx, mark, &root, (self.ops, most), hit).await
    }

    /// The effect is gone, and what the rules have done meanwhile.
    pub(super) async fn gone(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        slow_us: u64,
    ) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if let Some(effect) = self.withdrawn(before, cx).await? {
            return Ok(effect);
        }
        let mut tried = self.attempt(before, cx, slow_us).await?;
        for _ in 0..AGAIN {
            // a busy machine is slow by itself, and not again and again
            if tried.iter().all(|one| !one.hit || one.errno.is_some()) {
                break;
            }
            tried = self.attempt(before, cx, slow_us).await?;
        }
        self.over(before, &tried, cx).await
    }

    /// Of operations that were tried afterwards none is hit, and somebody was before.
    pub(super) async fn over(
        &self,
        before: &Before,
        tried: &[TriedOp],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if let Some(one) = tried.iter().find(|one| one.hit) {
            return Ok(Effect::unproven(told(one)));
        }
        self.reached(before, cx).await
    }

    /// What the rules have done while they were in force, now that they are not.
    pub(super) async fn reached(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let Some(facts) = cx.rule_facts(before).await? else {
            let why = "the interposer knows nothing of the rule, which so struck nobody";
            return Err(FaultError::ReachedNobody(why.into()));
        };
        if facts.matched == 0 && self.inserts() {
            // the mounts of a container that is not ours stay as they are
            let or = match cx.attached {
                true => "put the service to work meanwhile",
                false => "write `interpose: file` at the volume",
            };
            return Err(FaultError::ReachedNobody(format!(
                "the rule is gone, and nothing that the service did came to it: {}\n\nhint: what is \
                 open before escapes it; let it last until the service opens a file, or {or}",
                self.words()
            )));
        }
        if facts.matched == 0 && self.is_narrow(cx) {
            return Err(FaultError::ReachedNobody(format!(
                "the rule is gone, and nothing that the service did matched it: {}\n\nhint: look at \
                 the target's path, `files`, `by`, `range` and `at_least`, or let it last longer",
                self.words()
            )));
        }
        // a trial comes as often as it takes to be struck, and the service may not
        let seldom = (*self.when != Trigger::default()).then_some("let it strike more often");
        if let Some(hint) = self.besides.or(seldom).filter(|_| facts.hit == 0) {
            return Err(FaultError::ReachedNobody(format!(
                "the rule is gone, and struck none of {} operations of the service that matched: \
                 {}\n\nhint: {hint}, or let it last longer",
                facts.matched,
                self.words()
            )));
        }
        let done = format!("{} of {} operations of others were", facts.hit, facts.matched);
        Ok(Effect::proven(format!("no {} is struck any more; {done}", names(self.ops))))
    }

    /// Whether it is about some operations of some callers on some files only. A trial counts as
    /// anybody's, anywhere, of any size, so that it cannot show that these are what the service does.
    fn is_narrow(&self, cx: &Cx<'_>) -> bool {
        self.files.is_some()
            || *self.by != Caller::default()
            || self.range.is_some()
            || self.at_least.is_some()
            || !cx.site.below().unwrap_or_default().is_empty()
    }
}

/// Names of operations.
fn names(ops: &[IoOp]) -> String {
    ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(", ")
}

/// How one operation went.
pub(super) fn told(tried: &TriedOp) -> String {
    let TriedOp { op, attempts, errno, .. } = tried;
    let how = errno.clone().unwrap_or_else(|| how(tried));
    let nth = if *attempts <= 1 { String::new() } else { format!(" at attempt {attempts}") };
    format!("{}: {how}{nth}", op.name())
}

/// How one went that did not fail.
pub(super) fn how(tried: &TriedOp) -> String {
    let done = if tried.hung { "not back" } else { "done" };
    format!("{done} after {} ms", tried.took_us / 1000)
}

async fn tried(
    cx: &Cx<'_>,
    mark: String,
    root: &Place,
    (ops, most): (&[IoOp], u64),
    hit: Hit,
) -> Result<Vec<TriedOp>, FaultError> {
    let Hit { slow_us, within_ms } = hit;
    let (place, ops) = (root.clone(), ops.to_vec());
    let attempt = IoAttempt { place, mark, ops, most, slow_us, within_ms };
    match cx.helper.read(Read::TryIo(attempt)).await? {
        Reading::IoTried(tried) => Ok(tried),
        other => Err(unexpected(&other)),
    }
}

impl Cx<'_> {
    /// What the rules of a fault have done.
    pub(super) async fn rule_facts(
        &self,
        before: &Before,
    ) -> Result<Option<RuleFacts>, FaultError> {
        let (interposer, set) = (before.interposer.clone(), before.set.clone());
        match self.helper.read(Read::Rules { interposer, set }).await? {
            Reading::Rules(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// Says how many open files the rules cannot reach.
    pub(super) async fn with_reach(
        &self,
        before: &Before,
        effect: Effect,
    ) -> Result<Effect, FaultError> {
        let facts = self.rule_facts(before).await?.unwrap_or_default();
        if !facts.armed {
            return Ok(Effect::unproven(format!("no rules are armed; {}", effect.evidence)));
        }
        let effect = before.with_escapes(effect, self).await?;
        Ok(match facts.out_of_reach {
            0 => effect,
            files => effect.note(format!(
                "{files} files that were open before are read and written by the kernel alone: not \
                 struck until they are opened again"
            )),
        })
    }
}

impl Before {
    /// The root of the interposer's mount in the container as it is now, and what names of the
    /// interposer's own begin with that these rules strike.
    pub(super) fn where_to_try(&self, cx: &Cx<'_>) -> (Place, String) {
        (self.root(cx), mark_of_set(&mark(&self.interposer), &self.set))
    }

    /// The root of the interposer's mount in the container as it is now.
    pub(super) fn root(&self, cx: &Cx<'_>) -> Place {
        Place { path: self.root.path.clone(), ..cx.site.place.clone() }
    }

    /// A file of the interposer's own, which strikes what is done to it as a trial.
    pub(super) fn own_file(&self, cx: &Cx<'_>) -> Place {
        let (root, mark) = self.where_to_try(cx);
        sibling(&root, &format!("{}/{mark}-own", root.path.trim_end_matches('/')))
    }

    /// The interposer's name.
    pub(super) fn interposer(&self) -> &str {
        &self.interposer
    }

    /// The longest that an operation took before, in microseconds.
    pub(super) fn longest_us(&self) -> u64 {
        self.took_us.iter().copied().max().unwrap_or_default()
    }
}
