//! A store that a kube-apiserver has filled, opened and gone on with; and what it would find afterwards.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass::api::schema::encode_protobuf;
use windlass::client::{ClientExt, Identity, ListOptions, Target};
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::store::{KeyRange, MemoryStore, ObjectStore, ObjectStoreExt};

use crate::server_kit::{Kit, config_map, pod, service, status_of};

/// How protobuf begins.
const PROTOBUF_MAGIC: &[u8] = b"k8s\0";

/// What a kube-apiserver has left: built-in objects in protobuf, custom ones in JSON, and keys that are no
/// resource's.
async fn filled() -> MemoryStore {
    let store = MemoryStore::new();
    let meta = |namespace: &str, name: &str| {
        let mut meta = json!({"name": name, "uid": format!("uid-of-{name}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {}}}]});
        if !namespace.is_empty() {
            meta["namespace"] = namespace.into();
        }
        meta
    };
    let namespace = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta("", name),
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    };
    let built_in = [
        ("/registry/namespaces/default", namespace("default")),
        ("/registry/namespaces/kube-system", namespace("kube-system")),
        ("/registry/namespaces/shop", namespace("shop")),
        (
            "/registry/pods/shop/web",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta("shop", "web"),
                "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}],
                    "serviceAccountName": "default", "priority": 0, "tolerations": [
                        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                            "tolerationSeconds": 300},
                        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                            "tolerationSeconds": 300}]},
                "status": {"phase": "Running"}}),
        ),
        (
            "/registry/minions/n1",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": meta("", "n1"), "spec": {}}),
        ),
        (
            "/registry/services/specs/shop/web",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("shop", "web"),
                "spec": {"type": "NodePort", "clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20"],
                    "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}]}}),
        ),
        (
            "/registry/ipaddresses/10.96.0.20",
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
                "metadata": meta("", "10.96.0.20"),
                "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "shop", "name": "web"}}}),
        ),
        (
            "/registry/deployments/shop/web",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("shop", "web"),
                "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
                    "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
        ),
        (
            "/registry/apiextensions.k8s.io/customresourcedefinitions/lamps.example.com",
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": meta("", "lamps.example.com"),
                "spec": {"group": "example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
                    "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "listKind": "LampList"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
                "status": {"storedVersions": ["v1"],
                    "acceptedNames": {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "listKind": "LampList"},
                    "conditions": [
                        {"type": "NamesAccepted", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
                            "reason": "NoConflicts", "message": "no conflicts found"},
                        {"type": "Established", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
                            "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"}]}}),
        ),
    ];
    for (key, tree) in built_in {
        let bytes = encode_protobuf(&tree).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(bytes.starts_with(PROTOBUF_MAGIC));
        store.put(key, bytes).await.unwrap();
    }
    let lamp = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": meta("shop", "desk"),
        "spec": {"colour": "red"}});
    store.put("/registry/example.com/lamps/shop/desk", lamp.to_string() + "\n").await.unwrap();
    for (key, value) in [
        ("/registry/ranges/servicenodeports", b"k8s\0bits".to_vec()),
        ("/registry/ranges/serviceips", b"k8s\0bits".to_vec()),
        ("/registry/masterleases/10.0.0.1", b"k8s\0lease".to_vec()),
        ("/registry/health", b"x".to_vec()),
        ("compact_rev_key", b"7".to_vec()),
    ] {
        store.put(key, value).await.unwrap();
    }
    store
}

async fn open(store: &MemoryStore) -> Kit {
    let builder = ApiServer::builder().store(Arc::new(store.clone())).env(Env::simulated(7));
    let server = builder.build().await.unwrap();
    let client = server.client(Identity::admin());
    Kit { server, client }
}

