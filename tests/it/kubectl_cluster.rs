//! Unmodified kubectl against a whole cluster whose containers are processes.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use windlass::cluster::{Cluster, Endpoint, Processes};
use windlass::runtime::process::{Program, ProgramImages};
use windlass::server::https::Tokens;

use crate::support::kubectl::{Kubectl, text};

/// Two nodes, and the kubectl that talks to them as the administrator.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    endpoint: Endpoint,
    kubectl: Kubectl,
    root: PathBuf,
}

/// Says who it is and which process, and stays until it is told to go.
const APP: &str = "echo $VERSION is process $$; exec /bin/sleep 3600";

const MANIFEST: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {colour: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: windlass.example/app:1
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
";

/// A pod that listens to what is written into its box and repeats it.
const LISTENER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: listener}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: listener
    image: host
    command: [/bin/sh, -c, 'mkfifo box; echo listening; read line < box; echo "heard $line"; exec /bin/sleep 3600']
"#;

/// How long anything may take, on a machine that has much else to do.
pub(crate) const SOON: &str = "--timeout=120s";

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        Self::of(&format!("kubectl_cluster::{test}")).await
    }

    /// The same, for a test of another subject.
    pub(crate) async fn of(test: &str) -> Option<Self> {
        let kubectl = Kubectl::find(test)?;
        let images = ProgramImages::new();
        for version in ["1", "2"] {
            let app = Program::new("/bin/sh").arg("-c").arg(APP).env("VERSION", format!("version {version}"));
            images.program(&format!("windlass.example/app:{version}"), app).unwrap();
        }
        let machines = Processes::claim(images).unwrap();
        let root = format!("windlass-{}-{}", std::process::id(), machines.loopback().address());
        let root = std::env::temp_dir().join(root);
        let cluster = Cluster::builder().nodes(2).machines(machines).start().await.unwrap();
        let anywhere = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
        let endpoint = cluster.listen(anywhere, Tokens::new()).await.unwrap();
        kubectl.configure(&endpoint.admin_kubeconfig().unwrap());
        Some(Self { cluster, endpoint, kubectl, root })
    }

    /// Applies the manifest and waits until it runs.
    async fn web(&self) {
        self.feed(&["apply", "-f", "-"], MANIFEST).await;
        self.rolled_out().await;
    }

    async fn rolled_out(&self) {
        let said = self.run(&["rollout", "status", "deploy/web", SOON]).await;
        assert!(said.ends_with("deployment \"web\" successfully rolled out\n"), "{said}");
    }

    /// The names of the deployment's pods.
    async fn pods(&self) -> Vec<String> {
        let names = self.run(&["get", "pods", "-l", "app=web", "-o", "name"]).await;
        names.lines().map(str::to_owned).collect()
    }

    /// What a path of the deployment says.
    async fn web_says(&self, path: &str) -> String {
        self.run(&["get", "deploy", "web", "-o", &format!("jsonpath={{{path}}}")]).await
    }

    async fn image(&self) -> String {
        self.web_says(".spec.template.spec.containers[0].image").await
    }

    /// The logs of the deployment's pods, once each has written: one may run and have said nothing yet.
    async fn logs(&self) -> String {
        for pod in self.pods().await {
            let mut follow = self.command(&["logs", "-f", &pod]).spawn().unwrap();
            let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
            assert!(lines.next_line().await.unwrap().is_some(), "the log of {pod} ends empty");
            follow.kill().await.unwrap();
        }
        self.run(&["logs", "-l", "app=web"]).await
    }

    /// Waits until the controller has seen the deployment as it is.
    async fn observed(&self) {
        let seen = format!(
            "--for=jsonpath={{.status.observedGeneration}}={}",
            self.web_says(".metadata.generation").await
        );
        self.run(&["wait", "deploy/web", &seen, SOON]).await;
    }

    /// Ends the cluster, and looks whether it has left anything.
    pub(crate) async fn done(self) {
        assert!(self.root.is_dir(), "{} was in use", self.root.display());
        self.endpoint.shutdown().await;
        self.cluster.shutdown().await;
        assert!(!self.root.exists(), "{} is left behind", self.root.display());
    }
}

