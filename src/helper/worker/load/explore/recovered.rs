//! What the filesystem, and whoever reads it, made of a state.

/// Bytes of the most records that are read. What is larger is not judged.
pub(super) const LARGEST: u64 = 256 << 20;

/// What recovery came to.
#[derive(Debug)]
pub(super) enum Recovered {
    /// These bytes hold the records.
    Records(Vec<u8>),
    /// There is no such file.
    NoFile,
    /// The filesystem is mounted, and does not give the records out.
    Unreadable(String),
    /// Likewise, and whoever reads it has died of that, which is not to refuse it.
    Crashed(String),
    /// The filesystem cannot be mounted.
    Unmountable(String),
}

impl Recovered {
    /// The bytes that are judged; none where there is nothing to be judged by them.
    pub(super) fn records(&self) -> Option<&[u8]> {
        match self {
            Self::Records(bytes) => Some(bytes),
            Self::NoFile => Some(&[]),
            Self::Unreadable(_) | Self::Crashed(_) | Self::Unmountable(_) => None,
        }
    }
}
