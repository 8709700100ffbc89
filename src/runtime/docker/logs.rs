//! What a container printed: any bytes, bounded.
//!
//! The engine takes whole seconds for "since", so it is asked for time stamps, and what is older is
//! left out here.

use std::collections::VecDeque;

use bollard::query_parameters::LogsOptions;
use futures_util::TryStreamExt;

use super::Docker;
use crate::runtime::{Printed, Result};

impl Docker {
    pub(super) async fn output_since(
        &self,
        container: &str,
        since: i64,
        limit: usize,
    ) -> Result<Vec<u8>> {
        let mut tail = Tail { bytes: Vec::new(), limit };
        self.each_since(container, since, since > 0, |_, bytes| tail.push(bytes)).await?;
        Ok(tail.finish())
    }

    pub(super) async fn printed_since(
        &self,
        container: &str,
        since: i64,
        limit: usize,
    ) -> Result<Vec<Printed>> {
        let mut pieces = Pieces { kept: VecDeque::new(), size: 0, limit };
        self.each_since(container, since, true, |at_ns, bytes| pieces.push(at_ns, bytes)).await?;
        Ok(pieces.kept.into())
    }

    /// Hands over every piece that is not older, without its stamp. Times are those of our clock.
    async fn each_since(
        &self,
        container: &str,
        since: i64,
        timestamps: bool,
        mut take: impl FnMut(Option<i64>, &[u8]),
    ) -> Result<()> {
        let ahead_ns = if timestamps { self.ahead_ns().await } else { 0 };
        let since = if since > 0 { since.saturating_add(ahead_ns) } else { since };
        let seconds = since.max(0) / NANOSECONDS;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            since: i32::try_from(seconds).unwrap_or(i32::MAX),
            timestamps,
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        let call = self.call("reading the output of", "container", container);
        call.run(async {
            let mut pieces = self.client.logs(container, Some(options));
            while let Some(piece) = pieces.try_next().await? {
                let bytes: &[u8] = piece.as_ref();
                let (at_ns, text) = if timestamps { unstamped(bytes) } else { (None, bytes) };
                if at_ns.is_none_or(|at_ns| at_ns >= since) {
                    take(at_ns.map(|at_ns| at_ns.saturating_sub(ahead_ns)), text);
                }
            }
            Ok(())
        })
        .await
    }
}

const NANOSECONDS: i64 = 1_000_000_000;

/// A stamp of the engine, `2024-05-01T10:00:00.000000000Z`, is no longer, whatever its offset.
const STAMP: usize = 40;

/// The stamp of a piece of output, in Unix nanoseconds, and what follows it. Lines of more than 16 KiB
/// come in pieces that are stamped one by one. A piece may have none.
fn unstamped(piece: &[u8]) -> (Option<i64>, &[u8]) {
    let end = piece.iter().take(STAMP).position(|byte| *byte == b' ');
    let stamp = end.and_then(|end| {
        let stamp: jiff::Timestamp = std::str::from_utf8(&piece[..end]).ok()?.parse().ok()?;
        i64::try_from(stamp.as_nanosecond()).ok()
    });
    match (stamp, end) {
        (Some(at_ns), Some(end)) => (Some(at_ns), &piece[end + 1..]),
        _ => (None, piece),
    }
}

/// The last bytes of a stream.
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // not at every piece: each cut moves what stays
        if self.bytes.len() > self.limit.saturating_mul(2).saturating_add(64 * 1024) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.bytes.drain(..self.bytes.len().saturating_sub(self.limit));
    }

    fn finish(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}

/// The last pieces of a stream, of as many bytes.
struct Pieces {
    kept: VecDeque<Printed>,
    size: usize,
    limit: usize,
}

impl Pieces {
    fn push(&mut self, at_ns: Option<i64>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.size += bytes.len();
        self.kept.push_back(Printed { at_ns, bytes: bytes.to_vec() });
        while let Some(over) = self.size.checked_sub(self.limit).filter(|over| *over > 0) {
            let Some(first) = self.kept.front_mut() else { return };
            let cut = over.min(first.bytes.len());
            first.bytes.drain(..cut);
            self.size -= cut;
            if first.bytes.is_empty() {
                self.kept.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::runtime::docker::scripted::{ScriptedEngine, json};

    #[tokio::test]
    async fn an_engine_whose_clock_differs_prints_by_ours() {
        for ahead in [SignedDuration::from_hours(1), SignedDuration::from_hours(-1)] {
            let start = Timestamp::now();
            let theirs = move |since: i64| start + ahead + SignedDuration::from_secs(since);
            let engine = ScriptedEngine::start(move |asked| match asked {
                "GET /info" => json(&json!({ "SystemTime": theirs(0).to_string() })),
                _ => Some((200, format!("{} old\n{} new\n", theirs(-60), theirs(-20)))),
            });
            let client = engine.client();
            let ns = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap();
            let since = ns(start - SignedDuration::from_secs(40));
            let printed = client.printed_since("c", since, 100).await.unwrap();
            assert_eq!(client.output_since("c", since, 100).await.unwrap(), b"new\n");
            let [new] = &printed[..] else { panic!("{printed:?}") };
            assert_eq!(new.bytes, b"new\n");
            let off = new.at_ns.unwrap() - ns(start - SignedDuration::from_secs(20));
            assert!(off.abs() < 10 * NANOSECONDS, "{off} ns");
            assert_eq!(engine.asked("/info").len(), 1, "it is asked for once");
        }
    }

    #[test]
    fn stamps_are_read_and_taken_off() {
        let second = 1_714_557_600 * NANOSECONDS;
        let line = b"2024-05-01T10:00:00.000000007Z ENOSPC \xff one\n";
        assert_eq!(unstamped(line), (Some(second + 7), &b"ENOSPC \xff one\n"[..]));
        let empty = b"2024-05-01T12:00:00.000000007+02:00 \n";
        assert_eq!(unstamped(empty), (Some(second + 7), &b"\n"[..]));
        for unstamped_piece in [&b"no stamp at all\n"[..], b"word", b"", b" \n"] {
            assert_eq!(unstamped(unstamped_piece), (None, unstamped_piece));
        }
    }

    #[test]
    fn the_last_bytes_stay() {
        let mut tail = Tail { bytes: Vec::new(), limit: 5 };
        for number in 0..100_000_u32 {
            tail.push(number.to_string().as_bytes());
        }
        assert!(tail.bytes.capacity() < 1 << 18);
        assert_eq!(tail.finish(), b"99999");
    }

    #[test]
    fn the_last_pieces_stay_and_the_first_of_them_is_cut() {
        let mut pieces = Pieces { kept: VecDeque::new(), size: 0, limit: 8 };
        for (at_ns, text) in [(1, "one\n"), (2, "two\n"), (3, ""), (4, "four\n")] {
            pieces.push(Some(at_ns), text.as_bytes());
        }
        let kept: Vec<(Option<i64>, &[u8])> =
            pieces.kept.iter().map(|piece| (piece.at_ns, piece.bytes.as_slice())).collect();
        assert_eq!(kept, [(Some(2), &b"wo\n"[..]), (Some(4), b"four\n")]);
        pieces.push(None, b"longer than all of it");
        assert_eq!(pieces.kept.len(), 1);
        assert_eq!(pieces.kept[0].bytes, b"ll of it");
    }
}