impl Deref for Bench {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}

#[tokio::test]
async fn a_manifest_runs_and_is_shown_in_every_form() {
    let Some(bench) = Bench::new("a_manifest_runs_and_is_shown_in_every_form").await else { return };
    let mut watch = bench.command(&["get", "pods", "-w", "--no-headers"]).spawn().unwrap();
    bench.web().await;
    let again = bench.feed(&["apply", "-f", "-"], MANIFEST).await;
    assert_eq!(again, "configmap/web unchanged\ndeployment.apps/web unchanged\nservice/web unchanged\n");
    let mut seen = BufReader::new(watch.stdout.take().unwrap()).lines();
    while !seen.next_line().await.unwrap().expect("the watch goes on").contains(" 1/1 ") {}
    watch.kill().await.unwrap();

    let wide = bench.run(&["get", "pods", "-o", "wide"]).await;
    assert!(wide.lines().skip(1).all(|line| line.contains("Running") && line.contains("node-")), "{wide}");
    let yaml = bench.run(&["get", "deploy/web", "-o", "yaml"]).await;
    assert!(yaml.contains("\n  readyReplicas: 2\n"), "{yaml}");
    let list = bench.json(&["get", "pods", "-l", "app=web", "--field-selector=status.phase=Running"]).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
    let all = bench.run(&["get", "all"]).await;
    for line in ["pod/web-", "service/web ", "deployment.apps/web   2/2", "replicaset.apps/web-"] {
        assert!(all.contains(line), "{line:?} in {all}");
    }
    // What is shown as a List may come in as one.
    let shown = bench.run(&["get", "cm/web", "svc/web", "-o", "yaml"]).await;
    assert_eq!(bench.feed(&["replace", "-f", "-"], &shown).await.lines().count(), 2);
    let events = bench.run(&["get", "events"]).await;
    assert!(events.starts_with("LAST SEEN   TYPE") && events.contains("ScalingReplicaSet"), "{events}");

    let nodes = bench.run(&["get", "nodes"]).await;
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 2, "{nodes}");
    let pod = bench.pods().await.remove(0);
    for (object, parts) in [
        (pod.as_str(), &["Controlled By:  ReplicaSet/web-", "Started", "Successfully assigned"][..]),
        ("node/node-1", &["KubeletReady", "memory:             8Gi", "Non-terminated Pods:"]),
        ("deploy/web", &["2 available", "NewReplicaSetAvailable", "Scaled up replica set web-"]),
        ("svc/web", &["Endpoints:                127.", "TargetPort:               8080/TCP"]),
    ] {
        let said = bench.run(&["describe", object]).await;
        for part in parts {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
    bench.done().await;
}

#[tokio::test]
async fn a_deployment_scales_rolls_over_and_back() {
    let Some(bench) = Bench::new("a_deployment_scales_rolls_over_and_back").await else { return };
    bench.web().await;
    bench.run(&["scale", "deploy/web", "--replicas=3"]).await;
    bench.run(&["wait", "deploy/web", "--for=jsonpath={.status.readyReplicas}=3", SOON]).await;
    let first = bench.pods().await;
    bench.run(&["set", "image", "deploy/web", "web=windlass.example/app:2"]).await;
    bench.rolled_out().await;
    let gone = first.iter().map(String::as_str).chain(["--for=delete", SOON]);
    bench.run(&["wait"].into_iter().chain(gone).collect::<Vec<_>>()).await;
    let said = bench.logs().await;
    assert_eq!(said.matches("version 2 is process ").count(), 3, "{said}");
    let history = bench.run(&["rollout", "history", "deploy/web"]).await;
    assert!(history.contains("\n1         <none>\n2         <none>\n"), "{history}");
    let second = bench.run(&["rollout", "history", "deploy/web", "--revision=2"]).await;
    assert!(second.contains("windlass.example/app:2"), "{second}");
    assert_eq!(bench.run(&["rollout", "undo", "deploy/web"]).await, "deployment.apps/web rolled back\n");
    bench.rolled_out().await;
    assert_eq!(bench.image().await, "windlass.example/app:1");

    let before = bench.pods().await;
    bench.run(&["rollout", "restart", "deploy/web"]).await;
    bench.rolled_out().await;
    let fresh = bench.run(&["get", "rs", "-l", "app=web", "--no-headers"]).await;
    assert_eq!(fresh.lines().count(), 3, "a restart is a template of its own: {fresh}");
    assert!(!bench.pods().await.iter().all(|pod| before.contains(pod)));

    bench.run(&["rollout", "pause", "deploy/web"]).await;
    bench.run(&["set", "image", "deploy/web", "web=windlass.example/app:2"]).await;
    bench.observed().await;
    let unseen = "--for=jsonpath={.status.updatedReplicas}=3";
    let said = bench.fail(&["wait", "deploy/web", unseen, "--timeout=0"], "").await;
    assert!(said.contains("condition not met"), "{said}");
    bench.run(&["rollout", "resume", "deploy/web"]).await;
    bench.rolled_out().await;
    bench.run(&["wait", "deploy/web", "--for=condition=Available", SOON]).await;

    bench.run(&["delete", "deploy", "web", "--cascade=orphan"]).await;
    assert!(bench.pods().await.len() >= 3);
    bench.run(&["delete", "rs", "-l", "app=web", "--cascade=foreground", SOON]).await;
    assert_eq!(bench.run(&["get", "rs", "-l", "app=web", "-o", "name"]).await, "");
    bench.done().await;
}

#[tokio::test]
async fn what_runs_is_changed_by_hand() {
    let Some(bench) = Bench::new("what_runs_is_changed_by_hand").await else { return };
    bench.web().await;
    let mut edit = bench.command(&["edit", "cm/web"]);
    let edited = edit.env("KUBE_EDITOR", "sed -i s/blue/green/").output().await.unwrap();
    assert_eq!(text(&edited.stdout), "configmap/web edited\n", "{}", text(&edited.stderr));
    let mut whole = bench.json(&["get", "cm", "web"]).await;
    assert_eq!(whole["data"], json!({"colour": "green"}));
    whole["data"]["colour"] = "red".into();
    assert_eq!(bench.feed(&["replace", "-f", "-"], &whole.to_string()).await, "configmap/web replaced\n");
    for (kind, patch) in [
        (
            "strategic",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"windlass.example/app:2"}]}}}}"#,
        ),
        ("merge", r#"{"spec":{"replicas":1}}"#),
        ("json", r#"[{"op":"replace","path":"/spec/revisionHistoryLimit","value":3}]"#),
    ] {
        bench.run(&["patch", "deploy", "web", "--type", kind, "-p", patch]).await;
    }
    bench.run(&["label", "deploy", "web", "tier=front"]).await;
    bench.run(&["annotate", "deploy", "web", "note=hello"]).await;
    bench.rolled_out().await;
    assert_eq!(bench.image().await, "windlass.example/app:2");
    let counts =
        "{.spec.replicas} {.spec.revisionHistoryLimit} {.metadata.labels.tier} {.metadata.annotations.note}";
    let said = bench.run(&["get", "deploy", "web", "-o", &format!("jsonpath={counts}")]).await;
    assert_eq!(said, "1 3 front hello");
    bench.feed(&["delete", "-f", "-", SOON], MANIFEST).await;
    bench.run(&["wait", "pods", "-l", "app=web", "--for=delete", SOON]).await;
    bench.done().await;
}

