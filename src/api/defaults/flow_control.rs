//! Flow schemas and priority levels.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/flowcontrol/v1/defaults.go` (1.36).

use super::{Fields, absent, blank, child};

/// A FlowSchema.
pub fn flow_schema(object: &mut Fields) {
    child(object, "spec", |spec| blank(spec, "matchingPrecedence", 1000));
}

/// A PriorityLevelConfiguration.
pub fn priority_level(object: &mut Fields) {
    child(object, "spec", |spec| {
        child(spec, "exempt", |exempt| {
            absent(exempt, "nominalConcurrencyShares", 0);
            absent(exempt, "lendablePercent", 0);
        });
        child(spec, "limited", |limited| {
            absent(limited, "nominalConcurrencyShares", 30);
            absent(limited, "lendablePercent", 0);
            child(limited, "limitResponse", |response| {
                child(response, "queuing", |queuing| {
                    blank(queuing, "handSize", 8);
                    blank(queuing, "queues", 64);
                    blank(queuing, "queueLengthLimit", 50);
                });
            });
        });
    });
}
