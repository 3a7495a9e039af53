//! A store that is too simple to be wrong: a list of everything that ever happened, from which each
//! answer is worked out anew.
//!
//! It shares nothing with the stores but the types and how two values compare. What several rules
//! refuse at once may be refused by any of them, so a refusal is a set of [`Refusal`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::store::{
    Committed, Error, Event, EventKind, KeyRange, KeyValue, ListOptions, Op, OpResult, Page, Revision, Txn,
    WatchBatch,
};

/// Why something is refused: the name of the [`Error`]'s variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refusal {
    /// [`Error::Compacted`].
    Compacted,
    /// [`Error::FutureRevision`].
    FutureRevision,
    /// [`Error::DuplicateKey`].
    DuplicateKey,
    /// [`Error::EmptyKey`].
    EmptyKey,
    /// [`Error::KeyNotFound`].
    KeyNotFound,
    /// [`Error::LeaseNotFound`].
    LeaseNotFound,
    /// [`Error::LeaseExists`].
    LeaseExists,
    /// Anything else.
    Other,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        match error {
            Error::Compacted { .. } => Self::Compacted,
            Error::FutureRevision { .. } => Self::FutureRevision,
            Error::DuplicateKey { .. } => Self::DuplicateKey,
            Error::EmptyKey => Self::EmptyKey,
            Error::KeyNotFound => Self::KeyNotFound,
            Error::LeaseNotFound { .. } => Self::LeaseNotFound,
            Error::LeaseExists { .. } => Self::LeaseExists,
            _ => Self::Other,
        }
    }
}

/// Everything that may be why something is refused.
pub type Refusals = BTreeSet<Refusal>;

/// What keys hold at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The revision.
    pub revision: Revision,
    /// The keys.
    pub keys: BTreeMap<Bytes, Held>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    value: Bytes,
    created: u64,
    written: u64,
    version: u64,
    lease: i64,
}

impl Held {
    fn of(&self, key: &Bytes) -> KeyValue {
        KeyValue {
            key: key.clone(),
            value: self.value.clone(),
            create_revision: Revision(self.created),
            mod_revision: Revision(self.written),
            version: self.version,
            lease: self.lease,
        }
    }
}

/// What a branch of a transaction may write.
enum Write<'a> {
    Put(&'a Bytes),
    Delete(&'a KeyRange),
}

impl Write<'_> {
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Put(one), Self::Put(other)) => one == other,
            (Self::Put(key), Self::Delete(range)) | (Self::Delete(range), Self::Put(key)) => {
                range.contains(key)
            }
            (Self::Delete(_), Self::Delete(_)) => false,
        }
    }
}

/// What a transaction may write, whichever branches run.
fn writes<'a>(txn: &'a Txn, refusals: &mut Refusals) -> Vec<Write<'a>> {
    let mut all = Vec::new();
    for branch in [&txn.then, &txn.or_else] {
        let of_each: Vec<Vec<Write<'a>>> = branch
            .iter()
            .map(|op| match op {
                Op::Put { key, .. } => vec![Write::Put(key)],
                Op::Delete { range, .. } => vec![Write::Delete(range)],
                Op::Txn(txn) => writes(txn, refusals),
                Op::Range(..) => vec![],
            })
            .collect();
        for (index, one) in of_each.iter().enumerate() {
            let others = of_each[index + 1..].iter().flatten();
            if others.into_iter().any(|other| one.iter().any(|write| write.meets(other))) {
                refusals.insert(Refusal::DuplicateKey);
            }
        }
        all.extend(of_each.into_iter().flatten());
    }
    all
}

