//! The least HTTP that a probe needs: one GET, and the status of its answer.
//!
//! Probes belong to agents without any HTTP library, and over whatever stream the network
//! provider dials; a status line is all that is read of an answer, with the start of its body.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::env::Clock;
use crate::net::NetworkProvider;

/// How much of an answer is read at most (kubelet reads 10 KiB of a body).
const MOST: usize = 16 * 1024;

/// How a GET ended that could be made at all.
pub(super) enum Got {
    /// An answer came, with this status.
    Status(u16),
    /// None came, for this reason.
    Nothing(String),
}

/// Sends the GET that `action` describes, as `agent`, to the pod's address or the action's host.
///
/// # Errors
///
/// Why the request cannot be made at all.
pub(super) async fn get(
    network: &dyn NetworkProvider,
    clock: &Clock,
    container: &Container,
    action: &HTTPGetAction,
    address: Option<IpAddr>,
    agent: &str,
    limit: Duration,
) -> Result<Got, String> {
    if action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
        return Err("HTTPS is not supported for probes and hooks by this node agent".into());
    }
    let port = super::port(container, &action.port)?;
    let host = match action.host.as_deref().filter(|host| !host.is_empty()) {
        Some(host) => host.parse().map_err(|_| format!("host {host:?} is no IP address"))?,
        None => address.ok_or("the pod has no address yet")?,
    };
    let target = SocketAddr::new(host, port);
    let path = action.path.as_deref().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(format!("invalid path {path:?}"));
    }
    let url = format!("http://{target}{path}");
    let request = request(action, &path, &target, agent)?;
    let exchange = async {
        let mut io = network.dial(target).await.map_err(|error| refused(&target, &error))?;
        let failed = |error: io::Error| error.to_string();
        io.write_all(request.as_bytes()).await.map_err(failed)?;
        io.flush().await.map_err(failed)?;
        let mut answer = Vec::new();
        loop {
            if let Some(status) = status(&answer)? {
                return Ok(status);
            }
            if answer.len() > MOST {
                return Err("malformed HTTP response".to_owned());
            }
            if io.read_buf(&mut answer).await.map_err(failed)? == 0 {
                return Err("EOF".to_owned());
            }
        }
    };
    Ok(match clock.timeout(limit, exchange).await {
        Ok(Ok(status)) => Got::Status(status),
        Ok(Err(why)) => Got::Nothing(format!("Get {url:?}: {why}")),
        Err(_) => Got::Nothing(format!(
            "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    })
}

/// Why a dial failed, as Go says it.
pub(super) fn refused(target: &SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("dial tcp {target}: connect: connection refused"),
        _ => format!("dial tcp {target}: {error}"),
    }
}

fn request(action: &HTTPGetAction, path: &str, target: &SocketAddr, agent: &str) -> Result<String, String> {
    let own: Vec<_> = action.http_headers.iter().flatten().collect();
    let has = |name: &str| own.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in
        [("Host", target.to_string()), ("User-Agent", agent.into()), ("Accept", "*/*".into())]
    {
        if !has(name) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for header in own {
        if header.name.bytes().chain(header.value.bytes()).any(|byte| byte.is_ascii_control()) {
            return Err(format!("invalid header {:?}", header.name));
        }
        // An empty Accept or User-Agent leaves the header out.
        if !header.value.is_empty() {
            text.push_str(&format!("{}: {}\r\n", header.name, header.value));
        }
    }
    text.push_str("Connection: close\r\n\r\n");
    Ok(text)
}

/// The status of an answer, once its first line is there. Interim answers are passed over.
fn status(answer: &[u8]) -> Result<Option<u16>, String> {
    let mut rest = answer;
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = String::from_utf8_lossy(&rest[..end]);
        let code = line
            .strip_prefix("HTTP/1.")
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse::<u16>().ok())
            .ok_or_else(|| format!("malformed HTTP response {line:?}"))?;
        if !(100..200).contains(&code) {
            return Ok(Some(code));
        }
        let Some(head) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        rest = &rest[head + 4..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_status_counts() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Ok(Some(200))),
            ("HTTP/1.0 404 \r\nX: y\r\n\r\nbody", Ok(Some(404))),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n", Ok(Some(500))),
            ("HTTP/1.1 2", Ok(None)),
            ("", Ok(None)),
            ("SSH-2.0\r\n", Err("malformed HTTP response \"SSH-2.0\"".to_owned())),
        ] {
            assert_eq!(status(answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
