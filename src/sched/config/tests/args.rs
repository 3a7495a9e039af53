//! Arguments: their defaults, and what is refused. Source: `defaults_test.go` of
//! `pkg/scheduler/apis/config/v1`, `validation_pluginargs_test.go` of `pkg/scheduler/apis/config/validation`
//! and `scheme_test.go` of `pkg/scheduler/apis/config/scheme` (1.36).

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::TopologySpreadConstraint;

use super::*;

fn read_with(plugin: &str, args: &str, gates: &FeatureGates) -> Result<Args, String> {
    let read =
        Configuration::parse_with(&with_args(plugin, args), gates).map_err(|error| error.to_string())?;
    Ok(read.profiles[0].args[0].args.clone())
}

fn read(plugin: &str, args: &str) -> Args {
    read_with(plugin, args, &FeatureGates::default()).unwrap()
}

fn resources(resources: &[(&str, i64)]) -> Vec<ResourceSpec> {
    resources
        .iter()
        .map(|(name, weight)| ResourceSpec { name: (*name).to_owned(), weight: *weight })
        .collect()
}

/// What is wrong with arguments, without the way to them.
fn wrong_with(plugin: &str, args: &str, gates: &FeatureGates) -> Vec<String> {
    match Configuration::parse_with(&with_args(plugin, args), gates) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid(errors)) => errors
            .iter()
            .map(|error| {
                error.to_string().strip_prefix("profiles[0].pluginConfig[0].args.").unwrap().to_owned()
            })
            .collect(),
        Err(error) => panic!("{plugin} {args}: {error}"),
    }
}

fn check(plugin: &str, cases: &[(&str, &[&str])]) {
    for (args, expected) in cases {
        assert_eq!(wrong_with(plugin, args, &FeatureGates::default()), *expected, "{plugin} {args}");
    }
}

#[test]
fn default_preemption() {
    let args = |percentage, absolute| {
        Args::DefaultPreemption(DefaultPreemptionArgs {
            min_candidate_nodes_percentage: percentage,
            min_candidate_nodes_absolute: absolute,
        })
    };
    assert_eq!(read("DefaultPreemption", "{}"), args(10, 100));
    assert_eq!(read("DefaultPreemption", "{minCandidateNodesPercentage: 50}"), args(50, 100));
    assert_eq!(read("DefaultPreemption", "{minCandidateNodesPercentage: 0}"), args(0, 100));
    let range = "not in valid range";
    check(
        "DefaultPreemption",
        &[
            (
                "{minCandidateNodesPercentage: -1}",
                &[&format!("minCandidateNodesPercentage: Invalid value: -1: {range} [0, 100]")],
            ),
            (
                "{minCandidateNodesPercentage: 900, minCandidateNodesAbsolute: -1}",
                &[
                    &format!("minCandidateNodesPercentage: Invalid value: 900: {range} [0, 100]"),
                    &format!("minCandidateNodesAbsolute: Invalid value: -1: {range} [0, inf)"),
                ],
            ),
            (
                "{minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}",
                &[
                    "minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as \
                     minCandidateNodesAbsolute",
                    "minCandidateNodesAbsolute: Invalid value: 0: cannot be zero at the same time as \
                     minCandidateNodesPercentage",
                ],
            ),
        ],
    );
}

#[test]
fn inter_pod_affinity() {
    let args = |weight, ignore| {
        Args::InterPodAffinity(InterPodAffinityArgs {
            hard_pod_affinity_weight: weight,
            ignore_preferred_terms_of_existing_pods: ignore,
        })
    };
    assert_eq!(read("InterPodAffinity", "{}"), args(1, false));
    assert_eq!(read("InterPodAffinity", "{hardPodAffinityWeight: 0}"), args(0, false));
    let both = "{hardPodAffinityWeight: 5, ignorePreferredTermsOfExistingPods: true}";
    assert_eq!(read("InterPodAffinity", both), args(5, true));
    check(
        "InterPodAffinity",
        &[
            (
                "{hardPodAffinityWeight: -1}",
                &["hardPodAffinityWeight: Invalid value: -1: not in valid range [0, 100]"],
            ),
            ("{hardPodAffinityWeight: 100}", &[]),
            (
                "{hardPodAffinityWeight: 101}",
                &["hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"],
            ),
        ],
    );
}

