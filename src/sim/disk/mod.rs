//! A disk that is simulated whole, and that does everything which a real one may do.
//!
//! [`SimDisk`] is the [`Files`] of one directory, in memory. It keeps for each file what the system
//! shows, what would be there after a power cut, and the changes in between; the same for the names
//! of files. Every call is an I/O boundary: they are counted, and at each the machine can crash or
//! the call can fail ([`SimDisk::inject`]). After a crash nothing works any more, so that whoever
//! still holds a file cannot change it, until [`SimDisk::restart`] decides what is left.
//!
//! ```text
//!   write ──► cached ──────────────────► reads
//!               │ pending: kept by chance at a crash (Loss)
//!   sync  ──► durable ─────────────────► what a restart finds
//! ```
//!
//! A sync that fails throws its changes at the disk as a crash would and then forgets them: a later
//! sync succeeds without having written them, while reads go on to show them. Linux does that (see
//! "PostgreSQL vs. fsync", FOSDEM 2019).
//!
//! Everything follows from a seed.

mod content;
mod coverage;
mod flip;
mod handle;
mod loss;
mod machine;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::env::Random;
use crate::store::disk::{DiskFile, DiskLock, Files};

use self::handle::{File, Lock};
use self::machine::Machine;

pub use flip::{Flip, Rest};
pub use loss::Loss;

/// A directory on a simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Machine>>);

/// What happens at an I/O boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The machine stops before the call has answered; what it did is as little synced as the rest.
    Crash,
    /// The call fails so. A write has then been done up to some byte, and a sync has lost what it
    /// was to make durable, or part of it.
    Fail(io::ErrorKind),
}

impl SimDisk {
    /// An empty directory on a disk without bounds.
    #[must_use]
    pub fn new(random: &Random) -> Self {
        Self(Arc::new(Mutex::new(Machine::new(random.stream("disk")))))
    }

    /// How many I/O boundaries there have been, since the disk was made.
    #[must_use]
    pub fn boundaries(&self) -> u64 {
        self.machine().boundaries()
    }

    /// Lets something happen at a boundary, counted from the one that comes next: 0 is that one.
    pub fn inject(&self, boundary: u64, fault: Fault) {
        self.machine().inject(boundary, fault);
    }

    /// Takes back what was injected and has not happened.
    pub fn calm(&self) {
        self.machine().calm();
    }

    /// Bounds the room that files may take, in bytes; none for no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine().set_capacity(bytes);
    }

    /// How much room files take, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.machine().used()
    }

    /// The machine stops: every call fails from now on, until it is restarted.
    pub fn crash(&self) {
        self.machine().crash();
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.machine().is_crashed()
    }

    /// The machine starts again, with what is left of what was not synced. Files that were open stay
    /// useless; locks are gone.
    pub fn restart(&self, loss: Loss) {
        self.machine().restart(loss);
    }

    /// How many syncs have made anything durable.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.machine().syncs()
    }

    /// Says that something newer has been made durable since so many syncs, so that what they covered
    /// is [`Rest::Superseded`] from now on.
    pub fn supersede(&self, syncs: u64) {
        self.machine().supersede(syncs);
    }

    /// Flips one bit of what is at rest in a file, as if it had never been cached. None where there
    /// is nothing of that class.
    pub fn flip(&self, rest: Rest) -> Option<Flip> {
        self.machine().flip(rest)
    }

    /// Flips this bit, or flips it back.
    pub fn flip_at(&self, flip: &Flip) {
        self.machine().flip_at(flip);
    }

    /// The last calls, oldest first, each with its number from 0 on.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.machine().trace()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for SimDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.machine();
        let epoch = machine.epoch();
        let inode = machine.open(name, create)?;
        Ok(Box::new(File { machine: self.0.clone(), inode, epoch }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.machine().rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.machine().remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.machine().names()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.machine().sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        let mut machine = self.machine();
        machine.lock()?;
        Ok(Box::new(Lock { machine: self.0.clone(), epoch: machine.epoch() }))
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine();
        f.debug_struct("SimDisk")
            .field("boundaries", &machine.boundaries())
            .field("crashed", &machine.is_crashed())
            .finish_non_exhaustive()
    }
}
