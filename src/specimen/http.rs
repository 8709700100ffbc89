//! The HTTP face: routes, and which status says what.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 when RUNNING, otherwise 503, with state, reason and the term we lead |
//! | `GET /metrics` | Prometheus text |
//! | `GET /session` | session, resumed, starts, `lost_state` |
//! | `PUT /records/KEY` | 200 kept; 425 only with `orders-by-wall-clock`; 400 not that record; 409 another record has the key; 503/507 refused; 504 unknown |
//! | `PUT /handed-on/KEY` | the same from a follower; 421 when we do not lead |
//! | `GET /records` | every kept record, one per line |
//! | `GET`, `PUT /release` | the release as read through `current.dat`; publish new content |
//! | `POST /pause?milliseconds=N` | 200 once nothing of the data changes any more, for N at most |
//! | `POST /resume` | go on; for how long nothing had changed, if it had not |
//! | `GET /agents`, `POST /agents/NAME/beat` | who beats to us, and how; a beat |
//! | `GET /leader`, `POST /terms/TERM/NAME` | whose work we take, 503 when none comes; work, 409 when its term is over |
//! | `GET /config`, `PUT /config/VALUE` | the configuration in force; replace its file, or with `?in_place=true` write into it |
//! | `GET`, `PUT /rounds` | what is in sync; rename and change modes for a second at most |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::json;
use tokio::io::{AsyncReadExt, Take};

use super::errno;
use super::follow;
use super::health::State;
use super::records::Refusal;
use super::rounds;
use super::service::Service;
use super::uplink::Uplink;
use super::weakness::Weakness;
use crate::ledger::Record;

/// Bytes read from the journal at a time.
const CHUNK: usize = 64 * 1024;

/// How long a request may make rounds.
const ROUNDS: Duration = Duration::from_secs(1);

type App = Shared<Arc<Service>>;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/session", get(session))
        .route("/records", get(records))
        .route("/records/{*key}", put(append))
        .route("/handed-on/{*key}", put(handed_on))
        .route("/release", get(release).put(publish))
        .route("/agents", get(agents))
        .route("/agents/{name}/beat", post(beat))
        .route("/leader", get(leader))
        .route("/terms/{term}/{name}", post(work))
        .route("/config", get(config))
        .route("/config/{value}", put(deploy))
        .route("/rounds", get(rounds).put(advance))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .with_state(service)
}

async fn health(Shared(service): App) -> Response {
    let view = service.health.view();
    let healthy = view.state == State::Running || service.args.has(Weakness::AlwaysHealthy);
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!(view);
    body["lost_state"] = service.lost_state().into();
    body["controller"] = json!(service.uplink.as_ref().map(Uplink::state));
    body["leads"] = json!(Some(service.term.load(Ordering::Acquire)).filter(|term| *term > 0));
    body["mount_alarms"] = service.metrics.mount_alarms.get().into();
    (status, Json(body)).into_response()
}

async fn metrics(Shared(service): App) -> Response {
    service.metrics.waiting.set(service.records().map_or(0, |records| records.waiting()));
    // Asking a stuck filesystem for its free room would take this worker along.
    blocking(service.args.patience(), move || {
        let logs = service.args.logs_dir();
        let dirs = [("data", service.args.data.as_path()), ("logs", logs.as_path())];
        Ok(service.metrics.render(&service.health.view(), &dirs).into_response())
    })
    .await
}

async fn session(Shared(service): App) -> Response {
    let Some(session) = service.session() else { return not_ready() };
    Json(json!({
        "session": session.saved.session,
        "resumed": session.resumed,
        "starts": session.saved.starts,
        "lost_state": session.lost_state,
    }))
    .into_response()
}

async fn append(
    Shared(service): App,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !service.controller.arrivals.admit(&service, &headers) {
        return complain(StatusCode::TOO_EARLY, "sent", "the record is from the future");
    }
    let record = match received(&service, &key, &body) {
        Ok(record) => record,
        Err(refused) => return *refused,
    };
    answer(follow::put(&service, &record).await)
}

/// From one who took us for the leader: never handed on further.
async fn handed_on(Shared(service): App, Path(key): Path<String>, body: Bytes) -> Response {
    let record = match received(&service, &key, &body) {
        Ok(record) => record,
        Err(refused) => return *refused,
    };
    answer(follow::here(&service, &record).await)
}

fn received(service: &Service, key: &str, body: &[u8]) -> Result<Record, Box<Response>> {
    let bad = |what, why: &str| Err(Box::new(complain(StatusCode::BAD_REQUEST, what, why)));
    match Record::decode(body.strip_suffix(b"\n").unwrap_or(body)) {
        Ok(record) if record.key != key => bad("key", "the record has another key"),
        Err(error) => bad("record", &error.to_string()),
        Ok(_) if !service.health.takes_records() || service.records().is_none() => {
            Err(Box::new(not_ready()))
        }
        Ok(record) => Ok(record),
    }
}

