//! One look at everything that a host must have before anything is changed on it.

use std::net::IpAddr;

use super::fields::Fields;
use super::quote;
use crate::host::Command;

/// What to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// Folders that will be written below; they need not exist.
    pub(crate) folders: Vec<String>,
    /// Whether a Docker engine will write below its data folder, wherever that is.
    pub(crate) has_engine: bool,
    /// TCP ports that will be listened on.
    pub(crate) ports: Vec<u16>,
    /// Folder below which our own pid files lie.
    pub(crate) own_folder: String,
    /// The label that our containers carry, as `name=value`.
    pub(crate) own_label: String,
    /// Brokers to resolve and to connect to.
    pub(crate) brokers: Vec<Broker>,
}

/// A broker as the host will know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where the inventory's `extra_hosts` send the name; `None` leaves it to the host's resolver.
    pub(crate) address: Option<IpAddr>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) has_systemd: bool,
    /// Bytes.
    pub(crate) memory: u64,
    /// Bytes that new programs may use, by the kernel's own estimate.
    pub(crate) memory_available: u64,
    pub(crate) folders: Vec<Folder>,
    /// Asked ports that somebody listens on.
    pub(crate) held: Vec<HeldPort>,
    /// Of the asked brokers, in order.
    pub(crate) brokers: Vec<BrokerAnswer>,
}

/// The nearest existing ancestor of an asked folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: String,
    /// Free bytes of its file system for those who are not root.
    pub(crate) free: u64,
    /// How many more files fit; `None` where the file system makes room for them as it goes.
    pub(crate) free_inodes: Option<u64>,
    pub(crate) is_writable: bool,
}

/// A port that somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldPort {
    pub(crate) port: u16,
    pub(crate) is_ours: bool,
    /// systemd unit of the listener, if it is known.
    pub(crate) unit: Option<String>,
    /// Who listens, for people: a program's name and process id, or a container.
    pub(crate) holder: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerAnswer {
    Connected,
    /// The host's resolver does not know the name.
    Unresolved,
    Refused,
    /// Nobody answered in time.
    Silent,
    /// The host has nothing to connect with.
    Untried,
}

const FUNCTIONS: &str = r#"
if [ -d /run/systemd/system ]; then echo systemd=yes; fi
while read -r name value _; do
  case $name in MemTotal:) echo "memory=$value" ;; MemAvailable:) echo "available=$value" ;; esac
done </proc/meminfo
folder() {
  dir=$1
  until [ -d "$dir" ]; do dir=${dir%/*}; dir=${dir:-/}; done
  writable=no; if [ -w "$dir" ]; then writable=yes; fi
  inodes=-; set -- $(df -Pi -- "$dir" 2>/dev/null | tail -n 1)
  case ${2:-0} in 0|-) ;; *) inodes=$4 ;; esac
  set -- $(df -Pk -- "$dir" | tail -n 1)
  echo "folder=$4 $inodes $writable $dir"
}
# The engine itself is not asked: it need not run yet.
engine_data() {
  data=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null | tail -n 1)
  [ -n "$data" ] || data=$(sed -n 's/^[^#]*--data-root[= ]"\{0,1\}\([^" ]*\).*/\1/p' /etc/default/docker \
    /etc/systemd/system/docker.service /etc/systemd/system/docker.service.d/*.conf 2>/dev/null | tail -n 1)
  case $data in /*) ;; *) data=/var/lib/docker ;; esac
  folder "$data"
}
own_pids=" $(find "$own_folder" -maxdepth 3 -name '*.pid' -exec cat {} + 2>/dev/null | while read -r pid _; do echo "$pid"; done | tr '\n' ' ')"
port() {
  listens="^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F]+:[0-9A-F]+ 0A "
  sockets=$(grep -Ehs "$listens" /proc/net/tcp /proc/net/tcp6) || return 0
  ours=no; unit=-; holder=; engine=
  if command -v docker >/dev/null 2>&1; then
    containers=$(timeout 10 docker ps --filter "publish=$1" \
      --format "{{.Label \"${own_label%%=*}\"}} {{.Names}}" 2>/dev/null) || engine=silent
    container=$(echo "$containers" | head -n 1)
    case $container in
      "${own_label#*=} "*) echo "held=$1 yes - container ${container#* }"; return ;;
      ?*) holder="container ${container#* }" ;;
    esac
  fi
  # Whose the socket is, by the inode that the process's open files name.
  set -- "$1" $(echo "$sockets" | head -n 1)
  file=$(find /proc/[0-9]*/fd -lname "socket:\[${11}\]" 2>/dev/null | head -n 1)
  pid=${file#/proc/}; pid=${pid%%/*}
  if [ -n "$pid" ]; then
    case $own_pids in *" $pid "*) ours=yes ;; esac
    # Whose container it is only the engine knows; that it does not answer is the Docker phase's to tell.
    if [ "$engine" = silent ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = docker-proxy ]; then return 0; fi
    [ -n "$holder" ] || {
      unit=$(sed -n 's/.*\/\([^/]*\.service\)\(\/.*\)\{0,1\}$/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
      holder="$(cat "/proc/$pid/comm" 2>/dev/null), process $pid"
    }
  fi
  echo "held=$1 $ours ${unit:--} $holder"
}
"#;

const BROKER: &str = r#"
broker() {
  to=$4
  if [ -z "$to" ] && ! getent ahosts "$2" >/dev/null 2>&1; then echo "broker=$1 unresolved"; return; fi
  if ! command -v bash >/dev/null 2>&1; then echo "broker=$1 untried"; return; fi
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${to:-$2}" "$3" >/dev/null 2>&1 </dev/null
  case $? in 0) echo "broker=$1 connected" ;; 124) echo "broker=$1 silent" ;; *) echo "broker=$1 refused" ;; esac
}
"#;

