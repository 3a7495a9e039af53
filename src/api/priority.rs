//! The priority classes that every cluster has.

/// A priority class that the server makes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemPriorityClass {
    /// Name, which no other class may have.
    pub name: &'static str,
    /// Priority, higher than any that users may give.
    pub value: i64,
    /// What it is for.
    pub description: &'static str,
}

/// Source: `systemPriorityClasses` of `k8s.io/kubernetes/pkg/apis/scheduling/v1` (1.36).
pub const SYSTEM_PRIORITY_CLASSES: [SystemPriorityClass; 2] = [
    SystemPriorityClass {
        name: "system-node-critical",
        value: 2_000_001_000,
        description: "Used for system critical pods that must not be moved from their current node.",
    },
    SystemPriorityClass {
        name: "system-cluster-critical",
        value: 2_000_000_000,
        description: "Used for system critical pods that must run in the cluster, but can be moved to another \
                      node if necessary.",
    },
];
