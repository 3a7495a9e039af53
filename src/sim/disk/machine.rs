//! What the disk holds, and what each call does to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;

use super::Fault;
use super::content::{BLOCK, Content};
use super::coverage::Coverage;
use super::loss::{Change, Loss, coin};
use crate::env::Stream;

/// How many calls the trace keeps.
const TRACED: usize = 48;

/// The disk and the machine around it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) chance: Stream,
    pub(super) inodes: BTreeMap<u64, Inode>,
    /// What the system shows.
    names: BTreeMap<String, u64>,
    /// What would be there after a power cut.
    pub(super) durable_names: BTreeMap<String, u64>,
    /// What was done to names since the directory was synced.
    pending_names: Vec<Naming>,
    next_inode: u64,
    locked: bool,
    crashed: bool,
    /// How often it has been restarted: what was opened before is useless.
    epoch: u64,
    boundaries: u64,
    faults: BTreeMap<u64, Fault>,
    capacity: Option<u64>,
    /// How many syncs have covered anything; each has the number that it made.
    syncs: u64,
    /// The syncs up to this one are superseded.
    pub(super) superseded: u64,
    trace: VecDeque<Traced>,
}

/// A file, whatever its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Content,
    pub(super) cached: Content,
    pending: Vec<Change>,
    /// Up to where room has been reserved.
    reserved: u64,
    pub(super) coverage: Coverage,
}

/// Which names came to mean what, in one step.
type Naming = Vec<(String, Option<u64>)>;

/// What is called at a boundary.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Open,
    Rename,
    Remove,
    Names,
    SyncDirectory,
    Lock,
    Len,
    /// So many bytes from this offset on.
    Read(u64, u64),
    /// So many bytes from this offset on.
    Write(u64, u64),
    SetLen(u64),
    Preallocate(u64),
    Sync,
}

#[derive(Clone, Debug)]
struct Traced {
    boundary: u64,
    call: Call,
    names: [String; 2],
    fault: Option<Fault>,
}

/// What every call answers when the machine has stopped.
pub(super) fn stopped() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}

fn injected(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "injected")
}

impl Machine {
    pub(super) fn new(chance: Stream) -> Self {
        Self {
            chance,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            next_inode: 0,
            locked: false,
            crashed: false,
            epoch: 0,
            boundaries: 0,
            faults: BTreeMap::new(),
            capacity: None,
            syncs: 0,
            superseded: 0,
            trace: VecDeque::new(),
        }
    }

    pub(super) fn boundaries(&self) -> u64 {
        self.boundaries
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn is_crashed(&self) -> bool {
        self.crashed
    }

    pub(super) fn crash(&mut self) {
        self.crashed = true;
    }

    pub(super) fn inject(&mut self, boundary: u64, fault: Fault) {
        self.faults.insert(self.boundaries + boundary, fault);
    }

    pub(super) fn calm(&mut self) {
        self.faults.clear();
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(super) fn supersede(&mut self, syncs: u64) {
        self.superseded = self.superseded.max(syncs);
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.iter().map(ToString::to_string).collect()
    }

    /// Starts again with what is left.
    pub(super) fn restart(&mut self, loss: Loss) {
        let loss = loss.decide(&self.chance);
        self.epoch += 1;
        self.crashed = false;
        self.locked = false;
        if loss == Loss::Process {
            return;
        }
        self.settle_names(loss);
        self.names = self.durable_names.clone();
        let named: BTreeSet<_> = self.names.values().copied().collect();
        self.inodes.retain(|inode, _| named.contains(inode));
        // What is kept by chance came with the newest sync, or rather might have.
        let kept = self.syncs.max(1);
        for inode in self.inodes.values_mut() {
            inode.settle(loss, &self.chance, kept);
            inode.cached = inode.durable.clone();
            // Reservations are as durable as the length that goes with them.
            inode.reserved = inode.reserved.min(inode.durable.len());
        }
    }

    /// Puts what is left of the changes of names on the disk and forgets the rest.
    fn settle_names(&mut self, loss: Loss) {
        let pending = std::mem::take(&mut self.pending_names);
        let left = loss.names(pending.len(), &self.chance);
        for (naming, left) in pending.into_iter().zip(left) {
            for (name, inode) in naming.into_iter().filter(|_| left) {
                match inode {
                    Some(inode) => self.durable_names.insert(name, inode),
                    None => self.durable_names.remove(&name),
                };
            }
        }
    }

    /// Counts a boundary. What is injected at it comes back; a crash has happened then.
    fn enter(&mut self, call: Call, names: [&str; 2]) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(stopped());
        }
        let boundary = self.boundaries;
        self.boundaries += 1;
        let fault = self.faults.remove(&boundary);
        if self.trace.len() == TRACED {
            self.trace.pop_front();
        }
        self.trace.push_back(Traced { boundary, call, names: names.map(str::to_owned), fault });
        self.crashed = fault == Some(Fault::Crash);
        Ok(fault)
    }

