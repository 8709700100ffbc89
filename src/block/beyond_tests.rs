//! What a disk leaves that does not keep to its specification: other than it may only where the profile
//! says so, and the same by the same seed.

use proptest::prelude::*;

use super::{CHUNK, Disk, Image, Profile, choose};

/// 2 MiB: erase blocks of every size fit.
const SECTORS: u64 = 512;
const SIZE: u64 = SECTORS * CHUNK as u64;
const ROOMY: u64 = 1 << 30;
const BEYOND: [Profile; 5] = [
    Profile::Shorn,
    Profile::Zeroed,
    Profile::Garbage,
    Profile::Unserializable,
    Profile::EraseBlock,
];

/// Flush, zeros or write; at which of few places; and how many sectors.
type Step = (u8, u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..5_u8, 0..6_u64, 1..3_u64), 1..30)
}

fn bytes(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    image.read(0, &mut bytes);
    bytes
}

/// A write: the sectors, the byte, whether it has data, and the flushes that were done before.
#[derive(Clone, Copy)]
struct Write(u64, u64, u8, bool, usize);

/// What happened, and how the disk was left by every flush.
#[derive(Default)]
struct Model {
    writes: Vec<Write>,
    flushes: usize,
}

impl Model {
    fn is_volatile(&self, write: &Write) -> bool {
        write.4 == self.flushes
    }

    fn volatile(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().filter(|write| self.is_volatile(write))
    }

    /// What is there when only these were done.
    fn state(&self, is_done: impl Fn(usize, &Write) -> bool) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
        for (_, write) in self.writes.iter().enumerate().filter(|(at, write)| is_done(*at, write)) {
            bytes[range(write.0, write.1)].fill(write.2);
        }
        bytes
    }
}

fn range(from: u64, to: u64) -> std::ops::Range<usize> {
    usize::try_from(from).unwrap() * CHUNK..usize::try_from(to).unwrap() * CHUNK
}

fn run(disk: &mut Disk, steps: &[Step]) -> Model {
    let mut model = Model::default();
    for ((kind, place, sectors), byte) in steps.iter().zip(1_u8..) {
        // some in one erase block, some far from each other
        let from = [0, 1, 20, 100, 101, 400][usize::try_from(*place).unwrap()];
        let (to, offset) = (from + sectors, from * CHUNK as u64);
        let submitted = match kind {
            0 => {
                let flush = disk.flush();
                disk.flushed(flush);
                model.flushes += 1;
                continue;
            }
            1 => disk.zero(offset, sectors * CHUNK as u64),
            _ => disk.write(offset, &vec![byte; range(from, to).len()]),
        };
        disk.written(submitted);
        let byte = if *kind == 1 { 0 } else { byte };
        model.writes.push(Write(from, to, byte, *kind != 1, model.flushes));
    }
    model
}

fn done(steps: &[Step]) -> (Disk, Model) {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let model = run(&mut disk, steps);
    (disk, model)
}

