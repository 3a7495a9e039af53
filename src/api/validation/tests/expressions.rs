//! Expressions in CEL: each compiles in the environment that its field has.

use serde_json::json;

use super::*;

const VALIDATING: (&str, &str) = ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy");
const MUTATING: (&str, &str) = ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy");

fn policy(spec: Value) -> Value {
    let rule =
        json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
    let mut tree =
        json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [rule]}}});
    if let (Some(own), Value::Object(more)) = (tree["spec"].as_object_mut(), spec) {
        own.extend(more);
    }
    tree
}

fn validating() -> Value {
    policy(json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConditions": [{"name": "m", "expression": " params.a == 'b' && authorizer.path('/a').check('get').allowed() "}],
        "variables": [{"name": "count", "expression": "1"}, {"name": "more", "expression": "variables.count + 1"}],
        "validations": [{"expression": "variables.more > 1 && object.spec.a == params.b",
            "messageExpression": "'not ' + string(variables.count) + params.c"}],
        "auditAnnotations": [{"key": "k", "valueExpression": "variables.more > 1 ? 'a' : 'b'"}],
    }))
}

#[test]
fn the_expressions_of_validating_policies() {
    each_of(
        VALIDATING,
        &validating(),
        &[
            (
                "/spec/matchConditions/0/expression",
                json!(" 1 "),
                "spec.matchConditions[0].expression: Invalid value: \"1\": must evaluate to bool but got int",
            ),
            (
                "/spec/matchConditions/0/expression",
                json!("variables.count == 1"),
                "spec.matchConditions[0].expression: Invalid value: \"variables.count == 1\": compilation failed: \
                 ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.count == 1\n | ^",
            ),
            (
                "/spec/validations/0/expression",
                json!("variables.nothing"),
                "spec.validations[0].expression: Invalid value: \"variables.nothing\": compilation failed: ERROR: \
                 <input>:1:10: undefined field 'nothing'\n | variables.nothing\n | .........^",
            ),
            (
                "/spec/validations/0/expression",
                json!("variables.count"),
                "spec.validations[0].expression: Invalid value: \"variables.count\": must evaluate to bool but got int",
            ),
            (
                "/spec/validations/0/expression",
                json!("type(request) == kubernetes.UserInfo"),
                "spec.validations[0].expression: Internal error: program instantiation failed: reference to \
                 undefined type: kubernetes.UserInfo",
            ),
            (
                "/spec/validations/0/messageExpression",
                json!("authorizer"),
                "spec.validations[0].messageExpression: Invalid value: \"authorizer\": compilation failed: ERROR: \
                 <input>:1:1: undeclared reference to 'authorizer' (in container '')\n | authorizer\n | ^",
            ),
            (
                "/spec/auditAnnotations/0/valueExpression",
                json!(" 1"),
                "spec.auditAnnotations[0].valueExpression: Invalid value: \" 1\": must evaluate to one of [string \
                 null_type] but got int",
            ),
            (
                "/spec/variables/1/expression",
                json!("nothing"),
                "spec.variables[1].expression: Invalid value: \"nothing\": compilation failed: ERROR: <input>:1:1: \
                 undeclared reference to 'nothing' (in container '')\n | nothing\n | ^",
            ),
        ],
    );
    let without = with(validating(), "/spec/paramKind", json!(null));
    let said = judged(VALIDATING, without);
    assert_eq!(said.len(), 3, "each that speaks of parameters: {said:?}");
    assert!(said.iter().all(|error| error.contains("undeclared reference to 'params'")), "{said:?}");
    let mut backwards = validating();
    backwards["spec"]["variables"].as_array_mut().unwrap().reverse();
    assert_eq!(judged(VALIDATING, backwards).len(), 1, "a variable may speak only of those before it");
}

