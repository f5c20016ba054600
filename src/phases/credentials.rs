//! Credentials: the SCRAM-SHA-512 user of the workers, and whether it may do what it has to.
//!
//! The password travels only as salted credential of RFC 5802, through `AlterUserScramCredentials` (KIP-554). What is
//! right already is found by a real login, since Kafka tells nobody what it stores.

use std::time::Duration;

use async_trait::async_trait;
use kafka_control::scram::{MAX_ITERATIONS, ScramCredential, ScramMechanism};
use kafka_control::{Acl, AclFilter, Client, LoginError, ResourceType, ResponseError, ScramUserUpsertion};
use secrecy::SecretString;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::desired::acls::{self, Right};
use crate::inventory::model::{AclPolicy, ConnectUser, Ownership, SecretRef};
use crate::kafka_access::{self, KafkaAccessError, USER_SECRET};
use crate::plan::Change;

/// How long brokers may lag behind a new credential or a new ACL.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Credentials;

/// What Kafka knows of the workers' user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialFacts {
    /// There is no SASL: no user to speak of.
    NoSasl,
    Seen {
        login: LoginState,
        /// Whether Kafka has a SCRAM-SHA-512 credential of that name; `None` when we may not ask.
        exists: Option<bool>,
        missing: Vec<Right>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginState {
    Works,
    Refused,
    /// The password is not drawn yet, or Kafka does not run yet.
    NotTried,
}

#[async_trait]
impl Phase for Credentials {
    type Facts = CredentialFacts;

    const ID: &'static str = "credentials";
    const TITLE: &'static str = "Kafka credentials";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<CredentialFacts, PhaseError> {
        let Some(user) = &at.inventory().kafka.user else { return Ok(CredentialFacts::NoSasl) };
        let rights = acls::required(at.inventory());
        let Some(admin) = at.ctx.kafka.look(at.ctx).await? else {
            let missing = if user.acls == AclPolicy::Create { rights } else { Vec::new() };
            return Ok(CredentialFacts::Seen { login: LoginState::NotTried, exists: Some(false), missing });
        };
        let login = async {
            match at.ctx.secrets.peek(USER_SECRET, &user.login.password).await? {
                None => Ok(LoginState::NotTried),
                Some(password) => try_login(at, user, password).await.map_err(PhaseError::from),
            }
        };
        let asked = async {
            let exists = exists(&admin, user).await?;
            let missing = match user.acls {
                AclPolicy::Ignore => Vec::new(),
                AclPolicy::Check | AclPolicy::Create => missing_rights(&admin, user, &rights).await?,
            };
            Ok::<_, PhaseError>((exists, missing))
        };
        let (login, (exists, missing)) = tokio::try_join!(login, asked)?;
        let missing = without_granted(at, user, login, missing).await?;
        Ok(CredentialFacts::Seen { login, exists, missing })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &CredentialFacts) -> Planned {
        let mut planned = Planned::default();
        let CredentialFacts::Seen { login, exists, missing } = facts else { return planned };
        let user = at.inventory().kafka.user.as_ref().expect("facts of a user are there for a user only");
        match (user.ownership, login) {
            (_, LoginState::Works) => {}
            (Ownership::Managed, LoginState::NotTried)
                if *exists == Some(true) && user.login.password == SecretRef::Generated =>
            {
                planned.findings.push(lost_password(at, user));
            }
            (Ownership::Managed, state) => {
                planned.changes.push(if *state == LoginState::Refused && *exists == Some(true) {
                    Change::update(Self::ID, at.target, subject(user), ["password"])
                        .irreversible("Kafka does not tell the old password")
                } else {
                    Change::create(Self::ID, at.target, subject(user))
                })
            }
            (Ownership::Foreign, LoginState::Refused) => planned.findings.push(Finding {
                severity: Severity::Error,
                place: subject(user),
                message: "Kafka refuses its login".to_owned(),
                hint: Some(
                    "check the secret that `kafka.user.password` names, or let provision manage the user"
                        .into(),
                ),
            }),
            (Ownership::Foreign, LoginState::NotTried) => {}
        }
        let principal = principal(user);
        match user.acls {
            AclPolicy::Create => {
                for right in missing {
                    let subject = acl_subject(right, &principal);
                    match planned.changes.last_mut().filter(|change| change.subject == subject) {
                        Some(change) => change.fields.push(right.operation.to_string()),
                        None => {
                            let mut change = Change::create(Self::ID, at.target, subject);
                            change.fields.push(right.operation.to_string());
                            planned.changes.push(change);
                        }
                    }
                }
            }
            AclPolicy::Check if !missing.is_empty() => {
                let commands: Vec<String> =
                    missing.iter().map(|right| acls::command(right, &principal)).collect();
                planned.findings.push(Finding {
                    severity: Severity::Error,
                    place: principal.clone(),
                    message: format!("lacks {} ACLs", missing.len()),
                    hint: Some(format!(
                        "set `kafka.user.acls: create` (or `ignore` when rights come from elsewhere), or run:\n    {}",
                        commands.join("\n    ")
                    )),
                });
            }
            AclPolicy::Check | AclPolicy::Ignore => {}
        }
        planned
    }

    async fn apply(
        &self,
        at: &Scoped<'_>,
        facts: &CredentialFacts,
        change: &Change,
    ) -> Result<(), PhaseError> {
        let user = at.inventory().kafka.user.as_ref().expect("a change of a user is planned for a user only");
        let admin = at.ctx.kafka.admin(at.ctx).await?;
        if change.subject == subject(user) {
            if matches!(facts, CredentialFacts::Seen { login: LoginState::Works, .. }) {
                return Ok(());
            }
            upsert(at, &admin, user).await?;
            // The workers start on this password next, and brokers may lag behind.
            return match login_works(at, user).await? {
                true => Ok(()),
                false => Err(PhaseError::refused(subject(user), still_refused(), LAG_HINT)),
            };
        }
        let principal = principal(user);
        let wanted: Vec<Acl> = acls::required(at.inventory())
            .into_iter()
            .filter(|right| acl_subject(right, &principal) == change.subject)
            .filter(|right| change.fields.iter().any(|field| field == right.operation.name()))
            .map(|right| right.acl(&principal))
            .collect();
        let results = admin.create_acls(&wanted).await.map_err(KafkaAccessError::from)?;
        for result in results {
            result.map_err(|refusal| {
                let hint = refusal.hint().unwrap_or("the admin user needs ALTER on the cluster");
                PhaseError::refused(&principal, refusal.to_string(), hint)
            })?;
        }
        Ok(())
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let Some(user) = &at.inventory().kafka.user else { return Ok(Vec::new()) };
        if let Some(CredentialFacts::Seen { login: LoginState::Works, .. }) = seen {
            return Ok(Vec::new());
        }
        if login_works(at, user).await? {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            severity: Severity::Error,
            place: subject(user),
            message: still_refused(),
            hint: Some(LAG_HINT.to_owned()),
        }])
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let mut removed = Removed::default();
        let Some(user) = &at.inventory().kafka.user else { return Ok(removed) };
        if at.inventory().kafka.managed().is_some() {
            return Ok(removed);
        }
        let made = at.ctx.home.created(Self::ID)?;
        let admin = at.ctx.kafka.admin(at.ctx).await?;
        let principal = principal(user);
        for right in acls::required(at.inventory()) {
            let subject = acl_subject(&right, &principal);
            if made.get(&subject).is_some_and(|operations| operations.contains(right.operation.name())) {
                admin.delete_acls(&filter(&right.acl(&principal))).await.map_err(KafkaAccessError::from)?;
                if removed.removed.last() != Some(&subject) {
                    removed.removed.push(subject);
                }
            }
        }
        if made.contains_key(&subject(user)) {
            let deletions = [(user.login.name.to_string(), ScramMechanism::Sha512)].into();
            admin.delete_scram_users(&deletions).await.map_err(KafkaAccessError::from)?;
            removed.removed.push(subject(user));
        } else {
            removed.left.push(format!("{}: it was there before", subject(user)));
        }
        Ok(removed)
    }
}

