//! The environment of a container: what its pod declares, resolved.
//!
//! Everything here is pure: [`needs`] says which ConfigMaps and Secrets must be fetched, and
//! [`resolve`] does the rest from what was fetched. Order of precedence and wording follow kubelet
//! 1.36 (`pkg/kubelet/kubelet_pods.go`): later wins among `envFrom`, `env` wins over `envFrom`, and
//! services are named only where nothing else has the name.

mod downward;
mod expand;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub use expand::expand;
pub use services::service_variables;

use super::lifecycle::spec;

/// The objects that a container's environment reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Names of ConfigMaps in the pod's namespace.
    pub config_maps: BTreeSet<String>,
    /// Names of Secrets in the pod's namespace.
    pub secrets: BTreeSet<String>,
}

/// What a container's environment is made from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// ConfigMaps by name; one that does not exist is not there.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Secrets by name; one that does not exist is not there.
    pub secrets: BTreeMap<String, Secret>,
    /// Services of the pod's namespace, and the control plane's own.
    pub services: Vec<Arc<Service>>,
    /// The pod's addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// The node's address.
    pub host: IpAddr,
    /// What the node can give: the limits of a container that has none.
    pub allocatable: BTreeMap<String, Quantity>,
}

/// The objects that a container's environment reads.
#[must_use]
pub fn needs(container: &Container) -> Needs {
    let mut needs = Needs::default();
    for source in container.env_from.iter().flatten() {
        needs.config_maps.extend(source.config_map_ref.iter().map(|one| one.name.clone()));
        needs.secrets.extend(source.secret_ref.iter().map(|one| one.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        needs.config_maps.extend(source.config_map_key_ref.iter().map(|one| one.name.clone()));
        needs.secrets.extend(source.secret_key_ref.iter().map(|one| one.name.clone()));
    }
    needs
}

/// The variables of a container, by name.
///
/// # Errors
///
/// What is missing or cannot be resolved, in kubelet's words: the message of a
/// `CreateContainerConfigError`.
pub fn resolve(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
) -> Result<BTreeMap<String, String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = spec(pod).enable_service_links.unwrap_or(true);
    let services = service_variables(&sources.services, namespace, links);
    let mut variables = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(from) = &source.config_map_ref
            && let Some(map) = config_map(sources, &from.name, from.optional)?
        {
            let data = map.data.iter().flatten();
            variables.extend(data.map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
        }
        if let Some(from) = &source.secret_ref
            && let Some(secret) = secret(sources, &from.name, from.optional)?
        {
            let data = secret.data.iter().flatten();
            variables.extend(data.map(|(key, value)| {
                (format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned())
            }));
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (variable.value.as_deref().unwrap_or_default(), &variable.value_from) {
            ("", Some(from)) => match from_source(pod, container, sources, namespace, from)? {
                Some(value) => value,
                None => continue,
            },
            (text, _) => expand(text, |name| variables.get(name).or_else(|| services.get(name)).cloned()),
        };
        variables.insert(variable.name.clone(), value);
    }
    for (name, value) in services {
        variables.entry(name).or_insert(value);
    }
    Ok(variables)
}

/// `None` where something optional is missing.
fn from_source(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
    namespace: &str,
    from: &EnvVarSource,
) -> Result<Option<String>, String> {
    if let Some(field) = &from.field_ref {
        return downward::field(pod, sources, &field.field_path).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return downward::resource(pod, container, &sources.allocatable, resource).map(Some);
    }
    if let Some(key) = &from.config_map_key_ref {
        let Some(map) = config_map(sources, &key.name, key.optional)? else { return Ok(None) };
        let found = map.data.as_ref().and_then(|data| data.get(&key.key)).cloned();
        if found.is_none() && key.optional != Some(true) {
            return Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name));
        }
        return Ok(found);
    }
    if let Some(key) = &from.secret_key_ref {
        let Some(secret) = secret(sources, &key.name, key.optional)? else { return Ok(None) };
        let found = secret.data.as_ref().and_then(|data| data.get(&key.key));
        if found.is_none() && key.optional != Some(true) {
            return Err(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name));
        }
        return Ok(found.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()));
    }
    if let Some(file) = &from.file_key_ref {
        return Err(format!("cannot find the volume {:?} referenced by FileKeyRef", file.volume_name));
    }
    Ok(Some(String::new()))
}

fn config_map<'a>(
    sources: &'a Sources,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a ConfigMap>, String> {
    found("configmap", sources.config_maps.get(name), name, optional)
}

fn secret<'a>(
    sources: &'a Sources,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Secret>, String> {
    found("secret", sources.secrets.get(name), name, optional)
}

