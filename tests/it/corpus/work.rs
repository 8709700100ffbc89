//! What a subject works with: a place, records that it is asked to keep, and somebody whom it promises that
//! they are safe.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use keelhaul::ledger::{Record, RecordId};

use super::{
    promises::Promises,
    stage::Stage,
    struck,
    subject::{Fault, sync_dir},
};

/// Records that a subject is asked to keep.
pub(super) const RECORDS: usize = 6;
/// The first of them that a fault may concern.
pub(super) const MIDDLE: usize = RECORDS / 2;
/// Bytes of a record, more or less: three of them take more than a block.
const LENGTH: u32 = 2000;
/// Of all that is written.
const RUN: &str = "corpus";
/// Who writes what is promised, and who wrote what was there before.
const WRITER: u32 = 0;
const FORMER: u32 = 9;

/// A subject at work.
pub(super) struct Work<'a> {
    pub(super) at: PathBuf,
    /// It is the twin.
    pub(super) right: bool,
    stage: &'a Stage,
    fault: Fault,
    records: Vec<Record>,
    promises: Promises,
}

/// A record as a line.
fn line(record: &Record) -> String {
    format!("{}\n", record.encode())
}

fn made(writer: u32, sequence: usize, before: Option<&Record>) -> Record {
    let id = RecordId { writer, sequence: sequence as u64 };
    let previous = before.map_or(0, Record::link);
    Record::new(RUN, id, &id.to_string(), LENGTH, previous).unwrap()
}

/// Bytes that are in one record in the middle, and in no other.
pub(super) fn of_the_middle() -> String {
    format!(" key={} ", RecordId { writer: WRITER, sequence: MIDDLE as u64 })
}

impl<'a> Work<'a> {
    pub(super) fn new(stage: &'a Stage, right: bool, fault: Fault) -> Self {
        let promises = Promises::of(RUN);
        Self { at: stage.at(), right, stage, fault, records: Vec::new(), promises }
    }

    /// The next record that is to be kept.
    pub(super) fn next(&mut self) -> String {
        let number = self.records.len();
        if number == MIDDLE {
            struck::strike(self.stage, self.fault);
        }
        let record = made(WRITER, number, self.records.last());
        self.promises.intend(&record);
        self.records.push(record);
        line(&self.records[number])
    }

    /// The next one on top of all before it.
    pub(super) fn next_and_before(&mut self) -> String {
        self.next();
        self.records.iter().rev().map(line).collect()
    }

    /// Promises that all of them so far are safe.
    pub(super) fn promise(&mut self) {
        let at = self.stage.disk.mark();
        self.promises.acknowledge(at);
    }

    /// What was promised.
    pub(super) fn promises(self) -> Promises {
        self.promises
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    /// An empty file whose name is durable.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let file = File::create(self.path(name))?;
        file.sync_all()?;
        self.sync_dir()?;
        Ok(file)
    }

    /// A log as it should be written: what is in it is synced before it is promised.
    pub(super) fn log(&mut self) -> io::Result<()> {
        let mut log = self.create("log")?;
        for _ in 0..RECORDS {
            log.write_all(self.next().as_bytes())?;
            log.sync_data()?;
            self.promise();
        }
        Ok(())
    }

    /// The next record in a file with a name of its own: written, made durable where that is asked
    /// for, renamed.
    pub(super) fn file(&mut self, number: usize, durable: bool) -> io::Result<()> {
        let (temp, name) = (self.path("new.tmp"), self.path(&format!("{number}.record")));
        let mut file = File::create(&temp)?;
        file.write_all(self.next().as_bytes())?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(temp, name)
    }

    pub(super) fn sync_dir(&self) -> io::Result<()> {
        sync_dir(&self.at)
    }
}

/// Records of somebody's who was there before, which nobody asks for any more.
pub(super) fn of_a_former_life() -> String {
    (0..RECORDS).map(|number| line(&made(FORMER, number, None))).collect()
}

/// Whether a record is of the life before.
pub(super) fn is_former(record: &Record) -> bool {
    record.id.writer == FORMER
}
