//! `--store`: where a cluster keeps its objects.

use std::str::FromStr;
use std::sync::Arc;

use windlass::api::quantity::Quantity;
use windlass::store::{MemoryOptions, MemoryStore, ObjectStore};

/// A store, as the command line names it.
#[derive(Clone, Debug)]
pub(crate) enum StoreArg {
    /// `memory`, or `memory:SIZE` with a budget for its history.
    Memory { history_bytes: Option<usize> },
}

impl FromStr for StoreArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory { history_bytes: None }),
            Some(("memory", size)) => {
                let size: Quantity = size.parse().map_err(|error| format!("{size:?}: {error}"))?;
                let bytes = usize::try_from(size.value()).map_err(|_| format!("{size} is no size"))?;
                Ok(Self::Memory { history_bytes: Some(bytes) })
            }
            _ => Err(format!("{text:?} is no store: try memory, or memory:SIZE for a budget of its history")),
        }
    }
}

impl StoreArg {
    /// Opens the store.
    pub(crate) fn open(&self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Memory { history_bytes: None } => Arc::new(MemoryStore::new()),
            Self::Memory { history_bytes: Some(bytes) } => {
                Arc::new(MemoryStore::with_options(MemoryOptions::default().history_bytes(*bytes)))
            }
        }
    }
}
