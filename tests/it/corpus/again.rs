//! The same again is the same: of one record and one seed every state is the same to the bit, and a state that
//! was kept comes to the same verdict whenever it is judged.

use keelhaul::{block::unpack, crash_state::CrashState, interpose::control::Ask};

use super::{
    SEED,
    explore::{Recorded, Seen},
    stage::Filesystem,
    subject::Fault,
    subjects::SUBJECTS,
};
use crate::interpose::mounted::can_be_tried;

/// One that promises too early.
fn recorded() -> Recorded<'static> {
    Recorded::new(&SUBJECTS[0], false, (Filesystem::Ext4, Fault::Cut))
}

/// Digests of all states that are planned.
fn digests(recorded: &Recorded<'_>, seed: u64) -> Vec<[u8; 32]> {
    let ways = recorded.plan(150, seed).ways;
    ways.iter().map(|way| recorded.show(recorded.past.points[way.point].cut, &way.kept)).collect()
}

#[test]
fn the_same_record_and_seed_give_the_same_states_to_the_bit() {
    if !can_be_tried() {
        return;
    }
    let mut recorded = recorded();
    recorded.stage.unmount();
    recorded.past = recorded.stage.disk.past();
    let first = digests(&recorded, SEED);
    let closed = recorded.stage.disk.ask(&Ask::ClosePast);
    recorded.past = recorded.stage.disk.past();
    assert_eq!(digests(&recorded, SEED), first, "after {closed:?}");
    assert_ne!(digests(&recorded, SEED + 1), first, "the seed decides");
    // and whoever has the file of one has the same
    let planned = recorded.plan(150, SEED);
    for (way, digest) in planned.ways.iter().zip(&first).step_by(10) {
        let (cut, kept) = (recorded.past.points[way.point].cut, way.kept.clone());
        let packed = recorded.stage.written("kept", |to| Ask::Keep { cut, kept, to });
        assert_eq!(unpack(&packed).unwrap().digest(), *digest);
    }
}

#[test]
fn a_kept_state_comes_to_the_same_verdict_every_time() {
    if !can_be_tried() {
        return;
    }
    let recorded = recorded();
    let looked = recorded.look((300, SEED), |seen| matches!(seen, Seen::Wrong(_)));
    let blamed = looked.first.expect("the planted bug");
    let file = recorded.file(blamed.cut, &blamed.kept, false);
    for _ in 0..3 {
        let state = CrashState::decode(&file).unwrap();
        let told = recorded.promises.by(blamed.cut);
        assert_eq!(state.facts.acknowledged, told as u64);
        let disk = recorded.disk_with(&file);
        assert_eq!(recorded.read_by(&disk.node, &state.ledger, told), blamed.seen);
        assert!(recorded.file(blamed.cut, &blamed.kept, false) == file, "the same to the byte");
    }
}
