//! What a customer needs in order to let the service in, in each form that customers ask for. Pure.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde};
use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, ExternalId, InvalidId, LogGroupName, Region, TenantId},
    secret::Secret,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use thiserror::Error;

use super::rules::{LOG_GROUP_PREFIX, ROLE_NAME_PREFIX};
use crate::deploy::{
    names::{CentralRole, ProjectName},
    target::{Naming, Target, stack_name},
};

/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'!').remove(b'~').remove(b'*');
const USUAL_PROJECT: &str = "multi-tenant-logging";

/// What the customer's stack is made of.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The tenant.
    pub tenant: TenantId,
    /// The customer's account.
    pub account: AccountId,
    /// Where stacks are wanted.
    pub regions: Vec<Region>,
    /// The role that the customer's role trusts.
    pub central_role: CentralRole,
    /// The tenant's own external id.
    pub external_id: OwnId,
    /// The IAM path of the role; `/` for none.
    pub role_path: String,
    /// The log group that is written to.
    pub log_group: LogGroupName,
    /// The pipeline's name, which is part of the stack's name.
    pub project: ProjectName,
    /// Where the template can be read.
    pub template_url: String,
    /// When that ends, after the words "the links": `die on ...`; none: it does not end.
    pub death: Option<String>,
}

/// Whether the tenant has an external id of its own, and whether it may be shown.
#[derive(Debug, Clone)]
pub enum OwnId {
    /// It has none: the template's default is right.
    None,
    /// It has one, which is handed over by another way.
    Kept,
    /// It has one, and it stands in what is handed over.
    Shown(Secret<ExternalId>),
}

/// Everything that is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handover {
    /// The tenant.
    pub tenant_id: String,
    /// The account that the links are for.
    pub customer_account: String,
    /// The role that is trusted.
    pub central_role_arn: String,
    /// `account`, `shown` or `separate`: whether the customer must be told an ExternalId besides.
    pub external_id: &'static str,
    /// Where the template is read from.
    pub template_url: String,
    /// When the links die, in words, if they do.
    pub links_die: Option<String>,
    /// One for each region.
    pub offers: Vec<Offer>,
}

/// What is handed over for one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The region.
    pub region: String,
    /// The name of the stack.
    pub stack: String,
    /// The role that it makes.
    pub role_arn: String,
    /// Opens the customer's console with every field filled in.
    pub link: String,
    /// The same by this program.
    pub command: String,
    /// The same by Terraform.
    pub terraform: String,
    /// The same by a stack set, for many accounts.
    pub stack_set: String,
}

/// Why nothing can be handed over.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// The stack's name is not one.
    #[error("the customer's stack cannot have that name")]
    Name(#[source] InvalidId),
    /// A text could not be written.
    #[error("failed to write the hand-over note")]
    Note(#[source] minijinja::Error),
}

/// Writes everything down.
pub fn handover(terms: &Terms) -> Result<Handover, HandoverError> {
    let offers =
        terms.regions.iter().map(|region| offer(terms, region)).collect::<Result<_, _>>()?;
    Ok(Handover {
        tenant_id: terms.tenant.to_string(),
        customer_account: terms.account.to_string(),
        central_role_arn: terms.central_role.to_string(),
        external_id: match terms.external_id {
            OwnId::None => "account",
            OwnId::Kept => "separate",
            OwnId::Shown(_) => "shown",
        },
        template_url: terms.template_url.clone(),
        links_die: terms.death.clone(),
        offers,
    })
}

/// Returns the ARN of the role that the customer template makes in a region: it is known before the role exists.
pub fn role_arn(account: &AccountId, region: &Region, path: &str) -> String {
    let partition = Partition::of(region);
    format!("arn:{partition}:iam::{account}:role{path}{ROLE_NAME_PREFIX}{region}")
}

/// Returns the prefix that the customer's role must cover for this log group.
pub fn log_group_prefix(log_group: &LogGroupName) -> &str {
    let name = log_group.as_str();
    if name.starts_with(LOG_GROUP_PREFIX) {
        return LOG_GROUP_PREFIX;
    }
    match name.rsplit_once('/') {
        Some((directory, _)) if !directory.is_empty() => {
            name.get(..=directory.len()).unwrap_or(name)
        }
        _ => name,
    }
}

impl Handover {
    /// Returns the note for the customer, in Markdown.
    ///
    /// # Errors
    /// Never for a template that the tests have rendered.
    pub fn markdown(&self) -> Result<String, HandoverError> {
        render(include_str!("handover.md.j2"), self)
    }

    /// Returns what people see on a terminal.
    ///
    /// # Errors
    /// Never for a template that the tests have rendered.
    pub fn text(&self) -> Result<String, HandoverError> {
        render(include_str!("handover.txt.j2"), self)
    }
}

fn render(template: &str, handover: &Handover) -> Result<String, HandoverError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(HandoverError::Note)?);
    let context = Value::from(Serde(BTreeMap::from([("handover", handover)])));
    environment.render_str(template, context).map_err(HandoverError::Note)
}

