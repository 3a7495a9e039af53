//! What a server does on a write of each kind: what it fills in, what it takes away, what it leaves alone, and
//! what it says besides.

use http::Method;
use serde_json::{Value, json};
use windlass::client::{ClientExt as _, Identity, Payload, PropagationPolicy, Target, WriteOptions};

use super::server_kit::*;
use crate::support::{send, server};

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]}})
}

fn ending() -> Value {
    let mut template = template();
    template["spec"]["restartPolicy"] = "Never".into();
    template
}

fn named(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

#[tokio::test(start_paused = true)]
async fn a_job_finds_its_pods_by_its_own_uid() {
    let kit = kit().await;
    let sent = json!({"metadata": {"generateName": "j-"}, "spec": {"template": ending()}});
    let made = kit.create("default", "jobs", sent).await.unwrap();
    let (name, uid) = (&made["metadata"]["name"], &made["metadata"]["uid"]);
    assert!(name.as_str().unwrap().starts_with("j-"));
    let spec = &made["spec"];
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
    let labels = &spec["template"]["metadata"]["labels"];
    for (label, value) in
        [("job-name", name), ("batch.kubernetes.io/job-name", name), ("controller-uid", uid)]
    {
        assert_eq!(labels[label], *value, "{label}");
    }
    assert_eq!(made["metadata"]["generation"], 1);
    // Who says nothing of its pods keeps them; somebody has to let go of them first.
    let path = format!("jobs/{}", name.as_str().unwrap());
    let left = kit.delete("default", &path).await.unwrap().expect("it waits");
    assert_eq!(left["metadata"]["finalizers"], json!(["orphan"]));
    let background = delete_options(|options| options.propagation = Some(PropagationPolicy::Background));
    kit.create("default", "jobs", named("k", json!({"template": ending()}))).await.unwrap();
    assert!(kit.delete_with("default", "jobs/k", background).await.unwrap().is_none());
    let manual = named("m", json!({"manualSelector": true, "template": ending()}));
    assert_eq!(status_of(kit.create("default", "jobs", manual).await).code, 422);
}

#[tokio::test(start_paused = true)]
async fn generations_count_what_somebody_asks_for() {
    let kit = kit().await;
    let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template()});
    let made = kit.create("default", "daemonsets", named("d", spec)).await.unwrap();
    let generations = |tree: &Value| {
        let metadata = &tree["metadata"];
        (
            metadata["generation"].clone(),
            metadata["annotations"]["deprecated.daemonset.template.generation"].clone(),
        )
    };
    assert_eq!(generations(&made), (json!(1), json!("1")));
    assert_eq!(made["status"]["desiredNumberScheduled"], 0);
    let ready = kit.merge("default", "daemonsets/d", json!({"spec": {"minReadySeconds": 5}})).await.unwrap();
    assert_eq!(generations(&ready), (json!(2), json!("1")));
    let image = json!({"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}});
    assert_eq!(
        generations(&kit.merge("default", "daemonsets/d", image).await.unwrap()),
        (json!(3), json!("2"))
    );
    let labelled =
        kit.merge("default", "daemonsets/d", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(generations(&labelled), (json!(3), json!("2")));
    let status = json!({"status": {"numberReady": 1, "desiredNumberScheduled": 1}});
    let reported = kit.merge("default", "daemonsets/d/status", status).await.unwrap();
    assert_eq!(
        (generations(&reported), &reported["status"]["numberReady"]),
        ((json!(3), json!("2")), &json!(1))
    );
    let untouched =
        kit.merge("default", "daemonsets/d", json!({"status": {"numberReady": 9}})).await.unwrap();
    assert_eq!(untouched["status"]["numberReady"], 1);
    // A Deployment's annotations count, and its labels are not its controller's.
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    let metadata = json!({"metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"}}});
    assert_eq!(kit.merge("default", "deployments/web", metadata).await.unwrap()["metadata"]["generation"], 2);
    let patch = json!({"metadata": {"labels": {"e": "f"}}, "status": {"replicas": 3}});
    let reported = kit.merge("default", "deployments/web/status", patch).await.unwrap();
    assert_eq!(reported["metadata"]["labels"], json!({"c": "d"}));
    assert_eq!(reported["status"]["replicas"], 3);
}

