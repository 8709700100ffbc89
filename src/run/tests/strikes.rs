//! What an earlier run struck, and whether it came again.

use super::*;
use crate::{
    protocol::{IoOp, Struck},
    run::{Origin, RunRecord, Strikes},
    verdict::Verdict,
};

const BROKEN: &str = "services: { agent: { image: app, mounts: { /data: data } } }
volumes: { data: { docker: { interpose: file } } }
steps:
  - inject: { io-error: { target: \"agent:/data\" } }
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

/// A run whose fault struck so many, and these are listed.
async fn record(hit: u64, listed: Vec<Struck>) -> RunRecord {
    let mut record = Bench::of(BROKEN).run().await.record;
    let fault = &mut record.cases[0].faults[0];
    fault.struck = (hit > 0).then_some((hit, listed));
    fault.reverted.get_or_insert((1, true, String::new(), Origin::Step));
    record
}

#[tokio::test(start_paused = true)]
async fn what_struck_nothing_or_is_not_all_there_is_not_replayed() {
    let nothing = Strikes::of("k1", &record(0, Vec::new()).await).unwrap_err();
    assert!(nothing.contains("no fault of `k1` struck an operation"), "{nothing}");
    let part = Strikes::of("k1", &record(2, vec![struck(Some(1))]).await).unwrap_err();
    assert!(part.contains("`broken` struck 2 operations in `k1`, and the first 1"), "{part}");
    let mut cut_off = record(1, vec![struck(Some(1))]).await;
    cut_off.cases[0].faults[0].reverted = None;
    assert!(Strikes::of("k1", &cut_off).is_err(), "it may have struck more");
    let strikes = Strikes::of("k1", &record(1, vec![struck(Some(1))]).await).unwrap();
    assert!(strikes.has("t") && !strikes.has("other"));
}

#[tokio::test(start_paused = true)]
async fn what_did_not_come_is_named_and_what_is_a_consequence_is_not_awaited() {
    let listed = vec![struck(Some(3)), struck(None), struck(Some(9))];
    let strikes = Strikes::of("k1", &record(3, listed).await).unwrap();
    let compare = |now: &[Struck]| strikes.compare(("t", "broken"), Some(now)).unwrap();
    let elsewhere = Struck { offset: Some(5), ..struck(Some(3)) };
    let (verdict, why) = compare(&[elsewhere]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(
        why,
        "1 of 2 that `k1` struck, 1 of them at another offset or of another size; these did not \
             come: write 9 of `out`"
    );
    let (verdict, why) = compare(&[struck(Some(3)), struck(Some(9))]);
    assert_eq!((verdict, why.as_str()), (Verdict::Pass, "2 of 2 that `k1` struck"));
    let (unknown, _) = strikes.compare(("t", "broken"), None).unwrap();
    assert_eq!(unknown, Verdict::Inconclusive);
    assert_eq!(strikes.compare(("t", "other"), None), None);
}
