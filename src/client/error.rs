//! What can go wrong in a call.

use crate::api::{DecodeError, Status};

/// What can go wrong in a call. What callers branch on is a variant; each holds the server's
/// `Status`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such object, or no such resource (404).
    #[error("{}", .0.message)]
    NotFound(Box<Status>),
    /// An object of this name exists (409).
    #[error("{}", .0.message)]
    AlreadyExists(Box<Status>),
    /// The object changed meanwhile, or its state does not allow this (409).
    #[error("{}", .0.message)]
    Conflict(Box<Status>),
    /// The revision asked for is no longer kept: list again (410).
    #[error("{}", .0.message)]
    Expired(Box<Status>),
    /// Fields of the object are invalid (422).
    #[error("{}", .0.message)]
    Invalid(Box<Status>),
    /// The caller may not (403).
    #[error("{}", .0.message)]
    Forbidden(Box<Status>),
    /// Too much at once: try again later (429).
    #[error("{}", .0.message)]
    TooManyRequests(Box<Status>),
    /// Anything else that a server says.
    #[error("{}", .0.message)]
    Api(Box<Status>),
    /// The answer was none that can be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No answer came.
    #[error("{operation}: {source}")]
    Transport {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// What the server said, if it said anything.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::NotFound(status)
            | Self::AlreadyExists(status)
            | Self::Conflict(status)
            | Self::Expired(status)
            | Self::Invalid(status)
            | Self::Forbidden(status)
            | Self::TooManyRequests(status)
            | Self::Api(status) => Some(status),
            Self::Decode(_) | Self::Transport { .. } => None,
        }
    }

    /// This error as a `Status`, for passing it on.
    #[must_use]
    pub fn into_status(self) -> Status {
        match self {
            Self::NotFound(status)
            | Self::AlreadyExists(status)
            | Self::Conflict(status)
            | Self::Expired(status)
            | Self::Invalid(status)
            | Self::Forbidden(status)
            | Self::TooManyRequests(status)
            | Self::Api(status) => *status,
            other => crate::api::status::internal(other.to_string()),
        }
    }

    /// An answer of a kind that the request does not have.
    #[must_use]
    pub fn unexpected(operation: &'static str) -> Self {
        Self::Transport { operation, source: "the answer is not of the kind that was asked for".into() }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let status = Box::new(status);
        match (status.reason.as_str(), status.code) {
            ("AlreadyExists", _) => Self::AlreadyExists(status),
            ("NotFound", _) | ("", 404) => Self::NotFound(status),
            ("Conflict", _) | ("", 409) => Self::Conflict(status),
            ("Expired" | "Gone", _) | ("", 410) => Self::Expired(status),
            ("Invalid", _) | ("", 422) => Self::Invalid(status),
            ("Forbidden", _) | ("", 403) => Self::Forbidden(status),
            ("TooManyRequests", _) | ("", 429) => Self::TooManyRequests(status),
            _ => Self::Api(status),
        }
    }
}
