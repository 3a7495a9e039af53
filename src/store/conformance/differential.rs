//! One program, many stores, one model: every answer and every watch agrees.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::kit::PATIENCE;
use super::model::{Model, Refusal};
use crate::env::Clock;
use crate::store::{
    Error, Event, KeyRange, ListOptions, ObjectStore, Revision, Txn, WatchBatch, WatchOptions, WatchStream,
};

/// The time to live of leases: no program runs so long.
const LONG: Duration = Duration::from_secs(3600);

/// One step of a program. Revisions are counted back from the newest; negative ones are to come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Commits.
    Commit(Txn),
    /// Lists as of so many revisions ago; of now where none is given.
    List(KeyRange, Option<i64>, ListOptions),
    /// Reads a key.
    Get(Bytes),
    /// Compacts to so many revisions ago.
    Compact(i64),
    /// Watches from so many revisions ago; from now where none is given.
    Watch(KeyRange, Option<i64>, bool),
    /// Takes everything that a watch has to tell.
    Drain(usize),
    /// Asks a watch for its progress, and waits for it.
    Progress(usize),
    /// Drops a watch.
    Drop(usize),
    /// Grants a lease of this number.
    Grant(i64),
    /// Revokes a lease.
    Revoke(i64),
    /// Asks for a lease and its keys, and keeps it alive.
    Lease(i64),
    /// Lists the leases.
    Leases,
}

/// A store that plays.
#[derive(Clone)]
pub struct Player {
    name: String,
    store: Arc<dyn ObjectStore>,
    keeps_deletions_at_the_floor: bool,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Player {
    /// An empty store, and what it is called when it disagrees.
    #[must_use]
    pub fn new(name: impl Into<String>, store: Arc<dyn ObjectStore>) -> Self {
        Self { name: name.into(), store, keeps_deletions_at_the_floor: true }
    }

    /// Whether a watch from the floor still sees what that revision deleted. etcd forgot it before
    /// 3.5.18 and 3.6.0 (etcd issue 19179); its watches are not asked from there.
    #[must_use]
    pub fn keeps_deletions_at_the_floor(mut self, keeps: bool) -> Self {
        self.keeps_deletions_at_the_floor = keeps;
        self
    }
}

struct Watched {
    range: KeyRange,
    previous: bool,
    /// Of each player, while it goes on.
    streams: Vec<Option<Seen>>,
}

struct Seen {
    stream: WatchStream,
    /// The next revision whose events it has not told.
    next: Revision,
    /// Everything up to here has been told, by events or progress.
    told: Revision,
}

/// Plays a program on empty stores and the model, and compares.
///
/// # Panics
///
/// Where a store answers other than the model.
pub async fn play(players: &[Player], steps: &[Step]) {
    let mut game = Game { model: Model::default(), players, watches: Vec::new() };
    for (number, step) in steps.iter().enumerate() {
        game.step(number, step).await;
    }
    for which in 0..game.watches.len() {
        game.drain(steps.len(), which).await;
    }
}

struct Game<'a> {
    model: Model,
    players: &'a [Player],
    watches: Vec<Watched>,
}

/// The answer of a store, against the one answer or the refusals that the model allows.
fn agree<T: PartialEq + std::fmt::Debug>(
    place: &str,
    expected: &Result<T, Vec<Refusal>>,
    answer: Result<T, Error>,
) {
    match (expected, &answer) {
        (Ok(expected), Ok(answer)) => assert_eq!(answer, expected, "{place}"),
        (Err(refusals), Err(error)) if refusals.contains(&error.into()) => {}
        _ => panic!("{place}: {answer:?}, not {expected:?}"),
    }
}

