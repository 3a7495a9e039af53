//! From what a profile enables to lists. Source: `framework_test.go` of
//! `pkg/scheduler/framework/runtime` (1.36).

use std::collections::BTreeMap;

use super::*;

/// The plugins of the cases: `all` can stand everywhere but before the queue.
fn registry() -> BTreeMap<String, Points> {
    let everywhere = Point::ALL.into_iter().filter(|point| *point != Point::PreEnqueue).collect();
    [
        ("all", everywhere),
        ("sort", Points::of(&[Point::QueueSort])),
        ("bind", Points::of(&[Point::Bind])),
        ("score-1", Points::of(&[Point::PreScore, Point::Score])),
        ("score-2", Points::of(&[Point::Score])),
        ("placement-score", Points::of(&[Point::PlacementScore])),
        ("placement", Points::of(&[Point::PlacementGenerate])),
    ]
    .into_iter()
    .map(|(name, points)| (name.to_owned(), points))
    .collect()
}

fn profile(multi_point: PluginSet, sets: &[(Point, PluginSet)]) -> ProfileConfig {
    let mut plugins = Plugins::of_multi_point(multi_point);
    for (point, set) in sets {
        plugins[*point] = set.clone();
    }
    ProfileConfig {
        scheduler_name: "p".into(),
        percentage_of_nodes_to_score: None,
        plugins,
        args: Vec::new(),
    }
}

/// The plugins at points that have any, with weights where they score.
fn lists(expanded: &Expanded) -> BTreeMap<Point, Vec<String>> {
    let shown = |point: Point, name: &String| match point {
        Point::Score => format!("{name}:{}", expanded.score_weight(name).unwrap()),
        Point::PlacementScore => format!("{name}:{}", expanded.placement_score_weight(name).unwrap()),
        _ => name.clone(),
    };
    Point::ALL
        .into_iter()
        .map(|point| (point, expanded.at(point).iter().map(|name| shown(point, name)).collect::<Vec<_>>()))
        .filter(|(_, list)| !list.is_empty())
        .collect()
}

/// `all` with its weight at each of its points, but for points that are listed otherwise.
fn all_but(changes: &[(Point, &[&str])]) -> BTreeMap<Point, Vec<String>> {
    let mut lists: BTreeMap<_, _> = Point::ALL
        .into_iter()
        .filter(|point| *point != Point::PreEnqueue)
        .map(|point| match point {
            Point::Score | Point::PlacementScore => (point, vec!["all:1".to_owned()]),
            _ => (point, vec!["all".to_owned()]),
        })
        .collect();
    for (point, list) in changes {
        if list.is_empty() {
            lists.remove(point);
        } else {
            lists.insert(*point, list.iter().map(|name| (*name).to_owned()).collect());
        }
    }
    lists
}

#[test]
fn multi_point_plugins_stand_wherever_they_can() {
    use Point::{Bind, PlacementScore, PreScore, QueueSort, Score};
    let only = |lists: &[(Point, &[&str])]| -> BTreeMap<Point, Vec<String>> {
        lists
            .iter()
            .map(|(point, list)| (*point, list.iter().map(|name| (*name).to_owned()).collect()))
            .collect()
    };
    for (what, multi_point, sets, expected) in [
        (
            "one",
            set(&[("all", 5)], &[]),
            vec![],
            all_but(&[(Score, &["all:5"]), (PlacementScore, &["all:5"])]),
        ),
        (
            "not where it is disabled",
            set(&[("all", 0)], &[]),
            vec![
                (PreScore, set(&[], &["all"])),
                (Score, set(&[], &["all"])),
                (PlacementScore, set(&[], &["all"])),
            ],
            all_but(&[(PreScore, &[]), (Score, &[]), (PlacementScore, &[])]),
        ),
        (
            "several",
            set(&[("all", 0), ("score-1", 0), ("placement-score", 0)], &[]),
            vec![],
            all_but(&[
                (PreScore, &["all", "score-1"]),
                (Score, &["all:1", "score-1:1"]),
                (PlacementScore, &["all:1", "placement-score:1"]),
            ]),
        ),
        (
            "not where all are disabled",
            set(&[("all", 0), ("score-1", 0)], &[]),
            vec![(PreScore, set(&[], &["*"]))],
            all_but(&[(PreScore, &[]), (Score, &["all:1", "score-1:1"])]),
        ),
        (
            "a point's own order goes before",
            set(&[("score-2", 0), ("all", 0), ("score-1", 0)], &[]),
            vec![(Score, set(&[("score-1", 0), ("all", 0)], &[]))],
            all_but(&[(PreScore, &["all", "score-1"]), (Score, &["score-1:1", "all:1", "score-2:1"])]),
        ),
        (
            "but for plugins that are the point's alone",
            set(&[("all", 0), ("score-1", 0)], &[]),
            vec![(Score, set(&[("score-2", 0), ("score-1", 0), ("all", 0)], &[]))],
            all_but(&[(PreScore, &["all", "score-1"]), (Score, &["score-1:1", "all:1", "score-2:1"])]),
        ),
        (
            "a point's weights win",
            set(&[("all", 7), ("score-1", 0)], &[]),
            vec![(Score, set(&[("score-1", 5), ("all", 3)], &[])), (PlacementScore, set(&[("all", 2)], &[]))],
            all_but(&[
                (PreScore, &["all", "score-1"]),
                (Score, &["score-1:5", "all:3"]),
                (PlacementScore, &["all:2"]),
            ]),
        ),
        (
            "enabled wins over disabled in multiPoint itself",
            set(&[("bind", 0), ("sort", 0), ("score-1", 0)], &["*", "score-1"]),
            vec![],
            only(&[
                (PreScore, &["score-1"]),
                (Score, &["score-1:1"]),
                (Bind, &["bind"]),
                (QueueSort, &["sort"]),
            ]),
        ),
        (
            "a point alone, where all others are disabled",
            set(&[("all", 0)], &[]),
            vec![(Score, set(&[("score-2", 4)], &["*"]))],
            all_but(&[(Score, &["score-2:4"])]),
        ),
    ] {
        let expanded = profile(multi_point, &sets).expand(&registry()).unwrap();
        assert_eq!(lists(&expanded), expected, "{what}");
    }
}

