//! The integration tests, one binary: a module a subject.
#![allow(missing_docs, reason = "tests are read as stories, not as API documentation")]

mod layers;
mod runtime;
mod server_kit;
mod server_write;
mod store;
