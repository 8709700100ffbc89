//! Errors of the system by their names, which is what people search for.

use std::io;

use nix::errno::Errno;

/// `ENOSPC`, or `OTHER` when the error did not come from the system.
pub(super) fn name(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| "OTHER".into(), |code| format!("{:?}", Errno::from_raw(code)))
}

/// `ENOSPC (No space left on device)`.
pub(super) fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{} ({})", name(error), Errno::from_raw(code).desc()),
        None => error.to_string(),
    }
}

/// Whether deleting something may help: no bytes, no inodes, or no quota left.
pub(super) fn is_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_names() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(describe(&full), "ENOSPC (No space left on device)");
        assert!(is_space(&full) && is_space(&io::Error::from_raw_os_error(libc::EDQUOT)));
        let readonly = io::Error::from_raw_os_error(libc::EROFS);
        assert_eq!(name(&readonly), "EROFS");
        assert!(!is_space(&readonly));
    }
}