#[test]
fn what_cannot_stand_is_refused() {
    let all = || set(&[("all", 0)], &[]);
    let refused = |multi_point, sets: &[(Point, PluginSet)]| {
        profile(multi_point, sets).expand(&registry()).unwrap_err().to_string()
    };
    for (multi_point, sets, expected) in [
        (
            set(&[("all", 0), ("all", 0)], &[]),
            vec![],
            "plugin \"all\" already registered as \"PreFilterPlugin\"",
        ),
        (
            all(),
            vec![(Point::Score, set(&[("score-2", 0), ("score-2", 0)], &[]))],
            "plugin \"score-2\" already registered as \"ScorePlugin\"",
        ),
        (set(&[("all", 0), ("none", 0)], &[]), vec![], "PreFilterPlugin \"none\" does not exist"),
        (all(), vec![(Point::Score, set(&[("none", 0)], &[]))], "ScorePlugin \"none\" does not exist"),
        (
            all(),
            vec![(Point::Filter, set(&[("score-2", 0)], &[]))],
            "plugin \"score-2\" does not extend FilterPlugin plugin",
        ),
        (
            set(&[("bind", 0)], &[]),
            vec![],
            "only one queue sort plugin required for profile with scheduler name \"p\", but got 0",
        ),
        (
            set(&[("all", 0), ("sort", 0)], &[]),
            vec![],
            "only one queue sort plugin required for profile with scheduler name \"p\", but got 2",
        ),
        (
            set(&[("sort", 0)], &[]),
            vec![],
            "at least one bind plugin is needed for profile with scheduler name \"p\"",
        ),
        (
            set(&[("all", 0), ("placement", 0)], &[]),
            vec![],
            "at most one placement generate plugin is allowed for profile with scheduler name \"p\"",
        ),
        (
            set(&[("all", -1), ("score-1", 1)], &[]),
            vec![],
            "score plugins: total score of Score plugins could overflow",
        ),
        (
            set(&[("all", 1), ("placement-score", 1)], &[]),
            vec![(Point::PlacementScore, set(&[("all", -1)], &[]))],
            "placement score plugins: total score of Score plugins could overflow",
        ),
    ] {
        assert_eq!(refused(multi_point, &sets), expected);
    }
    let mut twice = profile(all(), &[]);
    twice.args = vec![PluginArgs { plugin: "all".into(), args: Args::Other(serde_json::Value::Null) }; 2];
    assert_eq!(twice.expand(&registry()).unwrap_err().to_string(), "repeated config for plugin all");
}

#[test]
fn profiles_share_their_queue_sort() {
    let configuration = |second: ProfileConfig| Configuration {
        profiles: vec![profile(set(&[("all", 0)], &[]), &[]), second],
        ..Configuration::default()
    };
    let mut other = profile(set(&[("bind", 0), ("sort", 0)], &[]), &[]);
    other.scheduler_name = "q".into();
    assert_eq!(
        configuration(other.clone()).expand(&registry()).unwrap_err().to_string(),
        "different queue sort plugins for profile \"q\": \"sort\", first: \"all\""
    );
    let mut args = profile(set(&[("all", 0)], &[]), &[]);
    args.args = vec![PluginArgs { plugin: "all".into(), args: Args::Other(1.into()) }];
    assert_eq!(
        configuration(args).expand(&registry()).unwrap_err().to_string(),
        "different queue sort plugin args for profile \"p\""
    );
    other.plugins.multi_point.enabled.remove(0);
    assert_eq!(
        configuration(other).expand(&registry()).unwrap_err().to_string(),
        "creating profile for scheduler name q: at least one bind plugin is needed for profile with scheduler name \"q\""
    );
}