#[test]
fn balanced_allocation() {
    let args = |of: &[(&str, i64)]| {
        Args::NodeResourcesBalancedAllocation(NodeResourcesBalancedAllocationArgs {
            resources: resources(of),
        })
    };
    let plugin = "NodeResourcesBalancedAllocation";
    assert_eq!(read(plugin, "{}"), args(&[("cpu", 1), ("memory", 1)]));
    assert_eq!(read(plugin, "{resources: []}"), args(&[("cpu", 1), ("memory", 1)]));
    assert_eq!(
        read(plugin, "{resources: [{name: cpu}, {name: a.io/b, weight: 0}, {name: c, weight: 1}]}"),
        args(&[("cpu", 1), ("a.io/b", 1), ("c", 1)])
    );
    check(
        plugin,
        &[
            ("{resources: [{name: cpu, weight: 2}]}", &["resources[0].weight: Invalid value: 2: must be 1"]),
            ("{resources: [{name: cpu}, {name: cpu}]}", &["resources[1].name: Duplicate value: \"cpu\""]),
        ],
    );
}

#[test]
fn fit() {
    let Args::NodeResourcesFit(args) = read("NodeResourcesFit", "{ignoredResources: [a]}") else { panic!() };
    assert_eq!(
        args,
        NodeResourcesFitArgs { ignored_resources: vec!["a".into()], ..NodeResourcesFitArgs::default() }
    );
    assert_eq!(args.scoring_strategy.kind, ScoringStrategyType::LeastAllocated);
    assert_eq!(args.scoring_strategy.resources, resources(&[("cpu", 1), ("memory", 1)]));
    assert_eq!(args.scoring_strategy.requested_to_capacity_ratio, None);
    let ratio = "{scoringStrategy: {type: RequestedToCapacityRatio, resources: [{name: gpu, weight: 0}], \
                 requestedToCapacityRatio: {shape: [{utilization: 30, score: 3}]}}}";
    let Args::NodeResourcesFit(args) = read("NodeResourcesFit", ratio) else { panic!() };
    assert_eq!(
        args.scoring_strategy,
        ScoringStrategy {
            kind: ScoringStrategyType::RequestedToCapacityRatio,
            resources: resources(&[("gpu", 1)]),
            requested_to_capacity_ratio: Some(vec![UtilizationShapePoint { utilization: 30, score: 3 }]),
        }
    );
    let long = "a".repeat(64);
    let too_long = format!(
        "ignoredResources[0]: Invalid value: \"{long}\": {}",
        crate::api::names::qualified_name(&long)[0]
    );
    let supported = "supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\"";
    check(
        "NodeResourcesFit",
        &[
            (&format!("{{ignoredResources: [{long}]}}"), &[&too_long]),
            ("{ignoredResources: [example.com, a.io/b], ignoredResourceGroups: [example.com]}", &[]),
            (
                "{ignoredResourceGroups: [example.com/aa]}",
                &[
                    "ignoredResourceGroups[0]: Invalid value: \"example.com/aa\": resource group name can't contain '/'",
                ],
            ),
            (
                "{scoringStrategy: {type: Invalid}}",
                &[&format!("scoringStrategy.type: Unsupported value: \"Invalid\": {supported}")],
            ),
            (
                "{scoringStrategy: {}}",
                &[&format!("scoringStrategy.type: Unsupported value: \"\": {supported}")],
            ),
            (
                "{scoringStrategy: {type: RequestedToCapacityRatio}}",
                &[
                    "scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is \
                   RequestedToCapacityRatio",
                ],
            ),
            (
                "{scoringStrategy: {type: MostAllocated, requestedToCapacityRatio: {}}}",
                &["scoringStrategy.requestedToCapacityRatio: Forbidden: must be nil when type is not \
                   RequestedToCapacityRatio"],
            ),
            (
                "{scoringStrategy: {type: LeastAllocated, resources: [{name: cpu, weight: -1}, {name: b, weight: 101}]}}",
                &[
                    "scoringStrategy.resources[0].weight: Invalid value: -1: resource weight of cpu not in valid \
                     range (0, 100]",
                    "scoringStrategy.resources[1].weight: Invalid value: 101: resource weight of b not in valid \
                     range (0, 100]",
                ],
            ),
        ],
    );
}

