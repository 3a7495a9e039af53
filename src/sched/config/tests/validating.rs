//! What a configuration may not say. Source: `validation_test.go` of
//! `pkg/scheduler/apis/config/validation` (1.36).

use super::*;

#[test]
fn each_rule_has_its_words() {
    for (body, expected) in [
        ("parallelism: 0", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
        ("clientConnection: {burst: -1}", "clientConnection.burst: Invalid value: -1: must be non-negative"),
        (
            "leaderElection: {resourceLock: configmap}",
            "leaderElection.resourceLock: Invalid value: \"configmap\": resourceLock value must be \"leases\"",
        ),
        (
            "leaderElection: {leaseDuration: 5s}",
            "leaderElection.leaseDuration: Invalid value: \"10s\": must be greater than `RenewDeadline`",
        ),
        (
            "leaderElection: {retryPeriod: -1s}",
            "leaderElection.retryPeriod: Invalid value: \"-1s\": must be greater than zero",
        ),
        (
            "percentageOfNodesToScore: 101",
            "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
        ),
        (
            "percentageOfNodesToScore: -1",
            "percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]",
        ),
        (
            "profiles: [{percentageOfNodesToScore: 101}]",
            "profiles[0].percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
        ),
        (
            "profiles: [{percentageOfNodesToScore: -1}]",
            "profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]",
        ),
        (
            "profiles: [{schedulerName: a}, {schedulerName: a}]",
            "profiles[1].schedulerName: Duplicate value: {}",
        ),
        ("podInitialBackoffSeconds: 0", "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        (
            "podInitialBackoffSeconds: 11",
            "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds",
        ),
        (
            "extenders: [{prioritizeVerb: p, weight: -1}]",
            "extenders[0].weight: Invalid value: -1: must have a positive weight applied to it",
        ),
        (
            "extenders: [{managedResources: [{name: a.io/b}]}, {managedResources: [{name: a.io/b}]}]",
            "extenders[1].managedResources[0].name: Invalid value: \"a.io/b\": duplicate extender managed resource \
             name",
        ),
        (
            "extenders: [{managedResources: [{name: cpu}]}]",
            "extenders[0].managedResources[0].name: Invalid value: \"cpu\": is an invalid extended resource name",
        ),
        (
            "extenders: [{managedResources: [{name: requests.a.io/b}]}]",
            "extenders[0].managedResources[0].name: Invalid value: \"requests.a.io/b\": is an invalid extended \
             resource name",
        ),
        (
            "extenders: [{bindVerb: a}, {bindVerb: b}]",
            "extenders: Invalid value: \"found 2 extenders implementing bind\": only one extender can implement bind",
        ),
        (
            "profiles: [{pluginConfig: [{name: config}, {name: config}]}]",
            "profiles[0].pluginConfig[1]: Duplicate value: \"config\"",
        ),
        (
            "profiles: [{plugins: {queueSort: {enabled: [{name: A}, {name: B}]}}}]",
            "profiles[0].plugins.queueSort.Enabled: Invalid value: 2: only one queue sort plugin can be enabled",
        ),
        (
            "profiles: [{schedulerName: a}, {schedulerName: b, plugins: {queueSort: {enabled: [{name: A}], disabled: \
             [{name: '*'}]}}}]",
            "profiles[1].plugins.queueSort: Invalid value: {\"Enabled\":[{\"Name\":\"A\",\"Weight\":0}],\"Disabled\":\
             [{\"Name\":\"*\",\"Weight\":0}]}: must be the same for all profiles",
        ),
        (
            "profiles: [{schedulerName: a, plugins: {queueSort: {enabled: [{name: A}]}}}, {schedulerName: b}]",
            "profiles[1].plugins.queueSort: Invalid value: {\"Enabled\":null,\"Disabled\":null}: must be the same for \
             all profiles",
        ),
        (
            "profiles: [{schedulerName: a, plugins: {queueSort: {enabled: [{name: A}]}}, pluginConfig: [{name: A, \
             args: {x: 1}}]}, {schedulerName: b, plugins: {queueSort: {enabled: [{name: A}]}}, pluginConfig: [{name: \
             A, args: {x: 2}}]}]",
            "profiles[1].pluginConfig.args: Invalid value: {\"x\":2}: queueSort must be the same for all profiles",
        ),
        (
            "profiles: [{pluginConfig: [{name: DefaultPreemption}, {name: InterPodAffinity, args: \
             {hardPodAffinityWeight: 101}}]}]",
            "profiles[0].pluginConfig[1].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
        ),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
}

#[test]
fn what_nobody_uses_is_not_looked_at() {
    for body in [
        "leaderElection: {leaderElect: false, leaseDuration: -1s, resourceLock: x}",
        "extenders: [{weight: -1}]",
        "extenders: [{bindVerb: a}, {}]",
        "profiles: [{plugins: {score: {enabled: [{name: PodTopologySpread, weight: 2}, {name: Unknown}]}}}]",
        "profiles: [{plugins: {multiPoint: {enabled: [{name: EBSLimits}]}, score: {disabled: [{name: EBSLimits}]}}}]",
    ] {
        assert_eq!(parse(body).map(drop), Ok(()), "{body}");
    }
}

#[test]
fn plugins_that_are_gone_are_told_of() {
    let gone = "was invalid in version \"v1\" (KubeSchedulerConfiguration is version \"kubescheduler.config.k8s.io/v1\")";
    let names = ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];
    for point in Point::ALL {
        let enabled: Vec<_> = names.iter().map(|name| format!("{{name: {name}}}")).collect();
        let body =
            format!("profiles: [{{plugins: {{{}: {{enabled: [{}]}}}}}}]", point.field(), enabled.join(", "));
        let Err(ConfigError::Invalid(errors)) = parse(&body) else {
            // These are younger than the plugins.
            assert!(matches!(point, Point::PlacementGenerate | Point::PlacementScore), "{point}");
            continue;
        };
        let expected = names.iter().enumerate().map(|(index, name)| {
            let field = point.field();
            format!("profiles[0].plugins.{field}.enabled[{index}]: Invalid value: \"{name}\": {gone}")
        });
        let found =
            errors.iter().map(ToString::to_string).filter(|error| !error.contains("only one queue sort"));
        assert!(found.eq(expected), "{errors:?}");
    }
    assert_eq!(
        refused("profiles: [{pluginConfig: [{name: EBSLimits}]}]"),
        format!("profiles[0].pluginConfig[0]: Invalid value: \"EBSLimits\": {gone}")
    );
}

#[test]
fn all_errors_are_told_together_and_each_once() {
    let body = "parallelism: 0\npodInitialBackoffSeconds: 0\nprofiles: [{pluginConfig: [{name: VolumeBinding, args: \
                {bindTimeoutSeconds: -1}}]}]";
    let Err(ConfigError::Invalid(errors)) = parse(body) else { panic!() };
    let fields: Vec<_> = errors.iter().map(|error| &*error.field).collect();
    assert_eq!(
        fields,
        ["parallelism", "profiles[0].pluginConfig[0].args.bindTimeoutSeconds", "podInitialBackoffSeconds"]
    );
    assert_eq!(
        refused("extenders: [{managedResources: [{name: cpu}]}]\nparallelism: -1"),
        "[parallelism: Invalid value: -1: should be an integer value greater than zero, \
         extenders[0].managedResources[0].name: Invalid value: \"cpu\": is an invalid extended resource name]"
    );
    let one = errors[0].clone();
    let twice = ConfigError::Invalid(vec![one.clone(), one.clone()]);
    assert_eq!(twice.to_string(), one.to_string());
}

#[test]
fn a_configuration_that_was_made_is_validated_like_one_that_was_read() {
    let gates = FeatureGates::default();
    let wrong = |change: fn(&mut Configuration)| {
        let mut configuration = Configuration::default();
        change(&mut configuration);
        configuration.validate(&gates).map_err(|error| error.to_string())
    };
    assert_eq!(wrong(|_| {}), Ok(()));
    assert_eq!(wrong(|configuration| configuration.profiles.clear()), Err("profiles: Required value".into()));
    assert_eq!(
        wrong(|configuration| configuration.leader_election.resource_name.clear()),
        Err("leaderElection.resourceName: Required value".into())
    );
    assert_eq!(
        wrong(|configuration| configuration.leader_election.resource_namespace.clear()),
        Err("leaderElection.resourceNamespace: Required value".into())
    );
    assert_eq!(
        wrong(|configuration| {
            configuration.profiles[0].args[0].args = Args::InterPodAffinity(InterPodAffinityArgs::default());
        }),
        Err("profiles[0].pluginConfig[0].args: Invalid value: \"InterPodAffinityArgs\": has to match plugin args".into())
    );
}
