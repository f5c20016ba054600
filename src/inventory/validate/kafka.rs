//! The `kafka` section: an existing cluster, or one node of ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::secret::Drawing;
use super::ssh::split_port;
use super::{Validator, default_port, port};
use crate::inventory::model::{
    AclPolicy, Address, BrokerAddress, ClusterName, ConnectUser, HostName, Kafka, Login, ManagedKafka,
    Mechanism, NameCheck, Origin, Ownership, Port, PrincipalName, Runtime, SecretRef, Security, StoreFormat,
    StoreLocation, Tls, Trust, TrustStore, Version,
};
use crate::inventory::problem::Path;
use crate::inventory::raw;
use crate::inventory::tree::Value;

const VERSION: &str = "4.3.1";
const PORT: u16 = 9093;
const CONTROLLER_PORT: u16 = 9094;
const ADMIN: &str = "admin";

/// The client port and the controller port.
pub(super) fn ports(managed: &raw::Managed) -> (Port, Port) {
    let clients = managed.port.and_then(port).unwrap_or_else(|| default_port(PORT));
    let controller = managed.controller_port.and_then(port).unwrap_or_else(|| default_port(CONTROLLER_PORT));
    (clients, controller)
}

impl Validator<'_, '_> {
    pub(super) fn kafka(
        &mut self,
        raw: &raw::Inventory,
        cluster: Option<&ClusterName>,
        runtime: Option<Runtime>,
    ) -> Option<Kafka> {
        let path = Path::root().key("kafka");
        let section = raw.kafka.as_ref()?;
        // Everything below hangs on these two: when one of them is wrong, nothing more can be said.
        let is_wrong =
            |key: &str, is_sound: bool| !is_sound && self.report.tree.get(&path.key(key)).is_some();
        if is_wrong("managed", section.managed.is_some()) || is_wrong("security", section.security.is_some())
        {
            return None;
        }
        let extra_hosts = self.extra_hosts(section.extra_hosts.as_ref(), &path.key("extra_hosts"));
        let (bootstrap, origin) = match &section.managed {
            Some(managed) => {
                self.managed_alone(section, runtime, &path);
                let node = self.managed(raw, managed, &path.key("managed"));
                node.map(|(address, node)| (vec![address], Origin::Managed(node))).unzip()
            }
            None => {
                let hint =
                    "the brokers to start from, such as [broker-1:9093]; or `managed` for one node run here";
                self.report.missing(&path.key("bootstrap"), hint);
                (self.bootstrap(section.bootstrap.as_deref(), &path.key("bootstrap")), Some(Origin::Existing))
            }
        };
        let security = self.security(section, &path);
        let has_sasl = !matches!(section.security, Some(raw::Security::Plaintext | raw::Security::Ssl));
        let (admin, user) = if has_sasl {
            let admin = self.admin(section, &path.key("admin"));
            (admin.clone(), self.user(section, cluster, admin.as_ref(), &path))
        } else {
            for key in ["admin", "user"] {
                if self.report.tree.get(&path.key(key)).is_some() {
                    let message = format!("`{key}` has no meaning without SASL");
                    self.report.problem(&path.key(key), message, "remove it, or set `security: SASL_SSL`");
                }
            }
            (None, None)
        };
        if has_sasl && user.is_none() {
            return None;
        }
        Some(Kafka { bootstrap: bootstrap?, security: security?, admin, user, extra_hosts, origin: origin? })
    }

    /// Keys that belong to an existing cluster.
    fn managed_alone(&mut self, section: &raw::Kafka, runtime: Option<Runtime>, path: &Path) {
        let foreign = [
            ("bootstrap", section.bootstrap.is_some()),
            ("trust", section.trust.is_some()),
            ("verify_names", section.verify_names.is_some()),
        ];
        for (key, _) in foreign.into_iter().filter(|(_, is_there)| *is_there) {
            let message = format!("`{key}` belongs to an existing cluster, and `managed` makes one");
            self.report.problem(&path.key(key), message, "remove one of the two");
        }
        if !matches!(section.security, None | Some(raw::Security::SaslSsl)) {
            let message = "a managed node speaks SASL_SSL only";
            self.report.problem(&path.key("security"), message, "remove this key");
        }
        if runtime == Some(Runtime::Docker) {
            let message = "a managed Kafka node runs as a process";
            self.report.problem(
                &path.key("managed"),
                message,
                "set `runtime: process`, or name a cluster's `bootstrap`",
            );
        }
    }

