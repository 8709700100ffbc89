//! Bytes that a sync has failed to bring to the disk and has given up.

use super::log::{Key, Pending};

/// What one operation has written and no sync will bring to the disk, until something that is there
/// stands in its place.
#[derive(Debug)]
pub(super) struct Lost<U> {
    pub(super) of: Pending<U>,
    /// From where up to where nothing later is on the disk.
    pub(super) left: Vec<(u64, u64)>,
}

impl<U> Lost<U> {
    pub(super) fn new(of: Pending<U>) -> Self {
        let left = of.keys().iter().filter_map(|key| match key {
            Key::Bytes(_, from, to) => Some((*from, *to)),
            Key::Name(..) | Key::Size(_) => None,
        });
        Self { left: left.collect(), of }
    }

    /// An operation is on the disk. That a file was cut short is about all from its size on.
    pub(super) fn give_way(&mut self, to: &Pending<U>) {
        if to.number < self.of.number {
            return;
        }
        for key in to.keys() {
            if let Key::Bytes(file, from, until) = key
                && self.of.is_of_file(*file)
            {
                let sides =
                    |(start, end): (u64, u64)| [(start, end.min(*from)), (start.max(*until), end)];
                let left = std::mem::take(&mut self.left).into_iter().flat_map(sides);
                self.left = left.filter(|(start, end)| start < end).collect();
            }
        }
    }
}