/// The filter that finds exactly this ACL.
fn filter(acl: &Acl) -> AclFilter {
    AclFilter {
        resource_type: acl.resource_type,
        resource_name: Some(acl.resource_name.clone()),
        pattern_type: acl.pattern_type,
        principal: Some(acl.principal.clone()),
        host: Some(acl.host.clone()),
        operation: acl.operation,
        permission: acl.permission,
    }
}

fn subject(user: &ConnectUser) -> String {
    format!("user {}", user.login.name)
}

fn principal(user: &ConnectUser) -> String {
    format!("User:{}", user.login.name)
}

/// All rights on one resource are one change, which names the operations.
fn acl_subject(right: &Right, principal: &str) -> String {
    format!("ACLs of {principal} on {}", right.resource())
}

fn lost_password(at: &Scoped<'_>, user: &ConnectUser) -> Finding {
    let folder = at.ctx.home.folder().display().to_string();
    Finding {
        severity: Severity::Error,
        place: subject(user),
        message: format!("exists in Kafka, and this machine does not have its password in {folder}/secrets"),
        hint: Some(format!(
            "bring {folder} from the control machine that made the user (it is private: use scp), or name the password \
             in `kafka.user.password`; it is not drawn anew, since running workers would lose their login"
        )),
    }
}

