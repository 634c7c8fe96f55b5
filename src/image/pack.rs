//! Packs a static binary into an OCI image, reproducibly.
//!
//! Every source of difference is fixed: order, owners, modes, times, compression, and JSON key order.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::binary::Platform;

/// Media types of the OCI image specification 1.0; Lambda takes them
/// (<https://docs.aws.amazon.com/lambda/latest/dg/images-create.html>).
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an image's configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a gzip'd layer.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Where the program stands in the image.
pub const PROGRAM_PATH: &str = "log-processor";
/// Where the TLS library looks for certificate authorities.
const CERTIFICATES_PATH: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where the list of what is inside stands.
const SBOM_PATH: &str = "usr/share/doc/log-processor/sbom.spdx.json";
/// A user without a name, a home or rights.
const USER: &str = "65532:65532";

/// Bytes with their SHA-256 digest, as a registry stores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The content.
    pub bytes: Vec<u8>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { bytes, digest }
    }
}

/// An image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What the digest of the image is computed from.
    pub manifest: Blob,
    /// Entry point, user, platform.
    pub config: Blob,
    /// The file system.
    pub layer: Blob,
    /// The platform.
    pub platform: Platform,
}

/// What goes into an image.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The static program.
    pub program: &'a [u8],
    /// Its platform.
    pub platform: Platform,
    /// Certificate authorities, PEM.
    pub certificates: &'a str,
    /// The software bill of materials, SPDX JSON.
    pub sbom: &'a str,
    /// The version of the program.
    pub version: &'a str,
    /// The revision it was built from, if known.
    pub revision: Option<&'a str>,
}

/// Returns `sha256:…` of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// Packs `contents` into an image.
///
/// # Errors
/// Only if writing to memory fails.
pub fn pack(contents: &Contents<'_>) -> io::Result<Image> {
    let archive = archive(contents)?;
    let diff_id = digest(&archive);
    let mut compressed: GzEncoder<Vec<u8>> =
        GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(&archive)?;
    let layer = Blob::new(compressed.finish()?);
    let config = Blob::new(serde_json::to_vec(&Config::new(contents, &diff_id))?);
    let manifest = Blob::new(serde_json::to_vec(&Manifest::new(contents, &config, &layer))?);
    Ok(Image { manifest, config, layer, platform: contents.platform })
}

/// The layer as an uncompressed tar archive, entries in path order.
fn archive(contents: &Contents<'_>) -> io::Result<Vec<u8>> {
    let mut files = [
        (CERTIFICATES_PATH, contents.certificates.as_bytes(), 0o444),
        (PROGRAM_PATH, contents.program, 0o555),
        (SBOM_PATH, contents.sbom.as_bytes(), 0o444),
    ];
    files.sort_by_key(|(path, ..)| *path);
    let mut builder = tar::Builder::new(Vec::new());
    let mut directories: Vec<&str> = Vec::new();
    for (path, bytes, mode) in files {
        for (end, _) in path.match_indices('/') {
            let (directory, _) = path.split_at(end);
            if !directories.contains(&directory) {
                directories.push(directory);
                append(&mut builder, &format!("{directory}/"), EntryType::Directory, 0o755, &[])?;
            }
        }
        append(&mut builder, path, EntryType::Regular, mode, bytes)?;
    }
    builder.into_inner()
}

fn append(
    builder: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, path, bytes)
}

/// The image configuration; field order is the order in the JSON text.
#[derive(Serialize)]
struct Config<'a> {
    architecture: &'static str,
    os: &'static str,
    config: RunConfig<'a>,
    rootfs: RootFs<'a>,
}

/// What the engine finds in its environment. The last one has the C library give large memory back as soon as it is
/// free (`mallopt`, `M_MMAP_THRESHOLD`): left alone, it raises that bound by itself and keeps what is below.
const VARIABLES: [&str; 3] =
    ["PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "MALLOC_MMAP_THRESHOLD_=131072"];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig<'a> {
    user: &'static str,
    env: [&'static str; 3],
    entrypoint: [String; 1],
    labels: Annotations<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'static str,
    diff_ids: [&'a str; 1],
}

/// The annotations that the OCI specification predefines
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>).
#[derive(Serialize)]
struct Annotations<'a> {
    #[serde(rename = "org.opencontainers.image.licenses")]
    licenses: &'static str,
    #[serde(rename = "org.opencontainers.image.revision", skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    #[serde(rename = "org.opencontainers.image.title")]
    title: &'static str,
    #[serde(rename = "org.opencontainers.image.version")]
    version: &'a str,
}

