//! The way to one broker: a task that owns the connection, opens it when it is needed, and opens it again, with pauses
//! that grow, when it is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, ExchangeError, Setup};
use crate::endpoint::Endpoint;
use crate::error::{Error, WireError};
use crate::login_error::LoginError;
use crate::wire::{Answer, AnyRequest};

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Requests that wait for their turn on one connection.
const QUEUE: usize = 64;

/// Cheap to clone. The task behind it ends when the last clone is gone, so nobody needs to stop it.
#[derive(Clone)]
pub(crate) struct Link {
    endpoint: Endpoint,
    calls: mpsc::Sender<Call>,
}

struct Call {
    request: AnyRequest,
    limit: Duration,
    reply: oneshot::Sender<Result<Answer, CallError>>,
}

enum CallError {
    Login(LoginError),
    Exchange(ExchangeError),
}

impl Link {
    pub(crate) fn new(setup: Arc<Setup>, endpoint: Endpoint) -> Self {
        let (calls, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(setup, endpoint.clone(), queue));
        Self { endpoint, calls }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request when its turn has come, and waits up to `limit` for the answer. Dropping the future closes the
    /// connection if the request is under way, so that nobody gets an answer that is not his.
    pub(crate) async fn call(&self, request: AnyRequest, limit: Duration) -> Result<Answer, Error> {
        let api = request.api;
        let (reply, answer) = oneshot::channel();
        let closed = || Error::Wire { broker: self.endpoint.clone(), api, source: WireError::Closed };
        self.calls.send(Call { request, limit, reply }).await.map_err(|_task_is_gone| closed())?;
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(CallError::Login(error))) => Err(error.into()),
            Ok(Err(CallError::Exchange(ExchangeError::Unsupported(source)))) => {
                Err(Error::Unsupported { broker: self.endpoint.clone(), source })
            }
            Ok(Err(CallError::Exchange(ExchangeError::Wire(source)))) => {
                Err(Error::Wire { broker: self.endpoint.clone(), api, source })
            }
            Err(_task_is_gone) => Err(closed()),
        }
    }
}

async fn run(setup: Arc<Setup>, endpoint: Endpoint, mut queue: mpsc::Receiver<Call>) {
    let mut line = Line { setup, endpoint, connection: None, not_before: Instant::now(), pause: FIRST_PAUSE };
    loop {
        let call = match &mut line.connection {
            None => queue.recv().await,
            Some(connection) => tokio::select! {
                biased;
                call = queue.recv() => call,
                ended = connection.idle() => {
                    tracing::debug!(broker = %line.endpoint, error = %ended, "idle connection ended");
                    line.connection = None;
                    continue;
                }
            },
        };
        let Some(Call { request, limit, mut reply }) = call else { return };
        let result = tokio::select! {
            biased;
            () = reply.closed() => {
                line.connection = None;
                continue;
            }
            result = line.answer(&request, limit) => result,
        };
        let _caller_may_be_gone = reply.send(result);
    }
}

struct Line {
    setup: Arc<Setup>,
    endpoint: Endpoint,
    connection: Option<Connection>,
    not_before: Instant,
    pause: Duration,
}

impl Line {
    async fn answer(&mut self, request: &AnyRequest, limit: Duration) -> Result<Answer, CallError> {
        let mut connection = match self.connection.take() {
            Some(mut connection) => match connection.keep_session(&self.setup).await {
                Ok(()) => connection,
                Err(error) => {
                    tracing::info!(broker = %self.endpoint, %error, "session could not be kept, connecting again");
                    self.connect().await.map_err(CallError::Login)?
                }
            },
            None => self.connect().await.map_err(CallError::Login)?,
        };
        let result = connection.exchange(request, limit).await;
        match &result {
            Ok(_) | Err(ExchangeError::Unsupported(_) | ExchangeError::Wire(WireError::Encode(_))) => {
                self.connection = Some(connection);
            }
            Err(ExchangeError::Wire(error)) => {
                tracing::debug!(broker = %self.endpoint, %error, "connection lost");
            }
        }
        result.map_err(CallError::Exchange)
    }

    async fn connect(&mut self) -> Result<Connection, LoginError> {
        sleep_until(self.not_before).await;
        // Whatever comes of this attempt, also when it is cancelled, the next one waits.
        self.not_before = Instant::now() + self.pause;
        let opened = Connection::open(&self.setup, &self.endpoint).await;
        match &opened {
            Ok(_) => self.pause = FIRST_PAUSE,
            Err(_) => {
                self.not_before = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        opened
    }
}
