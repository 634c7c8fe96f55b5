//! Relative links in Markdown files lead somewhere.

use std::collections::BTreeSet;

use super::TextFile;

pub(super) fn check(files: &[TextFile], paths: &[String]) -> Vec<String> {
    let known: BTreeSet<&str> = paths.iter().flat_map(|path| ancestors(path)).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let mut in_code = false;
        for (number, line) in file.numbered_lines() {
            in_code ^= line.trim_start().starts_with("```");
            if in_code {
                continue;
            }
            for link in links(line) {
                let leads_somewhere = resolve(file.directory(), link)
                    .is_some_and(|path| path.is_empty() || known.contains(path.as_str()));
                if !leads_somewhere {
                    findings.push(file.finding(number, format!("the link `{link}` leads nowhere")));
                }
            }
        }
    }
    findings
}

/// Returns a path and all directories above it.
fn ancestors(path: &str) -> Vec<&str> {
    let directories = path
        .char_indices()
        .filter(|(_, letter)| *letter == '/')
        .filter_map(|(index, _)| path.get(..index));
    directories.chain(std::iter::once(path)).collect()
}

/// Returns the targets of a line's inline links that point into the repository, without anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
}

/// Returns the path from the root that a link means, unless it leaves the repository.
fn resolve(directory: &str, link: &str) -> Option<String> {
    let mut segments: Vec<&str> = if link.starts_with('/') {
        vec![]
    } else {
        directory.split('/').filter(|part| !part.is_empty()).collect()
    };
    for segment in link.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn findings(text: &str) -> usize {
        let paths = ["README.md", "processor/DESIGN.md", "src/main.rs"].map(str::to_owned);
        check(&[file("processor/DESIGN.md", text)], &paths).len()
    }

    #[test]
    fn a_link_leads_to_a_file_or_a_directory() {
        assert_eq!(
            findings(
                "[a](DESIGN.md) [b](../README.md#start) [c](../src/) [d](/src/main.rs) [e](#here) [f](..)"
            ),
            0
        );
        assert_eq!(findings("[a](https://example.com/x) [b](mailto:a@example.com)"), 0);
        assert_eq!(findings("[a](README.md)"), 1);
        assert_eq!(findings("[a](../../README.md)"), 1);
        assert_eq!(findings("[a](gone.md) and [b](../gone/)"), 2);
    }

    #[test]
    fn code_blocks_are_left_alone() {
        assert_eq!(findings("```text\n[a](gone.md)\n```\n"), 0);
    }
}
