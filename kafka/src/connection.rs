//! One authenticated connection to one broker: opened, secured, asked one request at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Request, StrBytes, VersionRange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dial::{BoxedStream, Dial};
use crate::endpoint::Endpoint;
use crate::error::{TheirVersions, UnsupportedApi, WireError};
use crate::login_error::{LoginError, Stage};
use crate::sasl::{Sasl, Security, plain_message};
use crate::scram::{ScramLogin, ScramMechanism, random_nonce};
use crate::tls;
use crate::wire::{self, Answer, AnyRequest};

/// What every connection of a client has in common.
pub(crate) struct Setup {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) security: Security,
    pub(crate) client_id: String,
    /// From dialing to the end of authentication.
    pub(crate) login_timeout: Duration,
}

pub(crate) struct Connection {
    endpoint: Endpoint,
    stream: BoxedStream,
    /// Read and not yet understood.
    buffer: BytesMut,
    client_id: String,
    next_correlation: i32,
    versions: Vec<(i16, VersionRange)>,
    /// When the session ends unless we authenticate again (KIP-368).
    reauthenticate_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum ExchangeError {
    Unsupported(UnsupportedApi),
    Wire(WireError),
}

impl From<WireError> for ExchangeError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Connection {
    pub(crate) async fn open(setup: &Setup, endpoint: &Endpoint) -> Result<Self, LoginError> {
        let deadline = Instant::now() + setup.login_timeout;
        let too_late =
            |stage| LoginError::TimedOut { endpoint: endpoint.clone(), stage, after: setup.login_timeout };
        let stream = timeout_at(deadline, setup.dial.dial(endpoint))
            .await
            .map_err(|_elapsed| too_late(Stage::Connect))?
            .map_err(|source| LoginError::Dial { endpoint: endpoint.clone(), source })?;
        let stream = match &setup.security.tls {
            Some(tls) => timeout_at(deadline, tls::handshake(tls, endpoint, stream))
                .await
                .map_err(|_elapsed| too_late(Stage::TlsHandshake))??,
            None => stream,
        };
        let mut connection = Self {
            endpoint: endpoint.clone(),
            stream,
            buffer: BytesMut::new(),
            client_id: setup.client_id.clone(),
            next_correlation: 0,
            versions: Vec::new(),
            reauthenticate_at: None,
        };
        let is_plaintext = setup.security.tls.is_none();
        connection.versions = timeout_at(deadline, connection.ask_versions(is_plaintext))
            .await
            .map_err(|_elapsed| too_late(Stage::ApiVersions))??;
        match &setup.security.sasl {
            Some(sasl) => timeout_at(deadline, connection.authenticate(sasl))
                .await
                .map_err(|_elapsed| too_late(Stage::SaslAuthenticate))??,
            None => timeout_at(deadline, connection.try_without_login())
                .await
                .map_err(|_elapsed| too_late(Stage::FirstRequest))??,
        }
        tracing::debug!(broker = %endpoint, "connected");
        Ok(connection)
    }

    /// Sends one request and waits for its answer. After an error other than `Unsupported` or `Encode`, or when the
    /// future is dropped half-way, the connection is of no more use.
    pub(crate) async fn exchange(
        &mut self,
        request: &AnyRequest,
        limit: Duration,
    ) -> Result<Answer, ExchangeError> {
        let version = self.negotiate(request.api, request.ours).map_err(ExchangeError::Unsupported)?;
        match timeout(limit, self.ask(request, version)).await {
            Ok(answer) => Ok(answer?),
            Err(_elapsed) => Err(WireError::TimedOut(limit).into()),
        }
    }

    /// Waits until the broker closes the connection, or breaks the rule that it speaks only when asked. Cancel-safe.
    pub(crate) async fn idle(&mut self) -> WireError {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => WireError::Closed,
            Ok(_) => WireError::Unsolicited,
            Err(error) => WireError::Io(error),
        }
    }

    /// Authenticates again if the session is about to end.
    pub(crate) async fn keep_session(&mut self, setup: &Setup) -> Result<(), LoginError> {
        let (Some(sasl), Some(at)) = (&setup.security.sasl, self.reauthenticate_at) else { return Ok(()) };
        if Instant::now() < at {
            return Ok(());
        }
        tracing::debug!(broker = %self.endpoint, "authenticating again before the session ends");
        match timeout(setup.login_timeout, self.authenticate(sasl)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(LoginError::TimedOut {
                endpoint: self.endpoint.clone(),
                stage: Stage::SaslAuthenticate,
                after: setup.login_timeout,
            }),
        }
    }

