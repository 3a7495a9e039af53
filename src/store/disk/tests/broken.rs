//! A directory whose disk can be made to wait, to fail, or to have no room.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar};

use super::*;

/// The disk and its directory.
#[derive(Clone, Debug)]
pub(super) struct Broken(Arc<State>);

#[derive(Debug)]
struct State {
    _directory: TempDir,
    files: Directory,
    syncs: AtomicUsize,
    fail_syncs: AtomicBool,
    no_room: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

#[derive(Debug)]
struct BrokenFile(Box<dyn DiskFile>, Broken);

/// While this is there, syncs wait.
pub(super) struct Hold(Broken);

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.0.held.lock().unwrap() = false;
        self.0.0.released.notify_all();
    }
}

impl Broken {
    pub(super) fn new() -> Self {
        let directory = directory();
        let files = Directory::new(directory.path()).expect("a directory");
        Self(Arc::new(State {
            _directory: directory,
            files,
            syncs: AtomicUsize::default(),
            fail_syncs: AtomicBool::default(),
            no_room: AtomicBool::default(),
            held: Mutex::default(),
            released: Condvar::default(),
        }))
    }

    pub(super) fn open(&self, options: DiskOptions) -> DiskStore {
        DiskStore::open_on(Arc::new(self.clone()), &Env::system(), options).expect("the store opens")
    }

    /// How often a file was synced.
    pub(super) fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::SeqCst)
    }

    pub(super) fn fail_syncs(&self, fail: bool) {
        self.0.fail_syncs.store(fail, Ordering::SeqCst);
    }

    pub(super) fn limit_room(&self, limit: bool) {
        self.0.no_room.store(limit, Ordering::SeqCst);
    }

    pub(super) fn hold_syncs(&self) -> Hold {
        *self.0.held.lock().unwrap() = true;
        Hold(self.clone())
    }

    fn room(&self) -> io::Result<()> {
        match self.0.no_room.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Files for Broken {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(BrokenFile(self.0.files.open(name, create)?, self.clone())))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.files.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.files.remove(name)
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.files.names()
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.0.files.sync_directory()
    }
    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        self.0.files.lock()
    }
}

impl DiskFile for BrokenFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        if offset + data.len() as u64 > self.0.len()? {
            self.1.room()?;
        }
        self.0.write_at(data, offset)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.1.room()?;
        self.0.preallocate(length)
    }
    fn sync(&self) -> io::Result<()> {
        let state = &self.1.0;
        let mut held = state.held.lock().unwrap();
        while *held {
            held = state.released.wait(held).unwrap();
        }
        drop(held);
        state.syncs.fetch_add(1, Ordering::SeqCst);
        if state.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk says no"));
        }
        self.0.sync()
    }
}
