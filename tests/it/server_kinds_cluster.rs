//! What a server does on writes of the kinds that belong to the cluster: certificates, priorities, devices,
//! policies, leases, reviews; and which versions it serves.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use windlass::api::{Resource, RuntimeConfig};
use windlass::client::{ClientExt as _, Identity, Payload, Target, WriteOptions};
use windlass::server::{RoleTable, Rule};
use windlass::store::{MemoryStore, ObjectStoreExt as _};

use super::server_kit::*;
use crate::support::send;

/// A request for a certificate, PEM in base64: `CN=user-a, O=group-a`, a key of P-256.
const CERTIFICATE_REQUEST: &str = "\
LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIZE1JR0ZBZ0VBTUNNeER6QU5CZ05WQkFNTUJuVnpaWEl0WVRF\
UU1BNEdBMVVFQ2d3SFozSnZkWEF0WVRCWgpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQUJKK1JZbnVOSzNtOEU2NjdV\
M0N6ODZ5MnExanoxTmorCk9XVUhLaFRQcUFOVHFNallGeWtZSVJCMXVCaE5iWmRuRnRVSjlLMGhWazRDMFFMMVNvTUw0ZU9nQURB\
S0JnZ3EKaGtqT1BRUURBZ05IQURCRUFpQVhielJJRHJOaGRXWXYrVGNpb0orSG1xM29OVXh0K0h3TUUwNDdGbU9YaUFJZwpQZEJH\
UkU2cFBpM0Uwb1NWR1IwbEdaYWpJT1ZlM3hDRGZIdk9Id3dmY1NJPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K\
";

fn everything() -> RuntimeConfig {
    RuntimeConfig::default().with("api/all", true).unwrap()
}

fn certificate_request() -> Value {
    json!({"metadata": {"name": "r"}, "spec": {"request": CERTIFICATE_REQUEST, "usages": ["client auth"],
        "signerName": "example.com/signer", "username": "somebody-else", "groups": ["system:masters"]},
        "status": {"conditions": [{"type": "Approved", "status": "True"}]}})
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_certificate_says_who_asks_and_is_decided_apart() {
    let kit = kit().await;
    let made = kit.create("", "certificatesigningrequests", certificate_request()).await.unwrap();
    let admin = Identity::admin();
    assert_eq!(made["spec"]["username"], json!(admin.user));
    assert_eq!(made["spec"]["groups"], json!(admin.groups));
    assert_eq!(made["status"].get("conditions"), None, "nobody approves what is new");
    let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Fine"}],
        "certificate": "eA=="}, "spec": {"signerName": "example.com/other"}});
    let status = "certificatesigningrequests/r/status";
    let refused = status_of(
        kit.merge("", status, json!({"status": {"conditions": approved["status"]["conditions"]}})).await,
    );
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.contains("updates may not add a condition of type \"Approved\""),
        "{}",
        refused.message
    );
    let approval = "certificatesigningrequests/r/approval";
    let decided = kit.merge("", approval, approved).await.unwrap();
    let condition = &decided["status"]["conditions"][0];
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string());
    assert_eq!(decided["status"].get("certificate"), None);
    assert_eq!(decided["spec"], made["spec"]);
    assert_eq!(kit.get("", approval).await.unwrap(), decided);
    // The main resource changes nothing of either.
    let same = kit
        .merge("", "certificatesigningrequests/r", json!({"spec": {"usages": ["any"]}, "status": null}))
        .await;
    assert_eq!(same.unwrap(), decided);
    let failed = json!({"status": {"conditions": [condition, {"type": "Failed", "status": "True"}]}});
    let failed = kit.merge("", status, failed).await.unwrap();
    assert_eq!(failed["status"]["conditions"][0], *condition, "the decision stands as it was");
}

