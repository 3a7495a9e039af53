//! A connection: one reader and one writer, and the streams between them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Frame, HEAD, Head, reset};
use super::headers::{Deflater, Inflater};
use super::stream::Stream;
use super::{ACCEPTED, BUFFERED, Error, PIECE, STREAMS};
use crate::env::{Clock, Tasks};

/// What may be sent on a stream, and on a connection, before the other side opens a window.
const WINDOW: i64 = 64 * 1024;
/// So much is read before a window is opened again.
const OPEN_WINDOW_AFTER: u32 = 32 * 1024;
/// Pings that wait to be answered; who sends more does not read the answers.
const PINGS: usize = 64;
/// Frames that wait to be written.
const QUEUE: usize = 4;
/// How long the other side is waited for at the end.
const PARTING: Duration = Duration::from_secs(5);

/// The called side of a connection: takes the streams that the caller opens.
///
/// It lives until the other side is gone, or nobody holds it or one of its streams any more: then it says
/// goodbye behind all that was written.
pub(crate) struct Connection {
    opened: mpsc::Receiver<Stream>,
    handle: Arc<Handle>,
}

/// What whoever uses a connection holds.
pub(super) struct Handle {
    pub(super) queue: mpsc::Sender<Frame>,
    pub(super) shared: Arc<Shared>,
    _held: DropGuard,
}

/// A piece of data that nobody has read yet, with its part of the budget.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    _held: OwnedSemaphorePermit,
}

/// What both sides of a connection in this process know.
pub(super) struct Shared {
    /// Something in `state` waits to be written.
    control: Notify,
    /// A window was opened.
    windows: Notify,
    budget: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    streams: BTreeMap<u32, Entry>,
    /// The newest stream that the caller has opened.
    last: u32,
    /// Whether the other side keeps to windows, and so must we.
    windowed: bool,
    initial_window: i64,
    /// What may be sent on all streams together.
    window: i64,
    pings: Vec<u32>,
    refused: Vec<(u32, u32)>,
    /// What was read, by stream (0: all of them), since its window was opened last.
    read: BTreeMap<u32, u32>,
}

struct Entry {
    incoming: Option<mpsc::UnboundedSender<Piece>>,
    window: i64,
    reset: bool,
    finished: bool,
}

impl Connection {
    /// The called side of a connection over these two, carried by a task of `tasks`.
    pub(crate) fn start(
        reader: impl AsyncRead + Send + 'static,
        writer: impl AsyncWrite + Send + 'static,
        tasks: &Tasks,
        clock: &Clock,
    ) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let (opening, opened) = mpsc::channel(ACCEPTED);
        let abandoned = CancellationToken::new();
        let shared = Arc::new(Shared::new());
        let handle =
            Arc::new(Handle { queue, shared: shared.clone(), _held: abandoned.clone().drop_guard() });
        let opener = Opener { opening, handle: Arc::downgrade(&handle) };
        let clock = clock.clone();
        tasks.spawn("spdy connection", async move {
            let _ending = Ending(shared.clone());
            let mut read = std::pin::pin!(read(Box::pin(reader), opener, &shared));
            let write = write(Box::pin(writer), queued, &shared);
            let ended = crate::select! {
                read = &mut read => read,
                written = write => match written {
                    // What the other side is still sending is taken, so that it reads what it was sent.
                    Ok(()) => clock.timeout(PARTING, read).await.unwrap_or(Ok(())),
                    broken => broken,
                },
                () = async { abandoned.cancelled().await; clock.sleep(PARTING).await } => Ok(()),
            };
            tracing::trace!(?ended, "a SPDY connection ended");
        });
        Self { opened, handle }
    }

    /// The next stream that the caller opens; none once the caller is gone. It is to be replied to or reset.
    ///
    /// # Cancel safety
    ///
    /// No stream is lost.
    pub(crate) async fn accept(&mut self) -> Option<Stream> {
        self.opened.recv().await
    }

    /// Waits until the other side is gone. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.handle.queue.closed().await;
    }
}

/// Hands new streams to whoever takes them, as long as the connection is held.
struct Opener {
    opening: mpsc::Sender<Stream>,
    handle: Weak<Handle>,
}

impl Opener {
    /// Whoever opens streams faster than they are taken waits; and where nobody takes any more, a stream
    /// is forgotten.
    async fn open(&self, shared: &Shared, id: u32, fin: bool, headers: http::HeaderMap) {
        let Some(incoming) = shared.open(id, fin) else { return };
        let Some(handle) = self.handle.upgrade() else { return };
        let _ = self.opening.send(Stream::new(id, headers, incoming, handle)).await;
    }
}

