use std::collections::BTreeSet;

use super::*;
use crate::sched::snapshot::ResourceNames;
use crate::sched::testing::{PodStory, node, pod};

fn queue() -> Queue {
    Queue::new(Arc::new(Profile::default()))
}

fn info(story: PodStory) -> Arc<PodInfo> {
    Arc::new(PodInfo::read(story.make(), &mut ResourceNames::default()))
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn pop(queue: &mut Queue, now: f64) -> Option<String> {
    queue.pop(at(now)).map(|queued| queued.pod.key.name.clone())
}

const FIT: &str = "NodeResourcesFit";

#[test]
fn who_matters_most_goes_first_then_who_came_first() {
    let mut queue = queue();
    for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)] {
        queue.add(info(pod(name).priority(priority)), &Snapshot::new(), at(0.0));
    }
    queue.remove(&key("c"));
    let order: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 0.0)).collect();
    assert_eq!(order, ["b", "d", "a", "e"]);
}

/// Whether the pod is popped only when its back-off is over: what comes early keeps others company.
fn patient() -> Queue {
    let options = QueueOptions { pop_from_backoff: false, ..QueueOptions::default() };
    Queue::with(Arc::new(Profile::default()), options)
}

fn reject(queue: &mut Queue, name: &str, plugin: &'static str, now: f64) {
    queue.reject(&key(name), BTreeSet::from([plugin]), &Snapshot::new(), at(now));
}

fn happened(queue: &mut Queue, event: Happening, now: f64) {
    queue.happened(event, &Snapshot::new(), at(now));
}

fn room() -> Happening {
    Happening::node_added(node("n").cpu("64").make())
}

#[test]
fn a_rejected_pod_waits_for_what_could_help_and_for_its_back_off() {
    let mut queue = patient();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    assert_eq!(pop(&mut queue, 0.0).as_deref(), Some("a"));
    reject(&mut queue, "a", FIT, 0.0);
    let untainted = Happening::node_updated(node("n").taint("t", "NoSchedule").make(), node("n").make());
    happened(&mut queue, untainted, 0.1);
    assert_eq!(queue.lengths(), [0, 0, 1]);
    happened(&mut queue, Happening::pod_removed(info(pod("b"))), 0.2);
    assert_eq!(queue.lengths(), [0, 1, 0]);
    assert_eq!(queue.next_due(), Some(at(1.0)));
    assert_eq!(pop(&mut queue, 0.9), None);
    assert_eq!(pop(&mut queue, 1.0).as_deref(), Some("a"));
    // Its second attempt: what helps after the back-off helps at once.
    reject(&mut queue, "a", FIT, 1.0);
    happened(&mut queue, room(), 3.5);
    assert_eq!(pop(&mut queue, 3.5).as_deref(), Some("a"));
}

#[test]
fn a_pod_that_backs_off_has_its_turn_when_no_other_is_active() {
    let mut queue = queue();
    for name in ["a", "b"] {
        queue.add(info(pod(name)), &Snapshot::new(), at(0.0));
    }
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    happened(&mut queue, room(), 0.1);
    assert_eq!(queue.lengths(), [1, 1, 0]);
    assert_eq!(pop(&mut queue, 0.2).as_deref(), Some("b"));
    assert_eq!(pop(&mut queue, 0.2).as_deref(), Some("a"));
}

#[test]
fn those_whose_back_off_ends_in_the_same_second_sort_as_active_ones_do_and_come_back_together() {
    let mut queue = queue();
    for (name, priority) in [("a", 0), ("b", 7), ("c", 3)] {
        queue.add(info(pod(name).priority(priority)), &Snapshot::new(), at(0.0));
    }
    while pop(&mut queue, 0.0).is_some() {}
    for (name, now) in [("a", 0.1), ("c", 0.5), ("b", 0.9)] {
        reject(&mut queue, name, FIT, now);
    }
    happened(&mut queue, room(), 0.95);
    queue.add(info(pod("busy").priority(9)), &Snapshot::new(), at(1.0));
    assert_eq!(pop(&mut queue, 1.99).as_deref(), Some("busy"));
    assert_eq!(queue.lengths(), [0, 3, 0]);
    queue.add(info(pod("more")), &Snapshot::new(), at(2.0));
    let order: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 2.0)).collect();
    assert_eq!(order, ["b", "c", "a", "more"]);
}

