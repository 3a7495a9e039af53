//! Services, volumes, secrets, namespaces and nodes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Fields, absent, amounts, blank, child, each, made, text};

/// A Service. Addresses and node ports are the server's to hand out.
pub fn service(object: &mut Fields) {
    let mut balances = false;
    child(object, "spec", |spec| {
        blank(spec, "sessionAffinity", "None");
        match text(spec, "sessionAffinity") {
            "None" => {
                spec.remove("sessionAffinityConfig");
            }
            "ClientIP" => made(spec, "sessionAffinityConfig", |config| {
                made(config, "clientIP", |client| absent(client, "timeoutSeconds", 10_800));
            }),
            _ => {}
        }
        blank(spec, "type", "ClusterIP");
        each(spec, "ports", |port| {
            blank(port, "protocol", "TCP");
            if let Some(own) = port.get("port").cloned() {
                blank(port, "targetPort", own);
            }
        });
        let kind = text(spec, "type").to_owned();
        let balanced = kind == "LoadBalancer";
        let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
        if balanced || kind == "NodePort" || (kind == "ClusterIP" && external) {
            blank(spec, "externalTrafficPolicy", "Cluster");
        }
        if matches!(&*kind, "ClusterIP" | "NodePort" | "LoadBalancer") {
            absent(spec, "internalTrafficPolicy", "Cluster");
        }
        balances = balanced;
        if balanced {
            absent(spec, "allocateLoadBalancerNodePorts", true);
        }
    });
    absent(object, "status", json!({"loadBalancer": {}}));
    if !balances {
        return;
    }
    child(object, "status", |status| {
        child(status, "loadBalancer", |balancer| {
            each(balancer, "ingress", |ingress| {
                if !text(ingress, "ip").is_empty() {
                    absent(ingress, "ipMode", "VIP");
                }
            });
        });
    });
}

/// An Endpoints.
pub fn endpoints(object: &mut Fields) {
    each(object, "subsets", |subset| each(subset, "ports", |port| blank(port, "protocol", "TCP")));
}

/// An EndpointSlice.
pub fn endpoint_slice(object: &mut Fields) {
    each(object, "ports", |port| {
        absent(port, "name", "");
        absent(port, "protocol", "TCP");
    });
}

/// A Secret. `stringData` is only ever written: what is in it goes over into `data`.
pub fn secret(object: &mut Fields) {
    blank(object, "type", "Opaque");
    match object.remove("stringData") {
        Some(Value::Object(plain)) if plain.values().all(Value::is_string) => made(object, "data", |data| {
            for (key, value) in plain {
                let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
                data.insert(key, encoded.into());
            }
        }),
        None | Some(Value::Null) => {}
        // Of the wrong type: for validation to see.
        Some(other) => {
            object.insert("stringData".into(), other);
        }
    }
}

/// A Namespace.
pub fn namespace(object: &mut Fields) {
    child(object, "metadata", |metadata| {
        let name = text(metadata, "name").to_owned();
        if !name.is_empty() {
            made(metadata, "labels", |labels| {
                labels.insert("kubernetes.io/metadata.name".into(), name.into());
            });
        }
    });
    made(object, "status", |status| blank(status, "phase", "Active"));
}

/// A Node: what it has is what it gives.
pub fn node(object: &mut Fields) {
    child(object, "status", |status| {
        amounts(status, "capacity");
        amounts(status, "allocatable");
        if let Some(capacity) = status.get("capacity").cloned() {
            absent(status, "allocatable", capacity);
        }
    });
}

/// A LimitRange: what a container is given by default is what it may have at most, and what it asks for by
/// default is what it is given, or else what it must have at least.
pub fn limit_range(object: &mut Fields) {
    child(object, "spec", |spec| {
        each(spec, "limits", |item| {
            let lists = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
            lists.into_iter().for_each(|list| amounts(item, list));
            if text(item, "type") == "Container" {
                for (target, source) in
                    [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
                {
                    fill(item, target, source);
                }
            }
        });
    });
}

/// Takes over the entries of another map that are absent here.
fn fill(fields: &mut Fields, target: &str, source: &str) {
    let Some(Value::Object(source)) = fields.get(source).cloned() else { return };
    if source.is_empty() {
        return;
    }
    made(fields, target, |target| source.into_iter().for_each(|(name, value)| absent(target, &name, value)));
}

/// A ResourceQuota.
pub fn resource_quota(object: &mut Fields) {
    child(object, "spec", |spec| amounts(spec, "hard"));
    child(object, "status", |status| ["hard", "used"].into_iter().for_each(|list| amounts(status, list)));
}

/// A PersistentVolume.
pub fn persistent_volume(object: &mut Fields) {
    child(object, "spec", |spec| {
        amounts(spec, "capacity");
        blank(spec, "persistentVolumeReclaimPolicy", "Retain");
        absent(spec, "volumeMode", "Filesystem");
    });
    made(object, "status", |status| blank(status, "phase", "Pending"));
}

/// A PersistentVolumeClaim.
pub fn persistent_volume_claim(object: &mut Fields) {
    child(object, "spec", claim_spec);
    made(object, "status", |status| {
        blank(status, "phase", "Pending");
        ["capacity", "allocatedResources"].into_iter().for_each(|list| amounts(status, list));
    });
}

pub(super) fn claim_spec(spec: &mut Fields) {
    absent(spec, "volumeMode", "Filesystem");
    child(spec, "resources", |resources| {
        amounts(resources, "requests");
        amounts(resources, "limits");
    });
}
