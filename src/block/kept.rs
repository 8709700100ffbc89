//! What survives of one write. Pure.

use serde::{Deserialize, Serialize};

use super::{choose::Dice, chunk::CHUNK};

/// What survives of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// All of it.
    Whole,
    /// These of its sectors.
    Sectors(Vec<bool>),
    /// Its bytes from the first number up to the second. Beyond what a disk may do, as all that follow.
    Bytes(usize, usize),
    /// These of its sectors, and where the others were to go is something else.
    Filled(Vec<bool>, Fill),
    /// All of it, and an older one that a flush had made durable is not there: of those that are
    /// remembered, the one that this number comes to.
    Overtakes(u64),
    /// All of it is gone with its erase block, which is as it was at an earlier flush.
    Erased {
        /// Bytes of the block, which begins at a multiple of them.
        block: u64,
        /// Of the earlier flushes that are remembered, the one that this number comes to.
        flush: u64,
    },
}

/// What is there instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Zeros.
    Zeros,
    /// Bytes that this seed decides.
    Garbage(u64),
}

impl Fill {
    /// So many bytes for this place of the disk.
    pub(super) fn bytes(self, offset: u64, length: usize) -> Vec<u8> {
        match self {
            Self::Zeros => vec![0; length],
            Self::Garbage(seed) => {
                let words = (0..length.div_ceil(8) as u64).map(|at| Dice(seed).roll(&[offset, at]));
                words.flat_map(u64::to_le_bytes).take(length).collect()
            }
        }
    }
}

impl Kept {
    pub(super) fn if_so(kept: bool) -> Self {
        if kept { Self::Whole } else { Self::Nothing }
    }

    /// Nothing is lost by it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Whole => true,
            Self::Sectors(sectors) | Self::Filled(sectors, _) => sectors.iter().all(|kept| *kept),
            Self::Nothing | Self::Bytes(..) | Self::Overtakes(_) | Self::Erased { .. } => false,
        }
    }

    /// A part of it survives.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        matches!(self, Self::Sectors(_) | Self::Bytes(..) | Self::Filled(..))
    }

    /// It may be what no disk leaves that keeps to its specification: [`exceeds`](super::Disk::exceeds)
    /// looks whether it is.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        !self.is_whole() && !matches!(self, Self::Nothing | Self::Sectors(_))
    }

    /// The block that is gone with a write there.
    pub(super) fn erased(&self, offset: u64) -> Option<std::ops::Range<u64>> {
        let Self::Erased { block, .. } = self else { return None };
        let start = offset / block * block;
        Some(start..start + block)
    }

    /// It is said of a write of so many bytes; of none where it makes zeros of a range.
    pub(super) fn fits(&self, data: Option<usize>) -> bool {
        match (self, data) {
            (Self::Sectors(sectors) | Self::Filled(sectors, _), Some(length)) => {
                sectors.len() == length.div_ceil(CHUNK)
            }
            (Self::Bytes(from, to), Some(length)) => from <= to && *to <= length,
            (Self::Sectors(_) | Self::Filled(..) | Self::Bytes(..), None) => false,
            (Self::Erased { block, .. }, _) => block.is_power_of_two() && *block <= LARGEST_BLOCK,
            _ => true,
        }
    }

    /// The same, said in one way only: sectors that are all there, or all gone, are the write.
    pub(super) fn plain(self) -> Self {
        match self {
            Self::Sectors(sectors) if !sectors.contains(&true) => Self::Nothing,
            other if other.is_whole() => Self::Whole,
            other => other,
        }
    }

    /// What became of the write, in words.
    #[must_use]
    pub fn fate(&self) -> &'static str {
        match self {
            Self::Nothing => "lost",
            Self::Whole => "there",
            Self::Sectors(_) => "torn",
            Self::Bytes(..) => "shorn",
            Self::Filled(_, Fill::Zeros) => "zeroed",
            Self::Filled(_, Fill::Garbage(_)) => "garbage",
            Self::Overtakes(_) => "there without an older one",
            Self::Erased { .. } => "rolled back with its erase block",
        }
    }
}

/// Bytes of the smallest and of the largest erase block.
pub(super) const SMALLEST_BLOCK: u64 = 64 << 10;
pub(super) const LARGEST_BLOCK: u64 = 512 << 10;
