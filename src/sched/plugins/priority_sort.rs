//! PrioritySort: who matters most goes first.

use std::cmp::Ordering;

use crate::sched::{Plugin, PodInfo, QueueSort, QueuedPod};

/// Sorts the queue by priority, then by arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }

    fn as_queue_sort(&self) -> Option<&dyn QueueSort> {
        Some(self)
    }
}

impl QueueSort for PrioritySort {
    fn compare(&self, a: &QueuedPod, b: &QueuedPod) -> Ordering {
        b.pod.priority.cmp(&a.pod.priority)
    }

    fn rank(&self) -> Option<fn(&PodInfo) -> i64> {
        Some(|pod| -i64::from(pod.priority))
    }
}
