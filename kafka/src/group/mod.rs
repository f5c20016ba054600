//! Membership in a group of any protocol type, with Kafka's classic protocol: join, sync, heartbeat, leave.
//!
//! [`Member`] speaks to the coordinator and remembers who it is; it decides nothing. When to join, what the metadata and
//! the assignments say, how often to send heartbeats and when to give up is its owner's business.
//!
//! JoinGroup and SyncGroup wait at the broker until the whole group has joined, and block their connection meanwhile.
//! They have one of their own, so that heartbeats and the farewell are never behind them.

mod error;
mod member;

pub use crate::group::error::GroupError;
pub use crate::group::member::{Joined, JoinedMember, Member, MemberConfig};