    fn managed(
        &mut self,
        raw: &raw::Inventory,
        managed: &raw::Managed,
        path: &Path,
    ) -> Option<(BrokerAddress, ManagedKafka)> {
        let named: Option<HostName> = self.name(managed.host.as_deref(), &path.key("host"));
        let hosts = raw.hosts.as_ref();
        let is_known = |name: &HostName| hosts.is_some_and(|hosts| hosts.contains_key(name.as_str()));
        let host = match named {
            Some(name) if !is_known(&name) => {
                self.report.problem(
                    &path.key("host"),
                    format!("there is no host {name}"),
                    "name one of `hosts`",
                );
                return None;
            }
            Some(name) => Some(name),
            // A wrong name among `hosts` is reported there.
            None => self.first_host().and_then(|name| HostName::parse(&name).ok()),
        };
        let version: Option<Version> = match managed.version.as_deref() {
            None => Some(Version::parse(VERSION).expect("a version")),
            version => self.name(version, &path.key("version")),
        };
        let home = self.control_path(managed.home.as_deref(), &path.key("home"));
        let data = self.name(managed.data.as_deref(), &path.key("data"));
        let (port, controller_port) = ports(managed);
        let host = host?;
        let address =
            hosts.and_then(|hosts| hosts.get(host.as_str())?.address.as_deref()).unwrap_or("127.0.0.1");
        let broker = BrokerAddress { host: Address::parse(address).ok()?, port };
        Some((broker, ManagedKafka { host, version: version?, port, controller_port, home, data }))
    }

    fn first_host(&self) -> Option<String> {
        match &self.report.tree.get(&Path::root().key("hosts"))?.value {
            Value::Map(entries) => entries.first().map(|entry| entry.key.clone()),
            _ => None,
        }
    }

    fn bootstrap(&mut self, raw: Option<&[String]>, path: &Path) -> Option<Vec<BrokerAddress>> {
        let mut brokers: Vec<BrokerAddress> = Vec::new();
        for (index, text) in raw?.iter().enumerate() {
            let here = path.index(index);
            let (host, number) = split_port(text);
            let Some(port) = number.and_then(|number| number.parse().ok()).and_then(port) else {
                self.report.problem(
                    &here,
                    format!("expected `host:port`, found {text:?}"),
                    "such as broker-1:9093",
                );
                continue;
            };
            let Some(host) = self.name(Some(host), &here) else { continue };
            let broker = BrokerAddress { host, port };
            if brokers.contains(&broker) {
                self.report.problem(
                    &here,
                    format!("{broker} is already in the list"),
                    "remove one of the two",
                );
            }
            brokers.push(broker);
        }
        Some(brokers)
    }

    fn extra_hosts(
        &mut self,
        raw: Option<&BTreeMap<String, String>>,
        path: &Path,
    ) -> BTreeMap<Address, IpAddr> {
        let mut hosts = BTreeMap::new();
        for (name, address) in raw.into_iter().flatten() {
            let here = path.key(name);
            let ip: Option<IpAddr> = address.parse().ok();
            if ip.is_none() {
                let hint = "where the broker is reached, such as 10.0.9.1; a name is resolved by DNS without being here";
                self.report.problem(&here, format!("expected an IP address, found {address:?}"), hint);
            }
            let name: Option<Address> = self.name(Some(name), &here);
            match name {
                Some(name) if name.ip().is_some() => {
                    self.report.problem(
                        &here,
                        "expected a name, found an IP address",
                        "write `NAME: ADDRESS`",
                    );
                }
                Some(name) => hosts.extend(ip.map(|ip| (name, ip))),
                None => {}
            }
        }
        hosts
    }

