//! Running connectors and tasks: pause, resume, stop, restart, tasks.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::herder::RestartScope;
use crate::names::{TargetState, TaskId};
use crate::rest::error::RestError;
use crate::rest::forward;
use crate::rest::request::Received;
use crate::rest::routes::{Api, Outcome, json};
use crate::rest::wire::{self, ConnectorStatusBody, TaskInfoBody, TaskState};

fn no_content((): ()) -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn accepted((): ()) -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// A task number that cannot be one is an unknown URL, as in the JVM worker.
fn task_id(name: String, task: &str) -> Result<TaskId, RestError> {
    let task = task.parse().map_err(|_| RestError::bare(StatusCode::NOT_FOUND))?;
    Ok(TaskId::new(name, task))
}

pub(super) async fn pause(State(api): State<Api>, Path(name): Path<String>, received: Received) -> Outcome {
    let result = api.herder().await?.set_target(&name.into(), TargetState::Paused).await;
    Ok(forward::answer(&received, result, accepted).await)
}

pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>, received: Received) -> Outcome {
    let result = api.herder().await?.set_target(&name.into(), TargetState::Started).await;
    Ok(forward::answer(&received, result, accepted).await)
}

pub(super) async fn stop(State(api): State<Api>, Path(name): Path<String>, received: Received) -> Outcome {
    let result = api.herder().await?.set_target(&name.into(), TargetState::Stopped).await;
    Ok(forward::answer(&received, result, no_content).await)
}

pub(super) async fn restart(State(api): State<Api>, Path(name): Path<String>, received: Received) -> Outcome {
    let scope = RestartScope {
        include_tasks: received.flag("includeTasks", false),
        only_failed: received.flag("onlyFailed", false),
    };
    let herder = api.herder().await?;
    if !scope.include_tasks && !scope.only_failed {
        let result = herder.restart_connector(&name.into()).await;
        return Ok(forward::answer(&received, result, no_content).await);
    }
    let result = herder.restart(&name.into(), scope).await;
    let render = |status| json(StatusCode::ACCEPTED, &ConnectorStatusBody::from(status));
    Ok(forward::answer(&received, result, render).await)
}

pub(super) async fn tasks(State(api): State<Api>, Path(name): Path<String>) -> Outcome {
    let tasks = api.herder().await?.tasks(&name.into()).await?;
    let tasks: Vec<_> = tasks.into_iter().map(TaskInfoBody::from).collect();
    Ok(json(StatusCode::OK, &tasks))
}

/// Of one worker to another.
pub(super) async fn publish_tasks(
    State(api): State<Api>,
    Path(name): Path<String>,
    received: Received,
) -> Outcome {
    let tasks = received.json::<Vec<Map<String, Value>>>()?;
    let tasks = tasks.into_iter().map(wire::flat).collect::<Result<Vec<_>, _>>()?;
    let result = api.herder().await?.publish_tasks(&name.into(), tasks).await;
    Ok(forward::answer(&received, result, no_content).await)
}

pub(super) async fn task_status(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Outcome {
    let id = task_id(name, &task)?;
    let status = api.herder().await?.task_status(&id).await?;
    Ok(json(StatusCode::OK, &TaskState::new(id.task, status)))
}

pub(super) async fn restart_task(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
    received: Received,
) -> Outcome {
    let result = api.herder().await?.restart_task(&task_id(name, &task)?).await;
    Ok(forward::answer(&received, result, no_content).await)
}