impl Game<'_> {
    fn ago(&self, ago: i64) -> Revision {
        Revision((self.model.revision().0 as i64 - ago).max(1) as u64)
    }

    async fn step(&mut self, number: usize, step: &Step) {
        let one = |refusal| vec![refusal];
        match step {
            Step::Commit(txn) => {
                let expected = self.model.commit(txn).map_err(|refusals| refusals.into_iter().collect());
                for player in self.players {
                    let place = format!("step {number}, {}: {txn:?}", player.name);
                    agree(&place, &expected, player.store.commit(txn.clone()).await);
                }
            }
            Step::List(range, ago, options) => {
                let options = ListOptions { at: ago.map(|ago| self.ago(ago)), ..*options };
                let expected = self.model.list(range, options).map_err(one);
                for player in self.players {
                    let place = format!("step {number}, {}: {range:?} {options:?}", player.name);
                    agree(&place, &expected, player.store.list(range.clone(), options).await);
                }
            }
            Step::Get(key) => {
                let page = self.model.list(&KeyRange::single(key.clone()), ListOptions::default());
                let expected = page.map(|page| page.items.into_iter().next()).map_err(one);
                for player in self.players {
                    let place = format!("step {number}, {}: {key:?}", player.name);
                    agree(&place, &expected, player.store.get(key).await);
                }
            }
            Step::Compact(ago) => {
                // etcd lets revision 1 be compacted once, which changes nothing.
                let to = self.ago(*ago).max(Revision(2));
                let expected = self.model.compact(to).map_err(one);
                for player in self.players {
                    let place = format!("step {number}, {}: compact {to}", player.name);
                    agree(&place, &expected, player.store.compact(to).await);
                }
            }
            Step::Watch(range, ago, previous) => self.watch(number, range, *ago, *previous).await,
            Step::Drain(which) => self.drain(number, *which).await,
            Step::Progress(which) => self.progress(number, *which).await,
            Step::Drop(which) if *which < self.watches.len() => drop(self.watches.remove(*which)),
            Step::Drop(_) => {}
            Step::Grant(_) | Step::Revoke(_) | Step::Lease(_) | Step::Leases => {
                self.lease(number, step).await
            }
        }
        for player in self.players {
            let revision = player.store.revision().await.expect("a revision");
            assert_eq!(revision, self.model.revision(), "behind step {number}, {}", player.name);
        }
    }

    async fn lease(&mut self, number: usize, step: &Step) {
        let one = |refusal| vec![refusal];
        let granted = match step {
            Step::Grant(id) => self.model.grant(*id, LONG).map_err(one),
            _ => Ok(()),
        };
        let revoked = match step {
            Step::Revoke(id) => self.model.revoke(*id).map_err(one),
            _ => Ok(Revision::NONE),
        };
        for player in self.players {
            let leases = player.store.leases().expect("a program with leases is for stores that have some");
            let place = format!("step {number}, {}: {step:?}", player.name);
            match step {
                Step::Grant(id) => agree(&place, &granted, leases.grant(*id, LONG).await.map(drop)),
                Step::Revoke(id) => agree(&place, &revoked, leases.revoke(*id).await),
                Step::Lease(id) => {
                    let keys = self.model.lease_keys(*id).map_err(one);
                    agree(&place, &keys, leases.time_to_live(*id, true).await.map(|status| status.keys));
                    agree(&place, &keys.map(drop), leases.keep_alive(*id).await.map(drop));
                }
                _ => agree(&place, &Ok(self.model.leases()), leases.leases().await),
            }
        }
    }

    async fn watch(&mut self, number: usize, range: &KeyRange, ago: Option<i64>, previous: bool) {
        let from = ago.map(|ago| self.ago(ago));
        let next = from.unwrap_or(self.model.revision().next());
        let options = WatchOptions { from, previous, ..WatchOptions::default() };
        let mut streams = Vec::new();
        for player in self.players {
            let place = format!("step {number}, {}: watch {range:?} from {next}", player.name);
            if next == self.model.floor() && next > Revision(1) && !player.keeps_deletions_at_the_floor {
                streams.push(None);
                continue;
            }
            // Below the floor it is refused at once, or ends so before it tells anything.
            streams.push(match player.store.watch(range.clone(), options).await {
                Ok(stream) => Some(Seen { stream, next, told: Revision(next.0 - 1) }),
                Err(Error::Compacted { oldest }) => {
                    assert!(next < self.model.floor() && oldest == self.model.floor(), "{place}: {oldest}");
                    None
                }
                Err(error) => panic!("{place}: {error}"),
            });
        }
        self.watches.push(Watched { range: range.clone(), previous, streams });
    }

    /// Takes what is due from one watch of every player.
    async fn drain(&mut self, number: usize, which: usize) {
        let (model, newest) = (&self.model, self.model.revision());
        let Some(watched) = self.watches.get_mut(which) else { return };
        for (player, slot) in self.players.iter().zip(&mut watched.streams) {
            let place = format!("step {number}, {}: watch of {:?}", player.name, watched.range);
            while let Some(seen) = slot {
                let due = (seen.next.0..=newest.0).find_map(|at| model.batch(&watched.range, Revision(at)));
                let Some(due) = due else { break };
                match take(&place, &mut seen.stream).await {
                    Err(Error::Compacted { oldest }) => {
                        assert!(seen.next < model.floor() && oldest <= model.floor(), "{place}: {oldest}");
                        *slot = None;
                    }
                    Err(error) => panic!("{place}: {error}"),
                    Ok(batch) if batch.events.is_empty() => {
                        let early = batch.revision < due.revision && batch.revision >= seen.told;
                        assert!(early, "{place}: progress {}", batch.revision);
                        seen.told = batch.revision;
                    }
                    Ok(batch) => {
                        same(&place, &batch, &due, watched.previous, model.floor());
                        (seen.next, seen.told) = (batch.revision.next(), batch.revision);
                    }
                }
            }
        }
    }

    async fn progress(&mut self, number: usize, which: usize) {
        self.drain(number, which).await;
        let newest = self.model.revision();
        let Some(watched) = self.watches.get_mut(which) else { return };
        for (player, slot) in self.players.iter().zip(&mut watched.streams) {
            let place = format!("step {number}, {}: progress of {:?}", player.name, watched.range);
            // What it has said already it need not say again.
            let Some(seen) = slot.as_mut().filter(|seen| seen.told < newest) else { continue };
            player.store.request_progress(watched.range.clone()).await.expect("progress can be asked for");
            loop {
                match take(&place, &mut seen.stream).await {
                    Ok(batch) => {
                        seen.told = batch.revision;
                        assert!(batch.events.is_empty() && batch.revision <= newest, "{place}: {batch:?}");
                        if batch.revision == newest {
                            break;
                        }
                    }
                    Err(Error::Compacted { oldest }) => {
                        let overtaken = seen.next < self.model.floor() && oldest <= self.model.floor();
                        assert!(overtaken, "{place}: {oldest}");
                        *slot = None;
                        break;
                    }
                    Err(error) => panic!("{place}: {error}"),
                }
            }
        }
    }
}

async fn take(place: &str, stream: &mut WatchStream) -> Result<WatchBatch, Error> {
    match Clock::system().timeout(PATIENCE, stream.next()).await {
        Ok(Some(item)) => item,
        Ok(None) => panic!("{place}: it ends without an error"),
        Err(_) => panic!("{place}: it waits though something is due"),
    }
}

/// What was delivered is what was due. A previous value may be missing once it is below the floor.
fn same(place: &str, batch: &WatchBatch, due: &WatchBatch, previous: bool, floor: Revision) {
    let bare = |batch: &WatchBatch| -> Vec<Event> {
        batch.events.iter().cloned().map(|event| Event { previous: None, ..event }).collect()
    };
    assert_eq!((batch.revision, bare(batch)), (due.revision, bare(due)), "{place}");
    if previous {
        for (event, due) in batch.events.iter().zip(due.events.iter()) {
            let forgotten = event.previous.is_none() && batch.revision <= floor;
            assert!(event.previous == due.previous || forgotten, "{place}: {event:?}, not {due:?}");
        }
    }
}
