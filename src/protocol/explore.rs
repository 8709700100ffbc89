//! Past crash states of a recorded disk: what is asked, and what was found. Data only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{KeptFile, Place};
use crate::block::{Kept, Point, Profile};

/// The past of a disk, and where its states can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastFacts {
    /// Where they are shown: at least one, and as many as were asked for where there can be so many.
    pub stages: Vec<StageFacts>,
    /// The filesystem on it.
    pub filesystem: String,
    /// Events of the record that did not fit, from its beginning.
    pub forgotten: u64,
    /// The moments at which it can be cut.
    pub points: Vec<Point>,
}

/// The most states that are looked at side by side.
pub const MOST_WORKERS: u32 = 8;

/// A device that shows past states of a disk, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageFacts {
    /// Its node.
    pub node: PathBuf,
    /// Number of the connection that serves it, and nothing else.
    pub connection: u32,
}

/// Which states are to be looked at, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExploreSpec {
    /// Name of the disk.
    pub disk: String,
    /// Where the records are in a state.
    pub reads: Reads,
    /// What may survive.
    pub profiles: Vec<Profile>,
    /// The most states.
    pub states: u64,
    /// Milliseconds after which no further state is begun.
    pub time_ms: u64,
    /// Of a wrong state, what came to it is kept too.
    #[serde(default)]
    pub log_writes: bool,
    /// States that are looked at side by side; none for as many as the host has processors for.
    #[serde(default)]
    pub workers: Option<u32>,
    /// A state that was recovered is checked by the filesystem's own tool.
    #[serde(default)]
    pub fsck: bool,
    /// States of each state that a second cut leaves, in the midst of its recovery.
    #[serde(default)]
    pub second_cuts: u64,
    /// States that the service itself is to be started on; none where on none.
    #[serde(default)]
    pub draw: Option<Draw>,
}

/// How many states are drawn for something more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Of those with which nothing is wrong.
    pub sound: u64,
    /// Of the wrong ones.
    pub wrong: u64,
}

/// A state that was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// The moment.
    pub cut: u64,
    /// What survives of each write that was not durable.
    pub kept: Vec<Kept>,
    /// Records acknowledged by then.
    pub acknowledged: u64,
    /// What was wrong with it.
    pub wrong: Option<String>,
}

/// Where the records are in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reads {
    /// They are lines of a file, below the volume's root.
    File(String),
    /// A program prints them, a line each.
    Program {
        /// The container whose program it is, and where in it the state stands in for the volume.
        place: Place,
        /// Program and arguments.
        command: Vec<String>,
    },
}

impl std::fmt::Display for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "`{file}`"),
            Self::Program { command, .. } => {
                write!(f, "`{}`", command.first().map_or("", String::as_str))
            }
        }
    }
}

/// What was found so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExploreReport {
    /// No more will come.
    pub done: bool,
    /// Why it ended before its budget; none where it did not.
    pub broken: Option<String>,
    /// States that were planned.
    pub planned: u64,
    /// States that were looked at, those included that are like an earlier one.
    pub states: u64,
    /// Those of them with the content of an earlier one, and no more acknowledged: not mounted again.
    pub alike: u64,
    /// Those that were mounted, had lost a write, and of a moment when something was acknowledged.
    #[serde(default)]
    pub telling: u64,
    /// Different contents of the file that recovery came to.
    pub recovered: u64,
    /// Moments that were looked at.
    pub points: u64,
    /// Moments in all.
    pub all_points: u64,
    /// Moments of which every way to lose whole writes was looked at; 0 where it ended early.
    pub exhaustive: u64,
    /// Profiles that brought a state that was looked at.
    pub profiles: Vec<Profile>,
    /// Writes in all that some cut may lose.
    pub volatile: u64,
    /// Records acknowledged whose place among the writes is known.
    pub acknowledged: u64,
    /// Events of the record that did not fit, from its beginning.
    pub forgotten: u64,
    /// States in which a promise was broken.
    pub wrong: u64,
    /// Those of them whose filesystem could not be mounted.
    pub unmountable: u64,
    /// States beyond what a disk may leave, which the filesystem or the program has refused: what was done
    /// to them was noticed.
    #[serde(default)]
    pub refused: u64,
    /// States that the filesystem's own tool has checked.
    #[serde(default)]
    pub checked: u64,
    /// States that a second cut leaves, in the midst of a recovery, which were looked at.
    #[serde(default)]
    pub second: u64,
    /// The first of those, with the fewest lost writes that bring it about.
    pub first: Option<WrongState>,
    /// Of the state that lost the most records, how many of how many acknowledged.
    #[serde(default)]
    pub worst: Option<(u64, u64)>,
    /// Microseconds that it took, from the first plan to the last state.
    pub took_us: u64,
    /// States that were looked at side by side.
    #[serde(default)]
    pub workers: u64,
    /// What became of the file of that state, where there is one that was wrong twice.
    #[serde(default)]
    pub state: Option<KeptFile>,
    /// States that were drawn, for the service itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<Drawn>,
    /// And of what came to it, where it was asked for.
    #[serde(default)]
    pub log_writes: Option<KeptFile>,
}

