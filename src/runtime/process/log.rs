//! What a container prints, kept in files and followed without polling.
//!
//! A log is a row of files with ascending numbers (`000000.log`, `000001.log`, …). Lines are
//! appended to the last; when it is full the next one begins, and the oldest goes. Files are never
//! renamed, so a reader's place is a number and an offset, and stays true. Readers that have caught
//! up wait for a notification from the writer, in this process.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;

use super::line;
use crate::env::Clock;
use crate::runtime::{Error, LogLine, LogOptions, LogStream, LogStreamKind};

/// How much of a container's output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// A file that has reached this size is followed by the next: 10 MiB, as kubelet's default.
    pub file_bytes: u64,
    /// How many files are kept: 5, as kubelet's default.
    pub files: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { file_bytes: 10 * 1024 * 1024, files: 5 }
    }
}

/// The log of one container.
pub(super) struct Log {
    dir: PathBuf,
    limits: LogLimits,
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    end: Place,
    ended: bool,
}

/// A place in a log: a file's number, and an offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: u64,
    offset: u64,
}

impl Log {
    pub(super) fn new(dir: PathBuf, limits: LogLimits) -> Self {
        Self { dir, limits, state: Mutex::default(), grown: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, file: u64) -> PathBuf {
        self.dir.join(format!("{file:06}.log"))
    }

    /// The first file that is kept when the last one is `last`.
    fn oldest(&self, last: u64) -> u64 {
        last.saturating_sub(self.limits.files.max(1) - 1)
    }

    /// Appends whole entries.
    fn append(&self, entries: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if state.end.offset >= self.limits.file_bytes && state.file.is_some() {
            state.file = None;
            state.end = Place { file: state.end.file + 1, offset: 0 };
            if let Some(gone) = self.oldest(state.end.file).checked_sub(1) {
                // One that cannot be removed costs space and nothing else.
                let _ = std::fs::remove_file(self.path(gone));
            }
        }
        if state.file.is_none() {
            state.file = Some(File::options().append(true).create(true).open(self.path(state.end.file))?);
        }
        if let Some(file) = &mut state.file {
            file.write_all(entries)?;
        }
        state.end.offset += entries.len() as u64;
        drop(state);
        self.grown.notify_waiters();
        Ok(())
    }

    /// Nothing will be printed any more: readers end.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.grown.notify_waiters();
    }

    /// Copies a stream into the log until it ends.
    pub(super) async fn capture(
        &self,
        mut from: impl AsyncRead + Unpin,
        stream: LogStreamKind,
        clock: Clock,
    ) {
        let mut pending = Vec::with_capacity(line::MAX_ENTRY);
        let mut lost = false;
        loop {
            let end = !matches!(from.read_buf(&mut pending).await, Ok(1..));
            let (time, mut entries) = (clock.now(), Vec::new());
            line::cut(&mut pending, end, |text| line::write(&mut entries, time, stream, text));
            // The program must not stand still because its log cannot be kept: read on regardless.
            if !entries.is_empty()
                && let Err(error) = self.append(&entries)
                && !lost
            {
                lost = true;
                tracing::warn!(dir = %self.dir.display(), %error, "output is lost");
            }
            if end {
                return;
            }
        }
    }

    /// The lines, as `options` ask for them. The files are read as the stream is.
    pub(super) fn read(self: &Arc<Self>, options: LogOptions) -> LogStream {
        let until = if options.follow { None } else { Some(self.state().end) };
        let cursor = Cursor::new(Arc::clone(self), until);
        let start = (cursor, options.tail_lines, options.since);
        Box::pin(stream::unfold(start, |(mut cursor, mut tail, since)| async move {
            if let Some(lines) = tail.take()
                && let Err(error) = cursor.skip_to_last(lines).await
            {
                return Some((Err(failed(error)), (cursor, tail, since)));
            }
            loop {
                match cursor.next().await {
                    Ok(Some(line)) if since.is_some_and(|since| line.time < since) => {}
                    Ok(line) => return line.map(|line| (Ok(line), (cursor, tail, since))),
                    Err(error) => {
                        // What cannot be read is said once; then the stream is at its end.
                        cursor.until = Some(Place::default());
                        return Some((Err(failed(error)), (cursor, tail, since)));
                    }
                }
            }
        }))
    }
}

fn failed(source: io::Error) -> Error {
    Error::Failed { operation: "reading the log", source: source.into() }
}

/// A reader's place.
struct Cursor {
    log: Arc<Log>,
    /// Behind the last line that was taken from `lines`.
    place: Place,
    file: Option<File>,
    /// What was read of the file and is no whole entry yet.
    partial: Vec<u8>,
    /// Entries with the place behind each.
    lines: VecDeque<(Option<LogLine>, Place)>,
    /// Where to end; never, where there is none.
    until: Option<Place>,
}

impl Cursor {
    fn new(log: Arc<Log>, until: Option<Place>) -> Self {
        let place = Place { file: log.oldest(log.state().end.file), offset: 0 };
        Self { log, place, file: None, partial: Vec::new(), lines: VecDeque::new(), until }
    }

    fn go_to(&mut self, place: Place) {
        self.place = place;
        self.file = None;
        self.partial.clear();
        self.lines.clear();
    }

