//! What an earlier run struck, and whether it came again.

use std::sync::Arc;

use super::*;
use crate::{
    plan::Case,
    protocol::{AllStruck, IoOp, Numbers, Op, Places, RuleFacts, Series, Struck},
    run::{Event, FaultRecord, Origin, RunRecord, RunStart, Stamped, Strikes},
    scenario::Hypothesis,
    verdict::{Ending, Verdict},
};

const BROKEN: &str = "services: { agent: { image: app, mounts: { /data: data } } }
volumes: { data: { docker: { interpose: file } } }
steps:
  - inject: { io-error: { target: \"agent:/data\", ops: [write] } }
    as: broken
  - revert: broken
";

fn struck(number: Option<u64>) -> Struck {
    Struck {
        at_us: 1,
        rule: 0,
        op: IoOp::Write,
        path: "out".into(),
        offset: Some(0),
        bytes: Some(1),
        number,
        pid: 7,
        what: "EIO".into(),
    }
}

fn the_case(yaml: &str) -> Vec<Case> {
    let parts = format!("keelhaul: 1\nname: t\n{yaml}");
    bench::cases(&parts)
}

/// A run whose faults each struck so many, and these are listed.
async fn record_of(yaml: &str, hit: u64, listed: Vec<Struck>) -> RunRecord {
    let mut record = Bench::of(yaml).run().await.record;
    record.start = Some(RunStart::now("k1", 7, None));
    let fingerprint = the_case(yaml)[0].fingerprint.clone();
    record.cases[0].start.fingerprint = Some(fingerprint);
    for fault in &mut record.cases[0].faults {
        fault.struck = Some((hit, listed.clone()));
        fault.reverted = Some((1, true, String::new(), Origin::Step));
    }
    record
}

async fn record(hit: u64, listed: Vec<Struck>) -> RunRecord {
    record_of(BROKEN, hit, listed).await
}

fn of(record: &RunRecord) -> Result<Strikes, String> {
    Strikes::of("reports/k1", record, &the_case(BROKEN))
}

/// Why it is refused.
fn refused(record: &RunRecord, yaml: &str) -> String {
    Strikes::of("k1", record, &the_case(yaml)).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn what_struck_nothing_or_is_not_all_there_is_not_replayed() {
    let nothing = of(&record(0, Vec::new()).await).unwrap_err();
    assert!(nothing.contains("no fault of `k1` struck an operation"), "{nothing}");
    let many = of(&record(201, vec![struck(Some(1))]).await).unwrap_err();
    assert!(many.contains("`broken` struck 201 operations in `k1`, and the first 200"), "{many}");
    let part = of(&record(2, vec![struck(Some(1))]).await).unwrap_err();
    assert!(part.contains("`broken` struck 2 operations in `k1`, and 1 are recorded"), "{part}");
    let strikes = of(&record(1, vec![struck(Some(1))]).await).unwrap();
    assert!(strikes.has("t") && !strikes.has("other"));
    assert_eq!(strikes.place(), "reports/k1");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_to_its_end_is_not_replayed() {
    let whole = record(1, vec![struck(Some(1))]).await;
    let changed = |change: &dyn Fn(&mut FaultRecord)| {
        let mut record = whole.clone();
        change(&mut record.cases[0].faults[0]);
        of(&record).unwrap_err()
    };
    let cut_off = changed(&|fault| fault.reverted = None);
    assert!(cut_off.contains("`broken` was not seen to be reverted in `k1`"), "{cut_off}");
    let in_force = (1, false, "undo failed: EIO".to_owned(), Origin::Rollback);
    let in_force = changed(&|fault| fault.reverted = Some(in_force.clone()));
    assert!(in_force.contains("was not seen to be reverted in `k1`"), "{in_force}");
    assert!(in_force.contains("undo failed: EIO"), "{in_force}");
    let unknown = changed(&|fault| fault.struck = None);
    assert!(unknown.contains("what `broken` struck in `k1` is not known"), "{unknown}");
    let many = changed(&|fault| fault.overflowed = true);
    assert!(many.contains("`broken` met more names in `k1` than can be counted"), "{many}");
    // undone, and its subject has ended: nobody can look, and what it struck is known all the same
    let mut ended = whole.clone();
    ended.cases[0].faults[0].reverted = Some((1, false, "undone".into(), Origin::Step));
    let of_revert = ended.cases[0].assertions.iter_mut().find(|one| one.id == "broken.revert");
    of_revert.unwrap().verdict = None;
    assert!(of(&ended).is_ok());
}

#[tokio::test(start_paused = true)]
async fn names_that_were_not_counted_each_for_itself_are_told() {
    let (hit, overflowed, struck) = (1, true, vec![struck(None)]);
    let facts = RuleFacts { hit, overflowed, struck, ..RuleFacts::default() };
    let bench = Bench::of(BROKEN).on("reverting broken", 0, move |scene| {
        scene.world(|world| world.beneath.interposed.rules = Some(facts));
    });
    let ran = bench.run().await;
    let (case, told) = (ran.case("t"), "`broken` met more names than can be counted");
    assert!(case.faults[0].overflowed, "{}", ran.told());
    assert!(case.notes.iter().any(|note| note.starts_with(told)), "{:?}", case.notes);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_the_same_again_is_refused_before_anything_runs() {
    let known = record(1, vec![struck(Some(1))]).await;
    let renamed = refused(&known, &BROKEN.replace("broken", "other"));
    assert!(renamed.contains("`k1` did not inject `other` in `t`"), "{renamed}");
    let gone = BROKEN.split("steps:").next().unwrap().to_owned() + "steps: [{ wait: 1s }]\n";
    let gone = refused(&known, &gone);
    assert!(gone.contains("`k1` injected `broken` in `t`, which does not inject it now"), "{gone}");
    let slow = BROKEN.replace("io-error: {", "io-latency: { latency: 1s,");
    let slow = refused(&known, &slow);
    assert!(slow.contains("`broken` was `io-error` in `k1`, and is `io-latency` now"), "{slow}");
    let mut another = known.clone();
    another.cases[0].start.case = "u".into();
    let another = refused(&another, BROKEN);
    assert!(another.contains("`k1` has no case `t`: nothing says what `broken`"), "{another}");

    let block = BROKEN
        .replace("docker: { interpose: file }", "ext4: { size: 64MiB, interpose: block }")
        .replace("io-error", "block-error");
    let mut on_disk = known.clone();
    on_disk.cases[0].faults[0].name = "block-error".into();
    let block = refused(&on_disk, &block);
    assert!(block.contains("`broken` cannot strike the same again: `block-error`"), "{block}");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_come_is_named_and_what_is_a_consequence_is_not_awaited() {
    let listed = vec![struck(Some(3)), struck(None), struck(Some(9))];
    let strikes = of(&record(3, listed).await).unwrap();
    let compare =
        |now: &[Struck]| strikes.compare(("t", "broken"), Ok((now, &AllStruck::of(now)))).unwrap();
    let elsewhere = Struck { offset: Some(5), ..struck(Some(3)) };
    let (verdict, why) = compare(std::slice::from_ref(&elsewhere));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(
        why,
        "1 of 2 that `k1` struck; these did not come: write 9 of `out`; these came elsewhere, and may \
         be others: write 3 of `out` (1 bytes at 5, and not 1 bytes at 0)"
    );
    let (verdict, why) = compare(&[struck(Some(3)), struck(Some(9))]);
    assert_eq!((verdict, why.as_str()), (Verdict::Pass, "2 of 2 that `k1` struck"));
    for other in [elsewhere, Struck { bytes: Some(2), ..struck(Some(3)) }] {
        let (verdict, why) = compare(&[other, struck(Some(9))]);
        assert_eq!(verdict, Verdict::Inconclusive, "another operation: {why}");
    }
    let (verdict, why) = compare(&[struck(Some(3)), struck(Some(4)), struck(Some(9))]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.ends_with("these came besides: write 4 of `out`"), "{why}");
    let (unknown, why) = strikes.compare(("t", "broken"), Err("it is gone")).unwrap();
    assert_eq!(unknown, Verdict::Inconclusive);
    assert_eq!(why, "what it struck is not known: it is gone");
    assert_eq!(strikes.compare(("t", "other"), Err("it is gone")), None);
}

/// So many operations of a kind on a path.
fn series(numbers: std::ops::RangeInclusive<u64>) -> Vec<Series> {
    let numbers: Numbers = numbers.collect();
    let mut places = Places::default();
    numbers.iter().for_each(|number| places.add(number, Some((number * 512, 512))));
    vec![Series { rule: 0, op: IoOp::Write, path: "out".into(), numbers, places }]
}

#[tokio::test(start_paused = true)]
async fn more_than_are_listed_are_struck_again_as_long_as_their_numbers_are_known() {
    let mut known = record(1000, vec![struck(Some(1))]).await;
    let all = AllStruck { series: series(1..=1000), ..AllStruck::default() };
    known.cases[0].faults[0].all_struck = Some(all.clone());
    let strikes = of(&known).unwrap();
    let compare = |all: &AllStruck| strikes.compare(("t", "broken"), Ok((&[], all))).unwrap();
    assert_eq!(compare(&all), (Verdict::Pass, "1000 of 1000 that `k1` struck".to_owned()));
    let (verdict, why) = compare(&AllStruck { series: series(1..=900), ..AllStruck::default() });
    let said = "900 of 1000 that `k1` struck; these did not come: write 901 of `out`, ";
    assert!(verdict == Verdict::Inconclusive && why.starts_with(said), "{why}");
    assert!(why.ends_with("write 905 of `out`, …"), "{why}");
    // the last of them, which is not listed
    let mut moved = all.clone();
    moved.series[0].places.add(1000, Some((7, 512)));
    let (verdict, why) = compare(&moved);
    let said = "1000 of 1000 that `k1` struck; these came elsewhere, and may be others: some write of \
                the 1000 of `out`";
    assert_eq!((verdict, why.as_str()), (Verdict::Inconclusive, said));
    let (verdict, why) =
        compare(&AllStruck { left_out: 100, series: series(1..=900), ..all.clone() });
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("these are not seen to have come: write 901 of `out`, "), "{why}");
    assert!(why.ends_with("; which 100 more are that came is not known"), "{why}");

    known.cases[0].faults[0].struck = Some((1001, vec![struck(Some(1))]));
    let cut = AllStruck { left_out: 1, ..all };
    known.cases[0].faults[0].all_struck = Some(cut);
    let cut = of(&known).unwrap_err();
    assert!(cut.contains("struck 1001 operations in `k1`, and the first 1000"), "{cut}");
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_all_that_was_struck_are_in_the_events_and_are_armed_again() {
    let all = AllStruck { series: series(1..=1000), ..AllStruck::default() };
    let facts = RuleFacts { hit: 1000, struck: vec![struck(Some(1))], ..RuleFacts::default() };
    let of_it = all.clone();
    let bench = Bench::of(BROKEN).on("reverting broken", 0, move |scene| {
        scene.world(|world| {
            world.beneath.interposed.rules = Some(facts);
            world.beneath.interposed.all_struck = Some(of_it);
        });
    });
    let ran = bench.run().await;
    assert_eq!(ran.case("t").faults[0].all_struck, Some(all.clone()), "{}", ran.told());
    let mut known = record(1000, vec![struck(Some(1))]).await;
    known.cases[0].faults[0].all_struck = Some(all.clone());
    let ran = replayed(BROKEN, of(&known).unwrap(), None).await;
    ran.scene.world(|world| {
        let mut ops = world.applied.iter().flat_map(|entry| &entry.ops);
        let armed = ops.find_map(|op| match op {
            Op::ArmRules { again, .. } => again.clone(),
            _ => None,
        });
        assert_eq!(armed, Some(all.series.clone()));
    });
}

#[tokio::test(start_paused = true)]
async fn when_nobody_says_what_was_struck_beyond_the_first_they_are_not_taken_for_all() {
    let facts = RuleFacts { hit: 1000, struck: vec![struck(Some(1))], ..RuleFacts::default() };
    let bench = Bench::of(BROKEN).on("reverting broken", 0, move |scene| {
        scene.world(|world| world.beneath.interposed.rules = Some(facts));
    });
    let mut known = record(1, vec![struck(Some(1))]).await;
    let recorded = bench.run().await;
    let case = recorded.case("t");
    let told = "`broken` struck 1000 operations, and which they are is known of the first 1 only";
    assert!(case.notes.iter().any(|note| note.starts_with(told)), "{:?}", case.notes);
    assert_eq!(case.faults[0].all_struck, None);

    known.cases[0].faults[0].struck = Some((1, vec![struck(Some(1))]));
    let strikes = Arc::new(of(&known).unwrap());
    let facts = RuleFacts { hit: 1000, struck: vec![struck(Some(1))], ..RuleFacts::default() };
    let ran = Bench::of(BROKEN)
        .options(|options| options.again = Some(strikes))
        .on("reverting broken", 0, move |scene| {
            scene.world(|world| world.beneath.interposed.rules = Some(facts));
        })
        .run()
        .await;
    let (verdict, why) = ran.found("broken.replay");
    assert_eq!(verdict, Some(Verdict::Inconclusive));
    assert!(why.starts_with("what it struck is not known: "), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_recorded_is_not_struck_again() {
    let hidden = Struck { path: "db/[redacted].log".into(), ..struck(Some(1)) };
    let refused = of(&record(1, vec![hidden]).await).unwrap_err();
    assert!(
        refused.contains("struck `db/[redacted].log` in `k1`: a name with a secret"),
        "{refused}"
    );
}

/// Two faults, one after the other. On the bench nobody sees the effect of the first, and the second is
/// never injected.
fn two() -> String {
    let second = BROKEN.split("steps:\n").nth(1).unwrap().replace("broken", "second");
    format!("{BROKEN}{second}")
}

/// What a run knows that injected both and in which they struck so many.
async fn knows(broken: Option<u64>, second: u64) -> Strikes {
    let mut record = record_of(&two(), 1, vec![struck(Some(1))]).await;
    let faults = &mut record.cases[0].faults;
    let one = faults[0].clone();
    let of = |id: &str, hit: u64| {
        let listed = (1..=hit).map(|number| struck(Some(number))).collect();
        FaultRecord { id: id.into(), struck: Some((hit, listed)), ..one.clone() }
    };
    *faults = broken.map(|hit| of("broken", hit)).into_iter().collect();
    faults.push(of("second", second));
    Strikes::of("k1", &record, &the_case(&two())).unwrap()
}

/// Runs again, on an interposer whose rules have struck these in the end; none where it cannot say.
async fn replayed(yaml: &str, strikes: Strikes, now: Option<Vec<Struck>>) -> Ran {
    let facts = now.map(|struck| {
        let hit = struck.len() as u64;
        RuleFacts { hit, struck, ..RuleFacts::default() }
    });
    Bench::of(yaml)
        .options(|options| options.again = Some(Arc::new(strikes)))
        .on("reverting broken", 0, move |scene| {
            scene.world(|world| world.beneath.interposed.rules = facts);
        })
        .run()
        .await
}

#[tokio::test(start_paused = true)]
async fn what_struck_nothing_and_what_cannot_say_are_told_apart() {
    let strikes = of(&record(1, vec![struck(Some(1))]).await).unwrap();
    let same = vec![struck(Some(1))];
    let cases = [
        (Some(same), Some(1), Verdict::Pass, "1 of 1 that `k1` struck"),
        (Some(Vec::new()), Some(0), Verdict::Inconclusive, "0 of 1 that `k1` struck"),
        (None, None, Verdict::Inconclusive, "what it struck is not known"),
    ];
    for (now, hit, verdict, why) in cases {
        let ran = replayed(BROKEN, strikes.clone(), now).await;
        let told = ran.case("t").faults[0].struck.clone();
        assert_eq!(told.map(|(hit, _)| hit), hit, "{}", ran.told());
        let (found, said) = ran.found("broken.replay");
        assert!(found == Some(verdict) && said.starts_with(why), "{said}");
        assert!(ran.case("t").start.again.ends_with(" --replay reports/k1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_the_record_does_not_know_and_one_that_is_not_injected_prove_nothing() {
    let ran = replayed(&two(), knows(None, 1).await, Some(Vec::new())).await;
    let (verdict, why) = ran.found("broken.replay");
    assert_eq!(verdict, Some(Verdict::Inconclusive));
    assert!(why.contains("`k1` did not come to inject it"), "{why}");
    let (verdict, why) = ran.found("second.replay");
    assert_eq!(verdict, Some(Verdict::Inconclusive));
    assert!(why.starts_with("it was not injected, or not seen to its end"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn none_of_none_is_no_pass() {
    let ran = replayed(&two(), knows(Some(0), 1).await, Some(Vec::new())).await;
    let (verdict, why) = ran.found("broken.replay");
    assert_eq!(verdict, Some(Verdict::Inconclusive));
    assert!(why.contains("`k1` struck nothing with it"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn half_a_record_is_refused_with_its_reason() {
    let start = Event::RunStarted(Box::new(RunStart::now("k1", 7, None)));
    let asserted = Event::Asserted {
        case: "t".into(),
        assertion: "x".into(),
        hypothesis: Hypothesis::Step,
        title: String::new(),
        verdict: None,
        message: String::new(),
        took_us: 1,
    };
    let end = Event::RunEnded { verdict: Verdict::Pass, ending: Ending::default() };
    let line = |event| serde_json::to_string(&Stamped { at_us: 1, event }).unwrap() + "\n";
    let (start, asserted, end) = (line(start), line(asserted), line(end));
    let read = |text: &str| RunRecord::read_whole(text.as_bytes());
    assert!(read(&format!("{start}{asserted}{end}")).is_ok());
    let cut_off = read(&format!("{start}{asserted}")).unwrap_err();
    assert!(cut_off.contains("ends before the run does"), "{cut_off}");
    let broken = read(&format!("{start}{}\n{end}", &asserted[..20])).unwrap_err();
    assert!(broken.contains("unreadable from line 2"), "{broken}");
    let format = read(&format!("{start}{end}").replacen("\"format\":1", "\"format\":99", 1));
    assert!(format.unwrap_err().contains("format 99"));
}
