//! An API server by itself: `apiserver --listen 127.0.0.1:6443 --store memory --kubeconfig FILE`.
//!
//! No controller, no scheduler and no node is there: what is stored stays as it is until somebody else, in
//! another process, does something about it.

#[path = "support/private.rs"]
mod private;
#[path = "support/store.rs"]
mod store;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use windlass::client::Identity;
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::server::https::{Certificates, HttpsOptions, HttpsServer, Tokens};
use windlass::store::HistoryFull;

/// A server allocates in one thread and frees in another, by the batch; this allocator is good at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An API server by itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to serve HTTPS; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Where objects are kept: memory, memory:SIZE, disk:DIR, or etcd:URL,URL with the feature etcd.
    #[arg(long, default_value = "memory")]
    store: store::StoreArg,
    /// Where to write a kubeconfig with the administrator's client certificate.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Also let this bearer token be the administrator, for tools that carry no certificate.
    #[arg(long)]
    admin_token: Option<String>,
    /// For how many seconds to go on, and say that the server is not ready, once it is told to end.
    #[arg(long, default_value_t = 0)]
    shutdown_delay_seconds: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let env = Env::system();
    let store = arguments.store.open(HistoryFull::Compact).await?;
    let server = ApiServer::builder().store(store).env(env.clone()).build().await?;

    let host = arguments.listen.ip().to_string();
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", &host];
    let certificates = Certificates::generate(&names, &env.clock)?;
    let tokens = Tokens::new();
    if let Some(token) = arguments.admin_token {
        tokens.insert(token, Identity::admin());
    }
    let options = HttpsOptions::new(certificates.server_config()?)
        .authenticator(tokens)
        .shutdown_delay(Duration::from_secs(arguments.shutdown_delay_seconds));
    let listener = TcpListener::bind(arguments.listen).await?;
    let https = HttpsServer::start(&server, listener, options)?;
    let url = format!("https://{}", https.address());
    if let Some(path) = &arguments.kubeconfig {
        let kubeconfig = certificates.admin_kubeconfig(&url)?.to_yaml()?;
        private::write_private(path, &kubeconfig).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!("listening on {url}");
    windlass::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("shutting down");
    https.shutdown().await;
    server.shutdown().await;
    env.tasks.shutdown().await;
    Ok(())
}
