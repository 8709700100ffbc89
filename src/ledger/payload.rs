//! The content of a record, derived from its identity.
//!
//! A reader can therefore tell content that belongs to another record (a misdirected or stale
//! block) from the right one without having kept a copy. Not a cipher and not random: the same
//! identity always gives the same bytes.

/// Sixty-four characters, none of which a terminal, JSON, a shell or SQL treats specially.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters taken from one 64-bit draw: 6 bits each.
const PER_DRAW: usize = 10;

/// The payload of `length` bytes that belongs to this identity.
pub(super) fn payload(run: &str, writer: u32, sequence: u64, length: u32) -> Vec<u8> {
    let length = length as usize;
    let mut state = seed(run, writer, sequence, length as u64);
    let mut out = Vec::with_capacity(length + PER_DRAW);
    while out.len() < length {
        let mut draw = mix(&mut state);
        for _ in 0..PER_DRAW {
            out.push(ALPHABET[(draw & 63) as usize]);
            draw >>= 6;
        }
    }
    out.truncate(length);
    out
}

/// FNV-1a over the identity: a stable hash, unlike the standard library's.
fn seed(run: &str, writer: u32, sequence: u64, length: u64) -> u64 {
    let numbers = [u64::from(writer), sequence, length];
    let bytes = numbers.into_iter().flat_map(u64::to_le_bytes);
    run.bytes().chain(bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// One step of `SplitMix64` (Steele, Lea, Flood 2014).
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn every_part_of_the_identity_changes_the_payload() {
        let base = payload("run", 1, 7, 64);
        assert_eq!(base, payload("run", 1, 7, 64));
        for other in [payload("ruN", 1, 7, 64), payload("run", 2, 7, 64), payload("run", 1, 8, 64)]
        {
            assert_ne!(base, other);
            assert_eq!(other.len(), 64);
        }
        assert_ne!(base[..63], payload("run", 1, 7, 63), "a shortened record is not a prefix");
        assert!(payload("run", 1, 7, 0).is_empty());
    }

    #[test]
    fn the_payload_is_a_fixed_function() {
        // A change here makes records written by an earlier build unreadable: raise the version.
        assert_eq!(payload("r", 0, 1, 12), b"ZOK6mIIKscWg");
    }
}
