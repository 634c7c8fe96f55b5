//! Writes an image to disk: as an OCI layout directory, or as one tarball of it.
//!
//! Layout: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use tar::{EntryType, Header};
use thiserror::Error;

use super::pack::{Image, MANIFEST_TYPE};

/// A file of the layout that could not be written.
#[derive(Debug, Error)]
#[error("failed to write `{}`", path.display())]
pub struct ExportError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl ExportError {
    /// Whether there was no room left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Writes the layout below `directory`, which is created when it is missing.
///
/// # Errors
/// When a file cannot be written. `index.json` is written last, so a half-written layout names no image.
pub fn write_layout(
    image: &Image,
    reference_name: &str,
    directory: &Path,
) -> Result<(), ExportError> {
    for (path, bytes) in files(image, reference_name) {
        let path = directory.join(path);
        let failed = |source| ExportError { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        write_whole(&path, |unfinished| fs::write(unfinished, &bytes)).map_err(failed)?;
    }
    Ok(())
}

/// Writes the layout as one reproducible tarball. The file appears under its name only when it is whole.
///
/// # Errors
/// When the file cannot be written.
pub fn write_tarball(image: &Image, reference_name: &str, file: &Path) -> Result<(), ExportError> {
    write_whole(file, |unfinished| write_archive(image, reference_name, unfinished))
        .map_err(|source| ExportError { path: file.to_owned(), source })
}

/// Writes beside `file`, and gives the file its name when it is whole.
fn write_whole(file: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".partial");
    let unfinished = PathBuf::from(unfinished);
    let result = write(&unfinished).and_then(|()| fs::rename(&unfinished, file));
    if result.is_err() {
        // The reason of the failure is worth more than that of a failed clean-up.
        drop(fs::remove_file(&unfinished));
    }
    result
}

fn write_archive(image: &Image, reference_name: &str, file: &Path) -> io::Result<()> {
    let mut builder = tar::Builder::new(io::BufWriter::new(fs::File::create(file)?));
    for (path, bytes) in files(image, reference_name) {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes.as_slice())?;
    }
    let writer = builder.into_inner()?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The files of the layout, `index.json` last.
fn files(image: &Image, reference_name: &str) -> Vec<(String, Vec<u8>)> {
    let index = json!({
        "manifests": [{
            "annotations": {"org.opencontainers.image.ref.name": reference_name},
            "digest": image.manifest.digest,
            "mediaType": MANIFEST_TYPE,
            "platform": {"architecture": image.platform.oci_name(), "os": "linux"},
            "size": image.manifest.bytes.len(),
        }],
        "schemaVersion": 2,
    });
    let mut files: Vec<(String, Vec<u8>)> = [&image.layer, &image.config, &image.manifest]
        .into_iter()
        .map(|blob| (format!("blobs/{}", blob.digest.replace(':', "/")), blob.bytes.clone()))
        .collect();
    files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::image::{
        binary::Platform,
        pack::{Contents, digest, pack},
    };

    fn image() -> Image {
        pack(&Contents {
            program: b"program",
            platform: Platform::Amd64,
            certificates: "PEM",
            sbom: "{}",
            version: "1.2.3",
            revision: Some("abc"),
        })
        .unwrap()
    }

    #[test]
    fn the_layout_s_index_leads_to_every_blob() {
        let directory = tempfile::tempdir().unwrap();
        write_layout(&image(), "1.2.3", directory.path()).unwrap();
        let read = |path: &str| fs::read(directory.path().join(path)).unwrap();
        let blob = |digest_text: &Value| {
            let text = digest_text.as_str().unwrap();
            let bytes = read(&format!("blobs/{}", text.replace(':', "/")));
            assert_eq!(digest(&bytes), text);
            bytes
        };
        let index: Value = serde_json::from_slice(&read("index.json")).unwrap();
        let manifest: Value =
            serde_json::from_slice(&blob(&index["manifests"][0]["digest"])).unwrap();
        blob(&manifest["config"]["digest"]);
        blob(&manifest["layers"][0]["digest"]);
        assert!(directory.path().join("oci-layout").is_file());
    }

    #[test]
    fn a_tarball_is_the_same_each_time_and_never_half_there() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one.tar"), directory.path().join("two.tar"));
        write_tarball(&image(), "1.2.3", &one).unwrap();
        write_tarball(&image(), "1.2.3", &two).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        let nowhere = directory.path().join("missing/three.tar");
        let error = write_tarball(&image(), "1.2.3", &nowhere).unwrap_err();
        assert!(error.to_string().contains("three.tar"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
