//! `/exec`: a command in a container that runs.

use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::channels::CHUNK;
use super::remote::{Ending, Input, Output, SPEAKS, Said, Std, Wanted, open};
use super::upgrade::upgrade;
use super::{Answer, Refusal, target};
use crate::client::wire::Query;
use crate::node::context::{Context, View};
use crate::runtime::{ExecRequest, ExecSession};

pub(super) async fn serve(
    context: &Arc<Context>,
    view: &View,
    container: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let id = target(view, container)?;
    let wanted = Wanted::of(query)?;
    let Some(exec) = context.runtime.exec() else {
        let why = "the container runtime cannot run commands in containers";
        return Err(Refusal(StatusCode::NOT_IMPLEMENTED, why.into()));
    };
    let Wanted { stdin, stdout, stderr, tty } = wanted;
    let command: Vec<_> = query.all("command").map(str::to_owned).collect();
    if command.is_empty() {
        return Err(Refusal(StatusCode::BAD_REQUEST, "you must specify at least one command".into()));
    }
    // A command that cannot be run is told on its channel, as by a kubelet: the connection stands first.
    let started = exec.exec(&id, ExecRequest { command, stdin, stdout, stderr, tty }).await;
    let clock = context.env.clock.clone();
    upgrade(&context.env, request, &SPEAKS, move |spoken, protocol| async move {
        let Some((output, mut input)) = open(spoken, protocol, wanted, &clock).await else { return };
        let ending = match started {
            Ok(session) => carry(&output, &mut input, session).await,
            Err(error) => Some(Ending::Failed(error.to_string())),
        };
        if let Some(ending) = ending {
            output.end(&mut input, &ending, &clock).await;
        }
    })
}

/// Carries a session until its command has ended and all of its output is sent: answers how it
/// ended. Or until the other side is gone: then the session is dropped, its command ends, and there
/// is nobody to tell.
async fn carry(output: &Output, input: &mut Input, session: ExecSession) -> Option<Ending> {
    let ExecSession { stdin, stdout, stderr, resize, exit } = session;
    let sent = async {
        let ((), (), exit) =
            futures_util::join!(copy(output, Std::Out, stdout), copy(output, Std::Err, stderr), exit);
        exit
    };
    crate::select! {
        exit = sent => Some(match exit {
            Ok(code) => Ending::Exited(code),
            Err(error) => Ending::Failed(error.to_string()),
        }),
        () = take(input, stdin, resize.as_deref()) => None,
    }
}

async fn copy(output: &Output, std: Std, from: Option<Pin<Box<dyn AsyncRead + Send>>>) {
    let Some(mut from) = from else { return };
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        if !output.send(std, buffer.split().freeze()).await {
            return;
        }
        buffer.reserve(CHUNK);
    }
}

/// Passes on what the caller says, until the caller is gone.
pub(super) async fn take(
    input: &mut Input,
    mut stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    resize: Option<&(dyn Fn(u16, u16) + Send + Sync)>,
) {
    while let Some(said) = input.next().await {
        match said {
            Said::Stdin(bytes) => {
                let Some(open) = &mut stdin else { continue };
                if open.write_all(&bytes).await.is_err() || open.flush().await.is_err() {
                    stdin = None;
                }
            }
            Said::StdinEnds => {
                if let Some(mut open) = stdin.take() {
                    // A command that has closed its end wants no word of it.
                    let _ = open.shutdown().await;
                }
            }
            Said::Size(columns, rows) => {
                if let Some(resize) = resize {
                    resize(columns, rows);
                }
            }
        }
    }
}
