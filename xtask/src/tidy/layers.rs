//! Which module may mention what: the dependency directions of ARCHITECTURE.md as text.

use super::TextFile;

/// A rule for the files under some paths.
struct Layer {
    /// Prefixes of paths.
    inside: &'static [&'static str],
    /// Prefixes of paths that the rule leaves out.
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
    reason: &'static str,
}

const PRODUCT: &[&str] = &["src/", "processor/src/"];
const READS_ENVIRONMENT: &[&str] = &["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];

const LAYERS: &[Layer] = &[
    Layer {
        inside: &["processor/src/model", "processor/src/decode"],
        except: &[],
        forbidden: &[
            "aws_sdk_",
            "tokio::",
            "crate::ports",
            "crate::engine",
            "crate::aws",
            "crate::modes",
            "std::env",
        ],
        reason: "the vocabulary and the decoders are pure",
    },
    Layer {
        inside: &["processor/src/engine"],
        except: &[],
        forbidden: &["aws_sdk_", "crate::aws", "crate::modes", "serde_json::Value"],
        reason: "the engine sees AWS only through its ports",
    },
    Layer {
        inside: &["processor/src/ports", "processor/src/memory"],
        except: &[],
        forbidden: &["aws_sdk_", "crate::aws", "crate::modes", "crate::engine"],
        reason: "a port does not know who uses or implements it",
    },
    Layer {
        inside: &[
            "src/template",
            "src/deploy",
            "src/onboard",
            "src/image",
            "src/generate",
            "src/letters",
            "src/probe",
            "src/replay",
        ],
        except: &[],
        forbidden: &[
            "aws_sdk_",
            "clap::",
            "crate::ui",
            "crate::commands",
            "crate::cli",
            "std::env",
        ],
        reason: "the domain knows neither the SDK nor the terminal nor the command line",
    },
    Layer {
        inside: &["src/aws"],
        except: &[],
        forbidden: &["clap::", "crate::ui", "crate::commands", "crate::cli", "crate::config"],
        reason: "an AWS client knows nothing of its callers",
    },
    Layer {
        inside: &["src/commands", "src/config", "src/ui", "src/cli", "src/error"],
        except: &[],
        forbidden: &["aws_sdk_"],
        reason: "the types of the SDK stay in `src/aws`",
    },
    Layer {
        inside: &["src/commands"],
        except: &[],
        forbidden: &["indicatif", "dialoguer"],
        reason: "only `src/ui` talks to the terminal",
    },
    Layer {
        inside: PRODUCT,
        except: &["src/ui"],
        forbidden: &["println!"],
        reason: "only `src/ui` prints",
    },
    Layer {
        inside: PRODUCT,
        except: &["src/config", "processor/src/config", "processor/src/main.rs"],
        forbidden: READS_ENVIRONMENT,
        reason: "only the configuration reads the environment",
    },
];

pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for layer in LAYERS {
        for file in files.iter().filter(|file| layer.applies_to(&file.path)) {
            for (number, line) in file.lines_before_tests() {
                let code = line.trim_start();
                if code.starts_with("//") {
                    continue;
                }
                for word in layer.forbidden.iter().filter(|word| code.contains(*word)) {
                    findings
                        .push(file.finding(number, format!("mentions `{word}`: {}", layer.reason)));
                }
            }
        }
    }
    findings
}

impl Layer {
    fn applies_to(&self, path: &str) -> bool {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        path.rsplit_once('.').is_some_and(|(_, extension)| extension == "rs")
            && starts(self.inside)
            && !starts(self.except)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&[file(path, text)]).len()
    }

    #[test]
    fn a_layer_may_not_mention_what_is_above_it() {
        assert_eq!(findings("processor/src/model/key.rs", "use tokio::time;"), 1);
        assert_eq!(findings("processor/src/modes/sqs.rs", "use tokio::time;"), 0);
        assert_eq!(
            findings(
                "processor/src/engine/mod.rs",
                "use crate::aws::Sqs;\nuse aws_sdk_sqs::Client;"
            ),
            2
        );
        assert_eq!(findings("src/deploy/plan.rs", "use clap::Args;"), 1);
        assert_eq!(findings("src/commands/deploy.rs", "    println!(\"done\");"), 1);
        assert_eq!(findings("src/ui/mod.rs", "    println!(\"done\");"), 0);
        assert_eq!(findings("src/aws/session.rs", "    std::env::var(\"HOME\")"), 1);
        assert_eq!(findings("src/config/environment.rs", "    std::env::vars_os()"), 0);
    }

    #[test]
    fn comments_and_tests_are_free() {
        assert_eq!(findings("src/deploy/plan.rs", "/// Unlike clap::Args.\nfn plan() {}"), 0);
        assert_eq!(
            findings(
                "src/deploy/plan.rs",
                "fn plan() {}\n#[cfg(test)]\nmod tests {\n    use clap::Args;"
            ),
            0
        );
    }
}
