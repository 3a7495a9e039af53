//! Quantities: exact numbers with Kubernetes' suffixes.