#[test]
fn shapes() {
    let range = "not in valid range";
    let cases: &[(&str, &[&str])] = &[
        ("[]", &["shape: Required value: at least one point must be specified"]),
        ("[{utilization: 30, score: 3}]", &[]),
        (
            "[{utilization: -1, score: -1}, {utilization: 101, score: 11}]",
            &[
                &format!("shape[0].utilization: Invalid value: -1: {range} [0, 100]"),
                &format!("shape[0].score: Invalid value: -1: {range} [0, 10]"),
                &format!("shape[1].utilization: Invalid value: 101: {range} [0, 100]"),
                &format!("shape[1].score: Invalid value: 11: {range} [0, 10]"),
            ],
        ),
        (
            "[{utilization: 10, score: 3}, {utilization: 10, score: 3}, {utilization: 5, score: 3}]",
            &["shape[1].utilization: Invalid value: 10: values must be sorted in increasing order"],
        ),
    ];
    for (shape, expected) in cases {
        let args = format!(
            "{{scoringStrategy: {{type: RequestedToCapacityRatio, requestedToCapacityRatio: {{shape: {shape}}}}}}}"
        );
        let found = wrong_with("NodeResourcesFit", &args, &FeatureGates::default());
        let ratio: Vec<_> = expected
            .iter()
            .map(|wrong| format!("scoringStrategy.requestedToCapacityRatio.{wrong}"))
            .collect();
        assert_eq!(found, ratio, "{shape}");
        // Volumes have a default in the place of no points.
        if *shape != "[]" {
            let on = gates(|gates| gates.storage_capacity_scoring = true);
            assert_eq!(
                wrong_with("VolumeBinding", &format!("{{shape: {shape}}}"), &on),
                *expected,
                "{shape}"
            );
        }
    }
}

#[test]
fn topology_spread() {
    let args = "{defaultingType: List, defaultConstraints: [{maxSkew: 2, topologyKey: planet, whenUnsatisfiable: \
                DoNotSchedule}]}";
    let expected = PodTopologySpreadArgs {
        default_constraints: vec![TopologySpreadConstraint {
            max_skew: 2,
            topology_key: "planet".into(),
            when_unsatisfiable: "DoNotSchedule".into(),
            ..TopologySpreadConstraint::default()
        }],
        defaulting_type: Defaulting::List,
    };
    assert_eq!(read("PodTopologySpread", args), Args::PodTopologySpread(expected));
    assert_eq!(PodTopologySpreadArgs::default().defaulting_type, Defaulting::System);
    let constraint = |what: &str| format!("{{defaultingType: List, defaultConstraints: [{what}]}}");
    let fine = "{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}";
    check(
        "PodTopologySpread",
        &[
            (&constraint(fine), &[]),
            (&constraint(""), &[]),
            (
                &constraint("{maxSkew: -1, topologyKey: 'a b'}"),
                &[
                    "defaultConstraints[0].maxSkew: Invalid value: -1: not in valid range (0, inf)",
                    &format!(
                        "defaultConstraints[0].topologyKey: Invalid value: \"a b\": {}",
                        crate::api::names::qualified_name("a b")[0]
                    ),
                    "defaultConstraints[0].whenUnsatisfiable: Required value: can not be empty",
                ],
            ),
            (
                &constraint("{maxSkew: 1, whenUnsatisfiable: x, labelSelector: {matchLabels: {a: b}}}"),
                &[
                    "defaultConstraints[0].topologyKey: Required value: can not be empty",
                    "defaultConstraints[0].whenUnsatisfiable: Unsupported value: \"x\": supported values: \
                     \"DoNotSchedule\", \"ScheduleAnyway\"",
                    "defaultConstraints[0].labelSelector: Forbidden: constraint must not define a selector, as they \
                     deduced for each pod",
                ],
            ),
            // One that is empty is one, too.
            (
                &constraint(
                    "{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}",
                ),
                &[
                    "defaultConstraints[0].labelSelector: Forbidden: constraint must not define a selector, as they \
                   deduced for each pod",
                ],
            ),
            (
                &constraint(&format!("{fine}, {fine}")),
                &["defaultConstraints[1]: Duplicate value: \"{a, ScheduleAnyway}\""],
            ),
            (
                "{defaultingType: unknown}",
                &["defaultingType: Unsupported value: \"unknown\": supported values: \"System\", \"List\""],
            ),
            (
                &format!("{{defaultConstraints: [{fine}]}}"),
                &["defaultingType: Invalid value: \"System\": when .defaultConstraints are not empty"],
            ),
        ],
    );
}

