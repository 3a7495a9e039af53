//! Watches: one JSON document a line, for as long as the connection lives.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{as_status, of_tree, revision, unreadable};
use super::body::Pieces;
use super::rows::Rows;
use super::transport;
use crate::api::DecodeError;
use crate::client::{Error, Target, WatchEvent, WatchStream};

/// The longest event that is read (client-go's limit).
const EVENT_BYTES: usize = 16 * 1024 * 1024;

/// The annotation of the bookmark that ends initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// An event as it stands in its line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// The events of a watch. An error ends it, and its connection with it.
pub(super) fn events(pieces: Pieces, rows: Arc<Rows>, target: Target) -> WatchStream {
    let feed = Feed { pieces, lines: Lines::default(), rows, target };
    Box::pin(stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Ok(None) => None,
            Ok(Some(event)) => Some((Ok(event), Some(feed))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Feed {
    pieces: Pieces,
    lines: Lines,
    rows: Arc<Rows>,
    target: Target,
}

impl Feed {
    async fn next(&mut self) -> Result<Option<WatchEvent>, Error> {
        loop {
            if let Some(line) = self.lines.next() {
                return event(&self.rows, &self.target, &line).map(Some);
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => self.lines.push(&piece),
                Some(Err(error)) => return Err(transport("watch", error)),
                None if self.lines.is_empty() => return Ok(None),
                None => return Err(transport("watch", "the stream ended within an event")),
            }
            if self.lines.buffer.len() > EVENT_BYTES {
                return Err(transport("watch", "an event is larger than any object can be"));
            }
        }
    }
}

/// Bytes that come in pieces and are wanted in lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// So many bytes of the buffer are known to hold no line's end.
    seen: usize,
}

impl Lines {
    fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next line that is not blank.
    fn next(&mut self) -> Option<Bytes> {
        while let Some(offset) = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.seen + offset).freeze();
            self.buffer.advance(1);
            self.seen = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
        self.seen = self.buffer.len();
        None
    }

    /// Whether nothing is left over.
    fn is_empty(&self) -> bool {
        self.buffer.trim_ascii().is_empty()
    }
}

/// The event in a line.
fn event(rows: &Rows, target: &Target, line: &[u8]) -> Result<WatchEvent, Error> {
    let Line { kind, object } =
        serde_json::from_slice(line).map_err(|source| DecodeError::new("an event of a watch", source))?;
    match kind.as_str() {
        "ADDED" => Ok(WatchEvent::Added(of_tree(rows, target, object)?)),
        "MODIFIED" => Ok(WatchEvent::Modified(of_tree(rows, target, object)?)),
        "DELETED" => Ok(WatchEvent::Deleted(of_tree(rows, target, object)?)),
        "BOOKMARK" => Ok(WatchEvent::Bookmark {
            revision: revision(&object),
            initial_events_end: object["metadata"]["annotations"][INITIAL_END] == "true",
        }),
        "ERROR" => match as_status(&object) {
            Some(status) => Err(status.into()),
            None => Err(unreadable("an event of a watch", "an error that is no Status")),
        },
        _ => Err(unreadable("an event of a watch", "its type is not known")),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::api::{Resource, Revision, Scheme};

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"one\n\ntwo\r\nthree\nfo";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next() {
                    found.push(String::from_utf8(line.trim_ascii().to_vec()).unwrap());
                }
            }
            assert_eq!(found, ["one", "two", "three"], "{size}");
            assert!(!lines.is_empty());
        }
    }

    #[test]
    fn events_are_read_and_errors_are_their_status() {
        let rows = Rows::new(Scheme::builtin());
        let target = Target::all(&Resource::of::<Pod>());
        let read = |tree: Value| event(&rows, &target, tree.to_string().as_bytes());
        let pod = json!({"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "a", "namespace": "b", "resourceVersion": "5"}});
        let added = read(json!({"type": "ADDED", "object": pod})).unwrap();
        assert!(matches!(&added, WatchEvent::Added(object) if object.key().to_string() == "b/a"));
        assert_eq!(added.revision(), Revision(5));
        let end = json!({"metadata": {"resourceVersion": "6", "annotations": {"k8s.io/initial-events-end": "true"}}});
        let end = read(json!({"type": "BOOKMARK", "object": end})).unwrap();
        assert!(matches!(end, WatchEvent::Bookmark { revision: Revision(6), initial_events_end: true }));
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "reason": "Expired", "code": 410, "message": "too old"});
        assert!(matches!(read(json!({"type": "ERROR", "object": status})), Err(Error::Expired(_))));
        for bad in [json!({"type": "NEWS", "object": {}}), json!({"type": "ERROR", "object": {}}), json!([])]
        {
            assert!(matches!(read(bad), Err(Error::Decode(_))));
        }
    }
}
