//! Faults: a trait, one table, one file each.
//!
//! A fault's code runs in the command line only. It observes, and says which ops to perform and
//! which ops undo them; the helper and the journal know ops alone. One more fault is one new file
//! and one line in the table below; help, schema, catalogue and docs derive from it.

mod access;
mod aside;
mod attached;
mod block_io;
mod capacity;
mod checks;
mod commit_and_recreate;
mod cx;
mod effect;
mod error;
mod fault;
mod grace;
mod inner_engine;
mod io;
mod io_bytes;
mod io_inserted;
mod io_then;
mod io_window;
mod kind;
mod left;
mod lifecycle;
mod observe;
mod on_others;
mod profile;
mod select;
mod site;
mod sole;
mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod want_of_memory;
mod whole_mount;
mod written;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    helper::HelperError,
    protocol::{Capability, IoRule, Outcome},
    units::Duration,
    volumes::{Layer, VolumeSpec},
};
pub use attached::{
    complaints_anywhere, refused_on_attached, refused_there, refused_with_attached,
};
pub use cx::Cx;
pub use effect::Effect;
pub use error::FaultError;
pub use fault::{Declared, Described, Fault, Prepared};
pub use kind::{Kind, Scope};
pub(crate) use observe::unexpected;
pub use on_others::{Changes, OnOthers};
pub use profile::{Part, Profile};
pub use select::{Pick, Selector};
pub use site::{Site, SiteVolume};
pub use sole::unseen;
pub use target::Target;
pub use written::Written;

mod attribute_override;
mod bit_rot;
mod block_error;
mod block_latency;
mod block_stall;
mod broken_hardlinks;
mod cache_pollution;
mod clock_skew;
mod copy_up;
mod corruption;
mod crash;
mod delayed_visibility;
mod dependency_delay;
mod disconnect;
mod disk_full;
mod drop_cache;
mod engine_data_full;
mod engine_kill;
mod engine_restart;
mod fsync_error;
mod inode_exhaustion;
mod inotify_exhaustion;
mod io_error;
mod io_latency;
mod io_stall;
mod kill;
mod label;
mod latency;
mod lost_fsync;
mod lost_mount;
mod lost_write;
mod lying_flush;
mod memory_limit;
mod misdirected_write;
mod mode;
mod mount_flags;
mod mtime_skew;
mod oom_kill;
mod ownership;
mod pause;
mod phantom_write;
mod power_cut;
mod quota;
mod read_only;
mod recreate;
mod remount;
mod remove_file;
mod remove_volume;
mod replace_file;
mod restart;
mod shadow_mount;
mod short_write;
mod snapshot;
mod stale_handle;
mod stall;
mod statfs_spoof;
mod stop;
mod thin_pool_full;
mod throttle;
mod tmpfs_growth;
mod tmpfs_restart;
mod torn_write;

/// One row of the table.
#[derive(Clone, Copy)]
pub struct FaultRow {
    /// The word in YAML.
    pub name: &'static str,
    /// The widest thing it can touch.
    pub scope: Scope,
    /// What the host must offer.
    pub needs: &'static [Capability],
    /// The `inject:` value of an example.
    pub example: &'static str,
    /// Its amount can grow in stages.
    pub ramps: bool,
    /// Whether it may act on a container that is not the run's.
    pub on_others: OnOthers,
    /// Its parameters, and its doc comment as the description.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

impl FaultRow {
    /// Where it strikes operations one by one, if it does.
    #[must_use]
    pub fn strikes(&self) -> Option<Layer> {
        serde_saphyr::from_str::<FaultSpec>(self.example).ok()?.strikes()
    }

    /// How it may go over time, as `profile` names it.
    #[must_use]
    pub fn profiles(&self) -> Vec<&'static str> {
        let lasts = serde_saphyr::from_str::<FaultSpec>(self.example)
            .is_ok_and(|fault| fault.kind() == Kind::State);
        let all = [("sustained", true), ("intermittent", lasts), ("ramp", self.ramps)];
        all.into_iter().filter(|(_, can)| *can).map(|(name, _)| name).collect()
    }
}

