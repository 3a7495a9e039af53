//! `--store`: where a cluster keeps its objects.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use windlass::api::quantity::Quantity;
use windlass::store::disk::{DiskOptions, DiskStore};
use windlass::store::{HistoryFull, MemoryOptions, MemoryStore, ObjectStore};

/// A store, as the command line names it.
#[derive(Clone, Debug)]
pub(crate) enum StoreArg {
    /// `memory`, or `memory:SIZE` with a budget for its history.
    Memory { history_bytes: Option<usize> },
    /// `disk:DIR`, kept in a directory that is made where there is none.
    Disk(PathBuf),
    /// `etcd:URL,…`, the endpoints of a real cluster.
    #[cfg(feature = "etcd")]
    Etcd(Vec<String>),
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
            Some(("disk", folder)) if !folder.is_empty() => Ok(Self::Disk(folder.into())),
            #[cfg(feature = "etcd")]
            Some(("etcd", urls)) if !urls.is_empty() => {
                Ok(Self::Etcd(urls.split(',').map(str::to_owned).collect()))
            }
            #[cfg(not(feature = "etcd"))]
            Some(("etcd", _)) => Err("this program was built without the feature etcd".to_owned()),
            _ => Err(format!(
                "{text:?} is no store: try memory, memory:SIZE for a budget of its history, disk:DIR, or \
                 etcd:URL,URL"
            )),
        }
    }
}

impl StoreArg {
    /// Opens the store. `full` is what a store in memory does when its history is as long as it may
    /// be: compact it, or wait until somebody does.
    pub(crate) async fn open(
        &self,
        full: HistoryFull,
    ) -> Result<Arc<dyn ObjectStore>, Box<dyn Error + Send + Sync>> {
        match self {
            Self::Memory { history_bytes } => {
                let mut options = MemoryOptions::default().history_full(full);
                if let Some(bytes) = history_bytes {
                    options = options.history_bytes(*bytes);
                }
                Ok(Arc::new(MemoryStore::with_options(options)))
            }
            Self::Disk(folder) => Ok(Arc::new(DiskStore::open(folder, DiskOptions::default())?)),
            #[cfg(feature = "etcd")]
            Self::Etcd(urls) => {
                use windlass::store::{EtcdOptions, EtcdStore};

                Ok(Arc::new(EtcdStore::connect(urls.clone(), EtcdOptions::default()).await?))
            }
        }
    }
}