#[test]
fn a_pod_that_meets_errors_backs_off_by_how_many_it_met_in_a_row_and_to_the_end() {
    let mut queue = patient();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    happened(&mut queue, room(), 10.0);
    pop(&mut queue, 10.0);
    queue.retry(&key("a"), at(10.0));
    assert_eq!(queue.next_due(), Some(at(11.0)));
    pop(&mut queue, 11.0);
    queue.retry(&key("a"), at(11.0));
    assert_eq!(queue.next_due(), Some(at(13.0)));
    pop(&mut queue, 13.0);
    // The second time that it is rejected, whatever errors there were between.
    reject(&mut queue, "a", FIT, 13.0);
    happened(&mut queue, room(), 13.0);
    assert_eq!(queue.next_due(), Some(at(15.0)));
    // Errors have nothing to do with where it fits: another try at once would meet them, too.
    let mut queue = self::queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.retry(&key("a"), at(0.5));
    assert_eq!(queue.next_due(), Some(at(2.0)));
    assert_eq!(pop(&mut queue, 1.9), None);
    assert_eq!(pop(&mut queue, 2.0).as_deref(), Some("a"));
}

#[test]
fn a_pod_that_no_plugin_rejected_is_tried_again_without_an_event() {
    let mut queue = patient();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.reject(&key("a"), Rejection::default(), &Snapshot::new(), at(0.0));
    assert_eq!(pop(&mut queue, 1.0).as_deref(), Some("a"));
}

#[test]
fn a_pod_is_woken_by_anything_when_nobody_knows_who_rejected_it() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", "Stranger", 0.0);
    happened(&mut queue, Happening::node_removed(node("n").make()), 5.0);
    assert_eq!(queue.lengths(), [1, 0, 0]);
}

#[test]
fn what_a_pending_plugin_waits_for_brings_the_pod_back_at_once() {
    let mut queue = patient();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    let pending = Rejection { plugins: BTreeSet::from(["NodeName"]), pending: BTreeSet::from([FIT]) };
    queue.reject(&key("a"), pending, &Snapshot::new(), at(0.0));
    happened(&mut queue, room(), 0.1);
    assert_eq!(pop(&mut queue, 0.1).as_deref(), Some("a"));
}

#[test]
fn what_happens_while_a_pod_is_under_way_is_not_lost() {
    let mut queue = queue();
    for name in ["a", "b"] {
        queue.add(info(pod(name)), &Snapshot::new(), at(0.0));
    }
    happened(&mut queue, room(), 0.0);
    assert_eq!(queue.kept_events(), 0);
    pop(&mut queue, 0.0);
    happened(&mut queue, room(), 0.0);
    pop(&mut queue, 0.0);
    // Nobody cares for this.
    happened(&mut queue, Happening::node_updated(node("n").make(), node("n").make()), 0.0);
    assert_eq!(queue.kept_events(), 1);
    // The room came after a had its turn and before b had.
    reject(&mut queue, "b", FIT, 0.1);
    assert_eq!(queue.lengths(), [0, 0, 1]);
    reject(&mut queue, "a", FIT, 0.1);
    assert_eq!((queue.lengths(), queue.kept_events()), ([0, 1, 1], 0));
}

