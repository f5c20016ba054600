//! The API over a herder that knows one connector and leads nothing.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::listener::Listener;
use crate::herder::stage::StageCell;
use crate::herder::{
    ConnectorInfo, ConnectorKind, ConnectorStatus, Existing, Health, Herder, HerderError, Put, RestartScope,
    TaskInfo,
};
use crate::names::{ConnectorName, RawConfig, Status, TargetState, TaskId};
use crate::plugins::validate::{JudgeError, Judgement};
use crate::rest::routes::{self, Api};
use crate::rest::server;

const STAGE: &str = "The worker is currently thinking.";

struct FakeHerder {
    leader_url: Option<String>,
    health: Health,
}

impl FakeHerder {
    fn not_leader<T>(&self) -> Result<T, HerderError> {
        Err(HerderError::NotLeader { leader_url: self.leader_url.clone() })
    }
}

#[async_trait]
impl Herder for FakeHerder {
    fn cluster_id(&self) -> &str {
        "cluster"
    }

    async fn health(&self) -> Health {
        self.health.clone()
    }

    async fn connectors(&self) -> Result<Vec<ConnectorName>, HerderError> {
        Ok(vec!["a b".into()])
    }

    async fn info(&self, name: &ConnectorName) -> Result<ConnectorInfo, HerderError> {
        if name.as_str() != "a b" {
            return Err(HerderError::NotFound(format!("Connector {name} not found")));
        }
        let config = RawConfig::from([("name".to_owned(), name.to_string())]);
        Ok(ConnectorInfo {
            name: name.clone(),
            config,
            tasks: vec![TaskId::new("a b", 0)],
            kind: ConnectorKind::Sink,
        })
    }

    async fn tasks(&self, _name: &ConnectorName) -> Result<Vec<TaskInfo>, HerderError> {
        Ok(Vec::new())
    }

    async fn status(&self, name: &ConnectorName) -> Result<ConnectorStatus, HerderError> {
        Err(HerderError::NotFound(format!("No status found for connector {name}")))
    }

    async fn task_status(&self, _id: &TaskId) -> Result<Status, HerderError> {
        Err(HerderError::TimedOut { stage: STAGE.to_owned() })
    }

    async fn topics(&self, _name: &ConnectorName) -> Result<Vec<String>, HerderError> {
        Err(HerderError::Forbidden("Topic tracking is disabled."))
    }

    async fn reset_topics(&self, _name: &ConnectorName) -> Result<(), HerderError> {
        Ok(())
    }

    async fn validate(&self, _config: &RawConfig) -> Result<Judgement, HerderError> {
        Err(JudgeError::NoClass.into())
    }

    async fn put(
        &self,
        _name: &ConnectorName,
        _config: RawConfig,
        _initial_state: Option<TargetState>,
        _existing: Existing,
    ) -> Result<Put, HerderError> {
        self.not_leader()
    }

    async fn patch(
        &self,
        _name: &ConnectorName,
        _patch: Vec<(String, Option<String>)>,
    ) -> Result<ConnectorInfo, HerderError> {
        self.not_leader()
    }

    async fn delete(&self, _name: &ConnectorName) -> Result<(), HerderError> {
        self.not_leader()
    }

    async fn set_target(&self, _name: &ConnectorName, _target: TargetState) -> Result<(), HerderError> {
        Ok(())
    }

    async fn restart_connector(&self, _name: &ConnectorName) -> Result<(), HerderError> {
        Err(HerderError::Conflict)
    }

    async fn restart(
        &self,
        name: &ConnectorName,
        _scope: RestartScope,
    ) -> Result<ConnectorStatus, HerderError> {
        self.status(name).await
    }

    async fn restart_task(&self, _id: &TaskId) -> Result<(), HerderError> {
        Ok(())
    }

    async fn publish_tasks(&self, _name: &ConnectorName, _tasks: Vec<RawConfig>) -> Result<(), HerderError> {
        self.not_leader()
    }
}

fn api(leader_url: Option<String>) -> Router {
    serving(Some(FakeHerder { leader_url, health: Health::Healthy }))
}

fn serving(herder: Option<FakeHerder>) -> Router {
    let herder = herder.map(|herder| Arc::new(herder) as Arc<dyn Herder>);
    let (_sender, seen) = watch::channel(herder);
    routes::router(Api::new(seen, StageCell::new("connecting to Kafka")))
}

