//! A process that serves a disk must not wait for what only it can do: when memory is short, whoever
//! needs a page may be made to write back dirty ones first, and those may be its own disk's.

#![expect(
    unsafe_code,
    reason = "rustix wraps mlockall with a feature that nothing else here needs"
)]

use rustix::process::configure_io_flusher_behavior;

use super::error::{Context as _, HostError, HostResult};

/// Locks what the process has mapped, page by page as it comes to be used. That is its program. What a
/// disk holds, and the log of it, come later and are left out on purpose: they may be gigabytes, which
/// pinned would make memory short themselves; and with all that comes locked, an allocation would fail
/// at `RLIMIT_MEMLOCK`, and the process with it.
///
/// # Errors
/// `ENOMEM` or `EPERM` where the limit is smaller, and `CAP_IPC_LOCK` lacks.
pub fn lock_program() -> HostResult<()> {
    // SAFETY: no memory is changed, only whether it may be taken out of core
    let done = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT) };
    last(done).op("mlockall", "memory")
}

/// Whether [`lock_program`] may be done here; it is undone.
///
/// # Errors
/// As there.
pub fn can_lock_program() -> HostResult<()> {
    lock_program()?;
    // SAFETY: as above
    last(unsafe { libc::munlockall() }).op("munlockall", "memory")
}

fn last(done: libc::c_int) -> std::io::Result<()> {
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Tells the kernel that this thread, and those that it starts from now on, do the writing back: it has
/// none of them wait for any (`PR_SET_IO_FLUSHER`, since Linux 5.6).
///
/// # Errors
/// `EPERM` without `CAP_SYS_RESOURCE`, `EINVAL` on older kernels.
pub fn flush() -> HostResult<()> {
    configure_io_flusher_behavior(true).op("prctl", "io flusher")
}

/// Whether [`flush`] may be done here: tried by a thread that ends with it.
///
/// # Errors
/// As there.
pub fn can_flush() -> HostResult<()> {
    let no_thread = || HostError::sys("clone", "thread", rustix::io::Errno::AGAIN);
    std::thread::scope(|scope| scope.spawn(flush).join()).unwrap_or_else(|_| Err(no_thread()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The flags of a thread, by which the kernel knows it: the ninth field of its `stat`.
    fn flags() -> u64 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, behind_name) = stat.rsplit_once(')').unwrap();
        behind_name.split_whitespace().nth(6).unwrap().parse().unwrap()
    }

    /// `PF_MEMALLOC_NOIO` in `include/linux/sched.h`.
    const NO_IO: u64 = 0x0008_0000;

    #[test]
    fn a_flusher_is_known_to_the_kernel_and_so_are_its_threads_or_it_is_said_why_not() {
        let flusher = || {
            let said = flush();
            (
                said,
                flags() & NO_IO != 0,
                std::thread::spawn(|| flags() & NO_IO != 0).join().unwrap(),
            )
        };
        let (said, it, its_thread) = std::thread::spawn(flusher).join().unwrap();
        assert_eq!((it, its_thread), (said.is_ok(), said.is_ok()), "{said:?}");
        assert_eq!(can_flush().is_ok(), said.is_ok());
        assert_eq!(flags() & NO_IO, 0, "a trial leaves nothing behind");
        if let Err(error) = said {
            assert!(error.is(libc::EPERM) || error.is(libc::EINVAL), "{error}");
        }
    }
}
