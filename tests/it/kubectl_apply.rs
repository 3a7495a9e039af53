//! Unmodified kubectl and server-side apply: what it applies, diffs, labels, scales and shows.

use serde_json::Value;

use crate::support::kubectl::{DEPLOYMENT, Kubectl};
use crate::support::{Served, serve, server};

struct Bench {
    served: Served,
    kubectl: Kubectl,
}

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        let kubectl = Kubectl::find(test)?;
        let served = serve(server().await).await;
        kubectl.configure(&served.kubeconfig().to_yaml().expect("a kubeconfig"));
        Some(Self { served, kubectl })
    }

    /// Each entry's operation, manager, subresource and fields.
    async fn owners(&self, what: &str) -> Vec<String> {
        let object = self.kubectl.json(&["get", what, "--show-managed-fields"]).await;
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .map(|entry| {
                assert_eq!(entry["fieldsType"], "FieldsV1");
                let subresource = match text(entry, "subresource") {
                    none if none.is_empty() => none,
                    some => format!("/{some}"),
                };
                format!(
                    "{} {}{subresource} {}",
                    text(entry, "operation"),
                    text(entry, "manager"),
                    entry["fieldsV1"]
                )
            })
            .collect()
    }
}

/// What kube-apiserver records of that apply.
const OWNED: &str = concat!(
    r#"Apply kubectl {"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"#,
    r#""f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"#,
    r#""f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"#,
    r#""f:containerPort":{}}}}}}}}}"#
);

