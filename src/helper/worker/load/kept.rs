//! A connection that is kept from one record to the next, while the container is the same.

/// At most one open connection, with the container that it is to.
#[derive(Debug)]
pub(super) struct Kept<T>(Option<(u64, T)>);

impl<T> Kept<T> {
    /// None yet.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Takes it out, unless it is to another container than this one. Who gets a whole answer over
    /// it keeps it on; otherwise it ends with its user, as nobody knows what would come next.
    pub(super) fn take(&mut self, generation: u64) -> Option<T> {
        let (of, open) = self.0.take()?;
        (of == generation).then_some(open)
    }

    /// It goes on being good for the container of that generation.
    pub(super) fn keep(&mut self, generation: u64, open: T) {
        self.0 = Some((generation, open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_one_container_and_taken_once() {
        let mut kept = Kept::none();
        kept.keep(1, "open");
        assert_eq!((kept.take(1), kept.take(1)), (Some("open"), None));
        kept.keep(1, "open");
        assert_eq!((kept.take(2), kept.take(1)), (None, None));
    }
}