#[test]
fn the_default_profile_stands_as_in_kubernetes() {
    let profile = &Configuration::default().expand(&InTree).unwrap()[0];
    let expected: BTreeMap<Point, Vec<&str>> = [
        (Point::PreEnqueue, "SchedulingGates DynamicResources DefaultPreemption"),
        (Point::QueueSort, "PrioritySort"),
        (
            Point::PreFilter,
            "NodeAffinity NodePorts NodeResourcesFit VolumeRestrictions NodeVolumeLimits VolumeBinding VolumeZone \
             PodTopologySpread InterPodAffinity DynamicResources NodeDeclaredFeatures",
        ),
        (
            Point::Filter,
            "NodeUnschedulable NodeName TaintToleration NodeAffinity NodePorts NodeResourcesFit VolumeRestrictions \
             NodeVolumeLimits VolumeBinding VolumeZone PodTopologySpread InterPodAffinity DynamicResources \
             NodeDeclaredFeatures",
        ),
        (Point::PostFilter, "DynamicResources DefaultPreemption"),
        (
            Point::PreScore,
            "TaintToleration NodeAffinity NodeResourcesFit VolumeBinding PodTopologySpread InterPodAffinity \
             NodeResourcesBalancedAllocation",
        ),
        (
            Point::Score,
            "TaintToleration:3 NodeAffinity:2 NodeResourcesFit:1 VolumeBinding:1 PodTopologySpread:2 \
             InterPodAffinity:2 DynamicResources:2 NodeResourcesBalancedAllocation:1 ImageLocality:1",
        ),
        (Point::Reserve, "VolumeBinding DynamicResources"),
        (Point::PreBind, "VolumeBinding DynamicResources"),
        (Point::Bind, "DefaultBinder"),
        (Point::PlacementScore, "NodeResourcesFit:1"),
    ]
    .into_iter()
    .map(|(point, list)| (point, list.split_whitespace().collect()))
    .collect();
    let found = lists(profile);
    let found: BTreeMap<_, Vec<&str>> =
        found.iter().map(|(point, list)| (*point, list.iter().map(String::as_str).collect())).collect();
    assert_eq!(found, expected);
    assert_eq!(profile.names().len(), 20);
}

#[test]
fn all_plugins_of_kubernetes_can_be_found() {
    let all = InTree::all();
    assert_eq!(all.len(), 23);
    for (name, points) in &all {
        assert_eq!(InTree.points(name), Some(*points), "{name}");
        assert_ne!(*points, Points::default(), "{name}");
    }
    assert_eq!(InTree.points("Unknown"), None);
    let gates = gates(|gates| {
        gates.gang_scheduling = true;
        gates.topology_aware_workload_scheduling = true;
    });
    let profile = ProfileConfig::new("all", &gates).expand(&InTree).unwrap();
    assert_eq!(profile.names().len(), 23);
    assert_eq!(profile.at(Point::Permit), ["GangScheduling"]);
    assert_eq!(profile.at(Point::PlacementGenerate), ["TopologyPlacementGenerator"]);
    assert_eq!(profile.placement_score_weight("PodGroupPodsCount"), Some(1));
}

#[test]
fn a_profile_that_was_read_is_expanded() {
    let read = parse(
        "profiles:\n- schedulerName: spread\n- schedulerName: pack\n  plugins:\n    score:\n      \
         disabled: [{name: NodeResourcesBalancedAllocation}, {name: ImageLocality}]\n      \
         enabled: [{name: NodeResourcesFit, weight: 10}]\n",
    );
    let [spread, pack] = &*read.unwrap().expand(&InTree).unwrap() else { panic!("two profiles") };
    assert_eq!((&*spread.scheduler_name, &*pack.scheduler_name), ("spread", "pack"));
    assert_eq!(
        pack.at(Point::Score),
        [
            "NodeResourcesFit",
            "TaintToleration",
            "NodeAffinity",
            "VolumeBinding",
            "PodTopologySpread",
            "InterPodAffinity",
            "DynamicResources",
        ]
    );
    assert_eq!(pack.score_weight("NodeResourcesFit"), Some(10));
    assert_eq!(pack.score_weight("ImageLocality"), None);
    assert_eq!(spread.score_weight("ImageLocality"), Some(1));
    assert_eq!(pack.at(Point::Filter), spread.at(Point::Filter));
}
