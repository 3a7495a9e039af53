//! What a scope, a name and selectors choose, in lists and in watches, while objects come, move in and out
//! of them and go.
//!
//! The cases are those of `RunTestClusterScopedWatch`, `RunTestNamespaceScopedWatch`, `RunTestWatch` and
//! `RunTestNamespaceScopedList` of `k8s.io/apiserver/pkg/storage/testing` (1.36), each with a deletion at
//! its end. Their pods are slots here (racks in cluster scope), for a pod stays on its node.

use std::collections::BTreeMap;

use windlass::client::{ClientExt as _, WatchEvent};

use super::server_kit::*;

/// A watch, of all namespaces and names where none is given.
struct Row {
    story: &'static str,
    namespace: &'static str,
    name: &'static str,
    fields: &'static str,
    labels: &'static str,
    /// Which object becomes what (`base`, `updated`, `gone`, or on which node it is), and what is told of
    /// it: `A`, `M` or `D`, or nothing.
    steps: &'static str,
}

const ROW: Row = Row { story: "", namespace: "", name: "", fields: "", labels: "", steps: "" };

async fn follow(plural: &str, row: &Row) {
    let kit = placed_kit(&["ns1", "ns2"]).await;
    let mut target = kit.at(row.namespace, plural);
    if !row.name.is_empty() {
        target = target.name(row.name);
    }
    let from = kit.list("", plural, list_options(|_| {})).await.unwrap().revision;
    let options = watch_options(|options| {
        options.fields = row.fields.parse().unwrap();
        options.labels = row.labels.parse().unwrap();
        options.resource_version = Some(from);
    });
    let mut watch = kit.client.watch(target, options).await.unwrap();
    let mut states = BTreeMap::new();
    for step in row.steps.split("; ") {
        let story = format!("{}: {step}", row.story);
        let [key, put, expected @ ..] = &step.split(' ').collect::<Vec<_>>()[..] else { panic!("{story}") };
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        let path = format!("{plural}/{name}");
        let before = states.remove(key);
        let now = if *put == "gone" {
            kit.delete(namespace, &path).await.unwrap();
            None
        } else {
            let mut tree = placed(name, if matches!(*put, "base" | "updated") { "" } else { put });
            tree["metadata"]["labels"]["is"] = (*put).into();
            Some(kit.put(namespace, &path, tree).await)
        };
        let revision = now.as_ref().map_or(kit.revision().await, |now| now.revision());
        // What is gone for the watcher is shown as it was, at the revision at which it went.
        let was = before.map(|before: windlass::api::Object| before.at(revision));
        let told = told(&kit, plural, &mut watch).await;
        let shown: Vec<_> = told
            .iter()
            .map(|event| match event.as_ref().unwrap() {
                WatchEvent::Added(shown) => ("A", Some(shown) == now.as_ref()),
                WatchEvent::Modified(shown) => ("M", Some(shown) == now.as_ref()),
                WatchEvent::Deleted(shown) => ("D", Some(shown) == was.as_ref()),
                other => panic!("{story}: {other:?}"),
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|kind| (*kind, true)).collect();
        assert_eq!(shown, expected, "{story}");
        states.extend(now.map(|now| (*key, now)));
    }
}

#[tokio::test(start_paused = true)]
async fn watches_in_cluster_scope_tell_what_came_to_be_for_them() {
    let rows = [
        Row {
            story: "everything",
            steps: "foo1 base A; foo1 updated M; foo2 bar1 A; foo1 gone D; foo2 gone D",
            ..ROW
        },
        Row {
            story: "a node",
            fields: "spec.nodeName=bar1",
            steps: "foo1 base; foo1 bar1 A; foo1 bar2 D; foo1 bar1 A; foo1 gone D",
            ..ROW
        },
        Row {
            story: "any other node",
            fields: "spec.nodeName!=bar1",
            steps: "foo1 base A; foo2 base A; foo1 updated M; foo1 bar1 D; foo1 gone; foo2 gone D",
            ..ROW
        },
        Row {
            story: "a name",
            name: "foo1",
            fields: "metadata.name=foo1",
            steps: "foo1 base A; foo2 base; foo1 updated M; foo2 updated; foo2 gone; foo1 gone D",
            ..ROW
        },
        Row {
            story: "a name and a node",
            name: "foo1",
            fields: "metadata.name=foo1,spec.nodeName=bar1",
            steps: "foo1 base; foo2 base; foo1 updated; foo2 updated; foo1 bar1 A; foo2 bar1; \
                foo1 base D; foo1 gone",
            ..ROW
        },
        Row {
            story: "a name and any other node",
            name: "foo1",
            fields: "metadata.name=foo1,spec.nodeName!=bar1",
            steps: "foo1 base A; foo2 base; foo1 updated M; foo1 bar1 D; foo2 bar1; foo1 gone",
            ..ROW
        },
    ];
    for row in rows {
        follow("racks", &row).await;
    }
}

#[tokio::test(start_paused = true)]
async fn watches_of_namespaces_tell_what_came_to_be_for_them() {
    let rows = [
        Row {
            story: "t1: everything",
            steps: "ns1/foo1 base A; ns2/foo2 base A; ns1/foo1 updated M; ns2/foo2 updated M; \
                ns2/foo2 gone D",
            ..ROW
        },
        Row {
            story: "t2: a namespace, by selector",
            fields: "metadata.namespace=ns1",
            steps: "ns1/foo1 base A; ns2/foo1 base; ns1/foo1 updated M; ns2/foo1 updated; ns2/foo1 gone; \
                ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t3: a node",
            fields: "spec.nodeName=bar1",
            steps: "ns1/foo1 base; ns2/foo2 base; ns1/foo1 bar1 A; ns2/foo2 bar1 A; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t4: any other node",
            fields: "spec.nodeName!=bar1",
            steps: "ns1/foo1 base A; ns1/foo2 base A; ns1/foo1 updated M; ns1/foo1 bar1 D; ns1/foo1 gone",
            ..ROW
        },
        Row {
            story: "t5: in a namespace",
            namespace: "ns1",
            steps: "ns1/foo1 base A; ns2/foo1 base; ns1/foo2 base A; ns1/foo1 updated M; \
                ns2/foo1 updated; ns2/foo1 gone; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t6: in a namespace, and the same by selector",
            namespace: "ns1",
            fields: "metadata.namespace=ns1",
            steps: "ns1/foo1 base A; ns2/foo1 base; ns1/foo1 updated M; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t7: in a namespace, and another by selector",
            namespace: "ns1",
            fields: "metadata.namespace=ns2",
            steps: "ns1/foo1 base; ns2/foo1 base; ns1/foo1 updated; ns2/foo1 updated; ns1/foo1 gone; \
                ns2/foo1 gone",
            ..ROW
        },
        Row {
            story: "t8: in a namespace, a node",
            namespace: "ns1",
            fields: "spec.nodeName=bar2",
            steps: "ns1/foo1 base; ns1/foo1 bar1; ns2/foo1 bar2; ns1/foo1 bar2 A; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t9: in a namespace, any other node",
            namespace: "ns2",
            fields: "spec.nodeName!=bar1",
            steps: "ns1/foo1 base; ns2/foo1 base A; ns2/foo1 bar1 D; ns2/foo1 bar2 A; ns2/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t10: a name in all namespaces",
            name: "foo1",
            fields: "metadata.name=foo1",
            steps: "ns1/foo1 base A; ns2/foo1 base A; ns1/foo2 base; ns1/foo1 updated M; ns1/foo1 bar1 M; \
                ns1/foo2 gone; ns2/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t11: a name and a namespace, by selector",
            name: "foo1",
            fields: "metadata.name=foo1,metadata.namespace=ns1",
            steps: "ns1/foo1 base A; ns1/foo2 base; ns2/foo1 base; ns1/foo1 updated M; ns1/foo1 bar1 M; \
                ns2/foo1 gone; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t12: a name and a node",
            name: "foo1",
            fields: "metadata.name=foo1,spec.nodeName=bar1",
            steps: "ns1/foo1 base; ns1/foo1 updated; ns1/foo1 bar1 A; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t15: a name and any other node",
            name: "foo1",
            fields: "metadata.name=foo1,spec.nodeName!=bar1",
            steps: "ns1/foo1 base A; ns1/foo2 base; ns1/foo1 updated M; ns1/foo1 bar1 D; ns1/foo1 bar2 A; \
                ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t16: in a namespace, a name",
            namespace: "ns1",
            name: "foo1",
            fields: "metadata.name=foo1",
            steps: "ns1/foo1 base A; ns1/foo2 base; ns1/foo1 updated M; ns1/foo1 bar1 M; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t17: in a namespace, a name and the namespace by selector",
            namespace: "ns1",
            name: "foo2",
            fields: "metadata.name=foo2,metadata.namespace=ns1",
            steps: "ns1/foo1 base; ns1/foo2 base A; ns1/foo1 updated; ns1/foo2 bar1 M; ns1/foo1 gone; \
                ns1/foo2 gone D",
            ..ROW
        },
        Row {
            story: "t18: all of them",
            namespace: "ns1",
            name: "foo1",
            fields: "metadata.name=foo1,metadata.namespace=ns1,spec.nodeName=bar1",
            steps: "ns1/foo1 base; ns1/foo2 base; ns2/foo1 base; ns1/foo1 updated; ns1/foo1 bar1 A; \
                ns2/foo1 bar1; ns1/foo1 gone D",
            ..ROW
        },
        Row {
            story: "t19: all of them, and any other node",
            namespace: "ns1",
            name: "foo2",
            fields: "metadata.name=foo2,metadata.namespace=ns1,spec.nodeName!=bar1",
            steps: "ns1/foo1 base; ns2/foo2 base; ns1/foo2 base A; ns1/foo2 updated M; ns1/foo2 bar1 D; \
                ns1/foo2 gone",
            ..ROW
        },
        Row {
            story: "a label",
            namespace: "ns1",
            labels: "is=bar1",
            steps: "ns1/foo1 bar1 A; ns1/foo1 base D; ns1/foo1 bar1 A; ns2/foo1 bar1; ns1/foo1 gone D",
            ..ROW
        },
    ];
    for row in rows {
        follow("slots", &row).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_hold_what_is_selected() {
    let kit = placed_kit(&["ns1", "ns2", "ns3", "ns11"]).await;
    let nodes = [
        ("ns1/foo1", ""),
        ("ns1/foo2", "bar1"),
        ("ns1/foo22", "bar2"),
        ("ns11/foo1", ""),
        ("ns11/foo2", "bar1"),
        ("ns2/foo1", "bar1"),
        ("ns2/foo2", "bar2"),
        ("ns3/foo1", "bar2"),
    ];
    for (key, node) in nodes {
        let (namespace, name) = key.split_once('/').unwrap();
        kit.put(namespace, &format!("slots/{name}"), placed(name, node)).await;
    }
    let all: Vec<_> = nodes.iter().map(|(key, _)| *key).collect();
    let rows: [(&str, &str, &[&str]); 20] = [
        ("", "", &all),
        ("", "metadata.namespace=ns1", &["ns1/foo1", "ns1/foo2", "ns1/foo22"]),
        ("", "metadata.namespace!=ns1,spec.nodeName=bar1", &["ns11/foo2", "ns2/foo1"]),
        ("", "spec.nodeName=bar1", &["ns1/foo2", "ns11/foo2", "ns2/foo1"]),
        ("", "spec.nodeName!=bar1", &["ns1/foo1", "ns1/foo22", "ns11/foo1", "ns2/foo2", "ns3/foo1"]),
        ("ns1", "", &["ns1/foo1", "ns1/foo2", "ns1/foo22"]),
        ("ns1", "metadata.namespace=ns1", &["ns1/foo1", "ns1/foo2", "ns1/foo22"]),
        ("ns1", "metadata.namespace=ns2", &[]),
        ("ns1", "spec.nodeName=bar2", &["ns1/foo22"]),
        ("ns2", "spec.nodeName!=bar1", &["ns2/foo2"]),
        ("", "metadata.name=foo1", &["ns1/foo1", "ns11/foo1", "ns2/foo1", "ns3/foo1"]),
        ("", "metadata.name=foo1,metadata.namespace=ns1", &["ns1/foo1"]),
        ("", "metadata.name=foo1,spec.nodeName=bar1", &["ns2/foo1"]),
        ("", "metadata.name=foo1,spec.nodeName!=bar1", &["ns1/foo1", "ns11/foo1", "ns3/foo1"]),
        ("ns1", "metadata.name=foo2", &["ns1/foo2"]),
        ("ns1", "metadata.name=foo", &[]),
        ("ns1", "metadata.name=foo1,metadata.namespace=ns1", &["ns1/foo1"]),
        ("ns2", "metadata.name=foo2,metadata.namespace=ns2,spec.nodeName=bar2", &["ns2/foo2"]),
        ("ns2", "metadata.name=foo1,metadata.namespace=ns2,spec.nodeName!=bar2", &["ns2/foo1"]),
        ("none", "", &[]),
    ];
    for (namespace, fields, expected) in rows {
        let options = list_options(|options| options.fields = fields.parse().unwrap());
        let list = kit.list(namespace, "slots", options).await.unwrap();
        let keys: Vec<_> = list.items.iter().map(|object| object.key().to_string()).collect();
        assert_eq!(keys, expected, "{namespace:?}, {fields:?}");
    }
}
