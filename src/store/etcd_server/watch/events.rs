//! Events, encoded once for all who watch them.
//!
//! Watches of one range share their batches ([`WatchBatch::events`]), and of a `WatchResponse` only
//! the head differs between watchers: field 11, the events, may be put behind it as bytes that were
//! encoded before. A table remembers the bytes of the batches seen last, by the batch's identity.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use prost::Message;

use crate::store::etcd_server::convert;
use crate::store::etcd_server::proto;
use crate::store::{Event, EventKind, WatchBatch};

/// Places in the table.
const PLACES: usize = 256;
/// The longest encoding that has a place; longer ones share one, so that the table is never big.
const LONG: usize = 64 * 1024;
/// The field of a `WatchResponse` that holds its events.
const EVENTS: u32 = 11;

/// What of a batch a watcher wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) previous: bool,
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
}

impl View {
    /// One number for each of the eight views.
    fn number(self) -> usize {
        usize::from(self.previous) | usize::from(self.no_put) << 1 | usize::from(self.no_delete) << 2
    }

    fn shows(self, event: &Event) -> bool {
        match event.kind {
            EventKind::Put => !self.no_put,
            EventKind::Delete => !self.no_delete,
        }
    }

    /// An event as field 11, appended.
    fn encode(self, event: &Event, to: &mut BytesMut) {
        let event = proto::Event {
            r#type: match event.kind {
                EventKind::Put => proto::EventType::Put,
                EventKind::Delete => proto::EventType::Delete,
            }
            .into(),
            kv: Some(convert::key_value(event.kv.clone())),
            prev_kv: event.previous.clone().filter(|_| self.previous).map(convert::key_value),
        };
        prost::encoding::message::encode(EVENTS, &event, to);
    }

    /// All events that the view shows, each as field 11.
    fn encode_all(self, events: &[Event]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(events.iter().map(|event| self.estimate(event)).sum());
        for event in events.iter().filter(|event| self.shows(event)) {
            self.encode(event, &mut bytes);
        }
        bytes.freeze()
    }

    fn estimate(self, event: &Event) -> usize {
        let kv = |kv: &crate::store::KeyValue| kv.key.len() + kv.value.len() + 40;
        kv(&event.kv) + event.previous.as_ref().filter(|_| self.previous).map_or(0, kv)
    }
}

/// The encodings of the batches seen last.
pub(in crate::store::etcd_server) struct Encodings {
    places: Vec<Mutex<Place>>,
    long: Mutex<Place>,
}

/// The encodings of one batch.
#[derive(Default)]
struct Place {
    /// Held weakly: its place in memory cannot become another's, while the events themselves can go.
    batch: Option<Weak<[Event]>>,
    views: [Option<Bytes>; 8],
}

impl Encodings {
    pub(in crate::store::etcd_server) fn new() -> Self {
        let places = std::iter::repeat_with(Mutex::default).take(PLACES).collect();
        Self { places, long: Mutex::default() }
    }

    /// A batch's events as a watcher wants them; empty where it wants to see none of them.
    pub(super) fn get(&self, batch: &WatchBatch, view: View) -> Bytes {
        let length: usize = batch.events.iter().map(|event| view.estimate(event)).sum();
        let place = if length > LONG {
            &self.long
        } else {
            &self.places[(batch.revision.0 % PLACES as u64) as usize]
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let known = place
            .batch
            .as_ref()
            .is_some_and(|held| std::ptr::addr_eq(held.as_ptr(), Arc::as_ptr(&batch.events)));
        if !known {
            *place = Place { batch: Some(Arc::downgrade(&batch.events)), views: Default::default() };
        }
        place.views[view.number()].get_or_insert_with(|| view.encode_all(&batch.events)).clone()
    }
}

/// A batch's events in parts of less than `limit` bytes each, or of one event.
pub(super) fn parts(batch: &WatchBatch, view: View, limit: usize) -> Vec<Bytes> {
    let mut parts = Vec::new();
    let mut part = BytesMut::new();
    for event in batch.events.iter().filter(|event| view.shows(event)) {
        let mut one = BytesMut::with_capacity(view.estimate(event));
        view.encode(event, &mut one);
        if !part.is_empty() && part.len() + one.len() >= limit {
            parts.push(part.split().freeze());
        }
        part.unsplit(one);
    }
    parts.push(part.freeze());
    parts
}

/// An answer to a watch: a head, and events that are encoded already.
#[derive(Debug)]
pub(in crate::store::etcd_server) struct Told {
    pub(super) head: proto::WatchResponse,
    pub(super) events: Vec<Bytes>,
}

impl From<proto::WatchResponse> for Told {
    fn from(head: proto::WatchResponse) -> Self {
        Self { head, events: Vec::new() }
    }
}

/// Writes [`Told`].
pub(in crate::store::etcd_server) struct TellEncoder;

impl tonic::codec::Encoder for TellEncoder {
    type Item = Told;
    type Error = tonic::Status;

