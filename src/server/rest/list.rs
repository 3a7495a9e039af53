//! A list as JSON, made piece by piece from the bodies of its objects, which are there.

use bytes::{Bytes, BytesMut};

use super::body::Pieces;
use crate::api::Object;

/// How large a piece is, about: what a connection takes at a time.
const PIECE: usize = 64 * 1024;

/// A list that is being written.
pub(super) struct JsonList {
    head: Bytes,
    items: std::vec::IntoIter<Object>,
    /// Whether an object was written.
    begun: bool,
    left: u64,
}

impl JsonList {
    /// The list of these objects behind this head, which ends with the bracket that opens them.
    pub(super) fn new(head: impl Into<Bytes>, items: Vec<Object>) -> Self {
        let head = head.into();
        let objects: usize = items.iter().map(Object::encoded_len).sum();
        let left = head.len() + objects + items.len().saturating_sub(1) + "]}".len();
        Self { head, items: items.into_iter(), begun: false, left: left as u64 }
    }

    /// The whole of it.
    pub(super) fn whole(mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(usize::try_from(self.left).unwrap_or(0));
        while let Some(piece) = self.next() {
            out.extend_from_slice(&piece);
        }
        out.freeze()
    }
}

impl Pieces for JsonList {
    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let room = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE + PIECE / 4);
        let mut out = BytesMut::with_capacity(room);
        out.extend_from_slice(&std::mem::take(&mut self.head));
        while out.len() < PIECE {
            let Some(object) = self.items.next() else {
                out.extend_from_slice(b"]}");
                break;
            };
            if std::mem::replace(&mut self.begun, true) {
                out.extend_from_slice(b",");
            }
            object.encode_to(&mut out);
        }
        self.left -= out.len() as u64;
        Some(out.freeze())
    }

    fn left(&self) -> Option<u64> {
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{Resource, Revision};

    #[test]
    fn pieces_make_the_whole_and_its_size_is_known_before() {
        let row = Arc::new(Resource::of::<ConfigMap>());
        for (count, size) in [(0, 0), (1, 0), (2, 200_000), (1000, 300)] {
            let items: Vec<Object> = (0..count)
                .map(|number| {
                    let tree =
                        json!({"metadata": {"name": format!("a{number}")}, "data": {"k": "v".repeat(size)}});
                    Object::from_tree(row.clone(), Revision(number + 1), tree).unwrap()
                })
                .collect();
            let trees: Vec<Value> = items.iter().map(|object| (*object.tree()).clone()).collect();
            let mut list = JsonList::new("{\"items\":[", items.clone());
            let (size, mut out) = (list.left().unwrap(), Vec::new());
            while let Some(piece) = list.next() {
                assert!(piece.len() <= PIECE + 201_000);
                out.extend_from_slice(&piece);
            }
            assert_eq!((out.len() as u64, list.left()), (size, Some(0)));
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), json!({ "items": trees }));
            assert_eq!(JsonList::new("{\"items\":[", items).whole(), out);
        }
    }
}
