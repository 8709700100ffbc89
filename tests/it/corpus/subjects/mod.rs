//! The table of planted bugs. Each is a file that says what goes wrong; where it and its twin part ways is
//! `right`, and nowhere else.

mod ack_before_fsync;
mod cross_file_order;
mod double_recovery;
mod fsync_error_ignored;
mod hole;
mod lying_flush;
mod no_directory_fsync;
mod phantom;
mod rename_without_fsync;
mod rot_taken_for_tail;
mod torn_page;
mod wal_tail_misread;

use super::{
    stage::Filesystem,
    subject::{Fault, Subject, nothing},
};

/// All of them.
pub(super) const SUBJECTS: [Subject; 12] = [
    Subject {
        name: "ack-before-fsync",
        wrong: "promises what the page cache has",
        right: "syncs before it promises",
        fault: Fault::Cut,
        covered_by: &[],
        work: ack_before_fsync::work,
        recover: nothing,
        read: ack_before_fsync::read,
    },
    Subject {
        name: "rename-without-fsync",
        wrong: "gives a file its name before its bytes are durable",
        right: "syncs the file first",
        fault: Fault::Cut,
        covered_by: &[],
        work: rename_without_fsync::work,
        recover: nothing,
        read: rename_without_fsync::read,
    },
    Subject {
        name: "no-directory-fsync",
        wrong: "takes a new name for durable once the file is",
        right: "syncs the directory too",
        fault: Fault::Cut,
        covered_by: &[],
        work: no_directory_fsync::work,
        recover: nothing,
        read: no_directory_fsync::read,
    },
    Subject {
        name: "torn-page",
        wrong: "overwrites its only page in place, and has no checksum",
        right: "has two in turn, with checksums",
        fault: Fault::Cut,
        // copies what is written over
        covered_by: &[Filesystem::Btrfs],
        work: torn_page::work,
        recover: nothing,
        read: torn_page::read,
    },
    Subject {
        name: "wal-tail-misread",
        wrong: "believes the length at the end of its log",
        right: "ends its log where a record is not whole",
        fault: Fault::Cut,
        covered_by: &[],
        work: wal_tail_misread::work,
        recover: nothing,
        read: wal_tail_misread::read,
    },
    Subject {
        name: "fsync-error-ignored",
        wrong: "promises after a sync that has failed",
        right: "promises nothing more",
        fault: Fault::FailingDisk,
        covered_by: &[],
        work: fsync_error_ignored::work,
        recover: nothing,
        read: fsync_error_ignored::read,
    },
    Subject {
        name: "lying-flush",
        wrong: "takes a log that is too short for its log",
        right: "refuses one with less than others were told",
        fault: Fault::LyingFlush,
        covered_by: &[],
        work: lying_flush::work,
        recover: nothing,
        read: lying_flush::read,
    },
    Subject {
        name: "cross-file-order",
        wrong: "takes what it wrote to another file before for durable before",
        right: "syncs that file before",
        fault: Fault::Cut,
        covered_by: &[],
        work: cross_file_order::work,
        recover: nothing,
        read: cross_file_order::read,
    },
    Subject {
        name: "double-recovery",
        wrong: "empties its log before what it recovered is durable",
        right: "syncs that first",
        fault: Fault::SecondCut,
        covered_by: &[],
        work: double_recovery::work,
        recover: double_recovery::recover,
        read: double_recovery::read,
    },
    Subject {
        name: "rot-taken-for-tail",
        wrong: "ends its log at any damage, and forgets what comes after",
        right: "refuses a log that goes on after damage",
        fault: Fault::Rot,
        covered_by: &[],
        work: rot_taken_for_tail::work,
        recover: nothing,
        read: rot_taken_for_tail::read,
    },
    Subject {
        name: "hole",
        wrong: "syncs the last of the two files that a batch went to",
        right: "syncs both",
        fault: Fault::Cut,
        covered_by: &[],
        work: hole::work,
        recover: nothing,
        read: hole::read,
    },
    Subject {
        name: "phantom",
        wrong: "reads what is left in a file that is used again",
        right: "tells by a number whose life a record is of",
        fault: Fault::Cut,
        covered_by: &[],
        work: phantom::work,
        recover: nothing,
        read: phantom::read,
    },
];
