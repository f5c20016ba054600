//! Tests of the built programs against the real things.
