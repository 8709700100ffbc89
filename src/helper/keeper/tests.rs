//! What the keeper undoes, and in which order, with a worker that answers by a script.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    super::{
        Applied, HelperError,
        wire::{WorkerAnswer, WorkerAsk},
    },
    book::Book,
    class::Scope,
    engine::LocalEngine,
    late::mind_the_late,
    lease::Lease,
    serve::mind_expiries,
    state::{Keeper, Options, locked},
    worker_link::WorkerLink,
};
use crate::{
    host::process::Identity,
    journal::{Header, JournalFile, Record},
    protocol::{
        Dev, EngineOp, Entry, EntryId, FileCutOp, Init, InsertionOp, Op, Outcome, Place, VERSION,
    },
};

/// Whatever takes so long waits for something.
const SOON: Duration = Duration::from_secs(10);

fn journal(dir: &Path) -> JournalFile {
    let header = Header {
        version: VERSION,
        run: "r".into(),
        build: String::new(),
        boot_id: String::new(),
        created_ms: 0,
    };
    JournalFile::create(&dir.join("journal"), &header).unwrap()
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.into(),
        host_dir: String::new(),
        run: "r".into(),
        replay: false,
        other_boot: false,
    }
}

/// A keeper without an engine, and the ops that its worker was asked for.
struct Bench {
    keeper: Arc<Keeper>,
    asked: Arc<Mutex<Vec<Op>>>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new<F>(answer: impl Fn(Op) -> F + Send + 'static) -> Self
    where
        F: Future<Output = WorkerAnswer> + Send + 'static,
    {
        let dir = tempfile::tempdir().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let worker = WorkerLink::scripted(move |ask| {
            let acted = match ask {
                WorkerAsk::Act { op, .. } => {
                    locked(&noted).push(op.clone());
                    Some(answer(op))
                }
                WorkerAsk::Cancel => None,
                other => panic!("{other:?}"),
            };
            async move {
                match acted {
                    Some(answer) => answer.await,
                    None => WorkerAnswer::Pong,
                }
            }
        });
        let keeper = Keeper::new(
            options(dir.path()),
            Book::open(journal(dir.path())).unwrap(),
            Lease::start(dir.path()).unwrap(),
            worker,
            LocalEngine::find(true),
            mpsc::channel(8).0,
        );
        Self { keeper: Arc::new(keeper), asked, _dir: dir }
    }

    /// An entry that is in force.
    async fn applied(&self, undo: Vec<Op>, expires_ms: Option<u64>) -> EntryId {
        let entry = Entry { what: "a fault".into(), ops: Vec::new(), undo, expires_ms };
        let id = self.keeper.book.pend(&entry).await.unwrap();
        self.keeper.book.note(Record::Applied { id, outcomes: Vec::new() });
        id
    }

    async fn was_asked(&self, op: &Op) {
        while !locked(&self.asked).contains(op) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One whose worker can remove a filler only from a filesystem that is thawed.
fn frozen() -> Bench {
    let thawed = Arc::new(watch::Sender::new(false));
    Bench::new(move |op| {
        let thawed = Arc::clone(&thawed);
        async move {
            match op {
                Op::Thaw { .. } => {
                    thawed.send_replace(true);
                }
                _ => {
                    let _ = thawed.subscribe().wait_for(|thawed| *thawed).await;
                }
            }
            WorkerAnswer::Acted(Outcome::Done)
        }
    })
}

const DEV: Dev = Dev { major: 7, minor: 0 };

fn place() -> Place {
    Place { container: "c".into(), pid: 0, path: "/data".into(), host_path: None }
}

fn filler() -> Op {
    Op::RemoveFiller { place: place(), dev: DEV, marker: "m".into() }
}

fn thaw() -> Op {
    Op::Thaw { place: place(), dev: DEV, image: "i".into(), fs_type: "ext4".into() }
}

#[tokio::test]
async fn a_thaw_waits_for_no_undo_that_waits_for_it() {
    let bench = frozen();
    let full = bench.applied(vec![filler()], None).await;
    let stall = bench.applied(vec![thaw()], None).await;
    let keeper = Arc::clone(&bench.keeper);
    let unfilled = tokio::spawn(async move { keeper.undo(full, &[]).await });
    timeout(SOON, bench.was_asked(&filler())).await.unwrap();
    let thawed = timeout(SOON, bench.keeper.undo(stall, &[])).await.unwrap();
    assert_eq!(thawed.problems, Vec::<String>::new());
    let unfilled = timeout(SOON, unfilled).await.unwrap().unwrap();
    assert_eq!(unfilled.problems, Vec::<String>::new());
    assert_eq!(bench.keeper.book.view().open_entries(), []);
}

#[tokio::test]
async fn a_rollback_lets_everybody_go_on_first() {
    let bench = frozen();
    bench.applied(vec![thaw()], None).await;
    let full = bench.applied(vec![filler()], None).await;
    // somebody else undoes too, and waits
    let keeper = Arc::clone(&bench.keeper);
    let unfilled = tokio::spawn(async move { keeper.undo(full, &[]).await });
    timeout(SOON, bench.was_asked(&filler())).await.unwrap();
    let report = timeout(SOON, bench.keeper.roll_back(Scope::All, &[])).await.unwrap();
    assert!(report.complete(), "{report:?}");
    timeout(SOON, unfilled).await.unwrap().unwrap();
    assert_eq!(bench.keeper.book.view().open_entries(), []);
}

#[tokio::test]
async fn what_was_done_through_an_interposer_is_undone_before_it_is_withdrawn() {
    let bench = Bench::new(async |_| WorkerAnswer::Acted(Outcome::Done));
    let (init, name) = (Init { pid: 1, start_time: 1 }, "i".to_owned());
    let withdraw =
        Op::Insertion(InsertionOp::Withdraw { place: place(), init, name: name.clone() });
    let disarm = Op::Insertion(InsertionOp::Disarm { place: place(), init, name });
    bench.applied(vec![withdraw.clone()], None).await;
    bench.applied(vec![filler()], None).await;
    let report = timeout(SOON, bench.keeper.roll_back(Scope::All, &[])).await.unwrap();
    assert!(report.complete(), "{report:?}");
    assert_eq!(*locked(&bench.asked), [disarm, filler(), withdraw]);
}

#[tokio::test]
async fn an_entry_whose_time_is_up_waits_for_no_other() {
    let bench = frozen();
    bench.applied(vec![filler()], Some(0)).await;
    bench.applied(vec![thaw()], Some(0)).await;
    let minds = tokio::spawn(mind_expiries(Arc::clone(&bench.keeper)));
    let both = async {
        while locked(&bench.keeper.expired).len() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, both).await.unwrap();
    minds.abort();
    let asked = locked(&bench.asked).clone();
    assert_eq!(asked.len(), 2, "each is undone once: {asked:?}");
    assert_eq!(bench.keeper.book.view().open_entries(), []);
}

#[tokio::test]
async fn nothing_starts_on_a_volume_that_still_takes_no_changes() {
    let settling = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&settling);
    let bench = Bench::new(move |_| {
        let settling = still.load(Ordering::Relaxed);
        async move {
            let error = HelperError::Refused("it is settling".into());
            if settling { WorkerAnswer::Failed(error) } else { WorkerAnswer::Acted(Outcome::Done) }
        }
    });
    let start = Op::Engine(EngineOp::Start { container: "c".into() });
    let killed = bench.applied(vec![start.clone()], None).await;
    let lift = Op::CutFiles(FileCutOp::Lift { interposer: "i".into() });
    let cut = bench.applied(vec![lift, start.clone()], None).await;
    // there is no engine: what waits for one is done by whoever asked for the undo
    let alone = bench.keeper.undo(cut, &[]).await;
    let all = bench.keeper.roll_back(Scope::Faults, &[]).await.undone;
    assert_eq!(all.len(), 2, "what else would start it waits too");
    for undone in [alone].into_iter().chain(all) {
        assert_eq!((undone.problems.len(), &undone.pending[..]), (1, &[][..]), "{undone:?}");
    }
    let alone = bench.keeper.undo(killed, &[]).await;
    assert_eq!((alone.problems.len(), &alone.pending[..]), (1, &[][..]), "its own time: {alone:?}");
    assert_eq!(bench.keeper.book.view().open_entries(), [cut, killed]);
    settling.store(false, Ordering::Relaxed);
    let undone = bench.keeper.undo(cut, &[]).await;
    assert_eq!((undone.problems.len(), undone.pending), (0, vec![start]));
}

/// One whose worker comes to an op only when it is told to.
fn slow(slow: fn(&Op) -> bool) -> (Bench, Arc<watch::Sender<bool>>) {
    let come = Arc::new(watch::Sender::new(false));
    let told = Arc::clone(&come);
    let bench = Bench::new(move |op| {
        let mut told = told.subscribe();
        async move {
            if slow(&op) {
                let _ = told.wait_for(|told| *told).await;
            }
            WorkerAnswer::Acted(Outcome::Done)
        }
    });
    (bench, come)
}

#[tokio::test]
async fn an_act_that_comes_after_its_undo_is_undone_once_more() {
    let is_freeze = |op: &Op| matches!(op, Op::Freeze { .. });
    let (bench, come) = slow(is_freeze);
    let freeze = Op::Freeze { place: place(), dev: DEV, image: "i".into() };
    let (ops, undo) = (vec![freeze.clone()], vec![thaw()]);
    let entry = Entry { what: "stall".into(), ops, undo, expires_ms: None };
    let given_up = timeout(3 * SOON, bench.keeper.apply(entry)).await.unwrap().unwrap_err();
    assert!(given_up.to_string().contains("may still come"), "{given_up}");
    let open = bench.keeper.book.view().open_entries();
    assert_eq!(open.len(), 1);
    let report = bench.keeper.roll_back(Scope::All, &[]).await;
    assert!(!report.complete(), "it may still come: {report:?}");
    assert_eq!(bench.keeper.book.view().open_entries(), open);
    come.send_replace(true);
    // nobody asks for it any more
    let minds = tokio::spawn(mind_the_late(Arc::clone(&bench.keeper)));
    let closed = async {
        while !bench.keeper.book.view().open_entries().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, closed).await.unwrap();
    minds.abort();
    let asked = locked(&bench.asked).clone();
    assert_eq!((asked.first(), asked.last()), (Some(&freeze), Some(&thaw())), "{asked:?}");
}

/// Two acts of an entry, of which the first is under way while all is undone.
async fn under_way() -> (Bench, Arc<watch::Sender<bool>>, JoinHandle<Result<Applied, HelperError>>)
{
    let (bench, come) = slow(|op| matches!(op, Op::Freeze { .. }));
    let freeze = Op::Freeze { place: place(), dev: DEV, image: "i".into() };
    let (ops, undo) = (vec![freeze.clone(), Op::Nothing], vec![thaw()]);
    let entry = Entry { what: "stall".into(), ops, undo, expires_ms: None };
    let keeper = Arc::clone(&bench.keeper);
    let acts = tokio::spawn(async move { keeper.apply(entry).await });
    timeout(SOON, bench.was_asked(&freeze)).await.unwrap();
    (bench, come, acts)
}

#[tokio::test]
async fn what_is_under_way_while_all_is_undone_is_undone_when_it_has_come() {
    let (bench, come, acts) = under_way().await;
    let report = timeout(SOON, bench.keeper.roll_back(Scope::All, &[])).await.unwrap();
    assert!(!report.complete(), "it may still come: {report:?}");
    assert!(bench.keeper.close().await.is_err());
    come.send_replace(true);
    let told = timeout(SOON, acts).await.unwrap().unwrap().unwrap_err().to_string();
    assert!(told.contains("was undone before all of it was done"), "{told}");
    assert!(bench.keeper.roll_back(Scope::All, &[]).await.complete());
    bench.keeper.close().await.unwrap();
    let asked = locked(&bench.asked).clone();
    assert!(asked.last() == Some(&thaw()) && !asked.contains(&Op::Nothing), "{asked:?}");
}

#[tokio::test]
async fn what_comes_under_way_is_undone_by_the_same_rollback() {
    let (bench, come, acts) = under_way().await;
    let keeper = Arc::clone(&bench.keeper);
    let all = tokio::spawn(async move { keeper.roll_back(Scope::All, &[]).await });
    timeout(SOON, bench.was_asked(&thaw())).await.unwrap();
    come.send_replace(true);
    let report = timeout(SOON, all).await.unwrap().unwrap();
    assert!(report.complete(), "{report:?}");
    assert!(timeout(SOON, acts).await.unwrap().unwrap().is_err());
    bench.keeper.close().await.unwrap();
    assert_eq!(locked(&bench.asked).last(), Some(&thaw()));
}

#[tokio::test]
async fn a_container_is_restarted_once_and_not_before_the_last_act_has_come() {
    let bench = Bench::new(async |_| WorkerAnswer::Acted(Outcome::Done));
    let restart = Op::Engine(EngineOp::Restart { container: "c".into(), grace_ms: 1 });
    let undo = vec![restart.clone()];
    let entry = Entry { what: "broken".into(), ops: Vec::new(), undo, expires_ms: None };
    let id = bench.keeper.book.pend(&entry).await.unwrap();
    let act = bench.keeper.begins(id).unwrap();
    for undone in bench.keeper.roll_back(Scope::All, &[]).await.undone {
        assert_eq!((undone.problems.len(), undone.pending), (1, Vec::new()), "not yet");
    }
    assert!(bench.keeper.begins(id).is_err(), "nothing begins any more");
    bench.keeper.ends(id, act, None);
    let undone = bench.keeper.undo(id, &[]).await;
    assert_eq!((undone.problems.len(), undone.pending), (0, vec![restart]));
}

#[tokio::test]
async fn an_act_of_a_worker_that_was_killed_is_undone_when_nothing_is_left_of_that() {
    let bench = Bench::new(async |_| WorkerAnswer::Acted(Outcome::Done));
    let entry = |undo| Entry { what: "stall".into(), ops: Vec::new(), undo, expires_ms: None };
    let pending = bench.keeper.book.pend(&entry(vec![thaw()])).await.unwrap();
    let applied = bench.applied(vec![filler()], None).await;
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    bench.keeper.give_up_earlier(&[Identity::of(child.id()).unwrap()]);
    let report = bench.keeper.roll_back(Scope::All, &[]).await;
    let told: Vec<_> = report.undone.iter().map(|one| (one.id, one.problems.len())).collect();
    assert_eq!(told, [(applied, 0), (pending, 1)], "of one that was done nothing comes");
    assert_eq!(bench.keeper.book.view().open_entries(), [pending]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bench.keeper.roll_back(Scope::All, &[]).await.complete());
    assert_eq!(bench.keeper.book.view().open_entries(), []);
}

#[tokio::test]
async fn what_comes_while_all_is_undone_is_undone_after_that() {
    let bench = Bench::new(async |_| WorkerAnswer::Acted(Outcome::Done));
    let entry = |undo| Entry { what: "stall".into(), ops: Vec::new(), undo, expires_ms: None };
    bench.keeper.book.pend(&entry(vec![thaw()])).await.unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    bench.keeper.give_up_earlier(&[Identity::of(child.id()).unwrap()]);
    let keeper = Arc::clone(&bench.keeper);
    let all = tokio::spawn(async move { keeper.roll_back(Scope::All, &[]).await });
    timeout(SOON, bench.was_asked(&thaw())).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let report = timeout(SOON, all).await.unwrap().unwrap();
    assert!(report.complete(), "{report:?}");
    // to let others go on, in its turn, and after it came
    assert_eq!(*locked(&bench.asked), [thaw(), thaw(), thaw()]);
}

#[tokio::test]
async fn what_cannot_be_reached_stays_open_until_its_volume_has_gone() {
    let gone = Arc::new(AtomicBool::new(false));
    let bench = Bench::new(move |op| {
        let gone = Arc::clone(&gone);
        async move {
            match op {
                Op::RemoveImage { .. } => gone.store(true, Ordering::Relaxed),
                _ if gone.load(Ordering::Relaxed) => {}
                _ => return WorkerAnswer::Failed(HelperError::Refused("nowhere".into())),
            }
            WorkerAnswer::Acted(Outcome::Done)
        }
    });
    let volume = bench.applied(vec![Op::RemoveImage { name: "i".into() }], None).await;
    let full = bench.applied(vec![filler()], None).await;
    let faults = bench.keeper.roll_back(Scope::Faults, &[]).await;
    for undone in [bench.keeper.undo(full, &[]).await, faults.undone[0].clone()] {
        assert_eq!((undone.id, undone.problems), (full, vec!["nowhere".to_owned()]));
    }
    assert_eq!(bench.keeper.book.view().open_entries(), [full, volume]);
    let all = bench.keeper.roll_back(Scope::All, &[]).await;
    assert!(all.complete(), "{all:?}");
    assert_eq!(bench.keeper.book.view().open_entries(), []);
}
