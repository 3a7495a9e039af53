//! Services, carried by this process: a TCP proxy that listens on every service's address.
//!
//! [`table`] says what an address stands for, as kube-proxy would: it is pure. The proxy follows
//! Services and EndpointSlices, listens where the table says, and carries each connection to an
//! endpoint, the next one where the first does not answer.
//!
//! # What holds
//!
//! - A change of endpoints holds from the moment it is seen, for every connection that is opened
//!   after it; no listener is closed for it. Connections that are established go on, to endpoints
//!   that have left, too.
//! - An address that cannot be bound (a port below 1024, say, for an ordinary user) is told as a
//!   Warning event of its service and in the log, is tried again, and keeps no other from working.
//! - [`ServiceProxy::left_rotation`] is done only when no connection can reach an address any more.
//!
//! What it does not do: UDP and SCTP; external addresses and load balancers'; topology hints.

#[cfg(any(feature = "process", feature = "server"))]
mod balance;
#[cfg(any(feature = "process", feature = "server"))]
mod port;
#[cfg(any(feature = "process", feature = "server"))]
mod ports;
#[cfg(any(feature = "process", feature = "server"))]
mod rotation;
#[cfg(any(feature = "process", feature = "server"))]
mod service_proxy;
pub mod table;

#[cfg(any(feature = "process", feature = "server"))]
pub use service_proxy::{ProxyOptions, ServicePortStatus, ServiceProxy};
pub use table::{Place, Rule, rules};
