//! The Docker engine and Compose of a host: looked at and installed.

use std::time::Duration;

use super::fields::Fields;
use super::{packages, quote};
use crate::host::Command;

/// Defines the shell function `compose`: whichever Compose the host has.
pub(crate) const COMPOSE: &str = concat!(
    "compose() { if docker compose version >/dev/null 2>&1; then docker compose \"$@\"; ",
    "else docker-compose \"$@\"; fi; }\n"
);

/// A dotted version, compared by its numbers: `20.10.24+dfsg1` is 20, 10, 24.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DottedVersion(Vec<u32>);

impl DottedVersion {
    /// `None` when the text does not begin with a number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let plain = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let numbers: Vec<u32> = plain.split('.').map_while(|number| number.parse().ok()).collect();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    pub(crate) fn major(&self) -> u32 {
        self.0[0]
    }
}

impl std::fmt::Display for DottedVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// What answers to the name `docker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Client {
    Absent,
    Docker,
    /// Confined by snap: it does not see our files.
    Snap,
    /// Podman under Docker's name.
    Podman,
}

/// Which Compose a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compose {
    Absent,
    /// `docker compose`.
    Plugin(DottedVersion),
    /// `docker-compose`.
    Standalone(DottedVersion),
}

/// What a look at a host's Docker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerFacts {
    pub(crate) client: Client,
    /// `None` when the engine does not answer.
    pub(crate) engine: Option<DottedVersion>,
    /// What the client said when the engine did not answer.
    pub(crate) engine_error: String,
    pub(crate) compose: Compose,
    /// Whether systemd knows `docker.service`.
    pub(crate) has_unit: bool,
    /// Whether an administrator forbids it to start.
    pub(crate) is_masked: bool,
    pub(crate) is_enabled: bool,
    pub(crate) is_active: bool,
    /// Whether packages can be installed with apt.
    pub(crate) has_apt: bool,
    /// Whether the vendor's own packages are installed.
    pub(crate) is_from_vendor: bool,
    /// Of the asked users, those that are not in the group `docker`, with whether they exist.
    pub(crate) outside_group: Vec<(String, bool)>,
}

const LOOK: &str = include_str!("docker.sh");

/// Looks at Docker, and at the group memberships of `users`. Parse the answer with [`parse`].
///
/// Neither engine nor systemd is asked where files tell what they would say. Files tell the truth of an engine that
/// answers; whether it does is for [`super::containers`] to see.
pub(crate) fn look<'a>(users: impl IntoIterator<Item = &'a str>) -> Command {
    Command::look("look at Docker", script("yes", users)).as_root()
}

/// As [`look`], of an engine that does not answer: it is not asked again.
pub(crate) fn look_beside_engine<'a>(users: impl IntoIterator<Item = &'a str>) -> Command {
    Command::look("look at Docker beside its engine", script("no", users)).as_root()
}

fn script<'a>(answers: &str, users: impl IntoIterator<Item = &'a str>) -> String {
    let mut script = format!("answers={answers}\n{LOOK}");
    for user in users {
        let user = quote(user);
        script += &format!(
            "if groups=$(id -nG {user} 2>/dev/null); then \
             case \" $groups \" in *\" docker \"*) ;; *) echo outside_group={user} ;; esac; \
             else echo unknown_user={user}; fi\n"
        );
    }
    script
}

/// Reads the answer of [`look`] or [`look_beside_engine`].
pub(crate) fn parse(answer: &str) -> DockerFacts {
    let fields = Fields::parse(answer);
    let compose = match (
        DottedVersion::parse(fields.text("plugin")),
        DottedVersion::parse(fields.text("standalone")),
    ) {
        (Some(version), _) => Compose::Plugin(version),
        (None, Some(version)) => Compose::Standalone(version),
        (None, None) => Compose::Absent,
    };
    let users = |key, exists| fields.all(key).iter().map(move |user| ((*user).to_owned(), exists));
    DockerFacts {
        client: match fields.text("client") {
            "docker" => Client::Docker,
            "snap" => Client::Snap,
            "podman" => Client::Podman,
            _ => Client::Absent,
        },
        engine: DottedVersion::parse(fields.text("engine")),
        engine_error: fields.text("engine_error").to_owned(),
        compose,
        has_unit: fields.is_yes("unit"),
        is_masked: fields.is_yes("masked"),
        is_enabled: fields.is_yes("enabled"),
        is_active: fields.is_yes("active"),
        has_apt: fields.is_yes("apt"),
        is_from_vendor: fields.is_yes("vendor"),
        outside_group: users("outside_group", true).chain(users("unknown_user", false)).collect(),
    }
}

