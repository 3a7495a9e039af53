//! The streams of a command or a container, whatever carries them.
//!
//! On a WebSocket each has its channel: 0 standard input, 1 standard output, 2 standard error, 3 how it
//! ended (a `Status`), 4 the terminal's size; in `v5.channel.k8s.io` a message `[255, n]` closes channel n.
//! With SPDY the caller opens a stream for each, of the type that its header `streamType` names.
//!
//! Source: `k8s.io/cri-streaming/pkg/streaming/remotecommand` (1.36).

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Refusal;
use super::channels::{Form, Receiver, Sender, split};
use super::upgrade::{Speaks, Spoken};
use crate::client::wire::Query;
use crate::client::wire::spdy::{Connection, Incoming, Outgoing, Stream};
use crate::env::Clock;

/// What exec and attach speak.
pub(super) const SPEAKS: Speaks = Speaks {
    websocket: &[
        "v5.channel.k8s.io",
        "v4.channel.k8s.io",
        "v4.base64.channel.k8s.io",
        "channel.k8s.io",
        "base64.channel.k8s.io",
    ],
    unnamed: Some("channel.k8s.io"),
    spdy: &["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"],
};

/// How long a caller of SPDY may take to open its streams.
///
/// Source: `DefaultStreamCreationTimeout` of `k8s.io/cri-streaming/pkg/streaming/remotecommand` (1.36).
const CREATION: Duration = Duration::from_secs(30);
/// What the size of a terminal may take to say.
const SIZE_BYTES: usize = 1024;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ENDED: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Which streams a caller wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

/// The two streams that are sent to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Std {
    Out,
    Err,
}

/// What a caller says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Stdin(Bytes),
    /// No standard input follows.
    StdinEnds,
    /// The terminal has so many columns and rows.
    Size(u16, u16),
}

/// How a command or a container came to its end.
pub(super) enum Ending {
    Exited(i32),
    Failed(String),
}

/// Where a caller is told what there is to tell.
pub(super) struct Output {
    carrier: To,
    /// Whether the end is told as a `Status`, rather than by its message alone.
    as_status: bool,
}

enum To {
    WebSocket(Sender),
    Spdy { error: Outgoing, stdout: Option<Outgoing>, stderr: Option<Outgoing> },
}

/// What comes of a caller.
pub(super) enum Input {
    WebSocket(Receiver),
    Spdy { connection: Connection, stdin: Option<Incoming>, resize: Option<Incoming>, size: Vec<u8> },
}

impl Wanted {
    pub(super) fn of(query: &Query) -> Result<Self, Refusal> {
        let on = |name: &str| query.flag(name);
        let tty = on("tty");
        // A terminal has one output: its errors come with it.
        let wanted = Self { stdin: on("input"), stdout: on("output"), stderr: on("error") && !tty, tty };
        if !(wanted.stdin || wanted.stdout || wanted.stderr) {
            let why = "you must specify at least 1 of stdin, stdout, stderr";
            return Err(Refusal(StatusCode::BAD_REQUEST, why.into()));
        }
        Ok(wanted)
    }
}

/// The streams of a connection that stands; none where the caller went, or never opened them.
pub(super) async fn open(
    spoken: Spoken,
    protocol: &'static str,
    wanted: Wanted,
    clock: &Clock,
) -> Option<(Output, Input)> {
    match spoken {
        Spoken::WebSocket(socket) => {
            let (sender, receiver) = split(*socket, Form::of(protocol));
            // An empty message tells the caller that the streams stand.
            let lowest = match wanted {
                Wanted { stdout: true, .. } => STDOUT,
                Wanted { stderr: true, .. } => STDERR,
                _ => ENDED,
            };
            sender.send(lowest, &[]).await;
            let as_status = protocol.starts_with('v');
            Some((Output { carrier: To::WebSocket(sender), as_status }, Input::WebSocket(receiver)))
        }
        Spoken::Spdy(connection) => {
            let opened = clock.timeout(CREATION, streams(connection, protocol, wanted)).await;
            opened.unwrap_or_else(|_late| {
                tracing::debug!("timed out waiting for client to create streams");
                None
            })
        }
    }
}

/// Takes as many streams as the caller is to open.
async fn streams(
    mut connection: Connection,
    protocol: &'static str,
    wanted: Wanted,
) -> Option<(Output, Input)> {
    let resizes = wanted.tty && matches!(protocol, "v4.channel.k8s.io" | "v3.channel.k8s.io");
    let mut left = 1 + [wanted.stdin, wanted.stdout, wanted.stderr, resizes].iter().filter(|on| **on).count();
    let (mut error, mut stdin, mut stdout, mut stderr, mut resize) = (None, None, None, None, None);
    while left > 0 {
        let stream = connection.accept().await?;
        let kind = stream.header("streamtype").to_owned();
        let Stream { incoming, outgoing, .. } = stream;
        let slot_is_free = match kind.as_str() {
            "error" => error.is_none(),
            "stdin" => stdin.is_none(),
            "stdout" => stdout.is_none(),
            "stderr" => stderr.is_none(),
            "resize" => resize.is_none(),
            _ => false,
        };
        if !slot_is_free {
            tracing::debug!(kind, "unexpected stream type");
            outgoing.reset().await;
            continue;
        }
        outgoing.reply().await.ok()?;
        match kind.as_str() {
            "error" => error = Some(outgoing),
            "stdin" => stdin = Some(incoming),
            "stdout" => stdout = Some(outgoing),
            "stderr" => stderr = Some(outgoing),
            _ => resize = Some(incoming),
        }
        left -= 1;
    }
    let carrier = To::Spdy { error: error?, stdout, stderr };
    let output = Output { carrier, as_status: protocol == "v4.channel.k8s.io" };
    Some((output, Input::Spdy { connection, stdin, resize, size: Vec::new() }))
}