/// A transaction reduced to what runs of it.
enum Chosen<'a> {
    Op(&'a Op),
    Txn(bool, Vec<Chosen<'a>>),
}

impl State {
    /// An empty store's.
    #[must_use]
    pub fn empty() -> Self {
        Self { revision: Revision(1), keys: BTreeMap::new() }
    }

    fn held(&self, range: &KeyRange) -> Vec<KeyValue> {
        self.keys.iter().filter(|(key, _)| range.contains(key)).map(|(key, held)| held.of(key)).collect()
    }

    /// A page of it, whatever revision the options name.
    #[must_use]
    pub fn page(&self, range: &KeyRange, options: ListOptions) -> Page {
        let mut items = self.held(range);
        let count = items.len();
        let more = options.limit != 0 && count > options.limit && !options.count_only;
        if options.count_only {
            items.clear();
        } else if more {
            items.truncate(options.limit);
        }
        if options.keys_only {
            items.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        Page { revision: self.revision, items, more, count }
    }

    fn choose<'a>(&self, txn: &'a Txn) -> (bool, Vec<Chosen<'a>>) {
        let succeeded = txn.compare.iter().all(|compare| compare.holds(&self.held(&compare.range)));
        let ops = if succeeded { &txn.then } else { &txn.or_else };
        let chosen = ops.iter().map(|op| match op {
            Op::Txn(txn) => {
                let (succeeded, ops) = self.choose(txn);
                Chosen::Txn(succeeded, ops)
            }
            op => Chosen::Op(op),
        });
        (succeeded, chosen.collect())
    }

    /// Does a transaction: the answer, and what watches see of it.
    ///
    /// # Errors
    ///
    /// Why it is refused; nothing of it is done then.
    pub fn commit(
        &mut self,
        txn: &Txn,
        leases: impl Fn(i64) -> bool,
        past: impl Fn(&KeyRange, ListOptions) -> Result<Page, Refusal>,
    ) -> Result<(Committed, Vec<Event>), Refusals> {
        let mut refusals = Refusals::new();
        writes(txn, &mut refusals);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let before = self.clone();
        let (succeeded, chosen) = before.choose(txn);
        let mut doing = Doing { before: &before, state: self, leases, past, events: Vec::new(), refusals };
        let mut results = doing.all(&chosen);
        let (events, refusals) = (doing.events, doing.refusals);
        if !refusals.is_empty() {
            *self = before;
            return Err(refusals);
        }
        if !events.is_empty() {
            self.revision = self.revision.next();
        }
        stamp(&mut results, self.revision);
        Ok((Committed { succeeded, revision: self.revision, results }, events))
    }
}

/// Gives the transactions within the revision of the outermost.
fn stamp(results: &mut [OpResult], revision: Revision) {
    for result in results {
        if let OpResult::Txn(inner) = result {
            inner.revision = revision;
            stamp(&mut inner.results, revision);
        }
    }
}

struct Doing<'a, L, P> {
    before: &'a State,
    state: &'a mut State,
    leases: L,
    past: P,
    events: Vec<Event>,
    refusals: Refusals,
}

