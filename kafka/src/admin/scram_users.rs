//! Users that log in with SCRAM, as the cluster stores them.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ApiKey,
    DescribeUserScramCredentialsRequest,
};
use secrecy::ExposeSecret;

use crate::admin::{ItemResults, repeat_if_moved, text, verdict};
use crate::client::Client;
use crate::error::{ApiRefusal, Error};
use crate::route::Route;
use crate::scram::{ScramCredential, ScramMechanism};

/// All that brokers tell of a user: neither salt nor password in any form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramUser {
    pub name: String,
    pub credentials: Vec<ScramMechanismInfo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScramMechanismInfo {
    pub mechanism: ScramMechanism,
    pub iterations: u32,
}

/// A user to make, or one whose password for this mechanism is replaced.
#[derive(Debug)]
pub struct ScramUserUpsertion {
    pub name: String,
    pub credential: ScramCredential,
}

impl Client {
    /// The users that exist among `names`, or all users for `None`.
    pub async fn describe_scram_users(&self, names: Option<&[&str]>) -> Result<Vec<ScramUser>, Error> {
        let api = ApiKey::DescribeUserScramCredentials;
        let user = |name: &&str| UserName::default().with_name(text(name));
        let users: Option<Vec<UserName>> = names.map(|names| names.iter().map(user).collect());
        self.send(
            Route::Any,
            move |_version| DescribeUserScramCredentialsRequest::default().with_users(users.clone()),
            |response| {
                verdict(api, "SCRAM users", response.error_code, response.error_message.as_ref())?;
                let mut found = Vec::new();
                for user in response.results {
                    let name = user.user.to_string();
                    if user.error_code == ResponseError::ResourceNotFound.code() {
                        continue;
                    }
                    verdict(api, subject(&name), user.error_code, user.error_message.as_ref())?;
                    let info = |info: &kafka_protocol::messages::describe_user_scram_credentials_response::CredentialInfo| {
                        let mechanism = mechanism_of(info.mechanism)?;
                        Some(ScramMechanismInfo { mechanism, iterations: u32::try_from(info.iterations).ok()? })
                    };
                    let credentials = user.credential_infos.iter().filter_map(info).collect();
                    found.push(ScramUser { name, credentials });
                }
                Ok(found)
            },
        )
        .await
    }

    /// Makes or changes users. A user may occur once per request. Brokers other than the controller know of it a
    /// moment later.
    pub async fn upsert_scram_users(&self, upsertions: &[ScramUserUpsertion]) -> Result<ItemResults, Error> {
        let upsertion = |user: &ScramUserUpsertion| {
            let credential = &user.credential;
            let iterations = i32::try_from(credential.iterations);
            ScramCredentialUpsertion::default()
                .with_name(text(&user.name))
                .with_mechanism(mechanism_code(credential.mechanism))
                .with_iterations(iterations.expect("a credential has at most MAX_ITERATIONS"))
                .with_salt(credential.salt.clone().into())
                .with_salted_password(credential.salted_password.expose_secret().to_vec().into())
        };
        let upsertions: Vec<_> = upsertions.iter().map(upsertion).collect();
        self.alter_scram_users(AlterUserScramCredentialsRequest::default().with_upsertions(upsertions)).await
    }

    /// Removes a mechanism from users: user name -> mechanism.
    pub async fn delete_scram_users(
        &self,
        deletions: &BTreeMap<String, ScramMechanism>,
    ) -> Result<ItemResults, Error> {
        let deletion = |(name, mechanism): (&String, &ScramMechanism)| {
            ScramCredentialDeletion::default()
                .with_name(text(name))
                .with_mechanism(mechanism_code(*mechanism))
        };
        let deletions: Vec<_> = deletions.iter().map(deletion).collect();
        self.alter_scram_users(AlterUserScramCredentialsRequest::default().with_deletions(deletions)).await
    }

    async fn alter_scram_users(
        &self,
        request: AlterUserScramCredentialsRequest,
    ) -> Result<ItemResults, Error> {
        self.send(Route::Controller, move |_version| request.clone(), read_results).await
    }
}

fn read_results(response: AlterUserScramCredentialsResponse) -> Result<ItemResults, ApiRefusal> {
    let mut results = ItemResults::new();
    for user in response.results {
        let name = user.user.to_string();
        let api = ApiKey::AlterUserScramCredentials;
        let result = verdict(api, subject(&name), user.error_code, user.error_message.as_ref());
        results.insert(name, result);
    }
    repeat_if_moved(&results).map(|()| results)
}

fn subject(name: &str) -> String {
    format!("SCRAM user `{name}`")
}

fn mechanism_code(mechanism: ScramMechanism) -> i8 {
    match mechanism {
        ScramMechanism::Sha256 => 1,
        ScramMechanism::Sha512 => 2,
    }
}

fn mechanism_of(code: i8) -> Option<ScramMechanism> {
    match code {
        1 => Some(ScramMechanism::Sha256),
        2 => Some(ScramMechanism::Sha512),
        _ => None,
    }
}
