//! Which of the states that cuts may leave are looked at, and in which order. Pure: a choice is a
//! hash of the seed and of where it is made.
//!
//! All of them are far too many. Where a moment has few writes that may be lost, every way to lose
//! them is looked at; elsewhere one and two at a time, then some by chance. Moments are drawn by
//! chance, the last one first, and take turns, so that a budget covers many of them.

use super::{Kept, Point, Profile, choose, choose::Dice};

/// Writes of which every way to lose some is looked at: at most 64 of them.
const FEW: usize = 6;
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

/// Plans as many as there may be.
#[must_use]
pub fn plan(points: &[Point], profiles: &[Profile], most: usize, seed: u64) -> Plan {
    let dice = Dice(seed);
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|at| (at + 1 != points.len(), dice.roll(&[points[*at].cut])));
    let mut plan = Plan::default();
    for group in order.chunks((most / TURNS).max(1)) {
        if plan.ways.len() >= most {
            break;
        }
        take_turns(points, group, profiles, (most, seed), &mut plan);
    }
    plan
}

fn take_turns(
    points: &[Point],
    group: &[usize],
    profiles: &[Profile],
    (most, seed): (usize, u64),
    plan: &mut Plan,
) {
    // what a later moment leaves with nothing of its own is what an earlier one left with all: with
    // more that was acknowledged it says more, so it comes first
    let mut group = group.to_vec();
    group.sort_unstable_by(|one, other| other.cmp(one));
    let mut open: Vec<_> = group
        .iter()
        .map(|at| {
            let all = ways(&points[*at], profiles, seed ^ points[*at].cut);
            let whole = points[*at].writes.len() <= FEW && profiles.contains(&Profile::Subset);
            (*at, whole, 0, all)
        })
        .collect();
    let mut turn = 0;
    while plan.ways.len() < most && open.iter().any(|(.., all)| turn < all.len()) {
        for (point, _, taken, all) in &mut open {
            if let Some((profile, kept)) = all.get(turn).filter(|_| plan.ways.len() < most) {
                *taken += 1;
                plan.ways.push(Way { point: *point, profile: *profile, kept: kept.clone() });
            }
        }
        turn += 1;
    }
    plan.points += open.iter().filter(|(_, _, taken, _)| *taken > 0).count();
    let done = open.iter().filter(|(_, whole, taken, all)| *whole && *taken == all.len());
    plan.exhaustive += done.count();
}

/// Every way at one moment that is worth a look, the most telling first, none twice.
fn ways(point: &Point, profiles: &[Profile], seed: u64) -> Vec<(Profile, Vec<Kept>)> {
    let mut found: Vec<(Profile, Vec<Kept>)> = Vec::new();
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
    ];
    for profile in order.into_iter().filter(|profile| profiles.contains(profile)) {
        for kept in of(profile, point, seed) {
            let kept: Vec<Kept> = kept.into_iter().map(Kept::plain).collect();
            if found.iter().all(|(_, other)| *other != kept) {
                found.push((profile, kept));
            }
        }
    }
    found
}

fn of(profile: Profile, point: &Point, seed: u64) -> Vec<Vec<Kept>> {
    let writes = &point.writes;
    let count = writes.len();
    let by_chance = |times: u64| -> Vec<_> {
        let seeds = (0..times).map(|nth| Dice(seed).roll(&[profile as u64, nth]));
        seeds.map(|seed| choose(profile, seed, writes)).collect()
    };
    let alone = |kept: bool| -> Vec<_> {
        (0..count)
            .map(|one| (0..count).map(|at| Kept::if_so((at == one) == kept)).collect())
            .collect()
    };
    match profile {
        Profile::Drop | Profile::KeepAll => by_chance(1),
        Profile::Omit1 => alone(false),
        Profile::Keep1 => alone(true),
        Profile::Subset if count <= FEW => {
            let bits =
                |choice: u32| (0..count).map(|at| Kept::if_so(choice >> at & 1 == 1)).collect();
            (0..1_u32 << count).map(bits).collect()
        }
        // the seed decides how many: as often as there are numbers, most of them come
        Profile::Prefix => by_chance(2 * count as u64),
        Profile::Torn | Profile::Omit2 | Profile::Keep2 | Profile::Subset => by_chance(SOME),
    }
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
        let plan = plan(&[point(10, 4)], &ALL, 1000, 7);
        assert_eq!((plan.ways.len(), plan.points, plan.exhaustive), (16, 1, 1));
        assert_eq!(plan.ways[0].profile, Profile::Drop);
        let short = super::plan(&[point(10, 4)], &ALL, 15, 7);
        assert_eq!((short.ways.len(), short.exhaustive), (15, 0));
        assert_eq!(super::plan(&[point(10, 0)], &ALL, 9, 7).ways.len(), 1);
    }

    #[test]
    fn many_writes_are_lost_one_at_a_time_and_some_by_chance() {
        let plan = plan(&[point(10, 20)], &ALL, 1000, 7);
        let count = |profile| plan.ways.iter().filter(|way| way.profile == profile).count();
        assert_eq!((count(Profile::Omit1), count(Profile::Keep1)), (20, 20));
        assert!(plan.ways.len() < 200 && count(Profile::Subset) > 5, "{}", plan.ways.len());
        assert_eq!(plan.exhaustive, 0);
    }

    #[test]
    fn a_budget_is_shared_by_moments_of_which_the_last_is_one() {
        let points: Vec<_> = (0..1000).map(|at| point(10 * at, 3)).collect();
        let plan = plan(&points, &ALL, 80, 7);
        assert_eq!((plan.ways.len(), plan.points), (80, 10));
        assert_eq!(plan.ways[0].point, 999);
        assert_eq!(plan, super::plan(&points, &ALL, 80, 7));
        assert_ne!(plan, super::plan(&points, &ALL, 80, 8));
        let dropped = super::plan(&points, &[Profile::Drop], 80, 7);
        assert_eq!((dropped.ways.len(), dropped.points, dropped.exhaustive), (80, 80, 0));
    }
}
