//! Bad input: it is answered as Kubernetes answers it, with a place, and harms nobody.

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent, Pod};
use serde_json::json;
use windlass::client::{Api, Event, WatchOptions};
use windlass::cluster::{Cluster, Processes, Simulated};
use windlass::env::Env;
use windlass::runtime::process::ProgramImages;
use windlass::sim;

use crate::cluster::until;
use crate::server_kit::said;

/// Two documents; the second one starts on line 6 and is what a test makes of it.
fn manifest(second: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: first\n---\n{second}")
}

fn deployment(replicas: i32) -> String {
    let (labels, containers) = (json!({"app": "web"}), json!([{"name": "web", "image": "web:1"}]));
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        .to_string()
}

fn service(port: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: far}}\nspec: {{ports: [{{port: {port}, targetPort: 80}}]}}\n"
    )
}

#[test]
fn a_bad_manifest_is_answered_in_kubernetes_words_and_with_its_place() {
    sim::run(1, async |env| {
        let cluster = Cluster::builder().nodes(1).machines(Simulated::default()).env(env.clone());
        let cluster = cluster.start().await.unwrap();
        cluster.apply("web.json", &deployment(2)).await.unwrap();
        let deployments = Api::<Deployment>::namespaced(cluster.client(), "default");
        let ready = |web: Option<&Deployment>| {
            web.and_then(|web| web.status.as_ref()?.available_replicas).unwrap_or(0) == 2
        };
        until(&env, &deployments, "web", ready).await;
        let healthy = deployments.get("web").await.unwrap();

        for (second, code, reason, message) in [
            ("kind: [\n", 400, "BadRequest", "document 2, line 7: "),
            ("kind: Pod\n", 400, "BadRequest", "document 2, line 6: Object 'apiVersion' is missing"),
            ("- a\n", 400, "BadRequest", "document 2, line 6: expected an object, found a list"),
            ("a: 1\na: 2\n", 400, "BadRequest", "document 2, line 7: "),
            (
                "apiVersion: v1\nkind: Cake\nmetadata: {name: a}\n",
                404,
                "NotFound",
                "document 2, line 6: no matches for kind \"Cake\" in version \"v1\"",
            ),
            (
                &service(70_000),
                422,
                "Invalid",
                "document 2, line 6: Service \"far\" is invalid: spec.ports[0].port: Invalid value: 70000: \
                 must be between 1 and 65535, inclusive",
            ),
            (
                // Its name exists, too: what is wrong with it comes first.
                &deployment(-1),
                422,
                "Invalid",
                "document 2, line 6: Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: \
                 must be greater than or equal to 0",
            ),
            (
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}\n",
                404,
                "NotFound",
                "document 2, line 6: namespaces \"nowhere\" not found",
            ),
        ] {
            let error = cluster.apply("bad.yaml", &manifest(second)).await.unwrap_err();
            let told = said(&error);
            assert_eq!((told.0, told.1), (code, reason), "{second}: {error}");
            assert!(told.2.starts_with(&format!("bad.yaml: {message}")), "{second}: {error}");
        }
        // The server serves on, and what was there is as it was.
        assert_eq!(deployments.get("web").await.unwrap(), healthy);
        cluster.apply("good.yaml", &manifest(&service(80))).await.unwrap();
        cluster.shutdown().await;
    });
}

#[test]
fn what_is_taken_or_outdated_or_invalid_is_told_apart() {
    sim::run(2, async |env| {
        let cluster = Cluster::builder().env(env).start().await.unwrap();
        let config_maps = Api::<ConfigMap>::namespaced(cluster.client(), "default");
        let named = |tree| serde_json::from_value::<ConfigMap>(tree).unwrap();
        let first = config_maps.create(&named(json!({"metadata": {"name": "a"}}))).await.unwrap();
        let again = config_maps.create(&named(json!({"metadata": {"name": "a"}}))).await.unwrap_err();
        assert_eq!(said(&again), (409, "AlreadyExists", "configmaps \"a\" already exists"));
        // A name that exists excuses no other fault: what is invalid is said first.
        let invalid = json!({"metadata": {"name": "a"}, "data": {"a/b": "c"}});
        let invalid = config_maps.create(&named(invalid)).await.unwrap_err();
        let (code, reason, message) = said(&invalid);
        assert_eq!((code, reason), (422, "Invalid"));
        assert!(
            message.starts_with("ConfigMap \"a\" is invalid: data[a/b]: Invalid value: \"a/b\": "),
            "{message}"
        );

        let mut newer = first.clone();
        newer.data = Some([("k".to_owned(), "v".to_owned())].into());
        let newer = config_maps.update(&newer).await.unwrap();
        let stale = config_maps.update(&first).await.unwrap_err();
        let words = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please \
                     apply your changes to the latest version and try again";
        assert_eq!(said(&stale), (409, "Conflict", words));
        assert_eq!(config_maps.get("a").await.unwrap(), newer);
        cluster.shutdown().await;
    });
}

#[tokio::test]
async fn an_image_that_cannot_run_holds_its_own_pod_back_and_no_other() {
    let env = Env::system();
    let machines = Processes::claim(ProgramImages::new()).unwrap();
    let cluster = Cluster::builder().nodes(1).machines(machines).env(env.clone()).start().await.unwrap();
    let pod = |name: &str, image: &str| {
        let command = json!(["/bin/sleep", "3600"]);
        let containers = json!([{"name": "app", "image": image, "command": command}]);
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
            .to_string()
    };
    cluster.apply("bad.json", &pod("bad", "example.org/no/such:1")).await.unwrap();
    cluster.apply("good.json", &pod("good", "host")).await.unwrap();
    let pods = Api::<Pod>::namespaced(cluster.client(), "default");
    let waiting = |pod: &Pod| {
        let state = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.state.clone()?;
        state.waiting
    };
    let held = |found: Option<&Pod>| {
        let waiting = found.and_then(waiting).unwrap_or_default();
        waiting.reason.as_deref() == Some("ImagePullBackOff")
    };
    until(&env, &pods, "bad", held).await;
    let message = waiting(&pods.get("bad").await.unwrap()).unwrap().message.unwrap_or_default();
    assert!(
        message.starts_with("Back-off pulling image \"example.org/no/such:1\": ErrImagePull: "),
        "{message}"
    );
    let runs = |found: Option<&Pod>| {
        found.and_then(|pod| pod.status.as_ref()?.phase.clone()).as_deref() == Some("Running")
    };
    until(&env, &pods, "good", runs).await;

    let events = Api::<CoreEvent>::namespaced(cluster.client(), "default");
    let mut told = events.watch(WatchOptions::default()).await.unwrap();
    let mut missing = vec!["Failed to pull image \"example.org/no/such:1\": ", "Error: ErrImagePull"];
    let hear = async {
        while !missing.is_empty() {
            let event = told.next().await.expect("the watch goes on").unwrap();
            if let Event::Added(event) | Event::Modified(event) = event
                && event.reason.as_deref() == Some("Failed")
                && event.involved_object.name.as_deref() == Some("bad")
            {
                let message = event.message.as_deref().unwrap_or_default();
                missing.retain(|wanted| !message.starts_with(wanted));
            }
        }
    };
    env.clock.timeout(std::time::Duration::from_secs(30), hear).await.expect("its events");
    cluster.shutdown().await;
}
