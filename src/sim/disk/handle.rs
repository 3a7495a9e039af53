//! What an opener holds: files and the lock. Both are worth nothing after a crash.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::machine::Machine;
use crate::store::disk::{DiskFile, DiskLock};

/// An open file.
pub(super) struct File {
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) inode: u64,
    pub(super) epoch: u64,
}

/// The directory's lock.
pub(super) struct Lock {
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) epoch: u64,
}

impl File {
    fn machine(&self) -> io::Result<MutexGuard<'_, Machine>> {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if machine.epoch() == self.epoch { Ok(machine) } else { Err(super::machine::stopped()) }
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        self.machine()?.len(self.inode)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.machine()?.read(self.inode, buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.machine()?.write(self.inode, data, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.machine()?.set_len(self.inode, length)
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.machine()?.preallocate(self.inode, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.machine()?.sync(self.inode)
    }
}

impl DiskLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if machine.epoch() == self.epoch {
            machine.unlock();
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("inode", &self.inode).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}
