//! Tasks that wait in the kernel: whether somebody has killed them meanwhile.

use std::fs;

/// SIGKILL in a mask of signals.
const KILL: u64 = 1 << (libc::SIGKILL - 1);

/// Whether a task is gone, or will be as soon as it comes back. A signal that ends a process is
/// SIGKILL to each of its tasks (linux/kernel/signal.c, `complete_signal`), and pending for as long
/// as the task waits without listening. One that is not ours to see counts as alive.
#[must_use]
pub fn is_killed(task: u32) -> bool {
    match fs::read_to_string(format!("/proc/{task}/status")) {
        Ok(status) => is_killed_by(&status),
        Err(error) => task != 0 && matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)),
    }
}

fn is_killed_by(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let pending = field("SigPnd:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let state = field("State:").unwrap_or_default().trim_start();
    pending.is_some_and(|mask| mask & KILL != 0) || state.starts_with(['Z', 'X'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_death_and_death_alike() {
        let status = |state: &str, pending: &str| {
            format!("Name:\tx\nState:\t{state}\nSigPnd:\t{pending}\nShdPnd:\t0000000000000100\n")
        };
        assert!(!is_killed_by(&status("D (disk sleep)", "0000000000000000")));
        assert!(!is_killed_by(&status("D (disk sleep)", "0000000000004000")), "SIGTERM is handled");
        assert!(is_killed_by(&status("D (disk sleep)", "0000000000000100")));
        assert!(is_killed_by(&status("Z (zombie)", "0000000000000000")));
        assert!(!is_killed(std::process::id()) && !is_killed(0) && is_killed(u32::MAX >> 1));
    }
}
