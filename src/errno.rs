//! Error numbers by name, in both directions, and as users write them.
//!
//! A pure table: no system call. It must not learn what a fault does with an error.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::diagnostic;

/// A Linux error number.
///
/// Displays as `ENOSPC (no space left on device)`; a number without a name as `errno 4095`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errno(pub i32);

impl Errno {
    /// The number with this name, as `errno.h` spells it; the aliases `EWOULDBLOCK`, `ENOTSUP`
    /// and `EFSCORRUPTED` are known too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = match name {
            "EWOULDBLOCK" => "EAGAIN",
            "ENOTSUP" => "EOPNOTSUPP",
            "EFSCORRUPTED" => "EUCLEAN",
            other => other,
        };
        TABLE.iter().find(|(_, known, _)| *known == name).map(|(number, _, _)| Self(*number))
    }

    /// The name in `errno.h`, if the number has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|(_, name, _)| *name)
    }

    /// What the error means, as a lower-case fragment; empty for a number without a name.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.row().map_or("", |(_, _, text)| *text)
    }

    /// The errno of the last failed call, as the standard library reports it.
    /// An error that did not come from the kernel counts as `EIO`.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }

    fn row(self) -> Option<&'static (i32, &'static str, &'static str)> {
        TABLE.iter().find(|(number, _, _)| *number == self.0)
    }
}

/// Every known name, ordered by number: for listings and for suggestions after a typing error.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(_, name, _)| *name)
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((_, name, text)) => write!(f, "{name} ({text})"),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self::of_io(&error)
    }
}

/// An error number as a scenario writes it, by its name: `ENOSPC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrnoName(pub Errno);

impl ErrnoName {
    /// As `errno.h` spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // made from a name only
        self.0.name().unwrap_or_default()
    }
}

impl FromStr for ErrnoName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Errno::from_name(text).map(Self).ok_or_else(|| {
            let hint = match diagnostic::closest(text, names()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "write it as `errno.h` does: `ENOSPC`, `EROFS`, `EIO`".to_owned(),
            };
            format!("`{text}` is not the name of an errno\n\nhint: {hint}")
        })
    }
}

impl fmt::Display for ErrnoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrnoName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrnoName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for ErrnoName {
    fn schema_name() -> Cow<'static, str> {
        "ErrnoName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<_> = names().collect();
        json_schema!({
            "description": "an errno by its name: `ENOSPC`",
            "type": "string",
            "anyOf": [{ "enum": known }, { "pattern": r"^\$\{.*\}$" }],
        })
    }
}

