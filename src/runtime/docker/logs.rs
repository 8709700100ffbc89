//! What a container printed: any bytes, bounded.

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
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            since: i32::try_from(since.max(0)).unwrap_or(i32::MAX),
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        let call = self.call("reading the output of", "container", container);
        call.run(async {
            let mut pieces = self.client.logs(container, Some(options));
            let mut tail = Tail { bytes: Vec::new(), limit };
            while let Some(piece) = pieces.try_next().await? {
                tail.push(piece.as_ref());
            }
            Ok(tail.finish())
        })
        .await
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
    fn the_last_bytes_stay() {
        let mut tail = Tail { bytes: Vec::new(), limit: 5 };
        for number in 0..100_000_u32 {
            tail.push(number.to_string().as_bytes());
        }
        assert!(tail.bytes.capacity() < 1 << 18);
        assert_eq!(tail.finish(), b"99999");
    }
}
