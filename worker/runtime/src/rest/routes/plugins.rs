//! Plugins: which there are, what they can be configured with, and whether a config is good.

use axum::extract::{Path, State};
use connect_api::ConfigDef;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::plugins::builtin::PLUGINS;
use crate::plugins::connector_config;
use crate::plugins::registry::{Make, Plugin, find_any};
use crate::rest::error::RestError;
use crate::rest::request::Received;
use crate::rest::routes::{Api, Outcome, json};
use crate::rest::wire::{self, ConfigInfos, ConfigKeyBody, PluginBody};

/// In the order in which the JVM worker lists the kinds.
const KINDS: [&str; 4] = ["sink", "source", "converter", "header_converter"];

pub(super) async fn list(received: Received) -> Outcome {
    let only_connectors = received.flag("connectorsOnly", true);
    let kinds = if only_connectors { &KINDS[..2] } else { &KINDS[..] };
    let of_kind = |kind: &&str| PLUGINS.iter().filter(|p| p.kind() == *kind).collect::<Vec<&Plugin>>();
    let plugins: Vec<PluginBody> = kinds.iter().flat_map(of_kind).map(PluginBody::from).collect();
    Ok(json(StatusCode::OK, &plugins))
}

pub(super) async fn config(Path(name): Path<String>) -> Outcome {
    let plugin = find_any(&name)
        .ok_or_else(|| RestError::new(StatusCode::NOT_FOUND, format!("Unknown plugin {name}.")))?;
    let framework = match plugin.make {
        Make::Source(_) => Some(&*connector_config::SOURCE),
        Make::Sink(_) => Some(&*connector_config::SINK),
        Make::Converter(_) | Make::HeaderConverter(_) => None,
    };
    let own: ConfigDef = match plugin.make {
        Make::Source(make) => make().config_def().clone(),
        Make::Sink(make) => make().config_def().clone(),
        Make::Converter(make) => make().config_def().clone(),
        Make::HeaderConverter(make) => make().config_def().clone(),
    };
    let all = match framework {
        Some(framework) => own.include(framework),
        None => own,
    };
    let keys: Vec<ConfigKeyBody> = all.keys().iter().map(ConfigKeyBody::from).collect();
    Ok(json(StatusCode::OK, &keys))
}

pub(super) async fn validate(
    State(api): State<Api>,
    Path(name): Path<String>,
    received: Received,
) -> Outcome {
    let config = wire::flat(received.json::<Map<String, Value>>()?)?;
    if let Some(class) = config.get("connector.class") {
        let short = |text: &str| text.strip_suffix("Connector").unwrap_or(text).to_owned();
        if !short(class).ends_with(&short(&name)) {
            return Err(RestError::bad_request(format!(
                "Included connector type {class} does not match request type {name}"
            )));
        }
    }
    let judgement = api.herder().await?.validate(&config).await?;
    Ok(json(StatusCode::OK, &ConfigInfos::from(judgement)))
}