#[tokio::test]
async fn containers_are_listened_to_and_entered() {
    let Some(bench) = Bench::new("containers_are_listened_to_and_entered").await else { return };
    bench.feed(&["apply", "-f", "-"], LISTENER).await;
    bench.run(&["wait", "pod/listener", "--for=condition=Ready", SOON]).await;
    let mut follow = bench.command(&["logs", "-f", "listener"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "listening");
    bench.feed(&["exec", "-i", "listener", "--", "/bin/sh", "-c", "cat > box"], "you\n").await;
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "heard you");
    follow.kill().await.unwrap();
    assert_eq!(bench.run(&["logs", "listener", "--tail=1"]).await, "heard you\n");

    let script = "echo out; echo err >&2; exit 3";
    let ended = bench.output(&["exec", "listener", "--", "/bin/sh", "-c", script], "").await;
    assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(3), "out\n"));
    assert_eq!(text(&ended.stderr), "err\ncommand terminated with exit code 3\n");
    let missing = bench.fail(&["exec", "listener", "--", "/no/such/program"], "").await;
    assert!(missing.contains("/no/such/program"), "{missing}");
    let much = "x".repeat(1 << 20);
    assert_eq!(
        bench.feed(&["exec", "-i", "listener", "--", "/usr/bin/wc", "-c"], &much).await.trim(),
        "1048576"
    );
    // A command may end before it has read all that is sent to it.
    assert_eq!(bench.feed(&["exec", "-i", "listener", "--", "/usr/bin/head", "-c1"], &much).await, "x");

    let script = "echo ran; exit 0";
    let run = ["run", "once", "--rm", "--attach", "--restart=Never", "--image=host", "--command", "--"];
    let said = bench.run(&[&run[..], &["/bin/sh", "-c", script]].concat()).await;
    assert!(said.starts_with("ran\n") && said.contains("pod \"once\" deleted"), "{said}");
    assert_eq!(bench.fail(&["top", "pods"], "").await, "error: Metrics API not available\n");
    bench.done().await;
}

