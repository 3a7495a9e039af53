//! One probe of one container.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

use super::http::{self, Got};
use crate::env::Clock;
use crate::net::NetworkProvider;
use crate::runtime::{ContainerId, ContainerRuntime, Error};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) enum Answer {
    Success,
    /// It did not pass; what it said.
    Failure(String),
    /// It could not be made; why.
    Unknown(String),
}

/// Probes a container once.
pub(in crate::node) async fn run_probe(
    runtime: &dyn ContainerRuntime,
    network: &dyn NetworkProvider,
    clock: &Clock,
    container: &Container,
    id: &ContainerId,
    address: Option<IpAddr>,
    probe: &Probe,
) -> Answer {
    let seconds = u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1);
    let limit = Duration::from_secs(seconds);
    if let Some(exec) = &probe.exec {
        let Some(ability) = runtime.exec() else {
            return Answer::Unknown("the container runtime cannot run commands in containers".into());
        };
        let command = exec.command.clone().unwrap_or_default();
        return match ability.exec_sync(id, &command, Some(limit)).await {
            Ok(outcome) if outcome.exit_code == 0 => Answer::Success,
            Ok(outcome) => {
                let all = [outcome.stdout, outcome.stderr].concat();
                Answer::Failure(String::from_utf8_lossy(&all[..all.len().min(10 << 10)]).into_owned())
            }
            Err(Error::Timeout) => Answer::Failure(format!(
                "command timed out: {:?} timed out after {seconds}s",
                command.join(" ")
            )),
            Err(error @ (Error::NotFound { .. } | Error::WrongState { .. })) => {
                Answer::Unknown(error.to_string())
            }
            Err(error) => Answer::Failure(error.to_string()),
        };
    }
    if let Some(action) = &probe.http_get {
        let agent = "kube-probe/1.36";
        return match http::get(network, clock, container, action, address, agent, limit).await {
            Ok(Got::Status(200..400)) => Answer::Success,
            Ok(Got::Status(code)) => Answer::Failure(format!("HTTP probe failed with statuscode: {code}")),
            Ok(Got::Nothing(why)) => Answer::Failure(why),
            Err(why) => Answer::Unknown(why),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let host = match action.host.as_deref().filter(|host| !host.is_empty()) {
            Some(host) => match host.parse() {
                Ok(host) => Some(host),
                Err(_) => return Answer::Unknown(format!("host {host:?} is no IP address")),
            },
            None => address,
        };
        let target = match (host, super::port(container, &action.port)) {
            (_, Err(why)) => return Answer::Unknown(why),
            (None, _) => return Answer::Unknown("the pod has no address yet".into()),
            (Some(host), Ok(port)) => SocketAddr::new(host, port),
        };
        return match clock.timeout(limit, network.dial(target)).await {
            Ok(Ok(_)) => Answer::Success,
            Ok(Err(error)) => Answer::Failure(http::refused(&target, &error)),
            Err(_) => Answer::Failure(format!("dial tcp {target}: i/o timeout")),
        };
    }
    if probe.grpc.is_some() {
        return Answer::Unknown("gRPC probes are not supported by this node agent".into());
    }
    Answer::Unknown("missing probe handler".into())
}
