//! Which of the states that cuts may leave are looked at, and in which order. Pure: a choice is a
//! hash of the seed and of where it is made.
//!
//! All of them are far too many. Where a moment has few writes that may be lost, every way to lose
//! them is looked at; elsewhere some of them one and two at a time, then some by chance. Moments are
//! drawn by chance, the most telling first, and take turns, so that a budget covers many of them.

use std::{collections::HashSet, iter::Peekable};

use super::{
    Kept, Point, Profile, choose,
    choose::{Dice, in_part, ranks},
};

/// Writes of which every way to lose some is looked at: at most 64 of them.
const FEW: usize = 6;
/// Writes that are lost, or kept, alone, and ends of what came first: so many of each.
const ONES: usize = 32;
/// Ways by chance, of each kind, where there are more writes.
const SOME: u64 = 12;
/// Ways on average at a moment, by which it is decided how many moments share a budget.
const TURNS: usize = 8;

/// One way to lose writes, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Which moment, by its place among them.
    pub point: usize,
    /// Which profile may leave this.
    pub profile: Profile,
    /// What survives of each write that was not durable.
    pub kept: Vec<Kept>,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The ways, in order.
    pub ways: Vec<Way>,
    /// Moments of which at least one is looked at.
    pub points: usize,
    /// Moments of which every way is that loses whole writes.
    pub exhaustive: usize,
}

/// Plans as many as there may be; no more once it is time to `stop`.
#[must_use]
pub fn plan(
    points: &[Point],
    profiles: &[Profile],
    (most, seed): (usize, u64),
    stop: impl Fn() -> bool,
) -> Plan {
    let mut plan = Plan::default();
    for group in drawn(points, seed).chunks((most / TURNS).max(1)) {
        if plan.ways.len() >= most || stop() {
            break;
        }
        take_turns(points, group, profiles, (most, seed), &stop, &mut plan);
    }
    plan
}

/// Moments in the order in which they share the budget: the last, then the one at which most has just
/// been acknowledged, which loses most where an acknowledgement waits for no flush, then the others by
/// chance. Before anything was acknowledged no promise can be broken: those come at the end.
fn drawn(points: &[Point], seed: u64) -> Vec<usize> {
    let dice = Dice(seed);
    let busiest = (0..points.len()).rev().max_by_key(|at| points[*at].marks);
    let first = points.iter().position(|point| point.marks > 0).unwrap_or_default();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|&at| {
        let is_last = at + 1 == points.len();
        (!is_last, Some(at) != busiest, at < first, dice.roll(&[points[at].cut]))
    });
    order
}

/// Ways at one moment, and which profile may leave each.
type Ways<'a> = Box<dyn Iterator<Item = (Profile, Vec<Kept>)> + 'a>;

/// One moment, and what is left to be taken of its ways.
struct Open<'a> {
    point: usize,
    /// Every way to lose whole writes is among them.
    whole: bool,
    taken: bool,
    ways: Peekable<Ways<'a>>,
}

fn take_turns(
    points: &[Point],
    group: &[usize],
    profiles: &[Profile],
    (most, seed): (usize, u64),
    stop: &impl Fn() -> bool,
    plan: &mut Plan,
) {
    // what a later moment leaves with nothing of its own is what an earlier one left with all: with
    // more that was acknowledged it says more, so it comes first
    let mut group = group.to_vec();
    group.sort_unstable_by(|one, other| other.cmp(one));
    let open = |at: &usize| {
        let point = &points[*at];
        let whole = point.writes.len() <= FEW && profiles.contains(&Profile::Subset);
        let ways = ways(point, profiles, seed ^ point.cut).peekable();
        Open { point: *at, whole, taken: false, ways }
    };
    let mut open: Vec<_> = group.iter().map(open).collect();
    let mut before = None;
    while before != Some(plan.ways.len()) {
        before = Some(plan.ways.len());
        for one in &mut open {
            if plan.ways.len() >= most || stop() {
                break;
            }
            let Some((profile, kept)) = one.ways.next() else { continue };
            one.taken = true;
            plan.ways.push(Way { point: one.point, profile, kept });
        }
    }
    plan.points += open.iter().filter(|one| one.taken).count();
    let done = |one: &mut Open<'_>| one.whole && !stop() && one.ways.peek().is_none();
    plan.exhaustive += open.iter_mut().map(done).filter(|done| *done).count();
}

