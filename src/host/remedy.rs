//! What to do about a program on a host that failed. Why it did stands nowhere but in its own words, so they are what
//! is looked at; what is not known here gets the general advice.

/// Words of a program, and what to do about them. The first row that fits is taken.
const REMEDIES: &[(&str, &str)] = &[
    ("No space left on device", "make room: `df -h` and `df -i` on the host show which file system is full"),
    ("no space left on device", "make room: `df -h` and `df -i` on the host show which file system is full"),
    ("Disk quota exceeded", "make room, or raise the quota: `quota` on the host shows it"),
    (
        "Read-only file system",
        "mount it writable again; `dmesg` on the host says why the kernel made it read-only",
    ),
    (
        "read-only file system",
        "mount it writable again; `dmesg` on the host says why the kernel made it read-only",
    ),
    (
        "daemon.json",
        "correct /etc/docker/daemon.json on the host: `dockerd --validate` says what is wrong in it",
    ),
    (
        "ContainerConfig",
        "this Compose is too old for the engine: install the Compose plugin, or remove the old container",
    ),
    (
        "is already in use by container",
        "that name is ours: rename or remove the other container with `docker rename` or `docker rm`",
    ),
    ("port is already allocated", "`docker ps` and `ss -ltnp` on the host show who has the port"),
    ("address already in use", "`docker ps` and `ss -ltnp` on the host show who has the port"),
    (
        "Cannot connect to the Docker daemon",
        "`systemctl status docker` and `journalctl -u docker` on the host say why its engine is down",
    ),
    ("Job for docker.service failed", "`journalctl -u docker` on the host says more"),
    (
        "Could not get lock",
        "another package manager is at work on the host: let it finish or end it, then run again",
    ),
    (
        "Unable to locate package",
        "the package sources of the host do not have it: look at /etc/apt/sources.list and sources.list.d",
    ),
    (
        "docker.service is masked",
        "`systemctl unmask docker.service docker.socket` on the host brings it back",
    ),
    ("Failed to fetch", "the host cannot reach its package sources: look at its DNS, its proxy and /etc/apt"),
    (
        "dpkg: error processing",
        "`dpkg --audit` and `apt-get install -f` on the host say which package is broken",
    ),
    ("is in the way", "move it away; `provision` does not remove what it did not make"),
];

/// For a failure whose words are not known.
const GENERAL: &str =
    "the lines above are the host's own words: remove the cause and run again; what was done is kept";

/// What to do about a program that ended with these last lines.
pub(super) fn remedy(tail: &[String]) -> &'static str {
    let says = |words: &str| tail.iter().any(|line| line.contains(words));
    REMEDIES.iter().find(|(words, _)| says(words)).map_or(GENERAL, |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_have_a_remedy_of_their_own() {
        let check = |line: &str, expected: &str| {
            assert!(remedy(&["first".to_owned(), line.to_owned()]).contains(expected), "{line}");
        };
        check("head: write error: No space left on device", "df -i");
        check("write /var/lib/docker/tmp/x: no space left on device", "df -i");
        check("mkdir: cannot create directory 'x': Read-only file system", "dmesg");
        check(
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid",
            "--validate",
        );
        check("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)", "end it");
        check("something that nobody has seen yet", "run again");
    }
}
