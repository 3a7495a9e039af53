//! A store behind etcd's gRPC API: `etcd_server --listen 127.0.0.1:2379 --store memory`.
//!
//! etcdctl, client libraries and kube-apiserver work on it as on an etcd of one member.

#[path = "support/store.rs"]
mod store;

use std::error::Error;
use std::net::SocketAddr;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use windlass::env::Env;
use windlass::store::HistoryFull;
use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};

/// A server allocates in one thread and frees in another, by the batch; this allocator is good at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A store behind etcd's gRPC API.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:2379")]
    listen: SocketAddr,
    /// What to serve: memory, memory:SIZE, disk:DIR, or etcd:URL,URL with the feature etcd.
    #[arg(long, default_value = "memory")]
    store: store::StoreArg,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let env = Env::system();
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(arguments.listen).await?;
    // As etcd does: history is its clients' to compact.
    let store = arguments.store.open(HistoryFull::NoSpace).await?;
    let server = EtcdServer::start(&env, store, listener, EtcdServerOptions::default())?;
    println!("serving etcd's API on {}", server.address());
    windlass::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    server.shutdown().await;
    env.tasks.shutdown().await;
    Ok(())
}
