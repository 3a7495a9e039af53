//! Variables that name services.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

/// The variables of the services of a namespace (where `links` says so), and of the control plane's
/// own service, which every pod is told of: `{NAME}_SERVICE_HOST`, `{NAME}_SERVICE_PORT`, one more
/// for each named port, and those that Docker's links had.
#[must_use]
pub fn service_variables(
    services: &[Arc<Service>],
    namespace: &str,
    links: bool,
) -> BTreeMap<String, String> {
    let mut chosen = BTreeMap::new();
    for service in services {
        let metadata = &service.metadata;
        let (own, name) =
            (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
        let control_plane = own == "default" && name == "kubernetes";
        if control_plane {
            chosen.entry(name).or_insert(service);
        } else if own == namespace && links {
            chosen.insert(name, service);
        }
    }
    let mut variables = BTreeMap::new();
    for (name, service) in chosen {
        let Some(spec) = &service.spec else { continue };
        let Some(address) = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else {
            continue;
        };
        let prefix = variable(&name);
        let ports = spec.ports.as_deref().unwrap_or_default();
        let mut set = |suffix: &str, value: String| {
            variables.insert(format!("{prefix}_{suffix}"), value);
        };
        set("SERVICE_HOST", address.to_owned());
        for (position, port) in ports.iter().enumerate() {
            let number = port.port;
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let url = format!("{}://{host}:{number}", protocol.to_lowercase());
            if position == 0 {
                set("SERVICE_PORT", number.to_string());
                set("PORT", url.clone());
            }
            if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                set(&format!("SERVICE_PORT_{}", variable(name)), number.to_string());
            }
            let link = format!("PORT_{number}_{}", protocol.to_uppercase());
            set(&link, url);
            set(&format!("{link}_PROTO"), protocol.to_lowercase());
            set(&format!("{link}_PORT"), number.to_string());
            set(&format!("{link}_ADDR"), address.to_owned());
        }
    }
    variables
}

fn variable(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(namespace: &str, name: &str, spec: Value) -> Arc<Service> {
        let tree = json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
        Arc::new(serde_json::from_value(tree).unwrap())
    }

    #[test]
    fn links_of_ones_own_namespace_and_always_the_control_plane() {
        let port = |port: i32| json!([{"port": port, "protocol": "TCP"}]);
        let services = [
            service("default", "kubernetes", json!({"clusterIP": "10.0.0.1", "ports": port(443)})),
            service("mine", "kubernetes", json!({"clusterIP": "10.0.0.2", "ports": port(1)})),
            service("mine", "web-1", json!({"clusterIP": "10.0.0.3", "ports": port(80)})),
            service("mine", "headless", json!({"clusterIP": "None", "ports": port(81)})),
            service("other", "far", json!({"clusterIP": "10.0.0.4", "ports": port(82)})),
        ];
        let off = service_variables(&services, "mine", false);
        assert_eq!(off["KUBERNETES_SERVICE_HOST"], "10.0.0.1");
        assert_eq!(off.len(), 7);
        let on = service_variables(&services, "mine", true);
        assert_eq!(on["KUBERNETES_SERVICE_HOST"], "10.0.0.2", "one's own comes last");
        assert_eq!(on["WEB_1_PORT"], "tcp://10.0.0.3:80");
        assert_eq!(on["WEB_1_PORT_80_TCP_ADDR"], "10.0.0.3");
        assert!(!on.keys().any(|name| name.starts_with("HEADLESS") || name.starts_with("FAR")));
    }
}
