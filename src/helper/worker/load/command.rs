//! Records through a program in the container that speaks the line protocol.
//!
//! `PUT key record` is answered by `ACK key` or `ERR key reason`; `READ` by every record, a line
//! each, then `END`. The program runs without a shell, started by the engine over its local socket.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};

use super::{
    driver::Target,
    kept::Kept,
    way::{LARGEST, Put, too_large},
};
use crate::runtime::{Attached, Docker, ENGINE_SOCKET, Output};

/// How long the program may take to start.
const START: Duration = Duration::from_secs(10);

/// One writer's program.
#[derive(Debug)]
pub(super) struct CommandWay {
    target: Arc<Target>,
    command: Vec<String>,
    kept: Kept<Program>,
}

/// A program that runs.
struct Program {
    input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>,
    output: BufReader<Output>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

impl CommandWay {
    pub(super) fn new(target: Arc<Target>, command: &[String]) -> Self {
        Self { target, command: command.to_vec(), kept: Kept::none() }
    }

    pub(super) async fn put(&mut self, key: &str, line: &str, within: Duration) -> Put {
        let (generation, mut program) = match self.program().await {
            Ok(open) => open,
            // nothing has left
            Err(reason) => return Put::Failed(reason),
        };
        match timeout(within, program.put(key, line)).await {
            Err(_) => Put::Indeterminate(format!("no answer within {} ms", within.as_millis())),
            Ok(Err(reason)) => Put::Indeterminate(reason),
            Ok(Ok(put)) => {
                self.kept.keep(generation, program);
                put
            }
        }
    }

    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (_, mut program) = self.program().await?;
        program.say("READ\n").await?;
        let mut bytes = Vec::new();
        loop {
            let line = program.line().await?;
            if line == b"END\n" {
                return Ok(bytes);
            }
            if bytes.len() + line.len() > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&line);
        }
    }

    /// The program that runs, unless the container is another one now.
    async fn program(&mut self) -> Result<(u64, Program), String> {
        let generation = self.target.generation();
        match self.kept.take(generation) {
            Some(program) => Ok((generation, program)),
            None => Ok((generation, self.start().await?)),
        }
    }

    async fn start(&mut self) -> Result<Program, String> {
        let socket = std::env::var(ENGINE_SOCKET)
            .map_err(|_| "the helper has no engine socket to run programs by".to_owned())?;
        let docker = Docker::connect_socket(&socket).map_err(|error| error.to_string())?;
        let container = self.target.container();
        let started = timeout(START, docker.exec_stream(&container, &self.command)).await;
        let started = started.map_err(|_| "the program does not start".to_owned())?;
        let Attached { stdin, stdout, .. } = started.map_err(|error| error.to_string())?;
        Ok(Program { input: stdin, output: BufReader::new(stdout) })
    }
}

impl Program {
    async fn say(&mut self, text: &str) -> Result<(), String> {
        let ended = |error: std::io::Error| format!("the program takes no input: {error}");
        self.input.write_all(text.as_bytes()).await.map_err(ended)?;
        self.input.flush().await.map_err(ended)
    }

    async fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        match self.output.read_until(b'\n', &mut line).await {
            Ok(_) if line.last() == Some(&b'\n') => Ok(line),
            Ok(_) => Err("the program ended".into()),
            Err(error) => Err(format!("the program's output: {error}")),
        }
    }

    async fn put(&mut self, key: &str, line: &str) -> Result<Put, String> {
        self.say(&format!("PUT {key} {line}\n")).await?;
        let answer = self.line().await?;
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer.trim_end();
        let mut words = answer.splitn(3, ' ');
        match (words.next(), words.next()) {
            (Some("ACK"), Some(of)) if of == key => Ok(Put::Acknowledged),
            (Some("ERR"), Some(of)) if of == key => {
                Ok(Put::Failed(words.next().unwrap_or("refused").to_owned()))
            }
            _ => Err(format!("the program answered `{answer}` to PUT {key}")),
        }
    }
}