/// The connection is over, however that came.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state().streams.clear();
        self.0.windows.notify_waiters();
    }
}

async fn read(
    mut reader: Pin<Box<dyn AsyncRead + Send>>,
    opener: Opener,
    shared: &Shared,
) -> Result<(), Error> {
    let mut inflater = Inflater::new();
    let mut head = [0; HEAD];
    loop {
        if reader.read(&mut head[..1]).await? == 0 {
            return Ok(());
        }
        reader.read_exact(&mut head[1..]).await?;
        match Head::parse(head)? {
            Head::Data { id, fin, mut length } => {
                while length > 0 {
                    let mut piece = BytesMut::zeroed(length.min(PIECE));
                    reader.read_exact(&mut piece).await?;
                    length -= piece.len();
                    shared.deliver(id, piece.freeze()).await;
                }
                if fin {
                    shared.finished_there(id);
                }
            }
            Head::Control { kind, flags, length } => {
                let mut payload = vec![0; length];
                reader.read_exact(&mut payload).await?;
                match Frame::control(kind, flags, &payload, &mut inflater)? {
                    Some(Frame::SynStream { id, fin, headers }) => {
                        opener.open(shared, id, fin, headers).await;
                    }
                    Some(Frame::GoAway { .. }) => tracing::trace!("the other side opens no more streams"),
                    Some(frame) => shared.took(&frame)?,
                    None => {}
                }
            }
        }
    }
}

