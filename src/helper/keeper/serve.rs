//! The keeper's loop: frames in, frames out, and what it does by itself.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    super::{
        HelperError,
        wire::{
            Answer, Ask, Frame, Hello, Incoming, Input, WorkerAnswer, WorkerAsk, build_id,
            incoming, input, outgoing, output,
        },
        worker::image,
    },
    book::Book,
    class::Scope,
    clock::{boottime_ms, unix_ms},
    earlier,
    engine::LocalEngine,
    late::mind_the_late,
    lease::{EXPIRY, Lease},
    rollback::JOURNAL,
    state::{Keeper, Options, locked},
};
use crate::{
    failpoint::{self, Role},
    host::process::{Identity, boot_id},
    journal::{Header, JournalFile},
    protocol::{EntryId, EntryState, LoadCall, Read, VERSION},
};

/// The most requests at a time, those apart that undo or end.
const AT_ONCE: usize = 64;
/// How long the command line may take to say who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Between two looks at the lease and at entries whose time is up.
const TICK: Duration = Duration::from_millis(25);

/// Runs the keeper on its standard streams until the run ends, or the command line does.
///
/// Arguments: `DIR HOST_DIR RUN [--replay] [--no-engine]`. Exit code 0: nothing is left to undo;
/// 4: something is.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    failpoint::this_is(Role::Keeper);
    let (flags, words): (Vec<String>, Vec<String>) = args.partition(|arg| arg.starts_with("--"));
    let [dir, host_dir, run] = words.as_slice() else { return ExitCode::from(2) };
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let options = Options {
        dir: dir.into(),
        host_dir: host_dir.clone(),
        run: run.clone(),
        replay: has("--replay"),
        other_boot: false,
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEELHAUL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let code = match runtime.block_on(keep(options, !has("--no-engine"))) {
        Ok(true) => 0,
        Ok(false) => 4,
        Err(error) => {
            tracing::error!(%error, "the keeper cannot work");
            3
        }
    };
    // a stream that nobody reads must not keep the keeper alive
    std::process::exit(code)
}

/// Why the keeper stops serving.
enum Stop {
    /// The journal is closed.
    Closed,
    /// The command line is gone.
    Gone(String),
}

async fn keep(mut options: Options, engine: bool) -> Result<bool, String> {
    for name in [image::BINDS, image::IMAGES, "ledger"] {
        let path = options.dir.join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let journal = journal(&options).map_err(|error| error.to_string())?;
    options.other_boot = is_of_other_boot(&journal);
    let hanging = hanging(&options);
    let book = Book::open(journal).map_err(|error| format!("no journal: {error}"))?;
    let lease = Lease::start(&options.dir).map_err(|error| format!("no lease: {error}"))?;
    let worker = options.worker(true).map_err(|error| format!("no worker: {error}"))?;
    let engine = LocalEngine::find(!engine);
    let hello = Hello::ours(&options.run);
    let replay = options.replay;
    let (outbox, queue) = mpsc::channel(AT_ONCE * 2);
    let keeper = Arc::new(Keeper::new(options, book, lease, worker, engine, outbox));
    keeper.give_up_earlier(&hanging);
    tokio::spawn(mind_the_worker(Arc::clone(&keeper)));
    tokio::spawn(mind_the_late(Arc::clone(&keeper)));
    let reverted = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move {
            if replay {
                keeper.roll_back(Scope::Faults, &[]).await;
            }
        }
    });
    let stop = match timeout(HANDSHAKE, shake(&hello, queue)).await {
        Err(_) => Stop::Gone("the command line does not say who it is".into()),
        Ok(Err(reason)) => Stop::Gone(reason),
        Ok(Ok(requests)) => {
            keeper.lease.renew();
            tokio::spawn(mind_expiries(Arc::clone(&keeper)));
            tokio::select! {
                stop = serve(Arc::clone(&keeper), requests) => stop,
                stop = mind_the_lease(Arc::clone(&keeper)) => stop,
            }
        }
    };
    let _ = reverted.await;
    match stop {
        Stop::Closed => Ok(true),
        Stop::Gone(reason) => {
            tracing::warn!(%reason, "everything is reverted");
            Ok(keeper.revert_all(&reason).await)
        }
    }
}

fn journal(options: &Options) -> Result<JournalFile, crate::journal::JournalError> {
    let path = options.dir.join(JOURNAL);
    if options.replay && has_header(&path) {
        return JournalFile::open(&path);
    }
    if options.replay {
        // one that ends before its header does says that nothing was ever done
        let _ = std::fs::remove_file(&path);
    }
    let header = Header {
        version: VERSION,
        run: options.run.clone(),
        build: build_id().to_owned(),
        boot_id: boot_id().unwrap_or_default(),
        created_ms: unix_ms(),
    };
    JournalFile::create(&path, &header)
}

