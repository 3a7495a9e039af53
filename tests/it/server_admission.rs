//! Admission: where it runs, what steps see, and what Kubernetes' own steps do.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use windlass::api::Status;
use windlass::client::{DeleteOptions, Identity, ListOptions, PatchType, Payload, Request, WriteOptions};
use windlass::server::admission::{
    AdmissionChain, AdmissionPlugin, AdmissionRequest, Operation, ServiceAccount, TaintNodesByCondition,
};
use windlass::store::MemoryStore;

use crate::server_kit::{
    Kit, config_map, deployment, dry_run, kit, kit_with, pod, said, service, status_of, strict,
};

/// Writes down what it is asked, and does what it is told.
#[derive(Clone, Default)]
struct Witness {
    log: Arc<Mutex<Vec<String>>>,
    adds: Option<&'static str>,
    refuses: bool,
}

impl Witness {
    fn note(&self, what: &str, request: &AdmissionRequest<'_>) {
        let resource = match request.subresource() {
            "" => request.resource().plural.to_string(),
            subresource => format!("{}/{subresource}", request.resource().plural),
        };
        let shown = |tree: Option<&Value>| match tree {
            None => "-".to_owned(),
            Some(tree) => tree["data"]["k"].as_str().unwrap_or("?").to_owned(),
        };
        let old = request.old().map(|old| old.tree());
        let (new, old) = (shown(request.object()), shown(old.as_deref()));
        let dry = if request.dry_run() { " dry" } else { "" };
        let line = format!(
            "{what} {} {resource} {} {} {old}->{new}{dry}",
            request.operation(),
            request.kind().kind,
            request.name(),
        );
        self.log.lock().unwrap().push(line);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

#[async_trait]
impl AdmissionPlugin for Witness {
    fn name(&self) -> &str {
        "Witness"
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        // Not what the server makes for itself when it starts.
        request.identity().user != "system:apiserver"
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        self.note("mutate", request);
        if let (Some(field), Some(object)) = (self.adds, request.object_mut()) {
            object[field]["added"] = "yes".into();
        }
        Ok(())
    }

    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        self.note("validate", request);
        request.annotate(self, "seen", "yes");
        if self.refuses {
            request.warn("it would not have done");
            return Err(request.forbidden("the witness says no"));
        }
        Ok(())
    }
}

async fn witnessed(witness: &Witness) -> Kit {
    kit_with(|builder| builder.admit(witness.clone())).await
}

#[tokio::test(start_paused = true)]
async fn every_write_is_looked_at_where_kubernetes_looks() {
    let witness = Witness::default();
    let kit = witnessed(&witness).await;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    assert_eq!(
        witness.told(),
        ["mutate CREATE configmaps ConfigMap a -->v", "validate CREATE configmaps ConfigMap a -->v"]
    );
    kit.merge("default", "configmaps/a", json!({"data": {"k": "w"}})).await.unwrap();
    let update = |change: &str| {
        ["mutate", "validate"].map(|what| format!("{what} UPDATE configmaps ConfigMap a {change}"))
    };
    assert_eq!(witness.told(), update("v->w"));
    let mut tree = kit.get("default", "configmaps/a").await.unwrap();
    tree["data"]["k"] = "x".into();
    kit.update_with("default", "configmaps/a", tree.clone(), dry_run()).await.unwrap();
    assert_eq!(witness.told(), update("w->x dry"));
    // Also where nothing changes.
    tree["data"]["k"] = "w".into();
    kit.update("default", "configmaps/a", tree).await.unwrap();
    assert_eq!(witness.told(), update("w->w"));
    kit.delete("default", "configmaps/a").await.unwrap();
    assert_eq!(
        witness.told(),
        ["mutate DELETE configmaps ConfigMap a w->-", "validate DELETE configmaps ConfigMap a w->-"]
    );
    // Reads, and what is refused before, are of no concern.
    kit.list("default", "configmaps", ListOptions::default()).await.unwrap();
    kit.create_with("default", "configmaps", json!({"metadata": {"name": "b"}, "x": 1}), strict())
        .await
        .unwrap_err();
    kit.delete("default", "configmaps/none").await.unwrap_err();
    assert_eq!(witness.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn acts_and_subresources_are_looked_at_as_what_they_are() {
    let witness = Witness::default();
    let kit = witnessed(&witness).await;
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    kit.create("default", "pods", pod("a")).await.unwrap();
    kit.create("default", "serviceaccounts", json!({"metadata": {"name": "robot"}})).await.unwrap();
    witness.told();
    let shown = |told: Vec<String>| -> Vec<String> {
        told.into_iter().map(|line| line.split(' ').take(5).collect::<Vec<_>>().join(" ")).collect()
    };
    let both = |line: &str| ["mutate", "validate"].map(|what| format!("{what} {line}"));
    kit.merge("default", "deployments/web/scale", json!({"spec": {"replicas": 5}})).await.unwrap();
    assert_eq!(shown(witness.told()), both("UPDATE deployments/scale Scale web"));
    kit.merge("default", "deployments/web/status", json!({"status": {"replicas": 5}})).await.unwrap();
    assert_eq!(shown(witness.told()), both("UPDATE deployments/status Deployment web"));
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}});
    kit.create("default", "pods/a/binding", binding).await.unwrap();
    assert_eq!(shown(witness.told()), both("CREATE pods/binding Binding a"));
    kit.create("default", "serviceaccounts/robot/token", json!({"spec": {"audiences": []}})).await.unwrap();
    assert_eq!(shown(witness.told()), both("CREATE serviceaccounts/token TokenRequest robot"));
    // The deletion behind an eviction is not looked at again.
    kit.create("default", "pods/a/eviction", json!({"metadata": {"name": "a"}})).await.unwrap();
    assert_eq!(shown(witness.told()), both("CREATE pods/eviction Eviction a"));
    let review = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}});
    kit.create("", "selfsubjectaccessreviews", review).await.unwrap();
    let told = witness.told();
    assert!(
        told[0].starts_with("mutate CREATE selfsubjectaccessreviews SelfSubjectAccessReview"),
        "{told:?}"
    );
    for name in ["x", "y"] {
        kit.create("default", "configmaps", config_map(name)).await.unwrap();
    }
    witness.told();
    let options = DeleteOptions::default();
    let target = kit.at("default", "configmaps");
    let list = ListOptions::default();
    kit.server.handle(&Identity::admin(), Request::DeleteCollection { target, list, options }).await.unwrap();
    let told = shown(witness.told());
    assert!(told.contains(&"validate DELETE configmaps ConfigMap x".into()), "{told:?}");
    assert!(told.contains(&"validate DELETE configmaps ConfigMap y".into()), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_looked_at_with_their_options() {
    let witness = Witness { refuses: true, ..Witness::default() };
    let kit = witnessed(&witness).await;
    let target = kit.at("default", "pods/a/exec");
    let connect = Request::Connect { target, query: "command=sh&stdin=true".into(), protocols: Vec::new() };
    let refused = kit.server.handle(&Identity::admin(), connect).await.unwrap_err();
    assert_eq!(refused.status.message, "pods \"a\" is forbidden: the witness says no");
    let expected =
        ["mutate", "validate"].map(|what| format!("{what} CONNECT pods/exec PodExecOptions a -->?"));
    assert_eq!(witness.told(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_step_adds_is_stored_as_its_kind_has_it_and_what_it_refuses_is_not() {
    let adding = Witness { adds: Some("data"), ..Witness::default() };
    let kit = witnessed(&adding).await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    assert_eq!(made["data"], json!({"k": "v", "added": "yes"}));
    // A field that a kind does not have is dropped, whoever adds it.
    let odd = Witness { adds: Some("unheard"), ..Witness::default() };
    let kit = witnessed(&odd).await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    assert_eq!(made.get("unheard"), None);

    let refusing = Witness { refuses: true, ..Witness::default() };
    let kit = witnessed(&refusing).await;
    let refused = kit.create("default", "configmaps", config_map("a")).await.unwrap_err();
    assert_eq!(said(&refused), (403, "Forbidden", "configmaps \"a\" is forbidden: the witness says no"));
    assert_eq!(status_of(kit.get("default", "configmaps/a").await).code, 404);
    let generated = json!({"metadata": {"generateName": "made-"}});
    let refused = status_of(kit.create("default", "configmaps", generated).await);
    assert!(refused.message.starts_with("configmaps \"made-"), "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn warnings_and_annotations_go_with_the_answer() {
    /// Warns, whatever it sees.
    struct Warner;

    #[async_trait]
    impl AdmissionPlugin for Warner {
        fn name(&self) -> &str {
            "Warner"
        }

        fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
            request.concerns("", "pods", "")
        }

        async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
            let pod = request.typed::<Pod>()?.expect("a new pod");
            request.warn(format!("{} has no friends", pod.metadata.name.as_deref().unwrap_or_default()));
            request.annotate(self, "friends", "0");
            Ok(())
        }
    }
    let kit = kit_with(|builder| builder.admit(Warner)).await;
    let request = Request::Create {
        target: kit.at("default", "pods"),
        object: Payload::Tree(pod("a")),
        options: WriteOptions::default(),
    };
    let answer = kit.server.handle(&Identity::admin(), request).await.unwrap();
    assert_eq!(answer.warnings, ["a has no friends"]);
    assert_eq!(answer.annotations["warner/friends"], "0");
}

#[tokio::test(start_paused = true)]
async fn warnings_go_with_a_refusal() {
    let store = Arc::new(MemoryStore::new());
    let kit = kit_with(|builder| builder.store(store.clone())).await;
    let spec = |kind: &str| {
        let dated = json!({"service.kubernetes.io/topology-aware-hints": "auto"});
        json!({"metadata": {"name": "s", "annotations": dated}, "spec": {"type": kind, "ports": [{"port": 80}]}})
    };
    kit.create("default", "services", spec("ClusterIP")).await.unwrap();
    let strict = Witness { refuses: true, ..Witness::default() };
    let kit = kit_with(|builder| builder.store(store).admit(strict)).await;
    let (target, options) = (kit.at("default", "services"), WriteOptions::default());
    let object = Payload::Tree(spec("NodePort"));
    let create = Request::Create { target: target.clone(), object: object.clone(), options: options.clone() };
    let update = Request::Update { target: target.name("s"), object, options };
    for request in [create, update] {
        let refused = kit.server.handle(&Identity::admin(), request).await.unwrap_err();
        assert_eq!(refused.status.code, 403);
        let dated = "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
                     service.kubernetes.io/topology-mode instead";
        assert_eq!(refused.warnings, [dated, "it would not have done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_may_have_the_chain_run_again_once() {
    /// Adds a sidecar, which steps before it have to see.
    struct Sidecar;

    #[async_trait]
    impl AdmissionPlugin for Sidecar {
        fn name(&self) -> &str {
            "Sidecar"
        }

        fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
            request.concerns("", "pods", "") && request.operation() == Operation::Create
        }

        async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
            if !request.is_reinvocation()
                && let Some(pod) = request.object_mut()
            {
                let sidecar = json!({"name": "sidecar", "image": "proxy"});
                pod["spec"]["containers"].as_array_mut().expect("containers").push(sidecar);
            }
            request.reinvoke();
            Ok(())
        }
    }
    let kit = kit_with(|builder| builder.admit(Sidecar)).await;
    kit.create("default", "serviceaccounts", json!({"metadata": {"name": "default"}})).await.unwrap();
    let made = kit.create("default", "pods", pod("a")).await.unwrap();
    let containers = made["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    // It is defaulted, and it has the token that an earlier step mounts.
    assert_eq!(containers[1]["terminationMessagePolicy"], "File");
    assert_eq!(containers[1]["volumeMounts"], containers[0]["volumeMounts"]);
    assert_eq!(made["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_its_accounts_token_and_pull_secrets() {
    let kit = kit().await;
    let account = json!({"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "pull"}]});
    kit.create("default", "serviceaccounts", account).await.unwrap();
    let mut asked = pod("a");
    asked["spec"]["serviceAccountName"] = "robot".into();
    let made = kit.create("default", "pods", asked.clone()).await.unwrap();
    assert_eq!(made["spec"]["imagePullSecrets"], json!([{"name": "pull"}]));
    let volume = &made["spec"]["volumes"][0];
    assert!(volume["name"].as_str().unwrap().starts_with("kube-api-access-"), "{volume}");
    assert_eq!(volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"], 3607);
    let mount = &made["spec"]["containers"][0]["volumeMounts"][0];
    assert_eq!((&mount["name"], &mount["readOnly"]), (&volume["name"], &json!(true)));

    asked["metadata"]["name"] = "b".into();
    asked["spec"]["automountServiceAccountToken"] = false.into();
    let made = kit.create("default", "pods", asked.clone()).await.unwrap();
    assert_eq!(made["spec"].get("volumes"), None);
    asked["spec"]["serviceAccountName"] = "nobody".into();
    let refused = status_of(kit.create("default", "pods", asked).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            403,
            "pods \"b\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" \
             not found"
        )
    );
    // A control plane without controllers makes no account for anybody.
    let made = kit.create("default", "pods", pod("c")).await.unwrap();
    assert_eq!(made["spec"]["serviceAccountName"], "default");
    let chain = AdmissionChain::default().with(Arc::new(ServiceAccount::strict()));
    let strict = kit_with(|builder| builder.admission(chain)).await;
    let refused = status_of(strict.create("default", "pods", pod("c")).await);
    assert!(refused.message.contains("service account default/default"), "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_limited_where_the_account_says_so() {
    let kit = kit().await;
    let account = json!({"metadata": {"name": "robot",
        "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}, "secrets": [{"name": "mine"}]});
    kit.create("default", "serviceaccounts", account).await.unwrap();
    let with = |secret: &str| {
        let mut asked = pod("a");
        asked["spec"]["serviceAccountName"] = "robot".into();
        asked["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": secret}}]);
        asked
    };
    let refused = status_of(kit.create("default", "pods", with("other")).await);
    assert_eq!(
        refused.message,
        "pods \"a\" is forbidden: volume with secret.secretName=\"other\" is not allowed because service account \
         robot does not reference that secret"
    );
    kit.create("default", "pods", with("mine")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn priorities_follow_from_classes() {
    let kit = kit().await;
    let class = |name: &str, value: i64, global: bool| {
        json!({"metadata": {"name": name}, "value": value, "globalDefault": global,
            "preemptionPolicy": "Never"})
    };
    let classed = |name: &str, class: &str| {
        let mut asked = pod(name);
        asked["spec"]["priorityClassName"] = class.into();
        asked
    };
    let made = kit.create("default", "pods", pod("plain")).await.unwrap();
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["preemptionPolicy"]),
        (&json!(0), &json!("PreemptLowerPriority"))
    );
    kit.create("", "priorityclasses", class("high", 1000, true)).await.unwrap();
    let second = status_of(kit.create("", "priorityclasses", class("higher", 2000, true)).await);
    assert_eq!(
        second.message,
        "priorityclasses.scheduling.k8s.io \"higher\" is forbidden: PriorityClass high is already marked as \
         default. Only one default can exist"
    );
    let made = kit.create("default", "pods", pod("by-default")).await.unwrap();
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["priorityClassName"]),
        (&json!(1000), &json!("high"))
    );
    assert_eq!(made["spec"]["preemptionPolicy"], "Never");
    let mut wrong = classed("wrong", "high");
    wrong["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
    let refused = status_of(kit.create("default", "pods", wrong).await);
    assert!(refused.message.contains("the string value of PreemptionPolicy"), "{}", refused.message);
    let system = kit.create("default", "pods", classed("system", "system-node-critical")).await.unwrap();
    assert_eq!(system["spec"]["priority"], 2_000_001_000);
    let refused = status_of(kit.create("default", "pods", classed("lost", "none")).await);
    assert_eq!(refused.message, "pods \"lost\" is forbidden: no PriorityClass with name none was found");
    // An update that says nothing of it changes nothing of it.
    let mut silent = kit.get("default", "pods/by-default").await.unwrap();
    silent["metadata"]["labels"] = json!({"a": "b"});
    silent["spec"].as_object_mut().unwrap().remove("priority");
    silent["spec"].as_object_mut().unwrap().remove("preemptionPolicy");
    let updated = kit.update("default", "pods/by-default", silent).await.unwrap();
    assert_eq!(updated["spec"]["priority"], 1000);
}

#[tokio::test(start_paused = true)]
async fn a_node_touches_what_is_its_own() {
    let kit = kit().await;
    for name in ["n1", "n2"] {
        kit.acting_as(Identity::node(name))
            .create("", "nodes", json!({"metadata": {"name": name}}))
            .await
            .unwrap();
    }
    for (name, node) in [("mine", "n1"), ("yours", "n2")] {
        let mut placed = pod(name);
        placed["spec"]["nodeName"] = node.into();
        kit.create("default", "pods", placed).await.unwrap();
    }
    let node = kit.acting_as(Identity::node("n1"));
    let why = |error: windlass::client::Error| {
        let message = error.into_status().message;
        message.split_once(" is forbidden: ").map_or(message.clone(), |(_, why)| why.to_owned())
    };
    let labels = |key: &str| json!({"metadata": {"labels": {key: "x"}}});
    node.merge("", "nodes/n1", labels("topology.kubernetes.io/zone")).await.unwrap();
    let refused = node.merge("", "nodes/n1", labels("node-role.kubernetes.io/control-plane")).await;
    assert_eq!(
        why(refused.unwrap_err()),
        "is not allowed to modify labels: node-role.kubernetes.io/control-plane"
    );
    let taints = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}});
    let refused = node.merge("", "nodes/n1", taints).await;
    assert_eq!(why(refused.unwrap_err()), "node \"n1\" is not allowed to modify taints");
    let refused = node.merge("", "nodes/n2", labels("a")).await;
    assert_eq!(why(refused.unwrap_err()), "node \"n1\" is not allowed to modify node \"n2\"");
    let ready = json!({"status": {"phase": "Running"}});
    node.merge("default", "pods/mine/status", ready.clone()).await.unwrap();
    let refused = node.merge("default", "pods/yours/status", ready).await;
    assert_eq!(
        why(refused.unwrap_err()),
        "node \"n1\" can only update pod status for pods with spec.nodeName set to itself"
    );
    let refused = node.create("default", "pods/yours/eviction", json!({"metadata": {"name": "yours"}})).await;
    assert_eq!(why(refused.unwrap_err()), "node n1 can only evict pods with spec.nodeName set to itself");
    let refused = node.delete("default", "pods/yours").await;
    assert_eq!(
        why(refused.unwrap_err()),
        "node \"n1\" can only delete pods with spec.nodeName set to itself"
    );

    // A mirror of what it runs by itself says that it is the node's.
    let uid = kit.get("", "nodes/n1").await.unwrap()["metadata"]["uid"].clone();
    let mirror = |owner: Value| {
        json!({"metadata": {"name": "static", "annotations": {"kubernetes.io/config.mirror": "x"},
                "ownerReferences": owner},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}})
    };
    let owner = |uid: &Value| json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": true}]);
    let refused = node.create("default", "pods", mirror(json!([]))).await;
    assert_eq!(
        why(refused.unwrap_err()),
        "node \"n1\" can only create pods with an owner reference set to itself"
    );
    let refused = node.create("default", "pods", mirror(owner(&json!("other")))).await;
    assert!(why(refused.unwrap_err()).starts_with("node n1 UID mismatch: expected other got"));
    node.create("default", "pods", mirror(owner(&uid))).await.unwrap();

    // Tokens are for its own pods, and for audiences that they mount.
    kit.create("default", "serviceaccounts", json!({"metadata": {"name": "default"}})).await.unwrap();
    let uid = kit.get("default", "pods/mine").await.unwrap()["metadata"]["uid"].clone();
    let ask = |spec: Value| node.create("default", "serviceaccounts/default/token", json!({"spec": spec}));
    let refused = ask(json!({"audiences": []})).await;
    assert_eq!(why(refused.unwrap_err()), "node requested token not bound to a pod");
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "mine", "uid": uid});
    let refused = ask(json!({"audiences": ["vault"], "boundObjectRef": bound})).await;
    assert!(why(refused.unwrap_err()).contains("audience \"vault\" not found in pod spec volume"));
}

#[tokio::test(start_paused = true)]
async fn new_nodes_are_tainted_where_that_is_wanted() {
    let kit = kit_with(|builder| builder.admit(TaintNodesByCondition)).await;
    let made = kit.create("", "nodes", json!({"metadata": {"name": "n1"}})).await.unwrap();
    assert_eq!(
        made["spec"]["taints"],
        json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    );
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_there_or_not_for_updates_too() {
    let kit = kit().await;
    let refused = kit.create("nowhere", "configmaps", config_map("a")).await.unwrap_err();
    assert_eq!(said(&refused), (404, "NotFound", "namespaces \"nowhere\" not found"));
    let refused = kit.delete("", "namespaces/kube-system").await.unwrap_err();
    assert_eq!(
        said(&refused).2,
        "namespaces \"kube-system\" is forbidden: this namespace may not be deleted"
    );
}

/// Nothing is stored, no name, address or port is taken, and steps are told, whatever is dry.
#[tokio::test(start_paused = true)]
async fn dry_runs_leave_no_trace() {
    let witness = Witness::default();
    let kit = witnessed(&witness).await;
    kit.create("default", "pods", pod("a")).await.unwrap();
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    kit.create("default", "serviceaccounts", json!({"metadata": {"name": "robot"}})).await.unwrap();
    kit.create("default", "services", service("held")).await.unwrap();
    witness.told();
    let before = kit.revision().await;
    let keys = async || {
        let store = kit.names("", "ipaddresses").await;
        (store, kit.names("default", "services").await, kit.names("default", "pods").await)
    };
    let held = keys().await;
    let mut open = service("open");
    open["spec"]["type"] = "NodePort".into();
    let made = kit.create_with("default", "services", open, dry_run()).await.unwrap();
    assert!(made["spec"]["clusterIP"].as_str().is_some_and(|address| !address.is_empty()));
    assert!(made["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|port| port >= 30_000));
    let generated = json!({"metadata": {"generateName": "made-"}});
    kit.create_with("default", "configmaps", generated, dry_run()).await.unwrap();
    let patch = |body: Value| (PatchType::Merge, body);
    for (path, (kind, body)) in [
        ("services/held", patch(json!({"spec": {"type": "NodePort"}}))),
        ("deployments/web", patch(json!({"spec": {"paused": true}}))),
        ("deployments/web/scale", patch(json!({"spec": {"replicas": 9}}))),
        ("deployments/web/status", patch(json!({"status": {"replicas": 9}}))),
        ("pods/a", patch(json!({"metadata": {"labels": {"x": "y"}}}))),
    ] {
        kit.patch("default", path, kind, body, dry_run()).await.unwrap();
    }
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}});
    kit.create_with("default", "pods/a/binding", binding, dry_run()).await.unwrap();
    kit.create_with("default", "pods/a/eviction", json!({"metadata": {"name": "a"}}), dry_run())
        .await
        .unwrap();
    let dry = || crate::server_kit::delete_options(|options| options.dry_run = true);
    kit.delete_with("default", "services/held", dry()).await.unwrap();
    kit.delete_with("", "namespaces/default", dry()).await.unwrap_err();
    let (target, list) = (kit.at("default", "configmaps"), ListOptions::default());
    kit.server
        .handle(&Identity::admin(), Request::DeleteCollection { target, list, options: dry() })
        .await
        .unwrap();
    assert_eq!(kit.revision().await, before, "not one commit");
    assert_eq!(keys().await, held);
    let told = witness.told();
    assert!(told.len() == 20 && told.iter().all(|line| line.ends_with(" dry")), "{told:#?}");
}

/// A name that is taken is drawn again, and steps see each name.
#[tokio::test(start_paused = true)]
async fn generated_names_are_drawn_until_one_is_free() {
    /// Takes the first names that are drawn away.
    struct Taker {
        kit: Mutex<Option<windlass::server::ApiServer>>,
        seen: Mutex<Vec<String>>,
        takes: usize,
    }

    #[async_trait]
    impl AdmissionPlugin for Taker {
        fn name(&self) -> &str {
            "Taker"
        }

        fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
            request.concerns("", "configmaps", "") && request.identity().user == "kubernetes-admin"
        }

        async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
            let server = self.kit.lock().unwrap().clone().expect("the server");
            let count = {
                let mut seen = self.seen.lock().unwrap();
                seen.push(request.name().to_owned());
                seen.len()
            };
            if count <= self.takes {
                let thief = Identity::user("thief").group("system:masters");
                let kit = Kit { client: server.client(thief), server };
                kit.create("default", "configmaps", config_map(request.name())).await.expect("it is free");
            }
            Ok(())
        }
    }
    for (takes, expected) in [(3, 4), (100, 8)] {
        let taker = Arc::new(Taker { kit: Mutex::default(), seen: Mutex::default(), takes });
        let kit = kit_with(|builder| builder.admit(taker.clone())).await;
        *taker.kit.lock().unwrap() = Some(kit.server.clone());
        let made = kit.create("default", "configmaps", json!({"metadata": {"generateName": "made-"}})).await;
        let seen = taker.seen.lock().unwrap().clone();
        assert_eq!(seen.len(), expected);
        assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), expected, "all differ");
        match made {
            Ok(made) => assert_eq!(made["metadata"]["name"], seen[3].as_str()),
            Err(error) => {
                let (code, reason, message) = said(&error);
                assert_eq!((code, reason), (409, "AlreadyExists"));
                assert!(
                    message.ends_with("the server was not able to generate a unique name for the object")
                );
            }
        }
        *taker.kit.lock().unwrap() = None;
    }
}