#[test]
fn volume_binding() {
    let on = gates(|gates| gates.storage_capacity_scoring = true);
    let args = |seconds, shape: Option<&[(i32, i32)]>| {
        let point = |(utilization, score): &(i32, i32)| UtilizationShapePoint {
            utilization: *utilization,
            score: *score,
        };
        let shape = shape.map(|points| points.iter().map(point).collect());
        Args::VolumeBinding(VolumeBindingArgs { bind_timeout_seconds: seconds, shape })
    };
    assert_eq!(read("VolumeBinding", "{}"), args(600, None));
    assert_eq!(read("VolumeBinding", "{bindTimeoutSeconds: 0}"), args(0, None));
    assert_eq!(
        read_with("VolumeBinding", "{shape: []}", &on).unwrap(),
        args(600, Some(&[(0, 10), (100, 0)]))
    );
    let unexpected = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";
    check(
        "VolumeBinding",
        &[
            (
                "{bindTimeoutSeconds: -10}",
                &[
                    "bindTimeoutSeconds: Invalid value: -10: invalid BindTimeoutSeconds, should not be a negative value",
                ],
            ),
            ("{shape: []}", &[&format!("shape: Invalid value: []: {unexpected}")]),
            (
                "{shape: [{utilization: 1, score: 2}, {utilization: 3, score: 4}]}",
                &[&format!(
                    "shape: Invalid value: [{{\"Utilization\":1,\"Score\":2}},{{\"Utilization\":3,\"Score\":4}}]: \
                     {unexpected}"
                )],
            ),
        ],
    );
}

#[test]
fn dynamic_resources() {
    let args = |filter: Option<i64>, binding: Option<i64>| {
        Args::DynamicResources(DynamicResourcesArgs {
            filter_timeout: filter.map(SignedDuration::from_secs),
            binding_timeout: binding.map(SignedDuration::from_secs),
        })
    };
    let plugin = "DynamicResources";
    assert_eq!(read(plugin, "{}"), args(Some(10), Some(600)));
    assert_eq!(read(plugin, "{filterTimeout: 0s, bindingTimeout: 1m30s}"), args(Some(0), Some(90)));
    let no_filter = gates(|gates| gates.dra_scheduler_filter_timeout = false);
    let no_binding = gates(|gates| gates.dra_device_binding_conditions = false);
    let no_status = gates(|gates| gates.dra_resource_claim_device_status = false);
    assert_eq!(read_with(plugin, "{}", &no_filter), Ok(args(None, Some(600))));
    assert_eq!(read_with(plugin, "{}", &no_binding), Ok(args(Some(10), None)));
    assert_eq!(read_with(plugin, "{}", &no_status), Ok(args(Some(10), None)));
    check(
        plugin,
        &[
            ("{filterTimeout: -1s}", &["filterTimeout: Invalid value: \"-1s\": must be zero or positive"]),
            (
                "{bindingTimeout: 999ms}",
                &["bindingTimeout: Invalid value: \"999ms\": must be at least 1 second"],
            ),
        ],
    );
    let binding = "bindingTimeout: Forbidden: DRADeviceBindingConditions or DRAResourceClaimDeviceStatus feature gate \
                   is disabled";
    for (gates, args, expected) in [
        (
            no_filter,
            "{filterTimeout: 1s}",
            "filterTimeout: Forbidden: DRASchedulingFilterTimeout feature gate is disabled",
        ),
        (no_binding, "{bindingTimeout: 1s}", binding),
        (no_status, "{bindingTimeout: 1s}", binding),
    ] {
        assert_eq!(wrong_with(plugin, args, &gates), [expected]);
    }
}