/// Key and source list of the vendor's repository, where it was used.
pub(crate) const VENDOR_KEY: &str = "/etc/apt/keyrings/provision-docker.asc";
pub(crate) const VENDOR_LIST: &str = "/etc/apt/sources.list.d/provision-docker.list";

/// Where packages of Docker may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Distribution,
    Vendor,
    /// The distribution if it offers Docker, else the vendor.
    Either,
}

/// The vendor's package repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vendor<'a> {
    /// Without the distribution's name: `https://download.docker.com/linux`.
    pub(crate) url: &'a str,
    /// Of the one key that may sign it: 40 hexadecimal digits.
    pub(crate) fingerprint: &'a str,
    /// `debian` or `ubuntu`.
    pub(crate) distribution: &'a str,
    /// `bookworm`.
    pub(crate) codename: &'a str,
}

/// What to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    EngineAndCompose,
    ComposeOnly,
}

/// Exit status of [`install`] when the key of the vendor's repository is not the pinned one, or no longer valid.
pub(crate) const KEY_REFUSED: i32 = 21;

/// Exit status of [`install`] when the vendor's repository does not answer, or not with what its key signed.
pub(crate) const VENDOR_REFUSED: i32 = 22;

/// Installs Docker from packages, then starts the engine and waits until it answers.
pub(crate) fn install(origin: Origin, parts: Parts, vendor: &Vendor<'_>) -> Command {
    let origin = match origin {
        Origin::Distribution => "distribution",
        Origin::Vendor => "vendor",
        Origin::Either => "either",
    };
    let parts = match parts {
        Parts::EngineAndCompose => "engine",
        Parts::ComposeOnly => "compose",
    };
    let body = format!(
        "key_refused={KEY_REFUSED}\nvendor_refused={VENDOR_REFUSED}\nkey={VENDOR_KEY}\nlist={VENDOR_LIST}\norigin={origin}\nparts={parts}\nurl={}\nfingerprint={}\ndistribution={}\ncodename={}\n{INSTALL}\n{START}",
        quote(vendor.url),
        quote(vendor.fingerprint),
        quote(vendor.distribution),
        quote(vendor.codename)
    );
    packages::apt_script("install Docker", &body)
}

const INSTALL: &str = r#"
from_distribution() {
  has_candidate docker.io || return 1
  set --
  if [ "$parts" = engine ]; then
    set -- docker.io iptables
    if has_candidate docker-cli; then set -- "$@" docker-cli; fi
    # An engine that finds AppArmor on in the kernel starts no container without its tools.
    if grep -qs Y /sys/module/apparmor/parameters/enabled && ! command -v apparmor_parser >/dev/null; then set -- "$@" apparmor; fi
  fi
  if has_candidate docker-compose-v2; then set -- "$@" docker-compose-v2; else set -- "$@" docker-compose; fi
  install "$@"
}
forget_vendor() { rm -f -- "$list" "$key"; leave; }
from_vendor() {
  if [ "$parts" = engine ]; then set -- docker-ce docker-ce-cli containerd.io docker-compose-plugin; else set -- docker-compose-plugin; fi
  # A host that has the vendor's sources already trusts them in its own way; a second entry would contradict the first.
  if has_candidate docker-compose-plugin; then install "$@"; return; fi
  trap forget_vendor EXIT
  command -v gpg >/dev/null 2>&1 && [ -e /etc/ssl/certs/ca-certificates.crt ] || install ca-certificates gnupg
  mkdir -p /etc/apt/keyrings
  /usr/lib/apt/apt-helper download-file "$url/$distribution/gpg" "$key" >"$log" 2>&1 || fail "cannot fetch the key of $url" $vendor_refused
  # A home of its own, for gpg makes one where it finds none.
  home=$(mktemp -d) || fail "cannot make a folder for gpg"
  listed=$(gpg --homedir "$home" --batch --quiet --no-auto-check-trustdb --with-colons --show-keys "$key" 2>"$log")
  rm -rf -- "$home"
  found=$(echo "$listed" | sed -n '/^pub:/{n;s/^fpr:*\([0-9A-F]*\):.*/\1/p}')
  [ "$found" = "$fingerprint" ] || fail "the key of $url has the fingerprint ${found:-of no key}, and $fingerprint is pinned" $key_refused
  expired=$(echo "$listed" | sed -n 's/^pub:e:[^:]*:[^:]*:[^:]*:[^:]*:\([0-9]*\):.*/\1/p')
  [ -z "$expired" ] || fail "the key of $url has expired on $(date -u -d "@$expired" +%F)" $key_refused
  chmod 644 "$key"
  echo "deb [arch=$(dpkg --print-architecture) signed-by=$key] $url/$distribution $codename stable" >"$list"
  apt -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any update \
    || fail "cannot use the packages of $url" $vendor_refused
  install "$@"
  trap leave EXIT
}
update
case $origin in
  distribution) from_distribution || fail "the distribution's sources offer no docker.io" ;;
  vendor) from_vendor ;;
  either) from_distribution || from_vendor ;;
