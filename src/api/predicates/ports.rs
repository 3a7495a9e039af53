//! Ports of the node that pods take for themselves.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodSpec;

/// A port of a node that a container takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The address of the node; all where it is `0.0.0.0`.
    pub ip: String,
}

const ANY: &str = "0.0.0.0";

impl HostPort {
    /// Whether both cannot be taken at once.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip == ANY || other.ip == ANY)
    }
}

/// The ports of the node that a pod's containers (and sidecars) take.
#[must_use]
pub fn host_ports(spec: &PodSpec) -> BTreeSet<HostPort> {
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let text = |text: &Option<String>, otherwise: &str| {
        text.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| otherwise.to_owned())
    };
    spec.containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let number =
                port.host_port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)?;
            Some(HostPort {
                protocol: text(&port.protocol, "TCP"),
                port: number,
                ip: text(&port.host_ip, ANY),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_conflict_when_one_socket_would_serve_both() {
        let port = |text: &str| {
            let [protocol, ip, number] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
            HostPort { protocol: protocol.into(), ip: ip.into(), port: number.parse().unwrap() }
        };
        for (a, b, conflict) in [
            ("TCP 0.0.0.0 80", "TCP 0.0.0.0 80", true),
            ("TCP 0.0.0.0 80", "TCP 10.0.0.1 80", true),
            ("TCP 10.0.0.2 80", "TCP 10.0.0.1 80", false),
            ("TCP 0.0.0.0 80", "UDP 0.0.0.0 80", false),
            ("TCP 0.0.0.0 80", "TCP 0.0.0.0 81", false),
        ] {
            assert_eq!(port(a).conflicts(&port(b)), conflict, "{a}, {b}");
            assert_eq!(port(b).conflicts(&port(a)), conflict, "{b}, {a}");
        }
    }

    #[test]
    fn sidecars_take_ports_and_init_containers_give_theirs_back() {
        let init = |restart: &str, port: i32| json!({"name": "i", "restartPolicy": restart, "ports": [{"containerPort": 1, "hostPort": port}]});
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80, "protocol": "UDP"},
                                                   {"containerPort": 2}]}],
            "initContainers": [init("Always", 81), init("", 82)],
        }))
        .unwrap();
        let ports: Vec<_> = host_ports(&spec).into_iter().map(|port| (port.protocol, port.port)).collect();
        assert_eq!(ports, [("TCP".to_owned(), 81), ("UDP".to_owned(), 80)]);
    }
}
