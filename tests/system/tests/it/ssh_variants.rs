//! SSH as people have it: everything that `~/.ssh` of a person's account says, on a control machine of its own.
//!
//! The control machine is a container, because ssh takes most of the home folder from the account and not from `HOME`. Ten
//! hosts stand behind two jump hosts, each reached only through the one before, and every sshd has its defaults.

mod control;
mod ground;

use anyhow::{Result, ensure};

use ground::{FLEET, Ground};

/// What needs no root on a host, no systemd and no Kafka.
const LOOK: [&str; 3] = ["plan", "--only", "conflicts"];

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_own_ssh_leads_to_ten_hosts() -> Result<()> {
    let ground = Ground::lay().await?;
    let control = &ground.control;
    control.write("fleet.yml", &ground.inventory_of_names()).await?;

    // The key has a passphrase, and nothing here answers a prompt.
    let run = control.run("fleet.yml", &[&LOOK[..], &["--limit", "fleet-1"]].concat()).await?;
    run.expect(3, &["fleet-1: connect: login refused: jump host gate: ", "`ssh-add`"])?;
    ground.ensure_nothing_left("a refused login").await?;

    control.start_agent().await?;
    let before = ground.logins().await?;
    let run = control.run("fleet.yml", &[&LOOK[..], &["--limit", &Ground::fleet_names()]].concat()).await?;
    let connected: Vec<String> = (1..=FLEET).map(|number| format!("fleet-{number}: connected")).collect();
    run.expect(0, &connected.iter().map(String::as_str).collect::<Vec<_>>())?;
    let after = ground.logins().await?;
    ensure!(after.gate - before.gate == 1, "the first jump host saw {} logins", after.gate - before.gate);
    let at_bastion = after.bastion - before.bastion;
    ensure!(at_bastion == 1, "the second jump host saw {at_bastion} logins");
    ground.ensure_nothing_left("a success").await?;

    hops_are_held_to_their_keys(&ground).await?;
    certificates_are_held_to_their_authority(&ground).await?;
    configuration_is_blamed_by_its_line(&ground).await?;
    a_jump_host_says_why_it_cannot_connect(&ground).await?;
    pinned_keys_and_ipv6(&ground).await?;
    the_inventory_and_the_configuration_share_the_way(&ground).await?;
    a_busy_server_is_asked_again(&ground).await
}

/// A jump host of `~/.ssh/config` whose key is not known, or not the known one: refused, and named.
async fn hops_are_held_to_their_keys(ground: &Ground) -> Result<()> {
    let control = &ground.control;
    let one = [&LOOK[..], &["--limit", "fleet-2"]].concat();
    let known = control.read(".ssh/known_hosts").await?;

    control.forget_host(ground.bastion.address()).await?;
    let run = control.run("fleet.yml", &one).await?;
    let unknown = "fleet-2: connect: the host key is not known: jump host bastion: ";
    run.expect(3, &[unknown, ground.bastion.address(), "known_hosts"])?;
    ground.ensure_nothing_left("an unknown jump host").await?;

    control.append(".ssh/known_hosts", &format!("{} {}", ground.bastion.address(), ground.other_key)).await?;
    let run = control.run("fleet.yml", &one).await?;
    let changed = "fleet-2: connect: the host key differs from the one that is known: jump host bastion: ";
    run.expect(3, &[changed, "it shows SHA256:", "reinstalled"])?;
    ground.ensure_nothing_left("a changed jump host").await?;

    control.write("../.ssh/known_hosts", &known).await?;
    control.run("fleet.yml", &one).await?.expect(0, &["fleet-2: connected"])
}

/// The first half of the hosts is known by the authority that signed their keys alone.
async fn certificates_are_held_to_their_authority(ground: &Ground) -> Result<()> {
    let control = &ground.control;
    let known = control.read(".ssh/known_hosts").await?;
    let other_authority = known.replace(&ground.authority, &ground.other_key);
    ensure!(other_authority != known, "known_hosts names no authority");
    control.write("../.ssh/known_hosts", &other_authority).await?;
    let run = control.run("fleet.yml", &[&LOOK[..], &["--limit", "fleet-1,fleet-10"]].concat()).await?;
    run.expect(3, &["fleet-1: connect: the host key is not known: ", "fleet-10: connected"])?;
    control.write("../.ssh/known_hosts", &known).await?;
    ground.ensure_nothing_left("one host of two refused").await
}

