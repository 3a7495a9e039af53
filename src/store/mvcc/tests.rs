//! What the stores above rely on; that a store answers as it should is tested there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::*;
use crate::store::{
    Compare, Condition, Error, Event, KeyRange, ListOptions, Op, Relation, Txn, WatchBatch, WatchOptions,
    WatchStream,
};

fn options() -> MvccOptions {
    MvccOptions::new(Env::system())
}

fn put(key: &str, value: &str) -> Txn {
    Txn::new().then(Op::put(key.to_owned(), value.to_owned()))
}

fn value(mvcc: &Mvcc, key: &str) -> Option<String> {
    let held = mvcc.get(key.as_bytes()).unwrap();
    held.map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

fn all(mvcc: &Mvcc, at: u64) -> Result<Vec<String>> {
    let page = mvcc.list(&KeyRange::all(), ListOptions::default().at(Revision(at)))?;
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(page.items.iter().map(|kv| format!("{}={}", text(&kv.key), text(&kv.value))).collect())
}

fn ready(watch: &mut WatchStream) -> Option<Result<WatchBatch>> {
    watch.next().now_or_never().map(|item| item.expect("a watch does not just end"))
}

/// What a store on disk would do: it keeps every record, and answers for the past from them.
#[derive(Debug, Default)]
struct Records(Mutex<Vec<Record>>);

impl Records {
    fn events(&self, revision: Revision) -> Arc<[Event]> {
        let records = self.0.lock().unwrap();
        let found = records.iter().find(|record| record.revision == revision && !record.events.is_empty());
        found.map(|record| record.events.clone()).unwrap_or_default()
    }
}

impl Past for Records {
    fn value(&self, revision: Revision, index: usize) -> Result<Bytes> {
        Ok(self.events(revision)[index].kv.value.clone())
    }

    fn events(&self, revision: Revision) -> Result<Vec<Event>> {
        Ok(Records::events(self, revision)
            .iter()
            .map(|event| Event { previous: None, ..event.clone() })
            .collect())
    }
}

#[test]
fn what_is_staged_is_seen_by_transactions_alone() {
    let mvcc = Arc::new(Mvcc::new(options()));
    let mut watch = mvcc.watch(KeyRange::all(), WatchOptions::default()).unwrap();
    let first = mvcc.stage(put("/a", "1"), |record| record.revision).unwrap();
    assert_eq!((first.sequence, first.recorded, first.answer.revision), (1, Some(Revision(2)), Revision(2)));
    let staged = Txn::new()
        .when(Compare::key("/a", Condition::Value(Relation::Equal, "1".into())))
        .then(Op::get("/a"))
        .then(Op::put("/b", "2"));
    let second = mvcc.stage(staged, |record| record.revision).unwrap();
    assert!(second.answer.succeeded && second.answer.revision == Revision(3));
    let nothing = mvcc.stage(Txn::new().then(Op::get("/b")), |_| ()).unwrap();
    assert_eq!((nothing.sequence, nothing.recorded), (2, None), "it has seen what is staged");

    assert_eq!((mvcc.published(), value(&mvcc, "/a")), (Revision(1), None));
    assert!(matches!(all(&mvcc, 2), Err(Error::FutureRevision { newest: Revision(1) })));
    assert!(ready(&mut watch).is_none());

    mvcc.publish(1);
    assert_eq!(
        (mvcc.published(), value(&mvcc, "/a"), value(&mvcc, "/b")),
        (Revision(2), Some("1".into()), None)
    );
    assert_eq!(ready(&mut watch).unwrap().unwrap().revision, Revision(2));
    assert!(ready(&mut watch).is_none());

    mvcc.publish(9);
    assert_eq!(value(&mvcc, "/b"), Some("2".into()));
    assert_eq!(ready(&mut watch).unwrap().unwrap().revision, Revision(3));
}

#[test]
fn a_key_that_is_overwritten_and_not_yet_published_holds_what_it_held() {
    for past in [None, Some(Arc::new(Records::default()) as Arc<dyn Past>)] {
        let mvcc = Mvcc::new(MvccOptions { past, ..options() });
        mvcc.commit(put("/a", "old")).unwrap();
        mvcc.stage(put("/a", "new"), |_| ()).unwrap();
        mvcc.stage(Txn::new().then(Op::delete(KeyRange::all())), |_| ()).unwrap();
        assert_eq!(value(&mvcc, "/a"), Some("old".into()));
        mvcc.publish(2);
        assert_eq!(value(&mvcc, "/a"), Some("new".into()));
        mvcc.publish(3);
        assert_eq!(value(&mvcc, "/a"), None);
    }
}

#[test]
fn what_is_given_up_has_never_been() {
    let mvcc = Arc::new(Mvcc::new(options()));
    mvcc.commit(put("/a", "1")).unwrap();
    let mut watch = mvcc.watch(KeyRange::all(), WatchOptions::default()).unwrap();
    mvcc.stage(put("/a", "2"), |_| ()).unwrap();
    mvcc.stop("the disk is full");
    mvcc.publish(2);
    let refused = mvcc.stage(put("/a", "3"), |_| ());
    assert!(matches!(refused, Err(Error::Stopped { why }) if &*why == "the disk is full"));
    assert!(matches!(mvcc.stage_grant(1, Duration::from_secs(9), |_| ()), Err(Error::Stopped { .. })));
    assert_eq!((mvcc.published(), value(&mvcc, "/a")), (Revision(2), Some("1".into())));
    assert!(ready(&mut watch).is_none());
}

#[test]
fn leases_appear_and_go_when_that_is_published() {
    let mvcc = Mvcc::new(options());
    let ttl = Duration::from_millis(4_200);
    let granted = mvcc.stage_grant(7, ttl, |record| record.change).unwrap();
    let whole = Duration::from_secs(5);
    assert_eq!(granted.recorded, Some(Change::Grant { id: 7, ttl: whole }));
    assert!(mvcc.leases().is_empty() && mvcc.keep_alive(7).is_err() && mvcc.time_to_live(7, true).is_err());
    // Who is told of it can use it at once, in whatever order things become durable.
    mvcc.stage(Txn::new().then(Op::put_leased("/b", "", 7)).then(Op::put_leased("/a", "", 7)), |_| ())
        .unwrap();
    mvcc.publish(2);
    assert_eq!(mvcc.leases(), [(7, whole)]);
    assert_eq!(mvcc.time_to_live(7, true).unwrap().keys, ["/a", "/b"]);
    let revoked = mvcc.stage_revoke(7, None, |record| (record.change, record.events.len())).unwrap();
    assert_eq!((revoked.recorded, revoked.answer), (Some((Change::Revoke { id: 7 }, 2)), Revision(3)));
    let unknown = mvcc.stage(Txn::new().then(Op::put_leased("/c", "", 7)), |_| ());
    assert!(matches!(unknown, Err(Error::LeaseNotFound { id: 7 })));
    assert_eq!((mvcc.leases().len(), value(&mvcc, "/a")), (1, Some(String::new())));
    mvcc.publish(3);
    assert_eq!((mvcc.leases().len(), value(&mvcc, "/a")), (0, None));
}

#[test]
fn what_has_left_memory_is_read_from_the_past() {
    let past = Arc::new(Records::default());
    let options = MvccOptions { past: Some(past.clone()), warm_bytes: 2_000, ..options() };
    let mvcc = Arc::new(Mvcc::new(options));
    let commit = |txn| {
        let staged = mvcc.stage(txn, |record| past.0.lock().unwrap().push(record.clone())).unwrap();
        mvcc.publish(staged.sequence);
    };
    let watch = |range, from| mvcc.watch(range, WatchOptions::from(Revision(from)).with_previous()).unwrap();
    let (mut early, mut quiet) = (watch(KeyRange::prefix("/a"), 1), watch(KeyRange::single("/b"), 2));
    for number in 2..100 {
        commit(put(&format!("/a{}", number % 3), &number.to_string()));
    }
    commit(put("/b", "first"));
    commit(put("/b", "second"));
    assert!(mvcc.log().warm() > Revision(80), "most events are in the past");
    for at in [2, 50, 99] {
        let expected: Vec<String> = (0..3)
            .filter_map(|key| (2..=at).rev().find(|n| n % 3 == key).map(|n| format!("/a{key}={n}")))
            .collect();
        assert_eq!(all(&mvcc, at).unwrap(), expected, "at {at}");
    }
    let mut late = watch(KeyRange::prefix("/a"), 2);
    for watch in [&mut early, &mut late] {
        for number in 2..100u64 {
            let batch = ready(watch).unwrap().unwrap();
            assert_eq!((batch.revision, batch.events.len()), (Revision(number), 1));
            let event = &batch.events[0];
            assert_eq!(event.kv.value, number.to_string());
            let previous = event.previous.as_ref().map(|kv| kv.mod_revision.0);
            assert_eq!(previous, (number >= 5).then(|| number - 3));
        }
        assert!(ready(watch).is_none());
    }
    let mut told = late;
    let staged = mvcc.stage_compact(Revision(100), |record| record.change).unwrap();
    assert_eq!(staged.recorded, Some(Change::Compact { floor: Revision(100) }));
    assert!(all(&mvcc, 99).is_ok(), "not published yet");
    mvcc.publish(staged.sequence);
    assert!(matches!(all(&mvcc, 99), Err(Error::Compacted { oldest: Revision(100) })));
    assert_eq!(all(&mvcc, 100).unwrap().len(), 4);
    // What it has to tell is not below the floor, though the floor has passed its position.
    assert_eq!(ready(&mut quiet).unwrap().unwrap().revision, Revision(100));
    assert_eq!(ready(&mut quiet).unwrap().unwrap().events[0].previous.as_ref().unwrap().value, "first");
    assert!(ready(&mut told).is_none(), "it has seen all");
}

#[test]
fn what_is_deleted_and_compacted_leaves_nothing() {
    let mvcc = Mvcc::new(options());
    for number in 0..1_000 {
        mvcc.commit(put(&format!("/k/{}", number % 100), "some value")).unwrap();
    }
    mvcc.commit(Txn::new().then(Op::delete(KeyRange::prefix("/k/")))).unwrap();
    mvcc.commit(put("/k/1", "again")).unwrap();
    let newest = mvcc.published();
    let staged = mvcc.stage_compact(newest, |_| ()).unwrap();
    mvcc.publish(staged.sequence);
    mvcc.tidy();
    assert_eq!(mvcc.index.len(), 1);
    mvcc.commit(Txn::new().then(Op::delete(KeyRange::all()))).unwrap();
    mvcc.commit(put("/x", "")).unwrap();
    let staged = mvcc.stage_compact(mvcc.published(), |_| ()).unwrap();
    mvcc.publish(staged.sequence);
    mvcc.tidy();
    assert_eq!(mvcc.index.len(), 1);
    assert_eq!(mvcc.writer().used_bytes, 2 + super::log::ENTRY_BYTES, "every byte is counted back");
}

#[test]
fn a_read_under_way_keeps_what_it_reads() {
    let mvcc = Mvcc::new(options());
    for number in 2..10 {
        mvcc.commit(put("/a", &number.to_string())).unwrap();
    }
    let (at, pin) = mvcc.pin(Some(Revision(5))).unwrap();
    let staged = mvcc.stage_compact(Revision(9), |_| ()).unwrap();
    mvcc.publish(staged.sequence);
    assert!(matches!(all(&mvcc, 5), Err(Error::Compacted { .. })), "nobody else may begin");
    assert_eq!(mvcc.before(b"/a", at.next()).unwrap().unwrap().value, "5");
    drop(pin);
    mvcc.tidy();
    assert_eq!(mvcc.log().first(), Revision(9));
    assert_eq!(mvcc.before(b"/a", at.next()).unwrap(), None);
}

#[test]
fn a_watcher_that_is_polled_by_another_task_wakes_that_one() {
    let mvcc = Arc::new(Mvcc::new(options()));
    let mut watch = mvcc.watch(KeyRange::all(), WatchOptions::default()).unwrap();
    struct Flag(AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flags = [Arc::new(Flag(AtomicBool::new(false))), Arc::new(Flag(AtomicBool::new(false)))];
    for flag in &flags {
        let waker = Waker::from(flag.clone());
        assert!(matches!(watch.poll_next_unpin(&mut Context::from_waker(&waker)), Poll::Pending));
    }
    mvcc.commit(put("/a", "1")).unwrap();
    assert_eq!(flags.map(|flag| flag.0.load(Ordering::SeqCst)), [false, true]);
}

/// Every transaction writes two keys alike and one of a hundred besides, while history is compacted
/// all the time; whoever reads sees whole transactions, and no revision twice.
#[test]
fn readers_see_whole_transactions_while_writers_write() {
    let history = Some(HistoryLimit::Compact(20_000));
    let mvcc = &Arc::new(Mvcc::new(MvccOptions { history, ..options() }));
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let (mut last, mut reads) = (Revision::NONE, 0u64);
                    while !done.load(Ordering::SeqCst) || reads == 0 {
                        let page = mvcc.list(&KeyRange::prefix("/pair/"), ListOptions::default()).unwrap();
                        assert!(page.revision >= last, "time does not go back");
                        last = page.revision;
                        assert!(page.items.len() == 2 || last == Revision(1));
                        if let [a, b] = &page.items[..] {
                            assert_eq!((&a.value, a.mod_revision), (&b.value, b.mod_revision));
                            assert_eq!(a.mod_revision, last, "the newest wrote both");
                            let newest = mvcc.get(&a.key).unwrap().expect("it is never deleted");
                            assert!(newest.mod_revision >= last);
                        }
                        let other = mvcc.list(&KeyRange::prefix("/other/"), ListOptions::default()).unwrap();
                        assert!(other.items.iter().all(|kv| kv.mod_revision <= other.revision));
                        assert_eq!(other.count, other.items.len());
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for number in 0..20_000u64 {
            let text = number.to_string();
            let other = format!("/other/{}", number % 100);
            let txn =
                Txn::new().then(Op::put("/pair/a", text.clone())).then(Op::put("/pair/b", text.clone()));
            let delete = number % 7 == 0;
            let other = if delete { Op::delete(KeyRange::single(other)) } else { Op::put(other, text) };
            mvcc.commit(txn.then(other)).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert!(readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>() > 0);
    });
    assert!(mvcc.floor() > Revision(15_000), "history was compacted meanwhile");
}
