//! A broker that answers by script, and streams in memory that lead to it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use hmac::{Hmac, Mac};
use kafka_control::scram::{ScramCredential, ScramMechanism};
use kafka_control::{
    ApiKey, BoxedStream, Client, ClientConfig, Dial, Endpoint, ResponseError, Sasl, Security,
};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, RequestKind, ResponseHeader,
    ResponseKind, SaslAuthenticateResponse, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Encodable, StrBytes, decode_request_header_from_buffer};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha512};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// What the broker does with a request.
pub(crate) enum Reply {
    Answer(ResponseKind),
    /// Answers, and says no more; waits for the client to go, see [`Script::until_left`].
    Farewell(ResponseKind),
    WrongCorrelation(ResponseKind),
    Bytes(Vec<u8>),
    HangUp,
    Silence,
    /// What this broker always does.
    Usual,
}

type Handler = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// One request as it arrived.
pub(crate) struct Asked {
    /// Counted from 0, over all brokers.
    pub(crate) connection: usize,
    pub(crate) broker: Endpoint,
    pub(crate) version: i16,
    pub(crate) request: RequestKind,
}

/// All brokers of a cluster in one; it is dialed like the network.
pub(crate) struct Script {
    pub(crate) handler: Handler,
    /// Announces no version above this.
    pub(crate) newest: fn(ApiKey) -> i16,
    pub(crate) user: Option<(String, ScramCredential)>,
    pub(crate) session_lifetime_ms: i64,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) dialed: AtomicUsize,
    pub(crate) asked: Arc<Mutex<Vec<(usize, ApiKey)>>>,
    /// Connections that the client has closed after a farewell.
    pub(crate) left: AtomicUsize,
    pub(crate) news: Notify,
}

impl Script {
    pub(crate) fn new(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            handler: Box::new(handler),
            newest: |_api| i16::MAX,
            user: None,
            session_lifetime_ms: 0,
            tls: None,
            dialed: AtomicUsize::new(0),
            asked: Arc::default(),
            left: AtomicUsize::new(0),
            news: Notify::new(),
        }
    }

    pub(crate) fn with_user(mut self, username: &str, password: &str) -> Self {
        let password = SecretString::from(password);
        let credential =
            ScramCredential::new(ScramMechanism::Sha512, &password, 4096, b"salt".to_vec()).unwrap();
        self.user = Some((username.to_owned(), credential));
        self
    }

    pub(crate) fn times_asked(&self, api: ApiKey) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, asked)| *asked == api).count()
    }

    /// Waits until something was asked so often.
    pub(crate) async fn until_asked(&self, api: ApiKey, times: usize) {
        self.until(|| self.times_asked(api) >= times).await;
    }

    /// Waits until the client has closed so many connections that were said farewell to.
    pub(crate) async fn until_left(&self, times: usize) {
        self.until(|| self.left.load(Ordering::SeqCst) >= times).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let news = self.news.notified();
            if is_so() {
                return;
            }
            news.await;
        }
    }

    pub(crate) fn times_dialed(&self) -> usize {
        self.dialed.load(Ordering::SeqCst)
    }
}

pub(crate) fn bootstrap() -> Endpoint {
    Endpoint::new("broker-1", 9092)
}

pub(crate) fn client(script: &Arc<Script>, security: Security) -> Client {
    Client::new(ClientConfig::new(vec![bootstrap()], security), Arc::new(Network(script.clone())))
}

pub(crate) fn login(username: &str, password: &str) -> Security {
    let sasl = Sasl::ScramSha512 { username: username.to_owned(), password: SecretString::from(password) };
    Security { tls: None, sasl: Some(sasl) }
}

pub(crate) struct Network(pub(crate) Arc<Script>);

#[async_trait]
impl Dial for Network {
    async fn dial(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        let connection = self.0.dialed.fetch_add(1, Ordering::SeqCst);
        if to.host == "unreachable" {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(accept(self.0.clone(), to.clone(), connection, theirs));
        Ok(Box::new(ours))
    }
}

async fn accept(script: Arc<Script>, broker: Endpoint, connection: usize, stream: DuplexStream) {
    match &script.tls {
        None => serve(&script, broker, connection, Box::new(stream)).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(&script, broker, connection, Box::new(stream)).await;
            }
        }
    }
}

async fn serve(script: &Script, broker: Endpoint, connection: usize, mut stream: BoxedStream) {
    let mut scram = None;
    while let Ok(size) = stream.read_u32().await {
        let mut frame = vec![0; size as usize];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let mut frame = Bytes::from(frame);
        let api = ApiKey::try_from(frame.clone().get_i16()).unwrap();
        let header = decode_request_header_from_buffer(&mut frame).unwrap();
        let version = header.request_api_version;
        let record = || {
            script.asked.lock().unwrap().push((connection, api));
            script.news.notify_waiters();
        };
        if version > (script.newest)(api) {
            assert_eq!(
                api,
                ApiKey::ApiVersions,
                "only ApiVersions may be asked without knowing the versions"
            );
            record();
            let response = versions(script).with_error_code(ResponseError::UnsupportedVersion.code());
            send(&mut stream, header.correlation_id, &ResponseKind::ApiVersions(response), 0).await;
            continue;
        }
        let request = RequestKind::decode(api, &mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "{api:?} v{version} was read to its end");
        record();
        let asked = Asked { connection, broker: broker.clone(), version, request };
        let reply = match (script.handler)(&asked) {
            Reply::Usual => Reply::Answer(usual(script, &asked, &mut scram)),
            reply => reply,
        };
        match reply {
            Reply::Answer(response) => send(&mut stream, header.correlation_id, &response, version).await,
            Reply::Farewell(response) => {
                send(&mut stream, header.correlation_id, &response, version).await;
                stream.shutdown().await.unwrap();
                let seen = stream.read_u8().await;
                assert!(seen.is_err(), "it was asked more after a farewell");
                script.left.fetch_add(1, Ordering::SeqCst);
                script.news.notify_waiters();
                return;
            }
            Reply::WrongCorrelation(response) => {
                send(&mut stream, header.correlation_id + 1, &response, version).await;
            }
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.unwrap(),
            Reply::Silence | Reply::Usual => {}
            Reply::HangUp => return,
        }
    }
}