#[tokio::test(start_paused = true)]
async fn volumes_say_when_they_came_into_their_phase() {
    let kit = kit().await;
    let spec =
        json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}});
    let mut sent = named("v", spec);
    sent["status"] = json!({"phase": "Bound"});
    let made = kit.create("", "persistentvolumes", sent).await.unwrap();
    let time =
        |tree: &Value| tree["status"]["lastPhaseTransitionTime"].as_str().unwrap_or_default().to_owned();
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(!time(&made).is_empty());
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let same =
        kit.merge("", "persistentvolumes/v/status", json!({"status": {"message": "m"}})).await.unwrap();
    assert_eq!(time(&same), time(&made));
    let bound =
        kit.merge("", "persistentvolumes/v/status", json!({"status": {"phase": "Available"}})).await.unwrap();
    assert_eq!(bound["status"]["phase"], "Available");
    assert!(time(&bound) >= time(&made));
    let source = json!({"kind": "PersistentVolumeClaim", "name": "other"});
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "dataSource": source});
    let claim = kit.create("default", "persistentvolumeclaims", named("c", spec)).await.unwrap();
    assert_eq!(claim["spec"]["dataSourceRef"], source);
    assert_eq!(claim["status"], json!({"phase": "Pending"}));
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_is_the_same_in_both_versions() {
    let kit = kit().await;
    let scheme = kit.server.scheme();
    let at = |version: &str, name: Option<&str>| {
        let row = scheme.api_kind(&format!("autoscaling/{version}"), "HorizontalPodAutoscaler").unwrap();
        let target = Target::all(row).namespace("default");
        match name {
            Some(name) => target.name(name),
            None => target,
        }
    };
    let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {"scaleTargetRef": reference, "maxReplicas": 5, "targetCPUUtilizationPercentage": 70}});
    let made = kit.client.create(at("v1", None), Payload::Tree(old), WriteOptions::default()).await.unwrap();
    assert_eq!(made.unwrap().tree()["spec"]["targetCPUUtilizationPercentage"], 70);
    let new = kit.client.get(at("v2", Some("a"))).await.unwrap();
    let mut tree = shown(&new);
    assert_eq!(tree["apiVersion"], "autoscaling/v2");
    assert_eq!(tree["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    assert_eq!(tree["spec"]["minReplicas"], 1);
    assert!(tree["metadata"].get("generation").is_none());
    tree["spec"]["behavior"] = json!({"scaleDown": {"selectPolicy": "Disabled"}});
    kit.client
        .update(at("v2", Some("a")), Payload::Tree(tree.clone()), WriteOptions::default())
        .await
        .unwrap();
    // What the older version has no field for survives a write by somebody who knows no other.
    let mut older = shown(&kit.client.get(at("v1", Some("a"))).await.unwrap());
    assert!(older["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/behavior"].is_string());
    older["spec"]["maxReplicas"] = 9.into();
    kit.client.update(at("v1", Some("a")), Payload::Tree(older), WriteOptions::default()).await.unwrap();
    let after = shown(&kit.client.get(at("v2", Some("a"))).await.unwrap());
    assert_eq!(after["spec"]["maxReplicas"], 9);
    assert_eq!(after["spec"]["behavior"]["scaleDown"]["selectPolicy"], "Disabled");
    assert!(after["metadata"].get("annotations").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_off_is_dropped_and_what_is_short_is_written_out() {
    let kit = kit().await;
    let mut sent = pod("p");
    sent["metadata"]["labels"] = json!({"app": "web"});
    sent["metadata"]["annotations"] =
        json!({"container.apparmor.security.beta.kubernetes.io/main": "runtime/default"});
    sent["spec"]["schedulingGroup"] = json!({"podGroupName": "g"});
    sent["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}, "matchLabelKeys": ["app"]}]);
    let made = kit.create("default", "pods", sent).await.unwrap();
    let spec = &made["spec"];
    assert!(spec.get("schedulingGroup").is_none());
    assert_eq!(
        spec["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"],
        json!([{"key": "app", "operator": "In", "values": ["web"]}])
    );
    assert_eq!(
        spec["containers"][0]["securityContext"]["appArmorProfile"],
        json!({"type": "RuntimeDefault"})
    );
    let account =
        json!({"metadata": {"name": "a"}, "secrets": [{"kind": "Secret", "name": "s", "namespace": "x"}]});
    let made = kit.create("default", "serviceaccounts", account).await.unwrap();
    assert_eq!(made["secrets"], json!([{"name": "s"}]));
    let range = json!({"metadata": {}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}});
    let made = kit.create("default", "limitranges", range).await.unwrap();
    assert_eq!(made["metadata"]["name"], made["metadata"]["uid"]);
    assert_eq!(made["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "1"}));
    let budget = named("b", json!({"minAvailable": 1}));
    let made = kit.create("default", "poddisruptionbudgets", budget).await.unwrap();
    assert_eq!(made["status"]["disruptionsAllowed"], 0);
}

#[tokio::test]
async fn whoever_uses_what_is_deprecated_is_told_with_every_answer() {
    let server = server().await;
    let told = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
    let path = "/api/v1/namespaces/default/endpoints";
    let endpoints = json!({"metadata": {"name": "web"}}).to_string();
    let json_type = [("content-type", "application/json")];
    let merge = [("content-type", "application/merge-patch+json")];
    let one = &format!("{path}/web");
    for (method, path, headers, body, code) in [
        (Method::POST, path, &json_type, endpoints.as_str(), 201),
        (Method::POST, path, &json_type, &endpoints, 409),
        (Method::GET, path, &json_type, "", 200),
        (Method::GET, one, &json_type, "", 200),
        (Method::PATCH, one, &merge, "{}", 200),
        (Method::DELETE, one, &json_type, "", 200),
        (Method::GET, one, &json_type, "", 404),
    ] {
        let answer = send(&server, Identity::admin(), method.clone(), path, headers, body).await;
        assert_eq!(answer.code, code, "{}", answer.text);
        let warning = answer.headers.get("warning").map(|text| text.to_str().unwrap());
        assert_eq!(warning, Some(told), "{method} {path}");
    }
    let page = crate::support::get(&server, "/metrics", &[]).await.text;
    let gauges: Vec<_> =
        page.lines().filter(|line| line.starts_with("apiserver_requested_deprecated_apis{")).collect();
    let expected = "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",\
                    subresource=\"\",version=\"v1\"} 1";
    assert_eq!(gauges, [expected]);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_shown_as_far_as_it_goes() {
    let server = server().await;
    let unread = "the object provided is unrecognized (must be of type Pod)";
    let json = "application/json";
    for (media, body, expected) in [
        (json, "", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (
            json,
            r#"{"kind": "Pod", "metadata": {"name" "a"}}"#,
            "couldn't get version/kind; json parse error: invalid character '\"' after object key \
             ({\"kind\": \"Pod\", \"metadata\": {\" ...)",
        ),
        (
            json,
            "kind: Pod",
            "couldn't get version/kind; json parse error: invalid character 'k' looking for beginning of value \
             (6b696e643a20506f64)",
        ),
    ] {
        let path = "/api/v1/namespaces/default/pods";
        let headers = [("content-type", media)];
        let answer = send(&server, Identity::admin(), Method::POST, path, &headers, body).await;
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.code.as_u16(), message), (400, format!("{unread}: {expected}")));
    }
}

#[tokio::test]
async fn a_server_warns_of_what_it_accepts() {
    let server = server().await;
    let admin = Identity::admin;
    let json_type = [("content-type", "application/json")];
    let post = async |path: &str, body: Value| {
        let made = send(&server, admin(), Method::POST, path, &json_type, &body.to_string()).await;
        assert_eq!(made.code, 201, "{}", made.text);
        made.headers.get("warning").map(|text| text.to_str().unwrap().to_owned())
    };
    let volume = json!([{"name": "v", "gitRepo": {"repository": "r"}}]);
    let mut with_volume = pod("a");
    with_volume["spec"]["volumes"] = volume.clone();
    assert_eq!(
        post("/api/v1/namespaces/default/pods", with_volume).await.as_deref(),
        Some(r#"299 - "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+""#)
    );
    let mut web = deployment("web");
    web["spec"]["template"]["spec"]["volumes"] = volume;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    assert!(post(path, web).await.unwrap().contains("spec.template.spec.volumes[0].gitRepo"));
    // A template that stays as it is has been talked about.
    let merge = [("content-type", "application/merge-patch+json")];
    let path = format!("{path}/web");
    let patch = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let patched = send(&server, admin(), Method::PATCH, &path, &merge, &patch).await;
    assert_eq!((patched.code.as_u16(), patched.headers.get("warning")), (200, None));
    assert_eq!(post("/api/v1/namespaces/default/pods", pod("b")).await, None);
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": ending()}});
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    assert_eq!(post(jobs, job).await, None);
    let gone = send(&server, admin(), Method::DELETE, &format!("{jobs}/j"), &json_type, "").await;
    assert!(gone.headers["warning"].to_str().unwrap().contains("child pods are preserved by default"));
    let none = send(&server, admin(), Method::DELETE, &format!("{jobs}/none"), &json_type, "").await;
    assert_eq!((none.failure().0, none.headers.get("warning")), (404, gone.headers.get("warning")));
    let mut invalid = pod("c");
    invalid["spec"]["volumes"] = json!([{"name": "V_", "gitRepo": {"repository": "r"}}]);
    let pods = "/api/v1/namespaces/default/pods";
    let refused = send(&server, admin(), Method::POST, pods, &json_type, &invalid.to_string()).await;
    assert_eq!(
        (refused.failure().0, refused.headers.get("warning")),
        (422, None),
        "a kind warns of what is valid"
    );
}
