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
        /// What was read of it says so, and no check beside that.
        read: bool,
    },
    Unmountable(String),
    /// It is beyond what a disk may leave, and that was noticed.
    Refused {
        /// By the service, and not by its filesystem.
        by_service: bool,
    },
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
            Recovered::Unreadable(_) | Recovered::Crashed(_) if acknowledged == 0 => {
                return Self::Sound;
            }
            Recovered::Unreadable(why) | Recovered::Crashed(why) => {
                return Self::Wrong { why: why.clone(), lost: 0, read: true };
            }
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
        Self::Wrong { why, lost: report.lost, read: true }
    }

    /// The same of a state that may be beyond what a disk may leave: it is enough that it was noticed.
    pub(super) fn of_a_state(self, is_beyond: bool, recovered: &Recovered) -> Self {
        match (recovered, &self) {
            (Recovered::Unreadable(_), Self::Wrong { .. }) if is_beyond => {
                Self::Refused { by_service: true }
            }
            (_, Self::Unmountable(_)) if is_beyond => Self::Refused { by_service: false },
            _ => self,
        }
    }

    /// The same, if it is wrong, with what came before in front of it.
    pub(super) fn because(self, before: &str) -> Self {
        match self {
            Self::Wrong { why, lost, .. } => {
                Self::Wrong { why: format!("{before}: {why}"), lost, read: false }
            }
            Self::Unmountable(why) => Self::Unmountable(format!("{before}: {why}")),
            other => other,
        }
    }

    /// What was read of it says what it is, so that the service itself can be asked too. What cannot be mounted,
    /// cannot be mounted for a container.
    pub(super) fn is_by_reading(&self) -> bool {
        matches!(self, Self::Sound | Self::Wrong { read: true, .. })
    }

    /// What is wrong with it; none where no promise is broken.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Wrong { why, .. } | Self::Unmountable(why) => Some(why),
            Self::Sound | Self::Refused { .. } => None,
        }
    }

    /// What the filesystem does not give out says nothing of the service.
    pub(super) fn is_of_the_service(&self) -> bool {
        !matches!(self, Self::Refused { by_service: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_asked_only_where_it_was_read_what_is_wrong() {
        let wrong = |read| Seen::Wrong { why: "1 lost".into(), lost: 1, read };
        let unmountable = || Seen::Unmountable("EUCLEAN".into());
        assert!(Seen::Sound.is_by_reading() && wrong(true).is_by_reading());
        let twice = wrong(true).because("after a second cut");
        for other in
            [wrong(false), twice, unmountable(), unmountable().because("after a second cut")]
        {
            assert!(!other.is_by_reading() && other.why().is_some(), "{other:?}");
        }
        assert_eq!(Seen::Refused { by_service: true }.why(), None);
    }

    #[test]
    fn what_is_beyond_a_disk_is_sound_where_it_is_noticed_and_nowhere_else() {
        let wrong = || Seen::Wrong { why: "malformed".into(), lost: 0, read: true };
        let unreadable = Recovered::Unreadable("malformed".into());
        assert_eq!(wrong().of_a_state(true, &unreadable), Seen::Refused { by_service: true });
        assert_eq!(wrong().of_a_state(false, &unreadable), wrong(), "it must be survived");
        let crashed = Recovered::Crashed("139".into());
        assert_eq!(wrong().of_a_state(true, &crashed), wrong(), "to die of it is not to notice");
        let silent = Recovered::Records(Vec::new());
        assert_eq!(wrong().of_a_state(true, &silent), wrong(), "what is lost in silence");
        let unmountable = || Seen::Unmountable("EUCLEAN".into());
        let recovered = Recovered::Unmountable("EUCLEAN".into());
        let refused = unmountable().of_a_state(true, &recovered);
        assert!(refused == Seen::Refused { by_service: false } && !refused.is_of_the_service());
        assert_eq!(unmountable().of_a_state(false, &recovered), unmountable());
        assert_eq!(Seen::Sound.of_a_state(true, &silent), Seen::Sound);
    }
}
