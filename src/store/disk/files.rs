//! The files of a directory, as the disk store asks for them.
//!
//! The store reaches the disk through [`Files`] alone, so that a simulated disk can stand in for a
//! real one and lose, tear, reorder and damage what a real one may. All calls block; the store
//! makes them where blocking is allowed.

use std::fmt;
use std::io;

/// The files of one directory.
///
/// # Contract
///
/// What is written survives a crash only once it was synced: the content and length of a file by
/// [`DiskFile::sync`], the names of files (created, renamed, removed) by [`Files::sync_directory`].
/// Until then a crash may keep all, none, or any part of it, in any order.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Opens a file, made where there is none if `create`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when there is none, and whatever the disk says.
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name; a file that had it is gone.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in order.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes the names of files durable.
    ///
    /// # Errors
    ///
    /// Whatever the disk says. What was not synced before may be lost, also to later calls that succeed.
    fn sync_directory(&self) -> io::Result<()>;

    /// Locks the directory against every other store, until the lock is dropped.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when somebody holds it.
    fn lock(&self) -> io::Result<Box<dyn DiskLock>>;
}

/// An open file. Several may be open on one file and see each other's writes.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before, and whatever the disk says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of the data from `offset` on; the file grows where it must.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] and whatever the disk says; part of the data may be written.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeroes.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Reserves room so that writes below `length` need no more of it, and lengthens the file to it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] and whatever the disk says.
    fn preallocate(&self, length: u64) -> io::Result<()>;

    /// Makes the content and length durable (`fdatasync`).
    ///
    /// # Errors
    ///
    /// Whatever the disk says. What was not synced before may be lost, also to later calls that succeed.
    fn sync(&self) -> io::Result<()>;
}

/// A lock on a directory; dropping it releases it.
pub trait DiskLock: fmt::Debug + Send + Sync {}
