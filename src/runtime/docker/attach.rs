//! A program's three streams, taken apart.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bollard::container::LogOutput;
use bytes::{Buf, Bytes};
use futures_util::Stream;
use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};

/// Lines of standard error that wait for a reader; more are dropped.
const LINES: usize = 1024;
/// Bytes of a line of standard error; more start another line.
const LINE: usize = 8 * 1024;

/// A program that we are attached to.
pub struct Attached {
    /// Its standard input. Shutting it down is the program's end of file.
    pub stdin: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its standard output.
    pub stdout: Output,
    /// Lines of its standard error, invalid UTF-8 replaced. They arrive while `stdout` is read; of
    /// more than 1024 that nobody takes, the later ones are dropped.
    pub stderr: mpsc::Receiver<String>,
}

type Pieces = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

impl Attached {
    pub(super) fn new(stdin: Pin<Box<dyn AsyncWrite + Send>>, pieces: Pieces) -> Self {
        let (lines, stderr) = mpsc::channel(LINES);
        let stdout = Output { pieces, ready: Bytes::new(), line: Vec::new(), lines };
        Self { stdin, stdout, stderr }
    }
}

/// Standard output, out of the stream that carries both.
pub struct Output {
    pieces: Pieces,
    ready: Bytes,
    line: Vec<u8>,
    lines: mpsc::Sender<String>,
}

impl Output {
    fn error_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' || self.line.len() >= LINE {
                self.end_line();
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        // full: the reader is slow, and the program must not wait for it
        let _ = self.lines.try_send(line);
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            match std::task::ready!(self.pieces.as_mut().poll_next(cx)) {
                None => {
                    if !self.line.is_empty() {
                        self.end_line();
                    }
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(LogOutput::StdErr { message })) => self.error_bytes(&message),
                Some(Ok(piece)) => self.ready = piece.into_bytes(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.ready.len().min(into.remaining());
        into.put_slice(&self.ready[..count]);
        self.ready.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attached")
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_streams_come_apart() {
        let pieces = [
            LogOutput::StdOut { message: Bytes::from_static(b"one ") },
            LogOutput::StdErr { message: Bytes::from_static(b"war") },
            LogOutput::StdOut { message: Bytes::from_static(b"two") },
            LogOutput::StdErr { message: Bytes::from_static(b"ning\nrest\xff") },
        ];
        let pieces = futures_util::stream::iter(pieces.map(Ok));
        let mut attached = Attached::new(Box::pin(io::sink()), Box::pin(pieces));
        let mut text = String::new();
        attached.stdout.read_to_string(&mut text).await.unwrap();
        drop(attached.stdout);
        assert_eq!(text, "one two");
        assert_eq!(attached.stderr.recv().await.as_deref(), Some("warning"));
        assert_eq!(attached.stderr.recv().await.as_deref(), Some("rest\u{fffd}"));
        assert_eq!(attached.stderr.recv().await, None);
    }
}
