//! Configurations of topics, brokers and groups.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{ApiKey, DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::admin::topics::CreateMode;
use crate::admin::{left_out, text, verdict};
use crate::client::Client;
use crate::endpoint::BrokerId;
use crate::error::{ApiRefusal, Error};
use crate::route::Route;

/// What a configuration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    Topic(String),
    Broker(BrokerId),
    Group(String),
}

impl ConfigResource {
    fn code(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::Group(_) => 32,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) => name.clone(),
            Self::Broker(id) => id.to_string(),
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic `{name}`"),
            Self::Group(name) => format!("group `{name}`"),
            Self::Broker(id) => format!("broker {id}"),
        }
    }

    /// A broker answers only for itself.
    fn route(&self) -> Route<'static> {
        match self {
            Self::Broker(id) => Route::Broker(*id),
            Self::Topic(_) | Self::Group(_) => Route::Any,
        }
    }
}

/// Where the value in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    Group,
    /// Something newer than this client.
    Other(i8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` for a sensitive value, which brokers never tell, and for one that is not set.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
}

/// A change to one config, which leaves all others alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigAlteration {
    pub name: String,
    pub operation: ConfigOperation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(String),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes out of a list.
    Subtract(String),
}

impl Client {
    /// Every config of one resource, in the broker's order.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, Error> {
        let wanted = DescribeConfigsResource::default()
            .with_resource_type(resource.code())
            .with_resource_name(text(&resource.name()))
            .with_configuration_keys(None);
        self.send(
            resource.route(),
            move |_version| DescribeConfigsRequest::default().with_resources(vec![wanted.clone()]),
            |response| {
                let Some(result) = response.results.into_iter().next() else {
                    return Err(left_out(ApiKey::DescribeConfigs, resource.subject()));
                };
                let api = ApiKey::DescribeConfigs;
                verdict(api, resource.subject(), result.error_code, result.error_message.as_ref())?;
                Ok(result.configs.iter().map(entry).collect())
            },
        )
        .await
    }

    /// Every config of several topics, each with its own verdict.
    ///
    /// **Shape**: name -> configs in the broker's order, or why there are none.
    pub async fn describe_topic_configs(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Result<Vec<ConfigEntry>, ApiRefusal>>, Error> {
        let wanted: Vec<DescribeConfigsResource> = names
            .iter()
            .map(|name| {
                DescribeConfigsResource::default()
                    .with_resource_type(ConfigResource::Topic(String::new()).code())
                    .with_resource_name(text(name))
                    .with_configuration_keys(None)
            })
            .collect();
        self.send(
            Route::Any,
            move |_version| DescribeConfigsRequest::default().with_resources(wanted.clone()),
            |response| {
                let read = |result: DescribeConfigsResult| {
                    let name = result.resource_name.to_string();
                    let subject = ConfigResource::Topic(name.clone()).subject();
                    let api = ApiKey::DescribeConfigs;
                    let verdict = verdict(api, subject, result.error_code, result.error_message.as_ref());
                    (name, verdict.map(|()| result.configs.iter().map(entry).collect()))
                };
                Ok(response.results.into_iter().map(read).collect())
            },
        )
        .await
    }

    /// Changes some configs of one resource.
    pub async fn incremental_alter_configs(
        &self,
        resource: &ConfigResource,
        alterations: &[ConfigAlteration],
        mode: CreateMode,
    ) -> Result<(), Error> {
        let wanted = AlterConfigsResource::default()
            .with_resource_type(resource.code())
            .with_resource_name(text(&resource.name()))
            .with_configs(alterations.iter().map(alterable).collect());
        self.send(
            resource.route(),
            move |_version| {
                IncrementalAlterConfigsRequest::default()
                    .with_resources(vec![wanted.clone()])
                    .with_validate_only(mode == CreateMode::ValidateOnly)
            },
            |response| {
                let api = ApiKey::IncrementalAlterConfigs;
                match response.responses.into_iter().next() {
                    None => Err(left_out(api, resource.subject())),
                    Some(result) => {
                        verdict(api, resource.subject(), result.error_code, result.error_message.as_ref())
                    }
                }
            },
        )
        .await
    }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.to_string(),
        value: config.value.as_ref().map(ToString::to_string),
        source: match config.config_source {
            1 => ConfigSource::Topic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            8 => ConfigSource::Group,
            other => ConfigSource::Other(other),
        },
        is_sensitive: config.is_sensitive,
        is_read_only: config.read_only,
    }
}

fn alterable(alteration: &ConfigAlteration) -> AlterableConfig {
    let (operation, value) = match &alteration.operation {
        ConfigOperation::Set(value) => (0, Some(value)),
        ConfigOperation::Delete => (1, None),
        ConfigOperation::Append(value) => (2, Some(value)),
        ConfigOperation::Subtract(value) => (3, Some(value)),
    };
    AlterableConfig::default()
        .with_name(text(&alteration.name))
        .with_config_operation(operation)
        .with_value(value.map(|value| text(value)))
}