/// Number, name, meaning. The numbers come from `libc`, as some differ between architectures.
static TABLE: &[(i32, &str, &str)] = &[
    (libc::EPERM, "EPERM", "operation not permitted"),
    (libc::ENOENT, "ENOENT", "no such file or directory"),
    (libc::ESRCH, "ESRCH", "no such process"),
    (libc::EINTR, "EINTR", "interrupted system call"),
    (libc::EIO, "EIO", "input/output error"),
    (libc::ENXIO, "ENXIO", "no such device or address"),
    (libc::E2BIG, "E2BIG", "argument list too long"),
    (libc::ENOEXEC, "ENOEXEC", "exec format error"),
    (libc::EBADF, "EBADF", "bad file descriptor"),
    (libc::ECHILD, "ECHILD", "no child processes"),
    (libc::EAGAIN, "EAGAIN", "resource temporarily unavailable"),
    (libc::ENOMEM, "ENOMEM", "cannot allocate memory"),
    (libc::EACCES, "EACCES", "permission denied"),
    (libc::EFAULT, "EFAULT", "bad address"),
    (libc::ENOTBLK, "ENOTBLK", "block device required"),
    (libc::EBUSY, "EBUSY", "device or resource busy"),
    (libc::EEXIST, "EEXIST", "file exists"),
    (libc::EXDEV, "EXDEV", "invalid cross-device link"),
    (libc::ENODEV, "ENODEV", "no such device"),
    (libc::ENOTDIR, "ENOTDIR", "not a directory"),
    (libc::EISDIR, "EISDIR", "is a directory"),
    (libc::EINVAL, "EINVAL", "invalid argument"),
    (libc::ENFILE, "ENFILE", "too many open files in system"),
    (libc::EMFILE, "EMFILE", "too many open files"),
    (libc::ENOTTY, "ENOTTY", "inappropriate ioctl for device"),
    (libc::ETXTBSY, "ETXTBSY", "text file busy"),
    (libc::EFBIG, "EFBIG", "file too large"),
    (libc::ENOSPC, "ENOSPC", "no space left on device"),
    (libc::ESPIPE, "ESPIPE", "illegal seek"),
    (libc::EROFS, "EROFS", "read-only file system"),
    (libc::EMLINK, "EMLINK", "too many links"),
    (libc::EPIPE, "EPIPE", "broken pipe"),
    (libc::EDOM, "EDOM", "numerical argument out of domain"),
    (libc::ERANGE, "ERANGE", "numerical result out of range"),
    (libc::EDEADLK, "EDEADLK", "resource deadlock avoided"),
    (libc::ENAMETOOLONG, "ENAMETOOLONG", "file name too long"),
    (libc::ENOLCK, "ENOLCK", "no locks available"),
    (libc::ENOSYS, "ENOSYS", "function not implemented"),
    (libc::ENOTEMPTY, "ENOTEMPTY", "directory not empty"),
    (libc::ELOOP, "ELOOP", "too many levels of symbolic links"),
    (libc::ENODATA, "ENODATA", "no data available"),
    (libc::ETIME, "ETIME", "timer expired"),
    (libc::ENOLINK, "ENOLINK", "link has been severed"),
    (libc::EPROTO, "EPROTO", "protocol error"),
    (libc::EBADMSG, "EBADMSG", "bad message"),
    (libc::EOVERFLOW, "EOVERFLOW", "value too large for defined data type"),
    (libc::EILSEQ, "EILSEQ", "invalid or incomplete multibyte or wide character"),
    (libc::EUSERS, "EUSERS", "too many users"),
    (libc::ENOTSOCK, "ENOTSOCK", "socket operation on non-socket"),
    (libc::EMSGSIZE, "EMSGSIZE", "message too long"),
    (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT", "protocol not supported"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP", "operation not supported"),
    (libc::EAFNOSUPPORT, "EAFNOSUPPORT", "address family not supported by protocol"),
    (libc::EADDRINUSE, "EADDRINUSE", "address already in use"),
    (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL", "cannot assign requested address"),
    (libc::ENETDOWN, "ENETDOWN", "network is down"),
    (libc::ENETUNREACH, "ENETUNREACH", "network is unreachable"),
    (libc::ENETRESET, "ENETRESET", "network dropped connection on reset"),
    (libc::ECONNABORTED, "ECONNABORTED", "software caused connection abort"),
    (libc::ECONNRESET, "ECONNRESET", "connection reset by peer"),
    (libc::ENOBUFS, "ENOBUFS", "no buffer space available"),
    (libc::EISCONN, "EISCONN", "transport endpoint is already connected"),
    (libc::ENOTCONN, "ENOTCONN", "transport endpoint is not connected"),
    (libc::ESHUTDOWN, "ESHUTDOWN", "cannot send after transport endpoint shutdown"),
    (libc::ETIMEDOUT, "ETIMEDOUT", "connection timed out"),
    (libc::ECONNREFUSED, "ECONNREFUSED", "connection refused"),
    (libc::EHOSTDOWN, "EHOSTDOWN", "host is down"),
    (libc::EHOSTUNREACH, "EHOSTUNREACH", "no route to host"),
    (libc::EALREADY, "EALREADY", "operation already in progress"),
    (libc::EINPROGRESS, "EINPROGRESS", "operation now in progress"),
    (libc::ESTALE, "ESTALE", "stale file handle"),
    (libc::EUCLEAN, "EUCLEAN", "structure needs cleaning"),
    (libc::EREMOTEIO, "EREMOTEIO", "remote I/O error"),
    (libc::EDQUOT, "EDQUOT", "disk quota exceeded"),
    (libc::ENOMEDIUM, "ENOMEDIUM", "no medium found"),
    (libc::EMEDIUMTYPE, "EMEDIUMTYPE", "wrong medium type"),
    (libc::ECANCELED, "ECANCELED", "operation canceled"),
    (libc::ENOKEY, "ENOKEY", "required key not available"),
    (libc::EOWNERDEAD, "EOWNERDEAD", "owner died"),
    (libc::ENOTRECOVERABLE, "ENOTRECOVERABLE", "state not recoverable"),
    (libc::EHWPOISON, "EHWPOISON", "memory page has hardware error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_inverse() {
        for name in names() {
            assert_eq!(Errno::from_name(name).and_then(Errno::name), Some(name));
        }
        let mut sorted: Vec<_> = TABLE.iter().map(|row| row.0).collect();
        sorted.dedup();
        assert_eq!(sorted.len(), TABLE.len());
    }

    #[test]
    fn display_has_name_and_meaning() {
        assert_eq!(Errno(libc::ENOSPC).to_string(), "ENOSPC (no space left on device)");
        assert_eq!(Errno(4095).to_string(), "errno 4095");
        assert_eq!(Errno::from_name("ENOTSUP"), Some(Errno(libc::EOPNOTSUPP)));
        assert_eq!(Errno::from_name("enospc"), None);
    }

    #[test]
    fn a_name_that_is_none_gets_the_one_that_was_meant() {
        let error = |text: &str| text.parse::<ErrnoName>().unwrap_err();
        assert!(error("ENOSPACE").contains("did you mean `ENOSPC`?"));
        assert!(error("enospc").contains("did you mean `ENOSPC`?"));
        assert!(error("28").contains("as `errno.h` does"));
        assert_eq!("EROFS".parse::<ErrnoName>().unwrap().to_string(), "EROFS");
    }
}