    fn security(&mut self, section: &raw::Kafka, path: &Path) -> Option<Security> {
        let here = path.key("security");
        let wanted = section.security.unwrap_or(raw::Security::SaslSsl);
        let has_tls = matches!(wanted, raw::Security::Ssl | raw::Security::SaslSsl);
        if !has_tls {
            let who = if section.managed.is_some() { "this node" } else { "this cluster" };
            self.report
                .warn(&here, format!("everything between workers and {who} can be read on the network"));
            for (key, is_there) in
                [("trust", section.trust.is_some()), ("verify_names", section.verify_names.is_some())]
            {
                if is_there {
                    let message = format!("`{key}` has no meaning without TLS");
                    self.report.problem(&path.key(key), message, "remove it, or set `security: SASL_SSL`");
                }
            }
            let has_sasl = matches!(wanted, raw::Security::SaslPlaintext);
            return Some(if has_sasl { Security::SaslPlaintext } else { Security::Plaintext });
        }
        let names = match section.verify_names {
            Some(false) => {
                let message = "any certificate of the trusted authorities passes for any broker";
                self.report.warn(&path.key("verify_names"), message);
                NameCheck::Ignore
            }
            _ => NameCheck::Verify,
        };
        let trust = if section.managed.is_some() {
            Some(Trust::Ours)
        } else {
            let hint = "whose certificates the brokers show: `{ pem: FILE }`, `{ pkcs12: FILE }`, `{ jks: FILE }` or `system`";
            self.report.missing(&path.key("trust"), hint);
            self.trust(section.trust.as_ref(), &path.key("trust"))
        };
        let tls = Tls { trust: trust?, names };
        Some(if matches!(wanted, raw::Security::Ssl) { Security::Ssl(tls) } else { Security::SaslSsl(tls) })
    }

    fn trust(&mut self, raw: Option<&raw::Trust>, path: &Path) -> Option<Trust> {
        let store = match raw? {
            raw::Trust::Word(raw::TrustWord::System) => return Some(Trust::System),
            raw::Trust::Store(store) => store,
        };
        let drawing = Drawing::Refused("the store already has a password");
        let password = self.secret(store.password.as_ref(), drawing, &path.key("password"));
        let files = [
            ("pem", StoreFormat::Pem, &store.pem),
            ("pkcs12", StoreFormat::Pkcs12, &store.pkcs12),
            ("jks", StoreFormat::Jks, &store.jks),
        ];
        let typed = files.iter().filter(|(key, ..)| self.report.tree.get(&path.key(key)).is_some()).count();
        if typed != 1 {
            let hint = "`system`, or one file such as { pem: ./kafka-ca.pem }";
            self.report.problem(path, "expected exactly one of `pem`, `pkcs12` and `jks`", hint);
            return None;
        }
        let (key, format, file) =
            files.into_iter().find_map(|(key, format, file)| Some((key, format, file.as_ref()?)))?;
        if format == StoreFormat::Pem && store.password.is_some() {
            self.report.problem(&path.key("password"), "a PEM file has no password", "remove it");
        }
        let here = path.key(key);
        let location = match file {
            raw::StoreFile::Control(text) => StoreLocation::Control(self.control_path(Some(text), &here)?),
            raw::StoreFile::Host(file) => {
                StoreLocation::Host(self.name(file.host_path.as_deref(), &here.key("host_path"))?)
            }
        };
        Some(Trust::Store(TrustStore { format, location, password }))
    }