    /// Moves to where only `lines` lines are left, as of now.
    async fn skip_to_last(&mut self, lines: u64) -> io::Result<()> {
        let end = self.log.state().end;
        let mut scout = Self::new(Arc::clone(&self.log), Some(end));
        let mut starts = VecDeque::from([scout.place]);
        while scout.next().await?.is_some() {
            starts.push_back(scout.place);
            if starts.len() as u64 > lines.saturating_add(1) {
                starts.pop_front();
            }
        }
        // The last start is where the next line would be.
        let place = if lines == 0 { Some(scout.place) } else { starts.pop_front() };
        self.go_to(place.unwrap_or(end));
        Ok(())
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            while let Some((line, place)) = self.lines.pop_front() {
                self.place = place;
                if line.is_some() {
                    return Ok(line);
                }
            }
            let log = Arc::clone(&self.log);
            let mut grown = std::pin::pin!(log.grown.notified());
            // Enabled before looking, so that what is written in between is not missed.
            grown.as_mut().enable();
            let (end, ended) = {
                let state = log.state();
                (state.end, state.ended)
            };
            let oldest = log.oldest(end.file);
            if self.place.file < oldest {
                self.go_to(Place { file: oldest, offset: 0 });
            }
            let until = self.until.unwrap_or(end);
            if self.place >= until {
                if self.until.is_some() || ended {
                    return Ok(None);
                }
                grown.await;
                continue;
            }
            if !self.fill(until)? {
                // This file is read to its end, and there is a later one.
                self.go_to(Place { file: self.place.file + 1, offset: 0 });
            }
            // A long log must not hold up everything else on this thread.
            tokio::task::yield_now().await;
        }
    }

    /// Reads on in the file of the cursor's place; `false` at the end of it.
    fn fill(&mut self, until: Place) -> io::Result<bool> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(self.log.path(self.place.file)) {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.place.offset))?;
                    self.file.insert(file)
                }
                // Rotated away, or removed with its container.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        let mut chunk = vec![0; 64 * 1024];
        let read = file.read(&mut chunk)?;
        self.partial.extend_from_slice(&chunk[..read]);
        let mut place = self.place;
        let mut taken = 0;
        while let Some(length) = self.partial[taken..].iter().position(|byte| *byte == b'\n') {
            place.offset += length as u64 + 1;
            if place > until {
                break;
            }
            self.lines.push_back((line::read(&self.partial[taken..taken + length]), place));
            taken += length + 1;
        }
        self.partial.drain(..taken);
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt, TryStreamExt};

    use super::*;

    fn log(dir: &tempfile::TempDir, file_bytes: u64, files: u64) -> Arc<Log> {
        Arc::new(Log::new(dir.path().to_owned(), LogLimits { file_bytes, files }))
    }

    async fn print(log: &Log, text: &str) {
        log.capture(text.as_bytes(), LogStreamKind::Stdout, Clock::system()).await;
    }

    async fn lines(log: &Arc<Log>, options: LogOptions) -> String {
        let lines: Vec<_> = log.read(options).try_collect().await.unwrap();
        lines.iter().map(|line| String::from_utf8_lossy(&line.line).into_owned()).collect()
    }

    #[tokio::test]
    async fn tail_and_since() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir, 1 << 20, 5);
        print(&log, "one\ntwo\nthree\n").await;
        for (tail, expected) in [
            (None, "one\ntwo\nthree\n"),
            (Some(0), ""),
            (Some(1), "three\n"),
            (Some(2), "two\nthree\n"),
            (Some(9), "one\ntwo\nthree\n"),
            (Some(u64::MAX), "one\ntwo\nthree\n"),
        ] {
            let options = LogOptions { tail_lines: tail, ..LogOptions::default() };
            assert_eq!(lines(&log, options).await, expected, "{tail:?}");
        }
        let since = Clock::system().now();
        print(&log, "four\n").await;
        assert_eq!(lines(&log, LogOptions { since: Some(since), ..LogOptions::default() }).await, "four\n");
    }

    #[tokio::test]
    async fn a_follower_sees_what_comes_across_rotation_and_ends_with_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir, 64, 3);
        let mut follower = log.read(LogOptions { follow: true, ..LogOptions::default() });
        assert!(follower.next().now_or_never().is_none());
        for number in 0..20 {
            print(&log, &format!("line {number}\n")).await;
            let line = follower.next().await.unwrap().unwrap();
            assert_eq!(line.line, format!("line {number}\n"));
        }
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 3, "older files are gone");
        let kept = lines(&log, LogOptions::default()).await;
        assert!(kept.ends_with("line 18\nline 19\n") && !kept.contains("line 3\n"), "{kept}");
        log.end();
        assert!(follower.next().await.is_none());
    }

    #[tokio::test]
    async fn a_late_follower_starts_with_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir, 40, 2);
        let mut follower = log.read(LogOptions { follow: true, ..LogOptions::default() });
        for number in 0..10 {
            print(&log, &format!("line {number}\n")).await;
        }
        log.end();
        let first = follower.next().await.unwrap().unwrap();
        assert_ne!(first.line, "line 0\n", "rotated away before it was read");
        let rest: Vec<_> = follower.try_collect().await.unwrap();
        assert_eq!(rest.last().unwrap().line, "line 9\n");
    }
}
