//! Unmodified kubectl against the server on a port. No node is needed for what is asked here.

use std::ops::Deref;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::kubectl::{DEPLOYMENT, Kubectl};
use crate::support::{Served, serve, server};

/// A server, and the kubectl that talks to it as the administrator.
struct Bench {
    served: Served,
    kubectl: Kubectl,
}

/// A Deployment, and what goes with it.
fn web() -> String {
    format!("{DEPLOYMENT}{BESIDE}")
}

const BESIDE: &str = r"---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {colour: blue}
";

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        let kubectl = Kubectl::find(test)?;
        let served = serve(server().await).await;
        kubectl.configure(&served.kubeconfig().to_yaml().expect("a kubeconfig"));
        Some(Self { served, kubectl })
    }

    async fn done(self) {
        self.served.shutdown().await;
    }
}

impl Deref for Bench {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}

#[tokio::test]
async fn a_manifest_is_applied_and_shown_in_every_form() {
    let Some(bench) = Bench::new("kubectl::a_manifest_is_applied_and_shown_in_every_form").await else {
        return;
    };
    let said = bench.feed(&["apply", "-f", "-"], &web()).await;
    assert_eq!(said, "deployment.apps/web created\nservice/web created\nconfigmap/web created\n");
    let again = bench.feed(&["apply", "-f", "-"], &web()).await;
    assert_eq!(again, "deployment.apps/web unchanged\nservice/web unchanged\nconfigmap/web unchanged\n");
    let changed = web().replace("web:1", "web:2");
    let said = bench.feed(&["apply", "-f", "-"], &changed).await;
    assert_eq!(said, "deployment.apps/web configured\nservice/web unchanged\nconfigmap/web unchanged\n");

    let table = bench.run(&["get", "deploy"]).await;
    assert!(table.starts_with("NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    0/2 "), "{table}");
    let wide = bench.run(&["get", "deployments.apps", "-o", "wide"]).await;
    assert!(wide.contains("example/web:2") && wide.contains("app=web"), "{wide}");
    let yaml = bench.run(&["get", "svc/web", "-o", "yaml"]).await;
    assert!(yaml.contains("kind: Service\n") && yaml.contains("targetPort: 8080\n"), "{yaml}");
    let object = bench.json(&["get", "cm", "web"]).await;
    assert_eq!(object["data"], json!({"colour": "blue"}));
    let names = bench.run(&["get", "deploy,svc,cm", "-l", "app=web", "-o", "name"]).await;
    assert_eq!(names, "deployment.apps/web\n");
    let by_field = bench.run(&["get", "cm", "--field-selector", "metadata.name=web", "-o", "name"]).await;
    assert_eq!(by_field, "configmap/web\n");
    let everywhere = bench.run(&["get", "svc", "-A"]).await;
    assert!(everywhere.starts_with("NAMESPACE   NAME"), "{everywhere}");
    let path = bench.run(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]).await;
    assert_eq!(path, "2");
    bench.done().await;
}

