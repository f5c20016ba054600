//! What is wrong with a host, from what was seen of it: plain functions over values.

use std::time::Duration;

use super::{PreflightFacts, TEMPORARY};
use crate::host::{HostFacts, Sudo};
use crate::inventory::model::{Runtime, UnitName};
use crate::phases::{Finding, Severity};
use crate::plan::Target;
use crate::shell::preflight::{Answers, Broker, BrokerAnswer, HeldPort};

use Severity::{Error, Warning};

const MIB: u64 = 1024 * 1024;

/// What images, containers and files of a worker need.
const DISK_NEEDED: u64 = 500 * MIB;

/// Image layers and files of a worker are a few dozen.
const INODES_NEEDED: u64 = 1000;

/// What to do about a port's holder that no systemd unit stands for.
const STOP_IT: &str = "stop it, or choose another port in the inventory";

/// Clocks this far apart make certificates and logs confusing; SASL and TLS still work.
const SKEW_WARNING: Duration = Duration::from_secs(5);

/// Clocks this far apart make certificates look expired or not yet valid.
const SKEW_ERROR: Duration = Duration::from_secs(300);

/// What installers of packages need in [`TEMPORARY`].
const TEMPORARY_NEEDED: u64 = 16 * MIB;

/// What the host is held against.
pub(super) struct Wanted<'a> {
    pub(super) target: &'a Target,
    pub(super) runtime: Runtime,
    /// The worker's memory limit in bytes.
    pub(super) memory: u64,
    pub(super) conflicts: &'a [UnitName],
}

/// Everything that is wrong, not the first of it alone.
pub(super) fn judge(
    wanted: &Wanted<'_>,
    host: &HostFacts,
    sudo: &Sudo,
    facts: &PreflightFacts,
) -> Vec<Finding> {
    let mut judgement = Judgement { wanted, answers: &facts.answers, findings: Vec::new() };
    if wanted.runtime == Runtime::Docker {
        judgement.of_root(host, sudo);
    }
    judgement.of_clock(host);
    judgement.of_memory();
    judgement.of_folders();
    judgement.of_ports();
    judgement.of_brokers(&facts.questions.brokers);
    judgement.findings
}

struct Judgement<'a> {
    wanted: &'a Wanted<'a>,
    answers: &'a Answers,
    findings: Vec<Finding>,
}

