//! The one error type of this layer.
//!
//! Says what was tried, on what, and which errno came back. It must not judge: whether an errno
//! is a failed act or the very effect a fault wanted is for the caller to say.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::errno::Errno;

/// Why a primitive did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// A system call failed.
    #[error("{op} `{path}`: {errno}", path = path.display())]
    Sys {
        /// What was tried: the system call, or a short phrase.
        op: Cow<'static, str>,
        /// The object it was tried on.
        path: PathBuf,
        /// What the kernel answered.
        errno: Errno,
    },
    /// The object is there but it is not the one that was meant; nothing was touched.
    #[error("`{path}` is not ours: {detail}", path = path.display())]
    NotOurs {
        /// The object.
        path: PathBuf,
        /// What was expected and what was found.
        detail: String,
    },
    /// The process that was meant has ended; its pid may belong to another one by now.
    #[error("process {pid} has ended")]
    Gone {
        /// The pid it had.
        pid: u32,
    },
    /// A kernel file or an argument does not have the form it must have.
    #[error("{what}: {detail}")]
    Malformed {
        /// The file or the argument.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The work on the throw-away thread panicked; the thread is gone and nothing else is harmed.
    #[error("the work in the namespace panicked: {0}")]
    Panicked(String),
}

/// What a primitive returns.
pub type HostResult<T> = Result<T, HostError>;

impl HostError {
    /// A failed system call.
    pub fn sys(
        op: impl Into<Cow<'static, str>>,
        path: impl AsRef<Path>,
        errno: impl Into<Errno>,
    ) -> Self {
        Self::Sys { op: op.into(), path: path.as_ref().to_path_buf(), errno: errno.into() }
    }

    /// The errno, when a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Sys { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether this is a failed system call with that errno (a `libc` constant).
    #[must_use]
    pub fn is(&self, number: i32) -> bool {
        self.errno() == Some(Errno(number))
    }

    pub(crate) fn malformed(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), detail: detail.into() }
    }
}

/// Adds what was tried to the bare errno of a call.
pub(super) trait Context<T> {
    fn op(self, op: &'static str, path: impl AsRef<Path>) -> HostResult<T>;
}

impl<T, E: Into<Errno>> Context<T> for Result<T, E> {
    fn op(self, op: &'static str, path: impl AsRef<Path>) -> HostResult<T> {
        self.map_err(|errno| HostError::sys(op, path, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_call_object_and_errno() {
        let error = HostError::sys("open", "/x", Errno(libc::EROFS));
        assert_eq!(error.to_string(), "open `/x`: EROFS (read-only file system)");
        assert!(error.is(libc::EROFS) && !error.is(libc::EIO));
    }
}
