//! The arithmetic that several layers share: pod requests, taints, affinity, ports.
