//! Who is calling.

use std::collections::BTreeMap;

/// A user, as authentication found it, and the program that it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name; `system:anonymous` for nobody.
    pub user: String,
    /// An identifier that no other user of this name ever had; mostly empty.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// What the authenticator says besides.
    pub extra: BTreeMap<String, Vec<String>>,
    /// The program, as its user agent names it; what stands before the first slash manages the fields that
    /// it writes, unless a write names another manager.
    pub agent: String,
}

impl Identity {
    /// A user of the group `system:authenticated`.
    #[must_use]
    pub fn user(name: impl Into<String>) -> Self {
        Self { user: name.into(), groups: vec!["system:authenticated".into()], ..Self::default() }
    }

    /// A user of one group more.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// The same, using this program.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// The administrator: may do anything (group `system:masters`).
    #[must_use]
    pub fn admin() -> Self {
        Self::user("kubernetes-admin").group("system:masters")
    }

    /// The agent of a node.
    #[must_use]
    pub fn node(name: &str) -> Self {
        Self::user(format!("system:node:{name}")).group("system:nodes")
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..Self::default()
        }
    }

    /// Whether the user is in a group.
    #[must_use]
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
