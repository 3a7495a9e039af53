//! `/attach`: what a container prints from now on, and what is typed into it.

use std::sync::Arc;

use futures_util::StreamExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::exec::take;
use super::remote::{Ending, SPEAKS, Std, Wanted, open};
use super::upgrade::upgrade;
use super::{Answer, Refusal, target};
use crate::client::wire::Query;
use crate::node::context::{Context, View};
use crate::runtime::{LogOptions, LogStreamKind};

pub(super) async fn serve(
    context: &Arc<Context>,
    view: &View,
    container: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let id = target(view, container)?;
    let wanted = Wanted::of(query)?;
    let refuse = |why: &str| Refusal(StatusCode::NOT_IMPLEMENTED, why.to_owned());
    let failed = |error: crate::runtime::Error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let stdin = if wanted.stdin {
        let attach = context.runtime.attach();
        let attach =
            attach.ok_or_else(|| refuse("the container runtime lets nobody type into containers"))?;
        Some(attach.stdin(&id).await.map_err(failed)?)
    } else {
        None
    };
    let logs = context.runtime.logs().ok_or_else(|| refuse("the container runtime keeps no logs"))?;
    let options = LogOptions { follow: true, tail_lines: Some(0), since: None };
    let mut lines = logs.logs(&id, options).await.map_err(failed)?;
    let clock = context.env.clock.clone();
    upgrade(&context.env, request, &SPEAKS, move |spoken, protocol| async move {
        let Some((output, mut input)) = open(spoken, protocol, wanted, &clock).await else { return };
        let printed = async {
            while let Some(Ok(line)) = lines.next().await {
                let (wanted, std) = match line.stream {
                    LogStreamKind::Stdout => (wanted.stdout, Std::Out),
                    LogStreamKind::Stderr => (wanted.stderr, Std::Err),
                };
                if wanted && !output.send(std, line.line).await {
                    return;
                }
            }
        };
        let ended = crate::select! {
            () = printed => true,
            () = take(&mut input, stdin, None) => false,
        };
        if ended {
            output.end(&mut input, &Ending::Exited(0), &clock).await;
        }
    })
}
