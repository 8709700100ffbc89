//! A filesystem of the run's own: an image on the engine's host, on a loop device, as a volume.
//!
//! Every undo is durable before the act, and finds the image by its name in the run's directory,
//! never by the number of the loop device.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Layer, Provision, VolumeError, interposed,
    mkfs::{self, Extents, Tool},
};
use crate::{
    protocol::{Backing, Durability, Entry, Mounted, Op, Outcome},
    runtime::{MountSource, VolumeSpec},
    units::Size,
};

/// Raw bytes per call: base64 makes 2.7 MiB of them, and a frame holds 4 MiB.
const PER_CALL: usize = 2 << 20;

/// What is to be made.
#[derive(Debug, Clone)]
pub(super) struct Recipe<'a> {
    /// The type to mount: `ext4`.
    pub(super) fs_type: &'static str,
    /// What makes it, one after the other, each with its arguments, without the image.
    pub(super) tools: Vec<(Tool, Vec<String>)>,
    /// Size of the image.
    pub(super) size: Size,
    /// Mount options.
    pub(super) options: &'a [String],
    /// What lies between it and its users.
    pub(super) interpose: Option<Layer>,
    /// Whose promises that keeps.
    pub(super) durability: Durability,
}

/// Makes the image and the volume on it.
pub(super) async fn provision(
    recipe: &Recipe<'_>,
    cx: &Provision<'_>,
) -> Result<MountSource, VolumeError> {
    let extents = mkfs::run(&recipe.tools, recipe.size.0).await?;
    let mut device = None;
    for entry in entries(recipe, cx, extents) {
        let applied = cx.helper.apply(entry).await?;
        device = applied.outcomes.into_iter().find_map(|outcome| match outcome {
            Outcome::Loop { device } => Some(device),
            _ => None,
        });
    }
    if recipe.interpose == Some(Layer::Block) {
        device = Some(interposed::disk(cx).await?);
    }
    let device = device
        .ok_or_else(|| VolumeError::Unexpected("no loop device for an image was named".into()))?;
    if recipe.interpose == Some(Layer::File) {
        let (name, fs_type) = (cx.object.clone(), recipe.fs_type.to_owned());
        let backing = Backing::Image { name, fs_type, options: recipe.options.to_vec() };
        return interposed::over(cx, backing, recipe.durability).await;
    }
    let mut options = BTreeMap::from([
        ("type".to_owned(), recipe.fs_type.to_owned()),
        ("device".to_owned(), device),
    ]);
    if !recipe.options.is_empty() {
        options.insert("o".into(), recipe.options.join(","));
    }
    let spec = VolumeSpec {
        name: cx.object.clone(),
        driver: "local".into(),
        options,
        labels: cx.labels.clone(),
    };
    cx.runtime.create_volume(&spec).await?;
    Ok(MountSource::Volume { name: spec.name, no_copy: false })
}

/// One journal entry per frame. The first holds the whole undo; it is undone last.
fn entries(recipe: &Recipe<'_>, cx: &Provision<'_>, extents: Extents) -> Vec<Entry> {
    let name = || cx.object.clone();
    let (fs_type, options) = (recipe.fs_type.to_owned(), recipe.options.to_vec());
    let mounted = Some(Mounted { fs_type, options });
    let mut frames = vec![vec![Op::CreateImage { name: name(), size: recipe.size.0, mounted }]];
    let mut room = PER_CALL;
    let mut batch = Vec::new();
    for (at, bytes) in extents {
        if bytes.len() > room {
            let extents = std::mem::take(&mut batch);
            push(&mut frames, Op::WriteImage { name: name(), extents });
            frames.push(Vec::new());
            room = PER_CALL;
        }
        room -= bytes.len();
        batch.push((at, STANDARD.encode(bytes)));
    }
    push(&mut frames, Op::WriteImage { name: name(), extents: batch });
    let mut undo = vec![Op::RemoveImage { name: name() }];
    if recipe.interpose != Some(Layer::Block) {
        push(&mut frames, Op::AttachLoop { name: name() });
        undo.insert(0, Op::DetachLoop { name: name() });
    }
    let what = format!("{} image of volume {}", recipe.fs_type, cx.name);
    let with_undo = |(index, ops): (usize, Vec<Op>)| Entry {
        what: what.clone(),
        ops,
        undo: if index == 0 { undo.clone() } else { Vec::new() },
        expires_ms: None,
    };
    frames.into_iter().enumerate().map(with_undo).collect()
}

