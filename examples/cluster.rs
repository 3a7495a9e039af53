//! A cluster that stays up, for kubectl and whatever else speaks to Kubernetes.

#[path = "support/private.rs"]
mod private;
mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use windlass::client::Identity;
use windlass::cluster::{Cluster, Processes, Simulated};
use windlass::server::https::Tokens;
use windlass::store::HistoryFull;

use support::store::StoreArg;
use support::web;

/// A cluster that stays up until SIGINT or SIGTERM.
#[derive(Parser)]
struct Args {
    /// Where to serve HTTPS; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Where to write a kubeconfig with the administrator's client certificate.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Also let this bearer token be the administrator, for tools that carry no certificate.
    #[arg(long)]
    admin_token: Option<String>,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// What runs the containers.
    #[arg(long, value_enum, default_value_t = Runtime::Process)]
    runtime: Runtime,
    /// Where objects are kept: memory, or memory:SIZE with a budget for its history.
    #[arg(long, default_value = "memory")]
    store: StoreArg,
    #[command(subcommand)]
    program: Option<Program>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Runtime {
    /// Containers are processes of this machine: an image is a path, `host` (with a command), or
    /// one of the images of the example manifests.
    Process,
    /// Containers are simulated: any image runs, nothing happens in it.
    Sim,
}

/// What the pods of the example manifests run.
#[derive(clap::Subcommand)]
enum Program {
    /// Be the web server that the pods run.
    #[command(hide = true)]
    Serve,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    let done = match args.program {
        Some(Program::Serve) => web::serve().await.map_err(Into::into),
        None => Box::pin(stay_up(args)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stay_up(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let store = args.store.open(HistoryFull::Compact).await?;
    let builder = Cluster::builder().nodes(args.nodes).store(store);
    let cluster = match args.runtime {
        Runtime::Process => builder.machines(Processes::claim(web::images()?)?),
        Runtime::Sim => builder.machines(Simulated::default()),
    }
    .start()
    .await?;

    let tokens = Tokens::new();
    if let Some(token) = args.admin_token {
        tokens.insert(token, Identity::admin());
    }
    let endpoint = cluster.listen(args.listen, tokens).await?;
    if let Some(path) = &args.kubeconfig {
        private::write_private(path, &endpoint.admin_kubeconfig()?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!("listening on {}", endpoint.url());
    windlass::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("shutting down");
    endpoint.shutdown().await;
    cluster.shutdown().await;
    Ok(())
}
