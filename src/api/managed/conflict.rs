//! Conflicts: fields that somebody else owns and that an apply would change.
//!
//! Wording follows apimachinery 1.36 (`util/managedfields/internal/conflict.go`).

use std::fmt;

use kube_core::response::{StatusCause, StatusDetails};

use super::element::{Path, path_text};
use super::entries::{Manager, Operation};
use super::set::FieldSet;
use crate::api::status::{self, Status};

/// One field in conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub manager: Manager,
    /// Which field.
    pub path: Path,
}

/// All conflicts of an apply, by manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    pub(super) fn new<'m>(owned: impl IntoIterator<Item = (&'m Manager, FieldSet)>) -> Self {
        let conflicts = owned.into_iter().flat_map(|(manager, fields)| {
            let conflict = |path| Conflict { manager: manager.clone(), path };
            fields.paths().into_iter().map(conflict)
        });
        Self(conflicts.collect())
    }

    /// The fields, whoever owns them.
    #[must_use]
    pub fn fields(&self) -> FieldSet {
        self.0.iter().map(|conflict| &conflict.path).collect()
    }

    /// The conflicts but for these fields.
    #[must_use]
    pub fn without(mut self, fields: &FieldSet) -> Self {
        self.0.retain(|conflict| !fields.contains(&conflict.path));
        self
    }

    /// 409, with a cause a field.
    #[must_use]
    pub fn status(&self) -> Status {
        let causes = self.0.iter().map(|conflict| StatusCause {
            reason: "FieldManagerConflict".to_owned(),
            message: format!("conflict with {}", told(&conflict.manager)),
            field: path_text(&conflict.path),
        });
        status::failure(409, "Conflict", self.to_string()).with_details(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: causes.collect(),
            retry_after_seconds: 0,
        })
    }
}

/// A manager as conflicts name it.
fn told(manager: &Manager) -> String {
    let mut out = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        out.push_str(&format!(" with subresource {:?}", manager.subresource));
    }
    if manager.operation == Operation::Update {
        out.push_str(&format!(" using {}", manager.api_version));
    }
    out
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Conflict { manager, path }] = self.0.as_slice() {
            let (manager, path) = (told(manager), path_text(path));
            return write!(f, "Apply failed with 1 conflict: conflict with {manager}: {path}");
        }
        let mut managers: Vec<_> = self.0.iter().map(|conflict| &conflict.manager).collect();
        managers.sort();
        managers.dedup();
        let mut lines = Vec::new();
        for manager in managers {
            lines.push(format!("conflicts with {}:", told(manager)));
            let theirs = self.0.iter().filter(|conflict| conflict.manager == *manager);
            lines.extend(theirs.map(|conflict| format!("- {}", path_text(&conflict.path))));
        }
        write!(f, "Apply failed with {} conflicts: {}", self.0.len(), lines.join("\n"))
    }
}
