//! A socket that answers as a test wants: refusals, and silence, that no real engine gives on
//! demand. It proves what we ask an engine for, never that a fault works.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::Docker;

/// What one request is answered with; none is never answered.
pub(crate) type Answer = Option<(u16, String)>;
type Script = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// The socket, and what was asked for at it: `GET /version`.
pub(crate) struct ScriptedEngine {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ScriptedEngine {
    /// Listens until the test's runtime ends. `script` sees method and path.
    pub(crate) fn start(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        let (script, asked): (Script, _) = (Arc::new(script), Arc::default());
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&heard)));
            }
        });
        Self { directory, asked }
    }

    pub(crate) fn socket(&self) -> String {
        self.directory.path().join("engine.sock").to_str().unwrap().to_owned()
    }

    pub(crate) fn client(&self) -> Docker {
        Docker::connect_socket(&self.socket()).unwrap()
    }

    /// Every request so far that contains this.
    pub(crate) fn asked(&self, part: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|line| line.contains(part)).cloned().collect()
    }
}

/// An answer of JSON.
#[expect(clippy::unnecessary_wraps, reason = "the shape of an answer")]
pub(crate) fn json(value: &serde_json::Value) -> Answer {
    Some((200, value.to_string()))
}

/// A refusal in the engine's words.
pub(crate) fn refuse(status: u16, words: &str) -> Answer {
    Some((status, serde_json::json!({ "message": words }).to_string()))
}

/// One request a connection: our client keeps none open.
async fn serve(mut stream: UnixStream, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    // `/v1.53/version`
    let versioned = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    let path = match versioned {
        Some((version, rest)) if version.contains('.') => rest,
        _ => path.trim_start_matches('/'),
    };
    let line = format!("{method} /{path}");
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    let Some((status, body)) = script(&line) else { return std::future::pending().await };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
