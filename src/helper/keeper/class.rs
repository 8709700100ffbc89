//! In which order undo ops are done. Pure.
//!
//! What a fault did to the kernel is undone first and waits for nobody. Engine ops wait for the
//! engine. What lies under containers (devices, images, directories) waits until the containers are
//! gone, which is an engine op.

use std::{path::Path, time::Duration};

use crate::{
    journal::Slot,
    protocol::{
        EngineOp, EntryId, FileCutOp, InsertionOp, Op, Outcome, Place, PowerOp, SoleOp, TimeOp,
    },
};

/// When an undo op can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// At once.
    Now,
    /// By the engine.
    Engine,
    /// When the containers are gone.
    After,
}

/// How much is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Faults only: the run's containers and volumes stay, for whoever still wants their logs.
    Faults,
    /// All of it.
    All,
}

/// When this op can be done.
pub(super) fn class(op: &Op) -> Class {
    match op {
        Op::Engine(_) => Class::Engine,
        Op::DetachLoop { .. }
        | Op::RemoveImage { .. }
        | Op::RemoveBind { .. }
        | Op::EndInterposer { .. } => Class::After,
        _ => Class::Now,
    }
}

/// Whether this op lets others go on, and waits for none of them: what else is being undone may be
/// waiting for it. So it is done at once, whoever undoes something besides; twice changes nothing.
pub(super) fn lets_go(op: &Op) -> bool {
    matches!(
        op,
        Op::Thaw { .. }
            | Op::Sole(SoleOp::Thaw { .. })
            | Op::DisarmRules { .. }
            | Op::Power(PowerOp::Undo { .. })
            | Op::Insertion(InsertionOp::Withdraw { .. })
    )
}

/// What lets others go on of such an op, ahead of its turn. An interposer stays until then: what came
/// after it may have been done through it, and is found nowhere else.
pub(super) fn letting_go(op: Op) -> Op {
    match op {
        Op::Insertion(InsertionOp::Withdraw { place, init, name }) => {
            Op::Insertion(InsertionOp::Disarm { place, init, name })
        }
        other => other,
    }
}

/// Whether what this op is about lies on a volume, and goes with it: where the volume is mounted
/// nowhere, it cannot be undone, and when the run's own volumes are removed, it need not be.
pub(super) fn goes_with_a_volume(op: &Op) -> bool {
    matches!(
        op,
        Op::RemoveFiller { .. }
            | Op::Sole(SoleOp::RemoveFiller { .. })
            | Op::SetOwner { .. }
            | Op::SetMode { .. }
            | Op::SetLabel { .. }
            | Op::PutBack { .. }
            | Op::Time(TimeOp::ShiftFiles { .. })
            | Op::RestoreQuota { .. }
            | Op::DiscardSnapshot { .. }
    )
}

/// Whether this op is part of a scope.
pub(super) fn within(op: &Op, scope: Scope) -> bool {
    let teardown =
        matches!(op, Op::Engine(EngineOp::RemoveRun { .. })) || class(op) == Class::After;
    scope == Scope::All || !teardown
}

/// How long an op may take in the worker.
pub(super) fn deadline(op: &Op) -> Duration {
    let slow = matches!(
        op,
        Op::FillInodes { .. }
            | Op::FillBytes { .. }
            | Op::GrowTmpfs { .. }
            | Op::ExhaustMemory { .. }
            | Op::RemoveFiller { .. }
            | Op::HoldInotify { .. }
            | Op::StreamFile { .. }
            | Op::Power(_)
            | Op::Time(_)
            | Op::SetQuota { .. }
            | Op::RestoreQuota { .. }
            | Op::TakeSnapshot { .. }
            | Op::DiscardSnapshot { .. }
            | Op::ReplaceByCopy { .. }
            | Op::CopyUp { .. }
            | Op::Relink { .. }
            | Op::SeedBind { .. }
            | Op::RemoveBind { .. }
            | Op::WriteImage { .. }
            // what is lifted waits for what is still settling
            | Op::CutFiles(FileCutOp::Settle { .. } | FileCutOp::Lift { .. })
            // who else uses a filesystem is asked of every process
            | Op::Sole(SoleOp::Check { .. } | SoleOp::Freeze { .. } | SoleOp::RemoveFiller { .. })
    );
    Duration::from_secs(if slow { 120 } else { 5 })
}

/// The undo of an entry, with what its acts said filled in where it makes the undo stricter.
pub(super) fn undo_of(slot: &Slot) -> Vec<Op> {
    let mut undo = slot.entry.undo.clone();
    for op in &mut undo {
        if let Op::Relink { place, ours: ours @ None, .. } = op {
            let acts = slot.entry.ops.iter().zip(&slot.outcomes);
            *ours = acts.rev().find_map(|(act, outcome)| match (act, outcome) {
                (
                    Op::ReplaceByCopy { place: changed } | Op::CopyUp { place: changed },
                    Outcome::Linked { after, .. },
                ) if (&changed.container, &changed.path) == (&place.container, &place.path) => {
                    Some(*after)
                }
                _ => None,
            });
        }
    }
    undo
}

