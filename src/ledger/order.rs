//! How far a sequence is from being in order.

/// The fewest items that would have to be moved to sort `sequences`: their number less the length
/// of the longest rising subsequence. One record that came far too early counts once, not once
/// for every record it overtook. O(n log n) by patience sorting. Items are distinct.
pub(super) fn misplaced(sequences: &[u64]) -> u64 {
    // `tails[i]` is the smallest last item of a rising subsequence of length i + 1.
    let mut tails: Vec<u64> = Vec::new();
    for sequence in sequences {
        let at = tails.partition_point(|tail| tail < sequence);
        match tails.get_mut(at) {
            Some(tail) => *tail = *sequence,
            None => tails.push(*sequence),
        }
    }
    (sequences.len() - tails.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::misplaced;

    #[test]
    fn counts_the_records_that_moved() {
        assert_eq!(misplaced(&[]), 0);
        assert_eq!(misplaced(&[1, 2, 5, 9]), 0, "gaps are not disorder");
        assert_eq!(misplaced(&[2, 1, 4, 3]), 2);
        assert_eq!(misplaced(&[9, 1, 2, 3, 4]), 1, "one record came early");
        assert_eq!(misplaced(&[4, 3, 2, 1]), 3);
    }
}
