//! `/exec` and `/attach`: streams of a command or a container, each on its channel.
//!
//! Channels: 0 standard input, 1 standard output, 2 standard error, 3 how it ended (a `Status`),
//! 4 the terminal's size. In `v5.channel.k8s.io` a message `[255, n]` closes channel n.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::channels::{Receiver, Sender, receive, upgrade};
use super::{Answer, Refusal, declares, running};
use crate::client::wire::Query;
use crate::node::context::{Context, View};
use crate::runtime::{ContainerId, ExecRequest, ExecSession, LogOptions, LogStreamKind};

const SPEAKS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ENDED: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

pub(super) async fn exec(
    context: &Arc<Context>,
    view: &View,
    container: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let id = target(view, container)?;
    let Some(exec) = context.runtime.exec() else {
        let why = "the container runtime cannot run commands in containers";
        return Err(Refusal(StatusCode::NOT_IMPLEMENTED, why.into()));
    };
    let wanted = ExecRequest {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("input"),
        stdout: query.flag("output"),
        stderr: query.flag("error") && !query.flag("tty"),
        tty: query.flag("tty"),
    };
    if wanted.command.is_empty() {
        return Err(Refusal(StatusCode::BAD_REQUEST, "you must specify at least one command".into()));
    }
    // A command that cannot be run is told on its channel, as by a kubelet: the socket stands first.
    let started = exec.exec(&id, wanted).await;
    let clock = context.env.clock.clone();
    upgrade(&context.env.tasks, request, &SPEAKS, None, move |socket, _| async move {
        let (sender, mut receiver) = Sender::split(socket);
        let status = match started {
            Ok(session) => stream(&sender, &mut receiver, session).await,
            Err(error) => Some(failed(&error.to_string())),
        };
        if let Some(status) = status {
            sender.send(ENDED, &status).await;
            sender.close(&mut receiver, &clock).await;
        }
    })
}

fn target(view: &View, container: &str) -> Result<ContainerId, Refusal> {
    let pod = view.pod.metadata.name.as_deref().unwrap_or_default();
    if !declares(view, container) {
        let why = format!("container {container:?} not found in pod {pod:?}");
        return Err(Refusal(StatusCode::NOT_FOUND, why));
    }
    running(view, container)
}

/// Carries a session until its command has ended and all of its output is sent: answers how it
/// ended. Or until the other side is gone: then the session is dropped, its command ends, and there
/// is nobody to tell.
async fn stream(sender: &Sender, receiver: &mut Receiver, session: ExecSession) -> Option<Vec<u8>> {
    // An empty message tells the caller that the streams stand.
    sender.send(if session.stdout.is_some() { STDOUT } else { ENDED }, &[]).await;
    let ExecSession { stdin, stdout, stderr, resize, exit } = session;
    let output = async {
        let copy = |channel, from: Option<_>| {
            let sender = sender.clone();
            async move {
                if let Some(from) = from {
                    sender.copy(channel, from).await;
                }
            }
        };
        let ((), (), exit) = futures_util::join!(copy(STDOUT, stdout), copy(STDERR, stderr), exit);
        exit
    };
    let input = input(receiver, stdin, resize);
    crate::select! {
        exit = output => Some(match exit {
            Ok(0) => succeeded(),
            Ok(code) => exited(code),
            Err(error) => failed(&error.to_string()),
        }),
        () = input => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// Passes on what the caller sends, until the caller is gone.
async fn input(
    receiver: &mut Receiver,
    mut stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    resize: Option<Box<dyn Fn(u16, u16) + Send + Sync>>,
) {
    while let Some((channel, bytes)) = receive(receiver).await {
        match (channel, &*bytes) {
            (STDIN, bytes) => {
                let Some(open) = &mut stdin else { continue };
                if open.write_all(bytes).await.is_err() || open.flush().await.is_err() {
                    stdin = None;
                }
            }
            (CLOSE, [STDIN]) => {
                if let Some(mut open) = stdin.take() {
                    // A command that has closed its end wants no word of it.
                    let _ = open.shutdown().await;
                }
            }
            (RESIZE, bytes) => {
                if let (Some(resize), Ok(size)) = (&resize, serde_json::from_slice::<Size>(bytes)) {
                    resize(size.width, size.height);
                }
            }
            _ => {}
        }
    }
}

/// `/attach`: what a container prints from now on. Nothing can be typed into a container that was
/// not made by the one who attaches.
pub(super) async fn attach(
    context: &Arc<Context>,
    view: &View,
    container: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let id = target(view, container)?;
    let refuse = |why: &str| Refusal(StatusCode::NOT_IMPLEMENTED, why.to_owned());
    if query.flag("input") {
        return Err(refuse("attaching to standard input is not supported by this node agent"));
    }
    let logs = context.runtime.logs().ok_or_else(|| refuse("the container runtime keeps no logs"))?;
    let options = LogOptions { follow: true, tail_lines: Some(0), since: None };
    let lines = logs.logs(&id, options).await;
    let mut lines = lines.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let clock = context.env.clock.clone();
    let (stdout, stderr) = (query.flag("output"), query.flag("error") && !query.flag("tty"));
    upgrade(&context.env.tasks, request, &SPEAKS, None, move |socket, _| async move {
        let (sender, mut receiver) = Sender::split(socket);
        sender.send(if stdout { STDOUT } else { ENDED }, &[]).await;
        let output = async {
            while let Some(Ok(line)) = lines.next().await {
                let (wanted, channel) = match line.stream {
                    LogStreamKind::Stdout => (stdout, STDOUT),
                    LogStreamKind::Stderr => (stderr, STDERR),
                };
                if wanted && !sender.send(channel, &line.line).await {
                    return;
                }
            }
        };
        let gone = async { while receive(&mut receiver).await.is_some() {} };
        let ended = crate::select! {
            () = output => true,
            () = gone => false,
        };
        if ended {
            sender.send(ENDED, &succeeded()).await;
            sender.close(&mut receiver, &clock).await;
        }
    })
}

fn succeeded() -> Vec<u8> {
    json!({"metadata": {}, "status": "Success"}).to_string().into_bytes()
}

fn exited(code: i32) -> Vec<u8> {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
    .to_string()
    .into_bytes()
}

fn failed(why: &str) -> Vec<u8> {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: error executing command in container: {why}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": format!("error executing command in container: {why}")}]},
        "code": 500,
    })
    .to_string()
    .into_bytes()
}