/// Every way at one moment that is worth a look, the most telling first, none twice. Each is made
/// when its turn comes: of many writes, all of them at once would be large.
fn ways<'a>(point: &'a Point, profiles: &'a [Profile], seed: u64) -> Ways<'a> {
    let order = [
        Profile::Drop,
        Profile::KeepAll,
        Profile::Omit1,
        Profile::Keep1,
        Profile::Prefix,
        Profile::Torn,
        Profile::Omit2,
        Profile::Keep2,
        Profile::Subset,
        Profile::Shorn,
        Profile::Zeroed,
        Profile::Garbage,
        Profile::Unserializable,
        Profile::EraseBlock,
    ];
    let mut known = HashSet::new();
    let asked_for = order.into_iter().filter(move |profile| profiles.contains(profile));
    let all =
        asked_for.flat_map(move |profile| of(profile, point, seed).map(move |it| (profile, it)));
    let all = all.map(|(profile, kept)| (profile, kept.into_iter().map(Kept::plain).collect()));
    Box::new(all.filter(move |(_, kept): &(_, Vec<Kept>)| known.insert(kept.clone())))
}

fn of<'a>(
    profile: Profile,
    point: &'a Point,
    seed: u64,
) -> Box<dyn Iterator<Item = Vec<Kept>> + 'a> {
    let writes = &point.writes;
    let count = writes.len();
    let seeds =
        move |times: u64| (0..times).map(move |nth| Dice(seed).roll(&[profile as u64, nth]));
    let by_chance =
        move |times| Box::new(seeds(times).map(move |seed| choose(profile, seed, writes)));
    let those = move |kept: &dyn Fn(usize) -> bool| -> Vec<Kept> {
        (0..count).map(|at| Kept::if_so(kept(at))).collect()
    };
    let some = move |count| some(profile, count, seed).into_iter();
    match profile {
        Profile::Drop | Profile::KeepAll => by_chance(1),
        Profile::Omit1 => Box::new(some(count).map(move |one| those(&|at| at != one))),
        Profile::Keep1 => Box::new(some(count).map(move |one| those(&|at| at == one))),
        Profile::Prefix => {
            let ranks = ranks(writes);
            Box::new(some(count + 1).map(move |first| those(&|at| ranks[at] < first)))
        }
        Profile::Subset if count <= FEW => {
            let choices = 0..1_u32 << count;
            Box::new(choices.map(move |choice| those(&|at| choice >> at & 1 == 1)))
        }
        Profile::Shorn | Profile::Zeroed | Profile::Garbage => {
            let parts = seeds(SOME).map(move |seed| in_part(profile, seed, writes));
            Box::new(by_chance(1).chain(parts))
        }
        Profile::Torn
        | Profile::Omit2
        | Profile::Keep2
        | Profile::Subset
        | Profile::Unserializable
        | Profile::EraseBlock => by_chance(SOME),
    }
}

