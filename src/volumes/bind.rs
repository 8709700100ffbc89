//! `bind`: a directory of the engine's host, mounted as it is.
//!
//! Without a path the run makes one, and removes it with all that is in it. A path of the user's is
//! never made, changed or removed here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filesystem, Layer, Owner, Provision, Volume, VolumeError, interposed};
use crate::{
    protocol::{Backing, Capability, Durability, Entry, Op, Outcome},
    runtime::MountSource,
    units::{Mode, is_selinux_label},
};

/// A directory of the host: one made for the run, or one of yours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// Absolute path of an existing directory on the engine's host; needs `allow: [host-wide]`.
    /// Without it the run makes an empty directory and removes it afterwards.
    path: Option<String>,
    /// Permission bits of a directory made for the run; `0755` without it.
    mode: Option<Mode>,
    /// Owner of a directory made for the run; root without it.
    owner: Option<Owner>,
    /// The `SELinux` label of a directory made for the run, such as a home directory has:
    /// `system_u:object_r:user_home_t:s0`. That of the engine's volumes without it, which every
    /// container may use. Nobody asks for it where `SELinux` is not in force.
    selinux_label: Option<String>,
    /// What lies between the volume and its users: `file` for I/O faults.
    interpose: Option<Layer>,
    /// Whose promises of what a sync makes durable are kept until a `power-cut`, with `interpose: file`;
    /// those of `posix-strict` without it.
    durability: Option<Durability>,
}

const DEFAULT_MODE: u32 = 0o755;

impl Bind {
    /// A directory that is there.
    pub(super) fn at(path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..Self::default() }
    }
}

impl Volume for Bind {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "bind: {}";

    fn filesystem(&self) -> Option<Filesystem> {
        None
    }

    fn shares_host(&self) -> bool {
        self.path.is_none()
    }

    fn interpose(&self) -> Option<Layer> {
        self.interpose
    }

    fn durability(&self) -> Durability {
        self.durability.unwrap_or_default()
    }

    fn check(&self, host_wide: bool) -> Vec<String> {
        let mut wrong: Vec<String> =
            interposed::no_disk("bind", self.interpose).into_iter().collect();
        wrong.extend(interposed::no_promises(self.interpose, self.durability));
        wrong.extend(self.selinux_label.as_deref().and_then(no_label));
        let Some(path) = &self.path else {
            return wrong;
        };
        if !path.starts_with('/') {
            wrong.push(format!(
                "`{path}` is not an absolute path, and the engine would take it for a volume's \
                 name\n\nhint: write it from `/`"
            ));
        }
        if !host_wide {
            wrong.push(format!(
                "`{path}` does not belong to the run\n\nhint: leave `path` out for a directory of \
                 the run's own, or say `allow: [host-wide]`"
            ));
        }
        if self.mode.is_some() || self.owner.is_some() || self.selinux_label.is_some() {
            wrong.push(format!(
                "`mode`, `owner` and `selinux_label` are for a directory that the run makes, and `{path}` is \
                 yours\n\nhint: leave them out, or leave `path` out"
            ));
        }
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let path = self.directory(cx).await?;
        match self.interpose {
            None | Some(Layer::Block) => Ok(MountSource::Bind { path }),
            Some(Layer::File) => {
                let backing = Backing::Directory { host_path: path };
                interposed::over(cx, backing, self.durability()).await
            }
        }
    }
}

/// Why this cannot be an `SELinux` label.
fn no_label(label: &str) -> Option<String> {
    (!is_selinux_label(label)).then(|| {
        format!(
            "`selinux_label: {label}` is no label of SELinux\n\nhint: write `user:role:type:level`, \
             as `system_u:object_r:user_home_t:s0`"
        )
    })
}

impl Bind {
    /// The directory, made where it is the run's.
    async fn directory(&self, cx: &Provision<'_>) -> Result<String, VolumeError> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        let owner = self.owner.unwrap_or_default();
        let entry = Entry {
            what: format!("directory of volume {}", cx.name),
            ops: vec![Op::CreateBind {
                name: cx.object.clone(),
                mode: self.mode.map_or(DEFAULT_MODE, |mode| mode.0),
                uid: owner.uid,
                gid: owner.gid,
                label: self.selinux_label.clone(),
            }],
            undo: vec![Op::RemoveBind { name: cx.object.clone() }],
            expires_ms: None,
        };
        let applied = cx.helper.apply(entry).await?;
        match applied.outcomes.as_slice() {
            [Outcome::Directory { host_path }] => Ok(host_path.clone()),
            other => Err(VolumeError::Unexpected(format!("{other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing::Fake, volumes::tests::provision};

    fn bind(yaml: &str) -> Bind {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn the_users_own_path_needs_the_opt_in() {
        assert_eq!(bind("path: /srv/data").check(false).len(), 1);
        assert!(bind("path: /srv/data").check(true).is_empty());
        assert_eq!(bind("path: data").check(true).len(), 1);
        assert_eq!(bind("{ path: /srv, mode: \"0700\" }").check(true).len(), 1);
        assert!(bind("{ owner: \"1001:1001\" }").check(false).is_empty());
    }

    #[tokio::test]
    async fn a_directory_of_the_run_is_made_with_its_undo() {
        let fake = Fake::default();
        let made = bind("{ owner: \"1001:7\" }").provision(&provision(&fake)).await.unwrap();
        assert_eq!(made, MountSource::Bind { path: "/run-dir/kh-r1-data".into() });
        let applied = &fake.world().applied;
        assert_eq!(applied.len(), 1);
        assert_eq!(applied[0].undo, [Op::RemoveBind { name: "kh-r1-data".into() }]);
        assert!(matches!(applied[0].ops[0], Op::CreateBind { mode: 0o755, uid: 1001, gid: 7, .. }));
    }

    #[tokio::test]
    async fn the_users_own_path_is_left_as_it_is() {
        let fake = Fake::default();
        let made = bind("path: /srv/data").provision(&provision(&fake)).await.unwrap();
        assert_eq!(made, MountSource::Bind { path: "/srv/data".into() });
        assert!(fake.world().applied.is_empty());
    }
}
