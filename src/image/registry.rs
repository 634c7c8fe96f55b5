//! Pushes an image to an OCI registry, and reads one back.
//!
//! Blobs that are there already are not sent. The manifest goes last, so a push that is cut off
//! leaves no tagged half of an image.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use mtlog_processor::model::secret::Secret;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    secrets::RegistryAuth,
};
use thiserror::Error;

use super::{
    acceptance::{self, ASK_FOR, Summary, Unacceptable},
    binary::Platform,
    pack::{Blob, Image, MANIFEST_TYPE, digest},
    reference::{ImageReference, Repository, Version},
};

/// How often one blob is tried before the push gives up.
const ATTEMPTS: u32 = 4;
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
    /// An attempt failed and is repeated.
    Retrying {
        /// The blob's digest.
        digest: String,
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

/// A failed conversation with a registry.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The client could not be made.
    #[error("failed to prepare a connection to registry `{registry}`")]
    Client {
        /// The registry's host.
        registry: String,
        /// Why.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// The registry refused the login.
    #[error("registry `{registry}` refused the login for `{repository}`")]
    Denied {
        /// The registry's host.
        registry: String,
        /// The repository.
        repository: String,
        /// Its words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// There is no such image or repository.
    #[error("registry has no `{reference}`")]
    Missing {
        /// The image.
        reference: String,
        /// Its words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// Another failure, after all attempts.
    #[error("failed to {action} `{subject}`")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On which blob or image.
        subject: String,
        /// Why.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// What came back is not what was pushed.
    #[error("registry returned manifest `{found}` for `{reference}`, expected `{expected}`")]
    Different {
        /// The image.
        reference: String,
        /// The digest of what came back.
        found: String,
        /// The digest of what was pushed.
        expected: String,
    },
    /// Lambda will not take what is in the registry.
    #[error("Lambda will refuse `{reference}`")]
    Unacceptable {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: Unacceptable,
    },
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

    /// Pushes `image` under `tag`, sending only what is missing, and reads it back.
    ///
    /// # Errors
    /// When the registry refuses, fails for good, or returns something else than was pushed.
    pub async fn push(
        &self,
        image: &Image,
        repository: &Repository,
        tag: &str,
        on_event: &mut (dyn FnMut(PushEvent) + Send),
    ) -> Result<Verified, RegistryError> {
        let target = repository.tagged(tag);
        let reference = oci_reference(&target);
        let pushed = Verified {
            digest: image.manifest.digest.clone(),
            platform: image.platform,
            layers_bytes: image.layer.bytes.len() as u64,
        };
        self.client.store_auth_if_needed(&self.host, &self.login).await;
        match self.manifest_digest(&target).await {
            Ok(found) if found == pushed.digest => return Ok(pushed),
            // Another image or none: whether it may be replaced is the registry's decision.
            Ok(_) | Err(RegistryError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        for blob in [&image.layer, &image.config] {
            self.push_blob(&reference, blob, on_event).await?;
        }
        let content_type = HeaderValue::from_static(MANIFEST_TYPE);
        let manifest = Bytes::from(image.manifest.bytes.clone());
        self.client
            .push_manifest_raw(&reference, manifest, content_type)
            .await
            .map_err(|source| self.failure("push manifest", &target.to_string(), source))?;
        let found = self.manifest_digest(&target).await?;
        if found == pushed.digest {
            Ok(pushed)
        } else {
            Err(RegistryError::Different {
                reference: target.to_string(),
                found,
                expected: pushed.digest,
            })
        }
    }

    /// Reads the manifest of `image` and returns the digest of the bytes that came back.
    async fn manifest_digest(&self, image: &ImageReference) -> Result<String, RegistryError> {
        self.manifest(image).await.map(|bytes| digest(&bytes))
    }

    async fn manifest(&self, image: &ImageReference) -> Result<Bytes, RegistryError> {
        self.client
            .pull_manifest_raw(&oci_reference(image), &self.login, &ASK_FOR)
            .await
            .map(|(manifest, _)| manifest)
            .map_err(|source| self.failure("read the manifest of", &image.to_string(), source))
    }

    async fn push_blob(
        &self,
        reference: &Reference,
        blob: &Blob,
        on_event: &mut (dyn FnMut(PushEvent) + Send),
    ) -> Result<(), RegistryError> {
        let (digest, bytes) = (blob.digest.clone(), blob.bytes.len() as u64);
        let present = self
            .client
            .blob_exists(reference, &digest)
            .await
            .map_err(|source| self.failure("look up blob", &digest, source))?;
        if present {
            on_event(PushEvent::Present { digest, bytes });
            return Ok(());
        }
        on_event(PushEvent::Uploading { digest: digest.clone(), bytes });
        let content = Bytes::from(blob.bytes.clone());
        let mut attempt = 1;
        loop {
            match self.client.push_blob(reference, content.clone(), &digest).await {
                Ok(_) => break,
                Err(source) if attempt < ATTEMPTS && is_worth_another_try(&source) => {
                    on_event(PushEvent::Retrying {
                        digest: digest.clone(),
                        attempt,
                        reason: source.to_string(),
                    });
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                    attempt += 1;
                }
                Err(source) => return Err(self.failure("upload blob", &digest, source)),
            }
        }
        on_event(PushEvent::Uploaded { digest, bytes });
        Ok(())
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
        let mut bytes = Vec::new();
        self.client
            .pull_blob(reference, digest, &mut bytes)
            .await
            .map_err(|source| self.failure("read blob", digest, source))?;
        Ok(bytes)
    }

    fn failure(
        &self,
        action: &'static str,
        subject: &str,
        source: OciDistributionError,
    ) -> RegistryError {
        let status = status_of(&source);
        let source = Box::new(source);
        match status {
            Some(401 | 403) => RegistryError::Denied {
                registry: self.host.clone(),
                repository: subject.to_owned(),
                source,
            },
            Some(404) => RegistryError::Missing { reference: subject.to_owned(), source },
            _ => RegistryError::Failed { action, subject: subject.to_owned(), source },
        }
    }
}

fn oci_reference(image: &ImageReference) -> Reference {
    let Repository { registry, path } = image.repository.clone();
    match &image.version {
        Version::Tag(tag) => Reference::with_tag(registry, path, tag.clone()),
        Version::Digest(digest) => Reference::with_digest(registry, path, digest.clone()),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn status_of(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => Some(401),
        OciDistributionError::ImageManifestNotFoundError(_) => Some(404),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::RegistryError { envelope, .. } => {
            let text = envelope.to_string().to_ascii_uppercase();
            if text.contains("DENIED") || text.contains("UNAUTHORIZED") {
                Some(403)
            } else if text.contains("UNKNOWN") {
                Some(404)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Whether the same request may succeed a little later: throttling, a fault of the server, a cut connection.
fn is_worth_another_try(error: &OciDistributionError) -> bool {
    match status_of(error) {
        Some(status) => status == 429 || status >= 500,
        None => matches!(
            error,
            OciDistributionError::RequestError(_) | OciDistributionError::IoError(_)
        ),
    }
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