/// Looks at everything at once. Parse the answer with [`parse`]. As root it sees whose every port is.
pub(crate) fn look(questions: &Questions) -> Command {
    let mut script = format!(
        "own_folder={}\nown_label={}\n{BROKER}{FUNCTIONS}",
        quote(&questions.own_folder),
        quote(&questions.own_label)
    );
    script += &broker_calls(&questions.brokers);
    for folder in &questions.folders {
        script += &format!("folder {}\n", quote(folder));
    }
    if questions.has_engine {
        script += "engine_data\n";
    }
    for port in &questions.ports {
        script += &format!("port {port} &\n");
    }
    script += "wait\n";
    Command::look("look at the host's means", script)
}

/// Tries the ways to brokers alone. Parse the answer with [`parse_brokers`].
pub(crate) fn try_brokers(brokers: &[Broker]) -> Command {
    let script = format!("{BROKER}{}wait\n", broker_calls(brokers));
    Command::look("try the ways to further brokers", script)
}

/// Brokers may be silent for seconds each, so they are all asked at once.
fn broker_calls(brokers: &[Broker]) -> String {
    let call = |(index, broker): (usize, &Broker)| {
        let address = broker.address.map(|ip| ip.to_string()).unwrap_or_default();
        format!("broker {index} {} {} {} &\n", quote(&broker.host), broker.port, quote(&address))
    };
    brokers.iter().enumerate().map(call).collect()
}

/// Reads the answer of [`look`] to these questions.
pub(crate) fn parse(questions: &Questions, answer: &str) -> Answers {
    let fields = Fields::parse(answer);
    let kibibytes = |key| fields.number::<u64>(key).unwrap_or(0) * 1024;
    Answers {
        has_systemd: fields.is_yes("systemd"),
        memory: kibibytes("memory"),
        memory_available: kibibytes("available"),
        folders: fields.all("folder").iter().filter_map(|line| parse_folder(line)).collect(),
        held: fields.all("held").iter().filter_map(|line| parse_held(line)).collect(),
        brokers: parse_brokers(&questions.brokers, answer),
    }
}

/// What came of each of these brokers, in their order.
pub(crate) fn parse_brokers(brokers: &[Broker], answer: &str) -> Vec<BrokerAnswer> {
    let fields = Fields::parse(answer);
    let answer = |index: usize| {
        let said = fields.all("broker").iter().find_map(|line| {
            let (number, said) = line.split_once(' ')?;
            (number == index.to_string()).then_some(said)
        });
        match said {
            Some("connected") => BrokerAnswer::Connected,
            Some("unresolved") => BrokerAnswer::Unresolved,
            Some("refused") => BrokerAnswer::Refused,
            Some("silent") => BrokerAnswer::Silent,
            _ => BrokerAnswer::Untried,
        }
    };
    (0..brokers.len()).map(answer).collect()
}

fn parse_folder(line: &str) -> Option<Folder> {
    let mut words = line.splitn(4, ' ');
    let free = words.next()?.parse::<u64>().ok()? * 1024;
    let free_inodes = words.next()?.parse().ok();
    let is_writable = words.next()? == "yes";
    Some(Folder { path: words.next()?.to_owned(), free, free_inodes, is_writable })
}

fn parse_held(line: &str) -> Option<HeldPort> {
    let mut words = line.splitn(4, ' ');
    let port = words.next()?.parse().ok()?;
    let is_ours = words.next()? == "yes";
    let unit = Some(words.next()?).filter(|unit| *unit != "-").map(str::to_owned);
    let holder = words.next().unwrap_or_default().trim().to_owned();
    Some(HeldPort { port, is_ours, unit, holder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let broker = |host: &str| Broker { host: host.to_owned(), port: 9093, address: None };
        let questions =
            Questions { brokers: vec![broker("a"), broker("b"), broker("c")], ..Questions::default() };
        let answer = "systemd=yes\nmemory=2048\navailable=1024\nfolder=4 - yes /var/my lib\n\
                      held=8083 no confluent-kafka-connect.service java, process 17\nheld=8079 yes - \n\
                      broker=1 unresolved\nbroker=0 connected\n";
        let answers = parse(&questions, answer);
        assert_eq!((answers.memory, answers.memory_available, answers.has_systemd), (2 << 20, 1 << 20, true));
        let folder = Folder { path: "/var/my lib".into(), free: 4096, free_inodes: None, is_writable: true };
        assert_eq!(answers.folders, [folder]);
        assert_eq!(answers.held[0].unit.as_deref(), Some("confluent-kafka-connect.service"));
        assert_eq!(answers.held[0].holder, "java, process 17");
        assert_eq!((answers.held[1].is_ours, &answers.held[1].unit), (true, &None));
        assert_eq!(
            answers.brokers,
            [BrokerAnswer::Connected, BrokerAnswer::Unresolved, BrokerAnswer::Untried]
        );
    }
}
