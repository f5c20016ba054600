//! Access control lists.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{ApiKey, CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use crate::admin::operations::{AclOperation, ResourceType};
use crate::admin::{text, verdict};
use crate::client::Client;
use crate::error::{ApiRefusal, Error};
use crate::route::Route;

/// How an ACL names its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum PatternType {
    /// Matches both others; only in filters.
    Any = 1,
    /// All ACLs that apply to the given name: literal, prefixed and `*`; only in filters.
    Match = 2,
    Literal = 3,
    Prefixed = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum AclPermission {
    /// Matches both others; only in filters.
    Any = 1,
    Deny = 2,
    Allow = 3,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    pub resource_type: ResourceType,
    pub resource_name: String,
    pub pattern_type: PatternType,
    /// For instance `User:connect`.
    pub principal: String,
    /// An address, or `*`.
    pub host: String,
    pub operation: AclOperation,
    pub permission: AclPermission,
}

impl Acl {
    /// Allows a principal an operation on one resource, from every host.
    pub fn allow(
        principal: impl Into<String>,
        operation: AclOperation,
        resource_type: ResourceType,
        resource_name: impl Into<String>,
    ) -> Self {
        Self {
            resource_type,
            resource_name: resource_name.into(),
            pattern_type: PatternType::Literal,
            principal: principal.into(),
            host: "*".to_owned(),
            operation,
            permission: AclPermission::Allow,
        }
    }
}

/// Which rules are meant; `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFilter {
    pub resource_type: ResourceType,
    pub resource_name: Option<String>,
    pub pattern_type: PatternType,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: AclOperation,
    pub permission: AclPermission,
}

impl Default for AclFilter {
    /// Every rule there is.
    fn default() -> Self {
        Self {
            resource_type: ResourceType::Any,
            resource_name: None,
            pattern_type: PatternType::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
}

impl Client {
    /// Lists rules. A cluster without an authorizer refuses with `SecurityDisabled`. Rules with words that this client
    /// does not know are left out.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<Acl>, Error> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(filter.resource_type as i8)
            .with_resource_name_filter(filter.resource_name.as_deref().map(text))
            .with_pattern_type_filter(filter.pattern_type as i8)
            .with_principal_filter(filter.principal.as_deref().map(text))
            .with_host_filter(filter.host.as_deref().map(text))
            .with_operation(filter.operation as i8)
            .with_permission_type(filter.permission as i8);
        self.send(
            Route::Any,
            move |_version| request.clone(),
            |response| {
                verdict(ApiKey::DescribeAcls, "ACLs", response.error_code, response.error_message.as_ref())?;
                let mut acls = Vec::new();
                for resource in &response.resources {
                    let known = resource.acls.iter().filter_map(|acl| {
                        Some(Acl {
                            resource_type: ResourceType::from_code(resource.resource_type)?,
                            resource_name: resource.resource_name.to_string(),
                            pattern_type: pattern_of(resource.pattern_type)?,
                            principal: acl.principal.to_string(),
                            host: acl.host.to_string(),
                            operation: AclOperation::from_code(acl.operation)?,
                            permission: permission_of(acl.permission_type)?,
                        })
                    });
                    acls.extend(known);
                }
                acls.sort();
                Ok(acls)
            },
        )
        .await
    }

    /// Adds rules; one that exists already is added without harm. Results in the order of `acls`.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<Vec<Result<(), ApiRefusal>>, Error> {
        if acls.is_empty() {
            return Ok(Vec::new());
        }
        let creation = |acl: &Acl| {
            AclCreation::default()
                .with_resource_type(acl.resource_type as i8)
                .with_resource_name(text(&acl.resource_name))
                .with_resource_pattern_type(acl.pattern_type as i8)
                .with_principal(text(&acl.principal))
                .with_host(text(&acl.host))
                .with_operation(acl.operation as i8)
                .with_permission_type(acl.permission as i8)
        };
        let creations: Vec<AclCreation> = acls.iter().map(creation).collect();
        self.send(
            Route::Controller,
            move |_version| CreateAclsRequest::default().with_creations(creations.clone()),
            |response| {
                let results = response.results.iter().zip(acls).map(|(result, acl)| {
                    let subject =
                        format!("{} on {:?} `{}`", acl.operation, acl.resource_type, acl.resource_name);
                    verdict(ApiKey::CreateAcls, subject, result.error_code, result.error_message.as_ref())
                });
                Ok(results.collect())
            },
        )
        .await
    }

    /// Removes the rules that match, and says how many there were.
    pub async fn delete_acls(&self, filter: &AclFilter) -> Result<usize, Error> {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(filter.resource_type as i8)
            .with_resource_name_filter(filter.resource_name.as_deref().map(text))
            .with_pattern_type_filter(filter.pattern_type as i8)
            .with_principal_filter(filter.principal.as_deref().map(text))
            .with_host_filter(filter.host.as_deref().map(text))
            .with_operation(filter.operation as i8)
            .with_permission_type(filter.permission as i8);
        self.send(
            Route::Controller,
            move |_version| DeleteAclsRequest::default().with_filters(vec![filter.clone()]),
            |response| {
                let mut deleted = 0;
                for result in &response.filter_results {
                    verdict(ApiKey::DeleteAcls, "ACLs", result.error_code, result.error_message.as_ref())?;
                    for acl in &result.matching_acls {
                        let subject = format!("ACL on `{}`", acl.resource_name);
                        verdict(ApiKey::DeleteAcls, subject, acl.error_code, acl.error_message.as_ref())?;
                        deleted += 1;
                    }
                }
                Ok(deleted)
            },
        )
        .await
    }
}

fn pattern_of(code: i8) -> Option<PatternType> {
    match code {
        3 => Some(PatternType::Literal),
        4 => Some(PatternType::Prefixed),
        _ => None,
    }
}

fn permission_of(code: i8) -> Option<AclPermission> {
    match code {
        2 => Some(AclPermission::Deny),
        3 => Some(AclPermission::Allow),
        _ => None,
    }
}
