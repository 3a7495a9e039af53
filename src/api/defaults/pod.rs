//! Pods and the templates they are made from.

use serde_json::{Map, Value, json};

use super::{Fields, absent, amounts, blank, child, each, is_blank, made, text};
use crate::api::predicates;

/// A Pod.
pub fn pod(object: &mut Fields) {
    child(object, "spec", |spec| {
        pod_spec(spec);
        // Only a Pod, and not a template, asks for what it is limited to: a limit that is changed
        // in a template should carry its requests with it.
        for list in ["containers", "initContainers"] {
            each(spec, list, |container| child(container, "resources", requests_from_limits));
        }
        pod_level_pages(spec);
        pod_level_requests(spec);
        absent(spec, "enableServiceLinks", true);
        if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
            for list in ["containers", "initContainers"] {
                each(spec, list, host_ports);
            }
        }
    });
}

/// A template of pods: labels are its own, the rest is a pod's.
pub fn pod_template(template: &mut Fields) {
    child(template, "spec", pod_spec);
}

fn pod_spec(spec: &mut Fields) {
    blank(spec, "dnsPolicy", "ClusterFirst");
    blank(spec, "restartPolicy", "Always");
    absent(spec, "securityContext", Map::new());
    absent(spec, "terminationGracePeriodSeconds", 30);
    blank(spec, "schedulerName", "default-scheduler");
    // One field under its old and its new name.
    let account = match (text(spec, "serviceAccountName"), text(spec, "serviceAccount")) {
        ("", old) => old.to_owned(),
        (new, _) => new.to_owned(),
    };
    if !account.is_empty() {
        spec.insert("serviceAccountName".into(), account.clone().into());
        spec.insert("serviceAccount".into(), account.into());
    }
    amounts(spec, "overhead");
    child(spec, "resources", resources);
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

fn resources(resources: &mut Fields) {
    amounts(resources, "requests");
    amounts(resources, "limits");
}

fn container(container: &mut Fields) {
    let policy = if pulls_latest(text(container, "image")) { "Always" } else { "IfNotPresent" };
    blank(container, "imagePullPolicy", policy);
    blank(container, "terminationMessagePath", "/dev/termination-log");
    blank(container, "terminationMessagePolicy", "File");
    absent(container, "resources", Map::new());
    child(container, "resources", resources);
    each(container, "ports", |port| blank(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        child(variable, "valueFrom", |source| {
            child(source, "fieldRef", field_ref);
            child(source, "resourceFieldRef", divisor);
            child(source, "fileKeyRef", |file| absent(file, "optional", false));
        });
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        child(container, probe, |probe| {
            blank(probe, "timeoutSeconds", 1);
            blank(probe, "periodSeconds", 10);
            blank(probe, "successThreshold", 1);
            blank(probe, "failureThreshold", 3);
            child(probe, "httpGet", http_get);
            child(probe, "grpc", |grpc| absent(grpc, "service", ""));
        });
    }
    child(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            child(lifecycle, hook, |hook| child(hook, "httpGet", http_get));
        }
    });
}

/// Whether the image's tag is `latest`, written or meant. A digest without a tag is none.
fn pulls_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest,
    }
}

fn http_get(action: &mut Fields) {
    blank(action, "path", "/");
    blank(action, "scheme", "HTTP");
}

fn field_ref(reference: &mut Fields) {
    blank(reference, "apiVersion", "v1");
}

fn divisor(reference: &mut Fields) {
    absent(reference, "divisor", "0");
}

fn volume(volume: &mut Fields) {
    if volume.iter().all(|(name, value)| name == "name" || value.is_null()) {
        volume.insert("emptyDir".into(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        child(volume, source, |source| {
            absent(source, "defaultMode", 0o644);
            downward_items(source);
            each(source, "sources", |part| {
                child(part, "downwardAPI", downward_items);
                child(part, "serviceAccountToken", |token| absent(token, "expirationSeconds", 3600));
            });
        });
    }
    child(volume, "hostPath", |path| absent(path, "type", ""));
    child(volume, "image", |image| {
        let policy = if pulls_latest(text(image, "reference")) { "Always" } else { "IfNotPresent" };
        blank(image, "pullPolicy", policy);
    });
    child(volume, "ephemeral", |ephemeral| {
        child(ephemeral, "volumeClaimTemplate", |claim| child(claim, "spec", super::core::claim_spec));
    });
}

fn downward_items(source: &mut Fields) {
    each(source, "items", |item| {
        child(item, "fieldRef", field_ref);
        child(item, "resourceFieldRef", divisor);
    });
}

fn requests_from_limits(resources: &mut Fields) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).filter(|limits| !limits.is_empty())
    else {
        return;
    };
    let limits = limits.clone();
    made(resources, "requests", |requests| {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    });
}

/// A pod that says what it may use as a whole is limited as a whole to the huge pages of its containers.
fn pod_level_pages(spec: &mut Fields) {
    let own = |kind: &str| spec.get("resources")?.get(kind)?.as_object();
    let (limits, requests) = (own("limits"), own("requests"));
    if [limits, requests].into_iter().flatten().all(Map::is_empty) {
        return;
    }
    let asked: Vec<String> = requests.into_iter().flat_map(Map::keys).cloned().collect();
    let Ok(typed) = serde_json::from_value(Value::Object(spec.clone())) else { return };
    let pages = predicates::container_limits(&typed);
    let mut pages = pages
        .iter()
        .filter(|(name, _)| name.starts_with("hugepages-") && !asked.iter().any(|own| own == name))
        .peekable();
    if pages.peek().is_none() {
        return;
    }
    child(spec, "resources", |resources| {
        made(resources, "limits", |limits| {
            pages.for_each(|(name, amount)| absent(limits, name, amount.to_string()));
        });
    });
}

/// A pod that limits itself as a whole asks as a whole for what its containers ask for, and for its
/// limit of what none of them asks for.
fn pod_level_requests(spec: &mut Fields) {
    let limits = spec.get("resources").and_then(|own| own.get("limits")).and_then(Value::as_object);
    let Some(limits) = limits.filter(|limits| !limits.is_empty()).cloned() else { return };
    let Ok(typed) = serde_json::from_value(Value::Object(spec.clone())) else { return };
    let asked = predicates::container_requests(&typed);
    child(spec, "resources", |resources| {
        made(resources, "requests", |requests| {
            for (name, amount) in asked.iter().filter(|(name, _)| matches!(*name, "cpu" | "memory")) {
                requests.entry(name).or_insert_with(|| amount.to_string().into());
            }
            for (name, limit) in limits {
                if matches!(&*name, "cpu" | "memory") || name.starts_with("hugepages-") {
                    requests.entry(name).or_insert(limit);
                }
            }
        });
    });
}

fn host_ports(container: &mut Fields) {
    each(container, "ports", |port| {
        if is_blank(port.get("hostPort"))
            && let Some(own) = port.get("containerPort").cloned()
        {
            port.insert("hostPort".into(), own);
        }
    });
}
