//! The Watch service.

mod events;
mod ready;
mod session;
mod watched;

pub(super) use events::{Encodings, TellEncoder};
pub(super) use session::Session;
