//! The program that goes into an image: is it static, and for which processor?

use std::fmt;

use object::{
    Architecture, Object as _,
    elf::PT_INTERP,
    read::elf::{ElfFile64, ProgramHeader as _},
};
use thiserror::Error;

/// The processors that Lambda offers, by the names that OCI gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Platform {
    /// Returns OCI's name for the architecture.
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns Lambda's name for the architecture (`Architectures` of `CreateFunction` in the API model).
    pub const fn lambda_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Reads OCI's name, with or without `linux/`.
    pub fn from_oci_name(text: &str) -> Option<Self> {
        match text.strip_prefix("linux/").unwrap_or(text) {
            "amd64" | "x86_64" => Some(Self::Amd64),
            "arm64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.oci_name())
    }
}

/// Why a file cannot be the program of an image without any libraries in it.
#[derive(Debug, Error)]
pub enum BinaryError {
    /// Not a 64-bit Linux executable.
    #[error("it is not a 64-bit ELF executable")]
    NotElf(#[source] object::Error),
    /// Built for a processor that Lambda does not have.
    #[error("it is built for {architecture}; Lambda runs x86-64 and arm64")]
    Architecture {
        /// The architecture as the file's header says.
        architecture: String,
    },
    /// It needs a loader and shared libraries, which an image made from nothing does not have.
    #[error("it is dynamically linked; build it with `-C target-feature=+crt-static`")]
    Dynamic,
}

/// Looks into an executable and returns its platform.
///
/// # Errors
/// When it would not start in an image that holds nothing else.
pub fn platform(executable: &[u8]) -> Result<Platform, BinaryError> {
    let file: ElfFile64<'_> = ElfFile64::parse(executable).map_err(BinaryError::NotElf)?;
    let platform = match file.architecture() {
        Architecture::X86_64 => Platform::Amd64,
        Architecture::Aarch64 => Platform::Arm64,
        other => return Err(BinaryError::Architecture { architecture: format!("{other:?}") }),
    };
    let needs_loader =
        file.elf_program_headers().iter().any(|header| header.p_type(file.endian()) == PT_INTERP);
    if needs_loader { Err(BinaryError::Dynamic) } else { Ok(platform) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A minimal ELF file: a header and one program header of type `segment`.
    pub(crate) fn executable(machine: u16, segment: u32) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend(machine.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(segment.to_le_bytes());
        bytes.extend([0; 52]);
        bytes
    }

    #[test]
    fn a_static_executable_names_its_platform() {
        assert_eq!(platform(&executable(62, 1)).unwrap(), Platform::Amd64);
        assert_eq!(platform(&executable(183, 1)).unwrap(), Platform::Arm64);
    }

    #[test]
    fn what_would_not_start_is_refused() {
        assert!(matches!(platform(b"#!/bin/sh\n"), Err(BinaryError::NotElf(_))));
        assert!(matches!(platform(&executable(62, PT_INTERP)), Err(BinaryError::Dynamic)));
        assert!(matches!(platform(&executable(243, 1)), Err(BinaryError::Architecture { .. })));
    }
}