fn found<'a, T>(
    kind: &str,
    one: Option<&'a T>,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a T>, String> {
    match one {
        None if optional != Some(true) => Err(format!("{kind} {name:?} not found")),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sources() -> Sources {
        let map = json!({"metadata": {"name": "cfg"}, "data": {"COLOR": "red", "SIZE": "9"}});
        let secret = json!({"metadata": {"name": "sec"}, "data": {"PASS": "aHVudGVyMg=="}});
        let service = json!({
            "metadata": {"name": "my-db", "namespace": "default"},
            "spec": {"clusterIP": "10.0.0.9", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
        });
        Sources {
            config_maps: [("cfg".to_owned(), serde_json::from_value(map).unwrap())].into(),
            secrets: [("sec".to_owned(), serde_json::from_value(secret).unwrap())].into(),
            services: vec![Arc::new(serde_json::from_value(service).unwrap())],
            addresses: vec!["127.1.0.4".parse().unwrap()],
            host: "127.1.0.1".parse().unwrap(),
            allocatable: [("cpu", "4"), ("memory", "8Gi")]
                .map(|(name, n)| (name.to_owned(), Quantity(n.into())))
                .into(),
        }
    }

    fn resolved(container: Value) -> Result<BTreeMap<String, String>, String> {
        let mut container = container;
        container["name"] = "app".into();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "p", "namespace": "default", "uid": "u1",
                "labels": {"app": "web", "example.com/tier": "front"}, "annotations": {"note": "hi"},
            },
            "spec": {"nodeName": "n1", "serviceAccountName": "robot", "containers": [container]},
        }))
        .unwrap();
        resolve(&pod, &pod.spec.as_ref().unwrap().containers[0], &sources())
    }

    fn value(from: Value) -> Result<String, String> {
        let got = resolved(json!({"env": [{"name": "X", "valueFrom": from}]}))?;
        Ok(got.get("X").cloned().unwrap_or_else(|| "(unset)".into()))
    }

    #[test]
    fn env_wins_over_env_from_and_later_over_earlier() {
        let got = resolved(json!({
            "envFrom": [{"configMapRef": {"name": "cfg"}}, {"prefix": "S_", "secretRef": {"name": "sec"}}],
            "env": [
                {"name": "COLOR", "value": "blue"},
                {"name": "SAY", "value": "$(COLOR)/$(SIZE)/$(S_PASS)/$(MY_DB_SERVICE_HOST)/$$(COLOR)/$(NONE)"},
            ],
        }))
        .unwrap();
        assert_eq!(got["SAY"], "blue/9/hunter2/10.0.0.9/$(COLOR)/$(NONE)");
        assert_eq!((got["COLOR"].as_str(), got["MY_DB_SERVICE_PORT_SQL"].as_str()), ("blue", "5432"));
    }

    #[test]
    fn the_downward_api() {
        for (path, expected) in [
            ("metadata.name", "p"),
            ("metadata.namespace", "default"),
            ("metadata.uid", "u1"),
            ("metadata.labels['example.com/tier']", "front"),
            ("metadata.labels['nothing']", ""),
            ("metadata.annotations['note']", "hi"),
            ("spec.nodeName", "n1"),
            ("spec.serviceAccountName", "robot"),
            ("status.podIP", "127.1.0.4"),
            ("status.podIPs", "127.1.0.4"),
            ("status.hostIP", "127.1.0.1"),
        ] {
            assert_eq!(value(json!({"fieldRef": {"fieldPath": path}})).as_deref(), Ok(expected), "{path}");
        }
        let refused = value(json!({"fieldRef": {"fieldPath": "spec.hostname"}}));
        assert_eq!(refused.unwrap_err(), "unsupported fieldPath: spec.hostname");
    }

    #[test]
    fn resources_are_divided_and_rounded_up_and_default_to_the_nodes() {
        for (resource, divisor, expected) in [
            ("limits.cpu", "1", "2"),
            ("limits.cpu", "1m", "1500"),
            ("requests.cpu", "1m", "250"),
            ("limits.memory", "1Mi", "8192"),
            ("requests.memory", "1", "0"),
        ] {
            let got = resolved(json!({
                "resources": {"limits": {"cpu": "1500m"}, "requests": {"cpu": "250m"}},
                "env": [{"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}],
            }))
            .unwrap();
            assert_eq!(got["X"], expected, "{resource} / {divisor}");
        }
    }

    #[test]
    fn what_is_missing_is_named_unless_it_is_optional() {
        let key = |kind: &str, name: &str, key: &str, optional: bool| {
            value(json!({kind: {"name": name, "key": key, "optional": optional}}))
        };
        assert_eq!(key("configMapKeyRef", "cfg", "COLOR", false).unwrap(), "red");
        assert_eq!(key("secretKeyRef", "sec", "PASS", false).unwrap(), "hunter2");
        assert_eq!(key("configMapKeyRef", "no", "a", false).unwrap_err(), "configmap \"no\" not found");
        assert_eq!(key("secretKeyRef", "no", "a", false).unwrap_err(), "secret \"no\" not found");
        assert_eq!(
            key("configMapKeyRef", "cfg", "no", false).unwrap_err(),
            "couldn't find key no in ConfigMap default/cfg"
        );
        assert_eq!(
            key("secretKeyRef", "sec", "no", false).unwrap_err(),
            "couldn't find key no in Secret default/sec"
        );
        for (kind, name) in [("configMapKeyRef", "no"), ("configMapKeyRef", "cfg"), ("secretKeyRef", "sec")] {
            assert_eq!(key(kind, name, "no", true).unwrap(), "(unset)");
        }
        let from = |kind: &str, optional: bool| {
            resolved(json!({"envFrom": [{kind: {"name": "no", "optional": optional}}]}))
        };
        assert_eq!(from("secretRef", false).unwrap_err(), "secret \"no\" not found");
        assert!(from("configMapRef", true).is_ok());
    }
}
