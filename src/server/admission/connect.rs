//! What a connection is asked with, as an object.

use serde_json::{Map, Value, json};

use crate::api::GroupVersionKind;
use crate::client::Target;
use crate::client::wire::Query;

/// The options' kind, and which of them are switches, texts, lists of texts, and lists of numbers.
struct Options {
    kind: &'static str,
    switches: &'static [&'static str],
    texts: &'static [&'static str],
    lists: &'static [&'static str],
    numbers: &'static [&'static str],
}

const STREAMS: &[&str] = &["stdin", "stdout", "stderr", "tty"];

/// The options' kinds by resource and subresource.
///
/// Source: `NewConnectOptions` in `pkg/registry/core/{pod,node,service}` (1.36); exec and attach write
/// their output by default.
const KINDS: &[((&str, &str), Options)] = &[
    (
        ("pods", "exec"),
        Options {
            kind: "PodExecOptions",
            switches: STREAMS,
            texts: &["container"],
            lists: &["command"],
            numbers: &[],
        },
    ),
    (
        ("pods", "attach"),
        Options {
            kind: "PodAttachOptions",
            switches: STREAMS,
            texts: &["container"],
            lists: &[],
            numbers: &[],
        },
    ),
    (
        ("pods", "portforward"),
        Options { kind: "PodPortForwardOptions", switches: &[], texts: &[], lists: &[], numbers: &["ports"] },
    ),
    (("pods", "proxy"), proxy("PodProxyOptions")),
    (("services", "proxy"), proxy("ServiceProxyOptions")),
    (("nodes", "proxy"), proxy("NodeProxyOptions")),
];

const fn proxy(kind: &'static str) -> Options {
    Options { kind, switches: &[], texts: &["path"], lists: &[], numbers: &[] }
}

/// The options of a connection, with their kind; none for what is no connection.
pub(super) fn of(target: &Target, query: &str) -> Option<(GroupVersionKind, Value)> {
    let asked = (target.resource.resource.as_str(), target.subresource.as_deref()?);
    let (_, options) = KINDS.iter().find(|(own, _)| *own == asked)?;
    let parsed = Query::parse(query);
    let all = |name: &str| -> Vec<String> {
        form_urlencoded::parse(query.as_bytes())
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    };
    let mut tree = Map::new();
    tree.insert("apiVersion".into(), "v1".into());
    tree.insert("kind".into(), options.kind.into());
    for name in options.switches.iter().filter(|name| parsed.flag(name)) {
        tree.insert((*name).into(), true.into());
    }
    for name in options.texts {
        if let Some(value) = parsed.get(name).filter(|value| !value.is_empty()) {
            tree.insert((*name).into(), value.into());
        }
    }
    for name in options.lists {
        tree.insert((*name).into(), json!(all(name)));
    }
    for name in options.numbers {
        // kubectl and others send them in one text, or one after another.
        let numbers: Vec<i64> =
            all(name).iter().flat_map(|text| text.split(',')).filter_map(|text| text.parse().ok()).collect();
        tree.insert((*name).into(), json!(numbers));
    }
    Some((GroupVersionKind::gvk("", "v1", options.kind), Value::Object(tree)))
}

#[cfg(test)]
mod tests {
    use kube_core::GroupVersionResource;

    use super::*;

    #[test]
    fn queries_are_read_as_their_options() {
        let shown = |plural: &str, subresource: &str, query: &str| {
            let target = Target {
                resource: GroupVersionResource::gvr("", "v1", plural),
                namespace: None,
                name: Some("a".into()),
                subresource: Some(subresource.into()),
            };
            of(&target, query).map(|(_, tree)| tree)
        };
        assert_eq!(
            shown("pods", "exec", "command=sh&command=-c&stdin=true&tty=false&container=web"),
            Some(json!({"apiVersion": "v1", "kind": "PodExecOptions", "stdin": true, "container": "web",
                "command": ["sh", "-c"]}))
        );
        assert_eq!(
            shown("pods", "portforward", "ports=80,81&ports=82"),
            Some(json!({"apiVersion": "v1", "kind": "PodPortForwardOptions", "ports": [80, 81, 82]}))
        );
        assert_eq!(shown("pods", "status", ""), None);
    }
}
