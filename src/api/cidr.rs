//! CIDR arithmetic.
