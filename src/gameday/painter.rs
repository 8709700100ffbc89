//! A thread that writes to the terminal. One that takes nothing more, as after Ctrl-S or on a dead
//! link, keeps only this thread waiting.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use tokio::sync::oneshot;

/// Resolves when the last bytes were written, or could not be.
pub(super) type Left = oneshot::Receiver<Infallible>;

/// The thread's other side. Dropped, the thread writes its last bytes and ends.
pub(super) struct Painter {
    pages: Sender<Vec<u8>>,
    busy: Arc<AtomicBool>,
}

impl Painter {
    /// Starts the thread. `last` is written in the end; `broken` is called when nothing more can be
    /// written.
    ///
    /// # Errors
    /// When there is no room for a thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        last: Vec<u8>,
        broken: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Self, Left)> {
        let (pages, received) = mpsc::channel();
        let (leaving, left) = oneshot::channel();
        let busy = Arc::new(AtomicBool::new(false));
        let painter = Self { pages, busy: Arc::clone(&busy) };
        std::thread::Builder::new().name("painter".into()).spawn(move || {
            let mut out = out;
            if write_all(&mut out, &received, &busy).is_err() {
                broken();
            }
            let _ = out.write_all(&last).and_then(|()| out.flush());
            drop(leaving);
        })?;
        Ok((painter, left))
    }

    /// Everything so far was written. Otherwise a page would only wait, and be old by then.
    pub(super) fn is_free(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Hands over bytes to be written after those before. Waits for nobody.
    pub(super) fn paint(&self, page: Vec<u8>) {
        self.busy.store(true, Ordering::Release);
        // a thread that is gone has said so
        let _ = self.pages.send(page);
    }
}

fn write_all(out: &mut impl Write, pages: &Receiver<Vec<u8>>, busy: &AtomicBool) -> io::Result<()> {
    for page in pages {
        out.write_all(&page)?;
        out.flush()?;
        busy.store(false, Ordering::Release);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{SyncSender, sync_channel},
        time::Duration,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A terminal that takes bytes only while somebody reads them; gone with its reader.
    struct Stuck(SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.0.send(bytes.to_vec()).map(|()| bytes.len()).map_err(gone)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_terminal_that_takes_nothing_keeps_nobody_waiting_and_misses_nothing() {
        let (terminal, reader) = sync_channel(0);
        let (painter, mut left) =
            Painter::start(Stuck(terminal), b"leave".to_vec(), || panic!("it only waits")).unwrap();
        assert!(painter.is_free());
        painter.paint(b"one".to_vec());
        assert!(!painter.is_free(), "nobody has read it");
        drop(painter);
        assert!(left.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Empty));
        let read = || reader.recv_timeout(LONG).unwrap();
        assert_eq!((read(), read()), (b"one".to_vec(), b"leave".to_vec()));
        let ended = tokio::time::timeout(LONG, left).await.expect("it has left");
        assert!(ended.is_err());
    }

    #[test]
    fn a_terminal_that_is_gone_is_said_to_be() {
        let (terminal, reader) = sync_channel(0);
        drop(reader);
        let (told, heard) = mpsc::channel();
        let gone = move || told.send(()).unwrap();
        let (painter, _left) = Painter::start(Stuck(terminal), Vec::new(), gone).unwrap();
        painter.paint(b"one".to_vec());
        heard.recv_timeout(LONG).unwrap();
        assert!(!painter.is_free());
    }
}
