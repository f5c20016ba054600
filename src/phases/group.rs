//! The Connect group: whether its id is ours to use. Only looks.
//!
//! Two clusters with one group id share out each other's connectors and tasks, each from a config topic that the other
//! does not know. Neither Kafka nor Connect notices.

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use kafka_control::{GroupMember, ResponseError};

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::desired;
use crate::inventory::model::Bind;
use crate::kafka_access::KafkaAccessError;
use crate::plan::Change;

/// The protocol type of Connect's groups.
const CONNECT: &str = "connect";

/// Where Kafka keeps all groups. It makes this topic when it is first asked for a group's coordinator.
const GROUPS: &str = "__consumer_offsets";

pub(crate) struct Group;

/// Members of the group, and what tells whether they are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupFacts {
    protocol_type: String,
    members: Vec<Member>,
    has_config_topic: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    /// The REST URL that a worker tells the others; `None` for anything but a worker.
    url: Option<String>,
    client_id: String,
    /// As Kafka sees it: `/10.0.0.7`.
    client_host: String,
}

#[async_trait]
impl Phase for Group {
    type Facts = GroupFacts;

    const ID: &'static str = "group";
    const TITLE: &'static str = "Connect group";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<GroupFacts, PhaseError> {
        let Some(admin) = at.ctx.kafka.look(at.ctx).await? else { return Ok(GroupFacts::default()) };
        let connect = &at.inventory().connect;
        // Without it there are no groups, and asking for one would make it: a look makes nothing.
        if let Ok(None) = admin.topic(GROUPS).await {
            return Ok(GroupFacts::default());
        }
        let group = match admin.describe_group(connect.group.as_str()).await {
            Ok(group) => group,
            // Whoever may not look is not the one to judge.
            Err(error) if error.code() == Some(ResponseError::GroupAuthorizationFailed) => {
                return Ok(GroupFacts::default());
            }
            Err(error) => return Err(KafkaAccessError::from(error).into()),
        };
        let config_topic = connect.topics.config.name.as_str();
        let has_config_topic = !group.members.is_empty()
            && admin.topic(config_topic).await.map_err(KafkaAccessError::from)?.is_some();
        let members = group.members.into_iter().map(Member::read).collect();
        Ok(GroupFacts { protocol_type: group.protocol_type, members, has_config_topic })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &GroupFacts) -> Planned {
        let connect = &at.inventory().connect;
        let us = Us {
            group: connect.group.as_str(),
            config_topic: connect.topics.config.name.as_str(),
            urls: own_urls(at),
            runs_somewhere: at.ctx.hosts.keys().any(|name| at.ctx.is_claimed(name))
                || at.ctx.home.marker().is_ok_and(|marker| marker.is_some()),
        };
        Planned { changes: Vec::new(), findings: judge(&us, facts).into_iter().collect() }
    }

    async fn apply(&self, _: &Scoped<'_>, _: &GroupFacts, _: &Change) -> Result<(), PhaseError> {
        unreachable!("a phase that only looks plans no change")
    }
}

impl Member {
    fn read(member: GroupMember) -> Self {
        let url = worker_url(member.metadata);
        Self { url, client_id: member.client_id, client_host: member.client_host }
    }

    fn name(&self) -> String {
        match &self.url {
            Some(url) => url.clone(),
            None => format!("client `{}` at {}", self.client_id, self.client_host.trim_start_matches('/')),
        }
    }
}

/// The URL in a worker's metadata: a version, then the URL as a string, in every version of Connect's protocol.
/// Source: Kafka's `ConnectProtocol`, `IncrementalCooperativeConnectProtocol`.
fn worker_url(mut metadata: Bytes) -> Option<String> {
    let _version = metadata.try_get_i16().ok()?;
    let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
    let url = metadata.get(..length)?;
    String::from_utf8(url.to_vec()).ok().filter(|url| url.starts_with("http"))
}

/// What we are known by.
struct Us<'a> {
    group: &'a str,
    config_topic: &'a str,
    /// URLs of our workers; `None` where not every host's address is known.
    urls: Option<Vec<String>>,
    /// Whether a host bears our marker, or did in an earlier run: before the first one does, no member can be ours.
    runs_somewhere: bool,
}

