//! Responses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use super::Error;
use crate::api::{Object, Resource, Revision, Status};
use crate::env::BoxIo;

/// What a request is answered with.
#[non_exhaustive]
pub enum Response {
    /// One object.
    Object(Object),
    /// Many, at one revision.
    List(ObjectList),
    /// What happens, as it happens.
    Watch(WatchStream),
    /// It is done, and there is no object to show.
    Status(Box<Status>),
    /// A stream in both directions.
    Connection {
        /// The subprotocol that was chosen.
        protocol: String,
        /// The stream, behind the handshake.
        io: BoxIo,
    },
    /// Anything else, as HTTP.
    Raw(http::Response<Body>),
}

/// The body of a raw response, piece by piece.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a watch delivers, until an error ends it.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchEvent, Error>> + Send>>;

/// Many objects of one resource, at one revision.
#[derive(Clone, Debug)]
pub struct ObjectList {
    /// The row of the scheme.
    pub resource: Arc<Resource>,
    /// The revision that was read.
    pub revision: Revision,
    /// The objects, by namespace and name.
    pub items: Vec<Object>,
    /// Where the next part starts, if there is one.
    pub continue_token: Option<String>,
    /// How many there are behind this part, where that is known.
    pub remaining: Option<u64>,
}

/// Something that happened to an object of interest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// It is there, or it has come to match.
    Added(Object),
    /// It has changed.
    Modified(Object),
    /// It is gone, or it no longer matches; the object is its last state, at the revision of the
    /// deletion.
    Deleted(Object),
    /// Everything up to this revision has been delivered.
    Bookmark {
        /// The revision.
        revision: Revision,
        /// Whether this ends the initial events.
        initial_events_end: bool,
    },
}

impl WatchEvent {
    /// The revision of the event.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => object.revision(),
            Self::Bookmark { revision, .. } => *revision,
        }
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::List(list) => list.fmt(f),
            Self::Watch(_) => f.write_str("Watch"),
            Self::Status(status) => status.fmt(f),
            Self::Connection { protocol, .. } => write!(f, "Connection({protocol})"),
            Self::Raw(response) => write!(f, "Raw({})", response.status()),
        }
    }
}
