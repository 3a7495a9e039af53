//! What the expressions of webhooks and policies may speak of, and what they come to.

use super::super::{Composed, Offers, Type, TypedError};
use super::*;

const ALL: Offers<'static> = Offers { params: true, authorizer: true, patches: false, variables: None };
const PATCHES: Offers<'static> = Offers { patches: true, ..ALL };

fn compile_in(offers: Offers<'_>, rule: &str, kinds: &[Type]) -> Result<Program, String> {
    let compiled = Environment::for_admission(MINOR, offers).compile_to(rule, kinds);
    compiled.map_err(|error| match error {
        TypedError::Invalid(why) => why,
        TypedError::Internal(why) => format!("internal: {why}"),
    })
}

/// The first line of what is wrong with a rule.
fn wrong(offers: Offers<'_>, rule: &str, kinds: &[Type]) -> String {
    let why = compile_in(offers, rule, kinds).expect_err(rule);
    why.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_request_and_the_namespace_have_fields() {
    for rule in [
        "request.kind.group == '' && request.resource.resource == 'pods' && request.dryRun",
        "request.userInfo.groups.exists(g, g == 'system:masters')",
        "request.userInfo.extra['a'].all(x, x.size() < 3)",
        "request.options.anything.at.all == 1",
        "namespaceObject.metadata.labels['a'] == 'b' && has(namespaceObject.metadata.deletionTimestamp)",
        "namespaceObject.status.conditions.all(c, c.lastTransitionTime < timestamp('2024-01-01T00:00:00Z'))",
        "object.spec.replicas > 3 && oldObject == null && params.data.max == '3'",
    ] {
        compile_in(ALL, rule, &[Type::Bool]).expect(rule);
    }
    for (rule, why) in [
        ("request.uid == ''", "compilation failed: ERROR: <input>:1:8: undefined field 'uid'"),
        (
            "request.name == 1",
            "compilation failed: ERROR: <input>:1:14: found no matching overload for '_==_' applied to '(string, int)'",
        ),
        (
            "namespaceObject.metadata.uid == ''",
            "compilation failed: ERROR: <input>:1:25: undefined field 'uid'",
        ),
        (
            "variables.a",
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')",
        ),
        ("request.userInfo.groups", "must evaluate to bool but got list(string)"),
        ("object", "must evaluate to bool but got dyn"),
        ("timestamp('2024-01-01T00:00:00Z')", "must evaluate to bool but got google.protobuf.Timestamp"),
        (
            "type(request) == kubernetes.AdmissionRequest",
            "internal: program instantiation failed: reference to undefined type: kubernetes.AdmissionRequest",
        ),
    ] {
        assert_eq!(wrong(ALL, rule, &[Type::Bool]), why, "{rule}");
    }
    let neither = Offers::default();
    assert_eq!(
        wrong(neither, "params.a", &[]),
        "compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')"
    );
    assert_eq!(
        wrong(ALL, "1", &[Type::String, Type::Null]),
        "must evaluate to one of [string null_type] but got int"
    );
}

#[test]
fn an_authorizer_is_asked_in_steps_and_dearly() {
    let asked = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('a').name('b')\
                 .fieldSelector('a=b').labelSelector('a').check('get').allowed()";
    compile_in(ALL, asked, &[Type::Bool]).expect(asked);
    for rule in [
        "authorizer.requestResource.check('get').reason() == ''",
        "authorizer.serviceAccount('default', 'a').path('/healthz').check('get').error() == ''",
        "authorizer.path('/healthz').check('get').errored()",
    ] {
        compile_in(ALL, rule, &[Type::Bool]).expect(rule);
    }
    assert_eq!(
        wrong(ALL, "authorizer.group('').check('get').allowed()", &[Type::Bool]),
        "compilation failed: ERROR: <input>:1:27: found no matching overload for 'check' applied to \
         'kubernetes.authorization.GroupCheck.(string)'"
    );
    let cost = |rule: &str| compile_in(ALL, rule, &[]).expect(rule).estimate().max;
    assert_eq!(cost("authorizer.path('a').check('get').allowed()"), 350_003);
    assert_eq!(cost("authorizer.requestResource.fieldSelector('abc')"), 1 + 10 + 1 + 100);
    // Two questions fit into one call, and three do not.
    let limit = super::super::PER_CALL_LIMIT;
    let ask = "authorizer.path('a').check('get').allowed()";
    assert!(cost(&format!("{ask} && {ask}")) < limit && limit < cost(&format!("{ask} && {ask} && {ask}")));
    // Nothing is an authorizer, so what asks one has no answer; it never has a wrong one.
    let program = compile_in(ALL, asked, &[]).expect(asked);
    let mut budget = Budget::new(super::super::RUNTIME_BUDGET);
    assert!(matches!(program.evaluate(&Activation::new(), &mut budget), Err(Fault::Error(_))));
}

#[test]
fn variables_have_the_types_that_they_came_to() {
    let mut variables = Composed::default();
    variables.add("count", Some(&Type::Int));
    variables.add("names", Some(&Type::list(Type::map(Type::String, Type::optional(Type::Int)))));
    variables.add("broken", None);
    let offers = Offers { variables: Some(&variables), ..ALL };
    for (rule, kind) in [
        ("variables.count + 1", Type::Int),
        ("variables.names[0]['a']", Type::Dyn),
        ("variables.broken.anything", Type::Dyn),
    ] {
        assert_eq!(*compile_in(offers, rule, &[]).expect(rule).kind(), kind, "{rule}");
    }
    assert_eq!(
        wrong(offers, "variables.later", &[]),
        "compilation failed: ERROR: <input>:1:10: undefined field 'later'"
    );
    assert!(wrong(offers, "variables.count + 'a'", &[]).contains("no matching overload for '_+_'"));
}

/// The cases are those of `typeresolver_test.go` in `pkg/cel/mutation` of `k8s.io/apiserver` (1.36), and more.
#[test]
fn patches_are_objects_that_expressions_make() {
    let value = |rule: &str| {
        let program = compile_in(PATCHES, rule, &[]).expect(rule);
        let mut budget = Budget::new(super::super::RUNTIME_BUDGET);
        program.evaluate(&Activation::new(), &mut budget).map(|value| render::render(&value))
    };
    for (rule, expected) in [
        ("Object{}", "Object{}"),
        ("Object{spec: Object.spec{replicas: 3}}", "Object{spec: Object.spec{replicas: 3}}"),
        ("Object{annotations: {'foo': 'bar'}}", "Object{annotations: {\"foo\": \"bar\"}}"),
        ("Object{intList: [1, 2, 3]}.intList.sum()", "6"),
        ("Object{spec: Object.spec{replicas: 3}} == Object{spec: Object.spec{replicas: 1 + 2}}", "true"),
        ("Object{a: 1} == Object{a: 2}", "false"),
        ("Object{a: 1} == Object{b: 1}", "false"),
        ("dyn(Object{}) == {}", "false"),
        ("Object{?existing: optional.none()}", "Object{}"),
        ("Object{?spec: optional.ofNonZeroValue(Object.spec{?replicas: Object{}.?replicas})}", "Object{}"),
        ("Object{}.?existing", "optional.none"),
        ("has(Object{a: 1}.a) && !has(Object{a: 1}.b)", "true"),
        ("Object{}.a == null", "true"),
        ("JSONPatch{op: 'remove', path: '/a'}.from", "\"\""),
        ("JSONPatch{op: 'add', path: '/a', value: 3}.value", "3"),
        ("[JSONPatch{op: 'add'}][0].op", "\"add\""),
        ("jsonpatch.escapeKey('k8s.io/my~label')", "\"k8s.io~1my~0label\""),
    ] {
        assert_eq!(value(rule), Ok(expected.to_owned()), "{rule}");
    }
    assert_eq!(
        value("JSONPatch{op: dyn(1)}"),
        Err(Fault::error("unexpected type int64 for JSONPatchType 'op' field"))
    );
    assert_eq!(
        value("Object{?a: dyn(1)}"),
        Err(Fault::error("cannot initialize optional entry 'a' from non-optional value 1"))
    );
    for (rule, why) in [
        ("Invalid{}", "<input>:1:8: undeclared reference to 'Invalid' (in container '')"),
        (
            "JSONPatch{op: 'add', path: '/a', value: Invalid{}}",
            "<input>:1:48: undeclared reference to 'Invalid' (in container '')",
        ),
        (
            "JSONPatch{op: 1}",
            "<input>:1:13: expected type of field 'op' is 'string' but provided type is 'int'",
        ),
        (
            "JSONPatch{other: 1}",
            "<input>:1:16: expected type of field 'other' is '' but provided type is 'int'",
        ),
        ("Object{?a: 1}", "<input>:1:12: expected type 'optional_type(int)' but found 'int'"),
        ("int{a: 1}", "<input>:1:4: 'int' is not a message type"),
        ("object{a: 1}", "<input>:1:7: 'dyn' is not a type"),
    ] {
        assert_eq!(wrong(PATCHES, rule, &[]), format!("compilation failed: ERROR: {why}"), "{rule}");
    }
    let (applied, patch) = (Type::applied_object(), Type::json_patch());
    compile_in(PATCHES, "[JSONPatch{op: 'test', path: '/a', value: Object{}}]", std::slice::from_ref(&patch))
        .expect("a patch");
    assert_eq!(wrong(PATCHES, "[]", &[patch]), "must evaluate to list(JSONPatch) but got list(dyn)");
    assert_eq!(wrong(PATCHES, "Object.spec{}", &[applied]), "must evaluate to Object but got Object.spec");
    assert_eq!(
        wrong(PATCHES, "type(Object{}) == Object", &[]),
        "internal: program instantiation failed: reference to undefined type: Object"
    );
    assert!(wrong(ALL, "Object{}", &[]).contains("undeclared reference to 'Object'"), "no patch, no object");
    let program = compile_in(PATCHES, "Object{a: [1]}", &[]).expect("an object");
    assert_eq!((program.estimate().min, program.estimate().max), (50, 50));
    let mut budget = Budget::new(1_000);
    program.evaluate(&Activation::new(), &mut budget).expect("an object");
    // A list of constants is worked out beforehand.
    assert_eq!(budget.remaining(), 960);
}
