//! HTTP from inside a container's network namespace: over a socket that was opened there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{super::HelperError, loopback, place::init};
use crate::{
    host::process::Identity,
    protocol::{HttpReply, HttpRequest, Place},
};

/// The most bytes of the body of a reply that are read, where nothing else is said.
pub(super) const BODY: usize = 64 << 20;
/// The most bytes of a body that travel to the command line.
const SHOWN: usize = 1 << 20;

/// A connection that is kept.
pub(super) type Connection = http1::SendRequest<Full<Bytes>>;

/// Performs a request. The inner error says why there was no reply.
pub(super) async fn request(
    place: &Place,
    request: &HttpRequest,
) -> Result<Result<HttpReply, String>, HelperError> {
    let started = Instant::now();
    let target = {
        let place = place.clone();
        blocking(move || init(&place)).await?
    };
    let within = Duration::from_millis(request.timeout_ms);
    let exchange = async {
        let mut connection = connect(target, request.port).await?;
        let body = Bytes::from(request.body.clone());
        exchange(&mut connection, &request.method, &request.path, body, BODY).await
    };
    let reply = match timeout(within, exchange).await {
        Err(_) => Err(format!("no reply within {} ms", request.timeout_ms)),
        Ok(Err(reason)) => Err(reason),
        Ok(Ok((status, body))) => {
            let shown = &body[..body.len().min(SHOWN)];
            let body = String::from_utf8_lossy(shown).into_owned();
            let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            Ok(HttpReply { status, body, took_us })
        }
    };
    Ok(reply)
}

/// Runs what blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HelperError> + Send + 'static,
) -> Result<T, HelperError> {
    let lost = |error: tokio::task::JoinError| HelperError::Refused(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

/// A connection to a port on the container's loopback.
pub(super) async fn connect(target: Identity, port: u16) -> Result<Connection, String> {
    let stream = loopback::connect(target, port).await?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, driver) = shaken.map_err(|error| error.to_string())?;
    tokio::spawn(driver);
    Ok(sender)
}

/// One request and its whole reply, whose body has no more than `most` bytes.
pub(super) async fn exchange(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: Bytes,
    most: usize,
) -> Result<(u16, Bytes), String> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    connection.ready().await.map_err(|error| chain(&error))?;
    let reply = connection.send_request(request).await.map_err(|error| chain(&error))?;
    let status = reply.status().as_u16();
    let body = Limited::new(reply.into_body(), most).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

/// An error with its causes: the outer one alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
