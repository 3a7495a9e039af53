//! Managed fields on every other write: creates, updates, patches, subresources, and what the server does
//! of its own accord.
//!
//! What clients and controllers of Kubernetes leave behind is compared with what kube-apiserver (1.36)
//! records for the same objects.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::client::{ClientExt as _, Identity, PatchType, Payload, WriteOptions};
use windlass::cluster::{Cluster, Simulated};
use windlass::env::Env;

use super::apply_kit::*;
use super::server_crd::definition;
use super::server_kit::*;

const CONTAINER: &str = r#"{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}"#;

async fn second(kit: &Kit) {
    kit.server.env().clock.sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn creates_are_recorded_as_kube_apiserver_records_them() {
    let kit = kit().await;
    let cases = [
        ("configmaps", config_map("a"), r#"{"f:data":{".":{},"f:k":{}}}"#.to_owned()),
        (
            "namespaces",
            json!({"metadata": {"name": "spaces"}}),
            r#"{"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}"#.to_owned(),
        ),
        (
            "services",
            service("web"),
            r#"{"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}"#
                .to_owned(),
        ),
        (
            "pods",
            pod("a"),
            format!(
                r#"{{"f:spec":{{"f:containers":{{"k:{{\"name\":\"main\"}}":{CONTAINER}}},"f:dnsPolicy":{{}},"f:enableServiceLinks":{{}},"f:restartPolicy":{{}},"f:schedulerName":{{}},"f:securityContext":{{}},"f:terminationGracePeriodSeconds":{{}}}}}}"#
            ),
        ),
        (
            "deployments",
            deployment("web"),
            format!(
                r#"{{"f:spec":{{"f:progressDeadlineSeconds":{{}},"f:replicas":{{}},"f:revisionHistoryLimit":{{}},"f:selector":{{}},"f:strategy":{{"f:rollingUpdate":{{".":{{}},"f:maxSurge":{{}},"f:maxUnavailable":{{}}}},"f:type":{{}}}},"f:template":{{"f:metadata":{{"f:labels":{{".":{{}},"f:app":{{}}}}}},"f:spec":{{"f:containers":{{"k:{{\"name\":\"main\"}}":{CONTAINER}}},"f:dnsPolicy":{{}},"f:restartPolicy":{{}},"f:schedulerName":{{}},"f:securityContext":{{}},"f:terminationGracePeriodSeconds":{{}}}}}}}}}}"#
            ),
        ),
    ];
    for (plural, tree, fields) in cases {
        let namespace = if plural == "namespaces" { "" } else { "default" };
        let made = kit.create_with(namespace, plural, tree, by("kubectl-create")).await.unwrap();
        assert_eq!(owners_of(&made), [format!("Update kubectl-create {fields}")], "{plural}");
        let entry = &made["metadata"]["managedFields"][0];
        assert_eq!(entry["time"], made["metadata"]["creationTimestamp"]);
        assert_eq!(entry["fieldsType"], "FieldsV1");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_names_no_manager_is_known_by_their_program() {
    let kit = kit().await;
    let program = kit.acting_as(Identity::admin().agent("tool/v1.2 (linux/amd64)"));
    program.create("default", "configmaps", config_map("a")).await.unwrap();
    kit.create("default", "configmaps", config_map("b")).await.unwrap();
    let who = async |name: &str| {
        let tree = kit.get("default", &format!("configmaps/{name}")).await.unwrap();
        tree["metadata"]["managedFields"][0]["manager"].as_str().unwrap().to_owned()
    };
    assert_eq!((who("a").await.as_str(), who("b").await.as_str()), ("tool", "unknown"));
    // What the server makes itself is its own.
    for (namespace, path) in [("", "namespaces/default"), ("default", "services/kubernetes")] {
        let owners = kit.owners(namespace, path).await;
        assert!(owners.len() == 1 && owners[0].starts_with("Update kube-apiserver "), "{owners:?}");
    }
    let address = kit.names("", "ipaddresses").await.remove(0);
    assert_eq!(
        kit.owners("", &format!("ipaddresses/{address}")).await,
        [concat!(
            r#"Update kube-apiserver {"f:metadata":{"f:labels":{".":{},"f:ipaddress.kubernetes.io/ip-family":{},"#,
            r#""f:ipaddress.kubernetes.io/managed-by":{}}},"f:spec":{"f:parentRef":{".":{},"f:name":{},"#,
            r#""f:namespace":{},"f:resource":{}}}}"#
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn who_changes_a_field_takes_it_and_adds_it_to_what_they_had() {
    let kit = kit().await;
    kit.create_with("default", "configmaps", data("a", json!({"x": "1", "y": "1"})), by("maker"))
        .await
        .unwrap();
    second(&kit).await;
    kit.merge_as("editor", "default", "configmaps/a", json!({"data": {"x": "2"}})).await.unwrap();
    second(&kit).await;
    let json_patch = json!([{"op": "add", "path": "/data/z", "value": "1"}]);
    let patched =
        kit.patch("default", "configmaps/a", PatchType::Json, json_patch, by("editor")).await.unwrap();
    assert_eq!(
        owners_of(&patched),
        [r#"Update maker {"f:data":{".":{},"f:y":{}}}"#, r#"Update editor {"f:data":{"f:x":{},"f:z":{}}}"#]
    );
    let times: Vec<_> =
        patched["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["time"]).collect();
    assert_eq!(times[0], &patched["metadata"]["creationTimestamp"]);
    assert!(times[1].as_str() > times[0].as_str());
    // What is gone is nobody's.
    let left = kit.merge_as("editor", "default", "configmaps/a", json!({"data": {"y": null}})).await.unwrap();
    assert_eq!(
        owners_of(&left),
        [r#"Update maker {"f:data":{}}"#, r#"Update editor {"f:data":{"f:x":{},"f:z":{}}}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_is_owned_apart_and_cannot_say_who_owns_what() {
    let kit = kit().await;
    kit.apply("one", "default", "pods/a").send(pod("a")).await.unwrap();
    let before = kit.owners("default", "pods/a").await;
    let patch = json!({
        "metadata": {"managedFields": [{"manager": "forger", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:containers": {}}}}]},
        "spec": {"nodeName": "ignored"},
        "status": {"conditions": [{"type": "Mine", "status": "True"}], "phase": "Running"},
    });
    let written = kit.merge_as("agent", "default", "pods/a/status", patch).await.unwrap();
    let fields = concat!(
        r#"{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Mine\"}":{".":{},"f:lastProbeTime":{},"#,
        r#""f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:phase":{}}}"#
    );
    assert_eq!(owners_of(&written), [before[0].clone(), format!("Update agent/status {fields}")]);
    assert_eq!(written["metadata"]["managedFields"][1]["subresource"], "status");

    // An applied status is merged by its conditions' types, and refuses what another has set.
    let status = |phase: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"nodeName": "ignored"},
            "status": {"conditions": [{"type": "Other", "status": "True"}], "phase": phase}})
    };
    let refused = kit.apply("two", "default", "pods/a/status").send(status("Failed")).await;
    assert_eq!(
        conflicts(refused),
        pairs(&[("\"agent\" with subresource \"status\" using v1", ".status.phase")])
    );
    let merged = kit.apply("two", "default", "pods/a/status").send(status("Running")).await.unwrap();
    assert_eq!(merged["status"]["conditions"].as_array().unwrap().len(), 2);
    assert_eq!(merged["spec"].get("nodeName"), None);
    let missing = status_of(kit.apply("two", "default", "pods/b/status").send(status("Running")).await);
    assert_eq!((missing.code, missing.message.as_str()), (404, "pods \"b\" not found"));
}

#[tokio::test(start_paused = true)]
async fn acts_of_the_server_change_no_owner() {
    let kit = kit().await;
    kit.create_with("default", "pods", pod("a"), by("maker")).await.unwrap();
    let before = kit.owners("default", "pods/a").await;
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}});
    kit.create("default", "pods/a/binding", binding).await.unwrap();
    assert_eq!(kit.owners("default", "pods/a").await, before);
    kit.delete("default", "pods/a").await.unwrap();
    let going = kit.get("default", "pods/a").await.unwrap();
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(owners_of(&going), before);

    kit.create_with("", "namespaces", json!({"metadata": {"name": "spaces"}}), by("maker")).await.unwrap();
    let mut space = kit.get("", "namespaces/spaces").await.unwrap();
    space["spec"]["finalizers"] = json!(["kubernetes", "example.com/more"]);
    let finalized = kit.update_with("", "namespaces/spaces/finalize", space, by("controller")).await.unwrap();
    let owners = owners_of(&finalized);
    let finalizer = r#"Update controller/finalize {"f:spec":{"f:finalizers":{}}}"#;
    assert!(owners.len() == 2 && owners.iter().any(|owner| owner == finalizer), "{owners:?}");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_s_budget_is_counted_down_by_the_server() {
    let kit = kit().await;
    let mut pod = pod("a");
    pod["metadata"]["labels"] = json!({"app": "web"});
    kit.create_with("default", "pods", pod, by("maker")).await.unwrap();
    let running = json!({"status": {"phase": "Running"}});
    kit.merge_as("kubelet", "default", "pods/a/status", running).await.unwrap();
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 0,
        "selector": {"matchLabels": {"app": "web"}}}});
    kit.create_with("default", "poddisruptionbudgets", budget, by("maker")).await.unwrap();
    let status = json!({"status": {"disruptionsAllowed": 2, "observedGeneration": 1, "currentHealthy": 0}});
    kit.merge_as("controller", "default", "poddisruptionbudgets/b/status", status).await.unwrap();
    let eviction = json!({"metadata": {"name": "a"}});
    kit.create("default", "pods/a/eviction", eviction).await.unwrap();
    let owners = kit.owners("default", "poddisruptionbudgets/b").await;
    assert!(
        owners.contains(
            &r#"Update kube-apiserver/status {"f:status":{"f:disruptedPods":{".":{},"f:a":{}},"f:disruptionsAllowed":{}}}"#
                .to_owned()
        ),
        "{owners:?}"
    );
    // Zeros that were there, though nobody had written them, have not changed.
    assert!(
        owners.contains(&r#"Update controller/status {"f:status":{"f:observedGeneration":{}}}"#.to_owned()),
        "{owners:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn clients_may_reset_or_rewrite_owners_and_cannot_break_them() {
    let kit = kit().await;
    let reset = json!({"metadata": {"managedFields": [{}]}});
    let json_reset = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
    for (kind, patch) in
        [(PatchType::Merge, reset.clone()), (PatchType::StrategicMerge, reset), (PatchType::Json, json_reset)]
    {
        kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
        let cleared = kit.patch("default", "configmaps/a", kind, patch, by("two")).await.unwrap();
        assert_eq!(cleared["metadata"].get("managedFields"), None, "{kind:?}");
        assert_eq!(cleared["data"], json!({"k": "v"}));
        kit.delete("default", "configmaps/a").await.unwrap();
    }
    // By an update, too; and who is not tracked stays so until somebody applies.
    kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    let mut tree = config_map("a");
    tree["metadata"]["managedFields"] = json!([]);
    let cleared = kit.update_with("default", "configmaps/a", tree, by("two")).await.unwrap();
    assert_eq!(cleared["metadata"].get("managedFields"), None);
    let more = json!({"metadata": {"labels": {"l": "v"}}});
    let still = kit.merge_as("two", "default", "configmaps/a", more).await.unwrap();
    assert_eq!(still["metadata"].get("managedFields"), None);
    let applied = kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    assert_eq!(
        owners_of(&applied),
        [
            r#"Apply one {"f:data":{"f:k":{}}}"#,
            r#"Update before-first-apply {"f:data":{".":{},"f:k":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#,
        ]
    );

    // One who applied under another name before may be renamed.
    let mut renamed = applied.clone();
    renamed["metadata"]["managedFields"][1]["manager"] = "renamed".into();
    let renamed = kit.update_with("default", "configmaps/a", renamed, by("admin")).await.unwrap();
    let names: Vec<_> =
        owners_of(&renamed).iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(names, ["one", "renamed"]);

    // What cannot be read is passed over, in a create, an update and a patch.
    let broken = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "time": "2019-07-08T09:31:18Z",
        "fieldsType": "", "fieldsV1": {}}]);
    let mut tree = config_map("b");
    tree["metadata"]["managedFields"] = broken.clone();
    let made = kit.create_with("default", "configmaps", tree.clone(), by("two")).await.unwrap();
    let own = [r#"Update two {"f:data":{".":{},"f:k":{}}}"#];
    assert_eq!(owners_of(&made), own);
    assert_eq!(owners_of(&kit.update_with("default", "configmaps/b", tree, by("three")).await.unwrap()), own);
    let patch = json!({"metadata": {"managedFields": broken}});
    assert_eq!(owners_of(&kit.merge_as("three", "default", "configmaps/b", patch).await.unwrap()), own);
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_ten_who_update_have_entries_of_their_own() {
    let kit = kit().await;
    let webhook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "a", "labels": {"applier": "true"}}});
    kit.apply("one", "", "validatingwebhookconfigurations/a").send(webhook).await.unwrap();
    for number in 0..20 {
        second(&kit).await;
        let who = format!("updater{number}");
        let patch = json!({"metadata": {"labels": {who.as_str(): "new"}}});
        kit.merge_as(&who, "", "validatingwebhookconfigurations/a", patch).await.unwrap();
    }
    let owners = kit.owners("", "validatingwebhookconfigurations/a").await;
    assert_eq!(owners.len(), 11, "{owners:#?}");
    assert!(owners[0].starts_with("Apply one "));
    assert!(owners[1].starts_with("Update ancient-changes "));
    assert_eq!(owners[1].matches("f:updater").count(), 11);
}

#[tokio::test(start_paused = true)]
async fn what_kubectl_applied_from_its_side_it_may_apply_from_the_server_s() {
    let kit = kit().await;
    let last = deployment("web").to_string();
    let mut tree = deployment("web");
    tree["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    kit.create_with("default", "deployments", tree, by("kubectl-client-side-apply")).await.unwrap();
    // What the annotation holds may be changed without a conflict, and the annotation follows.
    let mut config = deployment("web");
    config["spec"]["replicas"] = 4.into();
    let applied = kit.apply("kubectl", "default", "deployments/web").send(config.clone()).await.unwrap();
    assert_eq!(applied["spec"]["replicas"], 4);
    let annotation = &applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let annotated: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    assert_eq!(annotated["spec"]["replicas"], 4);
    // For anybody else it is one.
    config["spec"]["replicas"] = 5.into();
    assert!(!conflicts(kit.apply("other", "default", "deployments/web").send(config).await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_updates_what_was_applied_to_a_whole_map_owns_it() {
    let kit = kit().await;
    // Events in both groups are one object; owners' fields are of the version that wrote them.
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "a"}, "reason": "Tested", "message": "m",
        "type": "Normal"});
    let core = windlass::client::Target {
        resource: windlass::api::GroupVersionResource::gvr("", "v1", "events"),
        namespace: Some("default".into()),
        name: None,
        subresource: None,
    };
    kit.client.create(core.clone(), Payload::Tree(event), by("core")).await.unwrap();
    let mut new = core.clone().name("e");
    new.resource = windlass::api::GroupVersionResource::gvr("events.k8s.io", "v1", "events");
    let patch = windlass::client::Patch {
        kind: PatchType::Merge,
        body: json!({"note": "n"}).to_string().into(),
        force: false,
    };
    let patched = shown(&kit.client.patch(new, patch, by("new")).await.unwrap());
    let entries = patched["metadata"]["managedFields"].as_array().unwrap();
    let versions: Vec<_> = entries.iter().map(|entry| entry["apiVersion"].as_str().unwrap()).collect();
    assert_eq!(versions, ["v1", "events.k8s.io/v1"]);
    assert_eq!(entries[1]["fieldsV1"], json!({"f:note": {}}));
    assert!(entries[0]["fieldsV1"].get("f:message").is_none(), "{}", entries[0]);
    assert!(entries[0]["fieldsV1"].get("f:reason").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_is_owned_by_entry_and_its_lists_as_a_whole() {
    let kit = placed_kit(&["ns"]).await;
    let slot = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Slot", "metadata": {"name": "a"}, "spec": spec});
    let made =
        kit.apply("one", "ns", "slots/a").send(slot(json!({"nodeName": "n", "list": [1]}))).await.unwrap();
    assert_eq!(owners_of(&made), [r#"Apply one {"f:spec":{"f:list":{},"f:nodeName":{}}}"#]);
    second(&kit).await;
    let again =
        kit.apply("one", "ns", "slots/a").send(slot(json!({"nodeName": "n", "list": [1]}))).await.unwrap();
    assert_eq!(again, made);
    let shared = kit.apply("two", "ns", "slots/a").send(slot(json!({"other": {"x": true}}))).await.unwrap();
    assert_eq!(shared["spec"], json!({"nodeName": "n", "list": [1], "other": {"x": true}}));
    let refused = kit.apply("two", "ns", "slots/a").send(slot(json!({"list": [1, 2]}))).await;
    assert_eq!(conflicts(refused), pairs(&[("\"one\"", ".spec.list")]));
    let left = kit.apply("one", "ns", "slots/a").send(slot(json!({}))).await.unwrap();
    assert_eq!(left["spec"], json!({"other": {"x": true}}));
    let made = kit.create_with("ns", "slots", slot(json!({"nodeName": "n"})), by("maker")).await;
    assert_eq!(status_of(made).reason, "AlreadyExists");
    let mut other = slot(json!({"nodeName": "n"}));
    other["metadata"]["name"] = "b".into();
    let made = kit.create_with("ns", "slots", other, by("maker")).await.unwrap();
    assert_eq!(owners_of(&made), [r#"Update maker {"f:spec":{".":{},"f:nodeName":{}}}"#]);
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_custom_resource_are_owned_as_its_definition_says() {
    let kit = kit().await;
    let item = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "weight": {"type": "integer"}, "note": {"type": "string"}}});
    let spec = json!({
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": item},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "steps": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
    });
    kit.create("", "customresourcedefinitions", definition("engines", "Engine", spec)).await.unwrap();
    let engine = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Engine", "metadata": {"name": "a"}, "spec": spec});
    let apply =
        async |who: &str, spec: Value| kit.apply(who, "default", "engines/a").send(engine(spec)).await;
    let one =
        json!({"parts": [{"name": "p", "weight": 1}], "tags": ["x"], "steps": ["s"], "whole": {"a": "1"}});
    let made = apply("one", one).await.unwrap();
    assert_eq!(
        owners_of(&made),
        [concat!(
            r#"Apply one {"f:spec":{"f:parts":{"k:{\"name\":\"p\"}":{".":{},"f:name":{},"f:weight":{}}},"#,
            r#""f:steps":{},"f:tags":{"v:\"x\"":{}},"f:whole":{}}}"#
        )]
    );
    // Another's entries stand beside; what is a whole is a conflict.
    let beside = json!({"parts": [{"name": "p", "note": "n"}, {"name": "q"}], "tags": ["y", "x"]});
    let both = apply("two", beside).await.unwrap();
    assert_eq!(both["spec"]["parts"], json!([{"name": "p", "weight": 1, "note": "n"}, {"name": "q"}]));
    assert_eq!(both["spec"]["tags"], json!(["y", "x"]));
    let whole = apply("two", json!({"steps": ["t"], "whole": {"b": "2"}})).await;
    assert_eq!(conflicts(whole), pairs(&[("\"one\"", ".spec.steps"), ("\"one\"", ".spec.whole")]));
    let weight = apply("two", json!({"parts": [{"name": "p", "weight": 2}]})).await;
    assert_eq!(conflicts(weight), pairs(&[("\"one\"", ".spec.parts[name=\"p\"].weight")]));
    // What one no longer applies goes, unless another does.
    let left = apply("one", json!({"steps": ["s"]})).await.unwrap();
    assert_eq!(
        left["spec"],
        json!({"parts": [{"name": "p", "note": "n"}, {"name": "q"}], "tags": ["y", "x"], "steps": ["s"]})
    );
}

#[tokio::test(start_paused = true)]
async fn controllers_in_process_leave_what_kubernetes_own_leave() {
    let cluster = Cluster::builder()
        .nodes(1)
        .machines(Simulated::default())
        .env(Env::simulated(5))
        .start()
        .await
        .unwrap();
    let client = cluster.client();
    let scheme = cluster.server().scheme();
    let at = |kind: &str| {
        let row = scheme.iter().find(|row| row.kind == kind).unwrap();
        windlass::client::Target::all(row).namespace(if row.namespaced() { "default" } else { "" })
    };
    let mut web = deployment("web");
    web["spec"]["replicas"] = 1.into();
    client.create(at("Deployment"), Payload::Tree(web), WriteOptions::default()).await.unwrap();
    let pod = loop {
        let list = client.list(at("Pod"), Default::default()).await.unwrap();
        let ready = list.items.into_iter().map(|pod| shown(&pod)).find(|pod| {
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
        match ready {
            Some(pod) => break pod,
            None => cluster.env().clock.sleep(Duration::from_millis(50)).await,
        }
    };
    let owners = owners_of(&pod);
    assert_eq!(owners.len(), 2, "{owners:#?}");
    let uid = pod["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap();
    assert_eq!(
        owners[0],
        format!(
            r#"Update kube-controller-manager {{"f:metadata":{{"f:generateName":{{}},"f:labels":{{".":{{}},"f:app":{{}},"f:pod-template-hash":{{}}}},"f:ownerReferences":{{".":{{}},"k:{{\"uid\":\"{uid}\"}}":{{}}}}}},"f:spec":{{"f:containers":{{"k:{{\"name\":\"main\"}}":{CONTAINER}}},"f:dnsPolicy":{{}},"f:enableServiceLinks":{{}},"f:restartPolicy":{{}},"f:schedulerName":{{}},"f:securityContext":{{}},"f:terminationGracePeriodSeconds":{{}}}}}}"#
        )
    );
    assert!(owners[1].starts_with(r#"Update kubelet/status {"f:status":{"f:conditions":{"#), "{}", owners[1]);
    for field in ["f:containerStatuses", "f:hostIP", "f:phase", "f:podIP", "f:podIPs", "f:startTime"] {
        assert!(owners[1].contains(&format!("\"{field}\":")), "{field}: {}", owners[1]);
    }
    let web = shown(&client.get(at("Deployment").name("web")).await.unwrap());
    let who: Vec<_> =
        owners_of(&web).iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    // Within one second they stand by their names.
    for expected in ["Update windlass", "Update kube-controller-manager/status"] {
        assert!(who.iter().any(|one| one == expected), "{:#?}", owners_of(&web));
    }
    assert_eq!(who.len(), 2);
    // A node reports its status with its registration, and then every five minutes.
    cluster.env().clock.sleep(Duration::from_secs(310)).await;
    let node = shown(&client.list(at("Node"), Default::default()).await.unwrap().items[0]);
    assert!(owners_of(&node).iter().any(|line| line.starts_with("Update kubelet/status ")), "{node}");
    cluster.shutdown().await;
}
