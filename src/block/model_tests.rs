//! The disk against a model that remembers everything and is too simple to be wrong.

use proptest::prelude::*;

use super::{CHUNK, Disk, Image, Profile};

const SECTORS: u64 = 8;
const SIZE: u64 = SECTORS * CHUNK as u64;
/// No cache is this full.
const ROOMY: u64 = 1 << 30;

/// One step: the kind, where, and how many sectors.
type Step = (u8, u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..5_u8, 0..SECTORS, 1..4_u64), 0..40)
}

/// Everything that happened, with its times.
#[derive(Default)]
struct Model {
    /// Sectors from, sectors to, byte, submitted, completed.
    writes: Vec<(u64, u64, u8, usize, Option<usize>)>,
    /// Submitted, and completed.
    flushes: Vec<(usize, usize)>,
    time: usize,
}

impl Model {
    fn covered(&self, completed: Option<usize>) -> bool {
        completed.is_some_and(|done| self.flushes.iter().any(|(submitted, _)| done < *submitted))
    }

    /// What is there when `kept` says it of each write that is not covered.
    fn state(&self, kept: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
        for (at, (from, to, byte, _, completed)) in self.writes.iter().enumerate() {
            if self.covered(*completed) || kept(at) {
                let range =
                    usize::try_from(*from).unwrap() * CHUNK..usize::try_from(*to).unwrap() * CHUNK;
                bytes[range].fill(*byte);
            }
        }
        bytes
    }
}

/// Runs the steps on both. Writes of kind 4 stay on their way.
fn run(steps: &[Step], cache: u64) -> (Disk, Model) {
    let (mut disk, mut model) = (Disk::new(Image::new(SIZE), cache), Model::default());
    for (number, (kind, from, sectors)) in steps.iter().enumerate() {
        let (to, byte) = ((from + sectors).min(SECTORS), u8::try_from(number + 1).unwrap());
        let (offset, length) = (from * CHUNK as u64, (to - from) * CHUNK as u64);
        let now = model.time;
        model.time += 2;
        let done = (*kind != 4).then_some(now + 1);
        let submitted = match kind {
            0 => {
                let submitted = disk.flush();
                disk.flushed(submitted);
                model.flushes.push((now, now + 1));
                continue;
            }
            1 => {
                model.writes.push((*from, to, 0, now, done));
                disk.zero(offset, length)
            }
            _ => {
                model.writes.push((*from, to, byte, now, done));
                disk.write(offset, &vec![byte; usize::try_from(length).unwrap()])
            }
        };
        if done.is_some() {
            disk.written(submitted);
        }
    }
    (disk, model)
}

fn bytes(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    image.read(0, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_drop_leaves_exactly_what_was_covered_and_a_kept_cache_everything(steps in steps()) {
        let (disk, model) = run(&steps, ROOMY);
        let (dropped, kept) = (disk.cut(Profile::Drop, 1, |_| false), disk.cut(Profile::KeepAll, 1, |_| false));
        prop_assert_eq!(bytes(&dropped.image), model.state(|_| false));
        prop_assert_eq!(bytes(&kept.image), model.state(|_| true));
        prop_assert_eq!(bytes(disk.live()), model.state(|_| true));
        let volatile = model.writes.iter().filter(|it| !model.covered(it.4)).count() as u64;
        prop_assert_eq!((dropped.volatile, dropped.dropped, kept.dropped), (volatile, volatile, 0));
    }

    #[test]
    fn every_state_is_what_some_choice_of_whole_writes_leaves(steps in steps(), seed in any::<u64>()) {
        let (disk, model) = run(&steps, ROOMY);
        let volatile: Vec<usize> =
            (0..model.writes.len()).filter(|at| !model.covered(model.writes[*at].4)).collect();
        prop_assume!(volatile.len() <= 12);
        for profile in [Profile::Subset, Profile::Prefix, Profile::Omit2, Profile::Keep1] {
            let state = bytes(&disk.cut(profile, seed, |_| false).image);
            let found = (0_u32..1 << volatile.len()).any(|choice| {
                let kept = |at| volatile.iter().position(|it| *it == at)
                    .is_some_and(|bit| choice >> bit & 1 == 1);
                model.state(kept) == state
            });
            prop_assert!(found, "{:?}", profile);
        }
    }

    #[test]
    fn a_torn_state_has_in_each_sector_a_write_that_was_there(steps in steps(), seed in any::<u64>()) {
        let (disk, model) = run(&steps, ROOMY);
        let state = bytes(&disk.cut(Profile::Torn, seed, |_| false).image);
        let durable = model.state(|_| false);
        for sector in 0..SECTORS {
            let at = usize::try_from(sector).unwrap() * CHUNK;
            let found = &state[at..at + CHUNK];
            prop_assert!(found.iter().all(|byte| *byte == found[0]), "a sector is whole");
            let volatile = model.writes.iter().filter(|it| !model.covered(it.4));
            let mut possible = volatile.filter(|it| (it.0..it.1).contains(&sector)).map(|it| it.2);
            prop_assert!(found[0] == durable[at] || possible.any(|byte| byte == found[0]));
        }
    }

    #[test]
    fn a_small_cache_makes_more_durable_and_changes_nothing_else(steps in steps()) {
        let (disk, model) = run(&steps, 2 * CHUNK as u64);
        prop_assert_eq!(bytes(disk.live()), model.state(|_| true));
        let roomy = run(&steps, ROOMY).0.cut(Profile::Drop, 1, |_| false);
        prop_assert!(disk.cut(Profile::Drop, 1, |_| false).volatile <= roomy.volatile);
    }
}

#[test]
fn a_flush_covers_what_was_completed_before_it_was_asked_for() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let (early, late) = (disk.write(0, &[1; CHUNK]), disk.write(4096, &[2; CHUNK]));
    disk.written(early);
    let flush = disk.flush();
    disk.written(late);
    assert_eq!(disk.cut(Profile::Drop, 0, |_| false).volatile, 2, "the flush is not done");
    disk.flushed(flush);
    let cut = disk.cut(Profile::Drop, 0, |data| data[0] == 2);
    assert_eq!((cut.volatile, cut.dropped, cut.asked), (0, 0, Some(false)));
    assert_eq!((bytes(&cut.image)[0], bytes(&cut.image)[CHUNK]), (1, 0));
    assert_eq!(disk.cut(Profile::KeepAll, 0, |data| data[0] == 2).asked, Some(true));
    assert_eq!(disk.cut(Profile::KeepAll, 0, |data| data[0] == 1).asked, None);
}

#[test]
fn an_early_write_on_its_way_does_not_overtake_a_later_one_that_is_durable() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let (_stuck, done) = (disk.write(0, &[1; CHUNK]), disk.write(0, &[2; CHUNK]));
    disk.written(done);
    let flush = disk.flush();
    disk.flushed(flush);
    for profile in [Profile::Drop, Profile::KeepAll] {
        assert_eq!(bytes(&disk.cut(profile, 0, |_| false).image)[0], 2);
    }
}
