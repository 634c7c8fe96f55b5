//! The project's own templates: accepted, created with their children, updated, deleted.

use std::path::PathBuf;

use super::super::template::Template;
use super::bed::Bed;

fn body(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../templates").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn templates() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../templates");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root)
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
    {
        for file in std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok) {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_template_is_accepted() {
    let templates = templates();
    assert!(templates.len() >= 8, "{}", templates.len());
    for (path, text) in templates {
        if let Err(error) = Template::parse(&text) {
            panic!("{path}: {}", error.message);
        }
        assert!(text.len() <= 51_200, "{path} does not fit into a request");
    }
}

fn image(region: &str) -> String {
    format!(
        "111122223333.dkr.ecr.{region}.amazonaws.com/processor@sha256:{}",
        "0123456789abcdef".repeat(4)
    )
}

/// Returns the parameters that the regional template has no defaults for.
fn parameters(more: &[(&'static str, String)]) -> Vec<(String, String)> {
    let central = "arn:aws:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123abcd";
    let mut given = vec![
        ("TemplateBucket", "templates".to_owned()),
        ("CentralLogDistributionRoleArn", central.to_owned()),
        ("Environment", "development".to_owned()),
    ];
    given.extend(more.iter().cloned());
    let mut pairs = Vec::new();
    for (index, (key, value)) in given.into_iter().enumerate() {
        let prefix = format!("Parameters.member.{}.", index + 1);
        pairs.push((format!("{prefix}ParameterKey"), key.to_owned()));
        pairs.push((format!("{prefix}ParameterValue"), value));
    }
    pairs
}

fn send(bed: &mut Bed, action: &str, more: &[(&'static str, String)]) {
    let main = body("regional/main.yaml");
    let given = parameters(more);
    let mut pairs = vec![
        ("StackName", "mtl-development"),
        ("TemplateBody", main.as_str()),
        ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
    ];
    pairs.extend(given.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    bed.ok(action, &pairs);
    bed.run();
}

fn children(bed: &mut Bed) -> Vec<String> {
    bed.resources("mtl-development")
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_regional_stack_is_created_updated_and_deleted_with_its_children() {
    let mut bed = Bed::held();
    let prefix = "cloudformation/templates";
    for child in ["core-infrastructure", "sqs-stack", "lambda-stack", "observability-stack"] {
        bed.put_object(
            "templates",
            &format!("{prefix}/{child}.yaml"),
            &body(&format!("regional/{child}.yaml")),
        );
    }
    send(&mut bed, "CreateStack", &[("IncludeSQSStack", "true".to_owned())]);
    let id = bed.describe("mtl-development").child_text("StackId").unwrap().to_owned();
    let verdict = bed.verdict(&id);
    let events = bed.events(&id).join("\n");
    assert_eq!(verdict, "CREATE_COMPLETE", "{events}");
    let with_queue = children(&mut bed);
    assert!(
        with_queue.contains(&"CoreInfrastructureStack".to_owned())
            && with_queue.contains(&"SQSStack".to_owned())
    );
    let outputs = bed.outputs("mtl-development");
    assert!(
        outputs["LogDeliveryQueueArn"].starts_with("arn:aws:sqs:us-east-2:111122223333:"),
        "{outputs:#?}"
    );
    let table = format!(
        "arn:aws:dynamodb:us-east-2:111122223333:table/{}",
        outputs["TenantConfigTableName"]
    );
    assert_eq!(outputs["TenantConfigTableArn"], table);

    let image = ("ECRImageUri", image("us-east-2"));
    let include =
        [("IncludeSQSStack", "true".to_owned()), ("IncludeLambdaStack", "true".to_owned()), image];
    send(&mut bed, "UpdateStack", &include);
    let verdict = bed.verdict(&id);
    let events = bed.events(&id).join("\n");
    assert_eq!(verdict, "UPDATE_COMPLETE", "{events}");
    assert!(children(&mut bed).contains(&"LambdaStack".to_owned()));

    let names: Vec<String> =
        bed.state.stacks.values().map(|stack| stack.name().to_owned()).collect();
    bed.ok("DeleteStack", &[("StackName", "mtl-development")]);
    bed.run();
    let verdict = bed.verdict(&id);
    assert_eq!(verdict, "DELETE_COMPLETE", "{names:?}\n{}", bed.events(&id).join("\n"));
    assert!(bed.state.stacks.values().all(|stack| stack.status.as_str() == "DELETE_COMPLETE"));
}

#[test]
fn a_second_region_of_the_account_finds_no_name_taken() {
    let mut bed = Bed::held();
    let prefix = "cloudformation/templates";
    for child in ["core-infrastructure", "sqs-stack", "lambda-stack", "observability-stack"] {
        bed.put_object(
            "templates",
            &format!("{prefix}/{child}.yaml"),
            &body(&format!("regional/{child}.yaml")),
        );
    }
    for region in ["us-east-2", "eu-central-1"] {
        bed.region = region.to_owned();
        let image = ("ECRImageUri", image(region));
        let include = [
            ("IncludeSQSStack", "true".to_owned()),
            ("IncludeLambdaStack", "true".to_owned()),
            image,
        ];
        send(&mut bed, "CreateStack", &include);
        let verdict = bed.verdict("mtl-development");
        assert_eq!(verdict, "CREATE_COMPLETE", "{}", bed.events("mtl-development").join("\n"));
    }
}
