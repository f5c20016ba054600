//! Where Kafka's jars are on a host: an unpacked distribution (`kafka.home` or `KAFKA_HOME`), or the pinned jars, which
//! Maven brings once into a cache.
//!
//! Maven knows the user's mirrors and proxies; what it brings is compared with the tracked list of SHA-256 before it is
//! used, so that it does not matter where it came from.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::host::{Command, Host, HostError, HostExt};
use crate::shell::fields::Fields;
use crate::shell::quote;

const POM: &str = include_str!("../templates/kafka/pom.xml");
const JARS: &str = include_str!("../templates/kafka/jars.sha256");
const FIND: &str = include_str!("kafka_home.sh");

/// The version that the pinned jars are of; `pom.xml` names the same.
pub(crate) const PINNED_VERSION: &str = "4.3.1";

/// The oldest Java that this Kafka's brokers run on.
pub(crate) const JAVA_MINIMUM: u32 = 17;

/// Maven may have to bring 55 MB through a slow proxy.
const BRING_LIMIT: Duration = Duration::from_secs(900);

/// What a host has of what Kafka needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The launcher's absolute path.
    pub(crate) java: Option<String>,
    /// Java's feature release: 17.
    pub(crate) java_major: Option<u32>,
    pub(crate) has_maven: bool,
    /// The folder of jars.
    pub(crate) libs: Option<String>,
    /// The unpacked distribution that `kafka.home` or `KAFKA_HOME` asks for; `None` means the pinned jars.
    pub(crate) unpacked: Option<String>,
}

impl Found {
    /// Whether there is a Java that is new enough.
    pub(crate) fn has_java(&self) -> bool {
        self.java.is_some() && self.java_major.is_some_and(|major| major >= JAVA_MINIMUM)
    }

    /// Whether Maven has something to do.
    pub(crate) fn needs_maven(&self) -> bool {
        self.libs.is_none() && self.unpacked.is_none()
    }

    /// Reads the fields that [`find_script`] prints.
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            java: fields.optional("java"),
            java_major: fields.number("java_major"),
            has_maven: fields.optional("maven").is_some(),
            libs: fields.optional("libs"),
            unpacked: fields.optional("unpacked"),
        }
    }
}

/// A script that prints what [`Found::read`] reads; other scripts may follow it.
pub(crate) fn find_script(home: Option<&Path>) -> String {
    format!(
        "{}\nfor field in java java_major maven libs unpacked; do eval \"echo $field=\\$$field\"; done\n",
        preamble(home)
    )
}

fn preamble(home: Option<&Path>) -> String {
    let unpacked = home.map(|home| home.display().to_string()).unwrap_or_default();
    let pinned: String = Sha256::digest(JARS).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("unpacked={}\nversion={PINNED_VERSION}\npinned={pinned}\n{FIND}", quote(&unpacked))
}

/// Looks for Java, Maven and the jars.
pub(crate) async fn find(host: &dyn Host, home: Option<&Path>) -> Result<Found, HostError> {
    let output = host.check(&Command::look("look for Java and Kafka", find_script(home))).await?;
    Ok(Found::read(&Fields::parse(&output)))
}

/// Brings the pinned jars into the cache, whole or not at all. Nothing happens when they are there.
pub(crate) async fn bring(host: &dyn Host) -> Result<(), HostError> {
    let script = format!("{}\npom={}\njars={}\n{BRING}", preamble(None), quote(POM), quote(JARS));
    host.check(&Command::new("bring Kafka's jars through Maven", script).timeout(BRING_LIMIT)).await?;
    Ok(())
}

/// Two runs at once each fill a folder of their own; the first to rename it wins, and both are right.
const BRING: &str = r#"
set -eu
home=$cache/kafka-$version-$pinned
[ ! -d "$home" ] || exit 0
mkdir -p "$cache"
aside=$(mktemp -d "$cache/.kafka.XXXXXX")
trap 'rm -rf "$aside"' EXIT
trap 'exit 143' TERM INT HUP
chmod 755 "$aside"
printf '%s' "$pom" >"$aside/pom.xml"
printf '%s' "$jars" >"$aside/jars.sha256"
"$maven" --batch-mode --quiet --file "$aside/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$aside/libs" </dev/null >&2
(cd "$aside/libs" && sha256sum --check --quiet --strict ../jars.sha256) >&2
[ "$(ls "$aside/libs" | wc -l)" = "$(wc -l <"$aside/jars.sha256")" ] || {
    echo "Maven brought jars that are not on the list of pinned ones" >&2
    exit 1
}
mv -T "$aside" "$home" || [ -d "$home" ]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_the_one_of_the_pom_and_the_list() {
        assert!(POM.contains(&format!("<kafka.version>{PINNED_VERSION}</kafka.version>")));
        assert!(JARS.contains(&format!("  kafka_2.13-{PINNED_VERSION}.jar\n")));
    }

    #[test]
    fn an_old_java_is_none_and_an_unpacked_kafka_needs_no_maven() {
        let found = |text: &str| Found::read(&Fields::parse(text));
        let all = found("java=/usr/bin/java\njava_major=17\nmaven=/usr/bin/mvn\nlibs=\nunpacked=\n");
        assert!(all.has_java() && all.has_maven && all.needs_maven());
        assert!(!found("java=/usr/bin/java\njava_major=11\n").has_java());
        assert!(!found("java=\njava_major=\n").has_java());
        assert!(!found("libs=/opt/kafka/libs\nunpacked=/opt/kafka\n").needs_maven());
        assert!(!found("libs=\nunpacked=/opt/kafka\n").needs_maven());
    }
}
