//! The hub, told as stories: what it hears, what it asks for, what its consumers read.

use std::sync::Arc;

use etcd_client::proto::{PbEvent, PbKeyValue, PbResponseHeader, PbWatchResponse};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::feed::{self, Consumer};
use super::hub::{Command, Hub, Request, Verdict, Wish};
use crate::store::{Error, KeyRange, Revision, WatchBatch};

/// A hub with a member that the test plays.
struct Stage {
    hub: Hub,
    commands: UnboundedSender<Command>,
    orders: UnboundedReceiver<Command>,
    last: u64,
}

/// The number on the wire of the `nth` watch that is created.
const FIRST: i64 = 1;

impl Stage {
    /// With a member that is to be trusted with progress, or not.
    fn new(manual: bool) -> Self {
        let (commands, orders) = unbounded_channel();
        let mut stage = Self { hub: Hub::new(), commands, orders, last: 0 };
        stage.hub.connected(manual);
        stage
    }

    fn watch(&mut self, prefix: &str, from: u64) -> Consumer {
        self.watch_with(prefix, from, false, 1 << 20).0
    }

    fn watch_with(
        &mut self,
        prefix: &str,
        from: u64,
        now: bool,
        budget: usize,
    ) -> (Consumer, oneshot::Receiver<()>) {
        self.last += 1;
        let (feed, consumer) = feed::feed(self.last, budget, self.commands.clone());
        let (created, creation) = oneshot::channel();
        let range = KeyRange::prefix(prefix.to_owned());
        let wish = Wish { range, from: Revision(from), now, previous: false };
        self.hub.command(Command::Watch { id: self.last, wish, feed, created });
        (consumer, creation)
    }

    fn ask(&mut self, prefix: &str, target: u64) {
        let range = KeyRange::prefix(prefix.to_owned());
        self.hub.command(Command::Progress { range, target: Revision(target) });
    }

    /// Gives the hub what consumers have asked for.
    fn settle(&mut self) {
        while let Ok(command) = self.orders.try_recv() {
            self.hub.command(command);
        }
    }

    /// What the hub has asked for, shortly.
    fn asked(&mut self) -> Vec<String> {
        self.hub
            .outbox()
            .map(|request| match request {
                Request::Create { wire, range, from, .. } => {
                    format!("create {wire} {} from {from}", String::from_utf8_lossy(&range.start))
                }
                Request::Cancel { wire } => format!("cancel {wire}"),
                Request::Progress => "progress".to_owned(),
            })
            .collect()
    }

    fn hear(&mut self, answer: PbWatchResponse) {
        assert_eq!(self.hub.answer(answer), Verdict::GoOn);
    }
}

fn answer(wire: i64, revision: i64) -> PbWatchResponse {
    PbWatchResponse {
        header: Some(PbResponseHeader { revision, ..Default::default() }),
        watch_id: wire,
        ..Default::default()
    }
}

fn created(wire: i64, revision: i64) -> PbWatchResponse {
    PbWatchResponse { created: true, ..answer(wire, revision) }
}

/// Puts of keys at revisions.
fn puts(wire: i64, puts: &[(&str, i64)]) -> PbWatchResponse {
    let event = |(key, revision): &(&str, i64)| PbEvent {
        r#type: 0,
        kv: Some(PbKeyValue {
            key: key.as_bytes().to_vec(),
            mod_revision: *revision,
            version: 1,
            ..Default::default()
        }),
        prev_kv: None,
    };
    let last = puts.last().map_or(0, |put| put.1);
    PbWatchResponse { events: puts.iter().map(event).collect(), ..answer(wire, last) }
}

/// What a consumer can read now: the revision and the keys of each batch.
fn read(consumer: &mut Consumer) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(Some(item)) = consumer.next().now_or_never() {
        words.push(match item {
            Ok(WatchBatch { revision, events }) => {
                let keys = events.iter().map(|event| String::from_utf8_lossy(&event.kv.key).into_owned());
                format!("{revision}:{}", keys.collect::<Vec<_>>().join(","))
            }
            Err(Error::Compacted { oldest }) => format!("compacted {oldest}"),
            Err(error) => error.to_string(),
        });
    }
    words
}

#[test]
fn fragments_of_a_revision_become_one_batch() {
    let mut stage = Stage::new(true);
    let mut seen = stage.watch("/", 5);
    stage.hear(created(FIRST, 9));
    let fragment = |puts: PbWatchResponse| PbWatchResponse { fragment: true, ..puts };
    stage.hear(fragment(puts(FIRST, &[("/a", 5), ("/b", 5)])));
    stage.hear(fragment(puts(FIRST, &[("/c", 5), ("/a", 6)])));
    assert_eq!(read(&mut seen), [""; 0], "what is not complete is not delivered");
    // Progress of the stream says nothing of what is not complete.
    stage.hear(answer(-1, 9));
    stage.hear(puts(FIRST, &[("/b", 6)]));
    assert_eq!(read(&mut seen), ["5:/a,/b,/c", "6:/a,/b"]);
}

