//! How requests look on the wire: paths and query strings, read and written.
//!
//! Pure functions, shared by the server's REST side (which reads them) and the remote client (which
//! writes them), so that the two can be tested against each other. Names and rules are those of
//! `k8s.io/apiserver/pkg/endpoints/request` and of `metav1`'s option types (1.36).

mod delete;
mod duration;
mod path;
mod query;
#[cfg(feature = "server")]
pub(crate) mod spdy;
#[cfg(any(feature = "server", feature = "remote"))]
mod websocket;

pub use delete::{check_delete, decode_delete, encode_delete};
pub use duration::parse_duration;
pub use path::{ApiPath, ResourcePath, parse_path, target_path};
pub use query::{
    Query, check_write, decode_get, decode_list, decode_watch, decode_write, encode_get, encode_list,
    encode_watch, encode_write,
};
#[cfg(any(feature = "server", feature = "remote"))]
pub(crate) use websocket::accept_key;