/// How far an exploration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExploreProgress {
    /// States that were looked at.
    pub states: u64,
    /// Of so many.
    pub planned: u64,
    /// Moments that they are of.
    pub points: u64,
    /// Of so many.
    pub all_points: u64,
    /// States in which a promise was broken.
    pub wrong: u64,
    /// States a second so far.
    pub per_second: u64,
}

/// A state in which a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongState {
    /// The moment.
    pub cut: u64,
    /// What may leave it.
    pub profile: Profile,
    /// Records acknowledged by then.
    pub acknowledged: u64,
    /// What survives of each write that was not durable, as few lost as it takes.
    pub kept: Vec<Kept>,
    /// Writes that were lost, or torn, before it was made smaller.
    pub lost_at_first: u64,
    /// Those that still are.
    pub lost: Vec<LostWrite>,
    /// SHA-256 of its content, in hexadecimal.
    pub digest: String,
    /// What is wrong with it.
    pub wrong: String,
    /// It was made, recovered and judged once more, and was wrong again.
    pub confirmed: bool,
    /// The second cut that it took, in the midst of its recovery, where it took one.
    #[serde(default)]
    pub second: Option<SecondCut>,
}

/// A cut in the midst of the recovery from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondCut {
    /// The moment, in the sequence of what recovery did to the disk.
    pub cut: u64,
    /// What survives of each of its writes that was not durable.
    pub kept: Vec<Kept>,
}

impl std::fmt::Display for SecondCut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lost = self.kept.iter().filter(|kept| !kept.is_whole()).count();
        write!(
            f,
            "after a second cut at {} of its recovery, with {lost} of {} writes lost",
            self.cut,
            self.kept.len()
        )
    }
}

/// A write that was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostWrite {
    /// Where it was to go.
    pub offset: u64,
    /// Bytes; none where it makes zeros of a range.
    pub length: Option<u64>,
    /// A part of it survives.
    pub torn: bool,
}

impl ExploreReport {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> ExploreProgress {
        let Self { states, planned, points, all_points, wrong, .. } = *self;
        ExploreProgress {
            states,
            planned,
            points,
            all_points,
            wrong,
            per_second: self.per_second(),
        }
    }

    /// States that were looked at in a second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        self.states * 1_000_000 / self.took_us.max(1)
    }

    /// What wrong states came to, in short: `182 of 182 lost in 1 of 1 states`. None where none was, or
    /// none was wrong again.
    #[must_use]
    pub fn broken_promises(&self) -> Option<String> {
        if self.wrong == 0 || self.vacuous().is_some() {
            return None;
        }
        let most = if self.wrong > 1 { "up to " } else { "" };
        let what = match self.worst {
            Some((lost, acknowledged)) if lost > 0 => {
                format!("{most}{lost} of {acknowledged} lost")
            }
            _ => "a promise broken".to_owned(),
        };
        Some(format!("{what} in {} of {} states", self.wrong, self.states))
    }

    /// Why it proves nothing: nothing was wrong that could have been, or nothing was wrong twice. None
    /// where it proves something.
    #[must_use]
    pub fn vacuous(&self) -> Option<String> {
        if self.wrong > 0 {
            return self.unconfirmed();
        }
        let reasons = [
            (self.states == 0, "no state was looked at"),
            (self.volatile == 0, "no write could have been lost"),
            (self.acknowledged == 0, "nothing was acknowledged"),
            (
                self.telling == 0 && self.refused > 0,
                "every state that lost a write after an acknowledgement was refused by its filesystem",
            ),
            (
                self.telling == 0,
                "no state was looked at that lost a write after an acknowledgement",
            ),
        ];
        let found = reasons.iter().find(|(vacuous, _)| *vacuous).map(|(_, why)| (*why).to_owned());
        self.broken.clone().or(found)
    }

    fn unconfirmed(&self) -> Option<String> {
        match &self.first {
            Some(first) if first.confirmed => None,
            Some(first) => Some(format!("a state was wrong, and was not wrong again: {first}")),
            None => Some("a state was wrong, and could not be looked at again".into()),
        }
    }
}

