//! `power-cut`: the power goes under a container, and what was not durable goes with it.
//!
//! Mechanism: what lies between the volume and its users. A disk of ours (`block`) stops at an
//! instant, and gets the content that a cut may leave there; a filesystem of ours (`file`) remembers
//! what was there before every change that no sync has made durable, and undoes some. In between the
//! container is killed, and afterwards started again: it mounts and recovers as after any power cut.
//! Several disks lose it at one instant: from the first one's cut to the last one's, what is asked of
//! them waits.
//! Blast radius: one container and its volumes. Nothing is brought back.

mod block;
mod file;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    lifecycle,
};
use crate::{
    protocol::{Caller, Capability, CutProfile, IoAction, IoRule, Outcome, Trigger},
    volumes::Layer,
};

/// Kills a container, and loses what its disk had not made durable.
///
/// With `interpose: block` the disk under a real filesystem is cut, which then recovers by its own
/// journal. With `interpose: file` a sync of a file keeps its bytes, and only a sync of its directory
/// keeps its name, as POSIX has it; `durability` of the volume says so of a real filesystem instead
/// (`ext4`, `xfs`, `btrfs`). Owners, modes and times are not lost. `profile` says what the disk had
/// brought in order by itself: nothing, all, or a part that the seed chooses; of that only what the
/// filesystem allows is left, so that where names are in order, those after one that is gone are gone.
/// `with` names more disks of the same service, which lose power at the same instant; the target's
/// stops answering a tenth of a second before, so that what the service does on the others without
/// waiting for it is on them. Some profiles are beyond what a disk may do, and only for `interpose:
/// block`: a service need not survive those, and one that notices and refuses is right; what is silently
/// corrupt or silently lost is not. Say by probes what it has to do; the filesystem may be damaged, too,
/// and then the container does not start.
/// Use it to see whether what was acknowledged was durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerCut {
    /// The volume: `service:/path`, where it is mounted at exactly this path.
    pub(super) target: Target,
    /// What is left of what was not durable.
    #[serde(default = "default_profile")]
    profile: CutProfile,
    /// More volumes of the same service to cut at the same instant, where they are mounted at exactly
    /// these paths: `service:/path`. Each has `interpose: block`, as the target's.
    #[serde(default)]
    with: Vec<Target>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// On a disk of ours.
    Block(block::Before),
    /// On a filesystem of ours.
    File(file::Before),
}

fn default_profile() -> CutProfile {
    CutProfile::Drop
}

const NAME: &str = "power-cut";

impl PowerCut {
    /// What a layer cannot leave behind.
    fn beyond(&self, layer: Layer) -> Option<String> {
        let profile = self.profile.name();
        match layer {
            Layer::File if !self.with.is_empty() => Some(format!(
                "`{NAME}` cuts several volumes at one instant only with `interpose: block`, and \
                 `{}` has `interpose: file`\n\nhint: use `interpose: block`, or leave `with` out",
                self.target
            )),
            Layer::File if !self.profile.is_of_files() => Some(format!(
                "`{NAME}` leaves only a disk as `{profile}`, and nothing on a volume with `interpose: \
                 file`\n\nhint: use another profile, or `interpose: block`; a write is torn by \
                 `torn-write`"
            )),
            Layer::Block if self.profile.of_disk().is_none() => Some(format!(
                "`{NAME}` cannot tell names from data on a volume with `interpose: block`, and \
                 `{profile}` asks for it\n\nhint: use another profile, or `interpose: file`"
            )),
            _ => None,
        }
    }
}