impl Judgement<'_> {
    fn say(&mut self, severity: Severity, message: String, hint: &str) {
        let place = self.wanted.target.to_string();
        self.findings.push(Finding { severity, place, message, hint: Some(hint.to_owned()) });
    }

    fn of_root(&mut self, host: &HostFacts, sudo: &Sudo) {
        if let Sudo::Unavailable { said } = sudo {
            self.say(
                Error,
                format!("the login user {} has no way to root: {said}", host.login_user),
                "log in as root, allow sudo without a password, or give the sudo password as a secret",
            );
        }
        if !self.answers.has_systemd {
            self.say(Error, "has no systemd, which starts Docker".to_owned(), "use a host with systemd");
        }
    }

    fn of_clock(&mut self, host: &HostFacts) {
        let skew = Duration::from_secs(host.clock_skew_seconds.unsigned_abs());
        if skew > SKEW_WARNING {
            let direction = if host.clock_skew_seconds > 0 { "ahead of" } else { "behind" };
            self.say(
                if skew > SKEW_ERROR { Error } else { Warning },
                format!("its clock is {} s {direction} this machine's", skew.as_secs()),
                "certificates depend on the time: let both follow NTP (`timedatectl set-ntp true`)",
            );
        }
    }

    fn of_memory(&mut self) {
        let Answers { memory: all, memory_available: spare, .. } = *self.answers;
        let wanted = self.wanted.memory;
        let may_take = format!("and the worker may take {} MiB", wanted / MIB);
        // Where our worker runs, it has taken its part already.
        let is_running = self.answers.held.iter().any(|held| held.is_ours);
        if all > 0 && all < wanted {
            let message = format!("has {} MiB of memory, {may_take}", all / MIB);
            self.say(Error, message, "lower `connect.memory`, or use a larger host");
        } else if spare > 0 && spare < wanted && !is_running {
            let message = format!("has {} MiB of memory to spare, {may_take}", spare / MIB);
            self.say(Warning, message, "lower `connect.memory`, or stop something else");
        }
    }

    fn of_folders(&mut self) {
        for folder in &self.answers.folders {
            let path = &folder.path;
            let needed = if path == TEMPORARY { TEMPORARY_NEEDED } else { DISK_NEEDED };
            if !folder.is_writable {
                let hint = "is its file system mounted read-only?";
                self.say(Error, format!("{path} cannot be written"), hint);
            } else if folder.free < needed {
                let hint = "make room; `df -h` on the host shows its file systems, `docker system df` what Docker holds";
                let (free, needed) = (folder.free / MIB, needed / MIB);
                self.say(Error, format!("{path} has {free} MiB free, and {needed} are needed"), hint);
            } else if let Some(inodes) = folder.free_inodes.filter(|inodes| *inodes < INODES_NEEDED) {
                self.say(
                    Error,
                    format!("{path} has room for {inodes} more files (free inodes)"),
                    "remove files that nobody needs; `df -i` on the host shows its file systems",
                );
            }
        }
    }

    fn of_ports(&mut self) {
        let conflicts = self.wanted.conflicts;
        let is_in_the_way = |held: &&HeldPort| !held.is_ours && !will_be_freed(held, conflicts);
        for held in self.answers.held.iter().filter(is_in_the_way) {
            let (holder, hint) = match (&held.unit, held.holder.as_str()) {
                (Some(unit), holder) => (
                    format!("{unit} ({holder})"),
                    "list this systemd unit under `conflicts`, or choose another port in the inventory",
                ),
                (None, "") => ("another program".to_owned(), STOP_IT),
                (None, holder) => (holder.to_owned(), STOP_IT),
            };
            self.say(Error, format!("port {} is taken by {holder}", held.port), hint);
        }
    }

    fn of_brokers(&mut self, brokers: &[Broker]) {
        // One broker that is down is no reason to stop; none that answers is.
        let is_any_reached = self.answers.brokers.contains(&BrokerAnswer::Connected);
        let unreached = if is_any_reached { Warning } else { Error };
        for (Broker { host, port, .. }, answer) in brokers.iter().zip(&self.answers.brokers) {
            let hint = "check firewalls and routes between this host and the brokers";
            match answer {
                BrokerAnswer::Connected => {}
                BrokerAnswer::Unresolved => self.say(
                    Error,
                    format!("cannot resolve the broker {host}"),
                    "add it to DNS, or to `kafka.extra_hosts` in the inventory",
                ),
                BrokerAnswer::Refused => {
                    self.say(unreached, format!("cannot connect to the broker {host}:{port}"), hint);
                }
                BrokerAnswer::Silent => {
                    self.say(unreached, format!("the broker {host}:{port} does not answer"), hint);
                }
                BrokerAnswer::Untried => self.say(
                    Error,
                    format!("the way to the broker {host}:{port} was not tried: there is no bash"),
                    "install bash there: ways to brokers and to the worker are tried with it",
                ),
            }
        }
    }
}

