//! What a user can have of inotify.

use serde::{Deserialize, Serialize};

/// What inotify counts per user.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum InotifyStock {
    /// Instances (`fs.inotify.max_user_instances`): a new watcher gets EMFILE.
    #[default]
    Instances,
    /// Watches (`fs.inotify.max_user_watches`): a new watch gets ENOSPC.
    Watches,
}

impl InotifyStock {
    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Watches => "watches",
        }
    }
}
