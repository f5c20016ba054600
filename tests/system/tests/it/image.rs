//! The worker image: one archive from us, one image from the Dockerfile that we print, and no difference between them.
//!
//! What is said about the image itself is tried with a small static program in the worker's place, which tells what it
//! sees; the last test is about the worker, as the test command builds it: in release, and static.

mod content;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::docker::docker;
use testbed::{built, command, owner};

use content::Image;

const DIGEST_LABEL: &str = "provision.image-digest";
const PROPERTIES_PATH: &str = "/etc/connect/worker.properties";
const MAX_BYTES: u64 = 30_000_000;

/// As a host's Compose file runs it.
const HARDENED: [&str; 5] =
    ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--rm"];

/// Tells who runs it, with which capabilities and words, and whether it may write.
const PROBE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
const char made_for[] __attribute__((used)) = MADE_FOR;
int main(int count, char **words) {
    char line[256], folder[256];
    printf("user %d:%d\n", (int)getuid(), (int)getgid());
    printf("folder %s\n", getcwd(folder, sizeof folder));
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "CapBnd:", 7) || !strncmp(line, "NoNewPrivs:", 11)) fputs(line, stdout);
    printf("writes %d\n", open("/written", O_CREAT | O_WRONLY, 0600) >= 0);
    for (int i = 0; i < count; i++) puts(words[i]);
    return 0;
}
"#;

const PROPERTIES: &str = "\
bootstrap.servers=127.0.0.1:1
group.id=group
config.storage.topic=configs
offset.storage.topic=offsets
status.storage.topic=statuses
listeners=http://127.0.0.1:8083
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
";

#[tokio::test]
async fn our_archive_and_our_dockerfile_make_the_same_image() -> Result<()> {
    let bench = Bench::new()?;
    let program = bench.probe()?;
    let ours = Image::load(&bench.archive(&program, "image.tar")?).await?.content().await?;
    let dockerfile = bench.dockerfile()?;
    let built = Image::build(&bench.context(&program, 0o755, &dockerfile)?).await?.content().await?;

    ensure!(ours.files == built.files, "files differ: {} and {}", ours.tree(), built.tree());
    ensure!(
        ours.settings == built.settings,
        "settings differ: {:#?} and {:#?}",
        ours.settings,
        built.settings
    );
    let mut labels = ours.labels.clone();
    ensure!(labels.remove(DIGEST_LABEL).is_some(), "there is no digest label: {labels:?}");
    ensure!(labels == built.labels, "labels differ: {labels:?} and {:?}", built.labels);

    // What is compared is there to be compared.
    ensure!(ours.tree() == "connect-worker 755 0:0", "{}", ours.tree());
    ensure!(ours.files["connect-worker"].content == fs::read(&program)?, "it holds another program");
    for key in [
        "Architecture",
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "Os",
        "User",
        "WorkingDir",
    ] {
        ensure!(ours.settings.contains_key(key), "nothing is known about {key}: {:#?}", ours.settings);
    }
    Ok(())
}

