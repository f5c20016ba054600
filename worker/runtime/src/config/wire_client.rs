//! The settings of a Java client -> a wire client of ours.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{Client, Endpoint};

use crate::config::Problem;
use crate::config::security::{ClientSecurity, SecurityError};

/// `request.timeout.ms` of Kafka's clients, unless it is set.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireClientError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    #[error("the settings do not fit together")]
    Security(#[from] SecurityError),
}

/// Connects when it is first asked something.
pub(crate) fn from_java(settings: &BTreeMap<String, String>) -> Result<Client, WireClientError> {
    let text = |key: &str| settings.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let wrong = |key: &str, message: String| WireClientError::Settings(vec![Problem::new(key, message)]);
    let bootstrap = Endpoint::parse_list(text("bootstrap.servers").unwrap_or_default())
        .map_err(|error| wrong("bootstrap.servers", error.to_string()))?;
    let security = ClientSecurity::from_java(settings).map_err(WireClientError::Settings)?;
    let id = text("client.id").unwrap_or_default().to_owned();
    let timeout = match text("request.timeout.ms") {
        None => REQUEST_TIMEOUT,
        Some(text) => Duration::from_millis(
            text.parse().map_err(|_| wrong("request.timeout.ms", format!("not a number: {text:?}")))?,
        ),
    };
    Ok(security.wire_client(bootstrap, id, timeout)?)
}
