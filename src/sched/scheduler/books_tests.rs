use super::*;
use crate::sched::ResourceId;
use crate::sched::testing::{node, pod};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn books() -> Books {
    let mut books =
        Books::new("default-scheduler".into(), Arc::new(Profile::default()), QueueOptions::default());
    books.node(node("n").cpu("4").make(), at(0));
    books
}

impl Books {
    fn used(&self) -> i64 {
        self.snapshot.requested(ResourceId::CPU, self.snapshot.find("n").unwrap())
    }

    fn popped(&mut self) -> Arc<PodInfo> {
        self.queue.pop(at(0)).unwrap().pod
    }
}

#[test]
fn an_assumed_pod_counts_once_and_is_confirmed() {
    let mut books = books();
    books.pod(pod("a").cpu("1").make(), at(0));
    let info = books.popped();
    books.assume(&info, "n");
    assert_eq!(books.used(), 1000);
    // An echo of the unbound pod brings it neither back into the queue nor off its node.
    books.pod(pod("a").cpu("1").make(), at(1));
    books.bound(&info, at(1));
    books.pod(pod("a").cpu("1").make(), at(2));
    assert_eq!((books.used(), books.queue.lengths()), (1000, [0, 0, 0]));
    books.pod(pod("a").cpu("1").on("n").make(), at(3));
    assert_eq!((books.used(), books.next_due()), (1000, None));
    books.gone(pod("a").cpu("1").on("n").make(), at(4));
    assert_eq!(books.used(), 0);
}

#[test]
fn a_pod_that_was_not_bound_is_forgotten_and_tried_again() {
    let mut books = books();
    books.pod(pod("a").cpu("1").make(), at(0));
    let info = books.popped();
    books.assume(&info, "n");
    assert!(books.forget(&info, at(0)));
    books.queue.retry(&info.key, at(0));
    assert_eq!((books.used(), books.queue.lengths()), (0, [0, 1, 0]));
    assert!(!books.forget(&info, at(0)));
}

#[test]
fn a_bound_pod_that_is_never_shown_is_forgotten() {
    let mut books = books();
    books.pod(pod("a").cpu("1").make(), at(0));
    let info = books.popped();
    books.assume(&info, "n");
    books.bound(&info, at(10));
    assert_eq!(books.next_due(), Some(at(910)));
    books.expire(at(909));
    assert_eq!(books.used(), 1000);
    books.expire(at(910));
    assert_eq!(books.used(), 0);
}

#[test]
fn a_pod_bound_by_somebody_else_leaves_the_queue_and_counts() {
    let mut books = books();
    books.pod(pod("a").cpu("1").make(), at(0));
    books.pod(pod("a").cpu("1").on("n").make(), at(0));
    assert_eq!((books.used(), books.queue.lengths()), (1000, [0, 0, 0]));
}

#[test]
fn only_pods_that_ask_for_this_scheduler_are_queued_and_all_count() {
    let mut books = books();
    books.pod(pod("a").set("schedulerName", "other".into()).make(), at(0));
    assert_eq!(books.queue.lengths(), [0, 0, 0]);
    books.pod(pod("a").cpu("2").set("schedulerName", "other".into()).on("n").make(), at(0));
    assert_eq!(books.used(), 2000);
}

#[test]
fn room_that_is_made_wakes_who_needs_it() {
    let mut books = books();
    books.pod(pod("a").cpu("3").on("n").make(), at(0));
    books.pod(pod("b").cpu("3").make(), at(0));
    let info = books.popped();
    books.reject(&info, BTreeSet::from(["NodeResourcesFit"]), at(0));
    books.pod(pod("c").cpu("1").on("n").make(), at(20));
    assert_eq!(books.queue.lengths(), [0, 0, 1]);
    books.gone(pod("a").cpu("3").on("n").make(), at(20));
    assert_eq!(books.queue.lengths(), [1, 0, 0]);
}