#[test]
fn the_expressions_of_mutating_policies() {
    let mutation = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
        "Object{spec: Object.spec{replicas: variables.count}}"}});
    let operations = json!({"patchType": "JSONPatch", "jsonPatch": {"expression":
        "[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: Object{}}]"}});
    let sound = policy(json!({"reinvocationPolicy": "Never", "mutations": [mutation, operations],
        "variables": [{"name": "count", "expression": "object.spec.replicas + 1"}]}));
    each_of(
        MUTATING,
        &sound,
        &[
            (
                "/spec/mutations/0/applyConfiguration/expression",
                json!(" {'spec': 1} "),
                "spec.mutations[0].applyConfiguration.expression: Invalid value: \"{'spec': 1}\": must evaluate to \
                 Object but got map(string, int)",
            ),
            (
                "/spec/mutations/1/jsonPatch/expression",
                json!("[]"),
                "spec.mutations[1].jsonPatch.expression: Invalid value: \"[]\": must evaluate to list(JSONPatch) but \
                 got list(dyn)",
            ),
            (
                "/spec/variables/0/expression",
                json!("Object{}"),
                "spec.variables[0].expression: Invalid value: \"Object{}\": compilation failed: ERROR: <input>:1:7: \
                 undeclared reference to 'Object' (in container '')\n | Object{}\n | ......^",
            ),
        ],
    );
}

#[test]
fn the_conditions_of_webhooks() {
    let kind = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration");
    let hook = json!({"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "n", "name": "s"}},
        "matchConditions": [{"name": "m", "expression": "!request.userInfo.groups.exists(g, g == 'system:nodes')"}]});
    let sound = json!({"metadata": {"name": "w"}, "webhooks": [hook]});
    each_of(
        kind,
        &sound,
        &[(
            "/webhooks/0/matchConditions/0/expression",
            json!("params == null"),
            "webhooks[0].matchConditions[0].expression: Invalid value: \"params == null\": compilation failed: ERROR: \
             <input>:1:1: undeclared reference to 'params' (in container '')\n | params == null\n | ^",
        )],
    );
    // What was so stays so, until a condition is another.
    let broken = with(sound, "/webhooks/0/matchConditions/0/expression", json!("nothing"));
    assert_eq!(rejudged(kind, broken.clone(), broken.clone()), Vec::<String>::new());
    let other =
        with(broken.clone(), "/webhooks/0/matchConditions/0", json!({"name": "n", "expression": "nothing"}));
    assert_eq!(rejudged(kind, broken, other).len(), 1);
}

#[test]
fn the_selectors_of_devices() {
    let claim = ("resource.k8s.io/v1", "ResourceClaim");
    let selector = |expression: &str| json!([{"cel": {"expression": expression}}]);
    let request = json!({"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com",
        "selectors": selector("device.attributes['gpu.example.com'].model == 'a' && device.driver != 'b'")}});
    let sound = json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {"devices": {"requests": [request]}}});
    let at = "/spec/devices/requests/0/exactly/selectors";
    let path = "spec.devices.requests[0].exactly.selectors[0].cel.expression";
    let numbers = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let mut dear = "int('1'.find('[0-9]*')) < 100".to_owned();
    for variable in ["a", "b", "c", "d", "e", "f", "g"] {
        dear = format!("{numbers}.all({variable}, {dear})");
    }
    let costly = format!("{path}: Forbidden: too complex, exceeds cost limit");
    let number = format!("{path}: Invalid value: \"1\": must evaluate to bool or the unknown type, not int");
    each_of(claim, &sound, &[(at, selector("1"), number.as_str()), (at, selector(&dear), costly.as_str())]);
    let long = selector(&" ".repeat(10_241));
    let said = judged(claim, with(sound, at, long));
    assert_eq!(said.len(), 1, "what is too long is not compiled: {said:?}");

    let class = ("resource.k8s.io/v1", "DeviceClass");
    let stored = "device.attributes['a'].b.includes(1)";
    let newer = json!({"metadata": {"name": "gpu.example.com"}, "spec": {"selectors": selector(stored)}});
    assert_eq!(judged(class, newer.clone()).len(), 1);
    assert_eq!(
        rejudged(class, newer.clone(), newer.clone()),
        Vec::<String>::new(),
        "what is stored is of any version"
    );
    let mut more = newer.clone();
    more["spec"]["selectors"] = json!([selector(stored)[0], selector("true")[0]]);
    assert_eq!(rejudged(class, newer, more).len(), 1, "a list that is another is new, whatever is in it");
}

#[test]
fn what_a_class_has_held_for_long_may_stay() {
    let class = ("resource.k8s.io/v1", "DeviceClass");
    let config = json!([{"opaque": {"driver": "a.example.com", "parameters": {"a": "b".repeat(10_240)}}}]);
    let long = json!({"metadata": {"name": "a"}, "spec": {"config": config}});
    assert_eq!(judged(class, long.clone()).len(), 1);
    assert_eq!(rejudged(class, long.clone(), long), Vec::<String>::new());
}
