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
    /// Who listens on the ports of the worker, see [`look_for_holders`].
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
  case $name in MemTotal:) echo "memory=$value" ;; MemAvailable:) echo "available=$value"; break ;; esac
done </proc/meminfo
# The nearest folder that is there, of each.
folders() {
  for dir do
    shift
    until [ -d "$dir" ]; do dir=${dir%/*}; dir=${dir:-/}; done
    set -- "$@" "$dir"
  done
  stat -f -c '%a %S %c %d %n' -- "$@" | while read -r free size all inodes dir; do
    writable=no; if [ -w "$dir" ]; then writable=yes; fi
    if [ "$all" = 0 ]; then inodes=-; fi
    echo "folder=$((free * size / 1024)) $inodes $writable $dir"
  done
}
# Where the engine keeps its data, set as $data. It is not asked itself: it need not run yet.
find_engine_data() {
  data= found=
  for file in /etc/docker/daemon.json; do
    if [ -r "$file" ]; then
      while read -r line || [ -n "$line" ]; do
        case $line in *'"data-root"'*:*'"'*'"'*)
          line=${line#*'"data-root"'}; line=${line#*:}; line=${line#*'"'}; data=${line%%'"'*} ;;
        esac
      done <"$file"
    fi
  done
  for file in /etc/default/docker /etc/systemd/system/docker.service /etc/systemd/system/docker.service.d/*.conf; do
    [ -z "$data" ] && [ -r "$file" ] || continue
    while read -r line || [ -n "$line" ]; do
      line=${line%%#*}
      case $line in *--data-root[=\ ]*) line=${line#*--data-root?}; line=${line#'"'}; found=${line%%[\ \"]*} ;; esac
    done <"$file"
  done
  case ${data:=$found} in /*) ;; *) data=/var/lib/docker ;; esac
}
"#;

const BROKERS: &str = r#"
# One shell tries all ways side by side, for brokers may be silent for seconds each.
ways='trap "kill \$(jobs -p)" TERM
while [ $# -ge 4 ]; do
  { if exec 3<>"/dev/tcp/${4:-$2}/$3"; then echo "way=$1 connected"; else echo "way=$1 refused"; fi; } &
  shift 4
done
wait'
# Takes four words for each broker: index, host, port, and its address if the resolver is not to be asked.
brokers() {
  said=; otherwise=untried
  if command -v bash >/dev/null 2>&1; then
    otherwise=silent
    said=$(timeout 5 bash -c "$ways" bash "$@" </dev/null 2>/dev/null)
  fi
  while [ $# -ge 4 ]; do
    case "$said " in
      *"way=$1 connected"*) echo "broker=$1 connected" ;;
      *"way=$1 refused"*) unreached "$1" "$2" "$4" refused & ;;
      *) unreached "$1" "$2" "$4" "$otherwise" & ;;
    esac
    shift 4
  done
  wait
}
unreached() {
  if [ -z "$3" ] && ! getent ahosts "$2" >/dev/null 2>&1; then echo "broker=$1 unresolved"; else echo "broker=$1 $4"; fi
}
"#;

/// Looks at everything at once. Parse the answer with [`parse`].
pub(crate) fn look(questions: &Questions) -> Command {
    let mut script = format!("{BROKERS}{FUNCTIONS}{}", broker_call(&questions.brokers));
    let mut folders: Vec<String> = questions.folders.iter().map(|folder| quote(folder)).collect();
    if questions.has_engine {
        script += "find_engine_data\n";
        folders.push("\"$data\"".to_owned());
    }
    if !folders.is_empty() {
        script += &format!("folders {}\n", folders.join(" "));
    }
    Command::look("look at the host's means", script + "wait\n")
}

/// Tries the ways to brokers alone. Parse the answer with [`parse_brokers`].
pub(crate) fn try_brokers(brokers: &[Broker]) -> Command {
    let script = format!("{BROKERS}{}wait\n", broker_call(brokers));
    Command::look("try the ways to further brokers", script)
}

/// While the brokers are tried, the script goes on.
fn broker_call(brokers: &[Broker]) -> String {
    if brokers.is_empty() {
        return String::new();
    }
    let words = |(index, broker): (usize, &Broker)| {
        let address = broker.address.map(|ip| ip.to_string()).unwrap_or_default();
        format!(" {index} {} {} {}", quote(&broker.host), broker.port, quote(&address))
    };
    let words: String = brokers.iter().enumerate().map(words).collect();
    format!("brokers{words} &\n")
}

/// Finds the lines of `/proc/net/tcp` that tell of a socket which listens on this port.
fn listening(port: u16) -> String {
    format!("^ *[0-9]+: [0-9A-F]+:{port:04X} [0-9A-F]+:[0-9A-F]+ 0A ")
}

/// Looks for the programs that listen on these ports; those with a pid file below `own_folder` are ours. Parse the answer
/// with [`parse_holders`]. As root it sees whose every port is.
pub(crate) fn look_for_holders(ports: &[u16], own_folder: &str) -> Command {
    let mut script = format!("own_folder={}\n{HOLDERS}", quote(own_folder));
    for port in ports {
        script += &format!("port {port} {} &\n", quote(&listening(*port)));
    }
    Command::look("look for the holders of ports", script + "wait\n")
}

const HOLDERS: &str = r#"
own_pids=
for file in "$own_folder"/*.pid "$own_folder"/*/*.pid "$own_folder"/*/*/*.pid; do
  if [ -r "$file" ] && read -r pid _ <"$file"; then own_pids="$own_pids $pid "; fi
done
port() {
  sockets=$(grep -Ehs "$2" /proc/net/tcp /proc/net/tcp6) || return 0
  ours=no; unit=-; holder=
  # Whose the socket is, by the inode that the process's open files name.
  set -- "$1" $(echo "$sockets" | head -n 1)
  file=$(find /proc/[0-9]*/fd -lname "socket:\[${11}\]" 2>/dev/null | head -n 1)
  pid=${file#/proc/}; pid=${pid%%/*}
  if [ -n "$pid" ]; then
    case $own_pids in *" $pid "*) ours=yes ;; esac
    unit=$(sed -n 's/.*\/\([^/]*\.service\)\(\/.*\)\{0,1\}$/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
    holder="$(cat "/proc/$pid/comm" 2>/dev/null), process $pid"
  fi
  echo "held=$1 $ours ${unit:--} $holder"
}
"#;

/// Reads the answer of [`look`] to these questions.
pub(crate) fn parse(questions: &Questions, answer: &str) -> Answers {
    let fields = Fields::parse(answer);
    let kibibytes = |key| fields.number::<u64>(key).unwrap_or(0) * 1024;
    Answers {
        has_systemd: fields.is_yes("systemd"),
        memory: kibibytes("memory"),
        memory_available: kibibytes("available"),
        folders: fields.all("folder").iter().filter_map(|line| parse_folder(line)).collect(),
        held: Vec::new(),
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
            Some("untried") => BrokerAnswer::Untried,
            _ => BrokerAnswer::Silent,
        }
    };
    (0..brokers.len()).map(answer).collect()
}

/// Reads the answer of [`look_for_holders`].
pub(crate) fn parse_holders(answer: &str) -> Vec<HeldPort> {
    Fields::parse(answer).all("held").iter().filter_map(|line| parse_held(line)).collect()
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
        let brokers = vec![broker("a"), broker("b"), broker("c")];
        let questions = Questions { brokers, ..Questions::default() };
        let answer = "systemd=yes\nmemory=2048\navailable=1024\nfolder=4 - yes /var/my lib\n\
                      broker=1 unresolved\nbroker=0 connected\n";
        let answers = parse(&questions, answer);
        assert_eq!((answers.memory, answers.memory_available, answers.has_systemd), (2 << 20, 1 << 20, true));
        let folder = Folder { path: "/var/my lib".into(), free: 4096, free_inodes: None, is_writable: true };
        assert_eq!(answers.folders, [folder]);
        let held = parse_holders(
            "held=8083 no confluent-kafka-connect.service java, process 17\nheld=8079 yes - \n",
        );
        assert_eq!(held[0].unit.as_deref(), Some("confluent-kafka-connect.service"));
        assert_eq!(held[0].holder, "java, process 17");
        assert_eq!((held[1].is_ours, &held[1].unit), (true, &None));
        assert_eq!(
            answers.brokers,
            [BrokerAnswer::Connected, BrokerAnswer::Unresolved, BrokerAnswer::Silent]
        );
    }

    fn run(script: &str) -> String {
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn this_machine_is_seen_by_a_real_shell() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        let broker = |host: &str, port, address: Option<&str>| Broker {
            host: host.to_owned(),
            port,
            address: address.map(|address| address.parse().unwrap()),
        };
        let local = Some("127.0.0.1");
        let questions = Questions {
            folders: vec![format!("{here}/not/there"), "/".to_owned()],
            has_engine: true,
            brokers: vec![
                broker("a.test", port, local),
                broker("a.test", 1, local),
                broker("nowhere.test", port, None),
            ],
        };
        // Names are not this test's business: what the resolver of this machine makes of one differs.
        let answer = run(&format!("getent() {{ return 2; }}\n{}", look(&questions).script));
        let answers = parse(&questions, &answer);
        assert!(answers.memory >= answers.memory_available && answers.memory_available > 0, "{answers:?}");
        let [asked, root, engine] = answers.folders.as_slice() else { panic!("{answers:?}") };
        assert_eq!((asked.path.as_str(), root.path.as_str()), (here.as_str(), "/"));
        assert!(engine.path.starts_with('/') && asked.is_writable && asked.free > 0, "{answers:?}");
        let expected = [BrokerAnswer::Connected, BrokerAnswer::Refused, BrokerAnswer::Unresolved];
        assert_eq!(answers.brokers, expected);

        std::fs::write(folder.path().join("worker.pid"), format!("{} 1 2\n", std::process::id())).unwrap();
        // Nobody listens on port 1 of a machine that runs tests.
        let held = parse_holders(&run(&look_for_holders(&[1, port], &here).script));
        let [held] = held.as_slice() else { panic!("{held:?}") };
        assert!(held.port == port && held.is_ours && held.holder.contains("process "), "{held:?}");
        let held = parse_holders(&run(&look_for_holders(&[port], "/nowhere").script));
        assert!(held.iter().all(|held| !held.is_ours) && held.len() == 1, "{held:?}");
    }

    #[test]
    fn the_engines_data_is_found_where_it_was_moved_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let functions = FUNCTIONS.replace("/etc/", &format!("{root}/"));
        let find = || {
            run(&format!("{functions}\nfind_engine_data; echo \"$data\"")).lines().last().unwrap().to_owned()
        };
        let write = |file: &str, text: &str| {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(find(), "/var/lib/docker");
        write("default/docker", "# --data-root=/no\nDOCKER_OPTS=\"--dns 8.8.8.8 --data-root=/a\"");
        assert_eq!(find(), "/a");
        write("systemd/system/docker.service.d/o.conf", "ExecStart=dockerd --data-root \"/b\" -H fd://\n");
        assert_eq!(find(), "/b");
        write("docker/daemon.json", "{\n \"debug\": true, \"data-root\" : \"/c d\", \"x\": 1}");
        assert_eq!(find(), "/c d");
        write("docker/daemon.json", "{\"data-root\": 7}");
        assert_eq!(find(), "/b");
    }
}
