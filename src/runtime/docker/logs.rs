//! What a container printed: any bytes, bounded.
//!
//! The engine takes whole seconds for "since", so it is asked for time stamps, and what is older is
//! left out here.

use bollard::query_parameters::LogsOptions;
use futures_util::TryStreamExt;

use super::Docker;
use crate::runtime::Result;

impl Docker {
    pub(super) async fn output_since(
        &self,
        container: &str,
        since: i64,
        limit: usize,
    ) -> Result<Vec<u8>> {
        let seconds = since.max(0) / NANOSECONDS;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            since: i32::try_from(seconds).unwrap_or(i32::MAX),
            timestamps: since > 0,
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        let call = self.call("reading the output of", "container", container);
        call.run(async {
            let mut pieces = self.client.logs(container, Some(options));
            let mut tail = Tail { bytes: Vec::new(), limit };
            while let Some(piece) = pieces.try_next().await? {
                let bytes: &[u8] = piece.as_ref();
                let kept = if since > 0 { not_before(since, bytes) } else { Some(bytes) };
                kept.into_iter().for_each(|bytes| tail.push(bytes));
            }
            Ok(tail.finish())
        })
        .await
    }
}

const NANOSECONDS: i64 = 1_000_000_000;

/// A stamp of the engine, `2024-05-01T10:00:00.000000000Z`, is no longer, whatever its offset.
const STAMP: usize = 40;

/// A piece of output without the stamp before it; none when that is older. Lines of more than 16 KiB
/// come in pieces that are stamped one by one. A piece without a stamp is kept.
fn not_before(since: i64, piece: &[u8]) -> Option<&[u8]> {
    let end = piece.iter().take(STAMP).position(|byte| *byte == b' ');
    let stamp = end.and_then(|end| std::str::from_utf8(&piece[..end]).ok()?.parse().ok());
    match (stamp, end) {
        (Some(stamp), Some(end)) => {
            let stamp: jiff::Timestamp = stamp;
            (stamp.as_nanosecond() >= i128::from(since)).then(|| &piece[end + 1..])
        }
        _ => Some(piece),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_pieces_are_left_out_and_stamps_taken_off() {
        let second = 1_714_557_600 * NANOSECONDS;
        let line = b"2024-05-01T10:00:00.000000007Z ENOSPC \xff one\n";
        assert_eq!(not_before(second + 7, line), Some(&b"ENOSPC \xff one\n"[..]));
        assert_eq!(not_before(second + 8, line), None);
        let empty = b"2024-05-01T12:00:00.000000007+02:00 \n";
        assert_eq!(not_before(second, empty), Some(&b"\n"[..]));
        for unstamped in [&b"no stamp at all\n"[..], b"word", b"", b" \n"] {
            assert_eq!(not_before(second, unstamped), Some(unstamped));
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
}