/// Expands the table to the enum that scenarios name, its dispatch and its rows.
macro_rules! faults {
    ($($name:literal => $module:ident::$type:ident,)+) => {
        /// Any fault, as a scenario writes it: `{ NAME: { …parameters } }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum FaultSpec {
            $(
                #[doc = concat!("The `", $name, "` fault.")]
                #[serde(rename = $name)]
                $type($module::$type),
            )+
        }

        /// Every fault, by name.
        pub const TABLE: &[FaultRow] = &[
            $(FaultRow {
                name: $name,
                scope: <$module::$type as Fault>::SCOPE,
                needs: <$module::$type as Fault>::NEEDS,
                example: <$module::$type as Fault>::EXAMPLE,
                ramps: <$module::$type as Fault>::RAMPS,
                on_others: <$module::$type as Fault>::ON_OTHERS,
                schema: <$module::$type as JsonSchema>::json_schema,
            },)+
        ];

        /// Every fault by a name of its own, for whoever writes Rust instead of YAML.
        pub mod named {
            use super::Written;

            $(
                #[doc = concat!("The `", $name, "` fault: `keelhaul explain ", $name, "`.")]
                #[derive(Debug, Clone, Copy)]
                pub struct $type;

                impl $type {
                    /// At an absolute path of the container.
                    pub fn at(path: &str) -> Written {
                        Written::new($name, Some(path))
                    }

                    /// On the container as a whole.
                    pub fn whole() -> Written {
                        Written::new($name, None)
                    }
                }
            )+
        }

        impl FaultSpec {
            /// The word in YAML.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => $name,)+ }
            }

            /// What the host must offer, with these parameters.
            #[must_use]
            pub fn needs(&self) -> &'static [Capability] {
                match self { $(Self::$type(fault) => fault.needs(),)+ }
            }

            /// The widest thing it can touch, with these parameters.
            #[must_use]
            pub fn scope(&self) -> Scope {
                match self { $(Self::$type(fault) => fault.scope(),)+ }
            }

            /// Its amount can grow in stages.
            #[must_use]
            pub fn ramps(&self) -> bool {
                match self { $(Self::$type(_) => <$module::$type as Fault>::RAMPS,)+ }
            }

            /// Whether it may act on a container that is not the run's, and what that means there.
            #[must_use]
            pub fn on_others(&self) -> OnOthers {
                match self { $(Self::$type(_) => <$module::$type as Fault>::ON_OTHERS,)+ }
            }

            /// How long it lasts.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$type(fault) => fault.kind(),)+ }
            }

            /// Where it acts.
            #[must_use]
            pub fn target(&self) -> &Target {
                match self { $(Self::$type(fault) => fault.target(),)+ }
            }

            /// The same on one object, such as one of those that its target selects.
            #[must_use]
            pub fn on(&self, target: &Target) -> Self {
                let mut one = self.clone();
                match &mut one { $(Self::$type(fault) => fault.target.clone_from(target),)+ }
                one
            }

            /// The other service that it acts on, and the key that names it.
            #[must_use]
            pub fn peer(&self) -> Option<(&'static str, &str)> {
                match self { $(Self::$type(fault) => fault.peer(),)+ }
            }

            /// Further places of the same service that it acts on, and the key that names them.
            #[must_use]
            pub fn along(&self) -> (&'static str, &[Target]) {
                match self { $(Self::$type(fault) => fault.along(),)+ }
            }

            /// In words, with the parameters in place.
            #[must_use]
            pub fn describe(&self) -> Described {
                match self { $(Self::$type(fault) => fault.describe(),)+ }
            }

            /// The same on this volume.
            #[must_use]
            pub fn describe_on(&self, volume: Option<&VolumeSpec>) -> Described {
                let described = self.describe();
                let undo = match self { $(Self::$type(fault) => fault.undo_on(volume),)+ };
                Described { undo: undo.unwrap_or_else(|| described.undo.clone()), ..described }
            }

            /// The keeper reverts it after this long, whatever the scenario says.
            #[must_use]
            pub fn lasts_at_most(&self) -> Option<Duration> {
                match self { $(Self::$type(fault) => fault.lasts_at_most(),)+ }
            }

            /// The subject may end the effect by itself.
            #[must_use]
            pub fn subject_may_end_it(&self) -> bool {
                match self { $(Self::$type(fault) => fault.subject_may_end_it(),)+ }
            }

            /// Rules that it may bring to the volume's interposer. Pure.
            #[must_use]
            pub fn io_rules(&self, below: &str) -> Vec<IoRule> {
                match self { $(Self::$type(fault) => fault.io_rules(below),)+ }
            }

            /// Where it strikes operations one by one, if it does. Pure.
            #[must_use]
            pub fn strikes(&self) -> Option<Layer> {
                match self { $(Self::$type(fault) => fault.strikes(),)+ }
            }

            /// What is wrong with it on this target. Pure.
            #[must_use]
            pub fn check(&self, declared: &Declared<'_>) -> Vec<String> {
                match self { $(Self::$type(fault) => fault.check(declared),)+ }
            }

            /// Observes and decides. Changes nothing.
            ///
            /// # Errors
            /// When the target cannot be observed, or the fault is refused here.
            pub async fn prepare(
                &self,
                cx: &Cx<'_>,
            ) -> Result<Prepared<serde_json::Value>, FaultError> {
                match self { $(Self::$type(fault) => erase(fault.prepare(cx).await?),)+ }
            }

            /// Looks whether the effect is in force, or has happened. A container that has ended
            /// cannot be looked into: that is an unproven effect, not an error.
            ///
            /// # Errors
            /// When the target cannot be observed.
            pub async fn verify(
                &self,
                before: &serde_json::Value,
                outcomes: &[Outcome],
                cx: &Cx<'_>,
            ) -> Result<Effect, FaultError> {
                match self { $(Self::$type(fault) => {
                    let before = recall::<$module::$type>(before)?;
                    let effect = verified(fault, &before, outcomes, cx).await?;
                    Ok(sole::looked_at(effect, outcomes))
                })+ }
            }

            /// Looks whether the effect is gone.
            ///
            /// # Errors
            /// When the target cannot be observed.
            pub async fn verify_reverted(
                &self,
                before: &serde_json::Value,
                cx: &Cx<'_>,
            ) -> Result<Effect, FaultError> {
                match self { $(Self::$type(fault) => {
                    fault.verify_reverted(&recall::<$module::$type>(before)?, cx).await
                })+ }
            }
        }
    };
}

