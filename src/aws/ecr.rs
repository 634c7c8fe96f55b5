//! Image repositories in ECR, and the login for pushing to them.

use std::{collections::BTreeSet, time::SystemTime};

use aws_config::SdkConfig;
use aws_sdk_ecr::{
    Client,
    types::{ImageIdentifier, ImageScanningConfiguration, ImageTagMutability},
};
use mtlog_processor::model::secret::Secret;

use super::fault::{Fault, FaultClass};
use crate::{
    deploy::names::{EcrImage, ImageVersion},
    image::acceptance::ASK_FOR,
};

const SERVICE: &str = "ecr";

/// Keeps the last images and removes what no tag names
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html>).
const LIFECYCLE: &str = r#"{"rules":[{"rulePriority":1,"description":"Images without a tag","selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}"#;
/// How many images one call may delete (`BatchDeleteImage` in the API model).
const DELETE_AT_ONCE: usize = 100;

/// A client for ECR in one region.
#[derive(Debug, Clone)]
pub struct Ecr(Client);

/// A login that is valid for twelve hours.
#[derive(Debug, Clone)]
pub struct RegistryLogin {
    /// Always `AWS`.
    pub user: String,
    /// The token.
    pub password: Secret<String>,
    /// The registry's host.
    pub host: String,
}

/// Whether a repository had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It was there.
    Present,
    /// It was made: tags cannot be moved, images are scanned when they arrive.
    Created,
}

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// `sha256:…`
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its compressed size, bytes.
    pub bytes: Option<u64>,
    /// When it was pushed.
    pub pushed_at: Option<SystemTime>,
}

/// What a repository holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredManifest {
    /// This manifest.
    Found {
        /// Its text.
        text: String,
        /// Its media type, as the repository tells it.
        media_type: Option<String>,
    },
    /// Nothing.
    NoImage,
    /// There is no such repository.
    NoRepository,
}

impl Ecr {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Makes sure that there is a repository called `name`.
    pub async fn ensure_repository(&self, name: &str) -> Result<Ensured, Fault> {
        const DESCRIBE: &str = "DescribeRepositories";
        const CREATE: &str = "CreateRepository";
        let found = self.0.describe_repositories().repository_names(name).send().await;
        match found.map_err(|error| Fault::new(SERVICE, DESCRIBE, error)) {
            Ok(_) => return Ok(Ensured::Present),
            Err(fault) if fault.class() == FaultClass::Missing => {}
            Err(fault) => return Err(fault),
        }
        let scanning = ImageScanningConfiguration::builder().scan_on_push(true).build();
        let created = self
            .0
            .create_repository()
            .repository_name(name)
            .image_tag_mutability(ImageTagMutability::Immutable)
            .image_scanning_configuration(scanning)
            .send()
            .await;
        match created.map_err(|error| Fault::new(SERVICE, CREATE, error)) {
            Ok(_) => {}
            // Somebody else made it a moment ago, with settings of their own.
            Err(fault) if fault.class() == FaultClass::Conflict => return Ok(Ensured::Present),
            Err(fault) => return Err(fault),
        }
        self.0
            .put_lifecycle_policy()
            .repository_name(name)
            .lifecycle_policy_text(LIFECYCLE)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "PutLifecyclePolicy", error))?;
        Ok(Ensured::Created)
    }

    /// Returns a login for this account's registry.
    pub async fn login(&self) -> Result<RegistryLogin, Fault> {
        const OPERATION: &str = "GetAuthorizationToken";
        let answer = self
            .0
            .get_authorization_token()
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        let unreadable = |what: &str| {
            Fault::unreadable(SERVICE, OPERATION, format!("the answer holds no {what}"))
        };
        let data = answer.authorization_data.and_then(|list| list.into_iter().next());
        let data = data.ok_or_else(|| unreadable("token"))?;
        let token = data.authorization_token.ok_or_else(|| unreadable("token"))?;
        let decoded =
            aws_smithy_types::base64::decode(&token).map_err(|_| unreadable("readable token"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| unreadable("readable token"))?;
        let (user, password) =
            decoded.split_once(':').ok_or_else(|| unreadable("readable token"))?;
        let endpoint = data.proxy_endpoint.ok_or_else(|| unreadable("registry address"))?;
        let host = endpoint
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        Ok(RegistryLogin {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            host: host.to_owned(),
        })
    }

    /// Returns the manifest of an image, of an index as well as of a single image.
    pub async fn manifest(&self, image: &EcrImage) -> Result<StoredManifest, Fault> {
        const OPERATION: &str = "BatchGetImage";
        let id = match image.version() {
            ImageVersion::Tag(tag) => ImageIdentifier::builder().image_tag(tag),
            ImageVersion::Digest(digest) => ImageIdentifier::builder().image_digest(digest),
        };
        let sent = self
            .0
            .batch_get_image()
            .registry_id(image.account().as_str())
            .repository_name(image.repository())
            .image_ids(id.build())
            .set_accepted_media_types(Some(ASK_FOR.map(str::to_owned).to_vec()))
            .send()
            .await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => {
                return Ok(StoredManifest::NoRepository);
            }
            Err(fault) => return Err(fault),
        };
        let found = answer.images.unwrap_or_default().into_iter().next();
        Ok(match found {
            Some(image) => match image.image_manifest {
                Some(text) => {
                    StoredManifest::Found { text, media_type: image.image_manifest_media_type }
                }
                None => {
                    return Err(Fault::unreadable(
                        SERVICE,
                        OPERATION,
                        "the answer holds no manifest",
                    ));
                }
            },
            None => StoredManifest::NoImage,
        })
    }

    /// Returns every image of a repository, newest first; `None` if there is no such repository.
    pub async fn images(&self, repository: &str) -> Result<Option<Vec<StoredImage>>, Fault> {
        const OPERATION: &str = "DescribeImages";
        let mut pages =
            self.0.describe_images().repository_name(repository).into_paginator().items().send();
        let mut images = Vec::new();
        while let Some(image) = pages.next().await {
            let image = match image.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
                Ok(image) => image,
                Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
                Err(fault) => return Err(fault),
            };
            images.push(StoredImage {
                digest: image.image_digest.unwrap_or_default(),
                tags: image.image_tags.unwrap_or_default(),
                bytes: image.image_size_in_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
                pushed_at: image.image_pushed_at.and_then(|time| SystemTime::try_from(time).ok()),
            });
        }
        images.sort_by(|a, b| b.pushed_at.cmp(&a.pushed_at).then_with(|| a.digest.cmp(&b.digest)));
        Ok(Some(images))
    }

    /// Deletes images by digest and returns those that could not be deleted, each with ECR's reason.
    pub async fn delete(
        &self,
        repository: &str,
        digests: &BTreeSet<String>,
    ) -> Result<Vec<(String, String)>, Fault> {
        const OPERATION: &str = "BatchDeleteImage";
        let digests: Vec<&String> = digests.iter().collect();
        let mut failed = Vec::new();
        for chunk in digests.chunks(DELETE_AT_ONCE) {
            let ids = chunk
                .iter()
                .map(|digest| ImageIdentifier::builder().image_digest(*digest).build())
                .collect();
            let answer = self
                .0
                .batch_delete_image()
                .repository_name(repository)
                .set_image_ids(Some(ids))
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            for failure in answer.failures.unwrap_or_default() {
                let digest = failure.image_id.and_then(|id| id.image_digest).unwrap_or_default();
                failed.push((digest, failure.failure_reason.unwrap_or_default()));
            }
        }
        Ok(failed)
    }
}
