//! The size of the worker's image.

use std::process::Stdio;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use tokio::process::Command;

use super::subject;
use crate::bench::{Bench, Group};
use crate::figure::{Figure, Samples, Target, Unit};

pub(crate) struct Image;

#[async_trait(?Send)]
impl Group for Image {
    fn name(&self) -> &'static str {
        "image"
    }

    fn title(&self) -> &'static str {
        "Image"
    }

    fn method(&self) -> String {
        "The archive that `provision image` writes and `docker load` takes: one uncompressed layer with one file.\n".to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let archive = subject::folder()?.join("image.tar");
        let mut command = Command::new(bench.program("provision")?);
        command
            .args(["image", "--worker"])
            .arg(bench.program("connect-worker")?)
            .arg("--output")
            .arg(&archive);
        let output = command.stdin(Stdio::null()).output().await.context("run provision")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "provision image: {}: {said}", output.status);
        let megabytes = std::fs::metadata(&archive)?.len() as f64 / 1e6;
        Ok(vec![Figure {
            name: "size of the image".to_owned(),
            unit: Unit::Megabytes,
            ours: Samples(vec![megabytes]),
            peers: vec![],
            targets: vec![Target::AtMost(30.0)],
        }])
    }
}