fn left(disk: &Disk, profile: Profile, seed: u64) -> Vec<u8> {
    bytes(&disk.cut(profile, seed, |_| false).image)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_filled_is_filled_where_a_volatile_write_was_to_go(steps in steps(), seed in any::<u64>()) {
        let (disk, model) = done(&steps);
        let (zeroed, garbage) = (left(&disk, Profile::Zeroed, seed), left(&disk, Profile::Garbage, seed));
        let mut expected = model.state(|_, write| !model.is_volatile(write));
        for write in model.volatile().filter(|write| write.3) {
            expected[range(write.0, write.1)].fill(0);
        }
        prop_assert!(zeroed == expected);
        for sector in 0..SECTORS {
            let here = range(sector, sector + 1);
            let hit = model.volatile().any(|it| it.3 && (it.0..it.1).contains(&sector));
            let same = garbage[here.clone()] == expected[here.clone()];
            prop_assert_eq!(same, !hit, "sector {}", sector);
            let all_alike = garbage[here.clone()].iter().all(|it| *it == garbage[here.start]);
            prop_assert_eq!(all_alike, !hit, "garbage is no old and no new content");
        }
    }

    #[test]
    fn what_is_shorn_is_shorn_at_512_bytes_of_a_volatile_write(steps in steps(), seed in any::<u64>()) {
        let (disk, model) = done(&steps);
        let found = left(&disk, Profile::Shorn, seed);
        let durable = model.state(|_, write| !model.is_volatile(write));
        for (at, unit) in found.chunks(512).enumerate() {
            prop_assert!(unit.iter().all(|byte| *byte == unit[0]));
            let sector = (at / (CHUNK / 512)) as u64;
            let mut possible = model.volatile().filter(|it| (it.0..it.1).contains(&sector));
            prop_assert!(unit[0] == durable[at * 512] || possible.any(|it| it.2 == unit[0]));
        }
        if let [one] = model.volatile().collect::<Vec<_>>()[..]
            && one.3
        {
            let whole = model.state(|_, _| true);
            prop_assert!(found != whole && found != durable, "a part of it is there");
        }
    }

    #[test]
    fn one_that_was_durable_is_missing_and_all_newer_are_there(steps in steps(), seed in any::<u64>()) {
        let (disk, model) = done(&steps);
        let found = left(&disk, Profile::Unserializable, seed);
        let volatile = model.volatile().count();
        let covered = model.writes.len() - volatile;
        let all = model.state(|_, _| true);
        match (covered, volatile) {
            (0, _) | (_, 0) => prop_assert!(found == all),
            _ => prop_assert!((0..covered).any(|gone| model.state(|at, _| at != gone) == found)),
        }
        let shows = (0..covered).any(|gone| model.state(|at, _| at != gone) != all);
        let taken_back = disk.cut(Profile::Unserializable, seed, |_| false).taken_back;
        prop_assert_eq!(taken_back > 0, found != all);
        // nothing hides it, and all is remembered
        let meets = |one: &Write| {
            model.writes[..covered].iter().any(|other| one.0 < other.1 && other.0 < one.1)
        };
        if shows && volatile > 0 && model.flushes <= 8 && !model.volatile().any(meets) {
            prop_assert!(found != all);
        }
    }

    #[test]
    fn a_block_is_as_it_was_at_an_earlier_flush_and_the_rest_as_it_is(
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let (disk, model) = done(&steps);
        let found = left(&disk, Profile::EraseBlock, seed);
        let all = model.state(|_, _| true);
        let covered = model.writes.len() - model.volatile().count();
        if covered == 0 || model.volatile().next().is_none() {
            prop_assert!(found == all);
            return Ok(());
        }
        let was: Vec<_> = (0..model.flushes).map(|flush| model.state(|_, it| it.4 < flush)).collect();
        let fits = |size: usize, write: &Write, was: &[u8]| {
            let start = range(write.0, write.1).start / size * size;
            let mut expected = all.clone();
            expected[start..start + size].copy_from_slice(&was[start..start + size]);
            expected == found
        };
        let is_one = [64, 128, 256, 512].iter().any(|kib| {
            model.volatile().any(|write| was.iter().any(|was| fits(kib << 10, write, was)))
        });
        prop_assert!(is_one);
    }

    #[test]
    fn the_same_seed_leaves_the_same_also_in_hindsight(steps in steps(), seed in any::<u64>()) {
        let mut disk = Disk::new(Image::new(SIZE), ROOMY);
        disk.record(ROOMY);
        run(&mut disk, &steps);
        let again = done(&steps).0;
        let past = disk.recording().unwrap().past();
        for profile in BEYOND {
            let digest = disk.cut(profile, seed, |_| false).image.digest();
            prop_assert_eq!(again.cut(profile, seed, |_| false).image.digest(), digest);
            if let Some(point) = past.points().last().filter(|point| point.cut == disk.last()) {
                let kept = choose(profile, seed, &point.writes);
                prop_assert_eq!(past.image(point.cut, &kept).unwrap().digest(), digest);
            }
        }
    }
}