fn offer(terms: &Terms, region: &Region) -> Result<Offer, HandoverError> {
    let naming = Naming { project: terms.project.as_str(), environment: "", region, cluster: None };
    let stack = stack_name(Target::Customer, naming).map_err(HandoverError::Name)?.to_string();
    let parameters = parameters(terms);
    Ok(Offer {
        region: region.to_string(),
        role_arn: role_arn(&terms.account, region, &terms.role_path),
        link: link(terms, region, &stack, &parameters),
        command: command(terms, region, &parameters),
        terraform: terraform(terms, region, &stack, &parameters),
        stack_set: stack_set(terms, region, &stack, &parameters),
        stack,
    })
}

type Parameters = Vec<(&'static str, String)>;

/// Returns the template's parameters whose defaults are not right.
fn parameters(terms: &Terms) -> Parameters {
    let mut parameters = vec![("CentralLogDistributionRoleArn", terms.central_role.to_string())];
    if let OwnId::Shown(id) = &terms.external_id {
        parameters.push(("ExternalId", id.reveal().to_string()));
    }
    let prefix = log_group_prefix(&terms.log_group);
    if prefix != LOG_GROUP_PREFIX {
        parameters.push(("LogGroupPrefix", prefix.to_owned()));
    }
    if terms.role_path != "/" {
        parameters.push(("RolePath", terms.role_path.clone()));
    }
    if terms.project.as_str() != USUAL_PROJECT {
        parameters.push(("ProjectName", terms.project.to_string()));
    }
    parameters
}

/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stacks-quick-create-links.html>.
fn link(terms: &Terms, region: &Region, stack: &str, parameters: &Parameters) -> String {
    let host = match Partition::of(region) {
        Partition::Aws => "console.aws.amazon.com",
        Partition::China => "console.amazonaws.cn",
        Partition::GovCloud => "console.amazonaws-us-gov.com",
    };
    let encoded = |text: &str| utf8_percent_encode(text, COMPONENT).to_string();
    let mut link = format!(
        "https://{region}.{host}/cloudformation/home?region={region}#/stacks/create/review?templateURL={}&stackName={}",
        encoded(&terms.template_url),
        encoded(stack)
    );
    for (name, value) in parameters {
        link.push_str(&format!("&param_{name}={}", encoded(value)));
    }
    link
}

fn command(terms: &Terms, region: &Region, parameters: &Parameters) -> String {
    let mut command = format!(
        "mtlog deploy customer -r {region} --account {} --central-role-arn {}",
        terms.account, terms.central_role
    );
    for (name, value) in parameters {
        match *name {
            "CentralLogDistributionRoleArn" => {}
            "ExternalId" => command.push_str(&format!(" --external-id {}", quoted(value))),
            "ProjectName" => command.push_str(&format!(" -p {}", quoted(value))),
            _ => command.push_str(&format!(" --param {}", quoted(&format!("{name}={value}")))),
        }
    }
    if matches!(terms.external_id, OwnId::Kept) {
        command.push_str(" --external-id-file -");
    }
    command
}

fn terraform(terms: &Terms, region: &Region, stack: &str, parameters: &Parameters) -> String {
    let label = region.as_str().replace('-', "_");
    let lines: String = parameters
        .iter()
        .map(|(name, value)| format!("    {name} = {}\n", hcl(value)))
        .chain(
            matches!(terms.external_id, OwnId::Kept)
                .then(|| "    ExternalId = var.mtlog_external_id\n".to_owned()),
        )
        .collect();
    format!(
        "resource \"aws_cloudformation_stack\" \"mtlog_{label}\" {{\n  # in the account {} and the region {region}\n  name         = {}\n  template_url = {}\n  \
         capabilities = [\"CAPABILITY_NAMED_IAM\"]\n  parameters = {{\n{lines}  }}\n}}\n",
        terms.account,
        hcl(stack),
        hcl(&terms.template_url)
    )
}

fn stack_set(terms: &Terms, region: &Region, stack: &str, parameters: &Parameters) -> String {
    let mut pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("ParameterKey={name},ParameterValue={}", quoted(value)))
        .collect();
    if matches!(terms.external_id, OwnId::Kept) {
        pairs.push("ParameterKey=ExternalId,ParameterValue=\"$MTLOG_EXTERNAL_ID\"".to_owned());
    }
    format!(
        "aws cloudformation create-stack-set --region {region} --stack-set-name {stack} --capabilities CAPABILITY_NAMED_IAM \\\n  \
         --template-url {} \\\n  --parameters {}\n\
         aws cloudformation create-stack-instances --region {region} --stack-set-name {stack} --accounts {} --regions {region}",
        quoted(&terms.template_url),
        pairs.join(" \\\n    "),
        terms.account
    )
}

