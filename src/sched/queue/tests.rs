use super::*;
use crate::sched::NodeChange;
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

#[test]
fn a_rejected_pod_waits_for_what_could_help_and_for_its_back_off() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    assert_eq!(pop(&mut queue, 0.0).as_deref(), Some("a"));
    queue.reject(&key("a"), BTreeSet::from([FIT]), at(0.0));
    let n = node("n").make();
    let what = NodeChange { taints: true, ..NodeChange::default() };
    let event = ClusterEvent::NodeUpdated { old: &n, new: &n, what };
    queue.happened(&event, &Snapshot::new(), at(0.1));
    assert_eq!(queue.lengths(), [0, 0, 1]);
    queue.happened(&ClusterEvent::PodRemoved(&info(pod("b"))), &Snapshot::new(), at(0.2));
    assert_eq!(queue.lengths(), [0, 1, 0]);
    assert_eq!(queue.next_due(), Some(at(1.0)));
    assert_eq!(pop(&mut queue, 0.9), None);
    assert_eq!(pop(&mut queue, 1.0).as_deref(), Some("a"));
    // Its second attempt: what helps after the back-off helps at once.
    queue.reject(&key("a"), BTreeSet::from([FIT]), at(1.0));
    queue.happened(&ClusterEvent::NodeAdded(&n), &Snapshot::new(), at(3.5));
    assert_eq!(pop(&mut queue, 3.5).as_deref(), Some("a"));
}

#[test]
fn back_off_doubles_to_ten_seconds() {
    let seconds: Vec<_> = (1..8).map(|attempts| backoff(attempts).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 10, 10, 10]);
    assert_eq!(backoff(u32::MAX).as_secs(), 10);
}

#[test]
fn a_pod_that_nothing_helps_is_tried_after_five_minutes() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.reject(&key("a"), BTreeSet::from([FIT]), at(0.0));
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
    queue.add(info(pod("a")), &Snapshot::new(), at(1.0));
    assert_eq!(pop(&mut queue, 1.0).as_deref(), Some("a"));
}

#[test]
fn only_a_change_that_could_matter_brings_a_pod_back() {
    let mut queue = queue();
    queue.add(info(pod("a").cpu("8")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.reject(&key("a"), BTreeSet::from([FIT]), at(0.0));
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
    queue.happened(&ClusterEvent::NodeAdded(&node("n").make()), &Snapshot::new(), at(0.0));
    assert_eq!(pop(&mut queue, 1000.0), None);
    queue.retry(&key("a"), at(1000.0));
    assert_eq!(pop(&mut queue, 1001.0).as_deref(), Some("a"));
    queue.remove(&key("a"));
    queue.reject(&key("a"), BTreeSet::new(), at(1001.0));
    assert_eq!(queue.lengths(), [0, 0, 0]);
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut queue = queue();
    queue.add(info(pod("a")), &Snapshot::new(), at(0.0));
    pop(&mut queue, 0.0);
    queue.reject(&key("a"), BTreeSet::from([FIT]), at(0.0));
    queue.add(info(pod("a").uid("other")), &Snapshot::new(), at(0.0));
    let popped = queue.pop(at(0.0)).unwrap();
    assert_eq!((popped.pod.uid.as_str(), popped.attempts), ("other", 1));
}
