//! Coming in: versions, SASL, sessions, and mistaken protocols.

use std::sync::Arc;
use std::time::Duration;

use kafka_control::scram::ScramError;
use kafka_control::{ApiKey, LoginError, ResponseError, Sasl, Security, Stage, WireError};
use kafka_protocol::messages::{RequestKind, ResponseKind, SaslAuthenticateResponse, SaslHandshakeResponse};
use secrecy::SecretString;

use crate::scripted::{Reply, Script, bootstrap, client, login};

async fn probe(script: Script, security: Security) -> Result<(), LoginError> {
    client(&Arc::new(script), security).probe_login(&bootstrap()).await
}

#[tokio::test]
async fn scram_lets_in_who_knows_the_password() {
    let script = || Script::new(|_| Reply::Usual).with_user("connect", "right");
    probe(script(), login("connect", "right")).await.unwrap();
    for (user, password) in [("connect", "poison"), ("other", "right")] {
        let error = probe(script(), login(user, password)).await.unwrap_err();
        assert!(matches!(&error, LoginError::Refused { username, .. } if username == user), "{error:?}");
        assert!(error.to_string().ends_with("was refused: invalid credentials"), "{error}");
        assert!(!format!("{error:?} {error}").contains("poison"));
    }
}

#[tokio::test]
async fn a_server_must_prove_itself() {
    let script = Script::new(|asked| match &asked.request {
        // Accepts everything, knows nothing.
        RequestKind::SaslAuthenticate(request) if request.auth_bytes.starts_with(b"c=") => {
            let response = SaslAuthenticateResponse::default().with_auth_bytes("v=AAAA".into());
            Reply::Answer(ResponseKind::SaslAuthenticate(response))
        }
        _ => Reply::Usual,
    });
    let error = probe(script.with_user("connect", "right"), login("connect", "right")).await.unwrap_err();
    assert!(matches!(error, LoginError::Scram { source: ScramError::ServerSignature, .. }), "{error:?}");
}

#[tokio::test]
async fn a_mechanism_that_is_off_names_those_that_are_on() {
    let sasl = Sasl::Plain { username: "u".to_owned(), password: SecretString::from("poison") };
    let error =
        probe(Script::new(|_| Reply::Usual), Security { tls: None, sasl: Some(sasl) }).await.unwrap_err();
    assert_eq!(error.to_string(), "broker-1:9092: PLAIN is not enabled there; enabled: SCRAM-SHA-512");
}

#[tokio::test]
async fn a_plain_login_sends_user_and_password() {
    let script = Script::new(|asked| match &asked.request {
        RequestKind::SaslHandshake(_) => {
            Reply::Answer(ResponseKind::SaslHandshake(SaslHandshakeResponse::default()))
        }
        RequestKind::SaslAuthenticate(request) if *request.auth_bytes == *b"\0me\0secret" => {
            Reply::Answer(ResponseKind::SaslAuthenticate(SaslAuthenticateResponse::default()))
        }
        RequestKind::SaslAuthenticate(_) => Reply::HangUp,
        _ => Reply::Usual,
    });
    let sasl = Sasl::Plain { username: "me".to_owned(), password: SecretString::from("secret") };
    probe(script, Security { tls: None, sasl: Some(sasl) }).await.unwrap();
}

#[tokio::test]
async fn listeners_of_another_kind_are_told_apart() {
    let tls_alert = || Script::new(|_| Reply::Bytes(vec![0x15, 3, 3, 0, 2, 2, 80]));
    let error = probe(tls_alert(), Security::default()).await.unwrap_err();
    assert!(matches!(error, LoginError::TlsRequired { .. }), "{error:?}");

    let error = probe(Script::new(|_| Reply::HangUp), Security::default()).await.unwrap_err();
    assert!(matches!(error, LoginError::HungUp { stage: Stage::ApiVersions, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("TLS"));

    let no_sasl = Script::new(|asked| match &asked.request {
        RequestKind::SaslHandshake(_) => {
            let code = ResponseError::IllegalSaslState.code();
            Reply::Answer(ResponseKind::SaslHandshake(SaslHandshakeResponse::default().with_error_code(code)))
        }
        _ => Reply::Usual,
    });
    let error = probe(no_sasl, login("u", "p")).await.unwrap_err();
    assert!(matches!(error, LoginError::NoSasl { .. }), "{error:?}");

    let sasl_only = Script::new(|asked| match &asked.request {
        RequestKind::ApiVersions(_) => Reply::Usual,
        _ => Reply::HangUp,
    });
    let error = probe(sasl_only, Security::default()).await.unwrap_err();
    assert!(matches!(error, LoginError::SaslRequired { .. }), "{error:?}");

    let web_server = Script::new(|_| Reply::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let error = probe(web_server, Security::default()).await.unwrap_err();
    assert!(matches!(error, LoginError::Exchange { source: WireError::FrameSize { .. }, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_says_nothing_costs_the_login_timeout() {
    let started = tokio::time::Instant::now();
    let error = probe(Script::new(|_| Reply::Silence), Security::default()).await.unwrap_err();
    assert!(matches!(error, LoginError::TimedOut { stage: Stage::ApiVersions, .. }), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 15);
}

#[tokio::test]
async fn an_old_broker_is_asked_again_in_its_own_version() {
    for newest in 0..4 {
        let newest: fn(ApiKey) -> i16 = match newest {
            0 => |api| if api == ApiKey::ApiVersions { 0 } else { i16::MAX },
            1 => |api| if api == ApiKey::ApiVersions { 1 } else { i16::MAX },
            2 => |api| if api == ApiKey::ApiVersions { 2 } else { i16::MAX },
            _ => |api| if api == ApiKey::ApiVersions { 3 } else { i16::MAX },
        };
        let script = Arc::new(Script { newest, ..Script::new(|_| Reply::Usual) });
        client(&script, Security::default()).probe_login(&bootstrap()).await.unwrap();
        assert_eq!(script.times_asked(ApiKey::ApiVersions), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_on_the_same_connection() {
    let script = Script { session_lifetime_ms: 10_000, ..Script::new(|_| Reply::Usual).with_user("u", "p") };
    let script = Arc::new(script);
    let client = client(&script, login("u", "p"));
    for _ in 0..3 {
        client.all_topics().await.unwrap();
    }
    assert_eq!(script.times_asked(ApiKey::SaslHandshake), 1);
    tokio::time::advance(Duration::from_secs(9)).await;
    client.all_topics().await.unwrap();
    assert_eq!(script.times_asked(ApiKey::SaslHandshake), 2);
    assert_eq!(script.times_dialed(), 1);
}
