//! Integration tests on the real binary.
