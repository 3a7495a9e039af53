//! Server-side apply, held to the published cases of structured-merge-diff and apimachinery, told anew.

mod manager;
mod migration;
mod properties;
mod stories;
mod text;
mod trees;
mod world;