/// As many of the first numbers as are looked at: all of few, and some by chance of many.
fn some(profile: Profile, count: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    if count > ONES {
        let dice = Dice(seed);
        all.sort_by_cached_key(|at| dice.roll(&[profile as u64, *at as u64]));
        all.truncate(ONES);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Candidate;

    const ALL: [Profile; 9] = [
        Profile::Drop,
        Profile::KeepAll,
        Profile::Keep1,
        Profile::Keep2,
        Profile::Omit1,
        Profile::Omit2,
        Profile::Prefix,
        Profile::Subset,
        Profile::Torn,
    ];

    fn point(cut: u64, writes: u64) -> Point {
        let write = |at| Candidate { offset: at << 12, data: Some(4096), completed: Some(at) };
        Point { cut, marks: 1, writes: (0..writes).map(write).collect() }
    }

    #[test]
    fn few_writes_are_lost_in_every_way_and_none_twice() {
        let plan = plan(&[point(10, 4)], &ALL, (1000, 7), || false);
        assert_eq!((plan.ways.len(), plan.points, plan.exhaustive), (16, 1, 1));
        assert_eq!(plan.ways[0].profile, Profile::Drop);
        let short = super::plan(&[point(10, 4)], &ALL, (15, 7), || false);
        assert_eq!((short.ways.len(), short.exhaustive), (15, 0));
        assert_eq!(super::plan(&[point(10, 0)], &ALL, (9, 7), || false).ways.len(), 1);
    }

    #[test]
    fn many_writes_are_lost_one_at_a_time_and_some_by_chance() {
        let plan = plan(&[point(10, 20)], &ALL, (1000, 7), || false);
        let count = |profile| plan.ways.iter().filter(|way| way.profile == profile).count();
        assert_eq!((count(Profile::Omit1), count(Profile::Keep1)), (20, 20));
        assert!(plan.ways.len() < 200 && count(Profile::Subset) > 5, "{}", plan.ways.len());
        assert_eq!(plan.exhaustive, 0);
    }

    #[test]
    fn what_is_beyond_a_disk_is_planned_only_where_it_is_asked_for() {
        let is_beyond = |way: &Way| way.kept.iter().any(Kept::is_beyond);
        let within = plan(&[point(10, 4)], &ALL, (1000, 7), || false);
        assert!(!within.ways.iter().any(is_beyond));
        for profile in [
            Profile::Shorn,
            Profile::Zeroed,
            Profile::Garbage,
            Profile::Unserializable,
            Profile::EraseBlock,
        ] {
            let plan = plan(&[point(10, 4)], &[profile], (1000, 7), || false);
            let beyond = plan.ways.iter().filter(|way| is_beyond(way)).count();
            assert!(beyond > 3 && is_beyond(&plan.ways[0]), "{profile:?}: {beyond}");
        }
    }

    #[test]
    fn a_budget_is_shared_by_moments_of_which_the_last_is_one() {
        let points: Vec<_> = (0..1000).map(|at| point(10 * at, 3)).collect();
        let plan = plan(&points, &ALL, (80, 7), || false);
        assert_eq!((plan.ways.len(), plan.points), (80, 10));
        assert_eq!(plan.ways[0].point, 999);
        assert_eq!(plan, super::plan(&points, &ALL, (80, 7), || false));
        assert_ne!(plan, super::plan(&points, &ALL, (80, 8), || false));
        let dropped = super::plan(&points, &[Profile::Drop], (80, 7), || false);
        assert_eq!((dropped.ways.len(), dropped.points, dropped.exhaustive), (80, 80, 0));
    }

    #[test]
    fn where_most_was_acknowledged_is_looked_at_and_where_nothing_was_at_last() {
        let unmarked = |at: u64| Point { marks: 0, ..point(10 * at, 3) };
        let mut points: Vec<_> = (0..40).map(unmarked).collect();
        (points[20].marks, points[25].marks) = (1, 150);
        for seed in 0..50 {
            let drawn = drawn(&points, seed);
            assert_eq!(drawn[..2], [39, 25]);
            assert!(drawn[2..20].iter().all(|at| *at >= 20), "{drawn:?}");
        }
    }

    #[test]
    fn very_many_writes_make_no_more_ways_and_no_more_room() {
        let plan = plan(&[point(10, 20_000)], &ALL, (100_000, 7), || false);
        let count = |profile| plan.ways.iter().filter(|way| way.profile == profile).count();
        for profile in [Profile::Omit1, Profile::Keep1, Profile::Prefix] {
            assert!((ONES - 2..=ONES).contains(&count(profile)), "{profile:?}");
        }
        assert!(plan.ways.len() < 200, "{}", plan.ways.len());
    }

    #[test]
    fn nothing_is_planned_when_it_is_time_to_stop() {
        let turns = std::cell::Cell::new(0);
        let stop = || turns.replace(turns.get() + 1) >= 5;
        let plan = plan(&[point(10, 3)], &ALL, (100, 7), stop);
        assert!((1..5).contains(&plan.ways.len()), "{}", plan.ways.len());
        assert_eq!(plan.exhaustive, 0);
        assert_eq!(super::plan(&[point(10, 3)], &ALL, (100, 7), || true), Plan::default());
    }
}