impl<L, P> Doing<'_, L, P>
where
    L: Fn(i64) -> bool,
    P: Fn(&KeyRange, ListOptions) -> Result<Page, Refusal>,
{
    fn all(&mut self, chosen: &[Chosen<'_>]) -> Vec<OpResult> {
        chosen
            .iter()
            .map(|chosen| match chosen {
                Chosen::Txn(succeeded, ops) => OpResult::Txn(Committed {
                    succeeded: *succeeded,
                    revision: Revision::NONE,
                    results: self.all(ops),
                }),
                Chosen::Op(op) => self.one(op),
            })
            .collect()
    }

    fn one(&mut self, op: &Op) -> OpResult {
        let at = self.before.revision.next();
        match op {
            Op::Range(range, options) if options.at.is_some_and(|at| at != Revision::NONE) => {
                OpResult::Range((self.past)(range, *options).unwrap_or_else(|refusal| {
                    self.refusals.insert(refusal);
                    Page::default()
                }))
            }
            Op::Range(range, options) => {
                let mut page = self.state.page(range, *options);
                if !self.events.is_empty() {
                    page.revision = at;
                }
                OpResult::Range(page)
            }
            Op::Put { key, value, lease, previous } => {
                if lease.is_some_and(|lease| lease != 0 && !(self.leases)(lease)) {
                    self.refusals.insert(Refusal::LeaseNotFound);
                }
                let held = self.state.keys.get(key).cloned();
                if held.is_none() && (value.is_none() || lease.is_none()) {
                    self.refusals.insert(Refusal::KeyNotFound);
                }
                let now = Held {
                    value: value.clone().or_else(|| Some(held.as_ref()?.value.clone())).unwrap_or_default(),
                    created: held.as_ref().map_or(at.0, |held| held.created),
                    written: at.0,
                    version: held.as_ref().map_or(1, |held| held.version + 1),
                    lease: lease.or_else(|| Some(held.as_ref()?.lease)).unwrap_or_default(),
                };
                let before = held.map(|held| held.of(key));
                self.events.push(Event { kind: EventKind::Put, kv: now.of(key), previous: before.clone() });
                self.state.keys.insert(key.clone(), now);
                OpResult::Put(before.filter(|_| *previous))
            }
            Op::Delete { range, previous } => {
                let gone = self.state.held(range);
                for kv in &gone {
                    self.state.keys.remove(&kv.key);
                    self.events.push(deletion(kv, at));
                }
                let count = gone.len();
                OpResult::Deleted { count, previous: if *previous { gone } else { Vec::new() } }
            }
            Op::Txn(_) => unreachable!("chosen before"),
        }
    }
}

fn deletion(kv: &KeyValue, at: Revision) -> Event {
    let gone = KeyValue {
        key: kv.key.clone(),
        value: Bytes::new(),
        create_revision: Revision::NONE,
        mod_revision: at,
        version: 0,
        lease: 0,
    };
    Event { kind: EventKind::Delete, kv: gone, previous: Some(kv.clone()) }
}

/// The whole of a naive store.
#[derive(Clone, Debug)]
pub struct Model {
    /// Each revision's state, and what it did; the first is the empty store's.
    history: Vec<(State, Vec<Event>)>,
    floor: Revision,
    leases: BTreeMap<i64, Duration>,
}

impl Default for Model {
    fn default() -> Self {
        Self { history: vec![(State::empty(), Vec::new())], floor: Revision(1), leases: BTreeMap::new() }
    }
}

impl Model {
    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision(self.history.len() as u64)
    }

    /// The oldest that can be read.
    #[must_use]
    pub fn floor(&self) -> Revision {
        self.floor
    }

    fn state(&self) -> &State {
        &self.history[self.history.len() - 1].0
    }

    /// A list of a range.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn list(&self, range: &KeyRange, options: ListOptions) -> Result<Page, Refusal> {
        let at = options.at.filter(|at| *at != Revision::NONE).unwrap_or(self.revision());
        if at > self.revision() {
            return Err(Refusal::FutureRevision);
        }
        if at < self.floor {
            return Err(Refusal::Compacted);
        }
        Ok(self.history[at.0 as usize - 1].0.page(range, options))
    }

    /// Does a transaction.
    ///
    /// # Errors
    ///
    /// Everything that may be why it is refused.
    pub fn commit(&mut self, txn: &Txn) -> Result<Committed, Refusals> {
        let mut state = self.state().clone();
        let known = |lease| self.leases.contains_key(&lease);
        let (committed, events) = state.commit(txn, known, |range, options| self.list(range, options))?;
        if !events.is_empty() {
            self.history.push((state, events));
        }
        Ok(committed)
    }

    /// Compacts.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn compact(&mut self, to: Revision) -> Result<(), Refusal> {
        if to > self.revision() {
            return Err(Refusal::FutureRevision);
        }
        if to <= self.floor {
            return Err(Refusal::Compacted);
        }
        self.floor = to;
        Ok(())
    }

    /// Makes a lease.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn grant(&mut self, id: i64, ttl: Duration) -> Result<(), Refusal> {
        match self.leases.contains_key(&id) {
            true => Err(Refusal::LeaseExists),
            false => {
                self.leases.insert(id, ttl);
                Ok(())
            }
        }
    }

    /// Ends a lease, and its keys.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn revoke(&mut self, id: i64) -> Result<Revision, Refusal> {
        let keys = self.lease_keys(id)?;
        self.leases.remove(&id);
        let gone = keys.into_iter().map(|key| Op::delete(KeyRange::single(key)));
        let txn = Txn { then: gone.collect(), ..Txn::default() };
        Ok(self.commit(&txn).map_err(|_| Refusal::Other)?.revision)
    }

    /// The keys of a lease, in order.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn lease_keys(&self, id: i64) -> Result<Vec<Bytes>, Refusal> {
        if !self.leases.contains_key(&id) {
            return Err(Refusal::LeaseNotFound);
        }
        let of_lease = self.state().keys.iter().filter(|(_, held)| held.lease == id);
        Ok(of_lease.map(|(key, _)| key.clone()).collect())
    }

    /// The leases, in order.
    #[must_use]
    pub fn leases(&self) -> Vec<i64> {
        self.leases.keys().copied().collect()
    }

    /// What a revision did to a range, with previous values; none where nothing.
    #[must_use]
    pub fn batch(&self, range: &KeyRange, revision: Revision) -> Option<WatchBatch> {
        let (_, events) = self.history.get((revision.0 as usize).checked_sub(1)?)?;
        let events: Vec<_> = events.iter().filter(|event| range.contains(&event.kv.key)).cloned().collect();
        (!events.is_empty()).then(|| WatchBatch { revision, events: events.into() })
    }
}
