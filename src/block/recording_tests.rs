//! The recorded past against disks that were really cut there.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::{CHUNK, Candidate, Disk, Image, Kept, Past, Profile, Shelf, choose, pack, plan};

const SECTORS: u64 = 8;
const SIZE: u64 = SECTORS * CHUNK as u64;
const ROOMY: u64 = 1 << 30;

/// Write, zeros, flush or mark; where; and how many sectors.
type Step = (u8, u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..6_u8, 0..SECTORS, 1..4_u64), 1..40)
}

/// Does one step; the disk as it was just before, where that is a flush, and the mark's number.
fn act(disk: &mut Disk, step: Step, byte: u8) -> (Option<Disk>, Option<u64>) {
    let (kind, from, sectors) = step;
    let length = ((from + sectors).min(SECTORS) - from) * CHUNK as u64;
    let submitted = match kind {
        0 => {
            let before = disk.clone();
            let flush = disk.flush();
            disk.flushed(flush);
            return (Some(before), None);
        }
        1 => return (None, Some(disk.mark())),
        2 => disk.zero(from * CHUNK as u64, length),
        _ => disk.write(from * CHUNK as u64, &vec![byte; usize::try_from(length).unwrap()]),
    };
    // kind 5 stays on its way
    if kind != 5 {
        disk.written(submitted);
    }
    (None, None)
}

fn run(disk: &mut Disk, steps: &[Step]) -> Vec<Disk> {
    let numbered = steps.iter().zip(1..);
    let mut cuts: Vec<Disk> =
        numbered.filter_map(|(step, byte)| act(disk, *step, byte).0).collect();
    cuts.push(disk.clone());
    cuts
}

proptest! {
    #[test]
    fn a_past_state_is_what_a_cut_at_that_moment_left(
        before in steps(),
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let mut disk = Disk::new(Image::new(SIZE), ROOMY);
        run(&mut disk, &before);
        disk.record(ROOMY);
        let cuts = run(&mut disk, &steps);
        let past = disk.recording().unwrap().past();
        prop_assert!(past.points().len() <= cuts.len());
        for point in past.points() {
            let cut = cuts.iter().find(|disk| disk.last() == point.cut).unwrap();
            for profile in [Profile::Drop, Profile::KeepAll, Profile::Torn, Profile::Subset] {
                let kept = choose(profile, seed, &point.writes);
                let found = past.image(point.cut, &kept).unwrap();
                prop_assert_eq!(found.digest(), cut.cut(profile, seed, |_| false).image.digest());
                let again = disk.recording().unwrap().past().image(point.cut, &kept).unwrap();
                prop_assert_eq!(found.digest(), again.digest());
            }
        }
    }

    #[test]
    fn a_short_memory_forgets_moments_and_changes_none(steps in steps(), seed in any::<u64>()) {
        let recorded = |most| {
            let mut disk = Disk::new(Image::new(SIZE), ROOMY);
            disk.record(most);
            run(&mut disk, &steps);
            disk.recording().unwrap().past()
        };
        let (long, short) = (recorded(ROOMY), recorded(3 * CHUNK as u64));
        prop_assert!(short.points().len() <= long.points().len());
        for point in short.points() {
            let same = long.points().iter().find(|other| other.cut == point.cut).unwrap();
            prop_assert_eq!(&same.writes, &point.writes);
            let kept = choose(Profile::Subset, seed, &point.writes);
            let (one, other) = (short.image(point.cut, &kept), long.image(point.cut, &kept));
            prop_assert_eq!(one.unwrap().digest(), other.unwrap().digest());
        }
    }

    #[test]
    fn every_planned_state_can_be_made(steps in steps(), seed in any::<u64>()) {
        let mut disk = Disk::new(Image::new(SIZE), ROOMY);
        disk.record(ROOMY);
        run(&mut disk, &steps);
        let past = disk.recording().unwrap().past();
        let profiles = [Profile::Drop, Profile::Torn, Profile::Subset];
        let planned = plan(past.points(), &profiles, (40, seed), || false);
        prop_assert!(past.points().is_empty() || !planned.ways.is_empty());
        for way in &planned.ways {
            prop_assert!(past.image(past.points()[way.point].cut, &way.kept).is_some());
        }
    }
}