#[test]
fn node_affinity() {
    let required = |requirement: &str| {
        format!(
            "{{addedAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: \
             [{{matchExpressions: [{requirement}]}}]}}}}}}"
        )
    };
    let preferred = |weight: i32, requirement: &str| {
        format!(
            "{{addedAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: {weight}, preference: \
             {{matchFields: [{requirement}]}}}}]}}}}"
        )
    };
    let Args::NodeAffinity(args) = read("NodeAffinity", &required("{key: foo, operator: In, values: [bar]}"))
    else {
        panic!()
    };
    let selector = args.added_affinity.unwrap().required_during_scheduling_ignored_during_execution.unwrap();
    let expressions = selector.node_selector_terms[0].match_expressions.as_ref().unwrap();
    assert_eq!(expressions[0].values.as_deref(), Some(&["bar".to_owned()][..]));
    assert_eq!(NodeAffinityArgs::default(), NodeAffinityArgs { added_affinity: None });

    let at = "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]";
    let field = "addedAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].matchFields[0]";
    let key = crate::api::names::qualified_name("a/b/c").join("; ");
    let value = crate::api::names::label_value("a b").join("; ");
    check(
        "NodeAffinity",
        &[
            (
                &required("{key: a/b/c, operator: In, values: [v]}"),
                &[&format!("{at}.key: Invalid value: \"a/b/c\": {key}")],
            ),
            (
                &required("{key: a, operator: In}"),
                &[&format!(
                    "{at}.values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"
                )],
            ),
            (
                &required("{key: a, operator: Exists, values: [v]}"),
                &[&format!(
                    "{at}.values: Invalid value: [\"v\"]: values set must be empty for exists and does not exist"
                )],
            ),
            (
                &required("{key: a, operator: Gt, values: [x, '2']}"),
                &[
                    &format!(
                        "{at}.values: Invalid value: [\"x\",\"2\"]: for 'Gt', 'Lt' operators, exactly one value is \
                         required"
                    ),
                    &format!(
                        "{at}.values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"
                    ),
                ],
            ),
            (
                &required("{key: a, operator: NotIn, values: ['a b']}"),
                &[&format!("{at}.values[0][a]: Invalid value: \"a b\": {value}")],
            ),
            (
                &required("{key: a, operator: Is}"),
                &[&format!(
                    "{at}.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\", \"Exists\", \
                     \"DoesNotExist\", \"Gt\", \"Lt\""
                )],
            ),
            (&preferred(1, "{key: metadata.name, operator: In, values: [a]}"), &[]),
            (
                &preferred(1, "{key: metadata.name, operator: In, values: [a, b]}"),
                &[&format!("{field}.values: Invalid value: [\"a\",\"b\"]: must have one element")],
            ),
            (
                &preferred(1, "{key: metadata.name, operator: Exists}"),
                &[&format!(
                    "{field}.operator: Unsupported value: \"Exists\": supported values: \"In\", \"NotIn\""
                )],
            ),
            // Without a weight nobody looks at it.
            (&preferred(0, "{key: metadata.name, operator: Exists}"), &[]),
        ],
    );
}

