//! What a fault says of itself for containers that are not the run's: each states it in its own file.

/// Whether a fault may act on a container that is not the run's, and what that means to its owner.
///
/// What a run has made is thrown away in the end, so what a fault leaves there does not matter. What
/// runs already goes on afterwards: whoever says nothing is refused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOthers {
    /// Every trace of it can be taken back.
    GivenBack {
        /// What it changes until then.
        changes: Changes,
        /// What the owner has to bear although it is given back.
        borne: Option<&'static str>,
    },
    /// It strikes in an interposer, and can insert one under a container that runs.
    Inserted,
    /// It is refused.
    Refused {
        /// Why.
        why: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

/// What a fault changes of a container until it is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// What is around it: its limits, its caches, mounts on top of its own.
    Surroundings,
    /// Its processes: it is stopped, killed, frozen or started.
    Processes,
    /// The files themselves, and not the way to them.
    Files,
    /// What is free of a filesystem, for whoever uses it.
    Room,
    /// Whether a filesystem answers, for whoever uses it.
    Answers,
    /// A mount of its own, which is taken away and made again.
    Mounts,
}

impl OnOthers {
    /// Every trace can be taken back, and nobody has to bear anything.
    pub const GIVEN_BACK: Self = Self::changing(Changes::Surroundings);

    /// What nothing is known of.
    pub const UNKNOWN: Self = Self::Refused {
        why: "it is not known to give back everything there",
        hint: "give the service an `image`, so that it belongs to the run",
    };

    /// What puts something else in the place of what was there.
    pub const NOT_WHAT_WAS_THERE: Self = Self::Refused {
        why: "another container, or an empty volume, is not what was there",
        hint: "test that on a copy, which `keelhaul init` describes",
    };

    /// What changes data.
    pub const KEEPS_DAMAGE: Self = Self::Refused {
        why: "what it changes, or what is written meanwhile, cannot be given back",
        hint: "test that on a copy, which `keelhaul init` describes",
    };

    /// Every trace can be taken back of what it changes.
    #[must_use]
    pub const fn changing(changes: Changes) -> Self {
        Self::GivenBack { changes, borne: None }
    }

    /// What it changes of the container; none where it changes nothing of it, or is refused.
    #[must_use]
    pub fn changes(self) -> Option<Changes> {
        match self {
            Self::GivenBack { changes, .. } => Some(changes),
            Self::Inserted | Self::Refused { .. } => None,
        }
    }

    /// What the owner has to bear although everything is given back.
    #[must_use]
    pub fn borne(self) -> Option<&'static str> {
        match self {
            Self::GivenBack { borne, .. } => borne,
            Self::Inserted => {
                Some("files that it opens meanwhile and keeps open fail when the run ends")
            }
            Self::Refused { .. } => None,
        }
    }
}
