//! A thread of one's own, for work that blocks.
#![allow(clippy::disallowed_methods, reason = "this module is the door to threads")]

use std::io;
use std::thread::JoinHandle;

/// A thread that does work which blocks for as long as a disk takes, so that no task does.
///
/// When it runs is the machine's choice: nothing that is simulated may start one. Whoever starts
/// it tells it when to end, and then joins it; dropping a worker leaves its thread running.
#[derive(Debug)]
pub struct Worker(JoinHandle<()>);

impl Worker {
    /// Starts a thread of this name.
    ///
    /// # Errors
    ///
    /// When the system has no room for one more.
    pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map(Self)
    }

    /// Whether its work is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until its work is done. Blocks. A panic in it goes on in the caller, unless the caller
    /// is panicking already; does nothing on the worker's own thread.
    pub fn join(self) {
        if self.0.thread().id() == std::thread::current().id() {
            return;
        }
        if let Err(panic) = self.0.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_worker_is_done_once_it_is_joined() {
        let (send, receive) = mpsc::channel();
        Worker::start("worker", move || send.send(7).expect("somebody listens")).expect("a thread").join();
        assert_eq!(receive.try_recv(), Ok(7));
    }
}
