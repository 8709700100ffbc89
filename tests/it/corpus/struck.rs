//! What brings a bug out besides the cut: a disk that fails or lies while the subject works, and one that has
//! rotted afterwards.

use keelhaul::{
    block::Image,
    interpose::control::{Answer, Ask},
    protocol::{IoAction, IoOp},
};

use super::{stage::Stage, subject::Fault, work::of_the_middle};
use crate::interpose::mounted::rule;

/// Puts what strikes a live disk in force; the other faults come after the cut.
pub(super) fn strike(stage: &Stage, fault: Fault) {
    let (ops, action): (&[IoOp], _) = match fault {
        Fault::FailingDisk => (&[IoOp::Write, IoOp::Fsync], IoAction::Error { errno: libc::EIO }),
        Fault::LyingFlush => (&[IoOp::Fsync], IoAction::LoseSync),
        Fault::Cut | Fault::SecondCut | Fault::Rot => return,
    };
    let arm =
        Ask::Arm { set: "corpus".into(), seed: 7, rules: vec![rule(ops, action)], again: None };
    assert_eq!(stage.disk.ask(&arm), Answer::Done);
}

/// Turns bits over in every copy of the record in the middle; how many there were.
pub(super) fn rot(image: &mut Image) -> usize {
    let text = of_the_middle();
    let places: Vec<u64> = image
        .data()
        .filter_map(|(offset, chunk)| {
            let at = chunk.windows(text.len()).position(|part| part == text.as_bytes())?;
            Some(offset + at as u64)
        })
        .collect();
    // the key itself: nobody can say any more whose record it was
    places.iter().for_each(|at| image.write(*at + 6, b"??"));
    places.len()
}
