//! Unmodified kubectl and a CustomResourceDefinition.

use crate::support::kubectl::Kubectl;
use crate::support::{serve, server};

const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: Widget is a thing that turns.
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [colour]
            properties:
              colour: {type: string, description: How it looks., enum: [red, blue]}
              size: {type: integer, default: 2}
            x-kubernetes-validations:
            - {rule: self.size < 10, message: too large}
          status:
            type: object
            properties:
              size: {type: integer}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
    additionalPrinterColumns:
    - {name: Colour, type: string, jsonPath: .spec.colour}
    - {name: Size, type: integer, jsonPath: .spec.size, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    selectableFields: [{jsonPath: .spec.colour}]
";

const WIDGET: &str = r"
apiVersion: example.com/v1
kind: Widget
metadata: {name: a}
spec: {colour: red}
";

#[tokio::test]
async fn a_kind_of_ones_own_is_as_good_as_any() {
    let Some(kubectl) = Kubectl::find("kubectl_crd::a_kind_of_ones_own_is_as_good_as_any") else { return };
    let served = serve(server().await).await;
    kubectl.configure(&served.kubeconfig().to_yaml().expect("a kubeconfig"));

    let said = kubectl.feed(&["apply", "-f", "-"], DEFINITION).await;
    assert_eq!(said, "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n");
    let waited = kubectl
        .run(&["wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s"])
        .await;
    assert!(waited.contains("condition met"), "{waited}");
    assert_eq!(kubectl.feed(&["apply", "-f", "-"], WIDGET).await, "widget.example.com/a created\n");
    assert_eq!(kubectl.feed(&["apply", "-f", "-"], WIDGET).await, "widget.example.com/a unchanged\n");

    let table = kubectl.run(&["get", "wd"]).await;
    assert!(table.starts_with("NAME   COLOUR   AGE\na      red "), "{table}");
    let wide = kubectl.run(&["get", "widgets", "-o", "wide"]).await;
    assert!(wide.starts_with("NAME   COLOUR   SIZE   AGE\na      red      2 "), "{wide}");
    let all = kubectl.run(&["get", "all"]).await;
    assert!(all.contains("widget.example.com/a "), "{all}");
    let blue = kubectl.run(&["get", "wd", "--field-selector", "spec.colour=blue", "-o", "name"]).await;
    assert_eq!(blue, "");

    let explained = kubectl.run(&["explain", "widgets"]).await;
    for part in [
        "GROUP:      example.com",
        "KIND:       Widget",
        "Widget is a thing that turns.",
        "What is wanted.",
        "Standard object's metadata",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    let field = kubectl.run(&["explain", "widget.spec.colour"]).await;
    assert!(field.contains("FIELD: colour <string>") && field.contains("How it looks."), "{field}");
    let recursive = kubectl.run(&["explain", "widget.spec", "--recursive"]).await;
    assert!(recursive.contains("size\t<integer>"), "{recursive}");

    assert_eq!(kubectl.run(&["scale", "wd/a", "--replicas=4"]).await, "widget.example.com/a scaled\n");
    assert_eq!(kubectl.run(&["get", "wd", "a", "-o", "jsonpath={.spec.size}"]).await, "4");
    let patched =
        kubectl.run(&["patch", "wd", "a", "--type=merge", "-p", r#"{"spec":{"colour":"blue"}}"#]).await;
    assert_eq!(patched, "widget.example.com/a patched\n");
    let strategic = kubectl.fail(&["patch", "wd", "a", "-p", "{}"], "").await;
    assert!(strategic.contains("application/merge-patch+json"), "{strategic}");
    let large = kubectl.fail(&["scale", "wd/a", "--replicas=40"], "").await;
    assert!(large.contains("spec: Invalid value: too large") || large.contains("too large"), "{large}");
    let unknown = kubectl.fail(&["apply", "-f", "-"], &WIDGET.replace("red}", "red, oops: 1}")).await;
    assert!(unknown.contains("unknown field \"spec.oops\""), "{unknown}");
    let missing = kubectl
        .fail(
            &["apply", "--validate=false", "-f", "-"],
            &WIDGET.replace("{colour: red}", "{size: 1}").replace("name: a", "name: b"),
        )
        .await;
    assert!(missing.contains("spec.colour: Required value"), "{missing}");
    let dry =
        kubectl.feed(&["apply", "--dry-run=server", "-f", "-"], &WIDGET.replace("name: a", "name: c")).await;
    assert_eq!(dry, "widget.example.com/c created (server dry run)\n");

    kubectl.run(&["delete", "crd", "widgets.example.com"]).await;
    let gone = kubectl.fail(&["get", "widgets"], "").await;
    // kubectl still has what it has discovered, and the server no longer serves it.
    assert!(gone.contains("the server could not find the requested resource"), "{gone}");
    served.shutdown().await;
}
