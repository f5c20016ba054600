//! This worker as a member of its Connect group.
//!
//! `protocol.rs` is the bytes, `assignor.rs` who gets what (pure), `member.rs` the member itself: it joins,
//! keeps the session alive and tells the herder what the group decides. It starts and stops nothing. `session.rs` is what
//! everybody else may ask: are we still a member?

pub(crate) mod assignor;
pub(crate) mod member;
pub(crate) mod protocol;
pub(crate) mod session;