#[tokio::test(start_paused = true)]
async fn everything_is_there_and_can_be_written() {
    let store = filled().await;
    let kit = open(&store).await;
    assert_eq!(kit.names("shop", "pods").await, ["web"]);
    assert_eq!(kit.names("", "nodes").await, ["n1"]);
    let running = crate::server_kit::list_options(|options| {
        options.fields = "spec.nodeName=n1,status.phase=Running".parse().unwrap();
    });
    assert_eq!(kit.list("", "pods", running).await.unwrap().items.len(), 1);
    let web = kit.get("shop", "pods/web").await.unwrap();
    assert_eq!((&web["metadata"]["uid"], &web["status"]["phase"]), (&json!("uid-of-web"), &json!("Running")));
    assert_eq!(web["metadata"]["managedFields"][0]["manager"], "kubectl");
    // What was stored without a field has its default, as when Kubernetes reads it.
    assert_eq!(web["spec"]["restartPolicy"], "Always");
    // The definition is served, and its objects are there.
    assert_eq!(kit.get("shop", "lamps/desk").await.unwrap()["spec"]["colour"], "red");

    let labelled = kit.merge("shop", "pods/web", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(labelled["metadata"]["uid"], "uid-of-web");
    kit.merge("shop", "deployments/web/scale", json!({"spec": {"replicas": 4}})).await.unwrap();
    kit.merge("shop", "lamps/desk", json!({"spec": {"colour": "blue"}})).await.unwrap();
    kit.create("shop", "configmaps", config_map("new")).await.unwrap();
    kit.delete("shop", "pods/web").await.unwrap();

    // The next kube-apiserver reads what it finds: JSON where it was written, under the same keys.
    let read = async |key: &str| -> Value {
        let kv = store.get(key.as_bytes()).await.unwrap().unwrap_or_else(|| panic!("no {key}"));
        serde_json::from_slice(&kv.value).unwrap()
    };
    let stored = read("/registry/deployments/shop/web").await;
    assert_eq!((&stored["apiVersion"], &stored["kind"]), (&json!("apps/v1"), &json!("Deployment")));
    assert_eq!((&stored["spec"]["replicas"], stored["metadata"].get("resourceVersion")), (&json!(4), None));
    assert_eq!(read("/registry/configmaps/shop/new").await["kind"], "ConfigMap");
    assert_eq!(read("/registry/example.com/lamps/shop/desk").await["spec"]["colour"], "blue");
    // What nobody has written stays as it was.
    let node = store.get(b"/registry/minions/n1").await.unwrap().unwrap();
    assert!(node.value.starts_with(PROTOBUF_MAGIC) && node.version == 1);
    for key in ["/registry/ranges/servicenodeports", "/registry/masterleases/10.0.0.1", "/registry/health"] {
        assert_eq!(store.get(key.as_bytes()).await.unwrap().unwrap().version, 1, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_its_services_hold_is_not_given_twice() {
    let store = filled().await;
    let kit = open(&store).await;
    let mut greedy = service("greedy");
    greedy["spec"]["type"] = "NodePort".into();
    greedy["spec"]["ports"][0]["nodePort"] = 30080.into();
    let refused = status_of(kit.create("shop", "services", greedy.clone()).await);
    assert!(refused.message.contains("provided port is already allocated"), "{}", refused.message);
    let mut same = service("same");
    same["spec"]["clusterIP"] = "10.96.0.20".into();
    let refused = status_of(kit.create("shop", "services", same).await);
    assert!(refused.message.contains("provided IP is already allocated"), "{}", refused.message);
    kit.delete("shop", "services/web").await.unwrap();
    kit.create("shop", "services", greedy).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_encrypted_is_named_and_all_else_is_served() {
    let store = filled().await;
    let sealed = [b"k8s:enc:kms:v2:provider:".as_slice(), &[0x9f, 0x01]].concat();
    store.put("/registry/secrets/shop/sealed", sealed).await.unwrap();
    let kit = open(&store).await;
    let refused = status_of(kit.get("shop", "secrets/sealed").await);
    assert_eq!(refused.code, 500);
    assert!(
        refused
            .message
            .contains("identity transformer tried to read encrypted data (k8s:enc:kms:v2:provider)"),
        "{}",
        refused.message
    );
    let refused = status_of(kit.list("shop", "secrets", ListOptions::default()).await);
    assert!(refused.message.starts_with("failed to read one or more secrets"), "{}", refused.message);
    kit.create("shop", "secrets", json!({"metadata": {"name": "open"}})).await.unwrap();
    kit.create("shop", "pods", pod("more")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_opening_finds_nothing_to_do() {
    let store = filled().await;
    open(&store).await.server.shutdown().await;
    let before = store.revision().await.unwrap();
    open(&store).await.server.shutdown().await;
    assert_eq!(store.revision().await.unwrap(), before);
    let held = KeyRange::prefix("/registry/ranges/servicenodeports/");
    let page = store.list(held, windlass::store::ListOptions::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_in_versions_that_went_is_read_in_those_that_came() {
    let store = Arc::new(MemoryStore::new());
    let put = async |key: &str, tree: Value| {
        store.put(format!("/registry/{key}"), tree.to_string()).await.unwrap();
    };
    let old = |version: &str, kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default", "uid": name},
            "spec": spec})
    };
    let autoscaler = json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
    let key = "horizontalpodautoscalers/default/web";
    put(key, old("autoscaling/v1", "HorizontalPodAutoscaler", "web", autoscaler)).await;
    let budget = json!({"minAvailable": 1, "selector": {}});
    put("poddisruptionbudgets/default/web", old("policy/v1beta1", "PodDisruptionBudget", "web", budget))
        .await;
    put("deployments/default/web", old("apps/v9", "Deployment", "web", json!({}))).await;
    let kit = crate::server_kit::kit_with(|builder| builder.store(store.clone())).await;

    let read = kit.get("default", "horizontalpodautoscalers/web").await.unwrap();
    let of = |version: &str| {
        let scheme = kit.server.scheme();
        let row = scheme.api_kind(version, "HorizontalPodAutoscaler").unwrap().clone();
        Target::all(&row).namespace("default").name("web")
    };
    let newer = kit.client.get(of("autoscaling/v2")).await.unwrap().tree();
    assert_eq!(newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let older = kit.client.get(of("autoscaling/v1")).await.unwrap().tree();
    assert_eq!(older["spec"]["targetCPUUtilizationPercentage"], 70);
    assert_eq!(read["metadata"]["uid"], "web");
    let budget = kit.get("default", "poddisruptionbudgets/web").await.unwrap();
    assert_eq!(budget["apiVersion"], "policy/v1");
    assert_eq!(budget["spec"]["selector"]["matchExpressions"][0]["operator"], "Exists");
    // Whoever writes it next stores it as it is now.
    kit.merge("default", "poddisruptionbudgets/web", json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .unwrap();
    let stored = store.get(b"/registry/poddisruptionbudgets/default/web").await.unwrap().unwrap();
    let stored: Value = serde_json::from_slice(&stored.value).unwrap();
    assert_eq!((&stored["apiVersion"], &stored["spec"]), (&json!("policy/v1"), &budget["spec"]));
    // What nobody knows is named, and not taken for a Deployment.
    let unknown = status_of(kit.get("default", "deployments/web").await);
    assert_eq!(unknown.code, 500);
    let why = "no kind \"Deployment\" is registered for version \"apps/v9\"";
    assert!(unknown.message.contains(why), "{}", unknown.message);
}