    /// The same for a call that either happens as a whole or not at all; on a crash it happens, as
    /// something that nobody synced.
    fn enter_whole(&mut self, call: Call, names: [&str; 2]) -> io::Result<Option<Fault>> {
        match self.enter(call, names)? {
            Some(Fault::Fail(kind)) => Err(injected(kind)),
            fault => Ok(fault),
        }
    }

    /// The same for a call that changes nothing.
    fn enter_reading(&mut self, call: Call, names: [&str; 2]) -> io::Result<()> {
        answer(self.enter_whole(call, names)?)
    }

    pub(super) fn open(&mut self, name: &str, create: bool) -> io::Result<u64> {
        let fault = self.enter_whole(Call::Open, [name, ""])?;
        if let Some(inode) = self.names.get(name) {
            let inode = *inode;
            return answer(fault).map(|()| inode);
        }
        if !create {
            answer(fault)?;
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such file")));
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.give(vec![(name.to_owned(), Some(inode))]);
        answer(fault).map(|()| inode)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let fault = self.enter_whole(Call::Rename, [from, to])?;
        let Some(inode) = self.names.get(from).copied() else {
            answer(fault)?;
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{from}: no such file")));
        };
        if from != to {
            self.give(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        }
        answer(fault)
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let fault = self.enter_whole(Call::Remove, [name, ""])?;
        if !self.names.contains_key(name) {
            answer(fault)?;
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such file")));
        }
        self.give(vec![(name.to_owned(), None)]);
        answer(fault)
    }

    pub(super) fn names(&mut self) -> io::Result<Vec<String>> {
        self.enter_reading(Call::Names, ["", ""])?;
        Ok(self.names.keys().cloned().collect())
    }

    pub(super) fn sync_directory(&mut self) -> io::Result<()> {
        let fault = self.enter(Call::SyncDirectory, ["", ""])?;
        match fault {
            None => self.settle_names(Loss::Nothing),
            Some(Fault::Crash) => {}
            Some(Fault::Fail(_)) => self.settle_names(Loss::Each),
        }
        answer(fault)
    }

    pub(super) fn lock(&mut self) -> io::Result<()> {
        self.enter_reading(Call::Lock, ["", ""])?;
        if self.locked {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the directory is locked"));
        }
        self.locked = true;
        Ok(())
    }

    pub(super) fn unlock(&mut self) {
        self.locked = false;
    }

    fn give(&mut self, naming: Naming) {
        for (name, inode) in &naming {
            match inode {
                Some(inode) => self.names.insert(name.clone(), *inode),
                None => self.names.remove(name),
            };
        }
        self.pending_names.push(naming);
    }

    fn name_of(&self, inode: u64) -> &str {
        let named = self.names.iter().find(|(_, other)| **other == inode);
        named.map_or("(removed)", |(name, _)| name)
    }

    fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.entry(inode).or_default()
    }

    pub(super) fn len(&mut self, inode: u64) -> io::Result<u64> {
        let name = self.name_of(inode).to_owned();
        self.enter_reading(Call::Len, [&name, ""])?;
        Ok(self.inode(inode).cached.len())
    }

    pub(super) fn read(&mut self, inode: u64, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let name = self.name_of(inode).to_owned();
        self.enter_reading(Call::Read(buffer.len() as u64, offset), [&name, ""])?;
        if self.inode(inode).cached.read(buffer, offset) {
            return Ok(());
        }
        let length = self.inode(inode).cached.len();
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{name}: {} bytes at {offset} wanted, {length} there", buffer.len()),
        ))
    }

    pub(super) fn write(&mut self, inode: u64, data: &[u8], offset: u64) -> io::Result<()> {
        let name = self.name_of(inode).to_owned();
        let fault = self.enter(Call::Write(data.len() as u64, offset), [&name, ""])?;
        let fits = self.fits(inode, offset, data.len());
        let done = match fault {
            Some(Fault::Fail(_)) => fits.min(self.chance.below(data.len() as u64) as usize),
            _ => fits,
        };
        if done > 0 {
            let target = self.inode(inode);
            let end = offset + done as u64;
            if end > target.cached.len() {
                target.pending.push(Change::Grow(end));
            }
            target.cached.write(&data[..done], offset);
            target.pending.push(Change::Write(offset, data[..done].to_vec()));
        }
        answer(fault)?;
        if done < data.len() { Err(full()) } else { Ok(()) }
    }

    pub(super) fn set_len(&mut self, inode: u64, length: u64) -> io::Result<()> {
        let name = self.name_of(inode).to_owned();
        let fault = self.enter_whole(Call::SetLen(length), [&name, ""])?;
        let target = self.inode(inode);
        if length < target.cached.len() {
            target.pending.push(Change::Cut(length));
            target.reserved = target.reserved.min(length);
        } else {
            target.pending.push(Change::Grow(length));
        }
        target.cached.resize(length);
        answer(fault)
    }

    pub(super) fn preallocate(&mut self, inode: u64, length: u64) -> io::Result<()> {
        let name = self.name_of(inode).to_owned();
        let fault = self.enter_whole(Call::Preallocate(length), [&name, ""])?;
        let before = self.inode(inode).room();
        let target = self.inode(inode);
        let reserved = target.reserved;
        target.reserved = reserved.max(length);
        let more = target.room().saturating_sub(before);
        if self.capacity.is_some_and(|capacity| self.used() > capacity) && more > 0 {
            self.inode(inode).reserved = reserved;
            answer(fault)?;
            return Err(full());
        }
        let target = self.inode(inode);
        if length > target.cached.len() {
            target.pending.push(Change::Grow(length));
            target.cached.resize(length);
        }
        answer(fault)
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let name = self.name_of(inode).to_owned();
        let fault = self.enter(Call::Sync, [&name, ""])?;
        let loss = match fault {
            None => Loss::Nothing,
            Some(Fault::Crash) => return answer(fault),
            Some(Fault::Fail(_)) if coin(&self.chance) => Loss::Everything,
            Some(Fault::Fail(_)) => Loss::Sectors,
        };
        let sync = self.syncs + 1;
        let chance = self.chance.clone();
        if self.inode(inode).settle(loss, &chance, sync) {
            self.syncs = sync;
        }
        answer(fault)
    }

    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().collect();
        named.into_iter().filter_map(|inode| self.inodes.get(inode)).map(Inode::room).sum()
    }

    /// How much of a write finds room.
    fn fits(&mut self, inode: u64, offset: u64, length: usize) -> usize {
        let Some(capacity) = self.capacity else { return length };
        let mut free = capacity.saturating_sub(self.used()) / BLOCK;
        let target = self.inode(inode);
        let mut at = offset;
        while at < offset + length as u64 {
            if at >= target.reserved.next_multiple_of(BLOCK) && !target.cached.is_taken(at) {
                if free == 0 {
                    break;
                }
                free -= 1;
            }
            at = (at / BLOCK + 1) * BLOCK;
        }
        length.min(at.saturating_sub(offset) as usize)
    }
}

