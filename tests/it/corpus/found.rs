//! Every planted bug is found, and soon.

use std::time::Duration;

use super::{
    budget,
    explore::{Recorded, Seen},
    median, say,
    stage::Filesystem,
    subject::Subject,
    subjects::SUBJECTS,
};
use crate::interpose::mounted::can_be_tried;

/// States within which a planted bug must be found: enough that every moment of so short a work is among them.
const WITHIN: usize = 300;
/// States in which one that is covered must not be.
const COVERED: usize = 60;

fn is_wrong(seen: &Seen) -> bool {
    matches!(seen, Seen::Wrong(_))
}

/// How long it took; none where the filesystem covers it, and nothing may be found.
fn found(subject: &Subject, filesystem: Filesystem) -> Option<Duration> {
    let recorded = Recorded::new(subject, false, (filesystem, subject.fault));
    let is_covered = subject.covered_by.contains(&filesystem);
    let most = if is_covered { COVERED } else { WITHIN };
    let looked = recorded.look((most, budget().1), is_wrong);
    let (name, on) = (subject.name, filesystem.name());
    match (looked.first, is_covered) {
        (Some(blamed), false) => {
            let (states, after) = (looked.states, blamed.after);
            let Seen::Wrong(why) = &blamed.seen else { unreachable!() };
            let (profile, wrong) = (blamed.profile, subject.wrong);
            say(&format!(
                "{on:5} {name:20} in state {states:3} after {after:.1?}, {profile:?}: {why} (it {wrong})"
            ));
            Some(after)
        }
        (None, true) => {
            say(&format!("{on:5} {name:20} {} states: covered by it", looked.states));
            None
        }
        (None, false) => panic!("{name} was not found on {on} in {} states", looked.states),
        (Some(blamed), true) => panic!("{name} is found on {on} after all: {blamed:?}"),
    }
}

fn all_found(filesystem: Filesystem) {
    if !can_be_tried() {
        return;
    }
    let times: Vec<_> = SUBJECTS.iter().filter_map(|subject| found(subject, filesystem)).collect();
    let covered = SUBJECTS.iter().filter(|it| it.covered_by.contains(&filesystem)).count();
    let (count, of) = (times.len(), SUBJECTS.len() - covered);
    let median = median(times);
    say(&format!(
        "{}: {count} of {of} planted bugs found, the median after {median:.1?}",
        filesystem.name()
    ));
}

#[test]
fn every_planted_bug_is_found_on_ext4() {
    all_found(Filesystem::Ext4);
}

#[test]
fn every_planted_bug_is_found_on_xfs() {
    all_found(Filesystem::Xfs);
}

#[test]
fn every_planted_bug_is_found_on_btrfs() {
    all_found(Filesystem::Btrfs);
}
