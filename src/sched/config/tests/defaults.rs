//! What is filled in. Source: `default_plugins_test.go` and `defaults_test.go` of
//! `pkg/scheduler/apis/config/v1` (1.36).

use jiff::SignedDuration;

use super::*;

const DEFAULT: [(&str, i32); 20] = [
    ("SchedulingGates", 0),
    ("PrioritySort", 0),
    ("NodeUnschedulable", 0),
    ("NodeName", 0),
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodePorts", 0),
    ("NodeResourcesFit", 1),
    ("VolumeRestrictions", 0),
    ("NodeVolumeLimits", 0),
    ("VolumeBinding", 0),
    ("VolumeZone", 0),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DynamicResources", 2),
    ("DefaultPreemption", 0),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
    ("DefaultBinder", 0),
    ("NodeDeclaredFeatures", 0),
];

fn names_of_args(profile: &ProfileConfig) -> Vec<&str> {
    profile.args.iter().map(|own| &*own.plugin).collect()
}

#[test]
fn the_default_is_an_empty_configuration() {
    let empty = parse("").unwrap();
    assert_eq!(empty, Configuration::default());
    assert_eq!(empty, parse("profiles: []\nleaderElection:\nclientConnection: {qps: 0}\n").unwrap());

    assert_eq!(empty.parallelism, 16);
    assert_eq!(empty.percentage_of_nodes_to_score, 0);
    assert_eq!(empty.pod_initial_backoff, SignedDuration::from_secs(1));
    assert_eq!(empty.pod_max_backoff, SignedDuration::from_secs(10));
    assert!(empty.enable_profiling && empty.enable_contention_profiling && !empty.delay_cache_until_active);
    assert_eq!(
        empty.leader_election,
        LeaderElection {
            leader_elect: true,
            lease_duration: SignedDuration::from_secs(15),
            renew_deadline: SignedDuration::from_secs(10),
            retry_period: SignedDuration::from_secs(2),
            resource_lock: "leases".into(),
            resource_name: "kube-scheduler".into(),
            resource_namespace: "kube-system".into(),
        }
    );
    assert_eq!(
        empty.client_connection,
        ClientConnection {
            kubeconfig: String::new(),
            accept_content_types: String::new(),
            content_type: "application/vnd.kubernetes.protobuf".into(),
            qps: 50.0,
            burst: 100,
        }
    );
    let [profile] = &*empty.profiles else { panic!("{:?}", empty.profiles) };
    assert_eq!(profile.scheduler_name, "default-scheduler");
    assert_eq!(profile.percentage_of_nodes_to_score, None);
    assert_eq!(profile.plugins.multi_point, set(&DEFAULT, &[]));
    assert!(Point::ALL.iter().all(|point| profile.plugins[*point] == PluginSet::default()));
    assert_eq!(
        names_of_args(profile),
        [
            "DefaultPreemption",
            "DynamicResources",
            "InterPodAffinity",
            "NodeAffinity",
            "NodeResourcesBalancedAllocation",
            "NodeResourcesFit",
            "PodTopologySpread",
            "VolumeBinding",
        ]
    );
}

#[test]
fn contention_is_profiled_with_all_else_unless_told() {
    for (body, expected) in [
        ("enableProfiling: false", (false, false)),
        ("enableContentionProfiling: false", (true, false)),
        ("enableProfiling: false\nenableContentionProfiling: true", (false, true)),
    ] {
        let read = parse(body).unwrap();
        assert_eq!((read.enable_profiling, read.enable_contention_profiling), expected, "{body}");
    }
}