async fn ask(api: Router, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", "Basic x");
    let response = api.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn herder_errors_have_one_status_each() {
    let error = |code: u16, message: &str| json!({ "error_code": code, "message": message });
    let no_leader = "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was \
                     underway.";
    let conflict = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";
    let mismatch = "Connector name configuration (y) doesn't match connector name in the URL (x)";
    for (method, path, body, status, message) in [
        ("GET", "/connectors/x", "", 404, "Connector x not found"),
        (
            "GET",
            "/connectors/x/tasks/0/status",
            "",
            500,
            "Request timed out. The worker is currently thinking.",
        ),
        ("GET", "/connectors/x/tasks/zero/status", "", 404, "HTTP 404 Not Found"),
        ("GET", "/connectors/x/topics", "", 403, "Topic tracking is disabled."),
        ("POST", "/connectors/x/restart", "", 409, conflict),
        ("DELETE", "/connectors/x", "", 409, no_leader),
        ("PUT", "/connectors/x/config", r#"{"name":"y"}"#, 400, mismatch),
        (
            "PUT",
            "/connector-plugins/P/config/validate",
            "{}",
            400,
            "Connector config contains no connector type",
        ),
        ("POST", "/", "", 405, "HTTP 405 Method Not Allowed"),
    ] {
        let answer = ask(api(None), method, path, body).await;
        assert_eq!(
            answer,
            (StatusCode::from_u16(status).unwrap(), error(status, message)),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn names_are_decoded_and_expansion_leaves_out_what_is_not_found() {
    let (status, info) = ask(api(None), "GET", "/connectors/a%20b", "").await;
    let tasks = json!([{ "connector": "a b", "task": 0 }]);
    assert_eq!(
        (status, info),
        (
            StatusCode::OK,
            json!({ "name": "a b", "config": { "name": "a b" }, "tasks": tasks, "type": "sink" })
        )
    );
    let (_, expanded) = ask(api(None), "GET", "/connectors?expand=info", "").await;
    assert_eq!(expanded["a b"]["info"]["type"], "sink");
    let (_, expanded) = ask(api(None), "GET", "/connectors?expand=info&expand=status", "").await;
    assert_eq!(expanded, json!({}));
}

#[tokio::test]
async fn health_is_said_as_the_jvm_does() {
    let check = async |health: Option<Health>, status: u16, word: &str, message: &str| {
        let herder = health.map(|health| FakeHerder { leader_url: None, health });
        let (found, body) = ask(serving(herder), "GET", "/health", "").await;
        assert_eq!((found.as_u16(), body["status"].as_str()), (status, Some(word)), "{body}");
        let text = body["message"].as_str().unwrap();
        assert!(text.starts_with(message), "{text}");
    };
    let details = || STAGE.to_owned();
    let started = "Worker has completed startup and is ready to handle requests.";
    check(Some(Health::Healthy), 200, "healthy", started).await;
    let starting = format!("Worker is still starting up. {STAGE}");
    check(Some(Health::Starting { details: details() }), 503, "starting", &starting).await;
    let without_herder =
        "Worker is still starting up. The worker is currently connecting to Kafka, which began at";
    check(None, 503, "starting", without_herder).await;
    let unhealthy = format!(
        "Worker was unable to handle this request and may be unable to handle other requests. {STAGE}"
    );
    check(Some(Health::Unhealthy { details: details() }), 500, "unhealthy", &unhealthy).await;
}

/// What the leader was asked, and with which body.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

#[tokio::test]
async fn requests_go_to_the_leader_in_two_hops_at_most() {
    let asked = Asked::default();
    let seen = asked.clone();
    let leader = Router::new().fallback(move |request: Request| {
        let seen = seen.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
            let line = format!("{} {} {authorization}", parts.method, parts.uri);
            seen.lock().unwrap().push((line, body));
            (StatusCode::CREATED, [("location", "/connectors/x")], r#"{"name":"x"}"#).into_response()
        }
    });
    let socket = server::bind("listeners", &Listener { host: "127.0.0.1".into(), port: 0 }).await.unwrap();
    let url = format!("http://{}/", server::local_address(&socket).unwrap());
    let end = CancellationToken::new();
    let serving = tokio::spawn(server::serve(socket, leader, end.clone()));

    let body = r#"{"connector.class":"C"}"#;
    let follower = || api(Some(url.clone()));
    let answer = ask(follower(), "PUT", "/connectors/x/config?a=1", body).await;
    assert_eq!(answer, (StatusCode::CREATED, json!({ "name": "x" })));
    ask(follower(), "PUT", "/connectors/x/config?forward=true", body).await;
    let (status, _) = ask(follower(), "PUT", "/connectors/x/config?forward=false", body).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let expected = ["a=1&forward=true", "forward=false"]
        .map(|query| (format!("PUT /connectors/x/config?{query} Basic x"), body.to_owned()));
    assert_eq!(*asked.lock().unwrap(), expected);
    end.cancel();
    serving.await.unwrap();
}