#[tokio::test(start_paused = true)]
async fn system_priorities_are_there_and_stay() {
    let kit = kit().await;
    for (name, value) in
        [("system-node-critical", 2_000_001_000_i64), ("system-cluster-critical", 2_000_000_000)]
    {
        let path = format!("priorityclasses/{name}");
        let class = kit.get("", &path).await.unwrap();
        assert_eq!((&class["value"], &class["metadata"]["generation"]), (&json!(value), &json!(1)));
        assert_eq!(status_of(kit.merge("", &path, json!({"value": 1})).await).code, 422);
    }
    let high = json!({"metadata": {"name": "high"}, "value": 1000});
    let made = kit.create("", "priorityclasses", high).await.unwrap();
    assert_eq!(
        (&made["preemptionPolicy"], &made["metadata"]["generation"]),
        (&json!("PreemptLowerPriority"), &json!(1))
    );
    let described = kit.merge("", "priorityclasses/high", json!({"description": "d"})).await.unwrap();
    assert_eq!(described["metadata"]["generation"], 1, "nothing that counts can change");
}

#[tokio::test(start_paused = true)]
async fn unstable_versions_are_served_where_a_switch_says_so() {
    let rows = |kit: &Kit, version: &str| {
        let scheme = kit.server.scheme();
        scheme.iter().filter(|row| row.version == version).count()
    };
    let stable = kit().await;
    assert_eq!((rows(&stable, "v1beta1"), rows(&stable, "v1alpha2")), (0, 0));
    let paths = ["/apis/resource.k8s.io/v1beta1", "/apis/scheduling.k8s.io/v1alpha2"];
    for path in paths {
        assert_eq!(send(&stable.server, Identity::admin(), Method::GET, path, &[], "").await.code, 404);
    }
    let all = kit_with(|builder| builder.runtime_config(&everything())).await;
    for path in paths {
        assert_eq!(send(&all.server, Identity::admin(), Method::GET, path, &[], "").await.code, 200);
    }
    let groups =
        send(&all.server, Identity::admin(), Method::GET, "/apis/resource.k8s.io", &[], "").await.json();
    assert_eq!(groups["preferredVersion"]["version"], "v1");
    let versions: Vec<_> =
        groups["versions"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(versions, ["v1", "v1beta2", "v1beta1", "v1alpha3"]);
    let one = RuntimeConfig::default().with("resource.k8s.io/v1beta1", true).unwrap();
    let some = kit_with(|builder| builder.runtime_config(&one)).await;
    assert!(rows(&some, "v1beta1") > 0);
    assert_eq!(rows(&some, "v1alpha2"), 0);
    let off = RuntimeConfig::default().with("apps/v1", false).unwrap();
    let less = kit_with(|builder| builder.runtime_config(&off)).await;
    assert!(less.server.scheme().iter().all(|row| row.group != "apps"));
}

/// The row of a version, where a server serves several.
fn version(kit: &Kit, version: &str, plural: &str) -> Resource {
    let scheme = kit.server.scheme();
    let row = scheme.iter().find(|row| row.version == version && row.plural == plural);
    Resource::clone(row.unwrap_or_else(|| panic!("no {plural} of {version}")))
}

#[tokio::test(start_paused = true)]
async fn claims_are_the_same_in_every_version() {
    let kit = kit_with(|builder| builder.runtime_config(&everything())).await;
    let flat = json!({"apiVersion": "resource.k8s.io/v1beta1", "kind": "ResourceClaim", "metadata": {"name": "c"},
        "spec": {"devices": {"requests": [{"name": "gpu", "deviceClassName": "gpu.example.com", "count": 2}]}}});
    let old = Target::all(&version(&kit, "v1beta1", "resourceclaims")).namespace("default");
    kit.client.create(old.clone(), Payload::Tree(flat.clone()), WriteOptions::default()).await.unwrap();
    let new = kit.get("default", "resourceclaims/c").await.unwrap();
    assert_eq!(
        new["spec"]["devices"]["requests"][0],
        json!({"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com", "count": 2,
               "allocationMode": "ExactCount"}})
    );
    let again = kit.client.get(old.name("c")).await.unwrap();
    let again = again.tree();
    assert_eq!(again["apiVersion"], "resource.k8s.io/v1beta1");
    let request = &again["spec"]["devices"]["requests"][0];
    assert_eq!((&request["deviceClassName"], &request["count"]), (&json!("gpu.example.com"), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn devices_keep_time_and_forget_what_is_deallocated() {
    let kit = kit_with(|builder| builder.runtime_config(&everything())).await;
    let slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "gpu.example.com", "nodeName": "n",
        "pool": {"name": "p", "resourceSliceCount": 1}, "devices": [{"name": "d",
            "attributes": {"sizes": {"ints": [1, 2]}, "model": {"string": "a"}},
            "taints": [{"key": "example.com/broken", "effect": "NoSchedule"}]}]}});
    let made = kit.create("", "resourceslices", slice).await;
    // A list is no value where lists are off, so that the attribute has none.
    assert_eq!(status_of(made).code, 422);
    let slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "gpu.example.com", "nodeName": "n",
        "pool": {"name": "p", "resourceSliceCount": 1}, "devices": [{"name": "d",
            "taints": [{"key": "example.com/broken", "effect": "NoSchedule"}]}]}});
    let made = kit.create("", "resourceslices", slice).await.unwrap();
    assert!(made["spec"]["devices"][0]["taints"][0]["timeAdded"].is_string());
    assert_eq!(made["metadata"]["generation"], 1);
    let claim = json!({"metadata": {"name": "c"}, "spec": {"devices": {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}});
    kit.create("default", "resourceclaims", claim).await.unwrap();
    let device = json!({"driver": "gpu.example.com", "pool": "p", "device": "d"});
    let mut result = device.clone();
    result["request"] = "gpu".into();
    let status = json!({"allocation": {"devices": {"results": [result]}}, "devices": [device]});
    let path = "resourceclaims/c/status";
    let labels = json!({"labels": {"a": "b"}});
    let allocated = kit.merge("default", path, json!({"metadata": labels, "status": status})).await.unwrap();
    assert_eq!(allocated["status"]["devices"].as_array().unwrap().len(), 1);
    assert_eq!(allocated["metadata"].get("labels"), None, "a status is all that this write changes");
    let freed = kit.merge("default", path, json!({"status": {"allocation": null}})).await.unwrap();
    assert_eq!(freed["status"].get("devices"), None);
}

