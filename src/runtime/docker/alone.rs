//! One maker of our image at a time, among scenarios side by side and among commands of one user.
//! Two makers at once do no harm: there are two images of the same layer, one without a tag.

use std::{fs::File, time::Duration};

use rustix::fs::{FlockOperation, Mode, OFlags};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// Between attempts.
const PAUSE: Duration = Duration::from_millis(25);

static HERE: Mutex<()> = Mutex::const_new(());

/// Held while the image is made; let go by being dropped, or by the end of the process.
pub(super) struct Alone {
    _here: MutexGuard<'static, ()>,
    _everywhere: Option<File>,
}

impl Alone {
    /// Waits for its turn, for a bounded time; then goes ahead.
    pub(super) async fn wait(limit: Duration) -> Self {
        let here = HERE.lock().await;
        let mut file = open();
        let end = Instant::now() + limit;
        while let Some(held) = &file {
            match rustix::fs::flock(held, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => file = None,
            }
        }
        Self { _here: here, _everywhere: file }
    }
}

/// None where there is no place for it: then two may meet.
fn open() -> Option<File> {
    let name = format!("keelhaul-{}.lock", rustix::process::getuid().as_raw());
    let path = std::env::temp_dir().join(name);
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).ok()?;
    Some(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_waits_until_the_first_is_done() {
        let first = Alone::wait(Duration::from_secs(60)).await;
        let next = tokio::spawn(Alone::wait(Duration::from_secs(60)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!next.is_finished());
        drop(first);
        next.await.unwrap();
    }
}