/// Whether a listed conflict holds the port; a unit's name may be listed without `.service`.
fn will_be_freed(held: &HeldPort, conflicts: &[UnitName]) -> bool {
    let Some(unit) = &held.unit else { return false };
    let bare = unit.trim_end_matches(".service");
    conflicts.iter().any(|conflict| conflict.as_str().trim_end_matches(".service") == bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::HostName;
    use crate::shell::preflight::{self, Questions};

    const GOOD: &str = "systemd=yes\nmemory=4000000\navailable=2000000\nfolder=9000000 - yes /etc\n";

    fn judged(answer: &str, host: &HostFacts, sudo: &Sudo) -> Vec<(Severity, String)> {
        let target = Target::Host(HostName::parse("w1").unwrap());
        let conflicts = [UnitName::parse("confluent-kafka-connect").unwrap()];
        let wanted =
            Wanted { target: &target, runtime: Runtime::Docker, memory: 512 * MIB, conflicts: &conflicts };
        let broker = Broker { host: "broker-1".to_owned(), port: 9093, address: None };
        let questions = Questions { brokers: vec![broker], ..Questions::default() };
        let mut answers = preflight::parse(&questions, answer);
        answers.held = preflight::parse_holders(answer);
        let findings = judge(&wanted, host, sudo, &PreflightFacts { questions, answers });
        findings.into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    fn good_host() -> HostFacts {
        HostFacts::default()
    }

    #[test]
    fn a_good_host_passes() {
        let ours = format!("{GOOD}broker=0 connected\nheld=8083 yes - container x\n");
        assert_eq!(judged(&ours, &good_host(), &Sudo::Passwordless), []);
        let freed = format!(
            "{GOOD}broker=0 connected\nheld=8083 no confluent-kafka-connect.service java, process 9\n"
        );
        assert_eq!(judged(&freed, &good_host(), &Sudo::NotNeeded), []);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let answer = "memory=200000\navailable=100000\nfolder=1000 - yes /etc\nfolder=9000000 5000 no /var/lib\n\
                      folder=9000000 7 yes /srv\nheld=8083 no nginx.service nginx, process 4\nheld=8079 no - \nbroker=0 unresolved\n";
        let host = HostFacts { clock_skew_seconds: -3600, ..HostFacts::default() };
        let found = judged(answer, &host, &Sudo::Unavailable { said: "not in sudoers".to_owned() });
        for needle in [
            "no way to root",
            "systemd",
            "3600 s behind",
            "195 MiB of memory",
            "/etc has 0 MiB",
            "/var/lib cannot",
            "/srv has room for 7 more files",
            "port 8083 is taken by nginx.service",
            "port 8079 is taken by another program",
            "resolve the broker broker-1",
        ] {
            assert!(
                found
                    .iter()
                    .any(|(severity, message)| *severity == Severity::Error && message.contains(needle)),
                "{needle}: {found:?}"
            );
        }
        assert_eq!(found.len(), 10, "{found:?}");
    }

    #[test]
    fn one_broker_of_several_may_be_down() {
        let broker = |host: &str| Broker { host: host.to_owned(), port: 9093, address: None };
        let questions = Questions { brokers: vec![broker("a"), broker("b")], ..Questions::default() };
        let judged = |said: &str| {
            let target = Target::Host(HostName::parse("w1").unwrap());
            let wanted = Wanted { target: &target, runtime: Runtime::Docker, memory: MIB, conflicts: &[] };
            let answers = preflight::parse(&questions, &format!("{GOOD}{said}"));
            let facts = PreflightFacts { questions: questions.clone(), answers };
            let findings = judge(&wanted, &HostFacts::default(), &Sudo::NotNeeded, &facts);
            findings.into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        use Severity::{Error, Warning};
        assert_eq!(judged("broker=0 connected\nbroker=1 refused\n"), [Warning]);
        assert_eq!(judged("broker=0 silent\nbroker=1 refused\n"), [Error, Error]);
        assert_eq!(judged("broker=0 connected\nbroker=1 unresolved\n"), [Error]);
    }

    #[test]
    fn small_differences_only_warn() {
        let host = HostFacts { clock_skew_seconds: 30, ..good_host() };
        let found = judged(&format!("{GOOD}broker=0 connected\n"), &host, &Sudo::NotNeeded);
        let [(severity, message)] = found.as_slice() else { panic!("{found:?}") };
        assert!(*severity == Severity::Warning && message.contains("30 s ahead"), "{found:?}");
    }

    #[test]
    fn what_brokers_and_workers_are_asked_with_has_to_be_there() {
        let found = judged(&format!("{GOOD}broker=0 untried\n"), &good_host(), &Sudo::NotNeeded);
        let [(severity, message)] = found.as_slice() else { panic!("{found:?}") };
        assert!(*severity == Severity::Error && message.contains("there is no bash"), "{found:?}");
    }
}