#[tokio::test(start_paused = true)]
async fn some_kinds_want_to_know_which_revision_is_changed() {
    let kit = kit().await;
    let webhook = json!({"metadata": {"name": "w"}, "webhooks": []});
    let class = json!({"metadata": {"name": "c"}, "provisioner": "example.com/p"});
    let driver = json!({"metadata": {"name": "csi.example.com"}, "spec": {"podInfoOnMount": true, "preventPodSchedulingIfMissing": true}});
    for (plural, tree, unconditional) in [
        ("validatingwebhookconfigurations", webhook, false),
        ("storageclasses", class, true),
        ("csidrivers", driver, false),
    ] {
        let made = kit.create("", plural, tree.clone()).await.unwrap();
        let path = format!("{plural}/{}", made["metadata"]["name"].as_str().unwrap());
        assert_eq!(kit.update("", &path, tree).await.is_ok(), unconditional, "{plural}");
    }
    let driver = kit.get("", "csidrivers/csi.example.com").await.unwrap();
    assert_eq!(driver["metadata"].get("generation"), None, "only changes are counted");
    assert_eq!(driver["spec"].get("preventPodSchedulingIfMissing"), None);
    let changed =
        kit.merge("", "csidrivers/csi.example.com", json!({"spec": {"requiresRepublish": true}})).await;
    assert_eq!(changed.unwrap()["metadata"]["generation"], 1);
    let role = json!({"metadata": {"name": "r"}, "rules": []});
    kit.update("default", "roles/r", role).await.expect("an update makes it");
    let lease = json!({"metadata": {"name": "l"}, "spec": {"strategy": "OldestEmulationVersion", "preferredHolder": "a"}});
    let lease = kit.create("default", "leases", lease).await.unwrap();
    assert_eq!(lease["spec"], json!({}), "nobody elects by candidates here");
}

