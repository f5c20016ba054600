//! The one round trip at connect: what the host is, and how root is reached there. Builder and parser are pure.

use secrecy::{ExposeSecret, SecretString};

use super::{Command, HostFacts, Stdin, Sudo};
use crate::shell::fields::Fields;

/// Says what the host is. Its input is the sudo password, or nothing. Every host runs it in every run: what the kernel
/// says in a file costs no program.
const SCRIPT: &str = r#"
IFS= read -r password
now=$(date +%s)
echo "now=$now"
{ read -r began _ </proc/uptime; } 2>/dev/null
[ -r /etc/os-release ] && . /etc/os-release
echo "os=${ID:-unknown}"
echo "os_like=${ID_LIKE:-}"
echo "os_version=${VERSION_ID:-}"
echo "os_codename=${VERSION_CODENAME:-}"
names=$(uname -nm)
echo "architecture=${names##* }"
echo "hostname=${names% *}"
echo "user=$(id -un)"
uid= gid=
while read -r name _ effective _; do
  case $name in Uid:) uid=$effective ;; Gid:) gid=$effective; break ;; esac
done </proc/self/status
echo "uid=${uid:=$(id -u)}"
echo "gid=${gid:=$(id -g)}"
echo "home=${HOME:-/}"
if [ "$uid" = 0 ]; then echo sudo=root
elif ! command -v sudo >/dev/null 2>&1; then echo sudo=missing
elif [ "${trust:-}" = yes ]; then echo sudo=passwordless
elif said=$(sudo -n true 2>&1); then echo sudo=passwordless
elif [ -z "$password" ]; then echo sudo=refused; echo "sudo_said=$(echo $said)"
elif said=$(printf '%s\n' "$password" | sudo -k -S -p '' true 2>&1); then echo sudo=password
else case $said in *incorrect*|*"try again"*) echo sudo=wrong ;; *) echo sudo=refused ;; esac; echo "sudo_said=$(echo $said)"
fi
"#;

/// The time once more: what comes between may take long, and the host's clock is compared at the middle of it all.
const END: &str = r#"
if { read -r ended _ </proc/uptime; } 2>/dev/null; then echo "until=$((now + ${ended%.*} - ${began%.*}))"; fi
echo whole=yes
"#;

/// `also` is a script that goes with it. `trusts_sudo`: sudo is believed to ask for no password; it costs more than all
/// the rest of this, and whoever needs root starts it anyway.
pub(super) fn command(password: Option<&SecretString>, trusts_sudo: bool, also: &str) -> Command {
    let input = match password {
        Some(password) => Stdin::Bytes(format!("{}\n", password.expose_secret()).into()),
        None => Stdin::Empty,
    };
    let trust = if trusts_sudo { "yes" } else { "no" };
    Command::new("look at the host", format!("trust={trust}{SCRIPT}{also}\n{END}")).stdin(input).secret()
}

/// How root is reached, before the password is put back in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SudoAnswer {
    NotNeeded,
    Passwordless,
    Password,
    WrongPassword,
    Unavailable { said: String },
}

impl SudoAnswer {
    pub(super) fn into_sudo(self, password: Option<SecretString>) -> Option<Sudo> {
        match self {
            Self::NotNeeded => Some(Sudo::NotNeeded),
            Self::Passwordless => Some(Sudo::Passwordless),
            Self::Password => password.map(Sudo::Password),
            Self::WrongPassword => None,
            Self::Unavailable { said } => Some(Sudo::Unavailable { said }),
        }
    }
}

/// Reads the answer; `midpoint` is our clock, in seconds, half-way through the round trip. `None` when a field is
/// missing or the answer has no end.
pub(super) fn parse(answer: &str, midpoint: i64) -> Option<(HostFacts, SudoAnswer)> {
    let fields = Fields::parse(answer);
    if !fields.is_yes("whole") {
        return None;
    }
    let said = fields.text("sudo_said").to_owned();
    let sudo = match fields.text("sudo") {
        "root" => SudoAnswer::NotNeeded,
        "passwordless" => SudoAnswer::Passwordless,
        "password" => SudoAnswer::Password,
        "wrong" => SudoAnswer::WrongPassword,
        "missing" => SudoAnswer::Unavailable { said: "sudo is not installed".to_owned() },
        "refused" => SudoAnswer::Unavailable { said },
        _ => return None,
    };
    let now = fields.number::<i64>("now")?;
    let host_midpoint = now + (fields.number::<i64>("until").unwrap_or(now) - now) / 2;
    let facts = HostFacts {
        os: fields.text("os").to_owned(),
        os_like: fields.text("os_like").split_whitespace().map(str::to_owned).collect(),
        os_version: fields.text("os_version").to_owned(),
        os_codename: fields.text("os_codename").to_owned(),
        architecture: fields.text("architecture").to_owned(),
        login_user: fields.text("user").to_owned(),
        login_uid: fields.number("uid")?,
        login_gid: fields.number("gid")?,
        home: fields.text("home").to_owned(),
        clock_skew_seconds: host_midpoint - midpoint,
        hostname: fields.text("hostname").to_owned(),
    };
    Some((facts, sudo))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "now=1000\nos=debian\nos_like=\nos_version=12\nos_codename=bookworm\narchitecture=x86_64\n\
                          user=ubuntu\nuid=1000\ngid=1000\nhome=/home/ubuntu\nhostname=w1\nwhole=yes\n";

    #[test]
    fn facts_and_sudo_are_read() {
        let (facts, sudo) = parse(&format!("{DEBIAN}sudo=passwordless\n"), 990).unwrap();
        assert_eq!((facts.os.as_str(), facts.login_uid, facts.clock_skew_seconds), ("debian", 1000, 10));
        assert_eq!(sudo, SudoAnswer::Passwordless);
        let (facts, _) = parse(&format!("{DEBIAN}sudo=root\nuntil=1010\n"), 1005).unwrap();
        assert_eq!(facts.clock_skew_seconds, 0, "a look that takes ten seconds is no skew");
        let (_, sudo) =
            parse(&format!("{DEBIAN}sudo=refused\nsudo_said=sudo: a password is required\n"), 0).unwrap();
        assert_eq!(sudo, SudoAnswer::Unavailable { said: "sudo: a password is required".to_owned() });
    }

    #[test]
    fn an_incomplete_answer_is_refused() {
        assert!(parse(DEBIAN, 0).is_none());
        assert!(parse("sudo=root\nwhole=yes\n", 0).is_none());
        let cut_off = format!("{DEBIAN}sudo=root\n").replace("whole=yes\n", "");
        assert!(parse(&cut_off, 0).is_none());
    }

    #[test]
    fn a_real_shell_says_what_the_programs_say() {
        let ask = |script: &str| {
            let mut sh = std::process::Command::new("sh");
            let output = sh.arg("-c").arg(script).stdin(std::process::Stdio::null()).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let answer = ask(&format!("{SCRIPT}{END}"));
        let (facts, _) = parse(&answer, 0).unwrap();
        let said = ask("id -un; id -u; id -g; uname -m; uname -n");
        let (uid, gid) = (facts.login_uid.to_string(), facts.login_gid.to_string());
        let found = [&facts.login_user, &uid, &gid, &facts.architecture, &facts.hostname];
        assert_eq!(said.lines().collect::<Vec<_>>(), found);
        let fields = Fields::parse(&answer);
        assert!(fields.number::<i64>("until") >= fields.number("now"), "{answer}");
        assert!(fields.number::<i64>("until").is_some(), "{answer}");
    }
}