const LAG_HINT: &str = "look into the brokers' logs; another tool may have changed the user";

fn still_refused() -> String {
    format!("its login is still refused after {} s", PATIENCE.as_secs())
}

/// Whether the user can log in, within the time that brokers may lag.
async fn login_works(at: &Scoped<'_>, user: &ConnectUser) -> Result<bool, PhaseError> {
    let password = at.ctx.secrets.get(USER_SECRET, &user.login.password).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while try_login(at, user, password.clone()).await? != LoginState::Works {
        if tokio::time::Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(true)
}

/// Logs in as the user.
async fn try_login(
    at: &Scoped<'_>,
    user: &ConnectUser,
    password: SecretString,
) -> Result<LoginState, KafkaAccessError> {
    let client = kafka_access::client(at.ctx, Some(kafka_access::sasl(&user.login, password))).await?;
    match kafka_access::log_in(&client, &client.config().bootstrap).await {
        Ok(_) => Ok(LoginState::Works),
        Err(LoginError::Refused { .. } | LoginError::Scram { .. }) => Ok(LoginState::Refused),
        Err(error) => Err(error.into()),
    }
}

/// Whether Kafka has a credential of that user; `None` when the admin may not ask.
async fn exists(admin: &Client, user: &ConnectUser) -> Result<Option<bool>, KafkaAccessError> {
    match admin.describe_scram_users(Some(&[user.login.name.as_str()])).await {
        Ok(users) => Ok(Some(users.iter().any(|found| {
            found.credentials.iter().any(|credential| credential.mechanism == ScramMechanism::Sha512)
        }))),
        Err(error) if error.code() == Some(ResponseError::ClusterAuthorizationFailed) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Rights that no ACL grants. A cluster without authorizer lacks none; one that does not let us ask is trusted.
async fn missing_rights(
    admin: &Client,
    user: &ConnectUser,
    rights: &[Right],
) -> Result<Vec<Right>, KafkaAccessError> {
    let found: Vec<Acl> = match admin.describe_acls(&AclFilter::default()).await {
        Ok(found) => found,
        Err(error) => match error.code() {
            Some(ResponseError::SecurityDisabled | ResponseError::ClusterAuthorizationFailed) => {
                return Ok(Vec::new());
            }
            _ => return Err(error.into()),
        },
    };
    Ok(acls::missing(rights, &found, &principal(user)))
}

/// Leaves out what the user may do without an ACL of its own: as super user, or by the cluster's default.
async fn without_granted(
    at: &Scoped<'_>,
    user: &ConnectUser,
    login: LoginState,
    missing: Vec<Right>,
) -> Result<Vec<Right>, PhaseError> {
    if missing.is_empty() || login != LoginState::Works {
        return Ok(missing);
    }
    let password = at.ctx.secrets.get(USER_SECRET, &user.login.password).await?;
    let client = kafka_access::client(at.ctx, Some(kafka_access::sasl(&user.login, password))).await?;
    let names: Vec<&str> = missing
        .iter()
        .filter(|right| right.resource == ResourceType::Topic)
        .map(|right| right.name.as_str())
        .collect();
    let topics = client.topics(&names).await.map_err(KafkaAccessError::from)?;
    let mut lacking = Vec::new();
    for right in missing {
        let allowed = match right.resource {
            ResourceType::Topic => topics
                .get(&right.name)
                .and_then(|topic| topic.as_ref().ok())
                .is_some_and(|topic| topic.authorized.allows(right.operation)),
            ResourceType::Group => match client.describe_group(&right.name).await {
                Ok(group) => group.authorized.allows(right.operation),
                Err(_refused) => false,
            },
            _ => false,
        };
        if !allowed {
            lacking.push(right);
        }
    }
    Ok(lacking)
}

async fn upsert(at: &Scoped<'_>, admin: &Client, user: &ConnectUser) -> Result<(), PhaseError> {
    let password = at.ctx.secrets.get_or_draw(USER_SECRET, &user.login.password).await?;
    let salt = rand::random::<[u8; 32]>().to_vec();
    let credential = ScramCredential::new(ScramMechanism::Sha512, &password, MAX_ITERATIONS, salt)
        .map_err(|error| PhaseError::make("SCRAM credential", error))?;
    let name = user.login.name.to_string();
    let results = admin
        .upsert_scram_users(&[ScramUserUpsertion { name, credential }])
        .await
        .map_err(KafkaAccessError::from)?;
    for (_, result) in results {
        result.map_err(|refusal| {
            let hint = refusal.hint().unwrap_or("the admin user needs ALTER on the cluster");
            PhaseError::refused(subject(user), refusal.to_string(), hint)
        })?;
    }
    Ok(())
}