async fn configuration_is_blamed_by_its_line(ground: &Ground) -> Result<()> {
    let control = &ground.control;
    let one = [&LOOK[..], &["--limit", "fleet-3"]].concat();
    let good = control.read(".ssh/conf.d/fleet").await?;
    let broken = [
        ("Host fleet-3\n  NoSuchOption yes\n", "/home/ann/.ssh/conf.d/fleet: line 2: ", "~/.ssh/config"),
        ("Host gate\n  ProxyJump bastion\n", "more than 8 jump hosts", "ProxyJump none"),
    ];
    for (lines, cause, remedy) in broken {
        control.write("../.ssh/conf.d/fleet", &format!("{lines}{good}")).await?;
        control.run("fleet.yml", &one).await?.expect(3, &["fleet-3: connect: ", cause, remedy])?;
    }
    control.write("../.ssh/conf.d/fleet", &good).await?;

    // One that names no jump host is not read before the login.
    let good = control.read(".ssh/config").await?;
    control.write("../.ssh/config", "Host fleet-3\n  NoSuchOption yes\n").await?;
    let run = control.run("fleet.yml", &one).await?;
    run.expect(3, &["fleet-3: connect: ", "/home/ann/.ssh/config: line 2: ", "correct ~/.ssh/config"])?;
    control.write("../.ssh/config", &good).await?;
    ground.ensure_nothing_left("a broken configuration").await
}

async fn a_jump_host_says_why_it_cannot_connect(ground: &Ground) -> Result<()> {
    let run = ground.control.run("fleet.yml", &[&LOOK[..], &["--limit", "closed"]].concat()).await?;
    let cause = "the jump host bastion says: connect failed: Connection refused";
    run.expect(3, &["closed: connect: cannot be reached over SSH: ", cause, "jump hosts"])?;
    ground.ensure_nothing_left("a host that is closed").await
}

/// The same way in the inventory's own words: keys pinned, another port, and IPv6 for a jump host and the host.
async fn pinned_keys_and_ipv6(ground: &Ground) -> Result<()> {
    let control = &ground.control;
    control.write("pinned.yml", &ground.inventory_of_addresses(&ground.bastion_key)).await?;
    control.run("pinned.yml", &LOOK).await?.expect(0, &["six: connected"])?;
    ground.ensure_nothing_left("a run over IPv6").await?;

    control.write("pinned.yml", &ground.inventory_of_addresses(&ground.other_key)).await?;
    let named = format!("jump host {}: it shows SHA256:", ground.bastion.address());
    control.run("pinned.yml", &LOOK).await?.expect(3, &["six: connect: the host key differs", &named])?;
    ground.ensure_nothing_left("a second hop refused").await
}

/// The inventory names the last jump host by its alias; the way to that one is the configuration's.
async fn the_inventory_and_the_configuration_share_the_way(ground: &Ground) -> Result<()> {
    let control = &ground.control;
    control.write("shared.yml", &ground.inventory_of_a_jump_alias()).await?;
    let before = ground.logins().await?;
    control.run("shared.yml", &LOOK).await?.expect(0, &["fleet-7: connected", "fleet-8: connected"])?;
    let after = ground.logins().await?;
    let new = (after.gate - before.gate, after.bastion - before.bastion);
    ensure!(new == (1, 1), "the jump hosts saw {new:?} logins");
    ground.ensure_nothing_left("a shared way").await
}

/// Strangers fill a server up to its `MaxStartups`; it closes our connection before a word, and has room later.
async fn a_busy_server_is_asked_again(ground: &Ground) -> Result<()> {
    ground.crowd_busy_server().await?;
    let run = ground.control.run("fleet.yml", &[&LOOK[..], &["--limit", "busy"]].concat()).await?;
    run.expect(0, &["busy: connected"])?;
    ensure!(ground.has_turned_away().await?, "the server never was full");
    ground.ensure_nothing_left("a busy server").await
}
