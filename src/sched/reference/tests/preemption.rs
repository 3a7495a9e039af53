use serde_json::{Value, json};

use super::story::{Tree, node, object, pod, world};
use super::volumes::{claim, mounts};
use crate::sched::reference::{Judgement, Plugin, Preemption, Settings, World, judge, preempt};

fn has(name: &str, cpu: i64) -> Tree {
    node(name).gives(json!({"cpu": cpu}))
}

fn runs(name: &str, on: &str, priority: i32, cpu: i64) -> Tree {
    pod(name).on(on).priority(priority).asks(json!({"cpu": cpu}))
}

fn wants(priority: i32, cpu: i64) -> Tree {
    pod("p").priority(priority).asks(json!({"cpu": cpu}))
}

fn started(tree: Tree, minute: u8) -> Tree {
    tree.set("status.startTime", format!("2026-01-01T00:{minute:02}:00Z"))
}

/// `a: q r; b: s (1)! `: the candidates, their victims, how many of them are protected, and which are best.
fn found(world: &World, incoming: &Tree) -> String {
    match preempt(world, &Settings::default(), &incoming.make()) {
        Preemption::NotAsked => "not asked".into(),
        Preemption::Nobody { message } => message,
        Preemption::Victims { candidates, best } => {
            let shown = candidates.iter().map(|candidate| {
                let victims: Vec<_> = candidate.victims.iter().map(|key| key.name.as_str()).collect();
                let best = if best.contains(&candidate.node) { "!" } else { "" };
                let protected = match candidate.violations {
                    0 => String::new(),
                    count => format!(" ({count})"),
                };
                format!("{}: {}{protected}{best}", candidate.node, victims.join(" "))
            });
            shown.collect::<Vec<_>>().join("; ")
        }
    }
}

fn nobody(nodes: usize, why: &str) -> String {
    format!("preemption: 0/{nodes} nodes are available: {why}.")
}

#[test]
fn those_that_matter_less_make_room() {
    let of = |existing: &[Tree], incoming: Tree| {
        let mut world = world([has("a", 4), has("b", 4)], []);
        world.pods = existing.iter().map(Tree::make).collect();
        found(&world, &incoming)
    };
    let full = |name: &str, priority| runs(name, "a", priority, 4);
    for (existing, incoming, expected) in [
        (vec![full("q", 0)], wants(10, 4), "not asked".to_owned()),
        (vec![full("q", 0), runs("r", "b", 10, 4)], wants(10, 4), "a: q!".into()),
        (
            vec![full("q", 10), runs("r", "b", 20, 4)],
            wants(10, 4),
            nobody(2, "2 No preemption victims found for incoming pod"),
        ),
        (
            vec![full("q", 0), runs("r", "b", 0, 4)],
            wants(10, 5),
            nobody(2, "2 Preemption is not helpful for scheduling"),
        ),
        // Only those are evicted that must be, and those that matter least first.
        (
            vec![runs("q", "a", 1, 2), runs("r", "a", 2, 2), runs("s", "b", 10, 4)],
            wants(10, 2),
            "a: q!".into(),
        ),
        (
            vec![runs("q", "a", 2, 2), runs("r", "a", 1, 2), runs("s", "b", 10, 4)],
            wants(10, 2),
            "a: r!".into(),
        ),
        (
            vec![runs("q", "a", 2, 2), runs("r", "a", 1, 2), runs("s", "b", 10, 4)],
            wants(10, 4),
            "a: q r!".into(),
        ),
        // The large one is enough, and the small one can come back.
        (
            vec![runs("q", "a", 1, 3), runs("r", "a", 1, 1), runs("s", "b", 10, 4)],
            wants(10, 3),
            "a: q!".into(),
        ),
        // Evicting all that may be is not enough.
        (
            vec![runs("q", "a", 10, 2), runs("r", "a", 1, 2), runs("s", "b", 10, 4)],
            wants(10, 3),
            nobody(2, "1 Insufficient cpu, 1 No preemption victims found for incoming pod"),
        ),
        (
            vec![full("q", 0), full("r", 0).on("b")],
            wants(10, 4).set("spec.preemptionPolicy", "Never"),
            "preemption: not eligible due to preemptionPolicy=Never.".into(),
        ),
    ] {
        assert_eq!(of(&existing, incoming.clone()), expected, "{existing:?} {}", incoming.0);
    }
}

