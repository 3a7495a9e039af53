//! The store on disk: one directory, no server.

pub mod files;

pub use files::{DiskFile, DiskLock, Files};
