//! What faults of the file interposer share that are about the bytes of an operation.
//!
//! Proof: a block of known bytes, moved to or from the interposer's own files through the very mount
//! that the subject uses, and what of it is there afterwards. Arming, undoing and what was done to
//! others are `io`'s.

use super::{
    Cx, Effect, FaultError, Prepared,
    io::{Aim, Before},
    unexpected,
};
use crate::{
    protocol::{ByteAttempt, IoOp, IoRule, Keep, Read, Reading, TriedBytes},
    units::{Percent, Size},
};

/// Bytes of a trial; twice as many as are kept, where that is more.
const BLOCK: u32 = 4096;
/// More is not kept of a trial.
const MOST: Size = Size(64 << 10);

/// How much is kept, as parameters say it.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) keep: Option<Size>,
    pub(super) percent: Option<Percent>,
}

impl Cut {
    pub(super) fn keep(self) -> Keep {
        match (self.keep, self.percent) {
            (Some(bytes), _) => Keep::Bytes(bytes),
            (None, Some(share)) => Keep::Share(share),
            (None, None) => Keep::Seeded,
        }
    }

    /// In words: `the first 100B`.
    pub(super) fn words(self) -> String {
        match self.keep() {
            Keep::Seeded => "as much as the seed says".into(),
            Keep::Bytes(bytes) => format!("the first {bytes}"),
            Keep::Share(share) => format!("the first {share}"),
        }
    }

    /// Bytes of a trial that is cut.
    pub(super) fn block(self) -> u32 {
        let twice = self.keep.map_or(0, |keep| keep.0.saturating_mul(2));
        u32::try_from(twice).unwrap_or(u32::MAX).max(BLOCK)
    }

    /// What the service moves may have no more than is kept; a trial's block has.
    pub(super) fn hint(self) -> Option<&'static str> {
        self.keep.map(|_| "write a smaller `keep`, or a `percent`: what has no more is left alone")
    }

    /// What is wrong with it.
    pub(super) fn check(self, name: &str) -> Option<String> {
        if self.keep.is_some() && self.percent.is_some() {
            return Some(format!(
                "`{name}` takes `keep` or `percent`, not both\n\nhint: write one of them"
            ));
        }
        let bytes = self.keep.is_some_and(|keep| keep.0 == 0 || keep > MOST);
        let share = self.percent.is_some_and(|Percent(share)| share <= 0.0 || share >= 100.0);
        (bytes || share).then(|| {
            format!(
                "`{name}` keeps a part, neither nothing nor all of it\n\nhint: write `keep` from 1B \
                 to {MOST}, or `percent` above 0% and below 100%"
            )
        })
    }
}

/// What is wrong with operations that should move bytes.
pub(super) fn only_bytes(name: &str, ops: &[IoOp]) -> Option<String> {
    let other = ops.iter().find(|op| !op.moves_data())?;
    Some(format!(
        "`{name}` is about bytes, and `{}` moves none\n\nhint: write `ops: [read, write]`, or one of \
         them",
        other.name()
    ))
}

/// A fault's aim, and the block that shows its effect.
pub(super) struct Bytes<'a> {
    aim: Aim<'a>,
    block: u32,
}

impl<'a> Bytes<'a> {
    pub(super) fn of(aim: Aim<'a>) -> Self {
        Self { aim, block: BLOCK }
    }

    pub(super) fn cut(aim: Aim<'a>, cut: Cut) -> Self {
        Self { aim, block: cut.block() }
    }

    /// Looks whether all bytes arrive as it is, and says which rules are to be armed.
    pub(super) async fn prepare(
        &self,
        cx: &Cx<'_>,
        rules: Vec<IoRule>,
    ) -> Result<Prepared<Before>, FaultError> {
        let prepared = self.aim.prepare(cx, rules).await?;
        if prepared.before.inserted.is_some() {
            return Ok(prepared);
        }
        let tried = self.tried(&prepared.before, cx, 1).await?;
        match tried.iter().find(|one| one.hit()) {
            None => Ok(prepared),
            Some(one) => Err(FaultError::Refused(format!(
                "not all bytes of a file of our own arrive as it is: {}",
                told(one)
            ))),
        }
    }

    /// Moves a block by each operation until it is hit.
    async fn attempt(&self, before: &Before, cx: &Cx<'_>) -> Result<Vec<TriedBytes>, FaultError> {
        self.tried(before, cx, self.aim.tries()).await
    }

    async fn tried(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        most: u64,
    ) -> Result<Vec<TriedBytes>, FaultError> {
        before.must_be_there(cx).await?;
        self.aim.await_window(before, cx).await?;
        let (place, mark) = before.where_to_try(cx);
        let mut all = Vec::new();
        for op in self.aim.ops {
            let (place, mark) = (place.clone(), mark.clone());
            let attempt = ByteAttempt { place, mark, op: *op, block: self.block, most };
            match cx.helper.read(Read::TryBytes(attempt)).await? {
                Reading::BytesTried(tried) => all.push(tried),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(all)
    }

    /// The effect is in force where every trial shows it.
    pub(super) async fn shown(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        shows: impl Fn(&TriedBytes) -> bool,
    ) -> Result<Effect, FaultError> {
        let tried = self.attempt(before, cx).await?;
        let evidence = tried.iter().map(told).collect::<Vec<_>>().join(", ");
        let proven = tried.iter().all(shows);
        let effect = Effect { proven, evidence, notes: Vec::new() };
        self.aim.seen(before, cx, effect).await
    }

    /// The effect is gone, and what the rules have done meanwhile.
    pub(super) async fn gone(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if let Some(effect) = self.aim.withdrawn(before, cx).await? {
            return Ok(effect);
        }
        match self.attempt(before, cx).await?.iter().find(|one| one.hit()) {
            Some(one) => Ok(Effect::unproven(told(one))),
            None => self.aim.reached(before, cx).await,
        }
    }
}

/// What became of one block.
pub(super) fn told(tried: &TriedBytes) -> String {
    let TriedBytes { op, block, attempts, errno, moved, arrived, untouched, astray } = tried;
    let said = match errno {
        Some(errno) => errno.clone(),
        None => format!("{moved} of {block} bytes moved"),
    };
    let wrong = block.saturating_sub(arrived + untouched);
    let nth = if *attempts == 1 { String::new() } else { format!(" at attempt {attempts}") };
    let elsewhere = if *astray == 0 { String::new() } else { format!(", {astray} elsewhere") };
    format!(
        "{}: {said}{nth}, {arrived} arrived, {untouched} untouched, {wrong} wrong{elsewhere}",
        op.name()
    )
}
