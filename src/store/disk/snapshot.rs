//! A store from a snapshot.

use std::path::Path;

use super::files::Files;
use super::log::{self, Import};
use super::{Directory, DiskStore};
use crate::env::Env;
use crate::store::snapshot::{Piece, Reader};
use crate::store::{Result, SnapshotStream};

impl DiskStore {
    /// Makes the directory's store from a snapshot of any store of ours. It is there as a whole or not
    /// at all; open it then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end it leaves no store behind.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] when there is a store already, or the disk fails;
    /// [`crate::store::Error::Corrupt`] when the snapshot is damaged or not all of it came; and
    /// those of the stream.
    pub async fn restore(path: impl AsRef<Path> + Send, snapshot: SnapshotStream) -> Result<()> {
        let directory = Directory::new(path)
            .map_err(|source| log::unavailable("opening the store's directory", source))?;
        Self::restore_on(&directory, &Env::system(), snapshot).await
    }

    /// Makes a store of these files from a snapshot, as [`DiskStore::restore`].
    ///
    /// # Errors
    ///
    /// As [`DiskStore::restore`].
    pub async fn restore_on(files: &dyn Files, env: &Env, snapshot: SnapshotStream) -> Result<()> {
        let _lock = files.lock().map_err(|source| log::unavailable("locking the store", source))?;
        let salt = env.random.stream("store/disk/restore").next_u64() as u32;
        let mut import = Import::begin(files, salt)?;
        let mut reader = Reader::new(snapshot);
        while let Some(piece) = reader.next().await? {
            match piece {
                Piece::Head { floor, revision } => import.head(floor, revision),
                Piece::Leases(leases) => import.leases(&leases)?,
                Piece::State(keys) => import.state(keys),
                Piece::Revision(at, events) => import.revision(at, &events)?,
            }
        }
        import.finish()
    }
}