#[test]
fn the_best_node_loses_least() {
    let budget = |allowed: i32| {
        let spec = json!({"selector": {"matchLabels": {"app": "x"}}});
        let status = json!({"disruptionsAllowed": allowed, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        object("b", json!({"spec": spec, "status": status}))
    };
    let app = |tree: Tree| tree.label("app", "x");
    let of = |budgets: &[Tree], existing: &[Tree]| {
        let mut world = world([has("a", 4), has("b", 4)], []);
        world.pods = existing.iter().map(Tree::make).collect();
        world.pod_disruption_budgets = budgets.iter().map(Tree::make).collect();
        found(&world, &wants(100, 4))
    };
    for (budgets, existing, expected) in [
        // First those that may be disrupted,
        (vec![budget(0)], vec![app(runs("q", "a", 1, 4)), runs("r", "b", 9, 4)], "a: q (1); b: r!"),
        (vec![budget(1)], vec![app(runs("q", "a", 1, 4)), runs("r", "b", 9, 4)], "a: q!; b: r"),
        (
            vec![budget(1)],
            vec![app(runs("q", "a", 1, 2)), app(runs("r", "a", 1, 2)), runs("s", "b", 9, 4)],
            "a: r q (1); b: s!",
        ),
        // then the lowest of the highest priorities,
        (vec![], vec![runs("q", "a", 5, 4), runs("r", "b", 4, 4)], "a: q; b: r!"),
        // then the lowest sum of priorities, in which each pod counts at least as one,
        (
            vec![],
            vec![runs("q", "a", 5, 2), runs("r", "a", 4, 2), runs("s", "b", 5, 2), runs("t", "b", 3, 2)],
            "a: q r; b: s t!",
        ),
        (vec![], vec![runs("q", "a", -5, 2), runs("r", "a", -5, 2), runs("s", "b", -5, 4)], "a: q r; b: s!"),
        // and then where the most important started last.
        (vec![], vec![started(runs("q", "a", 1, 4), 1), started(runs("r", "b", 1, 4), 2)], "a: q; b: r!"),
        (vec![], vec![started(runs("q", "a", 1, 4), 1), runs("r", "b", 1, 4)], "a: q; b: r!"),
        (vec![], vec![runs("q", "a", 1, 4), runs("r", "b", 1, 4)], "a: q!; b: r!"),
    ] {
        assert_eq!(of(&budgets, &existing), expected, "{existing:?}");
    }
}

#[test]
fn those_that_are_protected_come_back_first() {
    let budget = object(
        "b",
        json!({
            "spec": {"selector": {"matchLabels": {"app": "x"}}},
            "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        }),
    );
    let mut world = world([has("a", 4)], [runs("q", "a", 1, 2).label("app", "x"), runs("r", "a", 9, 2)]);
    assert_eq!(found(&world, &wants(10, 2)), "a: q!");
    world.pod_disruption_budgets = vec![budget.make()];
    assert_eq!(found(&world, &wants(10, 2)), "a: r!");
    // One that the API server counts as disrupted already is not protected.
    let disrupted = budget.clone().set("status.disruptedPods", json!({"q": "2026-01-01T00:00:00Z"}));
    world.pod_disruption_budgets = vec![disrupted.make()];
    assert_eq!(found(&world, &wants(10, 2)), "a: q!");
    // An empty selector protects nobody.
    world.pod_disruption_budgets = vec![budget.set("spec.selector", json!({})).make()];
    assert_eq!(found(&world, &wants(10, 2)), "a: q!");
}

#[test]
fn of_equals_the_younger_goes() {
    let of = |first: u8, second: u8| {
        let world = world(
            [has("a", 4)],
            [started(runs("q", "a", 1, 2), first), started(runs("r", "a", 1, 2), second)],
        );
        found(&world, &wants(10, 2))
    };
    assert_eq!(of(1, 2), "a: r!");
    assert_eq!(of(2, 1), "a: q!");
}

#[test]
fn who_has_evicted_waits() {
    let evicted: Value =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]);
    let going = |tree: Tree| tree.deleting().set("status.conditions", evicted.clone());
    let kept = wants(10, 4).set("status.nominatedNodeName", "a");
    let waits = "preemption: not eligible due to a terminating pod on the nominated node.";
    let full = || runs("r", "b", 10, 4);
    assert_eq!(
        found(&world([has("a", 4), has("b", 4)], [going(runs("q", "a", 1, 4)), full()]), &kept),
        waits
    );
    // Who goes of himself is no reason to wait, nor one that matters as much.
    let leaving = runs("q", "a", 1, 4).deleting();
    assert_eq!(found(&world([has("a", 4), has("b", 4)], [leaving, full()]), &kept), "a: q!");
    let equal = going(runs("q", "a", 10, 4));
    assert_eq!(
        found(&world([has("a", 4), has("b", 4)], [equal, full()]), &kept),
        nobody(2, "2 No preemption victims found for incoming pod")
    );
    // Nor is there one where the node will not do whatever goes.
    let cordoned = has("a", 4).set("spec.unschedulable", true);
    let low = runs("s", "b", 1, 4);
    assert_eq!(found(&world([cordoned, has("b", 4)], [going(runs("q", "a", 1, 4)), low]), &kept), "b: s!");
}

#[test]
fn who_waits_for_a_node_is_not_robbed_of_it() {
    let waiting = pod("w").priority(10).asks(json!({"cpu": 4})).set("status.nominatedNodeName", "a");
    let full = runs("q", "a", 1, 4);
    let lower = wants(9, 4);
    let world = world([has("a", 4)], [full, waiting]);
    assert_eq!(found(&world, &lower), nobody(1, "1 Insufficient cpu"));
    assert_eq!(found(&world, &wants(11, 4)), "a: q!");
}

#[test]
fn evictions_help_against_other_things_than_crowds() {
    let port = json!({"containerPort": 80, "hostPort": 80});
    let ports = world([has("a", 4)], [pod("q").on("a").takes(port.clone()), pod("r").on("a")]);
    assert_eq!(found(&ports, &pod("p").priority(1).takes(port)), "a: q!");

    let zone = json!({"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"});
    let path = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let apart = pod("p").priority(1).set(path, json!([zone]));
    let labelled = |name: &str| has(name, 4).label("zone", name);
    let near = world(
        [labelled("a"), labelled("b")],
        [
            pod("q").on("a").label("app", "x"),
            pod("r").on("a"),
            pod("s").on("b").label("app", "x").priority(2),
        ],
    );
    assert_eq!(found(&near, &apart), "a: q!");

    let spread = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "x"}}});
    let even = pod("p").priority(1).label("app", "x").with("topologySpreadConstraints", spread);
    let crowd = world(
        [labelled("a"), has("b", 4).label("zone", "b").set("spec.unschedulable", true)],
        [pod("q").on("a").label("app", "x")],
    );
    assert_eq!(found(&crowd, &even), "a: q!");
}

