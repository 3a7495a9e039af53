//! Nobody in particular.

use std::collections::BTreeSet;

/// Which requests may be from nobody. They still may do nothing but what the authorizer lets
/// `system:anonymous` do.
///
/// Source: `k8s.io/apiserver/pkg/authentication/request/anonymous` (1.36).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anonymous {
    /// Any.
    #[default]
    Everywhere,
    /// Those for these paths, such as `/livez`, and no others.
    Only(BTreeSet<String>),
    /// None, as `--anonymous-auth=false` of kube-apiserver.
    Nowhere,
}

impl Anonymous {
    /// Those for these paths.
    #[must_use]
    pub fn only<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Only(paths.into_iter().map(str::to_owned).collect())
    }

    pub(super) fn admits(&self, path: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(paths) => paths.contains(path),
            Self::Nowhere => false,
        }
    }
}
