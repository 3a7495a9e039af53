//! The documents, as kubectl reads them.

use super::*;
use crate::api::Scope;

fn apps() -> Value {
    openapi_v3(&Scheme::builtin(), "apps", "v1")
}

#[test]
fn paths_name_their_kind_and_action() {
    let document = apps();
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &document["paths"][path]["patch"];
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    let names: Vec<_> =
        patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);

    let scale = &document["paths"][format!("{path}/scale")]["get"];
    assert_eq!(
        scale["x-kubernetes-group-version-kind"],
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    );
    let all = &document["paths"]["/apis/apps/v1/deployments"]["get"];
    assert_eq!(all["operationId"], "listAppsV1DeploymentForAllNamespaces");
}

#[test]
fn fields_carry_what_apply_needs() {
    let document = openapi_v3(&Scheme::builtin(), "", "v1");
    let schemas = &document["components"]["schemas"];
    let ports = &schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["containerPort", "protocol"]));
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "containerPort");
    assert_eq!(ports["x-kubernetes-patch-strategy"], "merge");
    let port = &schemas["io.k8s.api.core.v1.ContainerPort"];
    assert_eq!(port["required"], json!(["containerPort"]));
    assert_eq!(port["properties"]["protocol"]["default"], "TCP");
    assert_eq!(
        schemas["io.k8s.api.core.v1.Pod"]["properties"]["spec"]["allOf"],
        json!([{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}])
    );
    assert_eq!(
        schemas["io.k8s.api.core.v1.PodList"]["x-kubernetes-group-version-kind"],
        json!([{"group": "", "version": "v1", "kind": "PodList"}])
    );
}

/// Calls `see` with every reference in the tree.
fn references<'a>(tree: &'a Value, see: &mut impl FnMut(&'a str)) {
    match tree {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                see(reference);
            }
            map.values().for_each(|value| references(value, see));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, see)),
        _ => {}
    }
}

#[test]
fn every_reference_of_every_document_leads_somewhere_and_ids_are_unique() {
    let scheme = Scheme::builtin();
    let versions: BTreeSet<_> =
        scheme.iter().map(|row| (row.group.to_string(), row.version.to_string())).collect();
    for (group, version) in versions {
        let document = openapi_v3(&scheme, &group, &version);
        let schemas = &document["components"]["schemas"];
        let mut count = 0;
        references(&document, &mut |reference| {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.get(name).is_some(), "{name} in {group}/{version}");
            count += 1;
        });
        assert!(count > 20, "{group}/{version}");
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values().filter(|operation| operation.is_object()) {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id), "{id} on {path}");
            }
        }
    }
}

#[test]
fn custom_resources_are_documented_by_their_metadata() {
    let scheme =
        Scheme::builtin().with(Resource::new("example.com", "v1", "Widget", "widgets", Scope::Namespaced));
    let document = openapi_v3(&scheme, "example.com", "v1");
    let widget = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(widget["x-kubernetes-preserve-unknown-fields"], true);
    assert!(document["paths"]["/apis/example.com/v1/widgets"]["get"].is_object());
    assert!(document["components"]["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"].is_object());
}

#[cfg(feature = "server")]
#[test]
fn types_and_fields_are_described() {
    let document = apps();
    let schemas = &document["components"]["schemas"];
    let replicas = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"];
    assert!(replicas["description"].as_str().unwrap().starts_with("Number of desired pods."));
    let pod = &schemas["io.k8s.api.core.v1.PodSpec"];
    assert!(pod["description"].as_str().unwrap().starts_with("PodSpec is"));
    // A described field keeps its reference.
    let template = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["template"];
    assert!(template["description"].is_string() && template["allOf"].is_array());
}
