//! Simulated containers on the network: the least HTTP that a probe or a client needs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::SimRuntime;
use super::container::Container;
use super::script::Served;
use crate::env::{BoxIo, Clock};
use crate::runtime::SandboxState;

/// A request's head may be as long as this.
const MAX_HEAD: usize = 16 * 1024;

impl SimRuntime {
    /// A connection to whatever listens at this address of one of the machine's sandboxes; `None`
    /// where nothing does, which a network makes "connection refused".
    ///
    /// What answers speaks HTTP/1.1: 200 with the container's name and id, or 503 while it is not
    /// ready.
    #[must_use]
    pub fn connect(&self, address: SocketAddr) -> Option<BoxIo> {
        let now = self.env().clock.instant();
        let (container, served) = {
            let tables = self.tables();
            if tables.down {
                return None;
            }
            let sandbox = tables.sandboxes.values().find(|sandbox| {
                sandbox.state == SandboxState::Ready && sandbox.addresses.contains(&address.ip())
            })?;
            tables.containers.values().filter(|container| container.sandbox == sandbox.id).find_map(
                |container| {
                    let age = container.age(now)?;
                    let listens =
                        |served: &&Served| served.port == address.port() && age >= served.open_after;
                    let served = container.script.served.iter().find(listens)?;
                    Some((Arc::clone(container), *served))
                },
            )?
        };
        let (near, far) = duplex(MAX_HEAD);
        let clock = self.env().clock.clone();
        self.env().tasks.spawn("simulated server", async move {
            crate::select! {
                () = container.ended() => {}
                () = answer(far, &container, served, &clock) => {}
            }
        });
        Some(Box::new(near))
    }
}

/// Answers one request after the other, until the caller closes.
async fn answer(mut io: DuplexStream, container: &Container, served: Served, clock: &Clock) {
    let mut read = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if read.len() >= MAX_HEAD || !matches!(io.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        };
        read.drain(..head);
        let ready = container.age(clock.instant()).is_some_and(|age| age >= served.ready_after);
        let status = if ready { "200 OK" } else { "503 Service Unavailable" };
        let body = format!("{} {}\n", container.config.name, container.id);
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if io.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
