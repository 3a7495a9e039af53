//! `/portForward`: connections to ports of a pod.
//!
//! With SPDY, plain or inside a WebSocket, the caller opens two streams for each connection, one for its
//! data and one for what went wrong; that they belong together is told by a request's id. With channels of
//! a WebSocket there is one connection for each port that the request names: see [`fixed`].
//!
//! Source: `k8s.io/cri-streaming/pkg/streaming/portforward` (1.36).

mod fixed;
mod pairs;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::channels::{CHUNK, Form};
use super::upgrade::{Speaks, Spoken, carries_spdy, upgrade};
use super::{Answer, Refusal};
use crate::client::wire::Query;
use crate::client::wire::spdy::{Connection, Gone, Stream};
use crate::env::BoxIo;
use crate::node::context::{Context, View};
use pairs::{Pair, Pairs};

const SPEAKS: Speaks = Speaks {
    websocket: &["SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"],
    unnamed: Some("v4.channel.k8s.io"),
    spdy: &["portforward.k8s.io"],
};

/// The pod that connections are forwarded to.
struct Pod {
    context: Arc<Context>,
    name: String,
    uid: String,
    address: IpAddr,
}

pub(super) fn serve(
    context: &Arc<Context>,
    view: &View,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
    let ports =
        if carries_spdy(request.headers()) { Vec::new() } else { fixed::ports(query).map_err(refuse)? };
    let address = view.status.pod_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let Some(address) = address.filter(|_| view.status.phase.as_deref() == Some("Running")) else {
        let phase = view.status.phase.as_deref().unwrap_or("Unknown");
        return Err(refuse(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    };
    let metadata = &view.pod.metadata;
    let pod = Pod {
        context: context.clone(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        address,
    };
    upgrade(&context.env, request, &SPEAKS, move |spoken, protocol| async move {
        match spoken {
            Spoken::Spdy(connection) => pod.serve(connection).await,
            Spoken::WebSocket(socket) => fixed::serve(&pod, *socket, Form::of(protocol), &ports).await,
        }
    })
}

impl Pod {
    async fn dial(&self, port: u16) -> Result<BoxIo, String> {
        let target = SocketAddr::new(self.address, port);
        self.context.network.dial(target).await.map_err(|error| {
            let Self { name, uid, .. } = self;
            format!(
                "error forwarding port {port} to pod {name}, uid {uid}: failed to connect to {target}: {error}"
            )
        })
    }

    /// Forwards as many connections as the caller opens, until it is gone.
    async fn serve(&self, mut connection: Connection) {
        let clock = &self.context.env.clock;
        let mut pairs = Pairs::default();
        let mut forwards = FuturesUnordered::new();
        loop {
            crate::select! {
                stream = connection.accept() => {
                    let Some(stream) = stream else { return };
                    match pairs.take(stream, clock.instant()).await {
                        Ok(Some(pair)) => forwards.push(self.forward(pair)),
                        Ok(None) => {}
                        Err(Gone) => return,
                    }
                }
                Some(()) = forwards.next() => {}
                late = pairs.late(clock) => late.refuse("timed out waiting for streams").await,
            }
        }
    }

    /// Carries one connection until both sides have finished, or one of them is gone.
    async fn forward(&self, Pair { port, data, error }: Pair) {
        let Stream { mut incoming, outgoing, .. } = data;
        // A caller that is gone wants no word of anything.
        match self.dial(port).await {
            Err(why) => {
                let _ = error.outgoing.write(why.into()).await;
                outgoing.reset().await;
            }
            Ok(io) => {
                let (mut read, mut write) = tokio::io::split(io);
                let to_pod = async {
                    let mut listens = true;
                    while let Some(bytes) = incoming.read().await {
                        // What a pod does not want is read nevertheless: it would hold up the others.
                        listens =
                            listens && write.write_all(&bytes).await.is_ok() && write.flush().await.is_ok();
                    }
                    if incoming.is_over() {
                        return Err(Gone);
                    }
                    let _ = write.shutdown().await;
                    Ok(())
                };
                let from_pod = async {
                    let mut buffer = BytesMut::with_capacity(CHUNK);
                    while let Ok(1..) = read.read_buf(&mut buffer).await {
                        outgoing.write(buffer.split().freeze()).await?;
                        buffer.reserve(CHUNK);
                    }
                    outgoing.finish().await
                };
                let _ = futures_util::future::try_join(to_pod, from_pod).await;
            }
        }
        let _ = error.outgoing.finish().await;
    }
}
