//! The faults: how each is made, when it strikes, how it is told, how it is undone.

use super::super::ground::{BOOKWORM, TRIXIE};

/// One run that fails, on both hosts, on each for a reason of its own.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) exit: i32,
    pub(super) hits: [Hit; 2],
}

/// What one host suffers.
pub(super) struct Hit {
    pub(super) host: &'static str,
    /// Before the run, as root on the host.
    pub(super) make: &'static str,
    /// While it runs.
    pub(super) strike: Strike,
    pub(super) undo: &'static str,
    pub(super) cause: &'static [&'static str],
    pub(super) remedy: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Strike {
    None,
    /// Waits for its moment, with `until_true` or `until_runs`, and strikes, as root on the host.
    Script(&'static str),
    /// Waits for its moment; then the host is gone, and comes back when the fault is undone.
    PowerLoss(&'static str),
}

const APPLY: &[&str] = &["--yes"];

/// What follows, with the worker and its image missing: the next run brings both.
macro_rules! without_image {
    ($more:literal) => {
        concat!(
            "docker rm -f provision-faults-worker >/dev/null\n",
            "docker image rm -f $(docker images -q provision/connect-worker) >/dev/null\n",
            $more
        )
    };
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "no room to load an image, and an image that is cut off half-way",
        words: APPLY,
        exit: 5,
        hits: [
            Hit {
                host: BOOKWORM,
                make: without_image!("mount -t tmpfs -o size=1m tmpfs /var/lib/docker/tmp"),
                strike: Strike::None,
                undo: "umount /var/lib/docker/tmp",
                cause: &["load the worker image", "no space left on device"],
                remedy: &["df -h"],
            },
            Hit {
                host: TRIXIE,
                // A loader that stops after a part of what comes, as on a slow line; what it hands on is real.
                make: without_image!(
                    "cat >/usr/local/bin/docker <<'END'
#!/bin/sh
[ \"$1\" = load ] || exec /usr/bin/docker \"$@\"
{ head -c 5000000; touch /run/half; until [ -e /run/cut ]; do sleep 0.1; done; cat; } | /usr/bin/docker \"$@\"
END
                    chmod 755 /usr/local/bin/docker"
                ),
                strike: Strike::Script("until_true [ -e /run/half ]; cut; touch /run/cut"),
                undo: "rm /usr/local/bin/docker /run/half /run/cut",
                cause: &["the connection was lost", "load the worker image"],
                remedy: &["run it again"],
            },
        ],
    },
    Fault {
        name: "no room for files, and a folder in the place of one",
        // It would find out before.
        words: &["--yes", "--skip", "preflight"],
        exit: 5,
        hits: [
            Hit {
                host: BOOKWORM,
                make: "cd /etc/provision/faults; rm compose.yml; mkdir compose.yml",
                strike: Strike::None,
                undo: "rmdir /etc/provision/faults/compose.yml",
                cause: &["write the worker's files", "compose.yml is in the way: a directory"],
                remedy: &["move it away"],
            },
            Hit {
                host: TRIXIE,
                make: "echo '# by hand' >>/srv/provision/compose.yml
                       mount -o remount,size=$(df -Pk /srv | awk 'NR == 2 { print $3 }')k /srv",
                strike: Strike::None,
                undo: "mount -o remount,size=1g /srv",
                cause: &["write the worker's files", "No space left on device"],
                remedy: &["df -h"],
            },
        ],
    },
    Fault {
        name: "a port taken by a stranger's container, and a disk that turned read-only",
        words: APPLY,
        exit: 4,
        hits: [
            Hit {
                host: BOOKWORM,
                make: "docker rm -f provision-faults-worker >/dev/null
                       docker run -d --name stranger -p 8083:8083 stranger /usr/bin/sleep inf >/dev/null",
                strike: Strike::None,
                undo: "docker rm -f stranger",
                cause: &["port 8083 is taken by container stranger"],
                remedy: &["stop it", "another port"],
            },
            Hit {
                host: TRIXIE,
                make: "mount -o remount,ro /srv",
                strike: Strike::None,
                undo: "mount -o remount,rw /srv",
                cause: &["/srv/provision cannot be written"],
                remedy: &["read-only"],
            },
        ],
    },
    Fault {
        name: "a daemon.json that Docker refuses, and a stranger under our container's name",
        words: APPLY,
        exit: 5,
        hits: [
            Hit {
                host: BOOKWORM,
                make: "systemctl stop docker.socket docker.service
                       echo '{ \"debug\": tru' >/etc/docker/daemon.json",
                strike: Strike::None,
                undo: "rm /etc/docker/daemon.json; systemctl reset-failed docker.service docker.socket",
                cause: &["start Docker", "daemon.json"],
                remedy: &["daemon.json", "--validate"],
            },
            Hit {
                host: TRIXIE,
                make: "docker rm -f provision-faults-worker >/dev/null
                       docker run -d --name provision-faults-worker stranger /usr/bin/sleep inf >/dev/null",
                strike: Strike::None,
                undo: "docker rm -f provision-faults-worker",
                cause: &["provision-faults-worker", "in use"],
                remedy: &["docker rm"],
            },
        ],
    },
    Fault {
        name: "an engine that hangs, and one that is forbidden",
        words: APPLY,
        exit: 4,
        hits: [
            Hit {
                host: BOOKWORM,
                make: "pkill -STOP -x dockerd",
                strike: Strike::None,
                undo: "pkill -CONT -x dockerd",
                cause: &["engine does not answer", "no answer within"],
                remedy: &["journalctl -u docker"],
            },
            Hit {
                host: TRIXIE,
                make: "systemctl stop docker.socket docker.service; systemctl mask docker.service",
                strike: Strike::None,
                undo: "systemctl unmask docker.service",
                cause: &["docker.service is masked"],
                remedy: &["systemctl unmask docker.service"],
            },
        ],
    },
    Fault {
        name: "a Compose that is too old, and an engine that is",
        words: APPLY,
        exit: 4,
        hits: [
            Hit {
                host: BOOKWORM,
                make: "printf '#!/bin/sh\\necho 1.25.0\\n' >/usr/local/bin/docker-compose; chmod 755 /usr/local/bin/docker-compose",
                strike: Strike::None,
                undo: "rm /usr/local/bin/docker-compose",
                cause: &["docker-compose 1.25.0 is too old"],
                remedy: &["upgrade it to 1.29 or install the Compose plugin"],
            },
            Hit {
                host: TRIXIE,
                make: "cat >/usr/local/bin/docker <<'END'
#!/bin/sh
[ \"$1\" = version ] || exec /usr/bin/docker \"$@\"
echo engine=19.03.15
END
                    chmod 755 /usr/local/bin/docker",
                strike: Strike::None,
                undo: "rm /usr/local/bin/docker",
                cause: &["Docker 19", "is too old"],
                remedy: &["upgrade it to 20.10"],
            },
        ],
    },
    Fault {
        name: "a power loss, and packets that are dropped",
        words: APPLY,
        exit: 5,
        hits: [
            Hit {
                host: TRIXIE,
                make: "docker rm -f provision-faults-worker >/dev/null",
                strike: Strike::Script(
                    "until_runs '[d]ocker.compose.* up'; iptables -I INPUT -p tcp --dport 22 -j DROP",
                ),
                // sshd by itself notices much later that nobody is there any more.
                undo: "iptables -D INPUT -p tcp --dport 22 -j DROP; pkill -KILL -f '^sshd.*: ubuntu' || true",
                cause: &["the connection was lost", "not responding"],
                remedy: &["run it again"],
            },
            Hit {
                host: BOOKWORM,
                make: "docker rm -f provision-faults-worker >/dev/null",
                strike: Strike::PowerLoss("until_runs '[d]ocker-compose.* up'"),
                undo: "",
                cause: &["the connection was lost", "start container"],
                remedy: &["run it again"],
            },
        ],
    },
];