#[tokio::test]
async fn nodes_are_emptied_and_nothing_outlives_the_cluster() {
    let Some(bench) = Bench::new("nodes_are_emptied_and_nothing_outlives_the_cluster").await else { return };
    bench.web().await;
    assert_eq!(bench.run(&["cordon", "node-1"]).await, "node/node-1 cordoned\n");
    let nodes = bench.run(&["get", "nodes"]).await;
    assert!(nodes.contains("Ready,SchedulingDisabled"), "{nodes}");
    let drained = bench.run(&["drain", "node-1", "--ignore-daemonsets", "--force", SOON]).await;
    assert!(
        drained.contains("evicting pod default/web-") || drained.contains("node/node-1 drained"),
        "{drained}"
    );
    bench.rolled_out().await;
    let there = ["get", "pods", "-o", "name", "--field-selector=spec.nodeName=node-1"];
    assert_eq!(bench.run(&there).await, "");
    assert_eq!(bench.run(&["uncordon", "node-1"]).await, "node/node-1 uncordoned\n");
    assert_eq!(bench.run(&["taint", "node", "node-2", "gone=soon:NoExecute"]).await, "node/node-2 tainted\n");
    let left = ["wait", "pods", "--for=delete", SOON, "--field-selector=spec.nodeName=node-2"];
    bench.run(&left).await;
    bench.rolled_out().await;
    bench.run(&["taint", "node", "node-2", "gone-"]).await;

    let said = bench.logs().await;
    let processes: Vec<Pid> = said
        .lines()
        .filter_map(|line| Some(Pid::from_raw(line.strip_prefix("version 1 is process ")?.parse().unwrap())))
        .collect();
    assert_eq!(processes.len(), 2, "{said}");
    assert!(processes.iter().all(|pid| kill(*pid, None).is_ok()));
    bench.done().await;
    assert!(processes.iter().all(|pid| kill(*pid, None) == Err(Errno::ESRCH)));
}

#[tokio::test]
async fn the_cluster_explains_itself() {
    let Some(bench) = Bench::new("the_cluster_explains_itself").await else { return };
    let info = bench.run(&["cluster-info"]).await;
    assert!(info.contains(&bench.endpoint.url()), "{info}");
    let fields = bench.run(&["explain", "deploy", "--recursive"]).await;
    assert!(fields.contains("\n        maxSurge\t<IntOrString>\n"), "{fields}");
    assert!(bench.run(&["api-resources"]).await.contains("deployments "));
    assert_eq!(bench.run(&["auth", "can-i", "create", "pods"]).await, "yes\n");
    bench.done().await;
}
