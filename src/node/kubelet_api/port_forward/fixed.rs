//! One connection for each port that the request names, each on two channels of a WebSocket.
//!
//! Port number i of those asked for has channel 2i for data and 2i + 1 for errors. The first message
//! on each carries the port (little endian), so that the caller can check the mapping.

use std::pin::Pin;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};

use super::Pod;
use crate::client::wire::Query;
use crate::env::BoxIo;
use crate::node::kubelet_api::channels::{Form, split};
use crate::node::kubelet_api::upgrade::Socket;

/// The ports that are asked for, one at least.
pub(super) fn ports(query: &Query) -> Result<Vec<u16>, String> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports = query
        .all("port")
        .chain(query.all("ports"))
        .flat_map(|ports| ports.split(','))
        .map(|port| number(port).ok_or_else(|| format!("unable to parse {port:?} as a port")))
        .collect::<Result<Vec<_>, _>>()?;
    // Two channels a port, of the 255 that a byte names beside the one that closes.
    if ports.is_empty() || ports.len() > 127 {
        return Err("query parameter \"port\" is required".into());
    }
    Ok(ports)
}

pub(super) async fn serve(pod: &Pod, socket: Socket, form: Form, ports: &[u16]) {
    let (sender, mut receiver) = split(socket, form);
    for (channel, port) in (0u8..).step_by(2).zip(ports) {
        sender.send(channel, &port.to_le_bytes()).await;
        sender.send(channel + 1, &port.to_le_bytes()).await;
    }
    let mut writers: Vec<Option<WriteHalf<BoxIo>>> = Vec::new();
    let mut readers = Vec::new();
    for (channel, port) in (0u8..).step_by(2).zip(ports) {
        match pod.dial(*port).await {
            Ok(io) => {
                let (read, write): (ReadHalf<BoxIo>, _) = tokio::io::split(io);
                writers.push(Some(write));
                let sender = sender.clone();
                readers.push(async move { sender.copy(channel, Box::pin(read) as Pin<Box<_>>).await });
            }
            Err(why) => {
                writers.push(None);
                sender.send(channel + 1, why.as_bytes()).await;
            }
        }
    }
    let output = futures_util::future::join_all(readers);
    let input = async {
        while let Some((channel, bytes)) = receiver.receive().await {
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
        sender.close(&mut receiver, &pod.context.env.clock).await;
    }
}