impl Inode {
    /// Puts what is left of the changes on the disk, as done by this sync, and forgets the rest.
    /// Answers whether there was anything.
    fn settle(&mut self, loss: Loss, chance: &Stream, sync: u64) -> bool {
        let changes = loss.changes(std::mem::take(&mut self.pending), chance);
        let mut any = false;
        for change in changes {
            match change {
                Change::Write(offset, data) => {
                    self.durable.write(&data, offset);
                    self.coverage.cover(offset..offset + data.len() as u64, sync);
                    any |= !data.is_empty();
                }
                Change::Grow(length) => self.durable.resize(length.max(self.durable.len())),
                Change::Cut(length) => {
                    self.durable.resize(length.min(self.durable.len()));
                    self.coverage.clear(&(length..u64::MAX));
                }
            }
        }
        any
    }

    /// How much room it takes, in bytes.
    fn room(&self) -> u64 {
        self.reserved.next_multiple_of(BLOCK) + self.cached.taken_from(self.reserved) * BLOCK
    }
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on the simulated disk")
}

/// What a call answers that has done its work.
fn answer(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::Crash) => Err(stopped()),
        Some(Fault::Fail(kind)) => Err(injected(kind)),
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, to] = &self.names;
        write!(f, "{}: ", self.boundary)?;
        match self.call {
            Call::Open => write!(f, "open {name}"),
            Call::Rename => write!(f, "rename {name} to {to}"),
            Call::Remove => write!(f, "remove {name}"),
            Call::Names => write!(f, "names"),
            Call::SyncDirectory => write!(f, "sync the directory"),
            Call::Lock => write!(f, "lock"),
            Call::Len => write!(f, "length of {name}"),
            Call::Read(length, offset) => write!(f, "read {length} bytes of {name} at {offset}"),
            Call::Write(length, offset) => write!(f, "write {length} bytes to {name} at {offset}"),
            Call::SetLen(length) => write!(f, "set the length of {name} to {length}"),
            Call::Preallocate(length) => write!(f, "preallocate {name} to {length}"),
            Call::Sync => write!(f, "sync {name}"),
        }?;
        match self.fault {
            None => Ok(()),
            Some(Fault::Crash) => write!(f, ": CRASH"),
            Some(Fault::Fail(kind)) => write!(f, ": FAILS ({kind})"),
        }
    }
}