#[test]
fn arguments_may_say_what_they_are() {
    let says = |version: &str, kind: &str| {
        let args = format!("{{apiVersion: {version}, kind: {kind}, minCandidateNodesPercentage: 50}}");
        read_with("DefaultPreemption", &args, &FeatureGates::default())
    };
    let version = "kubescheduler.config.k8s.io/v1";
    assert!(matches!(
        says(version, "DefaultPreemptionArgs"),
        Ok(Args::DefaultPreemption(DefaultPreemptionArgs { min_candidate_nodes_percentage: 50, .. }))
    ));
    assert!(says("''", "''").is_ok());
    let at = "decoding .profiles[0].pluginConfig[0]:";
    assert_eq!(
        says(version, "InterPodAffinityArgs"),
        Err(format!(
            "{at} args for plugin DefaultPreemption were not of type \
             DefaultPreemptionArgs.kubescheduler.config.k8s.io, got InterPodAffinityArgs.kubescheduler.config.k8s.io"
        ))
    );
    let scheme = "in scheme \"pkg/scheduler/apis/config/scheme/scheme.go:29\"";
    assert_eq!(
        says("kubescheduler.config.k8s.io/v1beta3", "DefaultPreemptionArgs"),
        Err(format!(
            "{at} decoding args for plugin DefaultPreemption: no kind \"DefaultPreemptionArgs\" is registered for \
             version \"kubescheduler.config.k8s.io/v1beta3\" {scheme}"
        ))
    );
    assert_eq!(
        says(version, "Foo"),
        Err(format!(
            "{at} decoding args for plugin DefaultPreemption: no kind \"Foo\" is registered for version \"{version}\" \
             {scheme}"
        ))
    );
}

#[test]
fn arguments_are_decoded_strictly() {
    let strict = |plugin: &str, args: &str| read_with(plugin, args, &FeatureGates::default()).unwrap_err();
    let head = |plugin: &str| {
        format!(
            "strict decoding error: decoding .profiles[0].pluginConfig[0]: strict decoding error: decoding args for \
             plugin {plugin}: strict decoding error: "
        )
    };
    assert_eq!(
        strict(
            "NodeResourcesFit",
            "{scoringStrategy: {requestedToCapacityRatio: {shape: [{Score: 2, Utilization: 1}]}}}"
        ),
        head("NodeResourcesFit")
            + "unknown field \"scoringStrategy.requestedToCapacityRatio.shape[0].Score\", \
               unknown field \"scoringStrategy.requestedToCapacityRatio.shape[0].Utilization\""
    );
    assert_eq!(
        strict(
            "NodeAffinity",
            "{addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {terms: []}}}"
        ),
        head("NodeAffinity")
            + "unknown field \"addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.terms\""
    );
    assert_eq!(
        strict("PodTopologySpread", "{defaultConstraints: [{labelSelector: {matchLabel: {}}}]}"),
        head("PodTopologySpread") + "unknown field \"defaultConstraints[0].labelSelector.matchLabel\""
    );
    let at = "decoding .profiles[0].pluginConfig[0]: decoding args for plugin";
    assert_eq!(
        strict("InterPodAffinity", "{hardPodAffinityWeight: heavy}"),
        format!(
            "{at} InterPodAffinity: json: cannot unmarshal string into Go struct field \
             InterPodAffinityArgs.hardPodAffinityWeight of type int32"
        )
    );
    assert_eq!(
        strict("PodTopologySpread", "{defaultConstraints: [{maxSkew: 1.5}]}"),
        format!(
            "{at} PodTopologySpread: json: cannot unmarshal number 1.5 into Go struct field \
             TopologySpreadConstraint.defaultConstraints.maxSkew of type int32"
        )
    );
    assert_eq!(
        strict("DynamicResources", "{filterTimeout: 10}"),
        format!(
            "{at} DynamicResources: json: cannot unmarshal number into Go struct field \
             DynamicResourcesArgs.filterTimeout of type string"
        )
    );
    assert_eq!(
        strict("DynamicResources", "{filterTimeout: soon}"),
        format!("{at} DynamicResources: time: invalid duration \"soon\"")
    );
    assert!(strict("VolumeBinding", "[1]").starts_with(&format!(
        "{at} VolumeBinding: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of \
         type struct {{ APIVersion string"
    )));
}