#[tokio::test]
async fn kubectl_applies_from_the_server_s_side() {
    let Some(bench) = Bench::new("kubectl_apply::kubectl_applies_from_the_server_s_side").await else {
        return;
    };
    let kubectl = &bench.kubectl;
    let apply = ["apply", "--server-side", "-f", "-"];
    let dry = [&apply[..], &["--dry-run=server"]].concat();
    assert_eq!(
        kubectl.feed(&dry, DEPLOYMENT).await,
        "deployment.apps/web serverside-applied (server dry run)\n"
    );
    assert!(kubectl.fail(&["get", "deployment", "web"], "").await.contains("NotFound"));
    assert_eq!(kubectl.feed(&apply, DEPLOYMENT).await, "deployment.apps/web serverside-applied\n");
    assert_eq!(bench.owners("deployment/web").await, [OWNED]);
    let revision = kubectl.json(&["get", "deployment", "web"]).await["metadata"]["resourceVersion"].clone();
    kubectl.feed(&apply, DEPLOYMENT).await;
    assert_eq!(kubectl.json(&["get", "deployment", "web"]).await["metadata"]["resourceVersion"], revision);
    // What is hidden is only not shown.
    let shown = kubectl.run(&["get", "deployment", "web", "-o", "yaml"]).await;
    assert!(!shown.contains("managedFields"));
    let shown = kubectl.run(&["get", "deployment", "web", "-o", "yaml", "--show-managed-fields"]).await;
    assert!(shown.contains("  managedFields:\n  - apiVersion: apps/v1\n    fieldsType: FieldsV1"), "{shown}");

    // Another manager is refused what it would change, and takes it by force.
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3");
    let other = [&apply[..], &["--field-manager=other"]].concat();
    let refused = kubectl.fail(&other, &changed).await;
    assert!(
        refused.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas"),
        "{refused}"
    );
    kubectl.feed(&[&other[..], &["--force-conflicts"]].concat(), &changed).await;
    let owners = bench.owners("deployment/web").await;
    assert_eq!(owners.len(), 2, "{owners:#?}");
    assert!(!owners.iter().any(|line| line.contains("Apply kubectl ") && line.contains("f:replicas")));

    let differs = kubectl
        .output(
            &["diff", "--server-side", "--field-manager=other", "-f", "-"],
            &changed.replace("web:1", "web:2"),
        )
        .await;
    let said = String::from_utf8_lossy(&differs.stdout).into_owned();
    // The image is the first one's, too.
    let complaint = String::from_utf8_lossy(&differs.stderr).into_owned();
    assert!(complaint.contains("conflict with \"kubectl\""), "{said}{complaint}");
    let differs = kubectl
        .output(
            &["diff", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-"],
            &changed.replace("web:1", "web:2"),
        )
        .await;
    let said = String::from_utf8_lossy(&differs.stdout).into_owned();
    assert_eq!(differs.status.code(), Some(1), "{said}");
    assert!(said.contains("-      - image: example/web:1\n+      - image: example/web:2\n"), "{said}");
    bench.served.shutdown().await;
}

#[tokio::test]
async fn what_kubectl_changes_afterwards_is_recorded() {
    let Some(bench) = Bench::new("kubectl_apply::what_kubectl_changes_afterwards_is_recorded").await else {
        return;
    };
    let kubectl = &bench.kubectl;
    kubectl.feed(&["apply", "--server-side", "-f", "-"], DEPLOYMENT).await;
    kubectl.run(&["label", "deployment", "web", "tier=front", "--field-manager=labeler"]).await;
    kubectl.run(&["annotate", "deployment", "web", "note=this"]).await;
    kubectl.run(&["scale", "deployment", "web", "--replicas=4"]).await;
    kubectl.run(&["set", "image", "deployment/web", "web=example/web:9", "--field-manager=setter"]).await;
    let owners = bench.owners("deployment/web").await;
    let line = |start: &str| {
        let found: Vec<_> = owners.iter().filter(|line| line.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {owners:#?}");
        found[0].split_once(" {").unwrap().1.to_owned()
    };
    assert_eq!(line("Update labeler "), r#""f:metadata":{"f:labels":{"f:tier":{}}}}"#);
    assert_eq!(line("Update kubectl-annotate "), r#""f:metadata":{"f:annotations":{".":{},"f:note":{}}}}"#);
    assert_eq!(line("Update kubectl/scale "), r#""f:spec":{"f:replicas":{}}}"#);
    let image =
        r#""f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}}}"#;
    assert_eq!(line("Update setter "), image);
    let applied = line("Apply kubectl ");
    assert!(!applied.contains("f:replicas") && !applied.contains("f:image"), "{applied}");
    let refused = kubectl.fail(&["apply", "--server-side", "-f", "-"], DEPLOYMENT).await;
    for said in [
        "Apply failed with 2 conflicts",
        "conflicts with \"kubectl\" with subresource \"scale\" using apps/v1",
        "- .spec.replicas",
        "conflicts with \"setter\" using apps/v1",
        "- .spec.template.spec.containers[name=\"web\"].image",
    ] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    bench.served.shutdown().await;
}

#[tokio::test]
async fn kubectl_goes_over_from_one_side_to_the_other_and_back() {
    let Some(bench) =
        Bench::new("kubectl_apply::kubectl_goes_over_from_one_side_to_the_other_and_back").await
    else {
        return;
    };
    let kubectl = &bench.kubectl;
    kubectl.feed(&["apply", "-f", "-"], DEPLOYMENT).await;
    let owners = bench.owners("deployment/web").await;
    assert!(owners.len() == 1 && owners[0].starts_with("Update kubectl-client-side-apply "), "{owners:#?}");
    // kubectl moves what its client side owned over to the server's side.
    let more = DEPLOYMENT
        .replace("replicas: 2", "replicas: 5")
        .replace("{app: web}\nspec:", "{app: web, new: a}\nspec:");
    kubectl.feed(&["apply", "--server-side", "-f", "-"], &more).await;
    let owners = bench.owners("deployment/web").await;
    assert!(owners.iter().any(|line| line.starts_with("Apply kubectl ") && line.contains("f:replicas")));
    assert!(!owners.iter().any(|line| line.contains("kubectl-client-side-apply")), "{owners:#?}");
    // A field that is left out now goes, though the client's side had set it.
    let less = DEPLOYMENT.replace("        ports: [{containerPort: 8080}]\n", "");
    kubectl.feed(&["apply", "--server-side", "-f", "-"], &less).await;
    let object = kubectl.json(&["get", "deployment", "web"]).await;
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0].get("ports"), None);
    assert_eq!(object["metadata"]["labels"], serde_json::json!({"app": "web"}));
    // And back.
    let said = kubectl.feed(&["apply", "-f", "-"], DEPLOYMENT).await;
    assert_eq!(said, "deployment.apps/web configured\n");
    let object = kubectl.json(&["get", "deployment", "web"]).await;
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"], 8080);
    bench.served.shutdown().await;
}
