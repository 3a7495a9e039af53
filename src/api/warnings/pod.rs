//! Pods, and templates of pods.
//!
//! Source: `warningsForPodSpecAndMeta` of `k8s.io/kubernetes/pkg/api/pod` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{claim, deprecated_node_label, fraction, list, overlap, text};
use crate::api::{ip, names, validation};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Volumes that were once there.
const GONE: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Annotations that once meant something.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

pub(super) fn create(pod: &Value) -> Vec<String> {
    let mut warnings = name(pod, "the Pod's hostname");
    warnings.extend(of(pod, ""));
    warnings
}

/// What is said of a name that is used where a label of DNS should stand.
pub(super) fn name(object: &Value, place: &str) -> Vec<String> {
    let wrong = names::dns1123_label(text(&object["metadata"]["name"]));
    if wrong.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in {place}, which can result in surprising behavior; a DNS label is \
         recommended: [{}]",
        wrong.join(" ")
    )]
}

pub(super) fn status(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for field in ["podIPs", "hostIPs"] {
        for (index, entry) in list(&pod["status"][field]).iter().enumerate() {
            address(&mut warnings, &format!("status.{field}[{index}].ip"), &entry["ip"]);
        }
    }
    warnings
}

fn address(warnings: &mut Vec<String>, path: &str, value: &Value) {
    warnings.extend(ip::address_warning(text(value)).map(|warning| format!("{path}: {warning}")));
}

/// What is said of a pod, or of a template that stands at a path, which ends in a dot.
pub(super) fn of(pod: &Value, at: &str) -> Vec<String> {
    let (spec, annotations) = (&pod["spec"], &pod["metadata"]["annotations"]);
    let mut warnings = Vec::new();
    placement(&mut warnings, spec, at);
    for (key, why) in ANNOTATIONS {
        if annotations.get(key).is_some() {
            warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
        }
    }
    for (index, volume) in list(&spec["volumes"]).iter().enumerate() {
        let path = format!("{at}spec.volumes[{index}]");
        for (source, why) in GONE.iter().filter(|(source, _)| volume[*source].is_object()) {
            let shown = if *source == "storageos" { "storageOS" } else { source };
            warnings.push(format!("{path}.{shown}: {why}"));
        }
        let template = &volume["ephemeral"]["volumeClaimTemplate"];
        if template.is_object() {
            warnings.extend(claim::spec(
                &template["spec"],
                &format!("{path}.ephemeral.volumeClaimTemplate.spec"),
            ));
        }
    }
    warnings.extend(overlap::of(list(&spec["volumes"])));
    twice(&mut warnings, &spec["hostAliases"], &format!("{at}spec.hostAliases"), "ip");
    twice(&mut warnings, &spec["imagePullSecrets"], &format!("{at}spec.imagePullSecrets"), "name");
    for (index, secret) in list(&spec["imagePullSecrets"]).iter().enumerate() {
        if text(&secret["name"]).is_empty() {
            warnings.push(format!("{at}spec.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
    for name in ["memory", "ephemeral-storage"] {
        let path = format!("{at}spec.overhead[{name}]");
        warnings.extend(fraction(&spec["overhead"][name], &path));
    }
    if spec["securityContext"]["seccompProfile"].is_null() {
        const KEY: &str = "seccomp.security.alpha.kubernetes.io/pod";
        if annotations.get(KEY).is_some() {
            warnings.push(format!("{at}metadata.annotations[{KEY}]: {SECCOMP}"));
        }
    }
    let containers = containers(spec, at);
    for (container, path) in &containers {
        self::container(&mut warnings, container, path, pod, at);
    }
    ports(&mut warnings, &containers);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|grace| grace < 0) {
        warnings.push(format!(
            "{at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated \
             as 1"
        ));
    }
    affinity(&mut warnings, &spec["affinity"], at);
    for (index, server) in list(&spec["dnsConfig"]["nameservers"]).iter().enumerate() {
        address(&mut warnings, &format!("{at}spec.dnsConfig.nameservers[{index}]"), server);
    }
    for (index, alias) in list(&spec["hostAliases"]).iter().enumerate() {
        address(&mut warnings, &format!("{at}spec.hostAliases[{index}].ip"), &alias["ip"]);
    }
    warnings
}

/// All containers with their paths, those that run first first.
fn containers<'a>(spec: &'a Value, at: &str) -> Vec<(&'a Value, String)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    lists
        .flat_map(|field| {
            let containers = list(&spec[field]).iter().enumerate();
            containers.map(move |(index, container)| (container, format!("{at}spec.{field}[{index}]")))
        })
        .collect()
}

fn placement(warnings: &mut Vec<String>, spec: &Value, at: &str) {
    for (key, _) in spec["nodeSelector"].as_object().into_iter().flatten() {
        if let Some(why) = deprecated_node_label(key) {
            warnings.push(format!("{at}spec.nodeSelector[{key}]: {why}"));
        }
    }
    let nodes = &spec["affinity"]["nodeAffinity"];
    for (index, term) in list(&nodes[REQUIRED]["nodeSelectorTerms"]).iter().enumerate() {
        let path = format!("{at}spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}]");
        warnings.extend(node_term(term, false, &path));
    }
    for (index, term) in list(&nodes[PREFERRED]).iter().enumerate() {
        let path = format!("{at}spec.affinity.nodeAffinity.{PREFERRED}[{index}].preference");
        warnings.extend(node_term(&term["preference"], true, &path));
    }
    for (index, constraint) in list(&spec["topologySpreadConstraints"]).iter().enumerate() {
        let path = format!("{at}spec.topologySpreadConstraints[{index}]");
        let key = text(&constraint["topologyKey"]);
        if let Some(why) = deprecated_node_label(key) {
            warnings.push(format!("{path}.topologyKey: {key} is {why}"));
        }
        no_selector(warnings, constraint, &path);
    }
}

fn no_selector(warnings: &mut Vec<String>, term: &Value, path: &str) {
    if term["labelSelector"].is_null() {
        warnings.push(format!("{path}.labelSelector: a null labelSelector results in matching no pod"));
    }
}

/// What is said of a term over the labels of nodes.
pub(super) fn node_term(term: &Value, with_values: bool, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, expression) in list(&term["matchExpressions"]).iter().enumerate() {
        let key = text(&expression["key"]);
        if let Some(why) = deprecated_node_label(key) {
            warnings.push(format!("{path}.matchExpressions[{index}].key: {key} is {why}"));
        }
        for (at, value) in list(&expression["values"]).iter().enumerate().filter(|_| with_values) {
            let value = text(value);
            for wrong in names::label_value(value) {
                warnings.push(format!(
                    "{path}.matchExpressions[{index}].values[{at}]: {value} is invalid, {wrong}"
                ));
            }
        }
    }
    warnings
}

fn affinity(warnings: &mut Vec<String>, affinity: &Value, at: &str) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = format!("{at}spec.affinity.{kind}");
        for (index, term) in list(&affinity[kind][REQUIRED]).iter().enumerate() {
            no_selector(warnings, term, &format!("{path}.{REQUIRED}[{index}]"));
        }
        for (index, term) in list(&affinity[kind][PREFERRED]).iter().enumerate() {
            no_selector(
                warnings,
                &term["podAffinityTerm"],
                &format!("{path}.{PREFERRED}[{index}].podAffinityTerm"),
            );
        }
    }
}

