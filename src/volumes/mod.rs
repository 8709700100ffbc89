//! Volumes: a trait, one table, one file each.
//!
//! A volume kind says what it is, what it needs, and how it is laid out on the engine's host. One
//! more kind is one new file and one line in the table.

mod bind;
mod btrfs;
mod docker;
mod ext4;
mod image;
mod interposed;
mod mkfs;
mod overlay;
mod owner;
#[cfg(test)]
mod tests;
mod tmpfs;
mod xfs;

use std::{collections::BTreeMap, future::Future};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    helper::{HelperError, HelperLink},
    protocol::{Capability, Durability, IoRule},
    runtime::{MountSource, Runtime, RuntimeError},
};
pub use interposed::{Layer, mark, object_name};
pub use owner::{Owner, OwnerError};

/// The filesystem that a volume brings along, with a superblock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// Memory.
    Tmpfs,
    /// ext4 on a loop device.
    Ext4,
    /// XFS on a loop device.
    Xfs,
    /// btrfs on a loop device.
    Btrfs,
}

impl Filesystem {
    /// The one that the kernel calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "tmpfs" => Some(Self::Tmpfs),
            "ext4" => Some(Self::Ext4),
            "xfs" => Some(Self::Xfs),
            "btrfs" => Some(Self::Btrfs),
            _ => None,
        }
    }
}

/// Why a volume could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The helper.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// The engine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The helper answered something else than what was asked.
    #[error("the helper answered out of turn: {0}")]
    Unexpected(String),
    /// A tool beside the command line.
    #[error("`{tool}` failed: {detail}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// Its words.
        detail: String,
    },
}

/// What the making of a volume may use.
pub struct Provision<'a> {
    /// The engine.
    pub runtime: &'a dyn Runtime,
    /// The helper.
    pub helper: &'a dyn HelperLink,
    /// The volume's name in the scenario.
    pub name: &'a str,
    /// Its name at the engine, unique to the run.
    pub object: String,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
    /// Rules that faults of the scenario may bring to its interposer.
    pub rules: Vec<IoRule>,
    /// Every operation on it is traced, where an interposer of files lies over it.
    pub traced: bool,
    /// Where the volume is that this one lies on.
    pub beneath: Option<&'a MountSource>,
}

/// One kind of volume.
pub trait Volume: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync {
    /// What the host must offer.
    const NEEDS: &'static [Capability];
    /// The value of an example that checks.
    const EXAMPLE: &'static str;

    /// The filesystem it brings along; none where it shares the engine's own.
    fn filesystem(&self) -> Option<Filesystem>;

    /// It is certain, before anything runs, that it lies on the engine's own disk: what fills or
    /// breaks its filesystem would take the host along. False where that shows only at run time.
    fn shares_host(&self) -> bool {
        false
    }

    /// What lies between it and its users.
    fn interpose(&self) -> Option<Layer> {
        None
    }

    /// Whose promises its syncs keep, where a filesystem of ours remembers what is not durable.
    fn durability(&self) -> Durability {
        Durability::default()
    }

    /// The volume that it lies on, which is made first.
    fn beneath(&self) -> Option<&str> {
        None
    }

    /// What is wrong with its parameters; each one sentence, with a hint. Pure.
    fn check(&self, _host_wide: bool) -> Vec<String> {
        Vec::new()
    }

    /// Makes it, with every undo durable beforehand, and says what to mount.
    fn provision(
        &self,
        cx: &Provision<'_>,
    ) -> impl Future<Output = Result<MountSource, VolumeError>> + Send;
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct VolumeRow {
    /// The word in YAML.
    pub name: &'static str,
    /// What the host must offer.
    pub needs: &'static [Capability],
    /// The value of an example.
    pub example: &'static str,
    /// Its parameters, and its doc comment as the description.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

impl VolumeSpec {
    /// What is mounted in a container that the run did not make: by the engine's word for its kind,
    /// where it comes from, and the filesystem that a volume brings along. None for what no fault can be
    /// aimed at.
    #[must_use]
    pub fn found(kind: &str, source: &str, own: Option<Filesystem>) -> Option<Self> {
        match kind {
            "volume" => Some(Self::Docker(own.map(docker::Docker::found).unwrap_or_default())),
            "bind" => Some(Self::Bind(bind::Bind::at(source))),
            "tmpfs" => Some(Self::Tmpfs(tmpfs::Tmpfs::default())),
            _ => None,
        }
    }
}

/// Expands the table to the enum that scenarios name, its dispatch and its rows.
macro_rules! volumes {
    ($($name:literal => $module:ident::$type:ident,)+) => {
        /// Any volume, as a scenario writes it: `{ KIND: { …parameters } }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum VolumeSpec {
            $(
                #[doc = concat!("A `", $name, "` volume.")]
                #[serde(rename = $name)]
                $type($module::$type),
            )+
        }

        /// Every kind of volume, by name.
        pub const TABLE: &[VolumeRow] = &[
            $(VolumeRow {
                name: $name,
                needs: <$module::$type as Volume>::NEEDS,
                example: <$module::$type as Volume>::EXAMPLE,
                schema: <$module::$type as JsonSchema>::json_schema,
            },)+
        ];

        impl VolumeSpec {
            /// The word in YAML.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => $name,)+ }
            }

            /// What the host must offer.
            #[must_use]
            pub fn needs(&self) -> &'static [Capability] {
                match self { $(Self::$type(_) => <$module::$type as Volume>::NEEDS,)+ }
            }

            /// The filesystem it brings along.
            #[must_use]
            pub fn filesystem(&self) -> Option<Filesystem> {
                match self { $(Self::$type(volume) => volume.filesystem(),)+ }
            }

            /// It is certain, before anything runs, that it lies on the engine's own disk.
            #[must_use]
            pub fn shares_host(&self) -> bool {
                match self { $(Self::$type(volume) => volume.shares_host(),)+ }
            }

            /// What lies between it and its users.
            #[must_use]
            pub fn interpose(&self) -> Option<Layer> {
                match self { $(Self::$type(volume) => volume.interpose(),)+ }
            }

            /// Whose promises its syncs keep, where a filesystem of ours remembers what is not
            /// durable.
            #[must_use]
            pub fn durability(&self) -> Durability {
                match self { $(Self::$type(volume) => volume.durability(),)+ }
            }

            /// The volume that it lies on, which is made first.
            #[must_use]
            pub fn beneath(&self) -> Option<&str> {
                match self { $(Self::$type(volume) => volume.beneath(),)+ }
            }

            /// What is wrong with its parameters. Pure.
            #[must_use]
            pub fn check(&self, host_wide: bool) -> Vec<String> {
                match self { $(Self::$type(volume) => volume.check(host_wide),)+ }
            }

            /// Makes it, with every undo durable beforehand, and says what to mount.
            ///
            /// # Errors
            /// When the engine, the helper or a tool refuses.
            pub async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
                match self { $(Self::$type(volume) => volume.provision(cx).await,)+ }
            }
        }
    };
}

volumes! {
    "bind" => bind::Bind,
    "btrfs" => btrfs::Btrfs,
    "docker" => docker::Docker,
    "ext4" => ext4::Ext4,
    "overlay" => overlay::Overlay,
    "tmpfs" => tmpfs::Tmpfs,
    "xfs" => xfs::Xfs,
}
