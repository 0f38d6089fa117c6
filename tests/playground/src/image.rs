//! Builds container images without a container tool: archives in the OCI image layout, which
//! containerd imports.
//!
//! An image has one uncompressed layer, a configuration, a manifest and an index, as in the OCI
//! image specification 1.1.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An image from scratch.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// Its name with a tag, such as `localhost/matinee/sample:1`. Give each content another tag,
    /// and never `latest`: kubelet would try to pull that one.
    pub name: &'a str,
    /// Its files: path in the image, and path of the content on this machine. All files are
    /// executable.
    pub files: &'a [(&'a str, &'a Path)],
    /// The command of its containers.
    pub entrypoint: &'a [&'a str],
    /// Environment variables, as `NAME=value`.
    pub environment: &'a [&'a str],
    /// The user as numbers, which PodSecurity's `restricted` can check.
    pub user: &'a str,
}

impl Default for Image<'_> {
    fn default() -> Self {
        Self { name: "", files: &[], entrypoint: &[], environment: &[], user: "65532:65532" }
    }
}

const MEDIA: &str = "application/vnd.oci.image";

/// Writes the image as an archive.
///
/// # Errors
/// When a file can't be read or the archive can't be written.
pub(crate) fn write(image: &Image<'_>, archive: &Path) -> Result<()> {
    let layer = Blob::new("layer.v1.tar", layer(image)?);
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": image.user,
            "Entrypoint": image.entrypoint,
            "Env": image.environment,
            "WorkingDir": "/",
        },
        // The layer is uncompressed, so the content's digest is the layer's own.
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    });
    let config = Blob::new("config.v1+json", config.to_string().into_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{MEDIA}.manifest.v1+json"),
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Blob::new("manifest.v1+json", manifest.to_string().into_bytes());
    let mut entry = manifest.descriptor();
    entry["annotations"] = json!({"io.containerd.image.name": image.name});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": format!("{MEDIA}.index.v1+json"),
        "manifests": [entry],
    })
    .to_string();

    let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(file));
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    append(&mut tar, "index.json", index.as_bytes(), 0o644)?;
    for blob in [layer, config, manifest] {
        append(&mut tar, &format!("blobs/{}", blob.digest.replace(':', "/")), &blob.content, 0o644)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn layer(image: &Image<'_>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, source) in image.files {
        let content = std::fs::read(source)
            .with_context(|| format!("image {}: cannot read {}", image.name, source.display()))?;
        append(&mut tar, path.trim_start_matches('/'), &content, 0o755)?;
    }
    Ok(tar.into_inner()?)
}

/// Appends a file without metadata of the machine or the time, so that equal content leads to an
/// equal image.
fn append(tar: &mut tar::Builder<impl Write>, path: &str, content: &[u8], mode: u32) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, content).with_context(|| format!("cannot archive {path}"))
}

/// A part of an image, to which others refer by its digest.
struct Blob {
    kind: &'static str,
    content: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(kind: &'static str, content: Vec<u8>) -> Self {
        Self { kind, digest: digest(&content), content }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": format!("{MEDIA}.{}", self.kind), "digest": self.digest, "size": self.content.len()})
    }
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// Returns this machine's architecture by its name in images, which is Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn entries(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        tar::Archive::new(tar)
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), content)
            })
            .collect()
    }

    #[test]
    fn every_digest_in_the_archive_is_that_of_a_blob() {
        let folder = std::env::temp_dir().join(format!("playground-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        std::fs::write(&program, "content").unwrap();
        let image = Image {
            name: "localhost/a:1",
            files: &[("/bin/program", &program)],
            entrypoint: &["/bin/program"],
            ..Image::default()
        };
        let (one, two) = (folder.join("one.tar"), folder.join("two.tar"));
        write(&image, &one).unwrap();
        write(&image, &two).unwrap();
        let one = std::fs::read(one).unwrap();
        assert_eq!(one, std::fs::read(two).unwrap());
        std::fs::remove_dir_all(folder).unwrap();

        let archive = entries(&one);
        let blob = |descriptor: &Value| {
            let content =
                &archive[&format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"))];
            assert_eq!(digest(content), descriptor["digest"].as_str().unwrap());
            assert_eq!(content.len() as u64, descriptor["size"].as_u64().unwrap());
            content.clone()
        };
        let index: Value = serde_json::from_slice(&archive["index.json"]).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "localhost/a:1");
        let manifest: Value = serde_json::from_slice(&blob(entry)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        assert_eq!(config["config"]["Entrypoint"][0], "/bin/program");
        assert_eq!(entries(&layer)["bin/program"], b"content");
    }
}