/// Entries in chains: within one, in the order given; chains may go side by side, since they
/// touch neither the same container nor the same directory of the host. So an op that hangs in one
/// container delays no other that has nothing to do with it.
pub(super) fn chains(entries: &[(EntryId, Vec<Op>)]) -> Vec<Vec<(EntryId, Op)>> {
    // positions in the order given, so that a chain that others join can be sorted again
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let ops: Vec<(EntryId, &Op)> =
        entries.iter().flat_map(|(id, undo)| undo.iter().map(|op| (*id, op))).collect();
    for (at, (_, op)) in ops.iter().enumerate().filter(|(_, (_, op))| class(op) == Class::Now) {
        let meets = |chain: &Vec<usize>| chain.iter().any(|other| share(op, ops[*other].1));
        let (joined, apart): (Vec<_>, Vec<_>) = chains.into_iter().partition(meets);
        let mut chain: Vec<usize> = joined.into_iter().flatten().chain([at]).collect();
        chain.sort_unstable();
        chains = apart;
        chains.push(chain);
    }
    chains.sort_unstable();
    let taken = |chain: Vec<usize>| chain.into_iter().map(|at| (ops[at].0, ops[at].1.clone()));
    chains.into_iter().map(|chain| taken(chain).collect()).collect()
}

/// Whether two ops can touch the same object: in one container, or on one volume by way of two.
fn share(one: &Op, other: &Op) -> bool {
    let (Some(one), Some(other)) = (one.place(), other.place()) else {
        return one.place().is_none() && other.place().is_none();
    };
    let below = |one: &Place, other: &Place| match (&one.host_path, &other.host_path) {
        (Some(one), Some(other)) => Path::new(one).starts_with(other),
        _ => false,
    };
    one.container == other.container || below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Dev, Entry, EntryState, FileId, LinkState};

    fn place(container: &str) -> Place {
        Place { container: container.into(), pid: 0, path: "/d".into(), host_path: None }
    }

    fn filler(container: &str) -> Op {
        let dev = Dev { major: 1, minor: 1 };
        Op::RemoveFiller { place: place(container), dev, marker: "m".into() }
    }

    #[test]
    fn kernel_ops_of_one_container_keep_their_order_and_others_do_not_wait() {
        let unpause = Op::Engine(EngineOp::Unpause { container: "a".into() });
        let entries = vec![
            (EntryId(3), vec![filler("a"), unpause]),
            (EntryId(2), vec![filler("b")]),
            (EntryId(1), vec![filler("a"), Op::DetachLoop { name: "i".into() }]),
        ];
        let chains = chains(&entries);
        let ids: Vec<Vec<u64>> =
            chains.iter().map(|chain| chain.iter().map(|(id, _)| id.0).collect()).collect();
        assert_eq!(ids, vec![vec![3, 1], vec![2]]);
    }

    #[test]
    fn ops_on_one_volume_keep_their_order_in_two_containers_too() {
        let on = |container: &str, host_path: &str| {
            let file = FileId { dev: Dev { major: 1, minor: 1 }, inode: 5 };
            let place = Place { host_path: Some(host_path.into()), ..place(container) };
            Op::SetMode { place, file, from: 0, to: 0o755 }
        };
        let entries = vec![
            (EntryId(5), vec![on("b", "/volumes/v/_data/f")]),
            (EntryId(4), vec![on("c", "/volumes/v2/_data")]),
            (EntryId(3), vec![filler("a")]),
            (EntryId(2), vec![on("a", "/volumes/v/_data")]),
            (EntryId(1), vec![on("b", "/volumes/w/_data")]),
        ];
        let mut ids: Vec<Vec<u64>> = chains(&entries)
            .iter()
            .map(|chain| chain.iter().map(|(id, _)| id.0).collect())
            .collect();
        ids.sort();
        assert_eq!(ids, vec![vec![4], vec![5, 3, 2, 1]]);
    }

    #[test]
    fn the_faults_alone_leave_the_runs_objects_in_place() {
        let remove = Op::Engine(EngineOp::RemoveRun { run: "r".into() });
        let unpause = Op::Engine(EngineOp::Unpause { container: "c".into() });
        let image = Op::RemoveImage { name: "i".into() };
        assert!(!within(&remove, Scope::Faults) && !within(&image, Scope::Faults));
        assert!(within(&unpause, Scope::Faults) && within(&filler("a"), Scope::Faults));
        assert!(within(&remove, Scope::All) && within(&image, Scope::All));
    }

    #[test]
    fn what_waits_for_a_settle_gets_as_much_time() {
        let (profile, seed, interposer) = (crate::protocol::CutProfile::Drop, 0, "i".to_owned());
        let settle = FileCutOp::Settle { interposer: interposer.clone(), profile, seed };
        let lift = FileCutOp::Lift { interposer };
        assert!(deadline(&Op::CutFiles(lift)) >= deadline(&Op::CutFiles(settle)));
    }

    #[test]
    fn a_relink_learns_what_the_fault_left() {
        let link = |inode| LinkState { dev: Dev { major: 8, minor: 1 }, inode, links: 1 };
        let relink = |ours| Op::Relink { place: place("a"), of: "/e".into(), ours };
        let entry = Entry {
            what: "w".into(),
            ops: vec![Op::ReplaceByCopy { place: place("a") }],
            undo: vec![relink(None)],
            expires_ms: None,
        };
        let outcomes = vec![Outcome::Linked { before: link(1), after: link(2) }];
        let state = EntryState::Applied;
        let mut slot = Slot { entry, state, outcomes, expires_at_ms: None };
        assert_eq!(undo_of(&slot), vec![relink(Some(link(2)))]);
        slot.outcomes.clear();
        assert_eq!(undo_of(&slot), vec![relink(None)]);
    }
}