impl<'a> Annotations<'a> {
    const fn new(contents: &Contents<'a>) -> Self {
        Self {
            licenses: "MIT OR Apache-2.0",
            revision: contents.revision,
            title: PROGRAM_PATH,
            version: contents.version,
        }
    }
}

impl<'a> Config<'a> {
    fn new(contents: &Contents<'a>, diff_id: &'a str) -> Self {
        Self {
            architecture: contents.platform.oci_name(),
            os: "linux",
            config: RunConfig {
                user: USER,
                env: VARIABLES,
                entrypoint: [format!("/{PROGRAM_PATH}")],
                labels: Annotations::new(contents),
            },
            rootfs: RootFs { r#type: "layers", diff_ids: [diff_id] },
        }
    }
}

/// The manifest of one platform; Lambda refuses an index.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
    annotations: Annotations<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'static str,
    digest: &'a str,
    size: usize,
}

impl<'a> Manifest<'a> {
    fn new(contents: &Contents<'a>, config: &'a Blob, layer: &'a Blob) -> Self {
        let descriptor = |media_type, blob: &'a Blob| Descriptor {
            media_type,
            digest: &blob.digest,
            size: blob.bytes.len(),
        };
        Self {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: descriptor(CONFIG_TYPE, config),
            layers: [descriptor(LAYER_TYPE, layer)],
            annotations: Annotations::new(contents),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;
    use serde_json::Value;

    use super::*;

    fn contents() -> Contents<'static> {
        Contents {
            program: b"program",
            platform: Platform::Arm64,
            certificates: "PEM",
            sbom: "{}",
            version: "1.2.3",
            revision: None,
        }
    }

    #[test]
    fn the_same_contents_give_the_same_digest() {
        let one = pack(&contents()).unwrap();
        let two = pack(&contents()).unwrap();
        assert_eq!(one, two);
        let other = pack(&Contents { program: b"programme", ..contents() }).unwrap();
        assert_ne!(one.manifest.digest, other.manifest.digest);
    }

    #[test]
    fn an_image_that_a_container_engine_builds_has_the_same_variables() {
        let recipe = include_str!("../../processor/Containerfile.processor");
        for variable in VARIABLES {
            assert!(recipe.contains(variable), "{variable}");
        }
        let config: Value =
            serde_json::from_slice(&pack(&contents()).unwrap().config.bytes).unwrap();
        assert_eq!(config["config"]["Env"], serde_json::json!(VARIABLES));
    }

    #[test]
    fn the_manifest_describes_its_blobs() {
        let image = pack(&contents()).unwrap();
        let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(manifest["mediaType"], MANIFEST_TYPE);
        assert_eq!(manifest["config"]["digest"], image.config.digest);
        assert_eq!(manifest["layers"][0]["digest"], image.layer.digest);
        assert_eq!(manifest["layers"][0]["size"], image.layer.bytes.len());
        let config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"][0], "/log-processor");
    }

    #[test]
    fn the_layer_holds_sorted_files_without_times_or_owners() {
        let image = pack(&contents()).unwrap();
        let mut archive = Vec::new();
        MultiGzDecoder::new(image.layer.bytes.as_slice()).read_to_end(&mut archive).unwrap();
        let config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&archive));
        let mut paths = Vec::new();
        let mut reader = tar::Archive::new(archive.as_slice());
        for entry in reader.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(
                (header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()),
                (0, 0, 0)
            );
            paths.push((entry.path().unwrap().display().to_string(), header.mode().unwrap()));
        }
        let expected = [
            ("etc/", 0o755),
            ("etc/ssl/", 0o755),
            ("etc/ssl/certs/", 0o755),
            ("etc/ssl/certs/ca-certificates.crt", 0o444),
            ("log-processor", 0o555),
            ("usr/", 0o755),
            ("usr/share/", 0o755),
            ("usr/share/doc/", 0o755),
            ("usr/share/doc/log-processor/", 0o755),
            ("usr/share/doc/log-processor/sbom.spdx.json", 0o444),
        ];
        assert_eq!(paths, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