fn answer(kept: Result<(), Refusal>) -> Response {
    match kept {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    match refusal {
        Refusal::Storage { errno, detail, full: true } => {
            complain(StatusCode::INSUFFICIENT_STORAGE, errno, detail)
        }
        Refusal::Storage { errno, detail, full: false } => complain(unavailable, errno, detail),
        Refusal::Frozen => not_ready(),
        Refusal::Busy => complain(unavailable, "busy", "too many records are waiting"),
        Refusal::Conflict => complain(StatusCode::CONFLICT, "key", "the key holds another record"),
        Refusal::Unknown => {
            complain(StatusCode::GATEWAY_TIMEOUT, "unknown", "the storage does not answer")
        }
        Refusal::Elsewhere(_) => {
            complain(StatusCode::MISDIRECTED_REQUEST, "elsewhere", "somebody else leads")
        }
        Refusal::NoLeader => complain(unavailable, "no-leader", "no leader answers"),
        Refusal::Leader(status, body) => (*status, body.clone()).into_response(),
    }
}

async fn records(Shared(service): App) -> Response {
    let Some((path, length)) = service.readable() else { return not_ready() };
    match open_journal(path, length).await {
        Ok(file) => Body::from_stream(stream::try_unfold(file, next_chunk)).into_response(),
        Err(error) => storage(&error),
    }
}

type JournalReader = Take<tokio::fs::File>;

async fn open_journal(path: PathBuf, length: u64) -> io::Result<JournalReader> {
    Ok(tokio::fs::File::open(path).await?.take(length))
}

async fn next_chunk(mut file: JournalReader) -> io::Result<Option<(Bytes, JournalReader)>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
    Ok((read > 0).then(|| (chunk.into(), file)))
}

async fn release(Shared(service): App) -> Response {
    blocking(service.args.patience(), move || {
        service.reading().map(|reading| Json(reading).into_response())
    })
    .await
}

async fn config(Shared(service): App) -> Response {
    match &service.config {
        Some(config) => Json(config.effective()).into_response(),
        None => no_config(),
    }
}

/// How a configuration is deployed.
#[derive(serde::Deserialize)]
struct Deploy {
    #[serde(default)]
    in_place: bool,
}

async fn deploy(
    Shared(service): App,
    Path(value): Path<String>,
    Query(how): Query<Deploy>,
) -> Response {
    if service.config.is_none() {
        return no_config();
    }
    // Whoever replaces the file does not apply it: noticing is the watch's work.
    let patience = service.args.patience();
    let write = move || match &service.config {
        Some(config) if how.in_place => config.overwrite(&value),
        Some(config) => config.deploy(&value),
        None => Ok(()),
    };
    blocking(patience, move || write().map(|()| StatusCode::OK.into_response())).await
}

fn no_config() -> Response {
    complain(StatusCode::NOT_FOUND, "config", "the service was started without `--config`")
}

async fn rounds(Shared(service): App) -> Response {
    let patience = service.args.patience();
    let Some(dir) = service.args.rounds_dir.clone() else { return no_rounds() };
    let report = move || rounds::report(&dir, &service.pace);
    blocking(patience, move || report().map(|report| Json(report).into_response())).await
}

async fn advance(Shared(service): App) -> Response {
    let patience = service.args.patience();
    let Some(dir) = service.args.rounds_dir.clone() else { return no_rounds() };
    let rename_only = service.args.has(Weakness::RenameOnly);
    let advance = move || rounds::advance(&dir, ROUNDS, rename_only, &service.pace);
    blocking(patience, move || advance().map(|report| Json(report).into_response())).await
}

fn no_rounds() -> Response {
    complain(StatusCode::NOT_FOUND, "rounds", "the service was started without `--rounds-dir`")
}

async fn publish(Shared(service): App, content: String) -> Response {
    blocking(service.args.patience(), move || {
        match service.unless_frozen(|| service.publish(Some(content))) {
            None => Ok(not_ready()),
            Some(published) => published
                .and_then(|()| service.reading())
                .map(|reading| Json(reading).into_response()),
        }
    })
    .await
}

/// How long a pause may last at most.
#[derive(serde::Deserialize)]
struct Pause {
    milliseconds: Option<u64>,
}

async fn pause(Shared(service): App, Query(pause): Query<Pause>) -> Response {
    let limit = pause.milliseconds.map(Duration::from_millis);
    blocking(service.args.patience(), move || {
        service.freeze(limit).map(|()| StatusCode::OK.into_response())
    })
    .await
}

async fn agents(Shared(service): App) -> Response {
    Json(json!(service.controller.seen())).into_response()
}

async fn beat(Shared(service): App, Path(name): Path<String>) -> StatusCode {
    service.controller.beat(&service, &name);
    StatusCode::OK
}

async fn leader(Shared(service): App) -> Response {
    match service.controller.leader() {
        Some(leader) => Json(leader).into_response(),
        None => complain(StatusCode::SERVICE_UNAVAILABLE, "leader", "nobody works"),
    }
}

async fn work(Shared(service): App, Path((term, name)): Path<(u64, String)>) -> Response {
    if service.controller.work(&service, term, &name) {
        return StatusCode::OK.into_response();
    }
    complain(StatusCode::CONFLICT, "term", "its term is over")
}

async fn resume(Shared(service): App) -> Response {
    let held = service.thaw().map(|held| held.as_secs_f64() * 1000.0);
    Json(json!({ "held_ms": held })).into_response()
}

/// Runs file work off the async workers, with a deadline on the answer.
async fn blocking(
    patience: Duration,
    work: impl FnOnce() -> io::Result<Response> + Send + 'static,
) -> Response {
    match tokio::time::timeout(patience, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(error))) => storage(&error),
        Ok(Err(_)) | Err(_) => refuse(&Refusal::Unknown),
    }
}

fn storage(error: &io::Error) -> Response {
    let detail = errno::describe(error);
    refuse(&Refusal::Storage { errno: errno::name(error), detail, full: errno::is_space(error) })
}

fn not_ready() -> Response {
    complain(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the service takes no records now")
}

fn complain(status: StatusCode, error: &str, detail: &str) -> Response {
    (status, Json(json!({ "error": error, "detail": detail }))).into_response()
}
