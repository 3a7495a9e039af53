//! Commands in containers: more processes of the container's group, in its directory and with its
//! environment.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

use super::ProcessRuntime;
use super::container::exit_code;
use crate::runtime::{ContainerId, Error, Exec, ExecOutcome, ExecRequest, ExecSession, Result};

/// As much as is kept of what a command prints, as containerd does.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// How long output may take to arrive once the command has ended: something that it has left
/// behind may hold its streams open for ever.
const DRAIN: Duration = Duration::from_secs(1);

#[async_trait]
impl Exec for ProcessRuntime {
    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Option<Duration>,
    ) -> Result<ExecOutcome> {
        let mut child = self.spawn_exec(id, command, |command| {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        })?;
        let clock = self.env().clock.clone();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let run = async {
            let (from_stdout, from_stderr) = (child.stdout.take(), child.stderr.take());
            let mut output = std::pin::pin!(futures_util::future::join(
                collect(from_stdout, &mut stdout),
                collect(from_stderr, &mut stderr),
            ));
            let mut printing = true;
            let status = loop {
                crate::select! {
                    status = child.wait() => break status,
                    _ = &mut output, if printing => printing = false,
                }
            };
            if printing {
                let _late = clock.timeout(DRAIN, output).await;
            }
            status
        };
        let status = match timeout {
            Some(limit) => clock.timeout(limit, run).await.map_err(|_elapsed| Error::Timeout)?,
            None => run.await,
        };
        let exit_code = exit_code(status.map_err(failed)?);
        Ok(ExecOutcome { exit_code, stdout: Bytes::from(stdout), stderr: Bytes::from(stderr) })
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecSession> {
        if request.tty {
            return Err(Error::Failed {
                operation: "exec",
                source: "containers that are host processes have no terminals: ask for none".into(),
            });
        }
        let pipe = |wanted| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut child = self.spawn_exec(id, &request.command, |command| {
            command.stdin(pipe(request.stdin)).stdout(pipe(request.stdout)).stderr(pipe(request.stderr));
        })?;
        Ok(ExecSession {
            stdin: child.stdin.take().map(|stream| Box::pin(stream) as _),
            stdout: child.stdout.take().map(|stream| Box::pin(stream) as _),
            stderr: child.stderr.take().map(|stream| Box::pin(stream) as _),
            resize: None,
            // It owns the child, so that dropping it kills the command.
            exit: Box::pin(async move { child.wait().await.map(exit_code).map_err(failed) }),
        })
    }
}

impl ProcessRuntime {
    fn spawn_exec(
        &self,
        id: &ContainerId,
        command: &[String],
        streams: impl FnOnce(&mut std::process::Command),
    ) -> Result<Child> {
        let container = self.find(id)?;
        let mut prepared = container.launch.with_command(command)?.command()?;
        streams(&mut prepared);
        let spawned = container.group.join(prepared).map_err(|error| Error::CannotRun {
            why: format!("exec: {:?}: {error}", command.first().map_or("", String::as_str)),
        })?;
        spawned.ok_or_else(|| Error::WrongState { what: "container", id: id.0.clone(), state: "not running" })
    }
}

async fn collect(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        // What is too much is read and forgotten, so that the command does not stand still.
        let room = MAX_OUTPUT.saturating_sub(into.len());
        into.extend_from_slice(&chunk[..read.min(room)]);
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Failed { operation: "exec", source: source.into() }
}
