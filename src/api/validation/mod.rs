//! What makes an object valid.
