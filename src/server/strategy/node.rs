//! Nodes: an agent that registers says its status at once.

use super::{DEFAULT, Strategy};

pub(super) const NODE: Strategy = Strategy { made_with_status: true, ..DEFAULT };
