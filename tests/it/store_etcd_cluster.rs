//! A cluster of three as the store: what happens when members come and go, and who leads.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use etcd_client::Client;
use futures_util::future::{join, join_all};
use windlass::env::{Env, Random};
use windlass::store::{
    Error, EtcdOptions, EtcdStore, KeyRange, ListOptions, ObjectStore, ObjectStoreExt, Revision, WatchBatch,
    WatchOptions, WatchStream,
};

use crate::store_etcd::{connect, next};
use crate::support::etcd::{Config, Etcd, wait};

/// Writes that are acknowledged between two blows.
const BETWEEN: usize = 40;

/// What happens to a range, up to a revision.
async fn told(watch: &mut WatchStream, until: Revision) -> Vec<WatchBatch> {
    let mut batches = Vec::new();
    loop {
        let batch = next(watch).await;
        let last = batch.revision >= until;
        batches.push(batch);
        if last {
            return batches;
        }
    }
}

/// Stores that begin with different members.
async fn everywhere(endpoints: &[String], options: EtcdOptions) -> Vec<EtcdStore> {
    let mut stores = Vec::new();
    for seed in 0..6 {
        let env = Env { random: Random::seeded(seed), ..Env::system() };
        let options = options.clone().env(env);
        stores.push(EtcdStore::connect(endpoints.to_vec(), options).await.expect("etcd answers"));
    }
    stores
}

/// Puts until it is acknowledged.
async fn surely(store: &EtcdStore, key: &str) -> Revision {
    wait("a write", async || store.put(key.to_owned(), "sure").await.ok()).await
}

/// Hands the lead to another member.
async fn move_leader(etcd: &Etcd) {
    let leader = etcd.leader().await;
    let mut client = Client::connect([etcd.endpoint(leader)], None).await.expect("the leader answers");
    let members = client.member_list().await.expect("the leader answers");
    let other = members.members().iter().find(|member| member.name() != format!("m{leader}"));
    client.move_leader(other.expect("another member").id()).await.expect("the other can lead");
}