    fn encode(&mut self, told: Told, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        use bytes::BufMut;
        to.reserve(told.head.encoded_len() + told.events.iter().map(Bytes::len).sum::<usize>());
        told.head.encode_raw(to);
        for events in told.events {
            to.put_slice(&events);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> tonic::codec::BufferSettings {
        crate::store::etcd_server::codec::buffers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyValue, Revision};

    fn event(kind: EventKind, key: &'static str, value: &'static str) -> Event {
        let kv = |value: &'static str, at| KeyValue {
            key: key.into(),
            value: value.into(),
            create_revision: Revision(2),
            mod_revision: Revision(at),
            version: 2,
            lease: 0,
        };
        Event { kind, kv: kv(value, 7), previous: Some(kv("before", 2)) }
    }

    fn batch() -> WatchBatch {
        let events = [event(EventKind::Put, "a", "one"), event(EventKind::Delete, "b", "")];
        WatchBatch { revision: Revision(7), events: events.into() }
    }

    fn decode(events: Bytes) -> Vec<proto::Event> {
        proto::WatchResponse::decode(events).unwrap().events
    }

    #[test]
    fn each_view_shows_its_part_and_is_encoded_once() {
        let (encodings, batch) = (Encodings::new(), batch());
        let whole = encodings.get(&batch, View::default());
        assert_eq!(whole.as_ptr(), encodings.get(&batch, View::default()).as_ptr());
        let seen = decode(whole);
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|event| event.prev_kv.is_none()));
        let previous = decode(encodings.get(&batch, View { previous: true, ..View::default() }));
        assert_eq!(previous[0].prev_kv.as_ref().unwrap().value, "before");
        let deletes = decode(encodings.get(&batch, View { no_put: true, ..View::default() }));
        assert_eq!(deletes.len(), 1);
        assert_eq!(deletes[0].r#type(), proto::EventType::Delete);
        let none = View { no_put: true, no_delete: true, ..View::default() };
        assert!(encodings.get(&batch, none).is_empty());
    }

    #[test]
    fn another_batch_of_the_same_revision_is_not_mistaken_for_it() {
        let (encodings, first) = (Encodings::new(), batch());
        encodings.get(&first, View::default());
        let second = WatchBatch { revision: Revision(7), events: [event(EventKind::Put, "c", "two")].into() };
        assert_eq!(decode(encodings.get(&second, View::default()))[0].kv.as_ref().unwrap().key, "c");
    }

    #[test]
    fn parts_stay_below_their_limit_and_hold_everything() {
        let events: Arc<[Event]> = (0..10).map(|_| event(EventKind::Put, "key", "value")).collect();
        let batch = WatchBatch { revision: Revision(7), events };
        let one = encodings_length(&batch) / 10;
        let split = parts(&batch, View::default(), one * 4);
        assert!(split.iter().all(|part| part.len() < one * 4) && split.len() == 4);
        assert_eq!(split.into_iter().flat_map(decode).count(), 10);
        assert_eq!(parts(&batch, View::default(), 1).len(), 10);
    }

    fn encodings_length(batch: &WatchBatch) -> usize {
        View::default().encode_all(&batch.events).len()
    }
}
