//! The release: `cargo xtask dist` builds both programs without shared libraries and packs them with completions,
//! manual pages and checksums.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command;
use crate::repository::Repository;
use crate::scratch::Scratch;
use crate::static_binary::{self, ENGINE, Program};

/// What is built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DistOptions {
    /// Another Linux target than this machine's; its linker and C library must be installed.
    pub(crate) target: Option<String>,
}

/// The operator's command.
const MTLOG: Program = Program { package: "mtlog", name: "mtlog" };
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];
const SHELLS: [(&str, &str); 3] =
    [("bash", "mtlog.bash"), ("zsh", "_mtlog"), ("fish", "mtlog.fish")];

/// Builds and packs. The tarball is the same for the same programs: no times, no owners, sorted.
pub(crate) fn run(repository: &Repository, options: &DistOptions) -> Result<()> {
    let host = static_binary::host(repository)?;
    let target = options.target.as_deref().unwrap_or(&host);
    let name = format!("mtlog-{}-{target}", env!("CARGO_PKG_VERSION"));
    let scratch = Scratch::new(repository, "dist")?;
    let contents = scratch.join(&name);
    fs::create_dir_all(contents.join("completions"))?;
    for program in [ENGINE, MTLOG] {
        let built = static_binary::release(repository, program, target)?;
        copy(&built, &contents.join(program.name))?;
    }
    for document in DOCUMENTS {
        copy(&repository.path(document), &contents.join(document))?;
    }
    // What the command says about itself does not depend on the target: a program for another one cannot run here.
    let speaker = if target == host {
        contents.join(MTLOG.name)
    } else {
        static_binary::release(repository, MTLOG, &host)?
    };
    for (shell, file) in SHELLS {
        let script = command::output(repository.command(&speaker).args(["completions", shell]))?;
        fs::write(contents.join("completions").join(file), script)?;
    }
    command::run(
        repository.command(&speaker).args(["man", "--install"]).arg(contents.join("man")),
    )?;

    let directory = repository.target().join("dist");
    fs::create_dir_all(&directory).context("failed to make the directory of releases")?;
    let tarball = format!("{name}.tar.gz");
    command::run(
        repository
            .command("tar")
            .args([
                "--create",
                "--sort=name",
                "--format=ustar",
                "--mtime=@0",
                "--owner=0",
                "--group=0",
            ])
            .args([
                "--numeric-owner",
                "--mode=u=rwX,go=rX",
                "--use-compress-program=gzip --no-name --best",
            ])
            .arg("--directory")
            .arg(scratch.path())
            .arg("--file")
            .arg(directory.join(&tarball))
            .arg(&name),
    )?;
    let checksum =
        command::output(repository.command("sha256sum").current_dir(&directory).arg(&tarball))?;
    fs::write(directory.join(format!("{tarball}.sha256")), &checksum)?;
    for program in [ENGINE, MTLOG] {
        let bytes = fs::metadata(contents.join(program.name))?.len();
        println!("{:<16} {}", program.name, crate::memory::mebibytes(bytes));
    }
    let bytes = fs::metadata(directory.join(&tarball))?.len();
    println!(
        "{:<16} {}\n{}",
        "tarball",
        crate::memory::mebibytes(bytes),
        directory.join(&tarball).display()
    );
    print!("{checksum}");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("failed to copy `{}`", from.display()))
}
