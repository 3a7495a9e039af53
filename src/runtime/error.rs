//! What can go wrong in a runtime.

/// What can go wrong in a runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such sandbox or container.
    #[error("{what} {id:?} not found")]
    NotFound {
        /// `sandbox` or `container`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// There is no such image.
    #[error("failed to resolve image {reference:?}: {why}")]
    ImageNotFound {
        /// The image's reference.
        reference: String,
        /// Where it was looked for.
        why: String,
    },
    /// This cannot name an image.
    #[error("couldn't parse image reference {reference:?}: {why}")]
    InvalidImageName {
        /// The image's reference.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// The container's program cannot be started.
    #[error("failed to start container: {why}")]
    CannotRun {
        /// What keeps it from running.
        why: String,
    },
    /// The container runs and must not for this.
    #[error("container {id:?} is still running")]
    StillRunning {
        /// Its id.
        id: String,
    },
    /// The sandbox or container is in a state that does not allow this.
    #[error("{what} {id:?} is {state}")]
    WrongState {
        /// `sandbox` or `container`.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// It took too long.
    #[error("command timed out")]
    Timeout,
    /// Anything else.
    #[error("{operation}: {source}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