impl Fault for PowerCut {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "power-cut: { target: agent:/data, profile: drop }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn along(&self) -> (&'static str, &[Target]) {
        ("with", &self.with)
    }

    fn describe(&self) -> Described {
        let profile = self.profile.name();
        let targets = [&self.target].into_iter().chain(&self.with);
        let targets: Vec<_> = targets.map(|target| format!("`{target}`")).collect();
        let beyond = if self.profile.is_beyond() { ", beyond what a disk may do" } else { "" };
        let at_once = if self.with.is_empty() { "" } else { " at one instant" };
        Described {
            act: format!(
                "kill `{}`, undo at {} what is not durable (`{profile}`{beyond}){at_once}, and start it",
                self.target.service,
                targets.join(" and ")
            ),
            undo: "nothing; a cut that did not come to its end is taken back".into(),
            proof:
                "it was started anew; of two files of ours the one that was synced is there, and \
                    of the other no byte is where nothing is kept"
                    .into(),
        }
    }

    fn io_rules(&self, _: &str) -> Vec<IoRule> {
        vec![IoRule {
            paths: vec!["**".into()],
            ops: Vec::new(),
            by: Caller::default(),
            ranges: Vec::new(),
            at_least: None,
            when: Trigger::default(),
            action: IoAction::Remember,
        }]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_volume(NAME, &self.target, declared));
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        let Some(volume) = declared.volume else { return wrong };
        wrong.extend(match volume.interpose() {
            Some(layer) => self.beyond(layer),
            None => {
                let hint = match self.with.is_empty() {
                    true => {
                        "add `interpose: file` to the volume, or `interpose: block` to one with a \
                         filesystem of its own"
                    }
                    false => {
                        "give it a filesystem of its own, as in `ext4`, with `interpose: block`"
                    }
                };
                Some(format!(
                    "`{NAME}` undoes what is not durable, and nothing remembers that of the `{}` \
                     volume at `{}`\n\nhint: {hint}",
                    volume.name(),
                    self.target
                ))
            }
        });
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let volume = cx.site.volume.as_ref();
        match volume.and_then(|volume| volume.spec.interpose()) {
            Some(Layer::Block) => {
                let Prepared { before, ops, undo } = block::prepare(self.profile, cx).await?;
                Ok(Prepared { before: Before::Block(before), ops, undo })
            }
            _ => {
                let Prepared { before, ops, undo } = file::prepare(self.profile, cx).await?;
                Ok(Prepared { before: Before::File(before), ops, undo })
            }
        }
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        match before {
            Before::Block(before) => block::verify(before, self.profile, outcomes, cx).await,
            Before::File(before) => before.verify(self.profile, outcomes, cx).await,
        }
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        lifecycle::runs(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing;

    #[test]
    fn it_needs_a_volume_that_remembers() {
        let count = |target: &str, more: &str, volume: Option<&str>, is_mount_point| {
            let volume = volume.map(testing::volume_spec);
            let declared = Declared { volume: volume.as_ref(), is_mount_point, host_wide: false };
            let fault: PowerCut =
                serde_saphyr::from_str(&format!("{{ target: '{target}', {more} }}")).unwrap();
            fault.check(&declared).len()
        };
        let files = Some("docker: { interpose: file }");
        let disk = Some("ext4: { size: 64MiB, interpose: block }");
        for ours in [files, disk] {
            assert_eq!(count("agent:/data", "", ours, true), 0);
            assert_eq!(count("agent:/data/x", "", ours, false), 1);
        }
        assert_eq!(count("agent:/data", "profile: metadata-first", files, true), 0);
        assert_eq!(count("agent:/data", "profile: metadata-first", disk, true), 1);
        assert_eq!(count("agent:/data", "profile: torn", files, true), 1);
        assert_eq!(count("agent:/data", "with: ['agent:/wal']", disk, true), 0);
        assert_eq!(count("agent:/data", "with: ['agent:/wal']", files, true), 1);
        assert_eq!(count("agent:/data", "profile: torn", disk, true), 0);
        for beyond in ["shorn", "zeroed", "garbage", "unserializable", "erase-block"] {
            assert_eq!(count("agent:/data", &format!("profile: {beyond}"), disk, true), 0);
            assert_eq!(count("agent:/data", &format!("profile: {beyond}"), files, true), 1);
        }
        assert_eq!(count("agent:/data", "", Some("docker: {}"), true), 1);
        assert_eq!(count("agent:/data", "", Some("ext4: { size: 64MiB }"), true), 1);
        assert_eq!(count("agent", "", None, false), 1);
        assert_eq!(count("agent:/data", "", None, true), 1);
    }
}
