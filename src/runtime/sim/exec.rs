//! Commands in simulated containers: answers from the script.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;

use super::SimRuntime;
use super::container::Container;
use super::script::Answer;
use crate::env::Task;
use crate::runtime::{
    ContainerId, ContainerState, Error, Exec, ExecOutcome, ExecRequest, ExecSession, Result,
};

/// How much of a stream waits to be read.
const PIPE: usize = 64 * 1024;

#[async_trait]
impl Exec for SimRuntime {
    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Option<Duration>,
    ) -> Result<ExecOutcome> {
        let (container, answer) = self.answer(id, command)?;
        let run = async {
            self.env().clock.sleep(answer.after.draw(self.chance())).await;
            still_running(&container)
        };
        match timeout {
            Some(limit) => {
                self.env().clock.timeout(limit, run).await.map_err(|_elapsed| Error::Timeout)??
            }
            None => run.await?,
        }
        Ok(ExecOutcome { exit_code: answer.code, stdout: answer.stdout, stderr: answer.stderr })
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecSession> {
        let (container, answer) = self.answer(id, &request.command)?;
        let takes = answer.after.draw(self.chance());
        let clock = self.env().clock.clone();
        let (stdin, from) = pipe(request.stdin);
        let (stdout, out) = pipe(request.stdout);
        let (stderr, err) = pipe(request.stderr);
        let (done, exit) = oneshot::channel();
        let task = self.env().tasks.spawn("simulated command", async move {
            let play = async {
                clock.sleep(takes).await;
                let (mut out, mut err) = (out, err);
                // A reader that has gone away takes nothing from the command's end.
                if let Some(out) = &mut out {
                    let _ = out.write_all(&answer.stdout).await;
                }
                if let Some(err) = &mut err {
                    let _ = err.write_all(&answer.stderr).await;
                }
                if let (true, Some(mut from)) = (answer.echo, from) {
                    let mut chunk = vec![0; 4096];
                    while let Ok(read @ 1..) = from.read(&mut chunk).await {
                        if let Some(out) = &mut out {
                            let _ = out.write_all(&chunk[..read]).await;
                        }
                    }
                }
            };
            let code = crate::select! {
                () = container.ended() => 137,
                () = play => answer.code,
            };
            let _ = done.send(code);
        });
        let exit = Exit { task, exit };
        Ok(ExecSession {
            stdin: stdin.map(|stream| Box::pin(stream) as _),
            stdout: stdout.map(|stream| Box::pin(stream) as _),
            stderr: stderr.map(|stream| Box::pin(stream) as _),
            resize: request.tty.then(|| Box::new(|_columns, _rows| {}) as _),
            exit: Box::pin(exit),
        })
    }
}

impl SimRuntime {
    fn answer(&self, id: &ContainerId, command: &[String]) -> Result<(Arc<Container>, Answer)> {
        let container = self.find("exec", id)?;
        still_running(&container)?;
        let Some(program) = command.first() else {
            return Err(Error::CannotRun { why: "no command specified".into() });
        };
        let answer = container.script.answers.get(command).cloned().unwrap_or_else(|| Answer {
            code: 127,
            stderr: Bytes::from(format!("{program}: not found\n")),
            ..Answer::default()
        });
        Ok((container, answer))
    }
}

fn still_running(container: &Container) -> Result<()> {
    match container.state().shown {
        ContainerState::Running { .. } => Ok(()),
        _ => Err(Error::WrongState { what: "container", id: container.id.0.clone(), state: "not running" }),
    }
}

/// Two ends of a pipe, where one is wanted.
fn pipe(wanted: bool) -> (Option<DuplexStream>, Option<DuplexStream>) {
    if wanted {
        let (near, far) = duplex(PIPE);
        (Some(near), Some(far))
    } else {
        (None, None)
    }
}

/// The exit code to come. Dropping it ends the command.
struct Exit {
    task: Task<()>,
    exit: oneshot::Receiver<i32>,
}

impl std::future::Future for Exit {
    type Output = Result<i32>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<i32>> {
        Pin::new(&mut self.exit).poll(context).map(|code| {
            code.map_err(|_gone| Error::Failed { operation: "exec", source: "the machine went down".into() })
        })
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.task.abort();
    }
}
