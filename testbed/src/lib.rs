//! Starts the real things that tests need, and cleans up after itself.