#[test]
fn a_claim_that_one_pod_may_have_is_freed_by_its_eviction() {
    let mut world =
        world([has("a", 4), has("b", 4)], [mounts(pod("q").on("a"), &["once"]), pod("r").on("a")]);
    world.persistent_volume_claims.push(claim("once", json!({"accessModes": ["ReadWriteOncePod"]})).make());
    let mut settings = Settings::default();
    settings.plugins.retain(|(plugin, _)| !matches!(plugin, Plugin::VolumeBinding | Plugin::VolumeZone));
    let incoming = mounts(pod("p").priority(1), &["once"]).make();
    let Preemption::Victims { candidates, .. } = preempt(&world, &settings, &incoming) else { panic!() };
    // The claim is in use wherever the pod would go, and only on one node is somebody who could free it.
    let shown: Vec<_> = candidates
        .iter()
        .map(|one| (one.node.as_str(), one.victims[0].name.as_str(), one.victims.len()))
        .collect();
    assert_eq!(shown, [("a", "q", 1)]);
}

#[test]
fn the_condition_says_what_preemption_says() {
    let condition =
        |world: &World, incoming: &Tree| match judge(world, &Settings::default(), &incoming.make()) {
            Judgement::Unschedulable { condition, .. } => condition,
            judgement => panic!("{judgement:?}"),
        };
    let full = world([has("a", 4), has("b", 2)], [runs("q", "a", 10, 4)]);
    assert_eq!(
        condition(&full, &wants(10, 3)),
        "0/2 nodes are available: 2 Insufficient cpu. no new claims to \
        deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 \
        Preemption is not helpful for scheduling."
    );
    // Where evictions help there is no more to say.
    assert_eq!(condition(&full, &wants(11, 3)), "0/2 nodes are available: 2 Insufficient cpu.");
    let never = wants(11, 3).set("spec.preemptionPolicy", "Never");
    assert_eq!(
        condition(&full, &never),
        "0/2 nodes are available: 2 Insufficient cpu. no new claims to \
        deallocate, preemption: not eligible due to preemptionPolicy=Never."
    );
}