esac
"#;

/// Enables and starts the engine and waits until it answers.
pub(crate) fn start() -> Command {
    let script = format!("log=$(mktemp)\ntrap 'rm -f \"$log\"' EXIT\n{START}");
    Command::new("start Docker", script).as_root().timeout(Duration::from_secs(120))
}

const START: &str = r#"
systemctl enable --quiet docker.service >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
systemctl is-active --quiet docker.service || systemctl start docker.service >/dev/null 2>&1
tries=60
until docker version >"$log" 2>&1; do
  tries=$((tries - 1))
  # systemd tries again by itself; when it has given up, so do we. The engine's own words come last.
  if [ "$tries" -le 0 ] || systemctl is-failed --quiet docker.service; then
    { tail -n 3 "$log"; journalctl -q -n 3 -o cat -t dockerd; } >&2
    exit 1
  fi
  sleep 0.5
done
"#;

/// Puts a user into the group `docker`.
pub(crate) fn add_to_group(user: &str) -> Command {
    let user = quote(user);
    Command::new(format!("put {user} into the group docker"), format!("usermod -aG docker {user}")).as_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text: &str| DottedVersion::parse(text).unwrap();
        assert_eq!(version("20.10.24+dfsg1").to_string(), "20.10.24");
        assert!(version("v2.26.1-ds1") > version("1.29.2") && version("10.0") > version("9.9"));
        assert_eq!(DottedVersion::parse("unknown"), None);
        assert_eq!(DottedVersion::parse(""), None);
    }

    #[test]
    fn a_bare_host_is_read_as_absent() {
        let facts = parse("client=absent\napt=yes\nunknown_user=ann\noutside_group=bob\n");
        assert_eq!((facts.client, facts.compose, facts.engine), (Client::Absent, Compose::Absent, None));
        assert!(facts.has_apt && !facts.has_unit && !facts.is_active);
        assert_eq!(facts.outside_group, [("bob".to_owned(), true), ("ann".to_owned(), false)]);
    }

    #[test]
    fn the_plugin_wins_over_the_standalone_program() {
        let answer = "client=docker\nengine=26.1.5\nplugin=2.26.1\nstandalone=1.29.2\nunit=yes\nactive=yes\n";
        let facts = parse(answer);
        assert_eq!(facts.compose, Compose::Plugin(DottedVersion(vec![2, 26, 1])));
        assert_eq!(facts.engine.map(|engine| engine.major()), Some(26));
    }

    /// What a real shell makes of the script and of `then`, where `docker` is a function of it.
    fn look_here(answers: &str, then: &str) -> String {
        let docker = "docker() { case $1 in version) echo engine=26.1.5 ;; compose) echo 2.26.1 ;; esac; }";
        let script = format!("{docker}\ntimeout() {{ shift; \"$@\"; }}\n{}{then}\n", script(answers, []));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn an_engine_that_does_not_answer_is_not_asked_again() {
        let facts = parse(&look_here("no", ""));
        assert_eq!((facts.client, facts.engine), (Client::Docker, None));
        assert!(matches!(facts.compose, Compose::Plugin(_)), "{:?}", facts.compose);
    }

    #[test]
    fn words_are_found_by_their_whole_name() {
        let find = |words: &str| {
            let answer = look_here("yes", &format!("find_in b '{words}'; echo \"found=$found\""));
            Fields::parse(&answer).text("found").to_owned()
        };
        assert_eq!([find("a-b=1 b=2 b-c=3"), find("b=2"), find("a=1"), find("")], ["2", "2", "", ""]);
    }
}
