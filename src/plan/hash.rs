//! The one hash behind every decision of a plan. Pure.

use sha2::{Digest, Sha256};

/// The first eight bytes of a SHA-256 over parts that cannot run into each other.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
