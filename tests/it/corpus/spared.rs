//! No correct twin is ever blamed: neither in any state that a cut may leave, nor under the fault that brings
//! its sibling's bug out, where it may refuse to go on.

use std::time::Instant;

use super::{
    budget,
    explore::{Recorded, Seen},
    say,
    stage::Filesystem,
    subject::{Fault, Subject},
    subjects::SUBJECTS,
};
use crate::interpose::mounted::can_be_tried;

/// States of each twin under its fault: a second cut and rot have a disk made for each.
const STRUCK: usize = 6;

/// States that were looked at, and mounted.
fn spared(subject: &Subject, filesystem: Filesystem) -> (usize, usize) {
    let (states, seed) = budget();
    let recorded = Recorded::new(subject, true, (filesystem, Fault::Cut));
    let looked = recorded.look((states, seed), |seen| *seen != Seen::Sound);
    let (on, twin) = (filesystem.name(), format!("{}, which {}", subject.name, subject.right));
    assert!(looked.first.is_none(), "the twin of {twin}, on {on}: {:?}", looked.first);
    let (mut seen, mut mounted) = (looked.states, looked.mounted);
    if subject.fault != Fault::Cut {
        let recorded = Recorded::new(subject, true, (filesystem, subject.fault));
        let looked = recorded.look((STRUCK, seed), |seen| matches!(seen, Seen::Wrong(_)));
        assert!(looked.first.is_none(), "the twin of {twin}, struck on {on}: {:?}", looked.first);
        // what no promise can be kept on must be noticed
        let hopeless = matches!(subject.fault, Fault::LyingFlush | Fault::Rot);
        assert!(!hopeless || looked.refused > 0, "the twin of {twin}, has noticed nothing on {on}");
        (seen, mounted) = (seen + looked.states, mounted + looked.mounted);
    }
    (seen, mounted)
}

fn all_spared(filesystem: Filesystem) {
    if !can_be_tried() {
        return;
    }
    let started = Instant::now();
    let looked: Vec<_> = SUBJECTS.iter().map(|subject| spared(subject, filesystem)).collect();
    let sum = |of: fn(&(usize, usize)) -> usize| looked.iter().map(of).sum::<usize>();
    say(&format!(
        "{}: {} twins, {} states, {} mounted, no false alarm, {:.1?}",
        filesystem.name(),
        looked.len(),
        sum(|it| it.0),
        sum(|it| it.1),
        started.elapsed()
    ));
}

#[test]
fn no_correct_twin_is_blamed_on_ext4() {
    all_spared(Filesystem::Ext4);
}

#[test]
fn no_correct_twin_is_blamed_on_xfs() {
    all_spared(Filesystem::Xfs);
}

#[test]
fn no_correct_twin_is_blamed_on_btrfs() {
    all_spared(Filesystem::Btrfs);
}
