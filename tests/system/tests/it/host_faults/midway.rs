//! Faults that strike while changes are made: two hosts, one of them or both hit at once, and after each a run that
//! makes everything as it was.

mod table;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use testbed::ssh_host::SshHost;
use testbed::wait;

use super::fault::Told;
use super::ground::{BOOKWORM, Ground, TRIXIE};
use super::leftovers::{Digest, ensure_whole};
use super::program::{Run, Running};
use super::{PATIENCE, say};
use table::{FAULTS, Fault, Hit, Strike};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_strikes_in_the_middle_the_next_run_converges() -> Result<()> {
    let start = Instant::now();
    let ground = Ground::lay().await?;
    say(&format!("== the ground is laid after {:.1} s", start.elapsed().as_secs_f64()));
    installation(&ground).await.context("installation")?;
    say(&format!("== installed after {:.1} s", start.elapsed().as_secs_f64()));
    let converged = ground.digests().await?;
    ensure!(converged.iter().all(|files| files.len() > 3), "few files: {converged:?}");

    for host in [&ground.bookworm, &ground.trixie] {
        host.exec(STRANGER).await?;
    }
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let began = Instant::now();
        say(&format!("== {}", fault.name));
        let judged = judge(&ground, fault, &converged).await;
        // Whatever was found wrong, the next fault begins on sound ground.
        undo(&ground, fault).await.with_context(|| format!("{}: undo", fault.name))?;
        let back = converges(&ground, &converged).await;
        for outcome in [judged, back] {
            wrong.extend(outcome.err().map(|error| format!("{}: {error:#}", fault.name)));
        }
        say(&format!("== {} took {:.1} s", fault.name, began.elapsed().as_secs_f64()));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Docker comes to two hosts in a bad state: on one an installation was killed half-way, `/tmp` runs no programs,
/// and the connection is cut while packages are unpacked; on the other somebody else installs for a while.
async fn installation(ground: &Ground) -> Result<()> {
    let Ground { bookworm, trixie, program, .. } = ground;
    bookworm.exec(&format!("{PACKAGE}{KILLED_PACKAGE}")).await?;
    trixie.exec(&format!("{PACKAGE}{BUSY_PACKAGE}")).await?;

    let mut run = program.start(&["--yes"])?;
    let cut = strike(bookworm, Strike::Script("until_runs '[d]pkg.*--unpack'; cut"));
    let rest = async {
        let is_waiting = run.until_it_says("trixie: waiting for the package manager: dpkg, process ").await;
        let released = trixie.exec("touch /root/release").await;
        let run = end(ground, run).await;
        is_waiting?;
        released?;
        run
    };
    let (run, cut) = tokio::join!(rest, cut);
    let run = run?;
    cut?;
    ensure!(run.exit == 5, "ended with {}, not 5", run.exit);
    let told = Told {
        place: BOOKWORM,
        cause: &["the connection was lost", "install Docker"],
        remedy: &["run it again"],
    };
    told.judge(&run)?;
    let worker = trixie.exec("docker inspect --format '{{.State.Status}}' provision-faults-worker").await?;
    ensure!(worker.trim() == "running", "the other host was not completed: {worker}");

    ground.converge().await?;
    ground.ensure_clean().await?;
    let audit = bookworm.exec("dpkg --audit; dpkg-query -W -f '${Status}' killed").await?;
    ensure!(audit == "install ok installed", "dpkg is not whole: {audit}");
    Ok(())
}

/// Makes a package `$1` whose installation runs the script on standard input.
const PACKAGE: &str = r#"
package() {
  mkdir -p /root/$1/DEBIAN
  printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n' $1 >/root/$1/DEBIAN/control
  cat >/root/$1/DEBIAN/postinst
  chmod 755 /root/$1/DEBIAN/postinst
  dpkg-deb --build /root/$1 >/dev/null
}
"#;

/// dpkg dies once while it configures a package. `/tmp` runs no programs.
const KILLED_PACKAGE: &str = r#"
package killed <<'END'
#!/bin/sh
[ -e /root/killed.once ] || { touch /root/killed.once; kill -9 $PPID; }
END
dpkg -i /root/killed.deb >/dev/null 2>&1 || true
[ -n "$(ls /var/lib/dpkg/updates)" ]
mount -o remount,noexec /tmp
"#;

/// dpkg installs until it is let go.
const BUSY_PACKAGE: &str = r#"
package busy <<'END'
#!/bin/sh
until [ -e /root/release ]; do sleep 0.1; done
END
setsid dpkg -i /root/busy.deb >/dev/null 2>&1 &
"#;

/// `until_true WORDS` waits for a command to succeed, and `until_runs PATTERN` for a process, both as long as the run
/// lasts; `cut` ends the SSH connections, and nothing else.
const CUT_AT: &str = r#"
until_true() {
  until "$@" >/dev/null; do
    [ ! -e /run/over ] || { echo 'the run has ended before its moment came' >&2; exit 1; }
    sleep 0.01
  done
}
until_runs() { until_true pgrep -f -- "$1"; }
cut() { pkill -KILL -f '^sshd.*: ubuntu'; }
"#;

/// An image with nothing in it but `sleep`, of what the host has.
const STRANGER: &str = "
tar -C / -chf - usr/bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 |
  docker import - stranger >/dev/null
";

async fn judge(ground: &Ground, fault: &Fault, converged: &[Digest; 2]) -> Result<()> {
    for hit in &fault.hits {
        let make = format!("rm -f /run/over\n{}", hit.make);
        ground.host(hit.host).exec(&make).await.with_context(|| format!("{}: make", hit.host))?;
    }
    let before = ground.digests().await?;
    let run = ground.program.start(fault.words)?;
    let strike = async |hit: &Hit| {
        let struck = strike(ground.host(hit.host), hit.strike).await;
        struck.with_context(|| format!("{}: strike", hit.host))
    };
    let [first, second] = &fault.hits;
    let strikes = async { tokio::try_join!(strike(first), strike(second)) };
    let (run, struck) = tokio::join!(end(ground, run), strikes);
    let run = run?;
    struck?;
    ensure!(run.exit == fault.exit, "ended with {}, not {}", run.exit, fault.exit);
    for hit in &fault.hits {
        Told { place: hit.host, cause: hit.cause, remedy: hit.remedy }.judge(&run)?;
    }
    ensure!(!run.says("Smoke checks: unchanged"), "a run that failed calls later phases unchanged");
    ground.program.ensure_clean().await?;
    // A host without power cannot be looked at; it is after its return.
    if !fault.hits.iter().any(|hit| matches!(hit.strike, Strike::PowerLoss(_))) {
        ground.ensure_clean().await?;
        for (index, (now, name)) in ground.digests().await?.iter().zip([BOOKWORM, TRIXIE]).enumerate() {
            ensure_whole(name, now, &[&before[index], &converged[index]])?;
        }
    }
    Ok(())
}

/// Waits for the end of the run, and lets nobody wait for its moment any longer.
async fn end(ground: &Ground, run: Running) -> Result<Run> {
    let run = run.end().await;
    for (_, host) in ground.hosts() {
        // A host that is without power by now was struck.
        let _ = host.exec("touch /run/over").await;
    }
    run
}

/// Waits for the moment, and strikes.
async fn strike(host: &SshHost, strike: Strike) -> Result<()> {
    match strike {
        Strike::None => {}
        Strike::Script(script) => {
            host.exec(&format!("{CUT_AT}{script}")).await?;
        }
        Strike::PowerLoss(moment) => {
            host.exec(&format!("{CUT_AT}{moment}")).await?;
            host.container().kill().await?;
        }
    }
    Ok(())
}

async fn undo(ground: &Ground, fault: &Fault) -> Result<()> {
    for hit in &fault.hits {
        let host = ground.host(hit.host);
        if matches!(hit.strike, Strike::PowerLoss(_)) {
            host.container().start().await?;
            let is_up = async || {
                let ask =
                    "systemctl is-active ssh docker || true; ss -Hltn 'sport = :22' | grep -c LISTEN || true";
                let state = host.exec(ask).await?;
                let mut lines = state.lines();
                let are_active = lines.by_ref().take(2).eq(["active", "active"]);
                Ok((are_active && lines.next().is_some_and(|count| count != "0")).then_some(()))
            };
            wait::until("the host is up again", PATIENCE, is_up, String::new).await?;
        }
        host.exec(hit.undo).await.with_context(|| hit.host)?;
    }
    Ok(())
}

/// The next run makes everything as it was.
async fn converges(ground: &Ground, converged: &[Digest; 2]) -> Result<()> {
    ground.program.expect(0, &["--yes"]).await?;
    ground.ensure_clean().await?;
    let now = ground.digests().await?;
    ensure!(now == *converged, "other files than before: {now:#?}, {converged:#?}");
    Ok(())
}
