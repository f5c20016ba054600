//! The control machine, two jump hosts in a row, and ten hosts behind them.
//!
//! The ten hosts are sshds of one container, each with its own address and host key: what is tested is the way there.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::docker::{Network, Reach};
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::wait;

use super::control::Control;

/// How many hosts stand behind the jump hosts, named `fleet-1` and so on.
pub(super) const FLEET: u8 = 10;

const PATIENCE: Duration = Duration::from_secs(60);

/// IPv6 addresses, in the networks before and behind the jump hosts.
const GATE_V6: &str = "fd00:6:1::2";
const BASTION_V6: &str = "fd00:6:2::2";
const FLEET_V6: &str = "fd00:6:2::101";

pub(super) struct Ground {
    pub(super) control: Control,
    /// Listens on port 2222.
    gate: SshHost,
    pub(super) bastion: SshHost,
    fleet: SshHost,
    pub(super) bastion_key: String,
    /// Public key that signed the first five hosts' keys.
    pub(super) authority: String,
    /// A key that nobody has.
    pub(super) other_key: String,
    /// Of `fleet-1`.
    fleet_key: String,
}

/// How many logins each jump host has seen.
pub(super) struct Logins {
    pub(super) gate: usize,
    pub(super) bastion: usize,
}

impl Ground {
    pub(super) async fn lay() -> Result<Self> {
        let outer = Network::create(Reach::ContainersOnly).await?;
        let middle = Network::create(Reach::ContainersOnly).await?;
        let inner = Network::create(Reach::ContainersOnly).await?;
        let spec = |networks: &[&Network]| HostSpec {
            options: ["--cap-add", "NET_ADMIN", "--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]
                .map(str::to_owned)
                .to_vec(),
            ..HostSpec::in_networks(networks)
        };
        // The container's own sshd is in nobody's way.
        let fleet = HostSpec { port: 2022, ..spec(&[&inner]) };
        let gate = HostSpec { port: 2222, ..spec(&[&outer, &middle]) };
        let control = async { Control::start(&outer).await };
        let (gate, bastion, fleet) = tokio::try_join!(
            SshHost::start_jump(gate),
            SshHost::start_jump(spec(&[&middle, &inner])),
            SshHost::start_jump(fleet)
        )?;
        let control = control.await?;

        let authorize = format!("echo '{}' >>/home/ubuntu/.ssh/authorized_keys\n", control.public_key);
        // Which interface of a container is in which network differs from start to start.
        let v6 = |address: &str, beside: &str| {
            format!(
                "interface=$(ip -o -4 address show to {beside} | cut -d ' ' -f 2)\n\
                 ip -6 address add {address}/64 dev \"$interface\" nodad\n"
            )
        };
        control.exec(&v6("fd00:6:1::1", &outer.subnet())).await?;
        gate.exec(&(authorize.clone() + &v6(GATE_V6, &outer.subnet()))).await?;
        bastion.exec(&(authorize.clone() + &v6(BASTION_V6, &inner.subnet()))).await?;
        let base = inner.address(100).to_string();
        let base = base.strip_suffix("100").context("an address ends with its last number")?;
        let script =
            format!("{authorize}{}base={base}\nv6={FLEET_V6}\n{SERVERS}", v6(FLEET_V6, &inner.subnet()));
        let keys = fleet.exec(&script).await?;
        let key = |name: &str| {
            let line =
                keys.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned());
            line.with_context(|| format!("no key {name} in {keys}"))
        };
        let ground = Self {
            bastion_key: bastion.host_key_line().to_owned(),
            authority: key("authority ")?,
            other_key: key("other ")?,
            fleet_key: key("fleet-1 ")?,
            control,
            gate,
            bastion,
            fleet,
        };
        ground.introduce(base, &key).await?;
        Ok(ground)
    }