/// Some places, and what is there.
#[derive(Debug)]
struct Places(Mutex<Vec<Option<[u8; CHUNK]>>>);

impl Places {
    fn some(room: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![None; room])))
    }

    fn taken(&self) -> usize {
        self.0.lock().unwrap().iter().flatten().count()
    }
}

impl Shelf for Places {
    fn put(&self, bytes: &[u8; CHUNK]) -> Option<u64> {
        let mut places = self.0.lock().unwrap();
        let at = places.iter().position(Option::is_none)?;
        places[at] = Some(*bytes);
        Some(at as u64)
    }

    fn get(&self, at: u64, bytes: &mut [u8; CHUNK]) {
        *bytes = self.0.lock().unwrap()[usize::try_from(at).unwrap()].expect("nothing is there");
    }

    fn give_back(&self, at: u64) {
        self.0.lock().unwrap()[usize::try_from(at).unwrap()] = None;
    }
}

/// Bytes of memory in which the numbers of all steps have room, and hardly any data.
const LITTLE: u64 = 32 << 10;

/// What is remembered of these steps in this much memory, beside a shelf.
fn remembered(before: &[Step], steps: &[Step], most: u64, shelf: Option<Arc<Places>>) -> Past {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    run(&mut disk, before);
    disk.record_on(most, shelf.map(|places| places as Arc<dyn Shelf>));
    run(&mut disk, steps);
    disk.recording().unwrap().past()
}

/// The digest and the bytes of each state.
type Left = Vec<([u8; 32], Vec<u8>)>;

/// Every moment, and the digest and the bytes of states that were left there.
fn left(past: &Past, seed: u64) -> Vec<(u64, Left)> {
    let profiles =
        [Profile::Drop, Profile::KeepAll, Profile::Torn, Profile::Garbage, Profile::EraseBlock];
    let of_point = |point: &super::Point| {
        let states = profiles.map(|profile| {
            let kept = choose(profile, seed, &point.writes);
            let image = past.image(point.cut, &kept).unwrap();
            (image.digest(), pack(&image, u64::MAX).unwrap())
        });
        (point.cut, states.to_vec())
    };
    past.points().iter().map(of_point).collect()
}

proptest! {
    #[test]
    fn what_was_put_away_leaves_the_same_states(
        before in steps(),
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let plain = remembered(&before, &steps, ROOMY, None);
        let places = Places::some(1000);
        let away = remembered(&before, &steps, LITTLE, Some(Arc::clone(&places)));
        prop_assert_eq!((away.forgotten(), away.points()), (0, plain.points()));
        let expected = left(&plain, seed);
        prop_assert_eq!(&left(&away, seed), &expected);
        // where there is no more room, moments are forgotten, and the others are the same
        let few = remembered(&before, &steps, LITTLE, Some(Places::some(5)));
        let found = left(&few, seed);
        let last = expected.len() - found.len();
        prop_assert!(found[..] == expected[last..], "{} of {}", found.len(), expected.len());
        drop(away);
        prop_assert_eq!(places.taken(), 0, "all was given back");
    }
}

#[test]
fn data_is_put_away_when_memory_is_short_and_not_before() {
    let writes = |count: u64| -> Vec<Step> { (0..count).map(|at| (3, at % SECTORS, 1)).collect() };
    let taken = |count| {
        let places = Places::some(1000);
        let past = remembered(&[], &writes(count), LITTLE, Some(Arc::clone(&places)));
        (places.taken(), past.forgotten())
    };
    assert_eq!(taken(4), (0, 0));
    let (many, forgotten) = taken(40);
    assert!((30..40).contains(&many) && forgotten == 0, "{many} of 40");
    let without = remembered(&[], &writes(40), LITTLE, None);
    assert!(without.forgotten() > 0);
}