#[tokio::test]
async fn a_watch_follows_what_happens() {
    let Some(bench) = Bench::new("kubectl::a_watch_follows_what_happens").await else { return };
    bench.run(&["create", "configmap", "first"]).await;
    let mut child = bench.command(&["get", "cm", "-w", "--no-headers"]).spawn().expect("kubectl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let next = lines.next_line().await.unwrap().unwrap();
    assert!(next.starts_with("first "), "{next}");
    bench.run(&["create", "configmap", "second", "--from-literal=k=v"]).await;
    let next = lines.next_line().await.unwrap().unwrap();
    assert!(next.starts_with("second ") && next.contains(" 1 "), "{next}");
    child.kill().await.unwrap();
    bench.done().await;
}

#[tokio::test]
async fn objects_are_changed_in_all_the_usual_ways() {
    let Some(bench) = Bench::new("kubectl::objects_are_changed_in_all_the_usual_ways").await else { return };
    bench.feed(&["create", "-f", "-"], &web()).await;
    assert_eq!(bench.run(&["scale", "deploy/web", "--replicas=5"]).await, "deployment.apps/web scaled\n");
    bench.run(&["label", "deploy/web", "tier=front"]).await;
    bench.run(&["label", "deploy/web", "app-"]).await;
    bench.run(&["annotate", "deploy/web", "note=hello"]).await;
    bench.run(&["set", "image", "deploy/web", "web=example/web:3"]).await;
    let strategic =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"example/side:1"}]}}}}"#;
    bench.run(&["patch", "deploy", "web", "-p", strategic]).await;
    bench.run(&["patch", "deploy", "web", "--type=merge", "-p", r#"{"spec":{"paused":true}}"#]).await;
    let json = r#"[{"op":"replace","path":"/spec/revisionHistoryLimit","value":3}]"#;
    bench.run(&["patch", "deploy", "web", "--type=json", "-p", json]).await;
    let web = bench.json(&["get", "deploy", "web"]).await;
    assert_eq!(web["spec"]["replicas"], 5);
    assert_eq!(web["metadata"]["labels"], json!({"tier": "front"}));
    assert_eq!(web["metadata"]["annotations"]["note"], "hello");
    let images: Vec<_> = web["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| container["image"].as_str().unwrap())
        .collect();
    assert!(images.contains(&"example/web:3") && images.contains(&"example/side:1"), "{images:?}");
    assert_eq!((&web["spec"]["paused"], &web["spec"]["revisionHistoryLimit"]), (&json!(true), &json!(3)));

    let mut replacement = bench.json(&["get", "cm", "web"]).await;
    replacement["data"] = json!({"colour": "red"});
    let stale = replacement.to_string();
    assert_eq!(bench.feed(&["replace", "-f", "-"], &stale).await, "configmap/web replaced\n");
    let refused = bench.fail(&["replace", "-f", "-"], &stale).await;
    assert!(refused.contains("the object has been modified"), "{refused}");
    bench.done().await;
}

#[tokio::test]
async fn objects_are_waited_for_and_deleted() {
    let Some(bench) = Bench::new("kubectl::objects_are_waited_for_and_deleted").await else { return };
    bench.feed(&["create", "-f", "-"], &web()).await;
    let condition = "--for=jsonpath={.data.colour}=blue";
    let said = bench.run(&["wait", "cm/web", condition, "--timeout=30s"]).await;
    assert_eq!(said, "configmap/web condition met\n");
    let gone = bench.run(&["delete", "cm/web", "deploy/web", "--wait=true"]).await;
    // Newer ones add "from default namespace".
    assert!(
        gone.starts_with("configmap \"web\" deleted") && gone.contains("\ndeployment.apps \"web\" deleted"),
        "{gone}"
    );
    let said = bench.run(&["wait", "cm/web", "--for=delete", "--timeout=30s"]).await;
    assert!(said.is_empty() || said.contains("condition met"), "{said}");
    let refused = bench.fail(&["get", "cm", "web"], "").await;
    assert_eq!(refused, "Error from server (NotFound): configmaps \"web\" not found\n");
    assert_eq!(bench.run(&["delete", "svc", "--all", "-o", "name"]).await.lines().count(), 2);
    bench.done().await;
}

#[tokio::test]
async fn the_server_explains_itself() {
    let Some(bench) = Bench::new("kubectl::the_server_explains_itself").await else { return };
    let resources = bench.run(&["api-resources"]).await;
    for line in ["deployments", "pods", "customresourcedefinitions"] {
        assert!(resources.lines().any(|own| own.starts_with(line)), "{line} in {resources}");
    }
    let of_apps = bench.run(&["api-resources", "--api-group=apps", "-o", "name"]).await;
    assert!(of_apps.contains("deployments.apps\n"), "{of_apps}");
    assert!(bench.run(&["api-versions"]).await.contains("apps/v1\n"));
    let explained = bench.run(&["explain", "deployment.spec.replicas"]).await;
    assert!(explained.contains("FIELD: replicas <integer>"), "{explained}");
    let pod = bench.run(&["explain", "pod.spec.containers.ports"]).await;
    assert!(pod.contains("containerPort\t<integer> -required-"), "{pod}");
    assert_eq!(bench.run(&["auth", "can-i", "create", "pods"]).await, "yes\n");
    assert!(bench.run(&["auth", "whoami"]).await.contains("system:masters"));
    let version = bench.json(&["version"]).await;
    assert_eq!(version["serverVersion"]["minor"], "36");
    assert_eq!(bench.run(&["get", "--raw", "/readyz"]).await, "ok");
    bench.done().await;
}

#[tokio::test]
async fn objects_are_described() {
    let Some(bench) = Bench::new("kubectl::objects_are_described").await else { return };
    bench.feed(&["create", "-f", "-"], &web()).await;
    bench.run(&["run", "one", "--image=example/one:1"]).await;
    let web = bench.run(&["describe", "deploy", "web"]).await;
    assert!(web.contains("Replicas:") && web.contains("example/web:1"), "{web}");
    let service = bench.run(&["describe", "svc", "web"]).await;
    assert!(service.contains("TargetPort:") && service.contains("8080/TCP"), "{service}");
    let pod = bench.run(&["describe", "pod", "one"]).await;
    assert!(pod.contains("Status:") && pod.contains("Pending"), "{pod}");
    let namespace = bench.run(&["describe", "ns", "default"]).await;
    assert!(namespace.contains("Active"), "{namespace}");
    bench.done().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_kubernetes_words() {
    let Some(bench) = Bench::new("kubectl::what_is_wrong_is_said_in_kubernetes_words").await else { return };
    bench.feed(&["create", "-f", "-"], &web()).await;
    let twice = bench.fail(&["create", "configmap", "web"], "").await;
    assert!(twice.contains("configmaps \"web\" already exists"), "{twice}");
    let negative = bench.fail(&["create", "-f", "-"], &web().replace("replicas: 2", "replicas: -1")).await;
    assert!(
        negative.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        "{negative}"
    );
    let unknown =
        bench.fail(&["apply", "-f", "-"], "apiVersion: v1\nkind: Cake\nmetadata: {name: a}\n").await;
    assert!(unknown.contains("no matches for kind \"Cake\" in version \"v1\""), "{unknown}");
    let misspelt = bench.fail(&["apply", "-f", "-"], &web().replace("replicas:", "replica:")).await;
    assert!(misspelt.contains("unknown field \"spec.replica\""), "{misspelt}");
    let cut_off = bench.home().join("cut-off.yaml");
    std::fs::write(&cut_off, "apiVersion: v1\nkind: ConfigMap\nmetadata: {\n").unwrap();
    let malformed = bench.fail(&["apply", "-f", cut_off.to_str().unwrap()], "").await;
    assert!(malformed.contains("cut-off.yaml") && malformed.contains("line 3"), "{malformed}");
    let far = web().replace("port: 80,", "port: 70000,");
    let far = bench.fail(&["apply", "-f", "-"], &far).await;
    let words = "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive";
    assert!(far.contains("The Service \"web\" is invalid") && far.contains(words), "{far}");
    let nowhere = bench.fail(&["create", "configmap", "a", "-n", "nowhere"], "").await;
    assert!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
    assert_eq!(bench.run(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]).await, "2");
    bench.done().await;
}
