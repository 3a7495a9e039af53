//! A real directory under the store.
//!
//! Files are read and written at offsets, so that a reader never moves a writer, and made durable
//! with `fdatasync`. Room is reserved where the system can do that, and written as zeroes elsewhere.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files::{DiskFile, DiskLock, Files};

/// The name of the file whose lock is the directory's.
const LOCK: &str = "lock";

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    #[cfg(not(unix))]
    position: std::sync::Mutex<()>,
}

#[derive(Debug)]
struct Lock(#[allow(dead_code, reason = "the lock ends when it is closed")] File);

impl DiskLock for Lock {}

impl Directory {
    /// The directory of this path, made where there is none.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn new(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        if !path.is_dir() {
            std::fs::create_dir_all(&path)?;
            if let Some(parent) = path.canonicalize()?.parent() {
                sync_directory(parent)?;
            }
        }
        Ok(Self { path })
    }
}

impl Files for Directory {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Box::new(OpenFile {
            file,
            #[cfg(not(unix))]
            position: std::sync::Mutex::new(()),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Lock(file))),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another store holds {}", self.path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and its names are the file system's business.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

impl DiskFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let _held = self.position.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    #[cfg(unix)]
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom, Write};
        let _held = self.position.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(data)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    #[cfg(target_os = "linux")]
    fn preallocate(&self, length: u64) -> io::Result<()> {
        let reserved = rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, length);
        match reserved {
            // Some file systems cannot.
            Err(rustix::io::Errno::OPNOTSUPP) => self.fill(length),
            reserved => Ok(reserved?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.fill(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl OpenFile {
    /// Lengthens the file with zeroes that are written.
    fn fill(&self, length: u64) -> io::Result<()> {
        let zeroes = vec![0; 1 << 20];
        let mut at = self.len()?;
        while at < length {
            let piece = (length - at).min(zeroes.len() as u64);
            self.write_at(&zeroes[..piece as usize], at)?;
            at += piece;
        }
        Ok(())
    }
}
