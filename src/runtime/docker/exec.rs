//! Running a program in a container: to its end, or as a partner that is spoken to.
//!
//! The engine cannot end such a program: after a timeout it may still run.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::TryStreamExt;

use super::{Attached, Docker, call::Call};
use crate::runtime::{ExecOutput, Result};

/// Bytes kept of each stream; the rest is read and dropped.
const KEPT: usize = 64 * 1024;
/// Between looks at a program whose output has ended.
const PAUSE: Duration = Duration::from_millis(10);

impl Docker {
    pub(super) async fn run_program(
        &self,
        container: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutput> {
        let call = self.exec_call(container, command).within(timeout);
        call.run(async {
            let id = self.new_exec(container, command, false).await?;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            if let StartExecResults::Attached { mut output, input: _input } =
                self.client.start_exec(&id, None::<StartExecOptions>).await?
            {
                while let Some(piece) = output.try_next().await? {
                    let kept = match piece {
                        LogOutput::StdErr { .. } => &mut stderr,
                        _ => &mut stdout,
                    };
                    let room = KEPT.saturating_sub(kept.len());
                    kept.extend(piece.into_bytes().iter().take(room));
                }
            }
            let exit_code = self.exec_code(&id).await?;
            Ok(ExecOutput { exit_code, stdout: text(&stdout), stderr: text(&stderr) })
        })
        .await
    }

    /// Starts a program in a container and leaves its streams to the caller. It sees the end of
    /// its input when `stdin` is shut down or dropped.
    ///
    /// # Errors
    /// When the container does not run, or the engine does not answer.
    pub async fn exec_stream(&self, container: &str, command: &[String]) -> Result<Attached> {
        let call = self.exec_call(container, command);
        let id = call.run(self.new_exec(container, command, true)).await?;
        match call.run(self.client.start_exec(&id, None::<StartExecOptions>)).await? {
            StartExecResults::Attached { output, input } => Ok(Attached::new(input, output)),
            StartExecResults::Detached => Err(call.refused("it did not attach")),
        }
    }

    fn exec_call<'a>(&self, container: &'a str, command: &[String]) -> Call<'a> {
        let program = command.first().map_or("", String::as_str);
        self.call(&format!("running `{program}` in"), "container", container)
    }

    async fn new_exec(
        &self,
        container: &str,
        command: &[String],
        stdin: bool,
    ) -> std::result::Result<String, bollard::errors::Error> {
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        Ok(self.client.create_exec(container, options).await?.id)
    }

    /// The exit code; the output's end may come a moment before it is known. The caller bounds
    /// the wait.
    async fn exec_code(&self, id: &str) -> std::result::Result<i64, bollard::errors::Error> {
        loop {
            let exec = self.client.inspect_exec(id).await?;
            if let (Some(code), Some(false)) = (exec.exit_code, exec.running) {
                return Ok(code);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
