//! The grammar of `deploy.sh`, the shell script that mtlog replaces: `mtlog deploy.sh -t regional …`, or the program
//! called by the name `deploy.sh`. Pure: old words in, new words out.
//!
//! What the script did that loses data is not repeated: parts that exist stay, and a dry run writes nothing. Its exit
//! status is 0 or 1, as the script's was, but a rolled-back deployment is a failure now.

use std::ffi::OsString;

/// A command line of the script, as mtlog understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The words for mtlog.
    pub words: Vec<String>,
    /// What was added or is done otherwise, a sentence each.
    pub notes: Vec<String>,
}

/// Returns the script's own words, if the command line is one of the script's.
pub fn words_of_script(arguments: &[OsString]) -> Option<Vec<String>> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let (program, rest) = arguments.split_first()?;
    let name = std::path::Path::new(program).file_name().unwrap_or_default();
    if name == "deploy.sh" {
        return Some(rest.iter().map(text).collect());
    }
    let (first, rest) = rest.split_first()?;
    (first == "deploy.sh").then(|| rest.iter().map(text).collect())
}

/// The script's options that take a value, with mtlog's names for them.
const VALUED: [(&[&str], &str); 12] = [
    (&["-e", "--environment"], "--environment"),
    (&["-p", "--project", "--project-name"], "--project"),
    (&["-r", "--region"], "--region"),
    (&["-s", "--stack-name"], "--stack-name"),
    (&["-b", "--bucket", "--template-bucket"], "--bucket"),
    (&["--profile"], "--profile"),
    (&["--central-role-arn"], "--central-role-arn"),
    (&["--cluster-name"], "--cluster-name"),
    (&["--oidc-provider"], "--oidc-provider"),
    (&["--oidc-audience"], "--oidc-audience"),
    (&["--ecr-image-uri"], "--image"),
    (&["--confirm"], "--confirm"),
];

/// The script's options that were documented as parameters of the cluster's templates.
const PARAMETERS: [(&str, &str); 2] = [
    ("--vector-assume-role-policy-arn", "VectorAssumeRolePolicyArn"),
    ("--tenant-config-table-arn", "TenantConfigTableArn"),
];

/// The script's region when nothing named one.
const FORMER_REGION: &str = "us-east-1";

/// What the script took from around it.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Whether a setting names the region.
    pub region: RegionSetting,
    /// The environment, unless an option names it.
    pub environment: &'a str,
    /// Whether there is a file of this name in the working directory.
    pub has_file: fn(&str) -> bool,
}

/// Translates the script's words.
///
/// # Errors
/// A text for the user, when a word is not one of the script's.
pub fn translate(words: &[String], around: Surroundings<'_>) -> Result<Translation, String> {
    let mut target = None;
    let mut flags: Vec<String> = Vec::new();
    let mut notes = Vec::new();
    let mut verb = "deploy";
    let mut validate = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("the option {word} needs a value"));
        if let Some((_, flag)) = VALUED.iter().find(|(names, _)| names.contains(&word.as_str())) {
            // One word, so that a value that looks like an option stays a value.
            flags.push(format!("{flag}={}", value()?));
        } else if let Some((_, name)) = PARAMETERS.iter().find(|(option, _)| option == word) {
            flags.push(format!("--param={name}={}", value()?));
        } else {
            match word.as_str() {
                "-t" | "--type" => target = Some(value()?.clone()),
                "--include-sqs" | "--include-lambda" => flags.push(word.clone()),
                "--dry-run" => {
                    verb = "plan";
                    notes.push(format!(
                        "{word} shows the plan and writes nothing, not even a bucket"
                    ));
                }
                "--validate-only" => validate = true,
                "-h" | "--help" => {
                    return Ok(Translation {
                        words: vec!["deploy".to_owned(), "--help".to_owned()],
                        notes,
                    });
                }
                other => return Err(format!("unknown option {other}")),
            }
        }
    }
    let target =
        target.ok_or("the option -t is missing: it is global, regional, customer or cluster")?;
    let names_region = flags.iter().any(|flag| flag.starts_with("--region="));
    if !names_region && around.region == RegionSetting::Missing {
        notes.push(format!(
            "no region is named: {FORMER_REGION} is used, as the script did; better give -r"
        ));
        flags.push(format!("--region={FORMER_REGION}"));
    }
    let named = flags.iter().rev().find_map(|flag| flag.strip_prefix("--environment="));
    let parameters = format!("parameters-{}.json", named.unwrap_or(around.environment));
    if !validate && (around.has_file)(&parameters) {
        notes.push(format!(
            "{parameters} is used; what it does not name stays as it is, and does not vanish"
        ));
        flags.push(format!("--param-file={parameters}"));
    }
    let words = if validate {
        notes.push("--validate-only checks the templates and writes nothing".to_owned());
        flags.retain(|flag| {
            ["--region=", "--profile="].iter().any(|connection| flag.starts_with(connection))
        });
        [vec!["template".to_owned(), "validate".to_owned(), target], flags].concat()
    } else {
        if verb == "deploy" {
            flags.push("--yes".to_owned());
        }
        [vec![verb.to_owned(), target], flags].concat()
    };
    notes.push(format!("the same in mtlog's own words: mtlog {}", words.join(" ")));
    Ok(Translation { words, notes })
}