/// The comparison above can fail.
#[tokio::test]
async fn another_recipe_makes_another_image() -> Result<()> {
    let bench = Bench::new()?;
    let program = bench.probe()?;
    let ours = Image::load(&bench.archive(&program, "image.tar")?).await?.content().await?;
    let dockerfile = bench.dockerfile()?;
    let as_root = dockerfile.replace("USER 65532:65532", "USER 0:0").replace("interval=30s", "interval=31s");
    let root = Image::build(&bench.context(&program, 0o700, &as_root)?).await?.content().await?;
    ensure!(ours.files != root.files, "a file that root alone may run passes for ours");
    for key in ["User", "Healthcheck"] {
        ensure!(ours.settings[key] != root.settings[key], "another {key} passes for ours");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_program_gives_the_same_archive() -> Result<()> {
    let bench = Bench::new()?;
    let program = bench.probe()?;
    let first = fs::read(bench.archive(&program, "first.tar")?)?;
    // Another file with other times and another mode.
    let copy = bench.folder.join("copy");
    fs::write(&copy, fs::read(&program)?)?;
    ensure!(first == fs::read(bench.archive(&copy, "second.tar")?)?, "two archives of one program differ");
    fs::write(&copy, [fs::read(&program)?, vec![0]].concat())?;
    ensure!(first != fs::read(bench.archive(&copy, "third.tar")?)?, "another program gives the same archive");
    Ok(())
}

#[tokio::test]
async fn the_image_runs_without_root_rights_or_a_place_to_write() -> Result<()> {
    let bench = Bench::new()?;
    let image = Image::load(&bench.archive(&bench.probe()?, "image.tar")?).await?;
    let run = [&["run"], &HARDENED[..], &[image.name.as_str()]].concat();
    let said = docker(&run).await?;
    let said: Vec<String> = said.lines().map(|line| line.replace('\t', " ")).collect();
    let expected = [
        "user 65532:65532",
        "folder /",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "writes 0",
        "/connect-worker",
        "distributed",
        "--config",
        PROPERTIES_PATH,
    ];
    ensure!(said == expected, "{said:#?}");
    Ok(())
}

#[tokio::test]
async fn the_image_of_the_worker_is_small_and_checks_its_own_health() -> Result<()> {
    let bench = Bench::new()?;
    let image = Image::load(&bench.archive(&built::program("connect-worker")?, "worker.tar")?).await?;
    let size: u64 = docker(&["inspect", "--format", "{{.Size}}", &image.name]).await?.parse()?;
    ensure!(size <= MAX_BYTES, "the image has {size} bytes, more than {MAX_BYTES}");

    let version = docker(&[&["run"], &HARDENED[..], &[&image.name, "--version"]].concat()).await?;
    ensure!(version.starts_with("connect-worker "), "{version}");

    let properties = bench.folder.join("worker.properties");
    fs::write(&properties, PROPERTIES)?;
    fs::set_permissions(&properties, fs::Permissions::from_mode(0o644))?;
    let mount = format!("--volume={}:{PROPERTIES_PATH}:ro", properties.display());
    let test = &image.content().await?.settings["Healthcheck"]["Test"];
    let words: Vec<&str> = test.as_array().context("a list")?.iter().filter_map(Value::as_str).collect();
    let ["CMD", program, words @ ..] = words.as_slice() else { anyhow::bail!("{test}") };
    let run = [&["run", &mount, "--entrypoint", program], &HARDENED[..], &[&image.name], words].concat();
    let output = command::output("docker", "docker.io", &run, b"").await?;
    // The properties are right and no worker runs; wrong ones, or a word that it does not know, would give 2.
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(())
}

/// A folder, and the program under test.
struct Bench {
    folder: PathBuf,
    provision: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self { folder: owner::dir("image")?, provision: built::program("provision")? })
    }

    /// A static program that is like no other, so that nobody else has an image of it.
    fn probe(&self) -> Result<PathBuf> {
        let (source, program) = (self.folder.join("probe.c"), self.folder.join("probe"));
        fs::write(&source, PROBE)?;
        let status = Command::new("cc")
            .args(["-static", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&program)
            .arg(format!("-DMADE_FOR=\"{}\"", self.folder.display()))
            .arg(&source)
            .status()?;
        ensure!(status.success(), "cc: {status}");
        Ok(program)
    }

    fn archive(&self, program: &Path, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let words =
            ["image".as_ref(), "--worker".as_ref(), program.as_os_str(), "--output".as_ref(), path.as_ref()];
        let said = self.run(&words)?;
        ensure!(said.contains("provision/connect-worker:"), "{said}");
        Ok(path)
    }

    fn dockerfile(&self) -> Result<String> {
        self.run(&["image".as_ref(), "--dockerfile".as_ref()])
    }

    /// A folder to build an image from.
    fn context(&self, program: &Path, mode: u32, dockerfile: &str) -> Result<PathBuf> {
        let context = self.folder.join("context");
        fs::create_dir(&context)?;
        fs::write(context.join("Dockerfile"), dockerfile)?;
        fs::copy(program, context.join("connect-worker"))?;
        fs::set_permissions(context.join("connect-worker"), fs::Permissions::from_mode(mode))?;
        Ok(context)
    }

    fn run(&self, words: &[&std::ffi::OsStr]) -> Result<String> {
        let output = Command::new(&self.provision).args(words).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{words:?}: {}: {said}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}
