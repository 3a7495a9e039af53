//! Objects that go by themselves.
//!
//! Source: `RunTestCreateWithTTL` and `RunTestGuaranteedUpdateWithTTL` of
//! `k8s.io/apiserver/pkg/storage/testing` (1.36), and what `etcd3/lease_manager.go` there promises.

use std::collections::BTreeSet;

use super::failing::shaky_world;
use super::tests::{Pod, World, next, pod, world};
use super::*;
use crate::store::Leases;

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Writes a pod, whatever was there, that is to go after `ttl`.
    async fn write_expiring(&self, pod: Pod, ttl: Duration) -> Revision {
        let object = pod.object(&self.row);
        let change = match self.cached.get(&self.row, object.key()).await.unwrap() {
            Some(found) => Change::Update { object, from: found.revision() },
            None => Change::Create(object),
        };
        match self.cached.commit_expiring(vec![change], ttl).await.unwrap() {
            Outcome::Committed(revision) => revision,
            conflict => panic!("{conflict:?}"),
        }
    }

    /// The lease of a pod; 0 for none.
    async fn lease(&self, name: &str) -> i64 {
        let key = format!("/registry/pods/a/{name}");
        self.store.get(key.as_bytes()).await.unwrap().unwrap().lease
    }

    async fn leases(&self) -> usize {
        Leases::leases(&self.store).await.unwrap().len()
    }
}

async fn sleep(duration: Duration) {
    Env::simulated(1).clock.sleep(duration).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_with_a_time_to_live_is_deleted_when_it_is_over() {
    let world = world();
    world.names(ListQuery::default()).await;
    let (second, moment) = (Duration::from_secs(1), Duration::from_millis(10));
    let created = world.write_expiring(pod("a", "created"), second).await;
    let updated = world.create(pod("a", "updated")).await;
    let stays = world.create(pod("a", "stays")).await;
    let again = world.write_expiring(pod("a", "updated").on("n1"), second).await;
    let query = WatchQuery { from: Some(created), ..WatchQuery::default() };
    let mut watch = world.watch(query).await;
    for expected in [format!("A a/updated@{updated}"), format!("A a/stays@{stays}")] {
        assert_eq!(next(&mut watch).await, expected);
    }
    assert_eq!(next(&mut watch).await, format!("M a/updated@{again}"));
    sleep(second - moment).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/created", "a/stays", "a/updated"]);
    // Both at once: they share a lease.
    let gone = again.next();
    let mut told = [next(&mut watch).await, next(&mut watch).await];
    told.sort();
    assert_eq!(told, [format!("D a/created@{gone}"), format!("D a/updated@{gone}")]);
    assert_eq!(world.names(ListQuery::default()).await, ["a/stays"]);
    assert_eq!(world.leases().await, 0);
    sleep(2 * HOUR).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/stays"]);
}

#[tokio::test(start_paused = true)]
async fn each_write_decides_anew_how_long_an_object_stays() {
    let world = world();
    let ten = Duration::from_secs(10);
    for name in ["kept", "renewed", "left"] {
        world.write_expiring(pod("a", name), ten).await;
    }
    sleep(ten * 6 / 10).await;
    world.write_expiring(pod("a", "renewed"), ten).await;
    world.update(pod("a", "kept").on("n1")).await;
    assert_eq!(world.lease("kept").await, 0);
    sleep(ten * 5 / 10).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/kept", "a/renewed"]);
    sleep(ten * 6 / 10).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/kept"]);
    sleep(HOUR).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/kept"]);
    assert_eq!(world.leases().await, 0);
}

#[tokio::test(start_paused = true)]
async fn objects_share_a_lease_for_a_minute_and_none_goes_before_its_time() {
    let world = world();
    let start = world.cached.env.clock.instant();
    let mut written = Vec::new();
    let mut leases = BTreeSet::new();
    for number in 0..30 {
        let name = format!("{number:02}");
        world.write_expiring(pod("a", &name), HOUR).await;
        leases.insert(world.lease(&name).await);
        written.push((name, world.cached.env.clock.instant() - start));
        sleep(Duration::from_secs(10)).await;
    }
    // A lease serves from its grant to a minute later, both included: seven in steps of ten seconds.
    assert_eq!(leases.len(), 30_usize.div_ceil(7));
    assert!(!leases.contains(&0));
    for (name, at) in written {
        let left = (at + HOUR).saturating_sub(world.cached.env.clock.instant() - start);
        sleep(left.saturating_sub(Duration::from_millis(1))).await;
        let key = ObjectKey::new("a", &name);
        assert!(world.cached.get(&world.row, &key).await.unwrap().is_some(), "{name} went early");
    }
    sleep(Duration::from_secs(61)).await;
    assert!(world.names(ListQuery::default()).await.is_empty());
    assert_eq!(world.leases().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_serves_a_thousand_objects() {
    let world = world();
    for number in 0..2_001 {
        world.write_expiring(pod("a", &number.to_string()), HOUR).await;
    }
    let mut leases = BTreeSet::new();
    for (number, fresh) in [(0, true), (999, false), (1000, true), (1999, false), (2000, true)] {
        assert_eq!(leases.insert(world.lease(&number.to_string()).await), fresh, "{number}");
    }
    assert_eq!(world.leases().await, 3);
}

#[tokio::test(start_paused = true)]
async fn five_hundredths_are_added_and_at_most_a_minute() {
    let world = world();
    // What is asked for, and what is granted.
    for (asked, granted) in [(3600, 3660), (1000, 1050), (20, 21), (19, 19), (1, 1)] {
        let name = asked.to_string();
        world.write_expiring(pod("a", &name), Duration::from_secs(asked)).await;
        let status = world.store.time_to_live(world.lease(&name).await, false).await.unwrap();
        assert_eq!(status.granted, Duration::from_secs(granted), "{asked}");
    }
    let change = Change::Create(pod("a", "x").object(&world.row));
    let refused = world.cached.commit_expiring(vec![change], Duration::MAX).await;
    assert!(matches!(refused, Err(Error::LeaseTtlTooLarge)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_revoked_is_replaced() {
    let world = world();
    world.write_expiring(pod("a", "x"), HOUR).await;
    let revoked = world.lease("x").await;
    world.store.revoke(revoked).await.unwrap();
    world.write_expiring(pod("a", "y"), HOUR).await;
    assert_ne!(world.lease("y").await, revoked);
    assert_eq!((world.leases().await, world.names(ListQuery::default()).await), (1, vec!["a/y".into()]));
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_leases_follow_from_the_seed() {
    let mut numbers = Vec::new();
    for _ in 0..2 {
        // The store draws its own from the machine.
        let world = world();
        world.write_expiring(pod("a", "x"), HOUR).await;
        numbers.push(world.lease("x").await);
    }
    assert_eq!(numbers[0], numbers[1]);
    // Of two servers with one seed, each finds its own.
    let one = world();
    let two = Cached::new(one.cached.store().clone(), &Env::simulated(1));
    one.write_expiring(pod("a", "x"), HOUR).await;
    two.commit_expiring(vec![Change::Create(pod("a", "y").object(&one.row))], HOUR).await.unwrap();
    assert_ne!(one.lease("x").await, one.lease("y").await);
}

#[tokio::test(start_paused = true)]
async fn in_a_store_without_leases_objects_stay() {
    let (_, world) = shaky_world();
    assert!(world.cached.store().leases().is_none());
    world.write_expiring(pod("a", "x"), Duration::from_secs(1)).await;
    sleep(HOUR).await;
    assert_eq!((world.lease("x").await, world.names(ListQuery::default()).await), (0, vec!["a/x".into()]));
}
