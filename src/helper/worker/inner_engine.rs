//! An engine of the scenario's own: its process, its API, and the op that ends its process.
//!
//! Its API is reached as any port of a container is: over a socket opened in its network namespace.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    super::HelperError,
    context::Done,
    http::{blocking, connect},
    place::{init, short},
};
use crate::{
    host::{container_process::container_processes, error::HostResult, process::Identity},
    protocol::{Ending, Init, InnerEngineFacts, Outcome, Place, StartTrial},
    runtime::{ENGINE_PORT, PROGRAM, SPECIMEN_IMAGE},
};

/// An engine that lists its containers answers at once, or is ill.
const LISTING: Duration = Duration::from_secs(2);
/// For a container to be created, and for it to start: on a full disk the engine itself tries more
/// than once.
const STARTING: Duration = Duration::from_secs(20);
/// After it, it is not counted among those that run.
const REMOVING: Duration = Duration::from_secs(10);
/// The most of a reply that is read.
const BODY: usize = 1 << 20;
/// The command name of the engine.
const NAME: &str = "dockerd";

/// The engine in a container: the process of that name that is there longest.
fn process(place: &Place) -> HostResult<Option<Identity>> {
    let all = container_processes(&place.container)?.into_iter();
    let engines = all.filter(|process| {
        std::fs::read_to_string(process.proc_path("comm")).is_ok_and(|name| name.trim_end() == NAME)
    });
    Ok(engines.filter(|process| process.is_alive()).min_by_key(|process| process.start_time))
}

/// Looks at it.
pub(super) async fn facts(place: &Place) -> Result<InnerEngineFacts, HelperError> {
    let found = {
        let place = place.clone();
        blocking(move || Ok(process(&place)?)).await?
    };
    let listed = call(place, "GET", "/containers/json", &Value::Null);
    let running = match timeout(LISTING, listed).await {
        Err(_) => Err(format!("no answer within {} ms", LISTING.as_millis())),
        Ok(Ok((200, Value::Array(list)))) => Ok(list.len() as u64),
        Ok(Ok((status, reply))) => Err(said(status, &reply)),
        Ok(Err(why)) => Err(why),
    };
    Ok(InnerEngineFacts { process: found.map(Into::into), running })
}

/// Creates, starts and removes a container there.
pub(super) async fn try_start(place: &Place) -> Result<StartTrial, HelperError> {
    let entrypoint = [PROGRAM, "specimen"];
    let host = json!({ "NetworkMode": "none" });
    let body = json!({ "Image": SPECIMEN_IMAGE, "Entrypoint": entrypoint, "HostConfig": host });
    let created = in_time(call(place, "POST", "/containers/create", &body)).await;
    let id = match created {
        Err(why) => return Ok(Err(why)),
        Ok((status, reply)) => match reply["Id"].as_str() {
            Some(id) => id.to_owned(),
            None => return Ok(Err(said(status, &reply))),
        },
    };
    let begun = Instant::now();
    let start = format!("/containers/{id}/start");
    let started = in_time(call(place, "POST", &start, &Value::Null)).await;
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let place = place.clone();
    let removal = tokio::spawn(async move {
        let _ = call(&place, "DELETE", &format!("/containers/{id}?force=1"), &Value::Null).await;
    });
    // a slow one goes on while nobody waits; what cannot be removed goes with the engine
    let _ = timeout(REMOVING, removal).await;
    Ok(started.and_then(|(status, reply)| match status {
        204 => Ok(took),
        _ => Err(said(status, &reply)),
    }))
}

/// What a call comes to, or that it takes longer than any start may.
async fn in_time<T>(call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = || format!("no answer within {} ms", STARTING.as_millis());
    timeout(STARTING, call).await.unwrap_or_else(|_| Err(late()))
}

/// The engine's words.
fn said(status: u16, reply: &Value) -> String {
    reply["message"].as_str().map_or_else(|| format!("status {status}"), str::to_owned)
}

/// One call of the API: status and reply, `null` where that is no JSON.
async fn call(
    place: &Place,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let target = {
        let place = place.clone();
        blocking(move || init(&place)).await.map_err(|error| error.to_string())?
    };
    let mut connection = connect(target, ENGINE_PORT).await?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("host", "engine");
    let request = request.header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
    let words = |error: hyper::Error| error.to_string();
    connection.ready().await.map_err(words)?;
    let reply = connection.send_request(request).await.map_err(words)?;
    let status = reply.status().as_u16();
    let body = Limited::new(reply.into_body(), BODY).collect().await;
    let bytes = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// Ends this very process, if it is the container's engine; refuses another one.
pub(super) fn end(place: &Place, meant: Init, how: Ending) -> Done {
    let meant = Identity::from(meant);
    if process(place)? != Some(meant) {
        let container = short(&place.container);
        return Err(HelperError::Refused(format!(
            "the engine in container `{container}` is no longer process {}",
            meant.pid
        )));
    }
    meant.signal(match how {
        Ending::Asked => libc::SIGTERM,
        Ending::Killed => libc::SIGKILL,
    })?;
    Ok(Outcome::Done)
}
