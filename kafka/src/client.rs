//! The client: one link per broker, requests routed to the right one, and repeated there when it has moved.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;

use crate::connection::{Connection, Setup};
use crate::dial::Dial;
use crate::endpoint::Endpoint;
use crate::error::{ApiRefusal, Error};
use crate::link::Link;
use crate::login_error::LoginError;
use crate::retry::Retry;
use crate::route::{Route, View};
use crate::sasl::Security;
use crate::wire::{self, AnyRequest};

/// Where the cluster is and how to talk to it.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub bootstrap: Vec<Endpoint>,
    pub security: Security,
    /// The name that brokers write in their logs and count quotas by.
    pub client_id: String,
    /// For opening one connection, from dialing to the end of authentication.
    pub login_timeout: Duration,
    /// For one answer of one broker.
    pub request_timeout: Duration,
    /// For a whole operation, like Kafka's `default.api.timeout.ms`: after this no further attempt is made.
    pub api_timeout: Duration,
}

impl ClientConfig {
    pub fn new(bootstrap: Vec<Endpoint>, security: Security) -> Self {
        Self {
            bootstrap,
            security,
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            login_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(20),
            api_timeout: Duration::from_secs(30),
        }
    }
}

/// A client of one cluster. Connects when it is first asked something. Cheap to clone; used within a tokio runtime.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ClientConfig,
    setup: Arc<Setup>,
    state: Mutex<State>,
}

/// Only ever locked for a look or a change, never while waiting.
#[derive(Default)]
pub(crate) struct State {
    links: HashMap<Endpoint, Link>,
    pub(crate) view: View,
    /// Which broker is asked when any will do: the same one while it answers, to save connections.
    pub(crate) turn: usize,
    /// In KRaft mode every broker forwards to the controller; with ZooKeeper the others refuse, once.
    pub(crate) needs_controller: bool,
}

impl Client {
    pub fn new(config: ClientConfig, dial: Arc<dyn Dial>) -> Self {
        let setup = Arc::new(Setup {
            dial,
            security: config.security.clone(),
            client_id: config.client_id.clone(),
            login_timeout: config.login_timeout,
        });
        Self { inner: Arc::new(Inner { config, setup, state: Mutex::default() }) }
    }

    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// Opens a connection to one broker with TLS and SASL as configured, once and without patience, and closes it.
    pub async fn probe_login(&self, endpoint: &Endpoint) -> Result<(), LoginError> {
        Connection::open(&self.inner.setup, endpoint).await.map(drop)
    }

    /// Sends a request along a route until it is answered for good, or `api_timeout` is over.
    ///
    /// `build` makes the request for the version that the broker understands, `read` takes the value out of the
    /// answer, or finds a refusal in it.
    pub(crate) async fn send<R, T>(
        &self,
        route: Route<'_>,
        build: impl Fn(i16) -> R + Clone + Send + Sync + 'static,
        read: impl Fn(R::Response) -> Result<T, ApiRefusal>,
    ) -> Result<T, Error>
    where
        R: Request,
    {
        self.send_at_most(i16::MAX, route, build, read).await
    }

    /// Like [`Client::send`], without the versions above `max`.
    pub(crate) async fn send_at_most<R, T>(
        &self,
        max: i16,
        route: Route<'_>,
        build: impl Fn(i16) -> R + Clone + Send + Sync + 'static,
        read: impl Fn(R::Response) -> Result<T, ApiRefusal>,
    ) -> Result<T, Error>
    where
        R: Request,
    {
        let mut retry = Retry::new(wire::api_of::<R>(), self.inner.config.api_timeout);
        let attempt = async || {
            let broker = self.resolve(route).await?;
            let request = AnyRequest::new(build.clone()).at_most(max);
            let response = self.call::<R>(&broker, request).await?;
            read(response).map_err(|refusal| Error::Refused { broker, refusal })
        };
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => self.recover(&mut retry, error).await?,
            }
        }
    }

    /// Waits after a failure that may pass, and looks at the cluster afresh after it; or gives up with the error to
    /// report.
    pub(crate) async fn recover(&self, retry: &mut Retry, error: Error) -> Result<(), Error> {
        let met_wrong_controller = error.code() == Some(ResponseError::NotController);
        let paused = retry.pause(error).await;
        if matches!(paused, Ok(()) | Err(Error::Deadline { .. })) {
            let mut state = self.state();
            state.view.forget();
            state.turn = state.turn.wrapping_add(1);
            state.needs_controller |= met_wrong_controller;
        }
        paused
    }

    /// Asks another broker next, where any will do.
    pub(crate) fn try_another_broker(&self) {
        let mut state = self.state();
        state.turn = state.turn.wrapping_add(1);
    }

    /// Asks another broker than this one next.
    pub(crate) fn avoid(&self, broker: &Endpoint) {
        if self.any_broker().is_ok_and(|next| next == *broker) {
            self.try_another_broker();
        }
    }

    pub(crate) async fn call<R: Request>(
        &self,
        broker: &Endpoint,
        request: AnyRequest,
    ) -> Result<R::Response, Error> {
        let link = self.link(broker);
        call_on::<R>(&link, request, self.inner.config.request_timeout).await
    }

    /// A link that nobody else uses, for requests that block their connection.
    pub(crate) fn own_link(&self, broker: &Endpoint) -> Link {
        Link::new(self.inner.setup.clone(), broker.clone())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is a cache.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request to each broker opens a connection of its own. Requests under way are not disturbed.
    pub(crate) fn forget_links(&self) {
        self.state().links.clear();
    }

    pub(crate) fn link(&self, broker: &Endpoint) -> Link {
        let mut state = self.state();
        state
            .links
            .entry(broker.clone())
            .or_insert_with(|| Link::new(self.inner.setup.clone(), broker.clone()))
            .clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

pub(crate) async fn call_on<R: Request>(
    link: &Link,
    request: AnyRequest,
    limit: Duration,
) -> Result<R::Response, Error> {
    let answer = link.call(request, limit).await?;
    let api: ApiKey = wire::api_of::<R>();
    answer.decode::<R>().map_err(|source| Error::Wire { broker: link.endpoint().clone(), api, source })
}
