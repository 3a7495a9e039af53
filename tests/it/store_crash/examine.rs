//! Everything that an open store shows, held against one state of the model.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use windlass::env::Stream;
use windlass::sim::disk::Flip;
use windlass::store::{
    Error, Event, KeyRange, ListOptions, ObjectStore, Revision, WatchOptions, WatchStream,
};

use super::model::Model;

/// What is wrong, told so that it can be understood without a debugger.
pub(super) type Violation = String;

/// What is wrong with an answer.
macro_rules! violation {
    ($($told:tt)*) => { return Err(format!($($told)*)) };
}
pub(super) use violation;

/// What may excuse a store that answers [`Error::Corrupt`]: a bit that was flipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage<'a>(pub(super) Option<&'a Flip>);

impl Damage<'_> {
    /// None where the store has named the damage.
    pub(super) fn excuses<T>(self, what: &str, answer: Result<T, Error>) -> Result<Option<T>, Violation> {
        match (answer, self.0) {
            (Ok(answer), _) => Ok(Some(answer)),
            (Err(Error::Corrupt { what }), Some(flip)) if what.contains(&flip.file) => Ok(None),
            (Err(error), _) => violation!("{what}: {error}"),
        }
    }
}

/// The state of the model that an open store shows, of those from `least` on.
pub(super) async fn recognise(
    store: &dyn ObjectStore,
    model: &Model,
    least: usize,
) -> Result<usize, Violation> {
    let told = |what: &'static str| move |error: Error| format!("{what}: {error}");
    let revision = store.revision().await.map_err(told("revision"))?.0;
    let leases = store.leases().ok_or("it has no leases")?.leases().await.map_err(told("leases"))?;
    let maintenance = store.maintenance().ok_or("it has no maintenance")?;
    let floor = maintenance.status().await.map_err(told("status"))?.floor.0;
    let Some(done) = model.find(least, revision, floor, &leases) else {
        let (acked, newest) = (model.world(least), model.newest());
        violation!(
            "it shows revision {revision}, floor {floor}, leases {leases:?}; \
             acknowledged was revision {}, floor {}, leases {:?}; the newest thing asked for makes revision {}, \
             floor {}, leases {:?}",
            acked.revision,
            acked.floor,
            acked.leases.keys(),
            newest.revision,
            newest.floor,
            newest.leases.keys()
        );
    };
    Ok(done)
}

/// How many past revisions are looked at, besides the oldest and the newest.
const LOOKS: u64 = 10;

/// Holds all that a store shows against the state that it is in. Answers how often it named a damage.
/// With `fresh` it was opened just now.
pub(super) async fn examine(
    store: &dyn ObjectStore,
    model: &Model,
    done: usize,
    damage: Damage<'_>,
    fresh: bool,
    chance: &Stream,
) -> Result<u64, Violation> {
    let world = model.world(done);
    let (revision, floor) = (world.revision, world.floor);
    let mut named = 0;
    // The newest state, whole and key by key.
    named += look(store, model, &KeyRange::all(), None, revision, damage).await?;
    for (key, kv) in model.keys(revision).iter() {
        match damage.excuses("get", store.get(key).await)? {
            Some(got) if got.as_ref() != Some(kv) => violation!("get {key:?}: {got:?} instead of {kv:?}"),
            Some(_) => {}
            None => named += 1,
        }
    }
    if let Some(Some(got)) = damage.excuses("get", store.get(b"never written").await)? {
        violation!("a key that was never written holds {got:?}");
    }
    // Past states: all where there are few.
    let pasts = revision - floor + 1;
    for n in 0..pasts.min(LOOKS + 2) {
        let at = match n {
            _ if pasts <= LOOKS + 2 => floor + n,
            0 => floor,
            1 => revision,
            _ => floor + chance.below(pasts),
        };
        named += look(store, model, &KeyRange::all(), Some(at), at, damage).await?;
        named += look(store, model, &KeyRange::prefix("a"), Some(at), at, damage).await?;
    }
    if floor > 1 {
        match store.list(KeyRange::all(), ListOptions::default().at(Revision(floor - 1))).await {
            Err(Error::Compacted { oldest }) if oldest.0 == floor => {}
            other => violation!("a read below the floor {floor}: {other:?}"),
        }
        match store.watch(KeyRange::all(), WatchOptions::from(Revision(floor - 1))).await {
            Err(Error::Compacted { .. }) => {}
            Err(error) => violation!("a watch from below the floor {floor}: {error}"),
            Ok(mut stream) => match stream.next().now_or_never() {
                Some(Some(Err(Error::Compacted { .. }))) => {}
                other => violation!("a watch from below the floor {floor}: {other:?}"),
            },
        }
    }
    match store.list(KeyRange::all(), ListOptions::default().at(Revision(revision + 1))).await {
        Err(Error::FutureRevision { newest }) if newest.0 == revision => {}
        other => violation!("a read above the newest revision {revision}: {other:?}"),
    }
    // History, as watches tell it.
    let somewhere = floor + chance.below(revision - floor + 1);
    for (range, from) in
        [(KeyRange::all(), floor), (KeyRange::prefix("a"), somewhere), (KeyRange::single("a"), floor)]
    {
        named += history(store, model, &range, from, revision, damage).await?;
    }
    leases(store, model, done, fresh).await?;
    Ok(named)
}

