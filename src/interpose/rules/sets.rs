//! Sets of rules, by their numbers: whose end ends a wait. A bit each.

/// Some of the sets of an interposer. Of more than 64 at a time, some count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sets(u64);

impl Sets {
    /// The one with this number.
    #[must_use]
    pub fn one(number: u64) -> Self {
        Self(1 << (number % 64))
    }

    /// These and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those of these that are among others.
    #[must_use]
    pub fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// These without others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// None at all.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}