    /// Writes `~/.ssh` of the account: aliases, the way, and who is known. Only names in known_hosts are hashed, so the
    /// line of the authority, which is a pattern, comes after.
    async fn introduce(&self, base: &str, key: &dyn Fn(&str) -> Result<String>) -> Result<()> {
        let Self { control, gate, bastion, .. } = self;
        control.write("../.ssh/config", &format!("Include conf.d/*\n{HABITS}")).await?;
        let mut config = format!(
            "Host gate\n  HostName {}\n  Port 2222\n  User ubuntu\n\
             Host bastion\n  HostName {}\n  User ubuntu\n  ProxyJump gate\n\
             Host fleet-* busy closed\n  User ubuntu\n  ProxyJump bastion\n",
            gate.address(),
            bastion.address()
        );
        let mut known = format!(
            "[{}]:2222 {}\n{} {}\n",
            gate.address(),
            gate.host_key_line(),
            bastion.address(),
            bastion.host_key_line()
        );
        for number in 1..=FLEET {
            config += &format!("Host fleet-{number}\n  HostName {base}{}\n", 100 + number);
            if number > FLEET / 2 {
                known += &format!("{base}{} {}\n", 100 + number, key(&format!("fleet-{number} "))?);
            }
        }
        config += &format!("Host busy\n  HostName {base}120\nHost closed\n  HostName {base}101\n  Port 2\n");
        known += &format!("{base}120 {}\n", key("busy ")?);
        control.write("../.ssh/conf.d/fleet", &config).await?;
        control.write("../.ssh/known_hosts", &known).await?;
        control.hash_known_hosts().await?;
        control.append(".ssh/known_hosts", &format!("@cert-authority {base}* {}", self.authority)).await
    }

    /// The ten hosts, as `--limit` takes them.
    pub(super) fn fleet_names() -> String {
        (1..=FLEET).map(|number| format!("fleet-{number}")).collect::<Vec<_>>().join(",")
    }

    /// Names of `~/.ssh/config` and nothing more. Nobody listens at the last one.
    pub(super) fn inventory_of_names(&self) -> String {
        let mut hosts: Vec<String> = (1..=FLEET).map(|number| format!("fleet-{number}")).collect();
        hosts.extend(["busy", "closed"].map(str::to_owned));
        let hosts: Vec<String> =
            hosts.iter().map(|name| format!("  {name}: {{ address: {name} }}\n")).collect();
        format!("cluster: variants\nhosts:\n{}{}", hosts.concat(), self.kafka())
    }

    /// Nobody asks it anything; the hosts have a route to it.
    fn kafka(&self) -> String {
        let at = self.fleet.address();
        format!(
            "kafka: {{ bootstrap: [\"broker.test:9092\"], security: PLAINTEXT, extra_hosts: {{ broker.test: {at} }} }}\n"
        )
    }

    /// Two hosts behind an alias of `~/.ssh/config`.
    pub(super) fn inventory_of_a_jump_alias(&self) -> String {
        let hosts = "  fleet-7: { address: fleet-7 }\n  fleet-8: { address: fleet-8 }\n";
        format!("cluster: variants\nhosts:\n{hosts}ssh: {{ jump: [bastion] }}\n{}", self.kafka())
    }