/// Workers of the keepers before that have not gone yet, and may hang in the kernel.
fn hanging(options: &Options) -> Vec<Identity> {
    if options.other_boot { Vec::new() } else { earlier::left(&options.dir) }
}

/// Where nobody knows, it is of this one.
fn is_of_other_boot(journal: &JournalFile) -> bool {
    let then = journal.replay().header.as_ref().map(|header| header.boot_id.as_str());
    let then = then.filter(|then| !then.is_empty());
    boot_id().is_ok_and(|now| then.is_some_and(|then| then != now))
}

fn has_header(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(
        |bytes| !matches!(crate::journal::replay(&bytes), Ok(replay) if replay.header.is_none()),
    )
}

/// Says who we are and hears who they are; from then on sends what is in the queue.
async fn shake(
    hello: &Hello,
    mut queue: mpsc::Receiver<Frame<Answer>>,
) -> Result<Incoming<Input>, String> {
    let mut out = outgoing(output());
    let mut requests = incoming(input());
    out.send(hello).await.map_err(|error| error.to_string())?;
    let theirs: Hello = requests.receive().await.map_err(|error| error.to_string())?;
    hello.check(&theirs).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Some(frame) = queue.recv().await {
            if out.send(&frame).await.is_err() {
                break;
            }
        }
    });
    Ok(requests)
}

async fn serve(keeper: Arc<Keeper>, mut requests: Incoming<Input>) -> Stop {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let (closed, mut closing) = mpsc::channel::<()>(1);
    loop {
        let frame = tokio::select! {
            frame = requests.receive::<Frame<Ask>>() => frame,
            _ = closing.recv() => return Stop::Closed,
        };
        let (id, ask) = match frame {
            Ok(Frame { id, body }) => (id, body),
            Err(error) => return Stop::Gone(error.to_string()),
        };
        if matches!(ask, Ask::Heartbeat) {
            keeper.lease.renew();
            // a full queue means that nobody reads: then nobody misses this answer
            let _ = keeper.outbox.try_send(Frame { id, body: Answer::Beat });
            let keeper = Arc::clone(&keeper);
            tokio::task::spawn_blocking(move || keeper.lease.mark());
            continue;
        }
        let Ok(permit) = admit(&ask, &room) else {
            let busy = HelperError::Refused("the keeper has too much to do".into());
            let _ = keeper.outbox.try_send(Frame { id, body: Answer::Failed(busy) });
            continue;
        };
        let (keeper, closed) = (Arc::clone(&keeper), closed.clone());
        tokio::spawn(async move {
            let body = keeper.answer(ask).await.unwrap_or_else(Answer::Failed);
            let ends = matches!(body, Answer::Closed);
            let _ = keeper.outbox.send(Frame { id, body }).await;
            drop(permit);
            if ends {
                // the answer leaves first
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = closed.send(()).await;
            }
        });
    }
}

/// Room for a request. What undoes or ends needs none: those that have it all may be waiting for just
/// that.
fn admit(
    ask: &Ask,
    room: &Arc<Semaphore>,
) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
    if matches!(ask, Ask::Undo { .. } | Ask::Rollback { .. } | Ask::Leave | Ask::Close) {
        return Ok(None);
    }
    Arc::clone(room).try_acquire_owned().map(Some)
}

impl Keeper {
    /// An entry whose time is up is undone once; where that fails, it is left to the rollback.
    fn forget_expiry(&self, id: EntryId) {
        if let Some(slot) = self.book.view().slots.get_mut(&id) {
            slot.expires_at_ms = None;
        }
    }

    async fn answer(self: &Arc<Self>, ask: Ask) -> Result<Answer, HelperError> {
        Ok(match ask {
            Ask::Heartbeat => Answer::Beat,
            Ask::Read(question) => self.read(question).await?,
            Ask::Load(call) => self.load(call).await?,
            Ask::Begin(entry) => Answer::Begun(self.begin(entry).await?),
            Ask::Act { id, op } => Answer::Acted(self.act_of(id, op).await?),
            Ask::End { id, outcomes } => Answer::Applied(self.end(id, outcomes)),
            Ask::Apply(entry) => Answer::Applied(self.apply(entry).await?),
            Ask::Undo { id, done } => Answer::Undone(self.undo(id, &done).await),
            Ask::Rollback { faults_only, done } => {
                let scope = if faults_only { Scope::Faults } else { Scope::All };
                Answer::Rollback(self.roll_back(scope, &done).await)
            }
            Ask::Expired => Answer::Expired(std::mem::take(&mut *locked(&self.expired))),
            Ask::Journal => Answer::Journal(self.journal().await?),
            Ask::Leave => {
                self.leave().await?;
                Answer::Closed
            }
            Ask::Close => {
                self.close().await?;
                Answer::Closed
            }
        })
    }

