//! Unmodified Helm, which applies at the server, against a cluster whose containers are processes.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};
use windlass::cluster::{Cluster, Endpoint, Processes};
use windlass::runtime::process::{Program, ProgramImages};
use windlass::server::https::Tokens;

use crate::support::kubectl::Kubectl;
use crate::support::tool::Tool;

/// How long anything may take, on a machine that has much else to do.
const SOON: &str = "--timeout=120s";

/// One node, and Helm and kubectl that talk to it as the administrator.
struct Bench {
    cluster: Cluster,
    endpoint: Endpoint,
    helm: Tool,
    kubectl: Kubectl,
}

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        let test = format!("helm::{test}");
        let (kubectl, helm) = (Kubectl::find(&test)?, Tool::find(&test, "WINDLASS_HELM", "helm")?);
        let images = ProgramImages::new();
        for version in ["1", "2"] {
            let app = Program::new("/bin/sleep").arg("3600");
            images.program(&format!("windlass.example/app:{version}"), app).unwrap();
        }
        let machines = Processes::claim(images).unwrap();
        let cluster = Cluster::builder().nodes(1).machines(machines).start().await.unwrap();
        let anywhere = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
        let endpoint = cluster.listen(anywhere, Tokens::new()).await.unwrap();
        for tool in [&helm, &kubectl] {
            tool.configure(&endpoint.admin_kubeconfig().unwrap());
        }
        Some(Self { cluster, endpoint, helm, kubectl })
    }

    /// Runs Helm with the chart: `helm VERB web CHART ARGUMENTS...`.
    async fn chart(&self, verb: &str, arguments: &[&str]) -> String {
        self.helm.run(&[&[verb, "web", chart(), "--wait", SOON], arguments].concat()).await
    }

    async fn web(&self, kind: &str) -> Value {
        self.kubectl.json(&["get", kind, "web", "--show-managed-fields"]).await
    }

    /// Revisions and their status, as Helm tells them.
    async fn history(&self) -> Vec<(i64, String)> {
        let history = self.helm.json(&["history", "web"]).await;
        let revision =
            |entry: &Value| (entry["revision"].as_i64().unwrap(), entry["status"].as_str().unwrap().into());
        history.as_array().unwrap().iter().map(revision).collect()
    }

    async fn done(self) {
        self.endpoint.shutdown().await;
        self.cluster.shutdown().await;
    }
}

fn chart() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/helm/chart")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_is_installed_upgraded_rolled_back_and_uninstalled() {
    let Some(bench) = Bench::new("a_chart_is_installed_upgraded_rolled_back_and_uninstalled").await else {
        return;
    };
    assert!(Path::new(chart()).is_dir());
    bench.chart("install", &[]).await;
    let deployment = bench.web("deployment").await;
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    let managers = deployment["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers.iter().any(|one| one["manager"] == "helm" && one["operation"] == "Apply"),
        "{managers:?}"
    );
    assert_eq!(bench.web("configmap").await["data"], json!({"version": "1", "only-in-one": "yes"}));
    assert_eq!(bench.web("gadget").await["spec"], json!({"size": 2}));
    assert_eq!(bench.kubectl.run(&["logs", "web-prepare"]).await, "prepared 1\n");
    let hook = bench.kubectl.json(&["get", "configmap", "web-installed"]).await;
    assert_eq!(hook["data"], json!({"revision": "1"}));
    let said = bench.helm.run(&["test", "web", SOON]).await;
    assert!(said.contains("Phase:          Succeeded"), "{said}");
    assert_eq!(bench.kubectl.run(&["logs", "web-test"]).await, "tested\n");

    // What somebody else has set beside stays; what the chart no longer has goes.
    bench.kubectl.run(&["annotate", "configmap", "web", "mine=kept"]).await;
    bench.chart("upgrade", &["--set", "version=2,replicas=3"]).await;
    let deployment = bench.web("deployment").await;
    assert_eq!(deployment["status"]["readyReplicas"], 3);
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "windlass.example/app:2");
    let map = bench.web("configmap").await;
    assert_eq!(
        (&map["data"], &map["metadata"]["annotations"]["mine"]),
        (&json!({"version": "2"}), &json!("kept"))
    );
    assert_eq!(bench.kubectl.run(&["logs", "web-prepare"]).await, "prepared 2\n");

    // A hook that fails stops the upgrade before it begins.
    let arguments = ["upgrade", "web", chart(), "--wait", SOON, "--set", "version=1,failure=3"];
    let said = bench.helm.fail(&arguments, "").await;
    assert!(said.contains("pre-upgrade hooks failed"), "{said}");
    assert_eq!(bench.web("configmap").await["data"], json!({"version": "2"}));

    bench.helm.run(&["rollback", "web", "1", "--wait", SOON]).await;
    let deployment = bench.web("deployment").await;
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "windlass.example/app:1");
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    assert_eq!(bench.web("configmap").await["data"], json!({"version": "1", "only-in-one": "yes"}));
    let history = bench.history().await;
    let status: Vec<_> = history.iter().map(|(revision, status)| (*revision, &**status)).collect();
    assert_eq!(status, [(1, "superseded"), (2, "superseded"), (3, "failed"), (4, "deployed")]);

    bench.helm.run(&["uninstall", "web", "--wait", SOON]).await;
    for kind in ["deployment", "service", "configmap", "gadget"] {
        let said = bench.kubectl.fail(&["get", kind, "web"], "").await;
        assert!(said.contains("NotFound"), "{said}");
    }
    // Definitions stay, as Helm promises; releases do not.
    bench.kubectl.run(&["get", "crd", "gadgets.stable.example.com"]).await;
    assert_eq!(bench.helm.json(&["list"]).await, json!([]));
    bench.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_somebody_else_owns_is_a_conflict() {
    let Some(bench) = Bench::new("a_field_that_somebody_else_owns_is_a_conflict").await else { return };
    bench.chart("install", &[]).await;
    let other =
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"version": "9"}}"#;
    let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-"];
    bench.kubectl.feed(&arguments, other).await;
    let said = bench.helm.fail(&["upgrade", "web", chart(), "--set", "version=2", SOON], "").await;
    assert!(said.contains("conflict") && said.contains(".data.version"), "{said}");
    assert_eq!(bench.web("configmap").await["data"]["version"], "9");
    bench.chart("upgrade", &["--set", "version=2", "--force-conflicts"]).await;
    assert_eq!(bench.web("configmap").await["data"]["version"], "2");
    bench.done().await;
}
