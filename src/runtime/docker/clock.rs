//! The engine's clock against ours: that of a virtual machine, or of another host, may differ.

use super::Docker;
use crate::runtime::RuntimeError;

impl Docker {
    /// How far the engine's clock is ahead of ours, in nanoseconds; asked for once. An engine that does
    /// not say is taken to have ours.
    pub(super) async fn ahead_ns(&self) -> i64 {
        let asked = self.ahead_ns.get_or_try_init(|| async {
            let call = self.call("asking for", "what the engine is", "");
            let before = jiff::Timestamp::now();
            let said = call.run(self.client.info()).await?.system_time;
            let after = jiff::Timestamp::now();
            let theirs = said.and_then(|text| text.parse().ok());
            let between = theirs.map(|theirs| ahead_ns([before, theirs, after].map(nanoseconds)));
            Ok::<_, RuntimeError>(between.unwrap_or(0))
        });
        asked.await.copied().unwrap_or(0)
    }
}

/// Their reading, between two of ours. One that lies between them may be by the same clock, and is
/// taken for that: a guess within the time of the call would put a good clock wrong.
fn ahead_ns([before, theirs, after]: [i64; 3]) -> i64 {
    if (before..=after).contains(&theirs) {
        return 0;
    }
    theirs.saturating_sub(before.midpoint(after))
}

/// They fit until the year 2262.
fn nanoseconds(at: jiff::Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_may_be_ours_is_not_corrected() {
        for (readings, ahead) in [
            ([100, 100, 160], 0),
            ([100, 155, 160], 0),
            ([100, 1130, 160], 1000),
            ([100, 30, 160], -100),
        ] {
            assert_eq!(ahead_ns(readings), ahead, "{readings:?}");
        }
    }
}