/// The URLs that our workers tell each other.
fn own_urls(at: &Scoped<'_>) -> Option<Vec<String>> {
    let hosts = at.inventory().hosts.iter().map(|spec| {
        let route = at.ctx.routes.get(&spec.name).copied();
        let is_known = spec.worker.advertised_name.is_some()
            || spec.worker.rest.bind != Bind::Private
            || spec.address.ip().or(route).is_some();
        let name = desired::advertised_name(spec, route);
        let name = if name.contains(':') { format!("[{name}]") } else { name };
        is_known.then(|| format!("http://{name}:{}/", spec.worker.rest.port))
    });
    hosts.collect()
}

fn judge(us: &Us<'_>, facts: &GroupFacts) -> Option<Finding> {
    let is_ours = |member: &&Member| match (&us.urls, &member.url) {
        _ if !us.runs_somewhere => false,
        (None, _) => true,
        (Some(ours), Some(url)) => ours.contains(url),
        (Some(_), None) => false,
    };
    let strangers: Vec<String> =
        facts.members.iter().filter(|member| !is_ours(member)).map(Member::name).collect();
    if strangers.is_empty() {
        return None;
    }
    let who = strangers.join(", ");
    let (severity, message, hint) = if facts.protocol_type != CONNECT {
        let message = format!("is in use as a group of type `{}`, by {who}", facts.protocol_type);
        (Severity::Error, message, "choose another `connect.group`, or stop what uses this one".to_owned())
    } else if !facts.has_config_topic {
        let message = format!(
            "is in use by another Connect cluster: {who} is in it, and the topic {} does not exist",
            us.config_topic
        );
        let hint = "choose another `connect.group`; or, to join that cluster, name its three topics under \
                    `connect.topics`";
        (Severity::Error, message, hint.to_owned())
    } else {
        let hint = "stop them if they are workers of a host that left the inventory; if they belong to another \
                    Connect cluster, choose another `connect.group`";
        (Severity::Warning, format!("has members that the inventory does not name: {who}"), hint.to_owned())
    };
    Some(Finding { severity, place: format!("group {}", us.group), message, hint: Some(hint) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "http://10.0.1.11:8083/";

    fn judged(
        protocol_type: &str,
        url: Option<&str>,
        has_config_topic: bool,
        us: &Us<'_>,
    ) -> Option<Severity> {
        let member = Member {
            url: url.map(str::to_owned),
            client_id: "c".to_owned(),
            client_host: "/10.0.0.7".to_owned(),
        };
        let facts =
            GroupFacts { protocol_type: protocol_type.to_owned(), members: vec![member], has_config_topic };
        judge(us, &facts).map(|finding| finding.severity)
    }

    fn us(urls: Option<&[&str]>, runs_somewhere: bool) -> Us<'static> {
        let urls = urls.map(|urls| urls.iter().map(|url| (*url).to_owned()).collect());
        Us { group: "connect-orders", config_topic: "connect-orders-configs", urls, runs_somewhere }
    }

    #[test]
    fn only_strangers_are_pointed_out() {
        let here = us(Some(&[OURS]), true);
        assert_eq!(judge(&here, &GroupFacts::default()), None);
        assert_eq!(judged(CONNECT, Some(OURS), true, &here), None);
        assert_eq!(judged(CONNECT, Some(OURS), false, &here), None, "our own worker has lost its topic");
        assert_eq!(judged(CONNECT, Some("http://10.0.9.9:8083/"), true, &here), Some(Severity::Warning));
        assert_eq!(judged(CONNECT, Some("http://10.0.9.9:8083/"), false, &here), Some(Severity::Error));
        assert_eq!(judged("consumer", None, true, &here), Some(Severity::Error));
    }

    #[test]
    fn before_our_first_worker_every_member_is_a_stranger() {
        let new = us(Some(&[OURS]), false);
        assert_eq!(judged(CONNECT, Some(OURS), false, &new), Some(Severity::Error));
        assert_eq!(
            judged(CONNECT, Some("http://x:1/"), true, &us(None, true)),
            None,
            "nothing to compare with"
        );
    }

    #[test]
    fn a_workers_url_is_read_from_its_metadata_and_from_nothing_else() {
        let mut metadata = vec![0, 1, 0, 22];
        metadata.extend_from_slice(OURS.as_bytes());
        metadata.extend_from_slice(&7_i64.to_be_bytes());
        assert_eq!(worker_url(metadata.into()).as_deref(), Some(OURS));
        for strange in [&b""[..], b"\0\x01\0\x7fhttp://", b"\0\x01\0\x02ab", b"\0\x01\xff\xff"] {
            assert_eq!(worker_url(Bytes::copy_from_slice(strange)), None);
        }
    }
}
