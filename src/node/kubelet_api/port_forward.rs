//! `/portForward`: connections to ports of a pod, each on two channels.
//!
//! Port number i of those asked for has channel 2i for data and 2i + 1 for errors. The first message
//! on each carries the port (little endian), so that the caller can check the mapping.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};

use super::channels::{Sender, Socket, receive, upgrade};
use super::{Answer, Refusal};
use crate::client::wire::Query;
use crate::env::BoxIo;
use crate::node::context::{Context, View};

const SPEAKS: [&str; 2] = ["v4.portforward.k8s.io", "portforward.k8s.io"];

pub(super) fn serve(
    context: &Arc<Context>,
    view: &View,
    query: &Query,
    request: Request<Incoming>,
) -> Answer {
    let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports = query
        .all("port")
        .chain(query.all("ports"))
        .flat_map(|ports| ports.split(','))
        .map(|port| number(port).ok_or_else(|| refuse(format!("unable to parse {port:?} as a port"))))
        .collect::<Result<Vec<_>, _>>()?;
    // Two channels a port, of the 255 that a byte names beside the one that closes.
    if ports.is_empty() || ports.len() > 127 {
        return Err(refuse("query parameter \"port\" is required".into()));
    }
    let address = view.status.pod_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let Some(address) = address.filter(|_| view.status.phase.as_deref() == Some("Running")) else {
        let phase = view.status.phase.as_deref().unwrap_or("Unknown");
        return Err(refuse(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    };
    let context = context.clone();
    upgrade(&context.env.tasks.clone(), request, &SPEAKS, Some(SPEAKS[0]), move |socket, _| {
        forward(context, socket, address, ports)
    })
}

async fn forward(context: Arc<Context>, socket: Socket, address: IpAddr, ports: Vec<u16>) {
    let (sender, mut receiver) = Sender::split(socket);
    for (channel, port) in (0u8..).step_by(2).zip(&ports) {
        sender.send(channel, &port.to_le_bytes()).await;
        sender.send(channel + 1, &port.to_le_bytes()).await;
    }
    let mut writers: Vec<Option<WriteHalf<BoxIo>>> = Vec::new();
    let mut readers = Vec::new();
    for (channel, port) in (0u8..).step_by(2).zip(&ports) {
        let target = SocketAddr::new(address, *port);
        match context.network.dial(target).await {
            Ok(io) => {
                let (read, write): (ReadHalf<BoxIo>, _) = tokio::io::split(io);
                writers.push(Some(write));
                let sender = sender.clone();
                readers.push(async move { sender.copy(channel, Box::pin(read) as Pin<Box<_>>).await });
            }
            Err(error) => {
                writers.push(None);
                let why =
                    format!("error forwarding port {port} to pod: failed to connect to {target}: {error}");
                sender.send(channel + 1, why.as_bytes()).await;
            }
        }
    }
    let output = futures_util::future::join_all(readers);
    let input = async {
        while let Some((channel, bytes)) = receive(&mut receiver).await {
            let slot = writers.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0);
            let Some(Some(open)) = slot else { continue };
            if open.write_all(&bytes).await.is_err() || open.flush().await.is_err() {
                writers[usize::from(channel / 2)] = None;
            }
        }
    };
    // Whichever side ends first ends the connection: there is no half of it.
    let ended = crate::select! {
        _ = output => true,
        () = input => false,
    };
    if ended {
        sender.close(&mut receiver, &context.env.clock).await;
    }
}
