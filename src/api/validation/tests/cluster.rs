//! Roles, networks, storage, flows, policies and priorities.

use serde_json::json;

use super::*;

const IMMUTABLE: &str = "field is immutable";

fn named(name: &str, rest: Value) -> Value {
    let mut tree = rest;
    tree["metadata"] = json!({"name": name});
    tree
}

fn in_default(name: &str, rest: Value) -> Value {
    let mut tree = named(name, rest);
    tree["metadata"]["namespace"] = "default".into();
    tree
}

#[test]
fn roles() {
    let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
    let role = in_default("system:reads", json!({"rules": [rule]}));
    each_of(
        ("rbac.authorization.k8s.io/v1", "Role"),
        &role,
        &[
            (
                "/rules/0/verbs",
                json!([]),
                "rules[0].verbs: Required value: verbs must contain at least one value",
            ),
            (
                "/rules/0/apiGroups",
                json!([]),
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            ),
            (
                "/rules/0",
                json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}),
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
            ),
            ("/metadata/name", json!("a/b"), "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
        ],
    );
    let all = named("all", json!({"rules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}));
    each_of(
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        &all,
        &[(
            "/aggregationRule",
            json!({"clusterRoleSelectors": []}),
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if \
             aggregationRule is non-nil",
        )],
    );
}

#[test]
fn bindings_of_roles() {
    let group = "rbac.authorization.k8s.io";
    let binding = in_default(
        "b",
        json!({"roleRef": {"apiGroup": group, "kind": "Role", "name": "r"},
               "subjects": [{"kind": "ServiceAccount", "name": "sa"}, {"kind": "User", "name": "u", "apiGroup": group}]}),
    );
    let kind = ("rbac.authorization.k8s.io/v1", "RoleBinding");
    each_of(
        kind,
        &binding,
        &[
            (
                "/roleRef/kind",
                json!("Pod"),
                "roleRef.kind: Unsupported value: \"Pod\": supported values: \"Role\", \"ClusterRole\"",
            ),
            ("/roleRef/name", json!(null), "roleRef.name: Required value"),
            ("/subjects/1/name", json!(""), "subjects[1].name: Required value"),
            (
                "/subjects/1/apiGroup",
                json!("x"),
                "subjects[1].apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
            ),
            (
                "/subjects/0/kind",
                json!("Robot"),
                "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \
                 \"Group\"",
            ),
        ],
    );
    let other = with(binding.clone(), "/roleRef/name", json!("s"));
    let errors = rejudged(kind, binding.clone(), other);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].ends_with(": cannot change roleRef"), "{errors:?}");
    let mut everywhere = named("b", binding);
    everywhere["roleRef"]["kind"] = "ClusterRole".into();
    assert_eq!(
        judged(("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), everywhere),
        ["subjects[0].namespace: Required value"]
    );
}

#[test]
fn ingresses() {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let ingress = in_default(
        "web",
        json!({"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [path]}}],
                        "tls": [{"hosts": ["*.example.com"], "secretName": "s"}]}}),
    );
    each_of(
        ("networking.k8s.io/v1", "Ingress"),
        &ingress,
        &[
            (
                "/spec/rules",
                json!([]),
                "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
            ),
            (
                "/spec/rules/0/http/paths/0/pathType",
                json!(null),
                "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("a"),
                "spec.rules[0].http.paths[0].path: Invalid value: \"a\": must be an absolute path",
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("/a//b"),
                "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port",
                json!({}),
                "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port/number",
                json!(65_536),
                "spec.rules[0].http.paths[0].backend.service.port.number: Invalid value: 65536: must be between 1 and \
                 65535, inclusive",
            ),
            ("/spec/rules/0/http/paths", json!([]), "spec.rules[0].http.paths: Required value"),
        ],
    );
    let numeric = with(ingress.clone(), "/spec/rules/0/host", json!("10.0.0.1"));
    assert_eq!(
        judged(("networking.k8s.io/v1", "Ingress"), numeric),
        ["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"]
    );
    let mut reported = ingress.clone();
    reported["status"] = json!({"loadBalancer": {"ingress": [{"ip": "010.0.0.1"}]}});
    assert_eq!(
        restated(("networking.k8s.io/v1", "Ingress"), ingress, reported.clone()),
        ["status.loadBalancer.ingress[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s"]
    );
    let same = restated(("networking.k8s.io/v1", "Ingress"), reported.clone(), reported);
    assert_eq!(same, Vec::<String>::new(), "what was there stays");
}

#[test]
fn classes_of_ingresses() {
    let class = named(
        "c",
        json!({"spec": {"controller": "example.com/c", "parameters": {"kind": "K", "name": "n", "scope": "Cluster"}}}),
    );
    let kind = ("networking.k8s.io/v1", "IngressClass");
    each_of(
        kind,
        &class,
        &[
            (
                "/spec/controller",
                json!("c"),
                "spec.controller: Invalid value: \"c\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                "/spec/parameters/scope",
                json!("Namespace"),
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
            (
                "/spec/parameters/namespace",
                json!("n"),
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
            (
                "/spec/parameters/scope",
                json!("Moon"),
                "spec.parameters.scope: Unsupported value: \"Moon\": supported values: \"Cluster\", \"Namespace\"",
            ),
        ],
    );
    each_change(
        kind,
        &class,
        &[(
            "/spec/controller",
            json!("example.com/d"),
            "spec.controller: Invalid value: \"example.com/d\": field is immutable",
        )],
    );
}

#[test]
fn network_policies() {
    let policy = in_default(
        "p",
        json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                         "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}]}]}}),
    );
    let from = "spec.ingress[0].from[0]";
    each_of(
        ("networking.k8s.io/v1", "NetworkPolicy"),
        &policy,
        &[
            (
                "/spec/policyTypes/0",
                json!("Side"),
                "spec.policyTypes[0]: Unsupported value: \"Side\": supported values: \"Ingress\", \"Egress\"",
            ),
            ("/spec/ingress/0/from/0", json!({}), &format!("{from}: Required value: must specify a peer")),
            (
                "/spec/ingress/0/from/0/podSelector",
                json!({}),
                &format!("{from}: Forbidden: may not specify both ipBlock and another peer"),
            ),
            (
                "/spec/ingress/0/from/0/ipBlock/except/0",
                json!("11.0.0.0/16"),
                &format!(
                    "{from}.ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"
                ),
            ),
            (
                "/spec/ingress/0/from/0/ipBlock",
                json!({"cidr": "10.0.0.1/8"}),
                &format!(
                    "{from}.ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix \
                     length"
                ),
            ),
            (
                "/spec/ingress/0/ports/0/endPort",
                json!(70),
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                "/spec/ingress/0/ports/0/port",
                json!("http"),
                "spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric",
            ),
        ],
    );
}

#[test]
fn addresses_of_services() {
    let cidr = named("extra", json!({"spec": {"cidrs": ["10.0.0.0/16"]}}));
    let kind = ("networking.k8s.io/v1", "ServiceCIDR");
    each_of(
        kind,
        &cidr,
        &[
            ("/spec/cidrs", json!([]), "spec.cidrs: Required value: at least one CIDR required"),
            (
                "/spec/cidrs",
                json!(["10.0.0.0/16", "10.1.0.0/16"]),
                "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for \
                 each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
        ],
    );
    let both = with(cidr.clone(), "/spec/cidrs", json!(["10.0.0.0/16", "fd00::/112"]));
    assert_eq!(rejudged(kind, cidr.clone(), both.clone()), Vec::<String>::new());
    let errors = rejudged(kind, both, cidr.clone());
    assert!(errors[0].contains(IMMUTABLE), "{errors:?}");
    let moved = with(cidr.clone(), "/spec/cidrs/0", json!("10.1.0.0/16"));
    assert_eq!(
        rejudged(kind, cidr, moved),
        ["spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"]
    );
    let address = named(
        "10.0.0.7",
        json!({"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}}),
    );
    let kind = ("networking.k8s.io/v1", "IPAddress");
    each_of(kind, &address, &[("/spec/parentRef", json!(null), "spec.parentRef: Required value")]);
    assert_eq!(judged(kind, with(address, "/metadata/name", json!("10.0.0.07"))).len(), 1);
}

#[test]
fn storage_classes_and_attributes() {
    let class = named("fast", json!({"provisioner": "csi.example.com", "parameters": {"a": "b"}}));
    let kind = ("storage.k8s.io/v1", "StorageClass");
    each_of(
        kind,
        &class,
        &[
            ("/provisioner", json!(null), "provisioner: Required value"),
            (
                "/reclaimPolicy",
                json!("Recycle"),
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
            ),
            (
                "/volumeBindingMode",
                json!("Later"),
                "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \
                 \"WaitForFirstConsumer\"",
            ),
            (
                "/allowedTopologies",
                json!([{"matchLabelExpressions": [{"key": "zone", "values": ["a", "a"]}]}]),
                "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\"",
            ),
        ],
    );
    each_change(
        kind,
        &class,
        &[
            ("/provisioner", json!("x"), "provisioner: Invalid value: \"x\": field is immutable"),
            (
                "/reclaimPolicy",
                json!("Retain"),
                "reclaimPolicy: Invalid value: \"Retain\": field is immutable",
            ),
        ],
    );
    let attributes = named("gold", json!({"driverName": "csi.example.com", "parameters": {"iops": "1000"}}));
    let kind = ("storage.k8s.io/v1", "VolumeAttributesClass");
    each_of(
        kind,
        &attributes,
        &[("/parameters", json!({}), "parameters: Required value: must contain at least one key/value pair")],
    );
    each_change(
        kind,
        &attributes,
        &[("/driverName", json!("x"), "driverName: Forbidden: updates to driverName are forbidden.")],
    );
}

#[test]
fn drivers_and_attachments() {
    let driver = named("csi.example.com", json!({"spec": {"tokenRequests": [{"audience": "a"}]}}));
    let kind = ("storage.k8s.io/v1", "CSIDriver");
    each_of(
        kind,
        &driver,
        &[
            (
                "/spec/tokenRequests",
                json!([{"audience": "a"}, {"audience": "a"}]),
                "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
            ),
            (
                "/spec/tokenRequests/0/expirationSeconds",
                json!(599),
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 \
                 minutes",
            ),
            (
                "/spec/fsGroupPolicy",
                json!("Some"),
                "spec.fsGroupPolicy: Unsupported value: \"Some\": supported values: \"File\", \"None\", \
                 \"ReadWriteOnceWithFSType\"",
            ),
            (
                "/spec/nodeAllocatableUpdatePeriodSeconds",
                json!(9),
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 \
                 seconds",
            ),
        ],
    );
    each_change(
        kind,
        &driver,
        &[(
            "/spec/attachRequired",
            json!(false),
            "spec.attachedRequired: Invalid value: false: field is immutable",
        )],
    );
    let node = named(
        "n",
        json!({"spec": {"drivers": [{"name": "csi.example.com", "nodeID": "i", "topologyKeys": ["zone"]}]}}),
    );
    let kind = ("storage.k8s.io/v1", "CSINode");
    each_of(
        kind,
        &node,
        &[
            ("/spec/drivers/0/nodeID", json!(""), "spec.drivers[0].nodeID: Required value"),
            (
                "/spec/drivers",
                json!([{"name": "a", "nodeID": "i"}, {"name": "a", "nodeID": "j"}]),
                "spec.drivers[1].name: Duplicate value: \"a\"",
            ),
        ],
    );
    let counted = with(node.clone(), "/spec/drivers/0/allocatable", json!({"count": 3}));
    assert_eq!(rejudged(kind, node.clone(), counted), Vec::<String>::new());
    let other = with(node.clone(), "/spec/drivers/0/nodeID", json!("j"));
    assert!(rejudged(kind, node, other)[0].ends_with(IMMUTABLE));
    let attachment = named(
        "a",
        json!({"spec": {"attacher": "csi.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}),
    );
    let kind = ("storage.k8s.io/v1", "VolumeAttachment");
    each_of(
        kind,
        &attachment,
        &[(
            "/spec/source",
            json!({}),
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        )],
    );
    let elsewhere = with(attachment.clone(), "/spec/nodeName", json!("m"));
    assert!(rejudged(kind, attachment, elsewhere)[0].ends_with(IMMUTABLE));
    let room = in_default("c", json!({"storageClassName": "fast", "capacity": "1Gi"}));
    each_of(
        ("storage.k8s.io/v1", "CSIStorageCapacity"),
        &room,
        &[("/capacity", json!("-1"), "capacity: Invalid value: \"-1\": must be greater than or equal to 0")],
    );
}

#[test]
fn flows() {
    let schema = named(
        "f",
        json!({"spec": {"matchingPrecedence": 500, "priorityLevelConfiguration": {"name": "l"},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}],
                       "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}]}}),
    );
    let kind = ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema");
    each_of(
        kind,
        &schema,
        &[
            (
                "/spec/priorityLevelConfiguration/name",
                json!(""),
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ),
            (
                "/spec/rules/0/subjects/0/kind",
                json!("Robot"),
                "spec.rules[0].subjects[0].kind: Unsupported value: \"Robot\": supported values: \"Group\", \
                 \"ServiceAccount\", \"User\"",
            ),
            (
                "/spec/rules/0/nonResourceRules/0/nonResourceURLs/0",
                json!("healthz"),
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"healthz\": must start with \
                 slash",
            ),
        ],
    );
    let exempt = with(schema, "/metadata/name", json!("exempt"));
    let errors = judged(kind, exempt);
    assert!(
        errors.iter().any(|error| error.ends_with("spec of 'exempt' must equal the fixed value")),
        "{errors:?}"
    );
    let queuing = json!({"queues": 64, "handSize": 6, "queueLengthLimit": 50});
    let level = named(
        "l",
        json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}}),
    );
    each_of(
        ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"),
        &level,
        &[
            (
                "/spec/limited/limitResponse/queuing/handSize",
                json!(65),
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 65: should not be greater than queues (64)",
            ),
            (
                "/spec/limited/limitResponse/queuing",
                json!({"queues": 512, "handSize": 8, "queueLengthLimit": 50}),
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 \
                 and handSize 8 should not be greater than 60",
            ),
            (
                "/spec/limited/lendablePercent",
                json!(101),
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            ),
        ],
    );
}

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
    let patch = json!({"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}});
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

#[test]
fn priorities() {
    let class = named("high", json!({"value": 1_000_000_000}));
    let kind = ("scheduling.k8s.io/v1", "PriorityClass");
    each_of(
        kind,
        &class,
        &[
            (
                "/value",
                json!(1_000_000_001),
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
            ),
            (
                "/metadata/name",
                json!("system-x"),
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. \
                 error: system-x is not a known system priority class",
            ),
            (
                "/preemptionPolicy",
                json!("Maybe"),
                "preemptionPolicy: Unsupported value: \"Maybe\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ),
        ],
    );
    each_change(
        kind,
        &class,
        &[
            ("/value", json!(1), "value: Forbidden: may not be changed in an update."),
            (
                "/preemptionPolicy",
                json!("Never"),
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ),
        ],
    );
}

#[test]
fn runtime_classes_and_leases() {
    let class = named("r", json!({"handler": "kata", "overhead": {"podFixed": {"cpu": "100m"}}}));
    let kind = ("node.k8s.io/v1", "RuntimeClass");
    each_of(kind, &class, &[("/handler", json!(""), "handler: Required value")]);
    each_change(
        kind,
        &class,
        &[("/handler", json!("b"), "handler: Invalid value: \"b\": field is immutable")],
    );
    let candidate = in_default(
        "c",
        json!({"spec": {"leaseName": "l", "binaryVersion": "1.36.0", "emulationVersion": "1.35.0",
                        "strategy": "OldestEmulationVersion"}}),
    );
    each_of(
        ("coordination.k8s.io/v1beta1", "LeaseCandidate"),
        &candidate,
        &[
            ("/spec/leaseName", json!(""), "spec.leaseName: Required value"),
            (
                "/spec/emulationVersion",
                json!("1.37.0"),
                "spec.binaryVersion: Invalid value: \"1.36.0\": must be greater than or equal to `emulationVersion`",
            ),
            (
                "/spec/strategy",
                json!("Oldest"),
                "spec.strategy.strategy: Unsupported value: \"Oldest\": supported values: \"OldestEmulationVersion\"",
            ),
        ],
    );
}

#[test]
fn services_of_apis_and_stored_versions() {
    let service = named(
        "v1.a.example.com",
        json!({"spec": {"group": "a.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"namespace": "n", "name": "s"}}}),
    );
    each_of(
        ("apiregistration.k8s.io/v1", "APIService"),
        &service,
        &[
            (
                "/spec/versionPriority",
                json!(0),
                "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            ),
            (
                "/metadata/name",
                json!("v2.a.example.com"),
                "metadata.name: Invalid value: \"v2.a.example.com\": must be `spec.version+\".\"+spec.group`: \
                 \"v1.a.example.com\"",
            ),
            ("/spec/service/name", json!(""), "spec.service.name: Required value"),
        ],
    );
    let migration = named("m", json!({"spec": {"resource": {"group": "apps", "resource": "deployments"}}}));
    let kind = ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration");
    each_of(
        kind,
        &migration,
        &[(
            "/spec/resource/resource",
            json!(""),
            "spec.resource.resource: Required value: resource is required to be set",
        )],
    );
    let other = with(migration.clone(), "/spec/resource/resource", json!("pods"));
    assert!(rejudged(kind, migration, other)[0].ends_with(IMMUTABLE));
}

#[test]
fn reviews() {
    let attributes = json!({"verb": "get", "resource": "pods"});
    let review = json!({"spec": {"user": "u", "resourceAttributes": attributes}});
    each_of(
        ("authorization.k8s.io/v1", "SubjectAccessReview"),
        &review,
        &[
            (
                "/spec/user",
                json!(""),
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ),
            (
                "/spec/resourceAttributes",
                json!(null),
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or \
                 resourceAttributes must be specified",
            ),
        ],
    );
    let local = json!({"metadata": {"namespace": "a"}, "spec": {"user": "u",
        "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "b"}}});
    assert_eq!(
        judged(("authorization.k8s.io/v1", "LocalSubjectAccessReview"), local),
        ["spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace"]
    );
}