/// Items of a list that say the same in a field.
fn twice(warnings: &mut Vec<String>, items: &Value, path: &str, field: &str) {
    let mut seen = BTreeSet::new();
    for (index, item) in list(items).iter().enumerate() {
        let value = text(&item[field]);
        if !seen.insert(value) {
            warnings.push(format!("{path}[{index}].{field}: duplicate {field} {value:?}"));
        }
    }
}

fn container(warnings: &mut Vec<String>, container: &Value, path: &str, pod: &Value, at: &str) {
    let (annotations, name) = (&pod["metadata"]["annotations"], text(&container["name"]));
    let context = &container["securityContext"];
    let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    if context["seccompProfile"].is_null() && annotations.get(&key).is_some() {
        warnings.push(format!("{at}metadata.annotations[{key}]: {SECCOMP}"));
    }
    // Of a pod, this is said where the field is filled in.
    if !at.is_empty() && context["appArmorProfile"].is_null() {
        let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
        if let Some(annotation) = annotations.get(&key).and_then(Value::as_str) {
            let of_pod = &pod["spec"]["securityContext"]["appArmorProfile"];
            if of_pod.is_null() || validation::app_armor_field(annotation).as_ref() != Some(of_pod) {
                warnings.push(format!(
                    "{at}metadata.annotations[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
                ));
            }
        }
    }
    for name in ["memory", "ephemeral-storage"] {
        for kind in ["limits", "requests"] {
            let path = format!("{path}.resources.{kind}[{name}]");
            warnings.extend(fraction(&container["resources"][kind][name], &path));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, variable) in list(&container["env"]).iter().enumerate() {
        let (name, value) = (text(&variable["name"]), text(&variable["value"]));
        // One that builds on the one before may be called the same.
        let reference = format!("$({name})");
        let builds_on = variable["valueFrom"].is_null() && value != reference && value.contains(&reference);
        if !seen.insert(name) && !builds_on {
            warnings.push(format!(
                "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

fn ports(warnings: &mut Vec<String>, containers: &[(&Value, String)]) {
    let all = || {
        containers.iter().flat_map(|(container, path)| {
            let ports = list(&container["ports"]).iter().enumerate();
            ports.map(move |(index, port)| (port, format!("{path}.ports[{index}]")))
        })
    };
    let number = |port: &Value, field: &str| port[field].as_i64().unwrap_or(0);
    let mut seen: BTreeMap<(i64, &str), Vec<(&Value, String)>> = BTreeMap::new();
    for (port, path) in all() {
        let (host_ip, host_port) = (text(&port["hostIP"]), number(port, "hostPort"));
        let (own, protocol) = (number(port, "containerPort"), text(&port["protocol"]));
        if !host_ip.is_empty() && host_port == 0 {
            warnings.push(format!(
                "{path}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{own} Protocol:{protocol} \
                 HostIP:{host_ip}}}",
                text(&port["name"])
            ));
        }
        let others = seen.entry((own, protocol)).or_default();
        for (other, field) in others.iter() {
            let (their_ip, their_port) = (text(&other["hostIP"]), number(other, "hostPort"));
            let how = if host_ip == their_ip && host_port == their_port {
                "duplicate"
            } else if host_port == 0 || their_port == 0 {
                "overlapping"
            } else if host_port == their_port && host_ip.is_empty() != their_ip.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!("{path}: {how} port definition with {field}"));
        }
        others.push((port, path));
    }
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for (port, path) in all().filter(|(port, _)| !text(&port["name"]).is_empty()) {
        let name = text(&port["name"]);
        match names.get(name) {
            Some(other) => warnings.push(format!(
                "{path}: duplicate port name {name:?} with {other}, services and probes that select ports by name \
                 will use {other}"
            )),
            None => drop(names.insert(name, path)),
        }
    }
}