#[test]
fn a_durable_write_is_forgotten_after_some_flushes_and_a_large_one_at_once() {
    let one = |length: u64, flushes: usize| {
        let mut disk = Disk::new(Image::new(64 << 20), ROOMY);
        let data = vec![7; usize::try_from(length).unwrap()];
        let write = disk.write(0, &data);
        disk.written(write);
        for _ in 0..flushes {
            let flush = disk.flush();
            disk.flushed(flush);
        }
        let volatile = disk.write(32 << 20, &[1; CHUNK]);
        disk.written(volatile);
        disk.cut(Profile::Unserializable, 7, |_| false).taken_back
    };
    assert_eq!([one(4096, 1), one(4096, 8), one(4096, 20), one(17 << 20, 1)], [1, 1, 0, 0]);
}

#[test]
fn another_seed_leaves_another_state() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    run(&mut disk, &[(2, 0, 2), (0, 0, 1), (2, 3, 2), (0, 0, 1), (2, 1, 2), (2, 4, 1)]);
    for profile in BEYOND.into_iter().filter(|profile| *profile != Profile::Zeroed) {
        let digests = (0..20).map(|seed| disk.cut(profile, seed, |_| false).image.digest());
        assert!(digests.collect::<std::collections::HashSet<_>>().len() > 1, "{profile:?}");
    }
}

#[test]
fn what_a_disk_in_specification_might_have_left_is_not_beyond_whatever_it_is_called() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let put = |disk: &mut Disk, sector: u64, byte: u8| {
        let write = disk.write(sector * CHUNK as u64, &[byte; CHUNK]);
        disk.written(write);
    };
    let exceeds =
        |disk: &Disk| BEYOND.map(|profile| disk.exceeds(&choose(profile, 7, &disk.volatile())));
    put(&mut disk, 0, 7);
    // zeros where nothing was are a lost write, and nothing is durable that could be taken back
    assert_eq!(exceeds(&disk), [true, false, true, false, false]);
    let flush = disk.flush();
    disk.flushed(flush);
    put(&mut disk, 0, 9);
    // what was durable is written over, and what the block loses is that write, or both
    assert_eq!(exceeds(&disk), [true, true, true, false, true]);
    put(&mut disk, 400, 9);
    let flush = disk.flush();
    disk.flushed(flush);
    put(&mut disk, 401, 1);
    assert_eq!(exceeds(&disk)[3..], [true, true], "a durable one is missed");
    let in_specification = choose(Profile::Subset, 7, &disk.volatile());
    assert!(!disk.exceeds(&in_specification));
}

#[test]
fn two_that_hide_one_another_are_beyond_all_the_same() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let put = |disk: &mut Disk, byte: u8| {
        let write = disk.write(0, &[byte; CHUNK]);
        disk.written(write);
    };
    put(&mut disk, 7);
    let flush = disk.flush();
    disk.flushed(flush);
    put(&mut disk, 8);
    put(&mut disk, 9);
    // without the one the other leaves zeros too, and no disk may leave any
    let zeroed = choose(Profile::Zeroed, 7, &disk.volatile());
    assert_eq!((zeroed.len(), disk.exceeds(&zeroed)), (2, true));
}

#[test]
fn whatever_lies_in_an_erase_block_is_counted_as_gone_with_it() {
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    let write = |disk: &mut Disk, place| {
        let write = disk.write(place, &[7; CHUNK]);
        disk.written(write);
    };
    // two in every block that either may be in, and one that is in none of theirs
    let places = [0, 4096, SIZE / 2];
    places.iter().for_each(|place| write(&mut disk, *place));
    assert_eq!(disk.cut(Profile::EraseBlock, 7, |_| false).dropped, 0, "nothing is rolled back");
    let mut disk = Disk::new(Image::new(SIZE), ROOMY);
    write(&mut disk, SIZE - 4096);
    let flush = disk.flush();
    disk.flushed(flush);
    places.iter().for_each(|place| write(&mut disk, *place));
    let mut counts = [0; 4];
    for seed in 0..40 {
        let cut = disk.cut(Profile::EraseBlock, seed, |_| false);
        let gone = places.iter().filter(|place| {
            let mut byte = [0];
            cut.image.read(**place, &mut byte);
            byte == [0]
        });
        let gone = gone.count();
        assert_eq!(cut.dropped, gone as u64, "seed {seed}");
        counts[gone] += 1;
    }
    assert!(counts[1] > 0 && counts[2] > 0 && counts[0] + counts[3] == 0, "{counts:?}");
}
