//! JSON values in length-delimited frames of at most 8 MiB.

use futures_util::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::WireError;

/// The largest frame, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

/// The receiving side.
pub(crate) struct Incoming<R>(FramedRead<R, LengthDelimitedCodec>);

/// The sending side.
pub(crate) struct Outgoing<W>(W);

/// Frames from a stream.
pub(crate) fn incoming<R: AsyncRead + Unpin>(stream: R) -> Incoming<R> {
    let codec = LengthDelimitedCodec::builder().max_frame_length(LARGEST).new_codec();
    Incoming(FramedRead::new(stream, codec))
}

/// Frames into a stream.
pub(crate) fn outgoing<W: AsyncWrite + Unpin>(stream: W) -> Outgoing<W> {
    Outgoing(stream)
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// The next value; safe to cancel. Has no deadline of its own.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, WireError> {
        match self.0.next().await {
            Some(Ok(bytes)) => serde_json::from_slice(&bytes)
                .map_err(|error| WireError::Garbled(error.to_string())),
            Some(Err(error)) => Err(WireError::Ended(error.to_string())),
            None => Err(WireError::Ended("end of stream".into())),
        }
    }
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    /// Sends a value and flushes it.
    pub(crate) async fn send(&mut self, value: &impl Serialize) -> Result<(), WireError> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, value)
            .map_err(|error| WireError::Garbled(error.to_string()))?;
        let length = bytes.len() - 4;
        let header = u32::try_from(length).ok().filter(|_| length <= LARGEST);
        let Some(header) = header else {
            return Err(WireError::Garbled(format!(
                "{length} bytes are more than one frame holds"
            )));
        };
        bytes[..4].copy_from_slice(&header.to_be_bytes());
        let ended = |error: std::io::Error| WireError::Ended(error.to_string());
        // one write: a frame is not torn by a sender that dies between two
        self.0.write_all(&bytes).await.map_err(ended)?;
        self.0.flush().await.map_err(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_come_through_and_an_oversized_one_is_refused() {
        let (near, far) = tokio::io::duplex(64);
        let (mut out, mut into) = (outgoing(near), incoming(far));
        let text = "x".repeat(1000);
        let (sent, got) = tokio::join!(out.send(&text), into.receive::<String>());
        sent.unwrap();
        assert_eq!(got.unwrap(), text);
        let huge = "x".repeat(LARGEST + 1);
        assert!(matches!(out.send(&huge).await, Err(WireError::Garbled(_))));
    }

    #[tokio::test]
    async fn an_announced_length_beyond_the_bound_ends_the_stream() {
        let bytes: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'{'];
        assert!(matches!(incoming(bytes).receive::<u8>().await, Err(WireError::Ended(_))));
    }
}
