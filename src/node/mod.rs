//! The node agent: bound pods become containers, containers become status.

pub mod lifecycle;
