//! Arithmetic on pods and nodes that several layers share: what a pod asks for, what keeps it off a
//! node.
//!
//! The scheduler asks before it places a pod, the node agent asks again before it admits one, and
//! both must say the same.

mod affinity;
mod ports;
mod qos;
mod resources;
mod taints;

pub use affinity::{NodeRequirements, PreferredTerm};
pub use ports::{HostPort, host_ports};
pub use qos::{Qos, qos_class};
pub(crate) use resources::is_pod_level;
pub use resources::{
    Resources, container_limits, container_requests, pod_limits, pod_requests, pod_requests_or,
};
pub use taints::{Effect, tolerates, untolerated};