    /// One host over IPv6, with every key pinned, the second jump host's as given.
    pub(super) fn inventory_of_addresses(&self, bastion_key: &str) -> String {
        let Self { gate, bastion, fleet_key, .. } = self;
        format!(
            "\
cluster: variants
hosts:
  six:
    address: {FLEET_V6}
    ssh: {{ user: ubuntu, host_key: {fleet_key} }}
ssh:
  identity: ~/.ssh/id_ed25519
  jump:
    - {{ address: \"{GATE_V6}\", port: 2222, user: ubuntu, host_key: {} }}
    - {{ address: {}, user: ubuntu, host_key: {bastion_key} }}
{}",
            gate.host_key_line(),
            bastion.address(),
            self.kafka()
        )
    }

    pub(super) async fn logins(&self) -> Result<Logins> {
        let count = async |host: &SshHost| {
            let log = host.container().log().await?;
            anyhow::Ok(log.lines().filter(|line| line.contains("Accepted publickey")).count())
        };
        Ok(Logins { gate: count(&self.gate).await?, bastion: count(&self.bastion).await? })
    }

    /// Nothing of a run is left here, on the jump hosts or on the hosts.
    pub(super) async fn ensure_nothing_left(&self, after: &str) -> Result<()> {
        self.control.ensure_nothing_left(after).await?;
        for (name, host) in [("gate", &self.gate), ("bastion", &self.bastion), ("fleet", &self.fleet)] {
            let mut left = String::new();
            let is_clean = async || {
                left = host.exec("pgrep -u ubuntu -a || true").await?;
                Ok(left.trim().is_empty().then_some(()))
            };
            let what = format!("no process of the login is left on {name} after {after}");
            let clean = wait::until(&what, PATIENCE, is_clean, String::new).await;
            clean.with_context(|| left)?;
        }
        Ok(())
    }

    /// Strangers take every place of the server `busy`, until it has turned somebody away.
    pub(super) async fn crowd_busy_server(&self) -> Result<()> {
        self.fleet.exec(CROWD).await?;
        let is_crowded =
            async || Ok((self.fleet.exec("cat /run/crowd || true").await?.trim() == "there").then_some(()));
        wait::until("the strangers are there", PATIENCE, is_crowded, String::new).await?;
        Ok(())
    }

    /// Whether the server `busy` has turned a connection away, and the strangers have left.
    pub(super) async fn has_turned_away(&self) -> Result<bool> {
        Ok(self.fleet.exec("cat /run/crowd").await?.trim() == "left")
    }
}

/// What people write for all their hosts, and none of it may weaken a run or outlive it.
const HABITS: &str = "\
Host *
  User nobody
  StrictHostKeyChecking no
  BatchMode no
  LogLevel QUIET
  RequestTTY force
  RemoteCommand echo habits
  ForwardAgent yes
  ControlMaster auto
  ControlPath ~/.ssh/master-%C
  ControlPersist 10m
";

/// Starts the ten servers and the busy one; prints every host key, that of an authority, and one that nobody has. The
/// first five servers have their keys signed.
const SERVERS: &str = r#"
echo 'ubuntu ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/testbed
mkdir /etc/fleet
cd /etc/fleet
pair() { ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$1"; echo "$1 $(cut -d ' ' -f 1,2 "$1.pub")"; }
pair authority
pair other
serve() {
  name=$1 address=$2; shift 2
  ip address add "$address/24" dev eth0
  { echo "ListenAddress $address"; echo "HostKey /etc/fleet/$name"; echo 'PidFile none'; echo 'UsePAM yes'; printf '%s\n' "$@"; } >"$name.conf"
  /usr/sbin/sshd -f "$name.conf" -E "/run/sshd/$name.log"
}
for number in 1 2 3 4 5 6 7 8 9 10; do
  name=fleet-$number address=$base$((100 + number))
  pair "$name"
  set --
  if [ "$number" = 1 ]; then set -- "ListenAddress $v6"; fi
  if [ "$number" -le 5 ]; then
    ssh-keygen -q -s authority -I "$name" -h -n "$address" "$name.pub"
    set -- "$@" "HostCertificate /etc/fleet/$name-cert.pub"
  fi
  serve "$name" "$address" "$@"
done
pair busy
serve busy "${base}120" 'MaxStartups 2' 'LogLevel VERBOSE'
echo "${base}120" >/run/busy.address
"#;

/// Two connections that never greet, held until the server says that it was full for somebody else.
const CROWD: &str = r#"
cat >/run/crowd.pl <<'END'
use IO::Socket::INET;
my ($address, $log) = @ARGV;
sub count { my $found = 0; open my $file, '<', $log or die; while (<$file>) { $found++ if /$_[0]/ } $found }
sub note { open my $file, '>', '/run/crowd.new' or die; print $file "$_[0]\n"; close $file; rename '/run/crowd.new', '/run/crowd' }
my @held = map { IO::Socket::INET->new(PeerAddr => $address, PeerPort => 22) or die } 1 .. 2;
select undef, undef, undef, 0.02 until count('Connection from') >= 2;
note('there');
select undef, undef, undef, 0.02 until count('MaxStartups');
close $_ for @held;
note('left');
END
perl /run/crowd.pl "$(cat /run/busy.address)" /run/sshd/busy.log </dev/null >/dev/null 2>&1 &
"#;
