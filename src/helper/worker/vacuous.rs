//! What a faulty worker would say: outcomes without acts, for the vacuity test.
//!
//! Only ops that are faults; the making of volumes and every undo stay real. With it a run must be
//! `inconclusive`, because no effect can be verified.

use crate::protocol::{
    CutFacts, Dev, FileCutOp, LinkState, Op, Outcome, PendingFacts, PowerOp, SoleOp,
};

const CUT: PendingFacts =
    PendingFacts { fenced: true, pending: 3, own: 0, undone: 3, overflowed: false };

const POWERLESS: CutFacts =
    CutFacts { volatile: 9, dropped: 9, taken_back: 1, canary: Some(false), lied: false };

/// A plausible outcome for an op that is a fault; `None` for what must really happen.
pub(super) fn outcome(op: &Op) -> Option<Outcome> {
    let link = |inode| LinkState { dev: Dev { major: 8, minor: 1 }, inode, links: 2 };
    Some(match op {
        Op::StackClone { .. } | Op::StackTmpfs { .. } | Op::Insertion(_) => {
            Outcome::Mounted { id: 4711 }
        }
        Op::ExhaustTmpfs { .. } | Op::SetQuota { .. } => Outcome::Limited { size: 4096, inodes: 1 },
        Op::FillInodes { .. } => Outcome::Filled { files: 1000, bytes: 0, refused: None },
        Op::FillBytes { .. } => Outcome::Filled { files: 1, bytes: 1 << 20, refused: None },
        Op::BreakFilesystem { .. }
        | Op::DetachMount { .. }
        | Op::KillInit { .. }
        | Op::EndEngine { .. }
        | Op::SetOwner { .. }
        | Op::SetMode { .. }
        | Op::SetLabel { .. }
        | Op::SetAside { .. }
        | Op::LimitIo { .. }
        | Op::DropCache { .. }
        | Op::TakeSnapshot { .. }
        | Op::StreamFile { .. }
        | Op::Time(_)
        | Op::SetOomScore { .. }
        | Op::ArmRules { .. }
        | Op::CutFiles(FileCutOp::PlantCanaries { .. })
        | Op::Freeze { .. }
        | Op::Sole(SoleOp::Freeze { .. }) => Outcome::Done,
        Op::CutFiles(FileCutOp::Fence { .. } | FileCutOp::Settle { .. }) => Outcome::Pending(CUT),
        Op::GrowTmpfs { .. } | Op::ExhaustMemory { .. } => {
            Outcome::OomKills { before: 0, after: 1 }
        }
        Op::Power(PowerOp::Cut { disks, .. }) => Outcome::Cut(vec![POWERLESS; disks.len()]),
        Op::HoldInotify { .. } => Outcome::Held { instances: 127, watches: 0 },
        Op::ReplaceByCopy { .. } | Op::CopyUp { .. } => {
            Outcome::Linked { before: link(11), after: link(12) }
        }
        _ => return None,
    })
}