faults! {
    "attribute-override" => attribute_override::AttributeOverride,
    "bit-rot" => bit_rot::BitRot,
    "block-error" => block_error::BlockError,
    "block-latency" => block_latency::BlockLatency,
    "block-stall" => block_stall::BlockStall,
    "broken-hardlinks" => broken_hardlinks::BrokenHardlinks,
    "cache-pollution" => cache_pollution::CachePollution,
    "clock-skew" => clock_skew::ClockSkew,
    "commit-and-recreate" => commit_and_recreate::CommitAndRecreate,
    "copy-up" => copy_up::CopyUp,
    "corruption" => corruption::Corruption,
    "crash" => crash::Crash,
    "delayed-visibility" => delayed_visibility::DelayedVisibility,
    "dependency-delay" => dependency_delay::DependencyDelay,
    "disconnect" => disconnect::Disconnect,
    "disk-full" => disk_full::DiskFull,
    "drop-cache" => drop_cache::DropCache,
    "engine-data-full" => engine_data_full::EngineDataFull,
    "engine-kill" => engine_kill::EngineKill,
    "engine-restart" => engine_restart::EngineRestart,
    "fsync-error" => fsync_error::FsyncError,
    "inode-exhaustion" => inode_exhaustion::InodeExhaustion,
    "inotify-exhaustion" => inotify_exhaustion::InotifyExhaustion,
    "io-error" => io_error::IoError,
    "io-latency" => io_latency::IoLatency,
    "io-stall" => io_stall::IoStall,
    "kill" => kill::Kill,
    "label" => label::Label,
    "lost-fsync" => lost_fsync::LostFsync,
    "lost-mount" => lost_mount::LostMount,
    "lost-write" => lost_write::LostWrite,
    "lying-flush" => lying_flush::LyingFlush,
    "memory-limit" => memory_limit::MemoryLimit,
    "misdirected-write" => misdirected_write::MisdirectedWrite,
    "mode" => mode::Mode,
    "mount-flags" => mount_flags::MountFlags,
    "mtime-skew" => mtime_skew::MtimeSkew,
    "oom-kill" => oom_kill::OomKill,
    "ownership" => ownership::Ownership,
    "pause" => pause::Pause,
    "phantom-write" => phantom_write::PhantomWrite,
    "power-cut" => power_cut::PowerCut,
    "quota" => quota::Quota,
    "read-only" => read_only::ReadOnly,
    "recreate" => recreate::Recreate,
    "remount" => remount::Remount,
    "remove-file" => remove_file::RemoveFile,
    "remove-volume" => remove_volume::RemoveVolume,
    "replace-file" => replace_file::ReplaceFile,
    "restart" => restart::Restart,
    "shadow-mount" => shadow_mount::ShadowMount,
    "short-write" => short_write::ShortWrite,
    "snapshot" => snapshot::Snapshot,
    "stale-handle" => stale_handle::StaleHandle,
    "stall" => stall::Stall,
    "statfs-spoof" => statfs_spoof::StatfsSpoof,
    "stop" => stop::Stop,
    "thin-pool-full" => thin_pool_full::ThinPoolFull,
    "throttle" => throttle::Throttle,
    "tmpfs-growth" => tmpfs_growth::TmpfsGrowth,
    "tmpfs-restart" => tmpfs_restart::TmpfsRestart,
    "torn-write" => torn_write::TornWrite,
}

