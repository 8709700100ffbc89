//! A filesystem of ours between a volume and its users: `interpose: file`.
//!
//! Mounted before any container starts, on the engine's host; a container gets it as a bind mount.
//! Which files are left to the kernel is decided by the rules that the scenario's faults may bring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Provision, VolumeError};
use crate::{
    protocol::{Backing, Entry, Interposer, Op, Outcome},
    runtime::MountSource,
};

/// What lies between a volume and its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// A filesystem in which I/O faults strike: errors, latency. Files that no fault of the
    /// scenario can hit are read and written by the kernel alone.
    File,
}

/// Name of a volume at the engine, and of its interposer.
#[must_use]
pub fn object_name(run: &str, volume: &str) -> String {
    format!("keelhaul-{run}-{volume}")
}

/// What names of files begin with that belong to the interposer of this name.
#[must_use]
pub fn mark(object: &str) -> String {
    format!(".{object}-trial")
}

/// Puts an interposer over what lies beneath, and says what to mount instead.
pub(super) async fn over(cx: &Provision<'_>, backing: Backing) -> Result<MountSource, VolumeError> {
    let name = cx.object.clone();
    let interposer =
        Interposer { mark: mark(&name), name: name.clone(), backing, expected: cx.rules.clone() };
    let entry = Entry {
        what: format!("interposer of volume {}", cx.name),
        ops: vec![Op::Interpose { interposer }],
        undo: vec![Op::EndInterposer { name }],
        expires_ms: None,
    };
    let applied = cx.helper.apply(entry).await?;
    match applied.outcomes.as_slice() {
        [Outcome::Directory { host_path }] => Ok(MountSource::Bind { path: host_path.clone() }),
        other => Err(VolumeError::Unexpected(format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::Fake,
        volumes::{VolumeSpec, tests::provision},
    };

    async fn made(yaml: &str, fake: &Fake) -> MountSource {
        let volume: VolumeSpec = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(volume.interpose(), Some(Layer::File));
        assert_eq!(volume.check(false), Vec::<String>::new());
        volume.provision(&provision(fake)).await.unwrap()
    }

    #[tokio::test]
    async fn it_lies_over_what_the_volume_is_and_its_undo_comes_first() {
        let cases = [
            ("docker: { interpose: file }", "/var/lib/volumes/kh-r1-data"),
            ("bind: { interpose: file }", "/run-dir/kh-r1-data"),
        ];
        for (yaml, beneath) in cases {
            let fake = Fake::default();
            let source = made(yaml, &fake).await;
            assert_eq!(source, MountSource::Bind { path: "/interposed/kh-r1-data".into() });
            let world = fake.world();
            let entry = world.applied.last().unwrap();
            assert_eq!(entry.undo, [Op::EndInterposer { name: "kh-r1-data".into() }]);
            let [Op::Interpose { interposer }] = entry.ops.as_slice() else { panic!("{entry:?}") };
            assert_eq!(interposer.backing, Backing::Directory { host_path: beneath.into() });
        }
    }

    #[tokio::test]
    async fn an_image_is_mounted_by_the_interposer_and_not_by_the_engine() {
        let fake = Fake::default();
        made("ext4: { size: 16MiB, mount_options: [noatime], interpose: file }", &fake).await;
        let world = fake.world();
        assert!(world.volumes.is_empty());
        let [Op::Interpose { interposer }] = world.applied.last().unwrap().ops.as_slice() else {
            panic!("{:?}", world.applied)
        };
        let (name, fs_type) = ("kh-r1-data".into(), "ext4".into());
        let options = vec!["noatime".to_owned()];
        assert_eq!(interposer.backing, Backing::Image { name, fs_type, options });
    }
}
