//! Whether Lambda takes an image, decided from its manifest and configuration alone.
//!
//! Rules: <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html>.

use serde::Deserialize;
use thiserror::Error;

use super::binary::Platform;

/// The most that an image may take up uncompressed is 10 GB; compressed layers above that cannot fit either.
const MAX_LAYERS_BYTES: u64 = 10 * 1024 * 1024 * 1024;

const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
];
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

/// The media types to ask a registry for, so that an index is seen as such and not resolved silently.
pub const ASK_FOR: [&str; 4] =
    [MANIFEST_TYPES[0], MANIFEST_TYPES[1], INDEX_TYPES[0], INDEX_TYPES[1]];

/// What a manifest says, as far as the decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The digest of the configuration blob.
    pub config_digest: String,
    /// The sum of the layers' compressed sizes, bytes.
    pub layers_bytes: u64,
}

/// Why Lambda will refuse an image.
#[derive(Debug, Error)]
pub enum Unacceptable {
    /// The text is no manifest.
    #[error("the manifest cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// A list of images, as buildx writes with attestations.
    #[error(
        "it is an index of {images} images; Lambda takes one image for one platform (with buildx: --provenance=false --sbom=false and one --platform)"
    )]
    Index {
        /// The number of entries.
        images: usize,
    },
    /// A kind of manifest that Lambda does not know.
    #[error(
        "its media type is `{media_type}`; Lambda takes a Docker v2.2 or OCI 1.0 image manifest"
    )]
    MediaType {
        /// The media type.
        media_type: String,
    },
    /// Too large.
    #[error("its layers take {bytes} bytes compressed; Lambda's limit is 10 GB uncompressed")]
    Size {
        /// The compressed size.
        bytes: u64,
    },
    /// The image's platform is not one of Lambda's.
    #[error("it is built for {os}/{architecture}; Lambda runs linux/amd64 and linux/arm64")]
    Platform {
        /// The operating system in the configuration.
        os: String,
        /// The architecture in the configuration.
        architecture: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Config {
    architecture: String,
    os: String,
}

/// Decides from the manifest. `content_type` is the registry's header, used when the manifest itself is silent.
///
/// # Errors
/// The first reason why Lambda will refuse the image.
pub fn check_manifest(
    manifest: &[u8],
    content_type: Option<&str>,
) -> Result<Summary, Unacceptable> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(Unacceptable::Unreadable)?;
    let media_type = manifest.media_type.as_deref().or(content_type).unwrap_or_default();
    if let Some(images) = &manifest.manifests {
        return Err(Unacceptable::Index { images: images.len() });
    }
    let Some(config) = manifest.config.filter(|_| MANIFEST_TYPES.contains(&media_type)) else {
        return Err(Unacceptable::MediaType { media_type: media_type.to_owned() });
    };
    let layers_bytes =
        manifest.layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
    if layers_bytes > MAX_LAYERS_BYTES {
        return Err(Unacceptable::Size { bytes: layers_bytes });
    }
    Ok(Summary { config_digest: config.digest, layers_bytes })
}

/// Decides from the configuration blob.
///
/// # Errors
/// When Lambda has no processor for the image.
pub fn check_config(config: &[u8]) -> Result<Platform, Unacceptable> {
    let config: Config = serde_json::from_slice(config).map_err(Unacceptable::Unreadable)?;
    let refused = || Unacceptable::Platform {
        os: config.os.clone(),
        architecture: config.architecture.clone(),
    };
    if config.os != "linux" {
        return Err(refused());
    }
    Platform::from_oci_name(&config.architecture).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(manifest: &str) -> String {
        check_manifest(manifest.as_bytes(), None).unwrap_err().to_string()
    }

    #[test]
    fn a_single_image_is_taken() {
        for media_type in MANIFEST_TYPES {
            let manifest = format!(
                r#"{{"mediaType":"{media_type}","config":{{"digest":"sha256:c","size":1}},"layers":[{{"digest":"sha256:l","size":5}}]}}"#
            );
            let summary = check_manifest(manifest.as_bytes(), None).unwrap();
            assert_eq!(summary, Summary { config_digest: "sha256:c".to_owned(), layers_bytes: 5 });
        }
        let silent = br#"{"config":{"digest":"sha256:c","size":1},"layers":[]}"#;
        assert!(check_manifest(silent, Some(MANIFEST_TYPES[1])).is_ok());
    }

    #[test]
    fn what_lambda_refuses_is_refused_with_its_reason() {
        let index = format!(r#"{{"mediaType":"{}","manifests":[{{}},{{}}]}}"#, INDEX_TYPES[1]);
        assert!(refusal(&index).starts_with("it is an index of 2 images"));
        assert!(
            refusal(r#"{"mediaType":"x/y","config":{"digest":"d","size":1}}"#).contains("`x/y`")
        );
        assert!(refusal("<html>").contains("cannot be read"));
        let huge = format!(
            r#"{{"mediaType":"{}","config":{{"digest":"d","size":1}},"layers":[{{"digest":"l","size":10737418241}}]}}"#,
            MANIFEST_TYPES[0]
        );
        assert!(refusal(&huge).contains("10737418241"));
    }

    #[test]
    fn the_platform_must_be_one_of_lambda_s() {
        assert_eq!(
            check_config(br#"{"os":"linux","architecture":"arm64"}"#).unwrap(),
            Platform::Arm64
        );
        assert!(check_config(br#"{"os":"linux","architecture":"s390x"}"#).is_err());
        assert!(check_config(br#"{"os":"windows","architecture":"amd64"}"#).is_err());
    }
}
