//! How long a fault lasts, and how far it reaches.

use serde::{Deserialize, Serialize};

/// How long a fault lasts, and what undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// In force until it is reverted.
    State,
    /// Happens once; nothing to revert.
    Event,
    /// Changes data.
    Damage,
}

/// The widest thing a fault can touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One container.
    Container,
    /// One volume.
    Volume,
    /// Every user of one filesystem.
    Superblock,
    /// The host.
    Host,
}
