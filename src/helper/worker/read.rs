//! From a question to the observation that answers it: dispatch only.

use std::path::Path;

use super::{
    super::HelperError, clock, cut, disk_trial, facts, freeze, hold, host_facts, http, image,
    inner_engine, insertion, interpose, io_trace, label, layer, load, memory_cgroup, metadata, net,
    page_cache, place, process, quota, sole, throttle, time, trial, visibility, witness::Witnesses,
    written,
};
use crate::protocol::{Read, Reading};

/// Answers a question that blocks; what goes over HTTP is asynchronous and answered elsewhere.
pub(super) fn read(read: &Read, dir: &Path) -> Result<Reading, HelperError> {
    Ok(match read {
        Read::Host => Reading::Host(Box::new(host_facts::host()?)),
        Read::Init(place) => Reading::Init(place::init(place)?.into()),
        Read::MountStack(place) => Reading::Mounts(facts::mount_stack(place)?),
        Read::MountOf(place) => Reading::Mounts(facts::mount_of(place)?),
        Read::AllMounts(place) => Reading::Mounts(facts::all_mounts(place)?),
        Read::Fs(place) => Reading::Fs(facts::filesystem(place, dir)?),
        Read::Quota { place, group } => Reading::Quota(quota::quota(place, *group)?),
        Read::File { place, digest, content } => {
            Reading::File(facts::file(place, *digest, *content)?)
        }
        Read::Times { place, most } => Reading::Times(time::times(place, *most)?),
        Read::Label(place) => Reading::Label(label::facts(place)?),
        Read::Upper(place) => Reading::Upper(layer::upper(place)?),
        Read::Tree(place) => Reading::Tree(facts::tree(place)?),
        Read::Archives { place, below } => {
            Reading::Archives(facts::archives(place, below.as_deref())?)
        }
        Read::Writers(place) => Reading::Writers(facts::writers(place)?),
        Read::Memory(place) => Reading::Memory(memory_cgroup::memory(place)?),
        Read::Processes(place) => Reading::Processes(process::processes(place)?),
        Read::PageCache(place) => Reading::PageCache(page_cache::facts(place)?),
        Read::IoLimits(place) => Reading::Io(throttle::facts(place)?),
        Read::Written(place) => Reading::Written(written::bytes(place)?),
        Read::User(place) => Reading::User(hold::user(place)?),
        Read::Net(place) => Reading::Net(net::facts(place)?),
        Read::Loops => Reading::Loops(image::loops(dir)?),
        Read::Escapes { place, interposer } => {
            Reading::Escapes(insertion::escapes(place, interposer)?)
        }
        Read::TryFlush(attempt) => Reading::DurableTried(disk_trial::flushed(attempt, dir)?),
        Read::TryDurable(attempt) => Reading::DurableTried(cut::durable(attempt, dir)?),
        Read::Rules { interposer, set } => Reading::Rules(interpose::facts(dir, interposer, set)?),
        Read::Struck { interposer, set } => {
            Reading::Struck(interpose::all_struck(dir, interposer, set)?)
        }
        Read::Trace { interposer, from } => {
            Reading::Trace(io_trace::piece(dir, interposer, *from)?)
        }
        Read::ForgetTrace { interposer } => {
            io_trace::forget(dir, interposer)?;
            Reading::Nothing
        }
        other => return attempt(other, dir),
    })
}

/// Tries something, or looks all over the host, to learn how it goes.
fn attempt(read: &Read, dir: &Path) -> Result<Reading, HelperError> {
    Ok(match read {
        Read::TryCreate(place) => Reading::Tried(trial::create(place)?),
        Read::TryWrite { place, bytes } => Reading::Tried(trial::write(place, *bytes)?),
        Read::TryLink { place, into } => Reading::Tried(trial::link(place, into)?),
        Read::TryAccess(place) => Reading::Access(metadata::access(place)?),
        Read::Pace { place, trial } => Reading::Pace(throttle::pace(place, *trial)?),
        Read::TryInotify { place, uid, gid } => {
            Reading::Tried(hold::try_inotify(place, (*uid, *gid))?)
        }
        Read::TryEvents { place, from, within_ms } => {
            Reading::Events(hold::try_events(place, from, *within_ms)?)
        }
        Read::TryIo(attempt) => Reading::IoTried(trial::io(attempt)?),
        Read::TryDisk(attempt) => Reading::IoTried(disk_trial::tried(attempt)?),
        Read::TryDiskBytes(attempt) => Reading::BytesTried(disk_trial::bytes(attempt)?),
        Read::Replay(spec) => Reading::Replayed(load::replay(spec, dir)?),
        Read::OnDevice(place) => Reading::OnDevice(disk_trial::places(place)?),
        Read::Others { place, sole } => Reading::Others(sole::users(place, sole)?),
        Read::TryBytes(attempt) => Reading::BytesTried(trial::bytes(attempt)?),
        Read::TryVisible(attempt) => Reading::VisibleTried(visibility::tried(attempt)?),
        Read::TrySync(attempt) => Reading::SyncTried(trial::sync(attempt)?),
        Read::Clock { place, within_ms } => Reading::Clock(clock::facts(place, *within_ms)?),
        Read::Connect { place, to, timeout_ms } => {
            Reading::Tried(net::connect(place, *to, *timeout_ms)?)
        }
        Read::Answers { place, within_ms } => {
            Reading::Answered(freeze::answers(place, *within_ms)?)
        }
        other => {
            let refused = format!("this is not read on a blocking thread: {other:?}");
            return Err(HelperError::Refused(refused));
        }
    })
}

/// Answers any question.
pub(super) async fn answer(
    question: Read,
    dir: &Path,
    witnesses: &Witnesses,
) -> Result<Reading, HelperError> {
    match &question {
        Read::Http { place, request } => Ok(Reading::Http(http::request(place, request).await?)),
        Read::InnerEngine(place) => Ok(Reading::InnerEngine(inner_engine::facts(place).await?)),
        Read::TryStart(place) => Ok(Reading::Started(inner_engine::try_start(place).await?)),
        _ => {
            let (dir, witnesses) = (dir.to_owned(), witnesses.clone());
            let look = move || match question {
                Read::Kept(question) => witnesses.stand_in(|| read(&question, &dir)),
                question => read(&question, &dir),
            };
            http::blocking(look).await
        }
    }
}