#[test]
fn a_broken_stream_is_taken_up_behind_the_last_batch() {
    let mut stage = Stage::new(true);
    let (mut busy, mut quiet) = (stage.watch("/a", 5), stage.watch("/b", 5));
    assert_eq!(stage.asked(), ["create 1 /a from 5", "create 2 /b from 5"]);
    stage.hear(created(1, 4));
    stage.hear(created(2, 4));
    stage.hear(puts(1, &[("/a", 7)]));
    let half = PbWatchResponse { fragment: true, ..puts(1, &[("/a/1", 8)]) };
    stage.hear(half);
    stage.hub.disconnected();
    stage.hub.connected(true);
    assert_eq!(stage.asked(), ["create 3 /a from 8", "create 4 /b from 5"]);
    // What was sent for the old numbers is nobody's; what is sent twice is told once.
    stage.hear(puts(1, &[("/a", 9)]));
    stage.hear(created(3, 9));
    stage.hear(puts(3, &[("/a", 7), ("/a/1", 8), ("/a/2", 8)]));
    assert_eq!(read(&mut busy), ["7:/a", "8:/a/1,/a/2"]);
    assert_eq!(read(&mut quiet), [""; 0]);
}

#[test]
fn progress_keeps_the_place_of_a_quiet_watch_fresh() {
    let mut stage = Stage::new(true);
    let mut quiet = stage.watch("/a", 5);
    stage.hear(created(1, 4));
    stage.hub.refresh();
    assert_eq!(stage.asked()[1..], ["progress"]);
    stage.hear(answer(-1, 90));
    stage.hub.connected(true);
    assert_eq!(stage.asked(), ["create 2 /a from 91"]);
    assert_eq!(read(&mut quiet), [""; 0], "nobody asked");
}

#[test]
fn progress_of_the_stream_is_not_for_whom_it_has_not_announced() {
    let mut stage = Stage::new(true);
    let mut early = stage.watch("/a", 5);
    stage.hear(created(1, 8));
    let mut late = stage.watch("/b", 5);
    stage.ask("/a", 8);
    stage.ask("/b", 8);
    stage.hear(answer(-1, 9));
    assert_eq!((read(&mut early), read(&mut late)), (vec!["9:".to_owned()], vec![]));
    stage.hear(created(2, 9));
    stage.hear(puts(2, &[("/b", 6)]));
    stage.hear(answer(-1, 9));
    assert_eq!(read(&mut late), ["6:/b", "9:"]);
}

#[test]
fn whoever_is_there_already_says_so_at_once() {
    let mut stage = Stage::new(true);
    let mut seen = stage.watch("/a", 5);
    stage.hear(created(1, 8));
    stage.hear(puts(1, &[("/a", 8)]));
    stage.ask("/a", 8);
    assert_eq!(read(&mut seen), ["8:/a", "8:"]);
    assert_eq!(stage.asked(), ["create 1 /a from 5"]);
}

#[test]
fn an_old_member_is_not_asked_for_progress_and_not_believed() {
    let mut stage = Stage::new(false);
    let (mut busy, mut quiet) = (stage.watch("/a", 5), stage.watch("/b", 5));
    stage.hear(created(1, 4));
    stage.hear(created(2, 4));
    stage.asked();
    stage.ask("/a", 8);
    stage.ask("/b", 8);
    assert_eq!(stage.asked(), ["create 3  from 5"], "the oracle watches everything");
    stage.hear(created(3, 8));
    stage.hear(answer(-1, 8));
    stage.hear(puts(3, &[("/a", 6), ("/c", 7)]));
    assert_eq!((read(&mut busy), read(&mut quiet)), (vec![], vec![]), "it has not come to 8");
    stage.hear(puts(3, &[("/c", 8)]));
    assert_eq!(read(&mut quiet), ["8:"], "nothing happened to it");
    assert_eq!(read(&mut busy), [""; 0], "it has not been told 6");
    stage.hear(puts(1, &[("/a", 6)]));
    assert_eq!(read(&mut busy), ["6:/a", "8:"]);
}

#[test]
fn the_oracle_goes_back_for_a_watch_that_it_does_not_know() {
    let mut stage = Stage::new(false);
    let mut known = stage.watch("/a", 5);
    stage.hear(created(1, 4));
    stage.ask("/a", 6);
    stage.hear(created(2, 4));
    stage.hear(puts(2, &[("/c", 5), ("/c", 6)]));
    assert_eq!(read(&mut known), ["6:"]);
    let mut older = stage.watch("/b", 3);
    stage.hear(created(3, 6));
    stage.asked();
    stage.ask("/b", 6);
    assert_eq!(stage.asked(), ["cancel 2", "create 4  from 3"]);
    stage.hear(created(4, 6));
    stage.hear(puts(4, &[("/b", 3), ("/b", 4), ("/c", 5), ("/c", 6)]));
    assert_eq!(read(&mut older), [""; 0]);
    stage.hear(puts(3, &[("/b", 3), ("/b", 4)]));
    assert_eq!(read(&mut older), ["3:/b", "4:/b", "6:"]);
    // It ends when nobody asks any more.
    stage.hub.refresh();
    stage.hub.refresh();
    assert_eq!(stage.asked(), ["cancel 4"]);
}

