//! A state that was kept is judged again: it is put on a disk of ours, its filesystem recovers it, and what
//! is read there is held against what had been promised.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    helper::{HelperError, HelperLink, Result},
    protocol::{Backing, Durability, Entry, Interposer, Op, Read, Reading, ReplaySpec, Replayed},
    volumes::{mark, object_name},
};

/// Raw bytes per call: base64 makes 2.7 MiB of them, and a frame holds 8 MiB.
const PER_CALL: usize = 2 << 20;
/// What the disk is called, after the run.
const NAME: &str = "state";

/// Judges the state in a file. `container` is the one whose program reads it, where a program does. What
/// is made for it is in the helper's journal: a rollback takes it away.
///
/// # Errors
/// When it cannot be judged, which says nothing of the state.
pub async fn replay(
    helper: &dyn HelperLink,
    run: &str,
    file: &[u8],
    container: Option<String>,
) -> Result<Replayed> {
    let name = object_name(run, NAME);
    bring(helper, &name, file).await?;
    attach(helper, &name).await?;
    let spec = ReplaySpec { disk: name.clone(), file: name, container };
    match helper.read(Read::Replay(spec)).await? {
        Reading::Replayed(replayed) => Ok(replayed),
        other => Err(HelperError::Refused(format!("the helper answered out of turn: {other:?}"))),
    }
}

fn entry(what: &str, ops: Vec<Op>, undo: Vec<Op>) -> Entry {
    Entry { what: format!("{what} of a crash state"), ops, undo, expires_ms: None }
}

/// Brings a file to the helper, in pieces. The first holds the undo of all.
pub(super) async fn bring(helper: &dyn HelperLink, name: &str, file: &[u8]) -> Result<()> {
    let name = || name.to_owned();
    let create = Op::CreateImage { name: name(), size: file.len() as u64, mounted: None };
    helper.apply(entry("file", vec![create], vec![Op::RemoveImage { name: name() }])).await?;
    for (at, piece) in (0_u64..).step_by(PER_CALL).zip(file.chunks(PER_CALL)) {
        let extents = vec![(at, STANDARD.encode(piece))];
        let write = vec![Op::WriteImage { name: name(), extents }];
        helper.apply(entry("piece", write, Vec::new())).await?;
    }
    Ok(())
}

/// The disk that begins with such a file, and has its name.
pub(super) async fn attach(helper: &dyn HelperLink, name: &str) -> Result<()> {
    let name = || name.to_owned();
    let interposer = Interposer {
        name: name(),
        mark: mark(&name()),
        backing: Backing::Disk { image: name() },
        expected: Vec::new(),
        durability: Durability::default(),
        traced: false,
    };
    let ops = vec![Op::Interpose { interposer }];
    helper.apply(entry("disk", ops, vec![Op::EndInterposer { name: name() }])).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::Fake;

    #[tokio::test]
    async fn every_piece_and_the_disk_have_their_undo_before_they_are_there() {
        let (fake, file) = (Fake::default(), vec![7; PER_CALL + 1]);
        let replayed = replay(&fake, "r1", &file, None).await.unwrap();
        assert_eq!(replayed.acknowledged, 7);
        let world = fake.world();
        let undo: Vec<_> = world.applied.iter().flat_map(|entry| &entry.undo).collect();
        let name = || "keelhaul-r1-state".to_owned();
        assert_eq!(undo, [&Op::RemoveImage { name: name() }, &Op::EndInterposer { name: name() }]);
        assert_eq!(world.applied.first().unwrap().undo.len(), 1, "it is journaled at first");
        let mut found = Vec::new();
        for op in world.applied.iter().flat_map(|entry| &entry.ops) {
            if let Op::WriteImage { extents, .. } = op {
                assert_eq!(extents[0].0, found.len() as u64);
                found.extend(STANDARD.decode(&extents[0].1).unwrap());
            }
        }
        assert!(found == file);
    }
}