async fn write(
    mut writer: Pin<Box<dyn AsyncWrite + Send>>,
    mut queue: mpsc::Receiver<Frame>,
    shared: &Shared,
) -> Result<(), Error> {
    let mut deflater = Deflater::new();
    let mut out = BytesMut::new();
    loop {
        for frame in shared.waiting() {
            frame.encode(&mut deflater, &mut out)?;
        }
        if out.is_empty() {
            crate::select! {
                () = shared.control.notified() => continue,
                queued = queue.recv() => match queued {
                    Some(frame) => frame.encode(&mut deflater, &mut out)?,
                    None => break,
                },
            }
        }
        writer.write_all_buf(&mut out).await?;
        writer.flush().await?;
    }
    let last = shared.state().last;
    Frame::GoAway { last, status: 0 }.encode(&mut deflater, &mut out)?;
    writer.write_all_buf(&mut out).await?;
    Ok(writer.shutdown().await?)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> Self {
        Self {
            control: Notify::new(),
            windows: Notify::new(),
            budget: Arc::new(Semaphore::new(BUFFERED)),
            state: Mutex::new(State {
                streams: BTreeMap::new(),
                last: 0,
                windowed: false,
                initial_window: WINDOW,
                window: WINDOW,
                pings: Vec::new(),
                refused: Vec::new(),
                read: BTreeMap::new(),
            }),
        }
    }

    /// Notes a stream that the caller opens, and answers where its data will be; none where it is refused.
    fn open(&self, id: u32, fin: bool) -> Option<mpsc::UnboundedReceiver<Piece>> {
        let mut state = self.state();
        let refusal = if id.is_multiple_of(2) || id <= state.last {
            Some(reset::PROTOCOL_ERROR)
        } else if state.streams.len() >= STREAMS {
            Some(reset::REFUSED_STREAM)
        } else {
            None
        };
        if let Some(status) = refusal {
            // As with pings: who is refused so often does not listen.
            if state.refused.len() < PINGS {
                state.refused.push((id, status));
            }
            drop(state);
            self.control.notify_one();
            return None;
        }
        state.last = id;
        let (sender, incoming) = mpsc::unbounded_channel();
        let entry = Entry {
            incoming: Some(sender).filter(|_| !fin),
            window: state.initial_window,
            reset: false,
            finished: false,
        };
        state.streams.insert(id, entry);
        Some(incoming)
    }

    /// Gives data to its stream, once the connection has room for it.
    async fn deliver(&self, id: u32, bytes: Bytes) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let sender = self.state().streams.get(&id).and_then(|entry| entry.incoming.clone());
        if let Some(sender) = sender
            && let Ok(held) = self.budget.clone().acquire_many_owned(length).await
            && sender.send(Piece { bytes, _held: held }).is_ok()
        {
            return;
        }
        // Data of a stream that is not there any more is read, too.
        self.has_read(None, length);
    }

    /// Takes what a frame says about streams that are there.
    fn took(&self, frame: &Frame) -> Result<(), Error> {
        match frame {
            Frame::Reset { id, .. } => self.reset_there(*id),
            Frame::Headers { id, fin: true, .. } => self.finished_there(*id),
            Frame::Ping { id } if id % 2 == 1 => {
                let mut state = self.state();
                if state.pings.len() >= PINGS {
                    return Err(Error::Protocol("more pings than answers that were read"));
                }
                state.pings.push(*id);
                drop(state);
                self.control.notify_one();
            }
            Frame::Settings { initial_window: Some(window) } => {
                let mut state = self.state();
                let window = i64::from(*window);
                let more = window - state.initial_window;
                state.initial_window = window;
                state.windowed = true;
                for entry in state.streams.values_mut() {
                    entry.window += more;
                }
                drop(state);
                self.windows.notify_waiters();
            }
            Frame::WindowUpdate { id, delta } => {
                let mut state = self.state();
                state.windowed = true;
                let window = match *id {
                    0 => Some(&mut state.window),
                    id => state.streams.get_mut(&id).map(|entry| &mut entry.window),
                };
                if let Some(window) = window {
                    *window += i64::from(*delta);
                    if *window > i64::from(i32::MAX) {
                        return Err(Error::Protocol("a window that is too wide"));
                    }
                }
                drop(state);
                self.windows.notify_waiters();
            }
            _ => {}
        }
        Ok(())
    }

    /// The frames that wait for no room in the queue.
    fn waiting(&self) -> Vec<Frame> {
        let mut state = self.state();
        let state = &mut *state;
        let pings = state.pings.drain(..).map(|id| Frame::Ping { id });
        let refused = state.refused.drain(..).map(|(id, status)| Frame::Reset { id, status });
        let mut frames: Vec<_> = pings.chain(refused).collect();
        let streams = &state.streams;
        state.read.retain(|id, read| {
            if *read < OPEN_WINDOW_AFTER {
                return *id == 0 || streams.contains_key(id);
            }
            frames.push(Frame::WindowUpdate { id: *id, delta: *read });
            false
        });
        frames
    }

    /// So much of a stream (or of none that is there) was read.
    pub(super) fn has_read(&self, id: Option<u32>, length: u32) {
        let mut state = self.state();
        let mut open = false;
        for id in id.into_iter().chain([0]) {
            let read = state.read.entry(id).or_insert(0);
            *read = read.saturating_add(length);
            open |= *read >= OPEN_WINDOW_AFTER;
        }
        drop(state);
        if open {
            self.control.notify_one();
        }
    }

    /// How much of `wanted` may be sent on a stream now; waits until it is something.
    pub(super) async fn window(&self, id: u32, wanted: usize) -> Result<usize, super::Gone> {
        loop {
            let mut opened = std::pin::pin!(self.windows.notified());
            opened.as_mut().enable();
            {
                let mut state = self.state();
                let state = &mut *state;
                let entry = state.streams.get_mut(&id).filter(|entry| !entry.reset).ok_or(super::Gone)?;
                let open = if state.windowed { entry.window.min(state.window) } else { i64::MAX };
                let length = wanted.min(usize::try_from(open).unwrap_or(0));
                if length > 0 || wanted == 0 {
                    // What was sent before windows were known counts, too.
                    let sent = i64::try_from(length).unwrap_or(i64::MAX);
                    entry.window -= sent;
                    state.window -= sent;
                    return Ok(length);
                }
            }
            opened.await;
        }
    }

    /// The caller sends nothing more on a stream.
    fn finished_there(&self, id: u32) {
        let mut state = self.state();
        if let Some(entry) = state.streams.get_mut(&id) {
            entry.incoming = None;
            if entry.finished {
                state.streams.remove(&id);
            }
        }
    }

    fn reset_there(&self, id: u32) {
        let mut state = self.state();
        if let Some(entry) = state.streams.get_mut(&id) {
            entry.incoming = None;
            entry.reset = true;
        }
        drop(state);
        self.windows.notify_waiters();
    }

    /// Nothing more is sent on a stream from here.
    pub(super) fn finished_here(&self, id: u32) {
        let mut state = self.state();
        if let Some(entry) = state.streams.get_mut(&id) {
            entry.finished = true;
            if entry.incoming.is_none() {
                state.streams.remove(&id);
            }
        }
    }

    /// Nobody here wants anything of a stream any more.
    pub(super) fn forget(&self, id: u32) {
        self.state().streams.remove(&id);
    }

    /// Whether the caller has reset a stream, or it is closed on both sides.
    pub(super) fn is_over(&self, id: u32) -> bool {
        self.state().streams.get(&id).is_none_or(|entry| entry.reset)
    }
}
