//! What the Connect principal must be allowed to do, and which ACLs of it are missing. Pure.

use kafka_control::{Acl, AclOperation, AclPermission, PatternType, ResourceType};

use crate::inventory::model::Inventory;

/// One right: an operation on a named resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) resource: ResourceType,
    pub(crate) name: String,
    pub(crate) operation: AclOperation,
}

impl Right {
    fn new(resource: ResourceType, name: &str, operation: AclOperation) -> Self {
        Self { resource, name: name.to_owned(), operation }
    }

    /// What the right is on: `topic orders`.
    pub(crate) fn resource(&self) -> String {
        format!("{} {}", kind(self.resource), self.name)
    }

    /// The ACL that grants exactly this.
    pub(crate) fn acl(&self, principal: &str) -> Acl {
        Acl {
            resource_type: self.resource,
            resource_name: self.name.clone(),
            pattern_type: PatternType::Literal,
            principal: principal.to_owned(),
            host: "*".to_owned(),
            operation: self.operation,
            permission: AclPermission::Allow,
        }
    }
}

fn kind(resource: ResourceType) -> &'static str {
    match resource {
        ResourceType::Topic => "topic",
        ResourceType::Group => "group",
        ResourceType::Cluster => "cluster",
        _ => "resource",
    }
}

/// Every right that the worker and the declared connectors use. Topics are made by `provision`, so `Create` is not
/// among them.
pub(crate) fn required(inventory: &Inventory) -> Vec<Right> {
    let connect = &inventory.connect;
    let mut rights = vec![Right::new(ResourceType::Group, connect.group.as_str(), AclOperation::Read)];
    for topic in [&connect.topics.config.name, &connect.topics.offset.name, &connect.topics.status.name] {
        for operation in
            [AclOperation::Read, AclOperation::Write, AclOperation::Describe, AclOperation::DescribeConfigs]
        {
            rights.push(Right::new(ResourceType::Topic, topic.as_str(), operation));
        }
    }
    let mut writes = vec![super::probe_topic(inventory)];
    let mut reads: Vec<String> = Vec::new();
    for connector in inventory.connectors.values() {
        for key in ["kafka.topic", "topic"] {
            writes.extend(connector.config.get(key).cloned());
        }
        let dead_letters = connector.config.get("errors.deadletterqueue.topic.name");
        writes.extend(dead_letters.filter(|name| !name.is_empty()).cloned());
        let topics = connector.config.get("topics");
        if topics.is_some() || connector.config.contains_key("topics.regex") {
            let topics = topics.map(String::as_str).unwrap_or_default();
            reads.extend(
                topics.split(',').map(|topic| topic.trim().to_owned()).filter(|topic| !topic.is_empty()),
            );
            let group = connector.config.get("consumer.override.group.id").cloned();
            let group = group.unwrap_or_else(|| format!("connect-{}", connector.name));
            rights.push(Right::new(ResourceType::Group, &group, AclOperation::Read));
        }
    }
    for topic in writes {
        rights.push(Right::new(ResourceType::Topic, &topic, AclOperation::Write));
        rights.push(Right::new(ResourceType::Topic, &topic, AclOperation::Describe));
    }
    for topic in reads {
        rights.push(Right::new(ResourceType::Topic, &topic, AclOperation::Read));
        rights.push(Right::new(ResourceType::Topic, &topic, AclOperation::Describe));
    }
    let mut unique: Vec<Right> = Vec::with_capacity(rights.len());
    for right in rights {
        if !unique.contains(&right) {
            unique.push(right);
        }
    }
    unique
}

/// The rights that none of the ACLs grants to `principal`, in the order they were asked for. A denial counts.
pub(crate) fn missing(rights: &[Right], acls: &[Acl], principal: &str) -> Vec<Right> {
    rights.iter().filter(|right| !is_granted(right, acls, principal)).cloned().collect()
}

fn is_granted(right: &Right, acls: &[Acl], principal: &str) -> bool {
    let concerning: Vec<&Acl> = acls
        .iter()
        .filter(|acl| acl.principal == principal || acl.principal == "User:*")
        .filter(|acl| acl.resource_type == right.resource && covers(acl, &right.name))
        .collect();
    let denied = concerning.iter().any(|acl| {
        acl.permission == AclPermission::Deny
            && (acl.operation == right.operation || acl.operation == AclOperation::All)
    });
    !denied
        && concerning
            .iter()
            .any(|acl| acl.permission == AclPermission::Allow && implies(acl.operation, right.operation))
}

fn covers(acl: &Acl, name: &str) -> bool {
    match acl.pattern_type {
        PatternType::Prefixed => name.starts_with(&acl.resource_name),
        _ => acl.resource_name == name || acl.resource_name == "*",
    }
}

/// Whether an allowed operation carries another: Read, Write, Delete and Alter imply Describe, AlterConfigs implies
/// DescribeConfigs (`AclAuthorizer`, KIP-11).
fn implies(allowed: AclOperation, wanted: AclOperation) -> bool {
    allowed == AclOperation::All
        || allowed == wanted
        || (wanted == AclOperation::Describe
            && matches!(
                allowed,
                AclOperation::Read | AclOperation::Write | AclOperation::Delete | AclOperation::Alter
            ))
        || (wanted == AclOperation::DescribeConfigs && allowed == AclOperation::AlterConfigs)
}

/// The command of Kafka's own tools that adds the right, for people who manage ACLs elsewhere.
pub(crate) fn command(right: &Right, principal: &str) -> String {
    let resource = match right.resource {
        ResourceType::Group => format!("--group {}", right.name),
        ResourceType::Topic => format!("--topic {}", right.name),
        _ => "--cluster".to_owned(),
    };
    format!("kafka-acls.sh --add --allow-principal {principal} --operation {} {resource}", right.operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: &str = "User:connect";

    fn acl(name: &str, pattern: PatternType, operation: AclOperation, permission: AclPermission) -> Acl {
        Acl {
            resource_type: ResourceType::Topic,
            resource_name: name.to_owned(),
            pattern_type: pattern,
            principal: WHO.to_owned(),
            host: "*".to_owned(),
            operation,
            permission,
        }
    }

    fn is_missing(operation: AclOperation, acls: &[Acl]) -> bool {
        let rights = [Right::new(ResourceType::Topic, "orders-configs", operation)];
        !missing(&rights, acls, WHO).is_empty()
    }

    #[test]
    fn patterns_and_implied_operations_grant() {
        use AclOperation::{All, Describe, Read, Write};
        use AclPermission::{Allow, Deny};
        use PatternType::{Literal, Prefixed};
        assert!(is_missing(Read, &[]));
        assert!(!is_missing(Read, &[acl("orders-configs", Literal, Read, Allow)]));
        assert!(!is_missing(Read, &[acl("orders-", Prefixed, Read, Allow)]));
        assert!(!is_missing(Read, &[acl("*", Literal, All, Allow)]));
        assert!(!is_missing(Describe, &[acl("orders-configs", Literal, Write, Allow)]));
        assert!(is_missing(Write, &[acl("orders-configs", Literal, Read, Allow)]));
        assert!(is_missing(Read, &[acl("orders", Literal, Read, Allow)]));
        let denied = [acl("*", Literal, All, Allow), acl("orders-", Prefixed, Read, Deny)];
        assert!(is_missing(Read, &denied));
    }

    #[test]
    fn what_was_missing_is_granted_by_its_own_acl() {
        let right = Right::new(ResourceType::Topic, "t", AclOperation::Write);
        assert!(missing(std::slice::from_ref(&right), &[right.acl(WHO)], WHO).is_empty());
    }
}
