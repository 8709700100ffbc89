//! A table from numbers to what is shared, of which a clone costs one pointer: a tree of which both have
//! what neither has changed since.

use std::{ops::Range, sync::Arc};

/// Bits of a number that a level decides.
const BITS: u32 = 6;
const FAN: usize = 1 << BITS;

#[derive(Debug)]
enum Node<T> {
    Leaf(Vec<Option<Arc<T>>>),
    Inner(Vec<Option<Arc<Node<T>>>>),
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(slots) => Self::Leaf(slots.clone()),
            Self::Inner(nodes) => Self::Inner(nodes.clone()),
        }
    }
}

impl<T> Node<T> {
    /// One with so many levels beneath.
    fn empty(level: u32) -> Self {
        match level {
            0 => Self::Leaf(vec![None; FAN]),
            _ => Self::Inner(vec![None; FAN]),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Leaf(slots) => slots.iter().flatten().count() as u64,
            Self::Inner(nodes) => nodes.iter().flatten().map(|node| node.count()).sum(),
        }
    }

    /// Takes away what is in a range of its numbers, with so many levels beneath; how many there were.
    fn clear(&mut self, level: u32, range: &Range<u64>) -> u64 {
        let span = 1_u64 << (BITS * level);
        let within = place(range.start, level)..=place(range.end - 1, level);
        let nodes = match self {
            Self::Leaf(slots) => {
                return slots[within].iter_mut().filter_map(Option::take).count() as u64;
            }
            Self::Inner(nodes) => nodes,
        };
        let mut count = 0;
        for at in within {
            let Some(node) = &mut nodes[at] else { continue };
            let begin = at as u64 * span;
            let part = range.start.saturating_sub(begin)..(range.end - begin).min(span);
            if part == (0..span) {
                count += node.count();
                nodes[at] = None;
            } else {
                count += Arc::make_mut(node).clear(level - 1, &part);
            }
        }
        count
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Tree<T> {
    /// Levels beneath the first.
    levels: u32,
    root: Arc<Node<T>>,
}

impl<T> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Self { levels: self.levels, root: Arc::clone(&self.root) }
    }
}

/// Where a number is, in a node with so many levels beneath.
fn place(number: u64, level: u32) -> usize {
    let place = (number >> (BITS * level)) & (FAN as u64 - 1);
    usize::try_from(place).unwrap_or_default()
}

impl<T> Tree<T> {
    /// For numbers below this.
    pub(super) fn new(end: u64) -> Self {
        let mut levels = 0;
        while BITS * (levels + 1) < u64::BITS && end > 1 << (BITS * (levels + 1)) {
            levels += 1;
        }
        Self { levels, root: Arc::new(Node::empty(levels)) }
    }

    /// What is there.
    pub(super) fn get(&self, number: u64) -> Option<&Arc<T>> {
        let (mut node, mut level) = (&self.root, self.levels);
        loop {
            let at = place(number, level);
            match &**node {
                Node::Leaf(slots) => return slots[at].as_ref(),
                Node::Inner(nodes) => (node, level) = (nodes[at].as_ref()?, level - 1),
            }
        }
    }

    /// Its place, to be changed.
    pub(super) fn slot(&mut self, number: u64) -> &mut Option<Arc<T>> {
        let (mut node, mut level) = (&mut self.root, self.levels);
        loop {
            let at = place(number, level);
            match Arc::make_mut(node) {
                Node::Leaf(slots) => return &mut slots[at],
                Node::Inner(nodes) => {
                    level -= 1;
                    node = nodes[at].get_or_insert_with(|| Arc::new(Node::empty(level)));
                }
            }
        }
    }

    /// Takes away all in a range of its numbers; how many there were. What is not there takes no time.
    pub(super) fn clear(&mut self, range: &Range<u64>) -> u64 {
        match range.is_empty() {
            true => 0,
            false => Arc::make_mut(&mut self.root).clear(self.levels, range),
        }
    }

    /// All that is there, by number.
    pub(super) fn iter(&self) -> Iter<'_, T> {
        Iter { path: vec![(&self.root, 0)], number: 0 }
    }
}

/// See [`Tree::iter`].
pub(super) struct Iter<'a, T> {
    /// Nodes from the first to where we are, each with the place that is next in it.
    path: Vec<(&'a Arc<Node<T>>, usize)>,
    /// What the places before the last one come to.
    number: u64,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (u64, &'a Arc<T>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((node, next)) = self.path.last_mut() {
            let at = *next;
            *next += 1;
            if at == FAN {
                self.path.pop();
                self.number >>= BITS;
                continue;
            }
            match &***node {
                Node::Leaf(slots) => {
                    if let Some(found) = &slots[at] {
                        return Some(((self.number << BITS) | at as u64, found));
                    }
                }
                Node::Inner(nodes) => {
                    if let Some(below) = &nodes[at] {
                        self.number = (self.number << BITS) | at as u64;
                        self.path.push((below, 0));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(
            end in 1..1_000_000_u64,
            acts in prop::collection::vec((0..3_u8, any::<u64>(), any::<u64>()), 1..60),
        ) {
            let (mut tree, mut map) = (Tree::new(end), BTreeMap::new());
            let mut clones = Vec::new();
            for (act, number, other) in acts {
                let (number, other) = (number % end, other % (end + 1));
                clones.push((tree.clone(), map.clone()));
                if act == 0 {
                    let there = map.len();
                    map.retain(|at, _| !(number..other).contains(at));
                    prop_assert_eq!(tree.clear(&(number..other)), (there - map.len()) as u64);
                } else if act == 1 {
                    *tree.slot(number) = Some(Arc::new(number));
                    map.insert(number, number);
                } else {
                    *tree.slot(number) = None;
                    map.remove(&number);
                }
            }
            clones.push((tree, map));
            for (tree, map) in clones {
                let found: Vec<_> = tree.iter().map(|(number, it)| (number, **it)).collect();
                prop_assert_eq!(found, map.clone().into_iter().collect::<Vec<_>>());
                prop_assert!(map.keys().all(|number| tree.get(*number).is_some()));
                prop_assert!(tree.get(0).is_some() == map.contains_key(&0));
            }
        }
    }
}