/// Whether a setting other than the script's options names the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionSetting {
    /// One does.
    Known,
    /// None does.
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    const AROUND: Surroundings<'_> = Surroundings {
        region: RegionSetting::Known,
        environment: "development",
        has_file: |_| false,
    };

    fn translated(text: &str) -> Result<String, String> {
        translate(&words(text), AROUND).map(|translation| translation.words.join(" "))
    }

    #[test]
    fn every_option_of_the_script_has_a_translation() {
        for (old, new) in [
            ("-t global", "deploy global --yes"),
            (
                "-t regional -e production -r us-east-2 -b b --include-sqs --include-lambda --ecr-image-uri i",
                "deploy regional --environment=production --region=us-east-2 --bucket=b --include-sqs \
                 --include-lambda --image=i --yes",
            ),
            (
                "-t cluster --cluster-name c --oidc-provider o --oidc-audience openshift --profile p -p x -s n",
                "deploy cluster --cluster-name=c --oidc-provider=o --oidc-audience=openshift --profile=p \
                 --project=x --stack-name=n --yes",
            ),
            ("-t customer --central-role-arn a --dry-run", "plan customer --central-role-arn=a"),
            ("-t regional --validate-only -b b", "template validate regional"),
            (
                "-t cluster --vector-assume-role-policy-arn a --tenant-config-table-arn t",
                "deploy cluster --param=VectorAssumeRolePolicyArn=a --param=TenantConfigTableArn=t --yes",
            ),
            ("--help", "deploy --help"),
        ] {
            assert_eq!(translated(old).as_deref(), Ok(new), "{old}");
        }
    }

    #[test]
    fn what_the_script_did_not_know_is_refused() {
        for (old, part) in [
            ("-t", "needs a value"),
            ("-x", "unknown option -x"),
            ("-e production", "-t is missing"),
        ] {
            assert!(translated(old).is_err_and(|error| error.contains(part)), "{old}");
        }
    }

    #[test]
    fn the_region_of_the_script_is_used_and_said() {
        let around = Surroundings { region: RegionSetting::Missing, ..AROUND };
        let translation = translate(&words("-t global"), around).unwrap();
        assert_eq!(translation.words.join(" "), "deploy global --region=us-east-1 --yes");
        assert!(translation.notes.iter().any(|note| note.contains("us-east-1")));
    }

    #[test]
    fn the_file_of_parameters_of_the_environment_is_used() {
        let around = Surroundings { has_file: |name| name == "parameters-staging.json", ..AROUND };
        for (old, new) in [
            ("-t global", "deploy global --yes"),
            (
                "-t global -e staging",
                "deploy global --environment=staging --param-file=parameters-staging.json --yes",
            ),
        ] {
            assert_eq!(translate(&words(old), around).unwrap().words.join(" "), new);
        }
        let around = Surroundings { environment: "staging", ..around };
        let translation = translate(&words("-t global"), around).unwrap();
        assert!(translation.words.contains(&"--param-file=parameters-staging.json".to_owned()));
    }

    #[test]
    fn the_script_is_known_by_its_name_or_as_the_first_word() {
        let line = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(words_of_script(&line("./deploy.sh -t global")), Some(words("-t global")));
        assert_eq!(words_of_script(&line("mtlog deploy.sh -t global")), Some(words("-t global")));
        assert_eq!(words_of_script(&line("mtlog deploy global")), None);
    }
}