#[test]
fn an_oracle_that_is_compacted_ends_only_what_cannot_be_known() {
    let mut stage = Stage::new(false);
    let (mut stale, mut fresh) = (stage.watch("/a", 5), stage.watch("/b", 50));
    stage.hear(created(1, 60));
    stage.hear(created(2, 60));
    stage.ask("/a", 60);
    stage.ask("/b", 60);
    stage.asked();
    stage.hear(PbWatchResponse { canceled: true, compact_revision: 40, ..answer(3, 60) });
    assert_eq!(read(&mut stale), ["compacted 40"]);
    assert_eq!(stage.asked(), ["cancel 1", "create 4  from 50"]);
    stage.hear(puts(4, &[("/c", 60)]));
    assert_eq!(read(&mut fresh), ["60:"]);
}

#[test]
fn a_member_that_keeps_silent_is_not_waited_for() {
    let mut stage = Stage::new(true);
    let mut seen = stage.watch("/a", 5);
    stage.hear(created(1, 4));
    stage.ask("/a", 8);
    stage.asked();
    for _ in 0..4 {
        stage.hub.tick();
        assert_eq!(stage.asked(), ["progress"]);
    }
    stage.hub.tick();
    assert_eq!(stage.asked(), ["progress", "create 2  from 5"]);
    stage.hear(puts(2, &[("/c", 8)]));
    assert_eq!(read(&mut seen), ["8:"]);
}

#[test]
fn a_consumer_that_does_not_read_is_parked_and_goes_on_where_it_was() {
    let mut stage = Stage::new(true);
    let (mut slow, _) = stage.watch_with("/a", 5, false, 600);
    stage.hear(created(1, 4));
    stage.hear(puts(1, &[("/a", 5), ("/a", 6)]));
    assert_eq!(stage.asked(), ["create 1 /a from 5"]);
    stage.hear(puts(1, &[("/a", 7)]));
    assert_eq!(stage.asked(), ["cancel 1"], "three batches are too many");
    stage.hear(puts(1, &[("/a", 8)]));
    assert_eq!(read(&mut slow), ["5:/a", "6:/a", "7:/a"]);
    stage.settle();
    assert_eq!(stage.asked(), ["create 2 /a from 8"]);
    stage.hear(created(2, 8));
    stage.hear(puts(2, &[("/a", 8)]));
    assert_eq!(read(&mut slow), ["8:/a"]);
}

#[test]
fn a_watch_from_now_begins_where_it_is_created_and_stays_there() {
    let mut stage = Stage::new(true);
    let (mut seen, mut creation) = stage.watch_with("/a", 9, true, 1 << 20);
    assert_eq!(stage.asked(), ["create 1 /a from 0"]);
    assert!(creation.try_recv().is_err());
    // The member lags: it sends what is past, which the watch is not to see.
    stage.hear(created(1, 6));
    assert!(creation.try_recv().is_ok());
    stage.hear(puts(1, &[("/a", 7), ("/a", 8), ("/a", 9)]));
    assert_eq!(read(&mut seen), ["9:/a"]);
    stage.hub.connected(true);
    assert_eq!(stage.asked(), ["create 2 /a from 10"]);
}

#[test]
fn compaction_and_refusal_end_a_watch() {
    let mut stage = Stage::new(true);
    let (mut compacted, mut refused) = (stage.watch("/a", 5), stage.watch("/b", 5));
    stage.hear(created(1, 30));
    stage.hear(PbWatchResponse { canceled: true, compact_revision: 20, ..answer(1, 30) });
    assert_eq!(read(&mut compacted), ["compacted 20"]);
    let denial = || PbWatchResponse {
        created: true,
        canceled: true,
        cancel_reason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied".into(),
        ..answer(-1, 30)
    };
    // An old token may be to blame, once.
    assert_eq!(stage.hub.answer(denial()), Verdict::LogIn);
    stage.hub.disconnected();
    stage.hub.connected(true);
    stage.hear(denial());
    let told = read(&mut refused);
    assert!(told.len() == 1 && told[0].starts_with("refused"), "{told:?}");
    let (mut late, _) = stage.watch_with("/c", 5, false, 1 << 20);
    stage.hub.refuse_all(&Arc::from("no"));
    assert_eq!(read(&mut late), ["refused: no"]);
}