#[tokio::test(start_paused = true)]
async fn what_a_status_may_say_of_metadata_depends_on_the_kind() {
    let kit = kit().await;
    let schema = json!({"metadata": {"name": "f"}, "spec": {"priorityLevelConfiguration": {"name": "l"}}});
    let made = kit.create("", "flowschemas", schema).await.unwrap();
    assert_eq!(made["spec"]["matchingPrecedence"], 1000);
    let labels = json!({"metadata": {"labels": {"a": "b"}}, "status": {"conditions": [{"type": "Dangling", "status": "True"}]}});
    let stated = kit.merge("", "flowschemas/f/status", labels.clone()).await.unwrap();
    assert_eq!(stated["metadata"].get("labels"), None);
    assert_eq!(stated["status"]["conditions"][0]["type"], "Dangling");
    assert_eq!(stated["metadata"]["generation"], 1);
    let ingress = json!({"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}});
    kit.create("default", "ingresses", ingress).await.unwrap();
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let stated = kit.merge("default", "ingresses/i/status", labels).await.unwrap();
    assert_eq!(stated["metadata"]["labels"], json!({"a": "b"}));
}

#[tokio::test(start_paused = true)]
async fn writes_are_answered_with_warnings() {
    let kit = kit().await;
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "csi.example.com"},
        "spec": {"tokenRequests": [{"audience": "a"}]}});
    let path = "/apis/storage.k8s.io/v1/csidrivers";
    let json = [("content-type", "application/json")];
    let reply = send(&kit.server, Identity::admin(), Method::POST, path, &json, class.to_string()).await;
    assert_eq!(reply.code, 201, "{}", reply.text);
    let warnings: Vec<_> =
        reply.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("serviceAccountTokenInSecrets"), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn reviews_are_judged_before_they_are_answered() {
    let kit = kit().await;
    let attributes = json!({"verb": "get", "resource": "pods"});
    let nobody = json!({"spec": {"resourceAttributes": attributes}});
    let refused = status_of(kit.create("", "subjectaccessreviews", nobody).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert!(
        refused.message.contains("at least one of user or group must be specified"),
        "{}",
        refused.message
    );
    let both = json!({"spec": {"resourceAttributes": attributes, "nonResourceAttributes": {"verb": "get", "path": "/"}}});
    assert_eq!(status_of(kit.create("", "selfsubjectaccessreviews", both).await).code, 422);
    let elsewhere = json!({"spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "b"}}});
    let refused = status_of(kit.create("a", "localsubjectaccessreviews", elsewhere).await);
    assert!(refused.message.contains("must match metadata.namespace"), "{}", refused.message);
    let fine = json!({"spec": {"resourceAttributes": attributes}});
    let answer = kit.create("", "selfsubjectaccessreviews", fine).await.unwrap();
    assert_eq!(answer["status"]["allowed"], true);
    let rules =
        kit.create("", "selfsubjectrulesreviews", json!({"spec": {"namespace": "default"}})).await.unwrap();
    assert_eq!(rules["spec"], json!({}), "the answer does not repeat the question");
    assert!(!rules["status"]["resourceRules"].as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn local_services_of_apis_are_there_at_once() {
    let kit = kit().await;
    let local = json!({"metadata": {"name": "v1.a.example.com"}, "spec": {"group": "a.example.com", "version": "v1",
        "groupPriorityMinimum": 1000, "versionPriority": 15}});
    let made = kit.create("", "apiservices", local).await.unwrap();
    let condition = &made["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Available"), &json!("Local")));
    let remote = json!({"metadata": {"name": "v2.a.example.com"}, "spec": {"group": "a.example.com", "version": "v2",
        "groupPriorityMinimum": 1000, "versionPriority": 15, "service": {"namespace": "n", "name": "s"}}});
    let made = kit.create("", "apiservices", remote).await.unwrap();
    assert_eq!(made["status"], json!({}));
    assert_eq!(made["spec"]["service"]["port"], 443);
}

#[tokio::test(start_paused = true)]
async fn only_who_may_sign_says_what_became_of_a_pods_request() {
    let store = MemoryStore::new();
    let writes = || Rule::on(&["update"], "certificates.k8s.io", &["podcertificaterequests/status"]);
    let signs = |names: &[&str]| Rule::on(&["sign"], "certificates.k8s.io", &["signers"]).named(names);
    let roles = RoleTable::empty()
        .user("writer", [writes()])
        .user("other", [writes(), signs(&["example.org/*"])])
        .user("signer", [writes(), signs(&["example.com/mesh"])])
        .user("domain", [writes(), signs(&["example.com/*"])]);
    let kit = kit_with(|builder| {
        builder.runtime_config(&everything()).store(Arc::new(store.clone())).authorizer(Arc::new(roles))
    })
    .await;
    let row = version(&kit, "v1beta1", "podcertificaterequests");
    for user in ["writer", "other", "signer", "domain"] {
        let request = json!({"apiVersion": "certificates.k8s.io/v1beta1", "kind": "PodCertificateRequest",
            "metadata": {"name": user, "namespace": "default", "uid": user},
            "spec": {"signerName": "example.com/mesh"}});
        let key = format!("/registry/podcertificaterequests/default/{user}");
        store.put(key, request.to_string()).await.unwrap();
        let target = Target::all(&row).namespace("default").name(user);
        let mut request = (*kit.client.get(target.clone()).await.unwrap().tree()).clone();
        request["status"] = json!({"conditions": [{"type": "Denied", "status": "True", "reason": "Policy",
            "message": "m", "lastTransitionTime": "2020-01-01T00:00:00Z"}]});
        let client = kit.server.client(Identity::user(user));
        let status = target.subresource("status");
        let written = client.update(status, Payload::Tree(request), WriteOptions::default()).await;
        if ["signer", "domain"].contains(&user) {
            assert_eq!(written.unwrap().tree()["status"]["conditions"][0]["type"], "Denied");
        } else {
            let refused = status_of(written);
            assert_eq!(
                (refused.code, refused.message.as_str()),
                (
                    422,
                    &*format!(
                        "PodCertificateRequest.certificates.k8s.io {user:?} is invalid: spec.signerName: Forbidden: \
                         User {user:?} is not permitted to \"sign\" for signer \"example.com/mesh\""
                    )
                )
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_some_namespaces_let_claims_administer_devices() {
    let kit = kit_with(|builder| builder.runtime_config(&everything())).await;
    let label = json!({"resource.kubernetes.io/admin-access": "true"});
    kit.create("", "namespaces", json!({"metadata": {"name": "ops", "labels": label}})).await.unwrap();
    kit.create("", "namespaces", json!({"metadata": {"name": "dev", "labels": {"a": "true"}}}))
        .await
        .unwrap();
    let request = |name: &str, admin: bool| {
        json!({"name": name, "exactly": {"deviceClassName": "gpu.example.com", "allocationMode": "All",
               "adminAccess": admin}})
    };
    let claim = |name: &str, admin: bool| json!({"metadata": {"name": name}, "spec": {"devices": {"requests": [request("a", false), request("b", admin)]}}});
    let template = json!({"metadata": {"name": "t"}, "spec": {"spec": claim("t", true)["spec"]}});
    const WHY: &str = "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` \
                       label on the containing namespace";
    for (kind, plural, tree) in [
        ("ResourceClaim", "resourceclaims", claim("t", true)),
        ("ResourceClaimTemplate", "resourceclaimtemplates", template),
    ] {
        let refused = status_of(kit.create("dev", plural, tree.clone()).await);
        assert_eq!(
            (refused.code, refused.message),
            (
                422,
                format!(
                    "{kind}.resource.k8s.io \"t\" is invalid: spec.devices.requests[1].adminAccess: {WHY}"
                )
            )
        );
        kit.create("ops", plural, tree).await.unwrap();
    }
    // What asks for nothing, or is given nothing, may be anywhere.
    kit.create("dev", "resourceclaims", claim("c", false)).await.unwrap();
    let given = |admin: bool| {
        json!({"status": {"allocation": {"devices": {"results": [{"request": "b", "driver": "gpu.example.com",
               "pool": "p", "device": "d", "adminAccess": admin}]}}}})
    };
    let refused = status_of(kit.merge("dev", "resourceclaims/c/status", given(true)).await);
    assert_eq!(
        refused.message,
        format!(
            "ResourceClaim.resource.k8s.io \"c\" is invalid: status.allocation.devices.results[0].adminAccess: {WHY}"
        )
    );
    kit.merge("dev", "resourceclaims/c/status", given(false)).await.unwrap();
    // What was granted stays so, though the namespace no longer says it.
    kit.merge("ops", "resourceclaims/t/status", given(true)).await.unwrap();
    kit.merge(
        "",
        "namespaces/ops",
        json!({"metadata": {"labels": {"resource.kubernetes.io/admin-access": null}}}),
    )
    .await
    .unwrap();
    let condition = json!({"status": {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]}});
    kit.merge("ops", "resourceclaims/t/status", condition).await.unwrap();
}