fn erase<B: Serialize>(prepared: Prepared<B>) -> Result<Prepared<serde_json::Value>, FaultError> {
    let before = serde_json::to_value(prepared.before)
        .map_err(|error| FaultError::Unexpected(error.to_string()))?;
    Ok(Prepared { before, ops: prepared.ops, undo: prepared.undo })
}

fn recall<F: Fault>(before: &serde_json::Value) -> Result<F::Before, FaultError> {
    F::Before::deserialize(before).map_err(|error| FaultError::Unexpected(error.to_string()))
}

/// Whether the effect is seen. A service that died of it at once is looked at in the mounts that it
/// had; where the helper cannot see those any more, the effect ended with the container.
async fn verified<F: Fault>(
    fault: &F,
    before: &F::Before,
    outcomes: &[Outcome],
    cx: &Cx<'_>,
) -> Result<Effect, FaultError> {
    let error = match fault.verify(before, outcomes, cx).await {
        Err(FaultError::Helper(error)) if !matches!(error, HelperError::Lost(_)) => error,
        other => return other,
    };
    let Some(ended) = cx.ended().await? else { return Err(error.into()) };
    match fault.verify(before, outcomes, &Cx { kept: true, ..*cx }).await {
        Ok(effect) => Ok(effect.note(format!("{ended}, which were kept to look at them"))),
        Err(lost @ FaultError::Helper(HelperError::Lost(_))) => Err(lost),
        Err(_) => Ok(Effect::unproven(ended)),
    }
}
