//! Two streams that make one forwarded connection.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::wire::spdy::{Gone, Stream};
use crate::env::Clock;

/// How long the second stream of a pair may take.
///
/// Source: `DefaultStreamCreationTimeout` of `k8s.io/cri-streaming/pkg/streaming/portforward` (1.36).
const CREATION: Duration = Duration::from_secs(30);

/// A connection to be forwarded.
pub(super) struct Pair {
    pub(super) port: u16,
    pub(super) data: Stream,
    pub(super) error: Stream,
}

/// The streams whose other half has not come yet, by the id of their request.
#[derive(Default)]
pub(super) struct Pairs(BTreeMap<String, Half>);

pub(super) struct Half {
    kind: Kind,
    stream: Stream,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Error,
}

impl Pairs {
    /// Takes a stream, and answers the pair that it completes. One that is none is reset.
    pub(super) async fn take(&mut self, stream: Stream, now: Instant) -> Result<Option<Pair>, Gone> {
        let (kind, port) = match meant(&stream) {
            Ok(meant) => meant,
            Err(why) => {
                tracing::debug!(why, "a stream was rejected");
                stream.outgoing.reset().await;
                return Ok(None);
            }
        };
        let request = request(&stream, kind);
        let half = Half { kind, stream, until: now + CREATION };
        half.stream.outgoing.reply().await?;
        match self.0.remove(&request) {
            None => {
                self.0.insert(request, half);
                Ok(None)
            }
            Some(first) if first.kind != kind => {
                let (data, error) = match kind {
                    Kind::Data => (half.stream, first.stream),
                    Kind::Error => (first.stream, half.stream),
                };
                Ok(Some(Pair { port, data, error }))
            }
            Some(first) => {
                self.0.insert(request, first);
                half.refuse("stream already assigned").await;
                Ok(None)
            }
        }
    }

    /// The next stream that has waited for its other half for too long. Cancel safe.
    pub(super) async fn late(&mut self, clock: &Clock) -> Half {
        let first =
            self.0.iter().min_by_key(|(_, half)| half.until).map(|(id, half)| (id.clone(), half.until));
        let Some((id, until)) = first else { return std::future::pending().await };
        clock.sleep_until(until).await;
        match self.0.remove(&id) {
            Some(half) => half,
            None => std::future::pending().await,
        }
    }
}

impl Half {
    /// Ends it with a word where that is heard.
    pub(super) async fn refuse(self, why: &'static str) {
        if self.kind == Kind::Error {
            let _ = self.stream.outgoing.write(why.into()).await;
        }
        self.stream.outgoing.reset().await;
    }
}

/// What a stream is for.
fn meant(stream: &Stream) -> Result<(Kind, u16), String> {
    let port = match stream.header("port") {
        "" => return Err("\"port\" header is required".into()),
        text => {
            text.parse::<u16>().map_err(|error| format!("unable to parse {text:?} as a port: {error}"))?
        }
    };
    if port == 0 {
        return Err("port \"0\" must be > 0".into());
    }
    match stream.header("streamtype") {
        "data" => Ok((Kind::Data, port)),
        "error" => Ok((Kind::Error, port)),
        "" => Err("\"streamType\" header is required".into()),
        other => Err(format!("invalid stream type {other:?}")),
    }
}

/// The request that a stream belongs to. Old callers name none, and open the error's stream right before
/// the data's.
fn request(stream: &Stream, kind: Kind) -> String {
    match (stream.header("requestid"), kind) {
        ("", Kind::Error) => stream.id.to_string(),
        ("", Kind::Data) => stream.id.saturating_sub(2).to_string(),
        (named, _) => named.to_owned(),
    }
}
