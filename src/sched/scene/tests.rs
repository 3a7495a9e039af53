use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

use super::*;
use crate::sched::ResourceId;

fn read(items: &serde_json::Value) -> Result<Scene, String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Scene::read("c.json", &list.to_string()).map_err(|error| error.to_string())
}

fn pod(name: &str, node: Option<&str>, phase: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "ns", "name": name},
           "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
           "status": {"phase": phase}})
}

#[test]
fn a_list_becomes_nodes_with_pods_and_pods_that_wait() {
    let scene = read(&json!([
        pod("early", Some("n"), "Running"),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4"}}},
        pod("done", Some("n"), "Succeeded"),
        pod("failed", None, "Failed"),
        pod("waits", None, "Pending"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": {"team": "x"}}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"namespace": "ns", "name": "data"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ns", "name": "s"}},
        {"apiVersion": "example.com/v1", "kind": "Node", "metadata": {"name": "n"}},
    ]))
    .unwrap();
    let n = scene.snapshot.find("n").unwrap();
    assert_eq!(scene.snapshot.requested(ResourceId::CPU, n), 1000);
    assert_eq!(scene.snapshot.requested(ResourceId::PODS, n), 1);
    assert_eq!(scene.pending.iter().map(|pod| &*pod.key.name).collect::<Vec<_>>(), ["waits"]);
    assert_eq!(scene.snapshot.namespace_labels("ns")["team"], "x");
    assert!(scene.snapshot.catalog().get::<PersistentVolumeClaim>("ns", "data").is_some());
    assert_eq!(scene.ignored, BTreeMap::from([("Node".into(), 1), ("Secret".into(), 1)]));
    assert!(scene.find("ns", "early").is_some() && scene.find("ns", "done").is_none());
}

#[test]
fn several_lists_and_documents_are_one_scene() {
    let text = "apiVersion: v1\nkind: NodeList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n---\n\
                apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: b, containers: []}\n";
    let scene = Scene::read("c.yaml", text).unwrap();
    assert_eq!(scene.snapshot.nodes().len(), 2);
    assert!(scene.snapshot.placed("default/p").is_some());
}

#[test]
fn what_is_broken_says_where_and_why() {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    let refused = |item: serde_json::Value| read(&json!([node, item])).unwrap_err();
    assert_eq!(
        refused(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "m"}, "spec": {"unschedulable": "x"}})
        ),
        "c.json: document 1, item 2 (Node m): json: cannot unmarshal string into Go struct field \
         NodeSpec.spec.unschedulable of type bool"
    );
    assert_eq!(
        refused(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}})),
        "c.json: document 1, item 2 (Pod): metadata.name: Required value: name or generateName is required"
    );
    assert_eq!(refused(node.clone()), "c.json: document 1, item 2 (Node n): is there twice");
    let lots = refused(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "m"},
                              "status": {"allocatable": {"cpu": "lots"}}}));
    assert!(lots.starts_with("c.json: document 1, item 2 (Node m): quantities must match"), "{lots}");
    let cut = Scene::read("c.json", "{\"apiVersion\": ").unwrap_err().to_string();
    assert!(cut.starts_with("c.json: document 1, line 1: EOF"), "{cut}");
}
