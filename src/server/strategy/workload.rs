//! Deployments.

use super::{DEFAULT, Generation, Strategy};

pub(super) const DEPLOYMENT: Strategy = Strategy { generation: Generation::SpecAndAnnotations, ..DEFAULT };