async fn send(stream: &mut BoxedStream, correlation_id: i32, response: &ResponseKind, version: i16) {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut frame, response.header_version(version)).unwrap();
    response.encode(&mut frame, version).unwrap();
    let size = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&size.to_be_bytes());
    // The client may have gone.
    let _ = stream.write_all(&frame).await;
    let _ = stream.flush().await;
}

fn usual(script: &Script, asked: &Asked, scram: &mut Option<ScramServer>) -> ResponseKind {
    match &asked.request {
        RequestKind::ApiVersions(_) => ResponseKind::ApiVersions(versions(script)),
        RequestKind::Metadata(request) => ResponseKind::Metadata(metadata(request, &[1])),
        RequestKind::SaslHandshake(request) => {
            let response = SaslHandshakeResponse::default();
            ResponseKind::SaslHandshake(match request.mechanism.as_str() {
                "SCRAM-SHA-512" => response,
                _ => response
                    .with_error_code(ResponseError::UnsupportedSaslMechanism.code())
                    .with_mechanisms(vec![StrBytes::from_static_str("SCRAM-SHA-512")]),
            })
        }
        RequestKind::SaslAuthenticate(request) => {
            let message = std::str::from_utf8(&request.auth_bytes).unwrap();
            let response = SaslAuthenticateResponse::default();
            let answered = match scram.take() {
                None => {
                    let (next, message) = ScramServer::first(script.user.as_ref().unwrap(), message);
                    *scram = Some(next);
                    Some(message)
                }
                Some(server) => server.last(script.user.as_ref().unwrap(), message),
            };
            ResponseKind::SaslAuthenticate(match answered {
                Some(message) if asked.version >= 1 => response
                    .with_auth_bytes(message.into())
                    .with_session_lifetime_ms(script.session_lifetime_ms),
                Some(message) => response.with_auth_bytes(message.into()),
                None => response
                    .with_error_code(ResponseError::SaslAuthenticationFailed.code())
                    .with_error_message(Some(StrBytes::from_static_str("invalid credentials"))),
            })
        }
        other => panic!("no script for {other:?}"),
    }
}

fn versions(script: &Script) -> ApiVersionsResponse {
    let keys = ApiKey::iter().map(|api| {
        let valid = api.valid_versions();
        ApiVersion::default()
            .with_api_key(api as i16)
            .with_min_version(valid.min)
            .with_max_version(valid.max.min((script.newest)(api)))
    });
    ApiVersionsResponse::default()
        .with_api_keys(keys.filter(|key| key.min_version <= key.max_version).collect())
}

/// A cluster of `brokers`, whose first one is the controller, and which leads partition `n` of every topic by broker
/// `n + 1`.
pub(crate) fn metadata(request: &MetadataRequest, brokers: &[i32]) -> MetadataResponse {
    let broker = |id: &i32| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*id))
            .with_host(StrBytes::from_string(format!("broker-{id}")))
            .with_port(9092)
    };
    let topics = request.topics.iter().flatten().map(|topic| {
        let partition = |(index, id): (i32, &i32)| {
            MetadataResponsePartition::default().with_partition_index(index).with_leader_id(BrokerId(*id))
        };
        MetadataResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions((0..).zip(brokers).map(partition).collect())
    });
    MetadataResponse::default()
        .with_brokers(brokers.iter().map(broker).collect())
        .with_controller_id(BrokerId(brokers[0]))
        .with_topics(topics.collect())
}

/// The server's half of SCRAM-SHA-512.
pub(crate) struct ScramServer {
    client_first_bare: String,
    server_first: String,
}

impl ScramServer {
    pub(crate) fn first((username, credential): &(String, ScramCredential), message: &str) -> (Self, String) {
        let client_first_bare = message.strip_prefix("n,,").unwrap().to_owned();
        let (name, nonce) = client_first_bare.strip_prefix("n=").unwrap().split_once(",r=").unwrap();
        // An unknown user learns of it only in the end, like on a real broker.
        let salt = if name == username { &credential.salt } else { "other".as_bytes() };
        let server_first = format!("r={nonce}server,s={},i={}", STANDARD.encode(salt), credential.iterations);
        (Self { client_first_bare, server_first: server_first.clone() }, server_first)
    }

    fn last(self, (_, credential): &(String, ScramCredential), message: &str) -> Option<String> {
        let (without_proof, proof) = message.rsplit_once(",p=").unwrap();
        let auth_message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = hmac(&credential.stored_key(), &auth_message);
        let proof = STANDARD.decode(proof).unwrap();
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server_key = credential.server_key();
        let is_right = Sha512::digest(&client_key).to_vec() == credential.stored_key();
        is_right.then(|| format!("v={}", STANDARD.encode(hmac(server_key.expose_secret(), &auth_message))))
    }
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A listener that understands nothing: it reads a little, and does one thing.
pub(crate) struct Deaf(pub(crate) Reply);

#[async_trait]
impl Dial for Deaf {
    async fn dial(&self, _to: &Endpoint) -> io::Result<BoxedStream> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let bytes = match &self.0 {
            Reply::Bytes(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        tokio::spawn(async move {
            let _ = theirs.read_u8().await;
            let _ = theirs.write_all(&bytes).await;
        });
        Ok(Box::new(ours))
    }
}