/// What every planned state is told by, and as which bytes it is kept.
fn states(steps: &[Step], seed: u64) -> Vec<([u8; 32], Vec<u8>)> {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    disk.record(ROOMY);
    run(&mut disk, steps);
    let past = disk.recording().unwrap().past();
    let profiles = [Profile::Drop, Profile::Prefix, Profile::Torn, Profile::Subset];
    let planned = plan(past.points(), &profiles, (60, seed), || false);
    let image = |way: &super::Way| past.image(past.points()[way.point].cut, &way.kept).unwrap();
    let kept = |image: Image| (image.digest(), pack(&image, u64::MAX).unwrap());
    planned.ways.iter().map(image).map(kept).collect()
}

#[test]
fn the_same_log_and_seed_give_the_same_states_to_the_byte_and_in_the_same_order() {
    // four writes and a mark between any two flushes, all over the disk
    let step = |at: u64| ([3, 4, 2, 1, 5, 0][(at % 6) as usize], at * 5 % SECTORS, 1 + at % 3);
    let steps: Vec<Step> = (0..200).map(step).collect();
    let found = states(&steps, 7);
    assert!(found.len() == 60 && states(&steps, 7) == found);
    let digests =
        |states: &[([u8; 32], Vec<u8>)]| -> Vec<_> { states.iter().map(|it| it.0).collect() };
    let different: std::collections::HashSet<_> = digests(&found).into_iter().collect();
    assert!(different.len() > 20, "{}", different.len());
    assert_ne!(digests(&states(&steps, 8)), digests(&found));
    assert_ne!(digests(&states(&steps[..190], 7)), digests(&found));
}

#[test]
fn a_mark_stands_after_what_was_done_for_it() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    disk.record(ROOMY);
    let write = disk.write(0, &[1; CHUNK]);
    disk.written(write);
    let flush = disk.flush();
    disk.flushed(flush);
    let mark = disk.mark();
    let past = disk.recording().unwrap().past();
    let [before, after] = past.points() else { panic!("{past:?}") };
    assert!(before.cut < mark && (before.marks, before.writes.len()) == (0, 1));
    assert!(after.cut >= mark && (after.marks, after.writes.len()) == (1, 0));
    let mut byte = [0];
    past.image(after.cut, &[]).unwrap().read(0, &mut byte);
    assert_eq!(byte, [1]);
}

#[test]
fn what_does_not_fit_a_moment_is_no_state_of_it() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    disk.record(ROOMY);
    let write = disk.write(0, &[1; CHUNK]);
    disk.written(write);
    let past = disk.recording().unwrap().past();
    let cut = past.points()[0].cut;
    let data = Some(CHUNK);
    assert!(
        matches!(past.points()[0].writes[..], [Candidate { offset: 0, data: it, .. }] if it == data)
    );
    assert!(past.image(cut, &[Kept::Whole]).is_some());
    assert!(past.image(cut, &[]).is_none() && past.image(cut + 1, &[Kept::Whole]).is_none());
    assert!(past.image(cut, &[Kept::Sectors(vec![true, true])]).is_none());
}

#[test]
fn what_is_forgotten_is_held_no_longer_than_the_cache_holds_it() {
    let mut disk = Disk::new(Image::new(SIZE), 2 * CHUNK as u64);
    disk.record(3 * CHUNK as u64);
    for byte in 0..100 {
        let write = disk.write(0, &[byte; CHUNK]);
        disk.written(write);
    }
    let past = disk.recording().unwrap().past();
    let [point] = past.points() else { panic!("{past:?}") };
    assert!((1..10).contains(&point.writes.len()), "{point:?}");
}

#[test]
fn another_content_begins_another_past_of_the_same_sequence() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    disk.record(ROOMY);
    let before = disk.mark();
    disk.replace(Image::new(SIZE));
    assert!(disk.recording().unwrap().past().points().is_empty());
    let after = disk.mark();
    assert!(after > before && disk.recording().unwrap().past().points()[0].cut == after);
}
