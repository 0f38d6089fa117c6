//! Loads images into the node.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::home::Home;
use crate::image::{self, Image};
use crate::programs::Programs;
use crate::{Playground, node, sample};

impl Playground {
    /// Loads an image into the node. Does nothing when the node is simulated.
    ///
    /// # Errors
    /// When a file can't be read or containerd rejects the image.
    pub async fn load_image(&self, image: &Image<'_>) -> Result<()> {
        if self.simulated_reason.is_some() {
            return Ok(());
        }
        let socket = self.home.run().join("containerd/containerd.sock");
        import(&self.programs, &socket, &self.home, image).await
    }

    /// Loads the image of package `sample` and returns its name.
    ///
    /// # Errors
    /// As [`Playground::load_image`].
    pub async fn sample_image(&self) -> Result<&'static str> {
        if let Some(sample) = &self.sample {
            let files = [("/sample", sample.as_path())];
            self.load_image(&sample_image(sample::SAMPLE_IMAGE, &files)).await?;
        }
        Ok(sample::SAMPLE_IMAGE)
    }

    /// Loads an image with a binary that needs no other file, as [`crate::build`] builds it.
    /// Returns the image's name: `localhost/matinee/<name>:<tag>`, with a tag that depends on the
    /// content.
    ///
    /// # Errors
    /// As [`Playground::load_image`].
    pub async fn program_image(&self, name: &str, binary: &Path) -> Result<String> {
        let content = std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
        let digest = hex::encode(Sha256::digest(content));
        let image = format!("localhost/matinee/{name}:{}", &digest[..12]);
        let path = format!("/{name}");
        let (files, entrypoint) = ([(path.as_str(), binary)], [path.as_str()]);
        self.load_image(&Image { name: &image, files: &files, entrypoint: &entrypoint, ..Image::default() })
            .await?;
        Ok(image)
    }
}

pub(crate) fn sample_image<'a>(name: &'a str, files: &'a [(&'a str, &'a Path)]) -> Image<'a> {
    Image { name, files, entrypoint: &["/sample"], ..Image::default() }
}

/// Imports an image into containerd.
pub(crate) async fn import(programs: &Programs, socket: &Path, home: &Home, image: &Image<'_>) -> Result<()> {
    // Several images may be loaded at once.
    let name: String = image.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let archive = home.make("images")?.join(format!("{name}.tar"));
    image::write(image, &archive)?;
    let output = tokio::process::Command::new(programs.path("ctr")?)
        .arg("--address")
        .arg(socket)
        // ctr imports it by itself: containerd's service for it unpacks only for the default
        // snapshotter.
        .args(["--namespace", "k8s.io", "images", "import", "--local"])
        .args(["--snapshotter", node::snapshotter(home.directory())?])
        .arg(&archive)
        .output()
        .await
        .context("cannot run ctr")?;
    std::fs::remove_file(&archive)?;
    if !output.status.success() {
        bail!("containerd refuses the image {}: {}", image.name, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