#[test]
fn the_room_that_a_pod_gives_back_does_not_wake_itself() {
    let mut queue = queue();
    let a = info(pod("a"));
    queue.add(a.clone(), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    happened(&mut queue, Happening::pod_removed(a), 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    assert_eq!(queue.lengths(), [0, 0, 1]);
}

#[test]
fn a_change_of_a_pod_under_way_counts_for_it_alone() {
    let mut queue = queue();
    for name in ["a", "b"] {
        queue.add(info(pod(name).cpu("8")), &Snapshot::new(), at(0.0));
        pop(&mut queue, 0.0);
    }
    queue.add(info(pod("a").cpu("4")), &Snapshot::new(), at(0.0));
    for name in ["a", "b"] {
        reject(&mut queue, name, FIT, 0.0);
    }
    assert_eq!(queue.lengths(), [0, 1, 1]);
    assert_eq!(queue.get(&key("a")).unwrap().pod.requests[0].1, 4000);
}

#[test]
fn what_is_to_be_active_is_unless_a_gate_holds_it() {
    let mut queue = queue();
    let gates = serde_json::json!([{"name": "g"}]);
    for story in [pod("a"), pod("b"), pod("c"), pod("d").set("schedulingGates", gates)] {
        queue.add(info(story), &Snapshot::new(), at(0.0));
    }
    for _ in 0..3 {
        pop(&mut queue, 0.0);
    }
    reject(&mut queue, "a", FIT, 0.0);
    queue.retry(&key("b"), at(0.0));
    for name in ["a", "b", "c", "d"] {
        queue.activate(&key(name), at(0.0));
    }
    assert_eq!(queue.lengths(), [2, 0, 0]);
    reject(&mut queue, "c", FIT, 0.0);
    assert_eq!(queue.lengths(), [2, 1, 0]);
}

#[test]
fn back_off_is_as_configured_and_can_be_none() {
    let options = QueueOptions { max_backoff: at(10.0), ..QueueOptions::default() };
    let seconds: Vec<_> = (1..8).map(|failures| options.backoff(failures).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 10, 10, 10]);
    assert_eq!(options.backoff(u32::MAX).as_secs(), 10);
    let options = QueueOptions { initial_backoff: at(3.0), max_backoff: at(20.0), ..options };
    assert_eq!(
        (1..5).map(|failures| options.backoff(failures).as_secs()).collect::<Vec<_>>(),
        [3, 6, 12, 20]
    );
    let options = QueueOptions { max_backoff: Duration::ZERO, pop_from_backoff: false, ..options };
    let mut queue = Queue::with(Arc::new(Profile::default()), options);
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.retry(&key("a"), at(0.0));
    assert_eq!(pop(&mut queue, 0.0).as_deref(), Some("a"));
}

#[test]
fn a_pod_that_nothing_helps_is_tried_after_five_minutes() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    assert_eq!(queue.next_due(), Some(at(300.0)));
    assert_eq!(pop(&mut queue, 299.9), None);
    assert_eq!(pop(&mut queue, 300.0).as_deref(), Some("a"));
}

#[test]
fn a_gated_pod_waits_for_its_gates() {
    let mut queue = queue();
    let gated = pod("a").set("schedulingGates", serde_json::json!([{"name": "g"}]));
    queue.add(info(gated), &Snapshot::new(), at(0.0));
    assert_eq!(pop(&mut queue, 0.0), None);
    // It is not even tried after five minutes.
    assert_eq!((pop(&mut queue, 301.0), queue.next_due()), (None, None));
    queue.add(info(pod("a")), &Snapshot::new(), at(302.0));
    assert_eq!(pop(&mut queue, 302.0).as_deref(), Some("a"));
}

#[test]
fn only_a_change_that_could_matter_brings_a_pod_back() {
    let mut queue = queue();
    queue.add(info(pod("a").cpu("8")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    queue.add(info(pod("a").cpu("8")), &Snapshot::new(), at(5.0));
    assert_eq!(queue.lengths(), [0, 0, 1]);
    queue.add(info(pod("a").cpu("4")), &Snapshot::new(), at(5.0));
    assert_eq!(queue.lengths(), [1, 0, 0]);
}

#[test]
fn a_pod_that_the_scheduler_has_is_not_given_twice() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.add(info(pod("a").priority(1)), &Snapshot::new(), at(0.0));
    happened(&mut queue, room(), 0.0);
    assert_eq!(pop(&mut queue, 1000.0), None);
    queue.retry(&key("a"), at(1000.0));
    assert_eq!(pop(&mut queue, 1002.0).as_deref(), Some("a"));
    queue.remove(&key("a"));
    queue.reject(&key("a"), Rejection::default(), &Snapshot::new(), at(1002.0));
    assert_eq!(queue.lengths(), [0, 0, 0]);
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    reject(&mut queue, "a", FIT, 0.0);
    queue.add(info(pod("a").uid("other")), &Snapshot::new(), at(0.0));
    let popped = queue.pop(at(0.0)).unwrap();
    assert_eq!((popped.pod.uid.as_str(), popped.attempts), ("other", 1));
}