impl std::fmt::Display for WrongState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cut, acknowledged, kept, lost, wrong, .. } = self;
        write!(f, "cut at {cut} with {acknowledged} acknowledged and ")?;
        match lost.as_slice() {
            [] if kept.is_empty() => write!(f, "nothing in the disk's cache")?,
            [] => write!(f, "none of {} writes lost", kept.len())?,
            [first, more @ ..] => {
                let what = kept.iter().find(|kept| !kept.is_whole()).map_or("lost", Kept::fate);
                write!(
                    f,
                    "{} of {} writes lost, the one at {} {what}",
                    1 + more.len(),
                    kept.len(),
                    first.offset
                )?;
            }
        }
        write!(f, ": {wrong}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_saw_nothing_proves_nothing_unless_something_was_wrong() {
        let report = ExploreReport {
            states: 3,
            telling: 2,
            volatile: 4,
            acknowledged: 5,
            ..ExploreReport::default()
        };
        assert_eq!(report.vacuous(), None);
        for vacuous in [
            ExploreReport { states: 0, ..report.clone() },
            ExploreReport { volatile: 0, ..report.clone() },
            ExploreReport { acknowledged: 0, ..report.clone() },
            ExploreReport { telling: 0, ..report.clone() },
            ExploreReport { broken: Some("hung".into()), ..report.clone() },
        ] {
            assert!(vacuous.vacuous().is_some(), "{vacuous:?}");
            let first = Some(wrong());
            assert_eq!(ExploreReport { wrong: 1, first, ..vacuous }.vacuous(), None);
        }
        for first in [None, Some(WrongState { confirmed: false, ..wrong() })] {
            assert!(ExploreReport { wrong: 1, first, ..report.clone() }.vacuous().is_some());
        }
    }

    #[test]
    fn wrong_states_are_summed_up_only_where_they_prove_something() {
        let first = Some(wrong());
        let report = ExploreReport { states: 9, wrong: 1, first, ..ExploreReport::default() };
        let told = |report: ExploreReport| report.broken_promises().unwrap_or_default();
        let lost = ExploreReport { worst: Some((182, 182)), ..report.clone() };
        assert_eq!(told(lost.clone()), "182 of 182 lost in 1 of 9 states");
        assert_eq!(
            told(ExploreReport { wrong: 3, ..lost }),
            "up to 182 of 182 lost in 3 of 9 states"
        );
        assert_eq!(told(report.clone()), "a promise broken in 1 of 9 states");
        let unconfirmed = Some(WrongState { confirmed: false, ..wrong() });
        assert_eq!(told(ExploreReport { first: unconfirmed, ..report.clone() }), "");
        assert_eq!(told(ExploreReport { wrong: 0, ..report }), "");
    }

    fn wrong() -> WrongState {
        WrongState {
            cut: 812,
            profile: Profile::Omit1,
            acknowledged: 41,
            kept: vec![Kept::Nothing, Kept::Whole],
            lost_at_first: 2,
            lost: vec![LostWrite { offset: 40_960, length: Some(4096), torn: false }],
            digest: String::new(),
            wrong: "1 of 41 acknowledged records lost at 0.4 s".into(),
            confirmed: true,
            second: None,
        }
    }

    #[test]
    fn a_wrong_state_says_what_became_of_its_first_write() {
        let told = |kept| WrongState { kept: vec![Kept::Whole, kept], ..wrong() }.to_string();
        assert!(told(Kept::Sectors(vec![true, false])).contains("at 40960 torn:"));
        assert!(told(Kept::Bytes(0, 512)).contains("at 40960 shorn:"));
        assert!(told(Kept::Overtakes(3)).contains("at 40960 there without an older one:"));
    }

    #[test]
    fn a_wrong_state_reads_as_one_sentence() {
        assert_eq!(
            wrong().to_string(),
            "cut at 812 with 41 acknowledged and 1 of 2 writes lost, the one at 40960 lost: 1 of 41 \
             acknowledged records lost at 0.4 s"
        );
    }
}