/// Writes a text for a shell, in quotes where it needs them.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@+".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Writes a text for Terraform: JSON's escapes are HCL's, and a template sequence is doubled.
fn hcl(text: &str) -> String {
    let escaped = text.replace("${", "$${").replace("%{", "%%{");
    serde_json::Value::String(escaped).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            tenant: "acme".parse().unwrap(),
            account: "222222222222".parse().unwrap(),
            regions: vec!["us-east-2".parse().unwrap()],
            central_role: "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd"
                .parse()
                .unwrap(),
            external_id: OwnId::None,
            role_path: "/".to_owned(),
            log_group: "/ROSA/cluster-logs/acme".parse().unwrap(),
            project: "multi-tenant-logging".parse().unwrap(),
            template_url: "https://b.s3.us-east-2.amazonaws.com/mtlog/ab.yaml".to_owned(),
            death: None,
        }
    }

    #[test]
    fn a_link_carries_every_parameter_that_has_no_right_default() {
        let offer = &handover(&terms()).unwrap().offers[0];
        assert_eq!(
            offer.link,
            "https://us-east-2.console.aws.amazon.com/cloudformation/home?region=us-east-2#/stacks/create/review?\
             templateURL=https%3A%2F%2Fb.s3.us-east-2.amazonaws.com%2Fmtlog%2Fab.yaml\
             &stackName=multi-tenant-logging-customer-us-east-2\
             &param_CentralLogDistributionRoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2FROSA-CentralLogDistributionRole-0123abcd"
        );
        assert_eq!(
            offer.command,
            "mtlog deploy customer -r us-east-2 --account 222222222222 --central-role-arn \
             arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd"
        );
        assert_eq!(
            offer.role_arn,
            "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2"
        );
    }

    #[test]
    fn what_differs_from_the_defaults_stands_in_every_form() {
        let different = Terms {
            role_path: "/org/".to_owned(),
            log_group: "/our/logs/acme".parse().unwrap(),
            project: "other".parse().unwrap(),
            external_id: OwnId::Shown(Secret::new("id=1,2".parse().unwrap())),
            regions: vec!["us-gov-west-1".parse().unwrap()],
            ..terms()
        };
        let offer = handover(&different).unwrap().offers.remove(0);
        assert!(
            offer.link.contains("us-gov-west-1.console.amazonaws-us-gov.com"),
            "{}",
            offer.link
        );
        for part in [
            "param_ExternalId=id%3D1%2C2",
            "param_RolePath=%2Forg%2F",
            "param_LogGroupPrefix=%2Four%2Flogs%2F",
        ] {
            assert!(offer.link.contains(part), "{part} in {}", offer.link);
        }
        for part in [
            "--external-id id=1,2",
            "--param RolePath=/org/",
            "--param LogGroupPrefix=/our/logs/",
            "-p other",
        ] {
            assert!(offer.command.contains(part), "{part} in {}", offer.command);
        }
        assert!(offer.terraform.contains("ExternalId = \"id=1,2\""), "{}", offer.terraform);
        assert!(offer.stack_set.contains("ParameterValue=id=1,2"), "{}", offer.stack_set);
        assert_eq!(
            offer.role_arn,
            "arn:aws-us-gov:iam::222222222222:role/org/CustomerLogDistribution-us-gov-west-1"
        );
    }

    #[test]
    fn an_id_that_is_kept_back_is_in_no_form() {
        let kept = Terms { external_id: OwnId::Kept, ..terms() };
        let handover = handover(&kept).unwrap();
        assert_eq!(handover.external_id, "separate");
        let offer = &handover.offers[0];
        assert!(!offer.link.contains("ExternalId"), "{}", offer.link);
        assert!(offer.command.ends_with("--external-id-file -"), "{}", offer.command);
        for text in [handover.markdown().unwrap(), handover.text().unwrap()] {
            assert!(text.contains("ExternalId"), "{text}");
        }
    }

    #[test]
    fn words_for_a_shell_are_quoted_where_they_must_be() {
        for (text, expected) in [("a/b:c", "a/b:c"), ("a?b&c", "'a?b&c'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(text), expected);
        }
        assert_eq!(hcl("a\"${b}"), r#""a\"$${b}""#);
    }

    #[test]
    fn the_prefix_of_a_log_group_is_its_directory() {
        for (name, prefix) in [
            ("/ROSA/cluster-logs/acme", "/ROSA/cluster-logs/"),
            ("/our/logs/acme", "/our/logs/"),
            ("acme", "acme"),
            ("/acme", "/acme"),
        ] {
            assert_eq!(log_group_prefix(&name.parse().unwrap()), prefix);
        }
    }
}
