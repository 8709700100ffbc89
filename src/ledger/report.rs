//! What the checker found, as figures and as one sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::RecordId;

/// What became of everything a workload wrote.
///
/// Records are counted once each; `corrupt`, `torn`, `phantom`, `foreign` and `duplicated` count
/// pieces read back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerReport {
    /// Records intended.
    pub attempted: u64,
    /// Records the subject promised to keep.
    pub acknowledged: u64,
    /// Records the subject refused.
    pub failed: u64,
    /// Records without a clear outcome: they may be present or absent.
    pub indeterminate: u64,
    /// Intended records with an intact copy.
    pub present: u64,
    /// Acknowledged records of which nothing came back.
    pub lost: u64,
    /// Acknowledged records of which only damaged copies came back.
    pub damaged: u64,
    /// Pieces whose checksum, content or key is not what was written.
    pub corrupt: u64,
    /// Pieces that stop half-way.
    pub torn: u64,
    /// Intact records of this run that were never intended.
    pub phantom: u64,
    /// Intact records of other runs: old content of the volume, not judged.
    pub foreign: u64,
    /// Intact copies beyond the first of a record.
    pub duplicated: u64,
    /// Fewest acknowledged records that would have to move to restore each writer's order.
    pub reordered: u64,
    /// Gaps of lost or damaged records with a present record of the same writer after them.
    pub holes: u64,
    /// Records that were refused and are present all the same.
    pub resurrected: u64,
    /// Records without a clear outcome that are present.
    pub indeterminate_present: u64,
    /// Outcomes in the log without an intent: a mistake of the driver.
    pub stray_outcomes: u64,
    /// The lost record with the earliest acknowledgement.
    pub first_lost: Option<Lost>,
    /// The lost record with the latest acknowledgement.
    pub last_lost: Option<Lost>,
    /// Longest time without an acknowledgement, in microseconds.
    pub max_gap_us: u64,
}

/// A lost record, and when it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The record.
    pub id: RecordId,
    /// When it was acknowledged, in microseconds since the start of the run.
    pub at_us: u64,
}

impl LedgerReport {
    /// Acknowledged records that cannot be read back, whatever the cause.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.lost + self.damaged
    }

    /// Whether every promise was kept and nothing came back that was not written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.complaints().iter().all(|(count, _)| *count == 0) && self.lost == 0
    }

    fn complaints(&self) -> [(u64, &'static str); 7] {
        [
            (self.damaged, "acknowledged but damaged"),
            (self.corrupt, "corrupt"),
            (self.torn, "torn"),
            (self.phantom, "phantom"),
            (self.duplicated, "duplicated"),
            (self.reordered, "reordered"),
            (self.holes, "holes in the order"),
        ]
    }
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acknowledged = grouped(self.acknowledged);
        match (self.lost, self.first_lost, self.last_lost) {
            _ if self.acknowledged == 0 => {
                write!(f, "none of {} attempted records acknowledged", grouped(self.attempted))?;
            }
            (0, ..) if self.damaged > 0 => {
                write!(f, "none of {acknowledged} acknowledged records lost")?;
            }
            (0, ..) => write!(f, "all {acknowledged} acknowledged records present")?,
            (lost, first, last) => {
                write!(f, "{} of {acknowledged} acknowledged records lost", grouped(lost))?;
                if let (Some(first), Some(last)) = (first, last) {
                    let (first, last) = (seconds(first.at_us), seconds(last.at_us));
                    if first == last {
                        write!(f, " at {first} s")?;
                    } else {
                        write!(f, " between {first} s and {last} s")?;
                    }
                }
            }
        }
        for (count, what) in self.complaints().iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {} {what}", grouped(*count))?;
        }
        Ok(())
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Microseconds as seconds with one decimal.
fn seconds(us: u64) -> String {
    format!("{:.1}", us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(at_us: u64) -> Option<Lost> {
        Some(Lost { id: RecordId { writer: 0, sequence: 1 }, at_us })
    }

    #[test]
    fn reads_as_one_sentence() {
        let mut report = LedgerReport { attempted: 930_006, ..Default::default() };
        assert_eq!(report.to_string(), "none of 930,006 attempted records acknowledged");
        report.acknowledged = 930_005;
        assert_eq!(report.to_string(), "all 930,005 acknowledged records present");
        assert!(report.is_sound());
        report.lost = 131_418;
        report.first_lost = lost(1_200_000);
        report.last_lost = lost(3_400_000);
        assert_eq!(
            report.to_string(),
            "131,418 of 930,005 acknowledged records lost between 1.2 s and 3.4 s"
        );
        report.torn = 1;
        report.duplicated = 1000;
        assert!(report.to_string().ends_with("3.4 s, 1 torn, 1,000 duplicated"));
        assert!(!report.is_sound());
    }

    #[test]
    fn a_single_loss_has_one_time() {
        let report = LedgerReport {
            acknowledged: 7,
            lost: 1,
            first_lost: lost(2_000_000),
            last_lost: lost(2_000_000),
            ..Default::default()
        };
        assert_eq!(report.to_string(), "1 of 7 acknowledged records lost at 2.0 s");
    }

    #[test]
    fn survives_json() {
        let report = LedgerReport { lost: 3, first_lost: lost(5), ..Default::default() };
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<LedgerReport>(&text).unwrap(), report);
    }
}
