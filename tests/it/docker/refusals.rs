//! What an engine that is old, full, silent or gone comes to: a server of ours plays it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use keelhaul::{
    protocol::EngineOp,
    runtime::{Docker, Runtime, RuntimeError, VolumeSpec},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

/// A socket; it is gone with the directory.
fn socket() -> (TempDir, String, UnixListener) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("engine.sock").to_str().unwrap().to_owned();
    let listener = UnixListener::bind(&path).unwrap();
    (directory, path, listener)
}

/// An engine that gives one answer to everything.
fn engine(status: u16, body: &'static str) -> (TempDir, Docker) {
    let (directory, path, listener) = socket();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let docker = Docker::connect_socket(&path).unwrap();
    (directory, docker)
}

#[tokio::test]
async fn an_old_engine_is_named_as_such() {
    let (_directory, docker) = engine(200, r#"{"ApiVersion":"1.39","Version":"18.09"}"#);
    let error = docker.engine().await.unwrap_err();
    let expected = RuntimeError::TooOld { found: "`1.39`".to_owned(), needed: "1.40" };
    assert_eq!(error, expected);
    assert_eq!(docker.api_version().await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_full_disk_of_the_engine_is_named_as_such() {
    let (_directory, docker) =
        engine(500, r#"{"message":"mkdir /var/lib/docker/volumes/x: no space left on device"}"#);
    let volume = VolumeSpec {
        name: "x".to_owned(),
        driver: "local".to_owned(),
        options: std::collections::BTreeMap::new(),
        labels: std::collections::BTreeMap::new(),
    };
    let error = docker.create_volume(&volume).await.unwrap_err();
    let detail = "mkdir /var/lib/docker/volumes/x: no space left on device".to_owned();
    assert_eq!(error, RuntimeError::EngineDiskFull { detail });
}

#[tokio::test]
async fn a_refusal_keeps_the_engines_words() {
    let (_directory, docker) = engine(500, "not even JSON");
    let op = EngineOp::Pause { container: "web".to_owned() };
    let error = docker.perform(&op).await.unwrap_err();
    let doing = "pausing container `web`".to_owned();
    assert_eq!(error, RuntimeError::Refused { doing, detail: "not even JSON".to_owned() });
}

#[tokio::test]
async fn an_engine_that_hangs_up_is_no_success() {
    let (_directory, path, listener) = socket();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let docker = Docker::connect_socket(&path).unwrap();
    let error = docker.inspect("web").await.unwrap_err();
    assert!(matches!(error, RuntimeError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_engine_is_not_waited_for_for_ever() {
    let (_directory, path, _listener) = socket();
    let docker = Docker::connect_socket(&path).unwrap();
    let soon = Duration::from_millis(100);
    let error = docker.exec("x", &["y".to_owned()], soon).await.unwrap_err();
    let doing = "running `y` in container `x`".to_owned();
    assert_eq!(error, RuntimeError::Timeout { seconds: 1, doing });
}

#[tokio::test]
async fn a_socket_that_nobody_serves_means_no_engine() {
    let (_directory, path, listener) = socket();
    drop(listener);
    let docker = Docker::connect_socket(&path).unwrap();
    let error = docker.engine().await.unwrap_err();
    assert_eq!(error, RuntimeError::NoEngine { address: format!("unix://{path}") });
}