/// Reads a range.
async fn look(
    store: &dyn ObjectStore,
    model: &Model,
    range: &KeyRange,
    at: Option<u64>,
    revision: u64,
    damage: Damage<'_>,
) -> Result<u64, Violation> {
    let options = at.map_or_else(ListOptions::default, |at| ListOptions::default().at(Revision(at)));
    let told = || format!("list {range:?} at {at:?}");
    let Some(page) = damage.excuses(&told(), store.list(range.clone(), options).await)? else { return Ok(1) };
    let expected = model.read(range, revision);
    if page.items != expected {
        violation!("{}: {:?} instead of {:?}", told(), page.items, expected);
    }
    if page.count != expected.len() || page.more || page.revision.0 != revision {
        violation!("{}: count {}, more {}, revision {}", told(), page.count, page.more, page.revision);
    }
    Ok(0)
}

/// Reads what one past revision held.
pub(super) async fn past(store: &dyn ObjectStore, model: &Model, revision: u64) -> Result<(), Violation> {
    look(store, model, &KeyRange::all(), Some(revision), revision, Damage(None)).await.map(drop)
}

/// Watches from a revision on and takes all there is.
async fn history(
    store: &dyn ObjectStore,
    model: &Model,
    range: &KeyRange,
    from: u64,
    newest: u64,
    damage: Damage<'_>,
) -> Result<u64, Violation> {
    let told = || format!("watch {range:?} from {from}");
    let options = WatchOptions::from(Revision(from)).with_previous();
    let Some(mut stream) = damage.excuses(&told(), store.watch(range.clone(), options).await)? else {
        return Ok(1);
    };
    for revision in from..=newest {
        let due: Vec<_> =
            model.events(revision).iter().filter(|event| range.contains(&event.kv.key)).cloned().collect();
        if due.is_empty() {
            continue;
        }
        match next(&mut stream).await {
            Some(Ok(batch)) => {
                let floor = revision == from;
                if batch.revision.0 != revision || !agree(&batch.events, &due, floor) {
                    violation!(
                        "{}: revision {} with {:?} instead of {revision} with {due:?}",
                        told(),
                        batch.revision,
                        batch.events
                    );
                }
            }
            Some(Err(error)) => {
                return damage.excuses::<()>(&told(), Err(error)).map(|_| 1);
            }
            None => violation!("{}: nothing comes where revision {revision} is due", told()),
        }
    }
    match next(&mut stream).await {
        None => Ok(0),
        Some(Err(error)) => damage.excuses::<()>(&told(), Err(error)).map(|_| 1),
        other => violation!("{}: {other:?} comes behind the newest revision {newest}", told()),
    }
}

/// Whether these are the events. What the first one's key held before may have been compacted.
pub(super) fn agree(events: &[Event], due: &[Event], first: bool) -> bool {
    events.len() == due.len()
        && events.iter().zip(due).all(|(event, due)| {
            let previous = event.previous == due.previous || first && event.previous.is_none();
            event.kind == due.kind && event.kv == due.kv && previous
        })
}

/// The next batch with events that is there now.
async fn next(stream: &mut WatchStream) -> Option<Result<windlass::store::WatchBatch, Error>> {
    for _ in 0..4 {
        match stream.next().now_or_never() {
            Some(Some(Ok(batch))) if batch.events.is_empty() => {}
            Some(item) => return item,
            None => tokio::task::yield_now().await,
        }
    }
    None
}

/// Leases: their times, and what is attached to them.
async fn leases(store: &dyn ObjectStore, model: &Model, done: usize, fresh: bool) -> Result<(), Violation> {
    let world = model.world(done);
    let leases = store.leases().ok_or("it has no leases")?;
    for (id, ttl) in &world.leases {
        let status = leases.time_to_live(*id, true).await.map_err(|error| format!("lease {id}: {error}"))?;
        let attached = model.keys(world.revision).values().filter(|kv| kv.lease == *id);
        let attached: Vec<_> = attached.map(|kv| kv.key.clone()).collect();
        if status.granted != *ttl || status.keys != attached {
            violation!("lease {id}: {status:?} instead of {ttl:?} with {attached:?}");
        }
        if fresh && ttl.saturating_sub(status.remaining) > Duration::from_secs(1) {
            violation!("lease {id}: {status:?} right after the store was opened");
        }
    }
    Ok(())
}
