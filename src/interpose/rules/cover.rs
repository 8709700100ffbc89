//! Which bytes a rule is about. Pure.

use std::sync::Arc;

use crate::protocol::ByteRange;

/// First byte and length.
pub type Span = (u64, u64);

/// All bytes, or those of some ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover(Option<Arc<[(u64, u64)]>>);

impl Cover {
    /// All where no range is given. Ranges may come in any order, and overlap.
    pub(super) fn new(ranges: &[ByteRange]) -> Self {
        let mut ranges: Vec<_> = ranges.iter().map(|range| (range.from.0, range.to.0)).collect();
        ranges.retain(|(from, to)| from < to);
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let joins = next.0 <= last.1;
            if joins {
                last.1 = last.1.max(next.1);
            }
            joins
        });
        Self((!ranges.is_empty()).then(|| ranges.into()))
    }

    /// Whether some of these bytes are among them.
    pub(super) fn touches(&self, span: Span) -> bool {
        self.0.is_none() || self.inside(span).next().is_some()
    }

    /// Those of these bytes that are among them, in order.
    pub fn inside(&self, (offset, length): Span) -> impl Iterator<Item = Span> {
        let end = offset.saturating_add(length);
        let all = self.0.is_none().then_some((offset, end));
        let ranges = self.0.as_deref().unwrap_or_default();
        let first = ranges.partition_point(|(_, to)| *to <= offset);
        let reached = ranges[first..].iter().take_while(move |(from, _)| *from < end);
        let cut = reached.map(move |(from, to)| ((*from).max(offset), (*to).min(end)));
        all.into_iter().chain(cut).map(|(from, to)| (from, to - from))
    }

    /// The others of these bytes, in order.
    pub fn outside(&self, (offset, length): Span) -> Vec<Span> {
        let mut others = Vec::new();
        let mut from = offset;
        for (start, covered) in self.inside((offset, length)) {
            others.push((from, start - from));
            from = start + covered;
        }
        others.push((from, offset.saturating_add(length) - from));
        others.retain(|(_, length)| *length > 0);
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    fn cover(ranges: &[(u64, u64)]) -> Cover {
        let range = |(from, to): &(u64, u64)| ByteRange { from: Size(*from), to: Size(*to) };
        Cover::new(&ranges.iter().map(range).collect::<Vec<_>>())
    }

    fn inside(cover: &Cover, span: Span) -> Vec<Span> {
        cover.inside(span).collect()
    }

    #[test]
    fn without_ranges_it_is_everything() {
        let all = cover(&[]);
        assert!(all.touches((7, 0)));
        assert_eq!(inside(&all, (7, 3)), [(7, 3)]);
        assert_eq!(all.outside((7, 3)), []);
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let some = cover(&[(40, 50), (0, 10), (10, 20), (45, 60)]);
        assert_eq!(inside(&some, (0, 100)), [(0, 20), (40, 20)]);
        assert_eq!(some.outside((5, 50)), [(20, 20)]);
        assert_eq!(some.outside((15, 100)), [(20, 20), (60, 55)]);
        assert!(some.touches((19, 1)) && !some.touches((20, 20)) && some.touches((20, 21)));
        assert_eq!(inside(&some, (20, 20)), []);
        assert_eq!(some.outside((20, 20)), [(20, 20)]);
    }

    proptest::proptest! {
        #[test]
        fn every_byte_is_on_one_side(
            ranges in proptest::collection::vec((0_u64..40, 0_u64..40), 1..6),
            offset in 0_u64..50,
            length in 0_u64..20,
        ) {
            let ranges: Vec<_> = ranges.into_iter().filter(|(from, to)| from < to).collect();
            proptest::prop_assume!(!ranges.is_empty());
            let cover = cover(&ranges);
            for byte in offset..offset + length {
                let in_range = ranges.iter().any(|(from, to)| (*from..*to).contains(&byte));
                let of = |spans: Vec<Span>| spans.iter().filter(|(at, n)| (*at..at + n).contains(&byte)).count();
                proptest::prop_assert_eq!(of(inside(&cover, (offset, length))), usize::from(in_range));
                proptest::prop_assert_eq!(of(cover.outside((offset, length))), usize::from(!in_range));
            }
        }
    }
}
