//! Pushes an image to an OCI registry, and reads one back.
//!
//! Blobs that are there already are not sent. The manifest goes last, so a push that is cut off
//! leaves no tagged half of an image.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use mtlog_processor::model::secret::Secret;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    secrets::RegistryAuth,
};

use super::{
    acceptance::{self, ASK_FOR, Summary},
    binary::Platform,
    failure::{self, RegistryError},
    pack::{Blob, Image, MANIFEST_TYPE, digest},
    reference::{ImageReference, Repository, Version},
};

/// How often one request is made before it counts as failed.
const ATTEMPTS: u32 = 4;
/// So much of a blob goes into one write; the progress display moves with it.
const CHUNK_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Who pushes.
#[derive(Debug, Clone)]
pub enum Login {
    /// Nobody in particular.
    Anonymous,
    /// A user with a password or token.
    Basic {
        /// The user; `AWS` for ECR.
        user: String,
        /// The password.
        password: Secret<String>,
    },
}

/// What happens during a push, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushEvent {
    /// The registry has the blob already.
    Present {
        /// The blob's digest.
        digest: String,
        /// Its size, bytes.
        bytes: u64,
    },
    /// An upload begins.
    Uploading {
        /// The blob's digest.
        digest: String,
        /// Its size, bytes.
        bytes: u64,
    },
    /// So much of the blob is on its way.
    Sent {
        /// From its first byte, bytes.
        bytes: u64,
    },
    /// An attempt failed and is repeated.
    Retrying {
        /// The blob's digest, or the image.
        subject: String,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// The blob is in the registry.
    Uploaded {
        /// The blob's digest.
        digest: String,
        /// Its size, bytes.
        bytes: u64,
    },
}

/// Who watches a push.
pub type OnEvent<'a> = dyn FnMut(PushEvent) + Send + 'a;

/// What the registry holds under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The manifest's digest, computed from the bytes that came back.
    pub digest: String,
    /// The platform in the configuration.
    pub platform: Platform,
    /// The compressed size of the layers, bytes.
    pub layers_bytes: u64,
}