impl Output {
    /// Sends bytes; answers whether the other side may still be there.
    pub(super) async fn send(&self, std: Std, bytes: Bytes) -> bool {
        match (&self.carrier, std) {
            (To::WebSocket(sender), Std::Out) => sender.send(STDOUT, &bytes).await,
            (To::WebSocket(sender), Std::Err) => sender.send(STDERR, &bytes).await,
            (To::Spdy { stdout: Some(stream), .. }, Std::Out)
            | (To::Spdy { stderr: Some(stream), .. }, Std::Err) => stream.write(bytes).await.is_ok(),
            (To::Spdy { .. }, _) => true,
        }
    }

    /// Tells how it ended, behind all that was sent, and says goodbye.
    pub(super) async fn end(self, input: &mut Input, ending: &Ending, clock: &Clock) {
        let said = if self.as_status { ending.status() } else { ending.text() };
        match (self.carrier, input) {
            (To::WebSocket(sender), Input::WebSocket(receiver)) => {
                if !said.is_empty() {
                    sender.send(ENDED, &said).await;
                }
                sender.close(receiver, clock).await;
            }
            (To::Spdy { error, stdout, stderr }, _) => {
                // A caller that is gone by now is told nothing.
                for stream in stdout.iter().chain(&stderr) {
                    let _ = stream.finish().await;
                }
                let _ = error.write(said.into()).await;
                let _ = error.finish().await;
            }
            (To::WebSocket(_), Input::Spdy { .. }) => {}
        }
    }
}

impl Input {
    /// What the caller says next; `None` once it is gone.
    pub(super) async fn next(&mut self) -> Option<Said> {
        match self {
            Self::WebSocket(receiver) => loop {
                let (channel, bytes) = receiver.receive().await?;
                match (channel, &*bytes) {
                    (STDIN, _) => return Some(Said::Stdin(bytes)),
                    (CLOSE, [STDIN]) => return Some(Said::StdinEnds),
                    (RESIZE, bytes) => {
                        if let Ok(size) = serde_json::from_slice::<Size>(bytes) {
                            return Some(size.said());
                        }
                    }
                    _ => {}
                }
            },
            Self::Spdy { connection, stdin, resize, size } => loop {
                crate::select! {
                    () = connection.ended() => return None,
                    said = async { resize.as_mut()?.read().await }, if resize.is_some() => match said {
                        Some(bytes) if size.len() + bytes.len() <= SIZE_BYTES => {
                            size.extend_from_slice(&bytes);
                            if let Some(said) = newest_size(size) {
                                return Some(said);
                            }
                        }
                        _ => *resize = None,
                    },
                    said = async { stdin.as_mut()?.read().await }, if stdin.is_some() => {
                        return Some(match said {
                            Some(bytes) => Said::Stdin(bytes),
                            None => {
                                *stdin = None;
                                Said::StdinEnds
                            }
                        });
                    }
                }
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

impl Size {
    fn said(&self) -> Said {
        Said::Size(self.width, self.height)
    }
}

/// The last whole size of those that were said one behind the other; what follows it stays.
fn newest_size(said: &mut Vec<u8>) -> Option<Said> {
    let mut sizes = serde_json::Deserializer::from_slice(said).into_iter::<Size>();
    let newest = sizes.by_ref().map_while(Result::ok).last();
    let read = sizes.byte_offset();
    said.drain(..read.min(said.len()));
    newest.map(|size| size.said())
}

impl Ending {
    fn status(&self) -> Vec<u8> {
        match self {
            Self::Exited(0) => json!({"metadata": {}, "status": "Success"}),
            Self::Exited(code) => json!({
                "metadata": {},
                "status": "Failure",
                "message": exited(*code),
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
            }),
            Self::Failed(why) => json!({
                "metadata": {},
                "status": "Failure",
                "message": format!("Internal error occurred: {}", failed(why)),
                "reason": "InternalError",
                "details": {"causes": [{"message": failed(why)}]},
                "code": 500,
            }),
        }
        .to_string()
        .into_bytes()
    }

    /// What the older protocols are told: nothing of a success.
    fn text(&self) -> Vec<u8> {
        match self {
            Self::Exited(0) => String::new(),
            Self::Exited(code) => exited(*code),
            Self::Failed(why) => format!("Internal error occurred: {}", failed(why)),
        }
        .into_bytes()
    }
}

fn exited(code: i32) -> String {
    format!("command terminated with non-zero exit code: exit status {code}")
}

fn failed(why: &str) -> String {
    format!("error executing command in container: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_in_any_pieces() {
        let mut said = br#"{"Width":80,"Height":24}{"Width":1"#.to_vec();
        assert_eq!(newest_size(&mut said), Some(Said::Size(80, 24)));
        assert_eq!(newest_size(&mut said), None);
        said.extend_from_slice(br#"00,"Height":30}{"Width":120,"Height":40}"#);
        assert_eq!(newest_size(&mut said), Some(Said::Size(120, 40)));
        assert_eq!(said, b"");
        let mut nonsense = b"{]".to_vec();
        assert_eq!(newest_size(&mut nonsense), None);
    }

    #[test]
    fn one_stream_is_wanted_at_least() {
        let of = |text: &str| Wanted::of(&Query::parse(text)).map_err(|Refusal(code, _)| code.as_u16());
        assert_eq!(of("tty=1&error=1").unwrap_err(), 400);
        let wanted = of("input=1&output=1&error=1&tty=1").unwrap();
        assert!(wanted.stdin && wanted.stdout && !wanted.stderr && wanted.tty);
    }
}
