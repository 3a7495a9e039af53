//! Roles, storage, flows and priorities.

use serde_json::json;

use super::*;

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
