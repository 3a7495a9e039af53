//! What the example programs share.

pub(crate) mod store;
pub(crate) mod web;