    async fn read(&self, question: Read) -> Result<Answer, HelperError> {
        let within = question.patience();
        let trial = match question.itself() {
            Read::TryCreate(place)
            | Read::TryWrite { place, .. }
            | Read::TryLink { place, .. }
            | Read::TryAccess(place) => Some(place.clone()),
            Read::TryEvents { from, .. } => Some(from.clone()),
            _ => None,
        };
        locked(&self.trials).extend(trial.clone());
        let answer = self.worker().call(WorkerAsk::Read(question), within, "a read").await;
        // one that was interrupted may have left a file: it stays listed until the sweep
        if !matches!(answer, Err(HelperError::Lost(_) | HelperError::Timeout { .. })) {
            let mut trials = locked(&self.trials);
            if let Some(at) = trials.iter().position(|place| Some(place) == trial.as_ref()) {
                trials.swap_remove(at);
            }
        }
        match answer? {
            WorkerAnswer::Reading(reading) => Ok(Answer::Reading(reading)),
            other => Err(HelperError::Refused(format!("the worker answered {other:?}"))),
        }
    }

    async fn load(&self, call: LoadCall) -> Result<Answer, HelperError> {
        self.refuse_when_lost()?;
        let within = match &call {
            LoadCall::Stop { .. }
            | LoadCall::Judge { .. }
            | LoadCall::JudgeAt { .. }
            | LoadCall::JudgeStanding { .. }
            | LoadCall::ExploreLog { .. }
            | LoadCall::Explore { .. } => Duration::from_secs(120),
            _ => Duration::from_secs(10),
        };
        match self.worker().call(WorkerAsk::Load(call), within, "a load call").await? {
            WorkerAnswer::Load(reply) => Ok(Answer::Load(reply)),
            other => Err(HelperError::Refused(format!("the worker answered {other:?}"))),
        }
    }
}

/// Resolves when the command line was not heard for too long.
async fn mind_the_lease(keeper: Arc<Keeper>) -> Stop {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0;
    loop {
        tick.tick().await;
        let age = keeper.lease.age();
        if age <= EXPIRY {
            silent = 0;
            continue;
        }
        silent += 1;
        // when we were stopped ourselves, what came meanwhile is heard before anyone is judged
        if silent > 2 {
            return Stop::Gone(format!("no heartbeat for {} ms", age.as_millis()));
        }
    }
}

/// Undoes entries whose time is up, side by side: one may wait for what another does.
pub(super) async fn mind_expiries(keeper: Arc<Keeper>) {
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        let now = boottime_ms();
        let due: Vec<EntryId> = keeper
            .book
            .view()
            .slots
            .iter()
            .filter(|(_, slot)| slot.state == EntryState::Applied)
            .filter(|(_, slot)| slot.expires_at_ms.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            // it is not tried again every tick; the rollback tries once more
            keeper.forget_expiry(id);
            tokio::spawn(expire(Arc::clone(&keeper), id));
        }
    }
}

async fn expire(keeper: Arc<Keeper>, id: EntryId) {
    let undone = keeper.undo(id, &[]).await;
    if !undone.problems.is_empty() || !undone.pending.is_empty() {
        tracing::warn!(id = id.0, "an entry whose time was up could not be undone");
    }
    locked(&keeper.expired).push(undone);
}

/// When the worker is gone: nothing new, faults reverted by another one, the command line told.
async fn mind_the_worker(keeper: Arc<Keeper>) {
    loop {
        let reason = keeper.worker().died().await;
        keeper.quiesce(&reason).await;
        if let Err(error) = keeper.live_worker().await {
            tracing::error!(%error, "the worker cannot be replaced");
            tokio::time::sleep(Duration::from_millis(250)).await;
            continue;
        }
        keeper.roll_back(Scope::Faults, &[]).await;
        let trials = std::mem::take(&mut *locked(&keeper.trials));
        for place in trials {
            let swept = keeper.worker().call(WorkerAsk::Sweep(place), TICK * 80, "a sweep").await;
            if let Err(error) = swept {
                tracing::warn!(%error, "what a trial left could not be removed");
            }
        }
        let _ = keeper.outbox.try_send(Frame { id: 0, body: Answer::Lost(reason) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_undoes_or_ends_is_admitted_where_nothing_else_is() {
        let room = Arc::new(Semaphore::new(1));
        let taken = admit(&Ask::Journal, &room).unwrap();
        assert!(admit(&Ask::Journal, &room).is_err());
        let undo = Ask::Undo { id: EntryId(1), done: Vec::new() };
        let rollback = Ask::Rollback { faults_only: true, done: Vec::new() };
        for ask in [undo, rollback, Ask::Leave, Ask::Close] {
            assert!(admit(&ask, &room).unwrap().is_none(), "{ask:?}");
        }
        drop(taken);
        assert!(admit(&Ask::Journal, &room).is_ok());
    }
}
