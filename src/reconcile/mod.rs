//! Workers: the controller runtime and Kubernetes' own controllers.
//!
//! A [`Reconciler`] is level triggered: it is given a key, never an event. It looks at what is (in
//! informers), decides what should be done, does it, and will be called again when anything it
//! watches changes. So a missed event, a crash between two writes or a second controller cannot
//! leave it in a wrong state for good.
//!
//! The [`Controller`] runtime joins informers to a [`queue`](queue::Queue), the queue to workers,
//! and holds a key back until the informers have seen what its last run wrote. Every built-in
//! controller is two parts: a decision that is a pure function with tables for tests, and a thin
//! shell. None of them knows another; they meet only through stored objects.

mod controller;
mod error;
pub mod queue;
mod writes;

mod claims;
mod discovery;
mod informers;
mod pods;

mod deployment;
mod endpoint_slice;
mod garbage;
mod manager;
mod namespace;
mod namespace_content;
mod node;
mod replica_set;

pub use crate::client::{EventKind, Events, reference};
pub use controller::{Action, Controller, ControllerBuilder, Reconciler, map};
pub use error::Error;
pub use manager::{BuiltIn, ControllerManager, ControllerManagerBuilder};
