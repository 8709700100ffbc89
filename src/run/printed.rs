//! What a subject printed, and when each line of it was, on the clock of the run. Pure.
//!
//! The runtime has put the engine's stamps on our wall clock, where the engine's own differs.

use crate::runtime::Printed;

/// One moment on two clocks: Unix nanoseconds, and microseconds since the run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) unix_ns: i64,
    pub(super) run_us: u64,
}

impl Moment {
    /// Another moment, in microseconds since the run started; what was before it is its start.
    fn to_run(self, unix_ns: i64) -> u64 {
        let later_us = unix_ns.saturating_sub(self.unix_ns) / 1000;
        self.run_us.saturating_add_signed(later_us)
    }
}

/// The text, and for each of its lines when it was printed. No times where one is not known: the
/// others would be those of the wrong lines.
pub(super) fn lines(pieces: &[Printed], now: Moment) -> (String, Vec<u64>) {
    let (mut bytes, mut times) = (Vec::new(), Vec::new());
    for piece in pieces {
        for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            // a long line comes in several pieces, and began with the first
            if bytes.last().is_none_or(|last| *last == b'\n') {
                times.push(piece.at_ns.map(|at_ns| now.to_run(at_ns)));
            }
            bytes.extend_from_slice(line);
        }
    }
    let times = times.into_iter().collect::<Option<Vec<u64>>>().unwrap_or_default();
    (String::from_utf8_lossy(&bytes).into_owned(), times)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { unix_ns: 1_000_000_000_000, run_us: 5_000_000 };

    /// Pieces, each so many microseconds before now.
    fn pieces(all: &[(Option<i64>, &str)]) -> Vec<Printed> {
        let piece = |(ago_us, text): &(Option<i64>, &str)| Printed {
            at_ns: ago_us.map(|ago_us| NOW.unix_ns - ago_us * 1000),
            bytes: text.as_bytes().to_vec(),
        };
        all.iter().map(piece).collect()
    }

    #[test]
    fn each_line_has_the_time_at_which_it_began() {
        let all = [(Some(9_000_000), "early\n"), (Some(300), "a "), (Some(200), "b\n\nc\n")];
        let (text, times) = lines(&pieces(&all), NOW);
        assert_eq!(text, "early\na b\n\nc\n");
        assert_eq!(times, [0, 4_999_700, 4_999_800, 4_999_800]);
        assert_eq!(times.len(), text.lines().count());
    }

    #[test]
    fn one_time_that_is_not_known_takes_the_others_along() {
        let (text, times) = lines(&pieces(&[(Some(2), "a\n"), (None, "b\n")]), NOW);
        assert_eq!((text.as_str(), times), ("a\nb\n", Vec::new()));
    }
}