    fn admin(&mut self, section: &raw::Kafka, path: &Path) -> Option<Login> {
        let is_managed = section.managed.is_some();
        let drawing = match is_managed {
            true => Drawing::Allowed,
            false => Drawing::Refused("the administrator of an existing cluster already has a password"),
        };
        match &section.admin {
            Some(admin) => {
                let name: Option<PrincipalName> = self.name(admin.username.as_deref(), &path.key("username"));
                let password = self.secret(admin.password.as_ref(), drawing, &path.key("password"));
                let mechanism = admin.mechanism.map_or(Mechanism::ScramSha512, mechanism);
                if is_managed && mechanism != Mechanism::ScramSha512 {
                    let message = "a managed node takes SCRAM-SHA-512 only";
                    self.report.problem(&path.key("mechanism"), message, "remove this key");
                }
                Some(Login { name: name?, password: password?, mechanism })
            }
            None if is_managed => Some(Login {
                name: PrincipalName::parse(ADMIN).expect("a name"),
                password: SecretRef::Generated,
                mechanism: Mechanism::ScramSha512,
            }),
            None => None,
        }
    }

    fn user(
        &mut self,
        section: &raw::Kafka,
        cluster: Option<&ClusterName>,
        admin: Option<&Login>,
        kafka: &Path,
    ) -> Option<ConnectUser> {
        let path = kafka.key("user");
        let default = raw::User::default();
        let raw = section.user.as_ref().unwrap_or(&default);
        let is_ours = raw.manage.unwrap_or(true);
        let name: Option<PrincipalName> = match raw.name.as_deref() {
            None => cluster.and_then(|cluster| PrincipalName::parse(&format!("connect-{cluster}")).ok()),
            name => self.name(name, &path.key("name")),
        };
        let mechanism = raw.mechanism.map_or(Mechanism::ScramSha512, mechanism);
        let acls = match raw.acls {
            Some(raw::Acls::Check) => AclPolicy::Check,
            Some(raw::Acls::Create) => AclPolicy::Create,
            Some(raw::Acls::Ignore) => AclPolicy::Ignore,
            None if section.managed.is_some() => AclPolicy::Create,
            None => AclPolicy::Check,
        };
        let here = path.key("password");
        let password = if is_ours {
            let password = self.secret(raw.password.as_ref(), Drawing::Allowed, &here);
            let is_absent = self.report.tree.get(&here).is_none();
            password.or(is_absent.then_some(SecretRef::Generated))
        } else {
            self.report.missing(
                &here,
                "with `manage: false` the user already has one: { env: NAME }, { file: PATH } or …",
            );
            let drawing = Drawing::Refused("with `manage: false` the user already has a password");
            self.secret(raw.password.as_ref(), drawing, &here)
        };
        if is_ours {
            if mechanism != Mechanism::ScramSha512 {
                let message = "a user that is managed here has SCRAM-SHA-512";
                self.report.problem(
                    &path.key("mechanism"),
                    message,
                    "remove this key, or set `manage: false`",
                );
            }
            let is_decided = raw.manage.is_some() || self.report.tree.get(&path.key("manage")).is_none();
            if section.managed.is_none() && is_decided {
                let hint = "who may create the Connect user; or set `user: { manage: false, … }` for one that exists";
                self.report.missing(&kafka.key("admin"), hint);
            }
            if admin.is_some_and(|admin| Some(&admin.name) == name.as_ref()) {
                let message = "the Connect user is the administrator, whose password would be overwritten";
                self.report.problem(
                    &path.key("name"),
                    message,
                    "give Connect a user of its own, or set `manage: false`",
                );
            }
        } else if acls == AclPolicy::Create {
            self.report.missing(&kafka.key("admin"), "`acls: create` needs someone who may create ACLs");
        }
        let ownership = if is_ours { Ownership::Managed } else { Ownership::Foreign };
        Some(ConnectUser { login: Login { name: name?, password: password?, mechanism }, ownership, acls })
    }
}

fn mechanism(raw: raw::Mechanism) -> Mechanism {
    match raw {
        raw::Mechanism::Plain => Mechanism::Plain,
        raw::Mechanism::ScramSha256 => Mechanism::ScramSha256,
        raw::Mechanism::ScramSha512 => Mechanism::ScramSha512,
    }
}