    async fn ask(&mut self, request: &AnyRequest, version: i16) -> Result<Answer, WireError> {
        let correlation = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1);
        let frame = request.frame(version, correlation, &self.client_id)?;
        self.stream.write_all(&frame).await.map_err(WireError::Io)?;
        self.stream.flush().await.map_err(WireError::Io)?;
        let frame = self.read_frame().await?;
        match wire::correlation_of(&frame) {
            found if found == correlation => Ok(Answer { version, frame }),
            found => Err(WireError::Correlation { expected: correlation, found }),
        }
    }

    async fn read_frame(&mut self) -> Result<Bytes, WireError> {
        loop {
            if let Some(frame) = wire::take_frame(&mut self.buffer)? {
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(WireError::Closed),
                Ok(_) => {}
                Err(error) => return Err(WireError::Io(error)),
            }
        }
    }

    fn negotiate(&self, api: ApiKey, ours: VersionRange) -> Result<i16, UnsupportedApi> {
        let theirs = self.versions.iter().find_map(|(key, range)| (*key == api as i16).then_some(*range));
        let common = theirs.map(|theirs| ours.intersect(&theirs)).filter(|common| !common.is_empty());
        common.map(|common| common.max).ok_or_else(|| UnsupportedApi {
            api,
            ours: (ours.min, ours.max),
            theirs: theirs.map_or(TheirVersions::None, |range| TheirVersions::Range(range.min, range.max)),
        })
    }

    async fn ask_versions(&mut self, is_plaintext: bool) -> Result<Vec<(i16, VersionRange)>, LoginError> {
        let request = AnyRequest::new(|version| {
            let request = ApiVersionsRequest::default();
            if version < 3 {
                return request;
            }
            request
                .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
        });
        let mut version = request.ours.max;
        loop {
            let answer = match self.ask(&request, version).await {
                Ok(answer) => answer,
                Err(error) => return Err(self.explain_silence(is_plaintext, error)),
            };
            let endpoint = || self.endpoint.clone();
            let failed =
                |source| LoginError::Exchange { endpoint: endpoint(), stage: Stage::ApiVersions, source };
            // A broker that does not know our version says so in version 0, with the versions that it does know.
            let unsupported =
                answer.frame.get(4..6) == Some(&ResponseError::UnsupportedVersion.code().to_be_bytes());
            let response = match unsupported {
                true => ApiVersionsResponse::decode(&mut answer.frame.slice(4..), 0)
                    .map_err(|error| failed(WireError::Decode(error.into())))?,
                false => answer.decode::<ApiVersionsRequest>().map_err(failed)?,
            };
            let versions: Vec<_> = response
                .api_keys
                .iter()
                .map(|key| (key.api_key, VersionRange { min: key.min_version, max: key.max_version }))
                .collect();
            if !unsupported {
                return match ResponseError::try_from_code(response.error_code) {
                    None => Ok(versions),
                    Some(code) => {
                        Err(LoginError::Broker { endpoint: endpoint(), stage: Stage::ApiVersions, code })
                    }
                };
            }
            let theirs =
                versions.iter().find_map(|(key, range)| (*key == request.api as i16).then_some(range.max));
            let lower = theirs.unwrap_or(0);
            if lower >= version {
                let code = ResponseError::UnsupportedVersion;
                return Err(LoginError::Broker { endpoint: endpoint(), stage: Stage::ApiVersions, code });
            }
            version = lower;
        }
    }

    /// The first exchange shows most mistakes of `security.protocol`.
    fn explain_silence(&self, is_plaintext: bool, error: WireError) -> LoginError {
        let (endpoint, stage) = (self.endpoint.clone(), Stage::ApiVersions);
        match error {
            WireError::FrameSize { .. } if is_plaintext && wire::is_tls_alert(&self.buffer) => {
                LoginError::TlsRequired { endpoint }
            }
            WireError::Io(error) if tls::is_tls(&error) => tls::explain(&self.endpoint, error),
            source @ WireError::Closed => {
                LoginError::HungUp { endpoint, stage, plaintext: is_plaintext, source }
            }
            WireError::Io(error) if tls::is_hang_up(&error) => {
                LoginError::HungUp { endpoint, stage, plaintext: is_plaintext, source: WireError::Io(error) }
            }
            source => LoginError::Exchange { endpoint, stage, source },
        }
    }

    /// A listener with SASL answers the question for versions to everybody, and hangs up on the next one.
    async fn try_without_login(&mut self) -> Result<(), LoginError> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        match self.login_exchange(Stage::FirstRequest, request).await {
            Ok(_) => Ok(()),
            Err(LoginError::HungUp { endpoint, .. }) => Err(LoginError::SaslRequired { endpoint }),
            Err(error) => Err(error),
        }
    }

    async fn authenticate(&mut self, sasl: &Sasl) -> Result<(), LoginError> {
        let mechanism = sasl.mechanism();
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let response = self.login_exchange(Stage::SaslHandshake, handshake).await?;
        match ResponseError::try_from_code(response.error_code) {
            None => {}
            Some(ResponseError::UnsupportedSaslMechanism) => {
                let enabled = response.mechanisms.iter().map(ToString::to_string).collect();
                return Err(LoginError::Mechanism { endpoint: self.endpoint.clone(), mechanism, enabled });
            }
            Some(ResponseError::IllegalSaslState) => {
                return Err(LoginError::NoSasl { endpoint: self.endpoint.clone() });
            }
            Some(code) => {
                let stage = Stage::SaslHandshake;
                return Err(LoginError::Broker { endpoint: self.endpoint.clone(), stage, code });
            }
        }
        let lifetime_ms = match sasl {
            Sasl::Plain { username, password } => {
                let (_, lifetime_ms) = self.sasl_step(sasl, plain_message(username, password)).await?;
                lifetime_ms
            }
            Sasl::ScramSha256 { username, password } => {
                let nonce = random_nonce();
                let login = ScramLogin { mechanism: ScramMechanism::Sha256, username, password, nonce };
                self.scram(sasl, login).await?
            }
            Sasl::ScramSha512 { username, password } => {
                let nonce = random_nonce();
                let login = ScramLogin { mechanism: ScramMechanism::Sha512, username, password, nonce };
                self.scram(sasl, login).await?
            }
        };
        // A little early, so that a request on its way does not meet the end of the session.
        let lifetime = u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        self.reauthenticate_at = lifetime.map(|lifetime| Instant::now() + lifetime.mul_f64(0.85));
        Ok(())
    }

    async fn scram(&mut self, sasl: &Sasl, login: ScramLogin<'_>) -> Result<i64, LoginError> {
        let endpoint = self.endpoint.clone();
        let failed = |source| LoginError::Scram {
            endpoint: endpoint.clone(),
            mechanism: sasl.mechanism(),
            username: sasl.username().to_owned(),
            source,
        };
        let (server_first, _) = self.sasl_step(sasl, login.client_first().into_bytes()).await?;
        let (client_final, server_signature) = login.client_final(&server_first).map_err(failed)?;
        let (server_final, lifetime_ms) = self.sasl_step(sasl, client_final.into_bytes()).await?;
        server_signature.verify(&server_final).map_err(failed)?;
        Ok(lifetime_ms)
    }

    /// One message there and one back; the second number is the session's lifetime in milliseconds, 0 for no end.
    async fn sasl_step(&mut self, sasl: &Sasl, message: Vec<u8>) -> Result<(Bytes, i64), LoginError> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let response = self.login_exchange(Stage::SaslAuthenticate, request).await?;
        match ResponseError::try_from_code(response.error_code) {
            None => Ok((response.auth_bytes, response.session_lifetime_ms)),
            Some(ResponseError::SaslAuthenticationFailed) => Err(LoginError::Refused {
                endpoint: self.endpoint.clone(),
                mechanism: sasl.mechanism(),
                username: sasl.username().to_owned(),
                message: response
                    .error_message
                    .map_or_else(|| "no reason given".to_owned(), |text| text.to_string()),
            }),
            Some(code) => {
                let stage = Stage::SaslAuthenticate;
                Err(LoginError::Broker { endpoint: self.endpoint.clone(), stage, code })
            }
        }
    }

    async fn login_exchange<R>(&mut self, stage: Stage, request: R) -> Result<R::Response, LoginError>
    where
        R: Request + Clone + Send + Sync + 'static,
    {
        let request = AnyRequest::new(move |_version| request.clone());
        let endpoint = self.endpoint.clone();
        let version = self
            .negotiate(request.api, request.ours)
            .map_err(|source| LoginError::Versions { endpoint: endpoint.clone(), source })?;
        let answer = self.ask(&request, version).await.and_then(Answer::decode::<R>);
        answer.map_err(|source| match source {
            WireError::Closed => LoginError::HungUp { endpoint, stage, plaintext: false, source },
            WireError::Io(error) if tls::is_hang_up(&error) => {
                LoginError::HungUp { endpoint, stage, plaintext: false, source: WireError::Io(error) }
            }
            source => LoginError::Exchange { endpoint, stage, source },
        })
    }
}
