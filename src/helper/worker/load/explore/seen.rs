//! What one state came to, once it was recovered: judged by what had been promised.

use super::{promises::Promises, recovered::Recovered};
use crate::protocol::Reads;

/// What one state came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Sound,
    Wrong {
        why: String,
        /// Acknowledged records that are not in it, where they could be counted.
        lost: u64,
    },
    Unmountable(String),
}

impl Seen {
    /// Judges what recovery came to by the first so many acknowledgements.
    pub(super) fn of(
        recovered: &Recovered,
        (promises, acknowledged): (&mut Promises, usize),
        reads: &Reads,
    ) -> Self {
        let report = match recovered {
            // a service that had not begun to promise anything need not be able to recover
            Recovered::Unreadable(_) if acknowledged == 0 => return Self::Sound,
            Recovered::Unreadable(why) => return Self::Wrong { why: why.clone(), lost: 0 },
            Recovered::Unmountable(why) => return Self::Unmountable(why.clone()),
            there => promises.judge(acknowledged, there.records().unwrap_or_default()),
        };
        if report.is_sound() {
            return Self::Sound;
        }
        let lost = report.first_lost.map(|lost| format!(", first `{}`", lost.id));
        let no_file = matches!(recovered, Recovered::NoFile);
        let gone = no_file.then(|| format!("; there is no {reads}"));
        let why = format!("{report}{}{}", lost.unwrap_or_default(), gone.unwrap_or_default());
        Self::Wrong { why, lost: report.lost }
    }
}