fn push(frames: &mut [Vec<Op>], op: Op) {
    if let Some(frame) = frames.last_mut() {
        frame.push(op);
    }
}

/// What is written to a disk of ours is in memory, and what is not takes none; more than this was never
/// tried.
const MOST_OF_A_DISK: Size = Size(100 << 30);

/// Bytes that it writes whole or not at all; its filesystem must not have smaller blocks.
pub(super) const SECTOR: u64 = 4096;

fn check_disk(size: Size) -> Option<String> {
    if size > MOST_OF_A_DISK {
        return Some(format!(
            "no disk of ours has {size}

hint: write `size: \
             {MOST_OF_A_DISK}` or less with `interpose: block`"
        ));
    }
    (!size.0.is_multiple_of(SECTOR)).then(|| {
        format!(
            "a disk of ours has sectors of {SECTOR} bytes, and {} bytes are no whole number of \
             them\n\nhint: write a `size` such as `64MiB` with `interpose: block`",
            size.0
        )
    })
}

/// Complaints that every filesystem of the run's own shares.
pub(super) fn check(
    fs_type: &str,
    (size, least): (Size, Size),
    interpose: Option<Layer>,
    label: Option<(&str, usize)>,
    options: &[String],
) -> Vec<String> {
    let disk = interpose.filter(|layer| *layer == Layer::Block).and_then(|_| check_disk(size));
    let mut wrong: Vec<String> = disk.into_iter().collect();
    if size < least {
        wrong.push(format!(
            "`{fs_type}` cannot be made in {size}\n\nhint: write `size: {least}` or more"
        ));
    }
    if let Some((label, most)) = label
        && label.len() > most
    {
        wrong.push(format!(
            "a label of `{fs_type}` holds {most} bytes, and `{label}` has {}\n\nhint: shorten it",
            label.len()
        ));
    }
    if let Some(option) = options.iter().find(|option| option.is_empty() || option.contains(',')) {
        wrong.push(format!(
            "`{option}` is not one mount option\n\nhint: write a list: `[noatime, discard]`"
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing::Fake, volumes::tests::provision as making};

    fn recipe() -> Recipe<'static> {
        let tool = Tool { name: "true", package: "coreutils" };
        Recipe {
            fs_type: "ext4",
            tools: vec![(tool, Vec::new())],
            size: Size(1 << 30),
            options: &[],
            interpose: None,
            durability: Durability::default(),
        }
    }

    #[test]
    fn large_images_travel_in_frames_and_the_first_holds_the_undo() {
        let fake = Fake::default();
        let extents = (0..7).map(|n| (n << 21, vec![1_u8; 1 << 20])).collect();
        let entries = entries(&recipe(), &making(&fake), extents);
        assert_eq!(entries.len(), 4);
        for entry in &entries {
            assert!(serde_json::to_vec(entry).unwrap().len() < 4 << 20);
        }
        let undo: Vec<_> = entries.iter().map(|entry| entry.undo.len()).collect();
        assert_eq!(undo, [2, 0, 0, 0]);
        assert!(matches!(entries[0].undo[0], Op::DetachLoop { .. }));
        assert!(matches!(entries[0].ops[0], Op::CreateImage { size: 0x4000_0000, .. }));
        assert!(matches!(entries[3].ops.last(), Some(Op::AttachLoop { .. })));
        let written = entries.iter().flat_map(|entry| &entry.ops).map(|op| match op {
            Op::WriteImage { extents, .. } => extents.len(),
            _ => 0,
        });
        assert_eq!(written.sum::<usize>(), 7);
    }

    #[test]
    fn a_small_image_is_one_entry() {
        let fake = Fake::default();
        let entries = entries(&recipe(), &making(&fake), vec![(1024, vec![1; 4096])]);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].ops.len(), 3);
    }

    #[test]
    fn shared_complaints() {
        let none = check("ext4", (Size(64 << 20), Size(4 << 20)), None, Some(("data", 16)), &[]);
        assert!(none.is_empty());
        let options = ["noatime,discard".to_owned()];
        let all = {
            let sizes = (Size(1 << 20), Size(300 << 20));
            check("xfs", sizes, None, Some(("far-too-long", 4)), &options)
        };
        assert_eq!(all.len(), 3);
        assert!(all[0].contains("`size: 300MiB`"));
    }
}
