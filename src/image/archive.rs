//! Tar archives with nothing in them that changes from run to run.

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::Image;
use crate::shell::files::digest;

/// Writing to memory cannot fail, and every name is short.
const IN_MEMORY: &str = "a short name and a vector that takes all bytes";

/// A layer with one program that everybody may run.
pub(super) fn layer(name: &str, program: &[u8]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::with_capacity(program.len() + 4096));
    append(&mut tar, name, 0o755, program);
    tar.into_inner().expect(IN_MEMORY)
}

/// The image as `docker load` takes it: an OCI layout that also holds the `manifest.json` of older engines, both about
/// the same blobs.
pub(crate) fn write(image: &Image) -> Vec<u8> {
    let reference = image.reference();
    let tag = reference.rsplit_once(':').map_or("", |(_, tag)| tag);
    let config = digest(&image.config);
    let layer = digest(&image.layer);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config, image.config.len()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer, image.layer.len())],
    });
    let manifest = manifest.to_string().into_bytes();
    let manifest_digest = digest(&manifest);
    let mut described =
        descriptor("application/vnd.oci.image.manifest.v1+json", &manifest_digest, manifest.len());
    described["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/{reference}"),
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described],
    });
    let legacy = json!([{ "Config": blob(&config), "RepoTags": [reference], "Layers": [blob(&layer)] }]);

    let mut tar = Builder::new(Vec::with_capacity(image.layer.len() + 64 * 1024));
    append(&mut tar, "oci-layout", 0o644, json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes());
    append(&mut tar, "index.json", 0o644, index.to_string().as_bytes());
    append(&mut tar, "manifest.json", 0o644, legacy.to_string().as_bytes());
    append(&mut tar, &blob(&manifest_digest), 0o644, &manifest);
    append(&mut tar, &blob(&config), 0o644, &image.config);
    append(&mut tar, &blob(&layer), 0o644, &image.layer);
    tar.into_inner().expect(IN_MEMORY)
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn append(tar: &mut Builder<Vec<u8>>, name: &str, mode: u32, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes).expect(IN_MEMORY);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;
    use crate::image::Architecture;

    fn image() -> Image {
        Image::new(b"\x7fELF and so on", Architecture::Amd64)
    }

    fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        });
        entries.collect()
    }

    #[test]
    fn same_program_gives_the_same_bytes() {
        assert_eq!(write(&image()), write(&image()));
    }

    #[test]
    fn every_reference_leads_to_a_blob_of_that_digest() {
        let entries = entries(&write(&image()));
        let read = |name: &str| serde_json::from_slice::<Value>(&entries[name]).unwrap();
        let blob_of = |descriptor: &Value| {
            let name = descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
            assert_eq!(descriptor["size"], entries[&name].len());
            assert!(name.ends_with(&digest(&entries[&name])));
            name
        };
        let manifest = read(&blob_of(&read("index.json")["manifests"][0]));
        let (config, layer) = (blob_of(&manifest["config"]), blob_of(&manifest["layers"][0]));
        let legacy = &read("manifest.json")[0];
        assert_eq!((&legacy["Config"], &legacy["Layers"][0]), (&json!(config), &json!(layer)));
        let diff_id = read(&config)["rootfs"]["diff_ids"][0].as_str().unwrap().to_owned();
        assert!(layer.ends_with(diff_id.trim_start_matches("sha256:")));
    }

    #[test]
    fn the_layer_holds_one_program_that_everybody_may_run() {
        let layer = layer("connect-worker", b"x");
        let mut archive = tar::Archive::new(layer.as_slice());
        let mut entries = archive.entries().unwrap();
        let entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().display().to_string(), "connect-worker");
        assert_eq!((entry.header().mode().unwrap(), entry.header().uid().unwrap()), (0o755, 0));
        assert!(entries.next().is_none());
    }
}
