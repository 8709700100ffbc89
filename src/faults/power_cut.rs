//! `power-cut`: the power goes under a container, and comes back.
//!
//! Mechanism: the disk of ours under the volume stops at an instant and answers nothing but errors;
//! the container is killed, the disk gets the content that a cut at that instant may leave, and the
//! container is started, which mounts it again: the filesystem recovers as after any power cut.
//! Blast radius: one volume and one container. Nothing to undo once the power is back; before, the
//! disk is given back as it was. What is acknowledged between the cut and the end is void.

mod block;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
};
use crate::{
    block::Profile,
    protocol::{Capability, Outcome},
    volumes::Layer,
};

/// Cuts the power under a container, and starts it on what is left.
///
/// What the service had not synced is lost, as `profile` says; the page cache always is. The
/// filesystem then recovers by its own journal. The volume needs `interpose: block`. Whatever the
/// service acknowledged before the cut must be there afterwards: let a `ledger` judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerCut {
    /// Where the volume is mounted: `service:/path`.
    pub(super) target: Target,
    /// What survives of the writes that the disk had taken, and not made durable.
    #[serde(default)]
    profile: Profile,
}

const NAME: &str = "power-cut";

impl Fault for PowerCut {
    type Before = block::Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse, Capability::LoopDevices];
    const EXAMPLE: &'static str = "power-cut: { target: agent:/data, profile: drop }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "cut the power under `{}`, and start it on what `{}` leaves of the disk",
                self.target,
                self.profile.name()
            ),
            undo: "nothing; a cut that did not come to its end is taken back".into(),
            proof: "the container was started since; a file that was synced is there, one that was \
                    not is gone, and the last write to the disk is there or not, as the profile says"
                .into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let complaints = [
            checks::needs_path(NAME, &self.target),
            checks::needs_volume(NAME, &self.target, declared),
            checks::needs_mount_point(NAME, &self.target, declared),
        ];
        let mut wrong: Vec<String> = complaints.into_iter().flatten().collect();
        if let Some(volume) = declared.volume
            && volume.interpose() != Some(Layer::Block)
        {
            wrong.push(format!(
                "`{NAME}` cuts the power of a disk of ours under a filesystem, and the `{}` volume \
                 at `{}` has none\n\nhint: use `{{ ext4: {{ size: 64MiB, interpose: block }} }}`",
                volume.name(),
                self.target
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<block::Before>, FaultError> {
        block::prepare(self.profile, cx).await
    }

    async fn verify(
        &self,
        before: &block::Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        block::verify(before, outcomes, cx).await
    }

    async fn verify_reverted(&self, _: &block::Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        super::lifecycle::runs(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing;

    #[test]
    fn it_needs_a_disk_of_ours_at_exactly_its_target() {
        let count = |target: &str, volume: Option<&str>, is_mount_point| {
            let volume = volume.map(testing::volume_spec);
            let declared = Declared { volume: volume.as_ref(), is_mount_point, host_wide: false };
            let fault = serde_saphyr::from_str::<PowerCut>(&format!("{{ target: '{target}' }}"));
            fault.unwrap().check(&declared).len()
        };
        let ours = Some("ext4: { size: 64MiB, interpose: block }");
        assert_eq!(count("agent:/data", ours, true), 0);
        assert_eq!(count("agent:/data/x", ours, false), 1);
        assert_eq!(count("agent", None, false), 1);
        assert_eq!(count("agent:/data", None, true), 1);
        assert_eq!(count("agent:/data", Some("docker: { interpose: file }"), true), 1);
        assert_eq!(count("agent:/data", Some("ext4: { size: 64MiB }"), true), 1);
    }
}
