//! Connectors: list, create, read, change, delete.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use crate::herder::{ConnectorInfo, Existing, Herder, HerderError, Put};
use crate::names::{ConnectorName, RawConfig, TargetState};
use crate::rest::error::RestError;
use crate::rest::forward::{self, encode};
use crate::rest::request::Received;
use crate::rest::routes::{Api, Outcome, json};
use crate::rest::wire::{
    self, ConnectorInfoBody, ConnectorStatusBody, CreateConnectorRequest, Expanded, NewConnector,
};

pub(super) async fn list(State(api): State<Api>, received: Received) -> Outcome {
    let herder = api.herder().await?;
    let names = herder.connectors().await?;
    let expand = received.all("expand");
    if expand.is_empty() {
        let names: Vec<&str> = names.iter().map(ConnectorName::as_str).collect();
        return Ok(json(StatusCode::OK, &names));
    }
    let mut expanded = BTreeMap::new();
    for name in names {
        if let Some(one) = expand_one(&*herder, &name, &expand).await? {
            expanded.insert(name.to_string(), one);
        }
    }
    Ok(json(StatusCode::OK, &expanded))
}

/// None for a connector that one of the questions does not find.
async fn expand_one(
    herder: &dyn Herder,
    name: &ConnectorName,
    expand: &[String],
) -> Result<Option<Expanded>, RestError> {
    let mut expanded = Expanded::default();
    for what in expand {
        let found = match what.as_str() {
            "status" => herder.status(name).await.map(|s| expanded.status = Some(s.into())),
            "info" => herder.info(name).await.map(|i| expanded.info = Some(i.into())),
            _ => Ok(()),
        };
        match found {
            Ok(()) => {}
            Err(HerderError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(expanded))
}

pub(super) async fn create(State(api): State<Api>, received: Received) -> Outcome {
    let NewConnector { name, config, initial_state } = received.json::<CreateConnectorRequest>()?.read()?;
    put(&api, &received, name, config, initial_state, Existing::Refuse).await
}

pub(super) async fn put_config(
    State(api): State<Api>,
    Path(name): Path<String>,
    received: Received,
) -> Outcome {
    let config = wire::flat(received.json::<Map<String, Value>>()?)?;
    put(&api, &received, name, config, None, Existing::Replace).await
}

async fn put(
    api: &Api,
    received: &Received,
    name: String,
    mut config: RawConfig,
    initial_state: Option<TargetState>,
    existing: Existing,
) -> Outcome {
    check_name(&name, &mut config)?;
    let herder = api.herder().await?;
    let result = herder.put(&name.into(), config, initial_state, existing).await;
    Ok(forward::answer(received, result, |put| match put {
        Put::Created(info) => created(info),
        Put::Updated(info) => json(StatusCode::OK, &ConnectorInfoBody::from(info)),
    })
    .await)
}

/// The name in the config must be that of the request; an absent one is added.
fn check_name(name: &str, config: &mut RawConfig) -> Result<(), RestError> {
    match config.get("name") {
        Some(inner) if inner != name => Err(RestError::bad_request(format!(
            "Connector name configuration ({inner}) doesn't match connector name in the URL ({name})"
        ))),
        Some(_) => Ok(()),
        None => {
            config.insert("name".to_owned(), name.to_owned());
            Ok(())
        }
    }
}

fn created(info: ConnectorInfo) -> Response {
    let location = format!("/connectors/{}", encode(info.name.as_str()));
    let mut response = json(StatusCode::CREATED, &ConnectorInfoBody::from(info));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

pub(super) async fn patch_config(
    State(api): State<Api>,
    Path(name): Path<String>,
    received: Received,
) -> Outcome {
    let patch = wire::patch(received.json::<Map<String, Value>>()?)?;
    let result = api.herder().await?.patch(&name.into(), patch).await;
    let render = |info| json(StatusCode::OK, &ConnectorInfoBody::from(info));
    Ok(forward::answer(&received, result, render).await)
}

pub(super) async fn info(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    let info = api.herder().await?.info(&name.into()).await?;
    Ok(json(StatusCode::OK, &ConnectorInfoBody::from(info)))
}

pub(super) async fn config(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    let info = api.herder().await?.info(&name.into()).await?;
    Ok(json(StatusCode::OK, &info.config))
}

pub(super) async fn delete(State(api): State<Api>, Path(name): Path<String>, received: Received) -> Outcome {
    let result = api.herder().await?.delete(&name.into()).await;
    Ok(forward::answer(&received, result, |()| StatusCode::NO_CONTENT.into_response()).await)
}

pub(super) async fn status(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    let status = api.herder().await?.status(&name.into()).await?;
    Ok(json(StatusCode::OK, &ConnectorStatusBody::from(status)))
}

pub(super) async fn topics(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    let topics = api.herder().await?.topics(&name.as_str().into()).await?;
    Ok(json(StatusCode::OK, &wire::active_topics(&name, topics)))
}

pub(super) async fn reset_topics(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    api.herder().await?.reset_topics(&name.into()).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