#[tokio::test]
async fn a_change_of_leader_loses_and_doubles_nothing() {
    let test = "a_change_of_leader_loses_and_doubles_nothing";
    let Some(etcd) = Etcd::start_with(test, Config::default().members(3)).await else { return };
    // Whoever dies, some of these are with it.
    let stores = everywhere(&etcd.endpoints(), EtcdOptions::default()).await;
    let store = &stores[0];
    let etcd = RefCell::new(etcd);
    let start = store.revision().await.unwrap().next();
    let from_start = || WatchOptions::from(start);
    let mut watches = Vec::new();
    for store in &stores {
        for (range, options) in [
            (KeyRange::prefix("/w/"), WatchOptions::default()),
            (KeyRange::prefix("/w/"), from_start().with_previous()),
            (KeyRange::single("/w/2"), from_start()),
            (KeyRange::all(), from_start()),
            (KeyRange::prefix("/quiet/"), WatchOptions::default()),
        ] {
            let watch = store.watch(range.clone(), options).await.unwrap();
            watches.push((range, options, watch));
        }
    }

    // Four writers, each of values that nobody else writes; what became of some is not known.
    let (acknowledged, stop) = (RefCell::new(Vec::new()), Cell::new(false));
    let writer = async |writer: usize| {
        for number in 0.. {
            if stop.get() {
                return number;
            }
            let (key, value) = (format!("/w/{writer}"), format!("{writer}:{number}"));
            match stores[writer].put(key, value.clone()).await {
                Ok(revision) => acknowledged.borrow_mut().push((revision, value)),
                Err(Error::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        unreachable!("writers stop when told");
    };
    let writes = async || {
        let enough = acknowledged.borrow().len() + BETWEEN;
        wait("writes", async || (acknowledged.borrow().len() >= enough).then_some(())).await;
    };
    #[allow(clippy::await_holding_refcell_ref, reason = "nobody else borrows the cluster")]
    let fate = async {
        for _ in 0..3 {
            writes().await;
            move_leader(&etcd.borrow()).await;
            writes().await;
            let leader = etcd.borrow().leader().await;
            etcd.borrow_mut().kill(leader);
            writes().await;
            etcd.borrow_mut().restart(leader).await;
        }
        writes().await;
        stop.set(true);
    };
    let (attempts, ()) = join(join_all((0..4).map(writer)), fate).await;
    let ends = [surely(store, "/w/2").await, surely(store, "/quiet/x").await];

    // The truth is what etcd tells somebody who comes late, and stays with one member.
    let etcd = etcd.into_inner();
    let calm = EtcdStore::connect([etcd.endpoint(0)], EtcdOptions::default()).await.unwrap();
    for (range, options, watch) in &mut watches {
        let until = *ends.iter().rev().find(|_| range.contains(b"/quiet/x")).unwrap_or(&ends[0]);
        options.from = Some(start);
        let mut truth = calm.watch(range.clone(), *options).await.unwrap();
        assert_eq!(told(watch, until).await, told(&mut truth, until).await, "{range:?}");
    }
    // Every acknowledged write is there once, at its revision; nothing was written twice.
    let mut everything = calm.watch(KeyRange::prefix("/w/"), WatchOptions::from(start)).await.unwrap();
    let mut written: Vec<_> = told(&mut everything, ends[0])
        .await
        .iter()
        .map(|batch| (batch.revision, String::from_utf8_lossy(&batch.events[0].kv.value).into_owned()))
        .filter(|(_, value)| value != "sure")
        .collect();
    let acknowledged = acknowledged.into_inner();
    assert!(acknowledged.iter().all(|write| written.contains(write)), "an acknowledged write is lost");
    let count = written.len();
    written.sort_by(|a, b| a.1.cmp(&b.1));
    written.dedup_by(|a, b| a.1 == b.1);
    assert_eq!(written.len(), count, "a write happened twice");
    eprintln!(
        "{} attempts, {} acknowledged, {count} happened",
        attempts.iter().sum::<i32>(),
        acknowledged.len()
    );
}

#[tokio::test]
async fn whichever_member_dies_others_serve() {
    let test = "whichever_member_dies_others_serve";
    let Some(mut etcd) = Etcd::start_with(test, Config::default().members(3)).await else { return };
    let store = connect(&etcd).await;
    let mut seen = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    for index in 0..3 {
        let before = store.put("/a", "before").await.unwrap();
        etcd.kill(index);
        // A read is asked again until somebody answers it: nobody notices.
        let held = store.get(b"/a").await.unwrap().expect("it is there");
        assert_eq!(held.mod_revision, before);
        let written = surely(&store, "/a").await;
        while next(&mut seen).await.revision < written {}
        etcd.restart(index).await;
    }
}

#[tokio::test]
async fn a_member_that_hangs_is_left() {
    let test = "a_member_that_hangs_is_left";
    let config = Config::default().members(3).arguments(&["--grpc-keepalive-min-time", "100ms"]);
    let Some(etcd) = Etcd::start_with(test, config).await else { return };
    let leader = etcd.leader().await;
    let (hangs, serves) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut options = EtcdOptions::default().request_timeout(Duration::from_secs(30));
    options.keep_alive_interval = Duration::from_millis(500);
    options.keep_alive_timeout = Duration::from_millis(500);
    let mut stores = Vec::new();
    for store in everywhere(&[etcd.endpoint(hangs), etcd.endpoint(serves)], options).await {
        let watch = store.watch(KeyRange::prefix("/a"), WatchOptions::default()).await.unwrap();
        stores.push((store, watch));
    }
    let other = EtcdStore::connect([etcd.endpoint(serves)], EtcdOptions::default()).await.unwrap();
    etcd.pause(hangs);
    let written = other.put("/a", "1").await.unwrap();
    for (store, watch) in &mut stores {
        assert_eq!(next(watch).await.revision, written);
        assert_eq!(store.get(b"/a").await.unwrap().expect("it is there").mod_revision, written);
    }
    etcd.resume(hangs);
}

#[tokio::test]
async fn a_member_without_leader_is_left_until_there_is_one() {
    let test = "a_member_without_leader_is_left_until_there_is_one";
    let Some(mut etcd) = Etcd::start_with(test, Config::default().members(3)).await else { return };
    let options = EtcdOptions::default().request_timeout(Duration::from_secs(2));
    let store = EtcdStore::connect(etcd.endpoints(), options).await.unwrap();
    let start = store.put("/a", "0").await.unwrap();
    let mut seen = store.watch(KeyRange::prefix("/a"), WatchOptions::from(start)).await.unwrap();
    assert_eq!(next(&mut seen).await.revision, start);
    let leader = etcd.leader().await;
    let (first, second) = (leader, (leader + 1) % 3);
    etcd.kill(first);
    etcd.kill(second);
    // What is left may not even read for us: somebody else could have gone on writing.
    for answer in [store.put("/a", "1").await.map(drop), store.get(b"/a").await.map(drop)] {
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    }
    // Together, for one alone does not serve either.
    etcd.respawn(&[first, second]).await;
    let written = surely(&store, "/a").await;
    while next(&mut seen).await.revision < written {}
    let page = store.list(KeyRange::prefix("/a"), ListOptions::default()).await.unwrap();
    assert_eq!(page.items[0].mod_revision, written);
}
