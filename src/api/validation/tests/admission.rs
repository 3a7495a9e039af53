//! What admission is told to ask: webhooks and policies.

use serde_json::json;

use super::*;

fn webhooks() -> Value {
    let rule =
        json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
    named(
        "w",
        json!({"webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {"namespace": "n", "name": "s"}}, "rules": [rule]}]}),
    )
}

#[test]
fn admission_webhooks() {
    let kind = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration");
    each_of(
        kind,
        &webhooks(),
        &[
            (
                "/webhooks/0/name",
                json!("a.b"),
                "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by \
                 dots",
            ),
            (
                "/webhooks/0/sideEffects",
                json!("Some"),
                "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
            ),
            (
                "/webhooks/0/clientConfig",
                json!({}),
                "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
            ),
            (
                "/webhooks/0/clientConfig",
                json!({"url": "http://example.com"}),
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired \
                 format: https://host[/path]",
            ),
            (
                "/webhooks/0/timeoutSeconds",
                json!(31),
                "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ),
            (
                "/webhooks/0/rules/0/operations",
                json!(["*", "CREATE"]),
                "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify \
                 other operations",
            ),
            (
                "/webhooks/0/rules/0/resources",
                json!(["pods/*", "pods/status"]),
                "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not \
                 specify pods/status",
            ),
            (
                "/webhooks/0/matchConditions",
                json!([{"name": "a", "expression": " "}]),
                "webhooks[0].matchConditions[0].expression: Required value",
            ),
        ],
    );
    let mut twice = webhooks();
    let hook = twice["webhooks"][0].clone();
    twice["webhooks"] = json!([hook, hook]);
    assert_eq!(judged(kind, twice.clone()), ["webhooks[1].name: Duplicate value: \"a.example.com\""]);
    assert_eq!(rejudged(kind, twice.clone(), twice), Vec::<String>::new(), "what was so stays so");
}

#[test]
fn admission_policies() {
    let rule =
        json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
    let policy = named(
        "p",
        json!({"spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}],
                        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}),
    );
    each_of(
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
        &policy,
        &[
            ("/spec/matchConstraints", json!(null), "spec.matchConstraints: Required value"),
            (
                "/spec/validations/0/expression",
                json!(" "),
                "spec.validations[0].expression: Required value: expression is not specified",
            ),
            (
                "/spec/validations/0/message",
                json!("a\nb"),
                "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks",
            ),
            (
                "/spec/variables",
                json!([{"name": "a-b", "expression": "1"}]),
                "spec.variables[0].name: Invalid value: \"a-b\": must be a valid CEL identifier",
            ),
            (
                "/spec/paramKind/apiVersion",
                json!("a/b/c"),
                "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
        ],
    );
    let neither = with(policy.clone(), "/spec/validations", json!([]));
    assert_eq!(judged(("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"), neither).len(), 2);
    let binding = named("b", json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}}));
    each_of(
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
        &binding,
        &[
            (
                "/spec/validationActions",
                json!([]),
                "spec.validationActions: Required value: at least one validation action is required",
            ),
            (
                "/spec/validationActions",
                json!(["Audit", "Audit"]),
                "spec.validationActions[1]: Duplicate value: \"Audit\"",
            ),
            (
                "/spec/paramRef",
                json!({"parameterNotFoundAction": "Deny"}),
                "spec.paramRef: Required value: one of name or selector must be specified",
            ),
        ],
    );
    let patch = json!({"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'remove', path: '/spec'}]"}});
    let mutating = named(
        "m",
        json!({"spec": {"matchConstraints": {"resourceRules": [rule]}, "mutations": [patch], "reinvocationPolicy": "Never"}}),
    );
    each_of(
        ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"),
        &mutating,
        &[
            (
                "/spec/mutations/0/patchType",
                json!("Yaml"),
                "spec.mutations[0].patchType: Unsupported value: \"Yaml\": supported values: \"ApplyConfiguration\", \
                 \"JSONPatch\"",
            ),
            (
                "/spec/matchConstraints/resourceRules/0/operations/0",
                json!("DELETE"),
                "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \
                 \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
            ),
        ],
    );
}
