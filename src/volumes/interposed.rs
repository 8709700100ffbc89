//! Something of ours between a volume and its users (`interpose: file`), or beneath its filesystem
//! (`interpose: block`).
//!
//! A disk is on a loop device, and nobody but the engine mounts it. A filesystem of ours is mounted before any container starts, on the engine's host; a container gets it as a bind mount.
//! Which files are left to the kernel is decided by the rules that the scenario's faults may bring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Provision, VolumeError};
use crate::{
    protocol::{Backing, Durability, Entry, Interposer, Op, Outcome},
    runtime::MountSource,
};

/// What lies between a volume and its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// A filesystem in which I/O faults strike: errors, latency. Files that no fault of the
    /// scenario can hit are read and written by the kernel alone.
    File,
    /// A disk of ours, in memory, beneath the real filesystem, in which faults of a disk strike, and
    /// whose power can be cut.
    Block,
}

/// What is wrong with a disk beneath a volume that is a directory.
pub(super) fn no_disk(kind: &str, interpose: Option<Layer>) -> Option<String> {
    (interpose == Some(Layer::Block)).then(|| {
        format!(
            "a `{kind}` volume is a directory, and a disk of ours lies beneath a filesystem of the \
             run's own\n\nhint: use `ext4`, `xfs` or `btrfs` with `interpose: block`"
        )
    })
}

/// What is wrong with promises that nothing of ours keeps.
pub(super) fn no_promises(
    interpose: Option<Layer>,
    durability: Option<Durability>,
) -> Option<String> {
    let durability = durability?.name();
    match interpose {
        Some(Layer::File) => None,
        Some(Layer::Block) => Some(format!(
            "`durability: {durability}` is for a filesystem of ours, and with `interpose: block` the \
             real one on the disk decides what is durable\n\nhint: leave `durability` out, or use \
             `interpose: file`"
        )),
        None => Some(format!(
            "`durability: {durability}` says what a `power-cut` may undo, and nothing remembers what \
             was not synced\n\nhint: add `interpose: file`, or leave `durability` out"
        )),
    }
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
pub(super) async fn over(
    cx: &Provision<'_>,
    backing: Backing,
    durability: Durability,
) -> Result<MountSource, VolumeError> {
    match interpose(cx, backing, durability).await?.as_slice() {
        [Outcome::Directory { host_path }] => Ok(MountSource::Bind { path: host_path.clone() }),
        other => Err(VolumeError::Unexpected(format!("{other:?}"))),
    }
}

/// Makes a disk that begins with the volume's image; the loop device's node on the host.
pub(super) async fn disk(cx: &Provision<'_>) -> Result<String, VolumeError> {
    let backing = Backing::Disk { image: cx.object.clone() };
    // the filesystem on it makes promises of its own
    match interpose(cx, backing, Durability::default()).await?.as_slice() {
        [Outcome::Loop { device }] => Ok(device.clone()),
        other => Err(VolumeError::Unexpected(format!("{other:?}"))),
    }
}

async fn interpose(
    cx: &Provision<'_>,
    backing: Backing,
    durability: Durability,
) -> Result<Vec<Outcome>, VolumeError> {
    let name = cx.object.clone();
    let interposer = Interposer {
        mark: mark(&name),
        name: name.clone(),
        expected: cx.rules.clone(),
        durability,
        // what is done to a disk has no path: it is not traced
        traced: cx.traced && !matches!(backing, Backing::Disk { .. }),
        backing,
    };
    let entry = Entry {
        what: format!("interposer of volume {}", cx.name),
        ops: vec![Op::Interpose { interposer }],
        undo: vec![Op::EndInterposer { name }],
        expires_ms: None,
    };
    Ok(cx.helper.apply(entry).await?.outcomes)
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
            assert_eq!(interposer.durability, Durability::PosixStrict);
        }
    }

    #[tokio::test]
    async fn it_keeps_the_promises_that_the_volume_names() {
        for kind in ["docker: {", "bind: {", "ext4: { size: 16MiB,"] {
            let fake = Fake::default();
            made(&format!("{kind} interpose: file, durability: btrfs }}"), &fake).await;
            let world = fake.world();
            let [Op::Interpose { interposer }] = world.applied.last().unwrap().ops.as_slice()
            else {
                panic!("{:?}", world.applied)
            };
            assert_eq!(interposer.durability, Durability::Btrfs, "{kind}");
        }
    }

    #[test]
    fn promises_that_nothing_keeps_are_refused() {
        let wrong =
            |yaml: &str| serde_saphyr::from_str::<VolumeSpec>(yaml).unwrap().check(false).join(";");
        assert_eq!(wrong("docker: { interpose: file, durability: xfs }"), "");
        for (kind, size) in [("ext4", "64MiB"), ("xfs", "300MiB"), ("btrfs", "256MiB")] {
            let on = |more: &str| wrong(&format!("{kind}: {{ size: {size}, {more} }}"));
            assert_eq!(on("interpose: file, durability: posix-strict"), "");
            let real = on("interpose: block, durability: ext4");
            assert!(real.contains("the real one on the disk decides"), "{real}");
            let none = on("durability: ext4");
            assert!(none.contains("add `interpose: file`"), "{none}");
        }
        for kind in ["docker", "bind"] {
            let none = wrong(&format!("{kind}: {{ durability: ext4 }}"));
            assert!(none.contains("add `interpose: file`"), "{none}");
        }
    }

    #[tokio::test]
    async fn a_disk_lies_beneath_the_filesystem_that_the_engine_mounts() {
        let fake = Fake::default();
        let volume: VolumeSpec =
            serde_saphyr::from_str("ext4: { size: 16MiB, interpose: block }").unwrap();
        assert_eq!((volume.check(false), volume.filesystem()), (vec![], None));
        let source = volume.provision(&provision(&fake)).await.unwrap();
        assert!(matches!(source, MountSource::Volume { .. }), "{source:?}");
        let world = fake.world();
        assert_eq!(world.volumes[0].options["device"], "/dev/loop8");
        assert_eq!(world.applied[0].undo, [Op::RemoveImage { name: "kh-r1-data".into() }]);
        assert_eq!(world.applied[1].undo, [Op::EndInterposer { name: "kh-r1-data".into() }]);
        let attached = |op: &Op| matches!(op, Op::AttachLoop { .. });
        assert!(!world.applied.iter().flat_map(|entry| &entry.ops).any(attached));
    }

    #[test]
    fn a_disk_in_memory_has_whole_sectors_and_bounds() {
        let wrong =
            |yaml: &str| serde_saphyr::from_str::<VolumeSpec>(yaml).unwrap().check(false).len();
        assert_eq!(wrong("ext4: { size: 64MiB, interpose: block }"), 0);
        assert_eq!(wrong("xfs: { size: 300MiB, interpose: block }"), 0);
        assert_eq!(wrong("btrfs: { size: 256MiB, interpose: block }"), 0);
        assert_eq!(wrong("ext4: { size: 100GiB, interpose: block }"), 0);
        assert_eq!(wrong("ext4: { size: 101GiB, interpose: block }"), 1);
        assert_eq!(wrong("ext4: { size: 67108865B, interpose: block }"), 1);
        assert_eq!(wrong("ext4: { size: 101GiB, interpose: file }"), 0);
        assert_eq!(wrong("docker: { interpose: block }"), 1);
        assert_eq!(wrong("bind: { interpose: block }"), 1);
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