#[test]
fn features_decide_on_default_plugins() {
    let without =
        |absent: &str| -> Vec<_> { DEFAULT.into_iter().filter(|(name, _)| *name != absent).collect() };
    let with = |more: &[(&'static str, i32)]| -> Vec<_> { DEFAULT.iter().chain(more).copied().collect() };
    for (gates, expected) in [
        (gates(|gates| gates.dynamic_resource_allocation = false), without("DynamicResources")),
        (gates(|gates| gates.node_declared_features = false), without("NodeDeclaredFeatures")),
        (gates(|gates| gates.gang_scheduling = true), with(&[("GangScheduling", 0)])),
        (
            gates(|gates| gates.topology_aware_workload_scheduling = true),
            with(&[("TopologyPlacementGenerator", 0), ("PodGroupPodsCount", 1)]),
        ),
    ] {
        assert_eq!(Plugins::default_set(&gates).multi_point, set(&expected, &[]), "{gates:?}");
    }
}

#[test]
fn a_lone_profile_has_a_name_and_others_do_not() {
    let read = parse("profiles: [{percentageOfNodesToScore: 20}]\npercentageOfNodesToScore: 10").unwrap();
    assert_eq!(read.profiles[0].scheduler_name, "default-scheduler");
    assert_eq!(read.profiles[0].percentage_of_nodes_to_score, Some(20));
    assert_eq!(read.percentage_of_nodes_to_score, 10);
    assert_eq!(refused("profiles: [{schedulerName: a}, {}]"), "profiles[1].schedulerName: Required value");
    assert_eq!(refused("profiles: [{schedulerName: ''}]"), "profiles[0].schedulerName: Required value");
}

#[test]
fn arguments_that_are_given_come_first_and_the_rest_by_name() {
    let read = parse(
        "profiles:\n- plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodeAffinity},\n  \
         {name: Ours}, {name: DefaultBinder}]}, score: {enabled: [{name: InterPodAffinity}]}}\n  \
         pluginConfig: [{name: VolumeBinding}, {name: Ours, args: {a: [1]}}, {name: Theirs}]\n",
    )
    .unwrap();
    let profile = &read.profiles[0];
    assert_eq!(
        names_of_args(profile),
        ["VolumeBinding", "Ours", "Theirs", "InterPodAffinity", "NodeAffinity"]
    );
    assert_eq!(profile.args_of("Ours"), Some(&Args::Other(serde_json::json!({"a": [1]}))));
    assert_eq!(profile.args_of("Theirs"), Some(&Args::Other(serde_json::Value::Null)));
    assert_eq!(profile.args_of("VolumeBinding"), Some(&Args::VolumeBinding(VolumeBindingArgs::default())));
    assert_eq!(profile.args_of("DefaultBinder"), None);
}

#[test]
fn sets_are_merged() {
    type Side<'a> = (&'a [(&'a str, i32)], &'a [&'a str]);
    let cases: &[(&str, Side<'_>, Side<'_>, Side<'_>)] = &[
        (
            "others go behind",
            (&[("A", 0), ("B", 0)], &[]),
            (&[("X", 0)], &[]),
            (&[("A", 0), ("B", 0), ("X", 0)], &[]),
        ),
        (
            "what is disabled and enabled goes where it is enabled",
            (&[("A", 0), ("B", 0)], &[]),
            (&[("X", 0), ("B", 0)], &["B"]),
            (&[("A", 0), ("X", 0), ("B", 0)], &["B"]),
        ),
        (
            "all are disabled, and some are back in front",
            (&[("A", 0), ("B", 0)], &[]),
            (&[("X", 0), ("B", 0), ("A", 0)], &["*"]),
            (&[("X", 0), ("B", 0), ("A", 0)], &["*"]),
        ),
        (
            "a weight is set in place",
            (&[("A", 0), ("B", 0), ("C", 0)], &[]),
            (&[("C", 3), ("A", 2)], &[]),
            (&[("A", 2), ("B", 0), ("C", 3)], &[]),
        ),
        (
            "of two the last gets the place, and the first goes behind",
            (&[("A", 0), ("B", 0), ("C", 0)], &[]),
            (&[("A", 0), ("B", 2), ("C", 0), ("B", 4)], &[]),
            (&[("A", 0), ("B", 4), ("C", 0), ("B", 2)], &[]),
        ),
        (
            "what the default disables stays so, behind what else is",
            (&[("A", 0)], &["B"]),
            (&[("X", 0)], &["A"]),
            (&[("X", 0)], &["A", "B"]),
        ),
        ("nothing changes nothing", (&[("A", 1)], &[]), (&[], &[]), (&[("A", 1)], &[])),
        ("and all can go", (&[("A", 1)], &[]), (&[], &["A"]), (&[], &["A"])),
    ];
    for (what, default, custom, expected) in cases {
        let merged = set(default.0, default.1).merge(&set(custom.0, custom.1));
        assert_eq!(merged, set(expected.0, expected.1), "{what}");
    }
}

#[test]
fn every_point_is_merged_and_read_from_its_own_field() {
    for point in Point::ALL {
        let body =
            format!("profiles: [{{plugins: {{{}: {{enabled: [{{name: X, weight: 7}}]}}}}}}]", point.field());
        let read = parse(&body).unwrap();
        for other in Point::ALL {
            let expected = if other == point { set(&[("X", 7)], &[]) } else { PluginSet::default() };
            assert_eq!(read.profiles[0].plugins[other], expected, "{point} and {other}");
        }
        assert_eq!(read.profiles[0].plugins.multi_point, set(&DEFAULT, &[]));
    }
}
