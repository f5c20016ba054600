//! What a principal may do, and to what: the words that ACLs and authorized operations share.

use std::fmt;

/// One operation that an authorizer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum AclOperation {
    /// Matches all others; only in filters.
    Any = 1,
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

impl AclOperation {
    const EVERY: [Self; 15] = [
        Self::Any,
        Self::All,
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
        Self::TwoPhaseCommit,
    ];

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        Self::EVERY.into_iter().find(|operation| *operation as i8 == code)
    }

    /// The name that `kafka-acls.sh --operation` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::All => "All",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::ClusterAction => "ClusterAction",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
            Self::CreateTokens => "CreateTokens",
            Self::DescribeTokens => "DescribeTokens",
            Self::TwoPhaseCommit => "TwoPhaseCommit",
        }
    }
}

impl fmt::Display for AclOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kind of thing that an ACL is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// Matches all others; only in filters.
    Any = 1,
    Topic = 2,
    Group = 3,
    /// Its only name is [`ResourceType::CLUSTER_NAME`].
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

impl ResourceType {
    pub const CLUSTER_NAME: &'static str = "kafka-cluster";

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [
            Self::Any,
            Self::Topic,
            Self::Group,
            Self::Cluster,
            Self::TransactionalId,
            Self::DelegationToken,
            Self::User,
        ]
        .into_iter()
        .find(|kind| *kind as i8 == code)
    }
}

/// What the principal that asked may do to a resource. Without an authorizer: everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorizedOperations {
    bits: Option<i32>,
}

impl AuthorizedOperations {
    /// From the wire: bit `n` stands for the operation with code `n`, the lowest number for "not told".
    pub(crate) fn from_bits(bits: i32) -> Self {
        Self { bits: (bits != i32::MIN).then_some(bits) }
    }

    /// Whether the broker told us at all. Brokers do not tell about what the principal may not even describe.
    pub fn is_known(self) -> bool {
        self.bits.is_some()
    }

    pub fn allows(self, operation: AclOperation) -> bool {
        self.bits.is_some_and(|bits| bits & (1 << operation as i32) != 0)
    }

    pub fn iter(self) -> impl Iterator<Item = AclOperation> {
        AclOperation::EVERY.into_iter().filter(move |operation| self.allows(*operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_operations() {
        let operations = AuthorizedOperations::from_bits((1 << 3) | (1 << 8));
        assert_eq!(operations.iter().collect::<Vec<_>>(), [AclOperation::Read, AclOperation::Describe]);
        assert!(!operations.allows(AclOperation::Write));
        assert!(!AuthorizedOperations::from_bits(i32::MIN).is_known());
        assert_eq!(AuthorizedOperations::from_bits(i32::MIN).iter().count(), 0);
    }

    #[test]
    fn codes_come_back() {
        for operation in AclOperation::EVERY {
            assert_eq!(AclOperation::from_code(operation as i8), Some(operation));
        }
        assert_eq!(AclOperation::from_code(0), None);
        assert_eq!(ResourceType::from_code(3), Some(ResourceType::Group));
    }
}
