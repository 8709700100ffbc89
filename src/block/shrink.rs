//! From a state that is wrong to one that is wrong for the fewest reasons. Pure.

use super::Kept;

/// Gives back as many of the lost writes as can be while `is_wrong` says that it still is: first
/// halves of them, then quarters, at last one by one until none can be given back any more. Where
/// the answer does not come (`None`), the best so far is the result.
pub fn shrink(kept: &[Kept], mut is_wrong: impl FnMut(&[Kept]) -> Option<bool>) -> Vec<Kept> {
    let mut best = kept.to_vec();
    let lost = |kept: &[Kept]| -> Vec<usize> {
        (0..kept.len()).filter(|at| !kept[*at].is_whole()).collect()
    };
    let mut size = lost(&best).len();
    while size > 0 {
        let mut smaller = false;
        for group in lost(&best).chunks(size) {
            let mut tried = best.clone();
            group.iter().for_each(|at| tried[*at] = Kept::Whole);
            match is_wrong(&tried) {
                Some(true) => (best, smaller) = (tried, true),
                Some(false) => {}
                None => return best,
            }
        }
        // one that was needed beside another may not be needed without it
        if size > 1 || !smaller {
            size /= 2;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(kept: &[Kept]) -> Vec<usize> {
        (0..kept.len()).filter(|at| !kept[*at].is_whole()).collect()
    }

    #[test]
    fn only_what_it_takes_is_left() {
        for needed in [vec![], vec![3], vec![0, 19], vec![2, 3, 11]] {
            let all = vec![Kept::Nothing; 20];
            let mut asked = 0;
            let least = shrink(&all, |tried| {
                asked += 1;
                Some(needed.iter().all(|at| !tried[*at].is_whole()))
            });
            assert_eq!(lost(&least), needed);
            assert!(asked < 100, "{asked}");
        }
    }

    #[test]
    fn either_of_two_reasons_is_enough_and_no_answer_ends_it() {
        let all = vec![Kept::Nothing; 8];
        let least = shrink(&all, |tried| Some(!tried[1].is_whole() || !tried[6].is_whole()));
        assert_eq!(lost(&least).len(), 1);
        let torn = vec![Kept::Sectors(vec![true, false]), Kept::Whole];
        assert_eq!(shrink(&torn, |_| None), torn);
        assert_eq!(shrink(&torn, |_| Some(false)), torn);
        assert_eq!(shrink(&torn, |_| Some(true)), [Kept::Whole, Kept::Whole]);
    }
}
