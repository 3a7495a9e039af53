//! Manifests: files of many documents.
