//! What readers do.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, Found};
use super::pins::Pin;
use super::{Mvcc, Writer};
use crate::store::{Error, Event, KeyRange, KeyValue, ListOptions, Page, Result, Revision};

impl Mvcc {
    /// Reads a key.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        loop {
            let at = self.published();
            match self.index.with(key, |entry| entry.at(at)) {
                Some(Found::Value(kv)) => return Ok(Some(kv)),
                // Absent, unless what `at` sees was cut meanwhile.
                None | Some(Found::Absent) if self.floor() <= at => return Ok(None),
                // The value has gone, so there is a newer one.
                _ => {}
            }
        }
    }

    /// Reads a range, in order, at one revision.
    pub(in crate::store) fn list(&self, range: &KeyRange, options: ListOptions) -> Result<Page> {
        let (at, pin) = self.pin(options.at)?;
        let page = self.page(range, at, options);
        drop(pin);
        page
    }

    /// Pins the revision that is asked for, the newest where none is.
    pub(super) fn pin(&self, at: Option<Revision>) -> Result<(Revision, Pin<'_>)> {
        loop {
            let newest = self.published();
            let asked = at.filter(|at| *at != Revision::NONE);
            if asked.is_some_and(|at| at > newest) {
                return Err(Error::FutureRevision { newest });
            }
            let at = asked.unwrap_or(newest);
            let pin = self.pins.pin(at);
            let oldest = self.floor();
            if oldest <= at {
                return Ok((at, pin));
            }
            if asked.is_some() {
                return Err(Error::Compacted { oldest });
            }
        }
    }

    /// Reads a range as of a past revision in a transaction, which sees what is not yet published.
    pub(super) fn list_assigned(
        &self,
        writer: &Writer,
        range: &KeyRange,
        at: Revision,
        options: ListOptions,
    ) -> Result<Page> {
        let (newest, oldest) = (writer.assigned, self.floor());
        if at > newest {
            return Err(Error::FutureRevision { newest });
        }
        if at < oldest {
            return Err(Error::Compacted { oldest });
        }
        self.page(range, at, options)
    }

    /// Reads a range at the newest revision, published or not; only under the writers' lock.
    pub(super) fn page_newest(&self, range: &KeyRange, options: ListOptions) -> Page {
        // No value that this reads is in the past, so it cannot fail, but for an empty key, which
        // has been refused.
        self.page(range, Revision(u64::MAX), options).unwrap_or_default()
    }

    fn page(&self, range: &KeyRange, at: Revision, options: ListOptions) -> Result<Page> {
        let mut page = Page { revision: at, ..Page::default() };
        let mut missing: Vec<(usize, u32)> = Vec::new();
        let counted = if range.as_single().is_some() { None } else { self.counted(range, at, options) };
        if let Some(count) = counted.filter(|_| options.count_only) {
            page.count = count;
            return Ok(page);
        }
        let mut visit = |entry: &Arc<Entry>| {
            let full = options.limit != 0 && page.items.len() == options.limit;
            if full && let Some(count) = counted {
                page.more = count > page.count;
                page.count = count;
                return ControlFlow::Break(());
            }
            if options.count_only || full {
                let live = entry.is_live_at(at);
                page.count += usize::from(live);
                page.more |= live && !options.count_only;
                return ControlFlow::Continue(());
            }
            let mut kv = match entry.at(at) {
                Found::Absent => return ControlFlow::Continue(()),
                Found::Value(kv) => kv,
                Found::Past(kv, index) => {
                    missing.push((page.items.len(), index));
                    kv
                }
            };
            if options.keys_only {
                kv.value = Bytes::new();
            }
            page.count += 1;
            page.items.push(kv);
            ControlFlow::Continue(())
        };
        if let Some(key) = range.as_single() {
            if key.is_empty() {
                return Err(Error::EmptyKey);
            }
            let _ = self.index.with(key, visit);
        } else {
            self.index.scan(range, &mut visit);
        }
        if !options.keys_only {
            for (item, index) in missing {
                let kv = &mut page.items[item];
                kv.value = self.past_value(kv.mod_revision, index)?;
            }
        }
        Ok(page)
    }

    /// How many keys a range holds, where that is known and the read need not look at all of them.
    fn counted(&self, range: &KeyRange, at: Revision, options: ListOptions) -> Option<usize> {
        let visible = at <= self.published();
        if visible && (options.limit != 0 || options.count_only) {
            return self.census().count(range, at);
        }
        None
    }

    /// The value that an event wrote, from the log or the past.
    pub(super) fn past_value(&self, revision: Revision, index: u32) -> Result<Bytes> {
        let index = index as usize;
        if let Some(event) = self.log().events(revision).and_then(|events| events.get(index)) {
            return Ok(event.kv.value.clone());
        }
        match &self.past {
            Some(past) => past.value(revision, index),
            None => Err(Error::Corrupt { what: format!("no value of revision {revision}").into() }),
        }
    }

    /// What a revision, which is pinned, did, from the log or the past; there without previous values.
    pub(super) fn events(&self, revision: Revision) -> Result<Arc<[Event]>> {
        let warm = self.log().events(revision).cloned();
        match (warm, &self.past) {
            (Some(events), _) => Ok(events),
            (None, Some(past)) => Ok(past.events(revision)?.into()),
            (None, None) => Ok(Arc::default()),
        }
    }

    /// The next keys of a range that are there at a revision, which is pinned: at most so many.
    pub(super) fn keys_from(&self, start: &Bytes, at: Revision, limit: usize) -> Result<Vec<KeyValue>> {
        let range = KeyRange { start: start.clone(), end: None };
        let mut keys = Vec::new();
        let mut missing = Vec::new();
        self.index.scan(&range, |entry| {
            match entry.at(at) {
                Found::Absent => {}
                Found::Value(kv) => keys.push(kv),
                Found::Past(kv, index) => {
                    missing.push((keys.len(), index));
                    keys.push(kv);
                }
            }
            if keys.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        for (item, index) in missing {
            keys[item].value = self.past_value(keys[item].mod_revision, index)?;
        }
        Ok(keys)
    }

    /// What a key held before a revision, where that is still known.
    pub(super) fn before(&self, key: &[u8], revision: Revision) -> Result<Option<KeyValue>> {
        match self.index.with(key, |entry| entry.at(Revision(revision.0 - 1))) {
            None | Some(Found::Absent) => Ok(None),
            Some(Found::Value(kv)) => Ok(Some(kv)),
            Some(Found::Past(mut kv, index)) => {
                kv.value = self.past_value(kv.mod_revision, index)?;
                Ok(Some(kv))
            }
        }
    }
}
