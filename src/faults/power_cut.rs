//! `power-cut`: the power goes, and what was not durable goes with it.
//!
//! Mechanism: the file interposer under the volume, which remembers what was there before every
//! change that no sync has made durable. It stops taking changes, the container is killed, what a
//! disk would not have kept is undone, and the container is started again. Blast radius: one
//! container and its volume. Nothing is brought back; rollback starts what was running.

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
/// The volume needs `interpose: file`. A sync of a file keeps its bytes, and only a sync of its
/// directory keeps its name, as POSIX has it; owners, modes and times are not lost. `profile` says
/// what the disk had brought in order by itself: nothing, all, or a part that the seed chooses. Use
/// it to see whether what was acknowledged was durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerCut {
    /// The volume: `service:/path`, where it is mounted at exactly this path.
    pub(super) target: Target,
    /// What is left of what was not durable.
    #[serde(default = "default_profile")]
    profile: CutProfile,
}

fn default_profile() -> CutProfile {
    CutProfile::Drop
}

const NAME: &str = "power-cut";

impl Fault for PowerCut {
    type Before = file::Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "power-cut: { target: agent:/data, profile: drop }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (target, profile) = (&self.target, self.profile.name());
        Described {
            act: format!(
                "kill `{}`, undo at `{target}` what is not durable (`{profile}`), and start it",
                target.service
            ),
            undo: "nothing; rollback starts it if it is not running by then".into(),
            proof:
                "it was started anew; of two files of ours the one that was synced is there, and \
                    the other is not where nothing is kept"
                    .into(),
        }
    }

    fn io_rules(&self, _: &str) -> Vec<IoRule> {
        vec![IoRule {
            paths: vec!["**".into()],
            ops: Vec::new(),
            by: Caller::default(),
            range: None,
            at_least: None,
            when: Trigger::default(),
            action: IoAction::Remember,
        }]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_volume(NAME, &self.target, declared));
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        if let Some(volume) = declared.volume
            && volume.interpose() != Some(Layer::File)
        {
            wrong.push(format!(
                "`{NAME}` undoes what is not durable, and nothing remembers that of the `{}` volume \
                 at `{}`\n\nhint: add `interpose: file` to the volume",
                volume.name(),
                self.target
            ));
        }
        if self.profile == CutProfile::Torn {
            wrong.push(format!(
                "`{NAME}` cannot tear a write in two on a volume with `interpose: file`\n\nhint: use \
                 `torn-write`, or another profile"
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<file::Before>, FaultError> {
        file::prepare(self.profile, cx).await
    }

    async fn verify(
        &self,
        before: &file::Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        before.verify(self.profile, outcomes, cx).await
    }

    async fn verify_reverted(&self, _: &file::Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
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
        let ours = Some("docker: { interpose: file }");
        assert_eq!(count("agent:/data", "", ours, true), 0);
        assert_eq!(count("agent:/data", "profile: metadata-first", ours, true), 0);
        assert_eq!(count("agent:/data", "profile: torn", ours, true), 1);
        assert_eq!(count("agent:/data/x", "", ours, false), 1);
        assert_eq!(count("agent:/data", "", Some("docker: {}"), true), 1);
        assert_eq!(count("agent", "", None, false), 1);
        assert_eq!(count("agent:/data", "", None, true), 1);
    }
}
