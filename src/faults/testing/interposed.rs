//! What a fake interposer shows.

use crate::block::CHUNK;
use crate::protocol::{
    AllStruck, ByteAttempt, ByteRange, EscapeFacts, IoOp, Read, ReadBack, Reading, Replayed,
    RuleFacts, TraceFacts, TracePiece, TriedBytes, TriedDurable, TriedOp, TriedSync, TriedVisible,
};

/// What there is to see of an interposer.
#[derive(Default)]
pub(crate) struct IoWorld {
    /// How the first operation of a trial is hit: its errno and its microseconds.
    pub(crate) struck: Option<(Option<&'static str>, u64)>,
    /// What becomes of a trial's bytes: errno, moved, arrived and untouched; all arrive without it.
    pub(crate) bytes: Option<(Option<&'static str>, u64, u64, u64)>,
    /// How many of them arrive where those do that go astray.
    pub(crate) astray: u64,
    /// What the syncs of a trial get: the first, the next, and another open file's.
    pub(crate) syncs: [Option<&'static str>; 3],
    /// What is read after the first that fails.
    pub(crate) read_back: ReadBack,
    /// What the sync of a trial gets, and whether it makes something durable.
    pub(crate) durable: (Option<&'static str>, bool),
    /// Who finds the file of a trial.
    pub(crate) visible: TriedVisible,
    /// Operations do not come back.
    pub(crate) hangs: bool,
    /// What its rules have done.
    pub(crate) rules: Option<RuleFacts>,
    /// All that they have struck, by the numbers.
    pub(crate) all_struck: Option<AllStruck>,
    /// Its trace: how much there is, and the lines. By its clock it is one second past.
    pub(crate) trace: Option<(Option<TraceFacts>, String)>,
    /// What it does not reach.
    pub(crate) escapes: EscapeFacts,
    /// Where every file lies on the disk.
    pub(crate) places: Vec<ByteRange>,
}

impl IoWorld {
    /// An answer about it; none where it is asked nothing.
    pub(super) fn answer(&self, read: &Read) -> Option<Reading> {
        Some(match read {
            Read::Rules { .. } => Reading::Rules(self.rules.clone()),
            Read::Struck { .. } => Reading::Struck(self.all_struck.clone()),
            Read::Trace { from, .. } => Reading::Trace(self.piece(*from)?),
            Read::ForgetTrace { .. } => Reading::Nothing,
            Read::Escapes { .. } => Reading::Escapes(self.escapes),
            Read::TryIo(attempt) => Reading::IoTried(self.io_tried(&attempt.ops, attempt.most)),
            Read::TryDisk(attempt) => {
                let ops: Vec<IoOp> = attempt.ops.iter().map(|op| op.as_io()).collect();
                Reading::IoTried(self.io_tried(&ops, attempt.most))
            }
            Read::Replay(_) => Reading::Replayed(Replayed {
                acknowledged: 7,
                wrong: None,
                unmountable: false,
                took_us: 9,
            }),
            Read::OnDevice(_) => Reading::OnDevice(self.places.clone()),
            Read::TrySync(_) => Reading::SyncTried(self.sync_tried()),
            Read::TryBytes(ByteAttempt { op, block, .. }) => {
                Reading::BytesTried(self.bytes_tried(*op, (*block).into()))
            }
            Read::TryDiskBytes(_) => {
                Reading::BytesTried(self.bytes_tried(IoOp::Read, CHUNK as u64))
            }
            Read::TryVisible(_) => Reading::VisibleTried(self.visible),
            Read::TryDurable(_) | Read::TryFlush(_) => Reading::DurableTried(self.durable_tried()),
            _ => return None,
        })
    }

    /// A line at a time.
    fn piece(&self, from: u64) -> Option<TracePiece> {
        let (facts, text) = self.trace.clone()?;
        let rest = &text[usize::try_from(from).ok()?..];
        let lines = rest.split_inclusive('\n').next().unwrap_or_default().to_owned();
        Some(TracePiece { facts, bytes: text.len() as u64, now_us: 1_000_000, lines })
    }

    fn io_tried(&self, ops: &[IoOp], most: u64) -> Vec<TriedOp> {
        let (errno, took_us) = self.struck.unwrap_or((None, 20));
        let hung = self.hangs;
        let hit = hung || self.struck.is_some();
        let attempts = if hit { 1 } else { most };
        let tried = |op: &IoOp| {
            let errno = errno.map(str::to_owned);
            TriedOp { op: *op, attempts, hit, errno, took_us, hung }
        };
        ops.iter().map(tried).collect()
    }

    fn durable_tried(&self) -> TriedDurable {
        let (errno, durable) = self.durable;
        TriedDurable { errno: errno.map(str::to_owned), durable }
    }

    fn sync_tried(&self) -> TriedSync {
        let [first, again, other] = self.syncs.map(|errno| errno.map(str::to_owned));
        let read_back = first.is_some().then_some(self.read_back);
        TriedSync { attempts: 1, first, read_back, again, other }
    }

    fn bytes_tried(&self, op: IoOp, block: u64) -> TriedBytes {
        let (errno, moved, arrived, untouched) = self.bytes.unwrap_or((None, block, block, 0));
        let errno = errno.map(str::to_owned);
        let astray = self.astray;
        TriedBytes { op, block, attempts: 1, errno, moved, arrived, untouched, astray }
    }
}
