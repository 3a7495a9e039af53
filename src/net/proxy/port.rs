//! One address that the proxy answers: accept, choose an endpoint, carry bytes both ways.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::balance::Balancer;
use super::rotation::Rotation;
use super::table::Rule;
use crate::env::{Env, Task};

/// How much of each direction of a connection waits to be written.
const BUFFER: usize = 16 * 1024;
/// How many connections wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long the proxy takes a breath when the system gives it no more sockets.
const BREATH: Duration = Duration::from_millis(50);

/// What answers at an address, shared by its connections.
pub(super) struct Port {
    state: Mutex<State>,
}

struct State {
    rule: Arc<Rule>,
    balancer: Balancer,
    accepting: Option<Task<()>>,
}

/// What every port of a proxy has in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) rotation: Arc<Rotation>,
    pub(super) connect_timeout: Duration,
}

impl Port {
    pub(super) fn new(rule: Rule, turn: u64) -> Arc<Self> {
        let state = State { rule: Arc::new(rule), balancer: Balancer::starting_at(turn), accepting: None };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on, connections go by this rule.
    pub(super) fn set(&self, rule: Rule) {
        self.state().rule = Arc::new(rule);
    }

    pub(super) fn rule(&self) -> Arc<Rule> {
        Arc::clone(&self.state().rule)
    }

    pub(super) fn is_bound(&self) -> bool {
        self.state().accepting.is_some()
    }

    /// Begins to listen.
    pub(super) fn bind(self: &Arc<Self>, address: SocketAddr, shared: &Shared) -> io::Result<()> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of an earlier listener that are still being closed do not keep it from binding.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let accept = Arc::clone(self).accept(listener, shared.clone());
        self.state().accepting = Some(shared.env.tasks.spawn("service port", accept));
        Ok(())
    }

    /// Takes no new connections. Those that are established go on.
    pub(super) fn close(&self) {
        if let Some(task) = self.state().accepting.take() {
            task.abort();
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, shared: Shared) {
        loop {
            match listener.accept().await {
                Ok((client, from)) => {
                    let carry = Arc::clone(&self).carry(client, from.ip(), shared.clone());
                    shared.env.tasks.spawn("service connection", carry);
                }
                Err(error) => {
                    // The connection went before it was accepted, or the process is out of files:
                    // the next attempt tells.
                    tracing::debug!(%error, "cannot accept");
                    shared.env.clock.sleep(BREATH).await;
                }
            }
        }
    }

    async fn carry(self: Arc<Self>, mut client: TcpStream, from: IpAddr, shared: Shared) {
        let copied = match self.connect(from, &shared).await {
            Some(mut endpoint) => {
                // What is written is already in one piece: waiting for more only adds to latency.
                let _ = (client.set_nodelay(true), endpoint.set_nodelay(true));
                // Each direction ends by itself: one side may be done speaking while it listens on.
                tokio::io::copy_bidirectional_with_sizes(&mut client, &mut endpoint, BUFFER, BUFFER).await
            }
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        };
        if copied.is_err() {
            // An answer that was cut off must not look like one that has ended.
            let _ = client.set_zero_linger();
        }
    }

    /// A connection to the first endpoint that takes one.
    async fn connect(&self, from: IpAddr, shared: &Shared) -> Option<TcpStream> {
        loop {
            let (rule, order) = {
                let mut state = self.state();
                let rule = Arc::clone(&state.rule);
                let order = state.balancer.order(&rule, from, shared.env.clock.instant());
                (rule, order)
            };
            for endpoint in order {
                if let Some(stream) = self.reach(endpoint, shared).await {
                    self.state().balancer.connected(&rule, from, endpoint, shared.env.clock.instant());
                    return Some(stream);
                }
            }
            // Everybody whom the rule named may have left while they were tried; the rule that has
            // come since may name others.
            if Arc::ptr_eq(&rule, &self.rule()) {
                return None;
            }
        }
    }

    /// A connection to this endpoint, if it still stands and takes one.
    async fn reach(&self, endpoint: SocketAddr, shared: &Shared) -> Option<TcpStream> {
        let stands = || self.rule().endpoints.contains(&endpoint);
        let _attempt = shared.rotation.attempt(endpoint, stands)?;
        match shared.env.clock.timeout(shared.connect_timeout, TcpStream::connect(endpoint)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%endpoint, %error, "trying another endpoint"),
            Err(elapsed) => tracing::debug!(%endpoint, error = %elapsed, "trying another endpoint"),
        }
        None
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}
