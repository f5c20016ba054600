//! `image`: the worker image for registries and hosts that provision does not load it on, or its recipe.

use std::io::Write;
use std::path::Path;

use crate::causes::chain;
use crate::cli::ImageArgs;
use crate::exit_code::Exit;
use crate::inventory::model::Runtime;
use crate::templates::{self, Dockerfile};
use crate::{image, report, worker_build};

/// Writes the image as an archive for `docker load`, or prints the Dockerfile that makes the same one.
pub(crate) async fn image(args: ImageArgs) -> Exit {
    if args.dockerfile {
        report::stdout(&templates::dockerfile(&Dockerfile {
            uid: image::UID,
            rest_port: image::REST_PORT,
            metrics_port: image::METRICS_PORT,
        }));
        return Exit::Done;
    }
    let say = |text: &str| report::stderr(&format!("{text}\n"));
    let artifact = match worker_build::locate(args.worker.as_deref(), Runtime::Docker, &[], &say).await {
        Ok(artifact) => artifact,
        Err(error) => {
            let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
            let tail: String = error.tail().iter().map(|line| format!("  | {line}\n")).collect();
            report::stderr(&format!("error: {}\n{tail}{hint}", chain(&error)));
            return Exit::CheckFailed;
        }
    };
    let output = args.output.unwrap_or_else(|| "connect-worker.tar".into());
    match write(&output, &artifact.image_archive()) {
        Ok(()) => {
            report::stdout(&format!("{} in {}\n", artifact.image(), output.display()));
            Exit::Done
        }
        Err(error) => {
            let output = output.display();
            report::stderr(&format!(
                "error: cannot write {output}: {error}\n  hint: choose another place with --output\n"
            ));
            Exit::Usage
        }
    }
}

/// Writes aside and renames, so that nobody loads half an image.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.write_all(bytes)?;
    aside.persist(path).map(drop).map_err(|error| error.error)
}