/// A connection to one registry.
pub struct Registry {
    client: Client,
    login: RegistryAuth,
    host: String,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Registry {
    /// Prepares a connection; nothing is sent yet. A registry on this machine is spoken to without TLS.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(host: &str, login: &Login) -> Result<Self, RegistryError> {
        // The second call of a process finds the provider installed; both install the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let protocol = if is_loopback(host) {
            ClientProtocol::HttpsExcept(vec![host.to_owned()])
        } else {
            ClientProtocol::Https
        };
        let config = ClientConfig {
            protocol,
            use_monolithic_push: true,
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("mtlog/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|source| RegistryError::Client {
            registry: host.to_owned(),
            source: Box::new(source),
        })?;
        let login = match login {
            Login::Anonymous => RegistryAuth::Anonymous,
            Login::Basic { user, password } => {
                RegistryAuth::Basic(user.clone(), password.reveal().clone())
            }
        };
        Ok(Self { client, login, host: host.to_owned() })
    }

    /// Whether `image` is in the registry as `tag` of `repository`, with all that it needs.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn holds(
        &self,
        image: &Image,
        repository: &Repository,
        tag: &str,
    ) -> Result<bool, RegistryError> {
        match self.digest_of(&repository.tagged(tag)).await {
            Ok(found) => Ok(found == image.manifest.digest),
            Err(RegistryError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pushes `image` as `tag` of `repository` and reads it back. Blobs that are there already are not sent.
    ///
    /// # Errors
    /// When the registry refuses, keeps failing, or returns something else than was pushed. Without the manifest, which
    /// goes last, nothing names what was sent until then.
    pub async fn push(
        &self,
        image: &Image,
        repository: &Repository,
        tag: &str,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Verified, RegistryError> {
        let target = repository.tagged(tag);
        let reference = oci_reference(&target);
        for blob in [&image.layer, &image.config] {
            self.push_blob(&reference, blob, on_event).await?;
        }
        let content_type = HeaderValue::from_static(MANIFEST_TYPE);
        let manifest = Bytes::from(image.manifest.bytes.clone());
        self.attempts("push manifest", &target.to_string(), on_event, async |_| {
            self.client.push_manifest_raw(&reference, manifest.clone(), content_type.clone()).await
        })
        .await?;
        let found = self.digest_of(&target).await?;
        let expected = image.manifest.digest.clone();
        if found != expected {
            return Err(RegistryError::Different {
                reference: target.to_string(),
                found,
                expected,
            });
        }
        Ok(Verified {
            digest: found,
            platform: image.platform,
            layers_bytes: image.layer.bytes.len() as u64,
        })
    }

    /// Reads the manifest of `image` and returns the digest of the bytes that came back.
    ///
    /// # Errors
    /// When the registry does not hand it out.
    pub async fn digest_of(&self, image: &ImageReference) -> Result<String, RegistryError> {
        self.manifest(image).await.map(|bytes| digest(&bytes))
    }

    async fn manifest(&self, image: &ImageReference) -> Result<Bytes, RegistryError> {
        let reference = oci_reference(image);
        self.attempts("read the manifest of", &image.to_string(), &mut |_| {}, async |_| {
            self.client.pull_manifest_raw(&reference, &self.login, &ASK_FOR).await
        })
        .await
        .map(|(manifest, _)| manifest)
    }

    async fn push_blob(
        &self,
        reference: &Reference,
        blob: &Blob,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), RegistryError> {
        let (digest, bytes) = (blob.digest.clone(), blob.bytes.len() as u64);
        let exists = async |_: &mut OnEvent<'_>| self.client.blob_exists(reference, &digest).await;
        if self.attempts("look up blob", &digest, on_event, exists).await? {
            on_event(PushEvent::Present { digest, bytes });
            return Ok(());
        }
        on_event(PushEvent::Uploading { digest: digest.clone(), bytes });
        let content = Bytes::from(blob.bytes.clone());
        self.attempts("upload blob", &digest, on_event, async |on_event| {
            self.upload(reference, &digest, content.clone(), on_event).await
        })
        .await?;
        on_event(PushEvent::Uploaded { digest, bytes });
        Ok(())
    }

    /// Sends a blob once, from its first byte. A registry takes it only when it has all of it and the digest is right.
    async fn upload(
        &self,
        reference: &Reference,
        digest: &str,
        content: Bytes,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), OciDistributionError> {
        let length = content.len() as u64;
        let (on_its_way, mut progress) = tokio::sync::mpsc::unbounded_channel();
        let chunks = (0..content.len()).step_by(CHUNK_BYTES).map(move |start| {
            let end = content.len().min(start + CHUNK_BYTES);
            // Nobody listens any more when the upload was given up.
            on_its_way.send(end as u64).unwrap_or_default();
            Ok(content.slice(start..end))
        });
        let stream = futures_util::stream::iter(chunks);
        let mut upload =
            pin!(self.client.push_blob_stream(reference, stream, digest, Some(length)));
        let answer = loop {
            tokio::select! {
                Some(sent) = progress.recv() => on_event(PushEvent::Sent { bytes: sent }),
                answer = &mut upload => break answer,
            }
        };
        match answer {
            Ok(_) => Ok(()),
            // Some registries do not say where the blob is; whether it is there is what counts.
            Err(OciDistributionError::RegistryNoLocationError) => {
                if self.client.blob_exists(reference, digest).await? {
                    Ok(())
                } else {
                    Err(OciDistributionError::RegistryNoLocationError)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Asks until there is an answer: throttling, a fault of the registry and a cut connection may pass.
    async fn attempts<T>(
        &self,
        action: &'static str,
        subject: &str,
        on_event: &mut OnEvent<'_>,
        mut ask: impl AsyncFnMut(&mut OnEvent<'_>) -> Result<T, OciDistributionError>,
    ) -> Result<T, RegistryError> {
        self.client.store_auth_if_needed(&self.host, &self.login).await;
        let mut attempt = 1;
        loop {
            match ask(on_event).await {
                Ok(answer) => return Ok(answer),
                Err(source) if attempt < ATTEMPTS && failure::is_passing(&source) => {
                    on_event(PushEvent::Retrying {
                        subject: subject.to_owned(),
                        attempt,
                        reason: failure::words(&source),
                    });
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                Err(source) => return Err(self.failure(action, subject, source)),
            }
        }
    }

    /// Reads the manifest and configuration of `image` and says whether Lambda takes it.
    ///
    /// # Errors
    /// When it cannot be read, is not what its digest says, or Lambda will refuse it.
    pub async fn verify(&self, image: &ImageReference) -> Result<Verified, RegistryError> {
        let manifest = self.manifest(image).await?;
        let found = digest(&manifest);
        if let Version::Digest(expected) = &image.version
            && *expected != found
        {
            let reference = image.to_string();
            return Err(RegistryError::Different { reference, found, expected: expected.clone() });
        }
        let refused = |source| RegistryError::Unacceptable { reference: image.to_string(), source };
        let Summary { config_digest, layers_bytes } =
            acceptance::check_manifest(&manifest, None).map_err(refused)?;
        let config = self.read_blob(&oci_reference(image), &config_digest).await?;
        let platform = acceptance::check_config(&config).map_err(refused)?;
        Ok(Verified { digest: found, platform, layers_bytes })
    }

    async fn read_blob(
        &self,
        reference: &Reference,
        digest: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let ask = async |_: &mut OnEvent<'_>| {
            let mut bytes = Vec::new();
            self.client.pull_blob(reference, digest, &mut bytes).await.map(|()| bytes)
        };
        self.attempts("read blob", digest, &mut |_| {}, ask).await
    }

    fn failure(
        &self,
        action: &'static str,
        subject: &str,
        source: OciDistributionError,
    ) -> RegistryError {
        failure::read(&self.host, action, subject, source)
    }
}

/// Longer after each attempt: 0.4, 0.8 and 1.6 seconds.
fn pause_after(attempt: u32) -> Duration {
    Duration::from_millis(200 << attempt)
}

fn oci_reference(image: &ImageReference) -> Reference {
    let Repository { registry, path } = image.repository.clone();
    match &image.version {
        Version::Tag(tag) => Reference::with_tag(registry, path, tag.clone()),
        Version::Digest(digest) => Reference::with_digest(registry, path, digest.clone()),
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "registry.example",
            "127.example:5000",
            "10.0.0.1:5000",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
