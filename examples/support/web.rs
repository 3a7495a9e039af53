//! The program that the example manifests run: a small HTTP server that says who it is.
//!
//! It listens on `$POD_IP:8080` and answers `/healthz` with `ok`, everything else with one line:
//! pod, version, process id, greeting. On SIGTERM it takes no new connection, finishes those that
//! it has, and exits with 0.

use std::convert::Infallible;
use std::env::var;
use std::error::Error;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windlass::runtime::process::{Program, ProgramImages};

/// The port that the program listens on.
pub(crate) const PORT: u16 = 8080;

/// Runs the program until SIGTERM.
pub(crate) async fn serve() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let address: SocketAddr = format!("{}:{PORT}", var("POD_IP").unwrap_or("127.0.0.1".into()))
        .parse()
        .map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(address).await?;
    let line = format!(
        "{} {} {} {}\n",
        var("POD_NAME").unwrap_or_default(),
        var("VERSION").unwrap_or_default(),
        std::process::id(),
        var("GREETING").unwrap_or_default(),
    );
    println!("listening on {address}");
    let (connections, last) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let stream = windlass::select! {
            _ = terminate.recv() => break,
            accepted = listener.accept() => accepted?.0,
        };
        let line = line.clone();
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
            let body = if request.uri().path() == "/healthz" { "ok".into() } else { line.clone() };
            async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        let last = last.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = windlass::select! {
                ended = &mut connection => ended,
                () = last.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // A client that goes away in mid-answer concerns nobody else.
            drop(ended);
        });
    }
    println!("shutting down");
    drop(listener);
    last.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}

/// The image references that stand for this program, one a version.
pub(crate) const IMAGES: [&str; 2] = ["windlass.example/web:1", "windlass.example/web:2"];

/// The images of the example manifests: this very executable, told to serve.
pub(crate) fn images() -> Result<ProgramImages, Box<dyn Error + Send + Sync>> {
    let own = std::env::current_exe()?;
    let images = ProgramImages::new();
    for (reference, version) in IMAGES.iter().zip(["1", "2"]) {
        images.program(reference, Program::new(&own).arg("serve").env("VERSION", version))?;
    }
    Ok(images)
}
