//! A mount that is taken away as a whole: what `lost-mount` and `remount` share.

use super::{Cx, Declared, Effect, FaultError, Target, checks, observe::flags};
use crate::{
    protocol::{FileId, Init, MountFacts, Op},
    volumes::{Filesystem, VolumeSpec},
};

/// Why a target cannot be taken away, as far as the scenario tells.
pub(super) fn complaints(name: &str, target: &Target, declared: &Declared<'_>) -> Vec<String> {
    let mut wrong: Vec<_> = checks::needs_path(name, target).into_iter().collect();
    wrong.extend(checks::needs_mount_point(name, target, declared));
    if declared.volume.and_then(VolumeSpec::filesystem) == Some(Filesystem::Tmpfs) {
        wrong.push(format!(
            "`{target}` is a tmpfs, whose data would go with its mount\n\nhint: use \
             `tmpfs-restart` with `in_place: true`, or another kind of volume"
        ));
    }
    wrong
}

/// A mount that may be taken away, since the engine shows its directory elsewhere too.
#[derive(Debug)]
pub(super) struct WholeMount {
    /// As it is now.
    pub(super) facts: MountFacts,
    /// The directory that is mounted.
    pub(super) root: FileId,
    /// The init whose namespace is changed.
    pub(super) init: Init,
    /// Descriptors open for writing.
    pub(super) writers: u64,
    /// Takes it away.
    pub(super) detach: Op,
    /// Brings it back: the clone that was kept, or another one of the same directory.
    pub(super) attach: Op,
}

impl WholeMount {
    /// The one mount at the fault's target.
    ///
    /// # Errors
    /// [`FaultError::Refused`] if there is not exactly one, or if it might not come back.
    pub(super) async fn find(name: &str, cx: &Cx<'_>) -> Result<Self, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let path = &place.path;
        let stack = cx.mount_stack(&place).await?;
        let [facts] = &stack[..] else {
            return Err(FaultError::Refused(format!(
                "{} mounts lie at `{path}` in `{}`, and `{name}` takes exactly one\n\nhint: name \
                 a mount, and revert what covers it first",
                stack.len(),
                cx.site.service
            )));
        };
        if facts.fs_type == "tmpfs" || place.host_path.is_none() {
            return Err(FaultError::Refused(format!(
                "only this container shows the {} at `{path}`, so it might not come back",
                facts.fs_type
            )));
        }
        let root = cx
            .file_id(&place)
            .await?
            .ok_or_else(|| FaultError::Refused(format!("there is no `{path}`")))?;
        let (init, writers) = (cx.init().await?, cx.writers(&place).await?);
        let detach = Op::DetachMount { place: place.clone(), mount: facts.id, root };
        let attach = Op::AttachMount { place, init, root, flags: flags(facts) };
        Ok(Self { facts: facts.clone(), root, init, writers, detach, attach })
    }
}

/// Says which descriptors were open for writing, and what became of them: `where_to` follows
/// "stay" or "stays".
pub(super) fn note_writers(effect: Effect, writers: u64, where_to: &str) -> Effect {
    match writers {
        0 => effect,
        1 => effect.note(format!("1 descriptor open for writing stays {where_to}")),
        n => effect.note(format!("{n} descriptors open for writing stay {where_to}")),
    }
}
