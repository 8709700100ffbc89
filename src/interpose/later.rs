//! The way on of a request that was struck: it waits, is refused, or is done after all.

use std::time::Duration;

use rustix::io::Errno;

use super::{
    rules::Strike,
    timer::{End, Timer, Wait},
};

/// An answer that can be a refusal.
pub(super) trait Refusable: Send + 'static {
    /// Refuses.
    fn refuse(self, errno: Errno);
}

macro_rules! refusable {
    ($($reply:ident),+ $(,)?) => {
        $(impl Refusable for fuser::$reply {
            fn refuse(self, errno: Errno) {
                self.error(fuser::Errno::from_i32(errno.raw_os_error()));
            }
        })+
    };
}

refusable!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyDirectory,
    ReplyEmpty,
    ReplyEntry,
    ReplyLseek,
    ReplyOpen,
    ReplyStatfs,
    ReplyWrite,
    ReplyXattr,
);

/// Does what was asked, after what strikes it. `work` may run later, on another thread.
pub(super) fn later<R: Refusable>(
    timer: &Timer,
    strike: &Strike,
    reply: R,
    work: impl FnOnce(R) + Send + 'static,
) {
    let errno = match strike.errno {
        Some(_) => strike.refuses(),
        None => strike.hang.and_then(|hang| hang.errno),
    };
    let go_on = move |end| match (end, errno) {
        (End::Killed, _) => reply.refuse(Errno::INTR),
        (End::Due, Some(errno)) => reply.refuse(Errno::from_raw_os_error(errno)),
        (End::Due, None) => work(reply),
    };
    let delay = strike.delay + strike.hang.map_or(Duration::ZERO, |hang| hang.at_most);
    if delay.is_zero() {
        return go_on(End::Due);
    }
    let task = strike.hang.map(|hang| hang.task);
    timer.after(Wait { delay, by: strike.by, task }, go_on);
}
