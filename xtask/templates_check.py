"""Checks the CloudFormation templates without deploying them.

Usage: python templates_check.py [TEMPLATES_DIRECTORY]

- cfn-lint finds neither errors nor warnings, in the busiest region and in other partitions;
- checkov finds nothing but what a template suppresses with a reason;
- every action and every condition key of every policy exists and belongs together, and an action
  that knows resources is never granted on "*" (AWS's service authorisation data, from policy_sentry);
- every resource that AWS can tag is tagged (AWS's resource schemas, from cfn-lint);
- the region names that tests/templates/names.rs tries are all those that cfn-lint knows.

cfn-lint and policy_sentry must be installed for this interpreter; checkov must be on the path. Prints one line for each check. Exits 0 when all pass, 1 otherwise.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import cfnlint.decode
from cfnlint.helpers import REGIONS as KNOWN_REGIONS
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from policy_sentry.shared.iam_data import get_service_prefix_data

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]
# Keys that AWS puts into every request; policy_sentry lists them for no action.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = {
    "aws:principalarn",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
}


def cfn_lint(paths):
    program = pathlib.Path(sys.executable).parent / "cfn-lint"
    command = [program, "--regions", *REGIONS, "--", *paths]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    findings = (result.stdout + result.stderr).strip()
    if result.returncode or findings:
        return [findings or f"cfn-lint ended with {result.returncode}"]
    return []


def checkov(directory, templates):
    program = shutil.which("checkov")
    if not program:
        return ["checkov is not on the path"]
    command = [program, "--skip-download", "--framework", "cloudformation"]
    command += ["--directory", directory, "--output", "json", "--compact"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(result.stdout)
    except ValueError:
        return [f"checkov printed no report: {result.stderr.strip()[-2000:]}"]
    findings = []
    results = report["results"]
    for check in results["failed_checks"]:
        findings.append(f"{check['check_id']} {check['check_name']}: {check['resource']}")
    findings += [f"{path} cannot be parsed" for path in results["parsing_errors"]]
    for check in results["skipped_checks"]:
        if not check["check_result"].get("suppress_comment"):
            findings.append(f"{check['check_id']} on {check['resource']} has no reason")
    seen = {check["file_path"].lstrip("/") for check in results["passed_checks"]}
    # It has no check for nested stacks.
    for path, template in templates.items():
        kinds = {resource["Type"] for resource in template["Resources"].values()}
        if path not in seen and kinds != {"AWS::CloudFormation::Stack"}:
            findings.append(f"{path} was not looked at")
    if not findings:
        print(
            f"checkov: {len(results['passed_checks'])} checks passed, "
            f"{len(results['skipped_checks'])} suppressed with a reason"
        )
    return findings


def statements(node):
    """Yields every policy statement below a node, those in JSON text included."""
    if isinstance(node, dict):
        if "Effect" in node and ("Action" in node or "NotAction" in node):
            yield node
        for value in node.values():
            yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)
    elif isinstance(node, str) and node.lstrip().startswith("{") and '"Statement"' in node:
        yield from statements(json.loads(node))


def as_list(value):
    return value if isinstance(value, list) else [value]


def resource_text(resource):
    """Returns the text of a resource with its variables left open, or None for a reference."""
    text = resource if isinstance(resource, str) else resource.get("Fn::Sub")
    if not isinstance(text, str):
        return None
    text = re.sub(r"\$\{[^}]*\}", "X", text)
    return text if text == "*" or text.startswith("arn:") else None


def check_action(action, statement, is_identity):
    """Returns what is wrong with one action of a statement."""
    service, _, operation = action.partition(":")
    data = get_service_prefix_data(service)
    if not data:
        return [f"no service {service}"]
    if operation == "*":
        return []
    if operation not in data["privileges"]:
        return [f"no action {action}"]
    types = data["privileges"][operation]["resource_types"].values()
    findings = []

    keys = {key.lower() for kind in types for key in kind["condition_keys"]} | GLOBAL_KEYS
    families = tuple(key.split("${")[0] for key in keys if "${" in key)
    for operator, conditions in statement.get("Condition", {}).items():
        for key in map(str, conditions):
            # The keys of an identity provider carry its issuer.
            is_issuers = operation == "AssumeRoleWithWebIdentity" and key.startswith("${Issuer}:")
            if key.lower() not in keys and not key.lower().startswith(families) and not is_issuers:
                findings.append(f"{action} knows no condition key {key} ({operator})")

    kinds = {kind["resource_type"] for kind in types if kind["resource_type"]}
    services = {data["resources"][kind]["arn"].split(":")[2] for kind in kinds}
    if is_identity and statement["Effect"] == "Allow":
        for resource in as_list(statement["Resource"]):
            text = resource_text(resource)
            if text == "*" and kinds:
                findings.append(f"{action} knows resources and is granted on all")
            elif text and text != "*" and text.split(":")[2] not in services:
                findings.append(f"{action} is granted on {text}, but not about {services or 'any'}")
    return findings


def policies(templates):
    findings = []
    count = 0
    for name, template in templates.items():
        for logical_id, resource in template["Resources"].items():
            for statement in statements(resource.get("Properties", {})):
                is_identity = "Principal" not in statement
                for action in as_list(statement["Action"]):
                    count += 1
                    for finding in check_action(str(action), statement, is_identity):
                        findings.append(f"{name} {logical_id} {statement.get('Sid')}: {finding}")
    if not findings:
        print(f"policies: {count} actions and their condition keys exist")
    return findings


def tags(templates):
    findings = []
    tagged = 0
    for name, template in templates.items():
        for logical_id, resource in template["Resources"].items():
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
            if not schema.get("tagging", {}).get("taggable", "Tags" in schema["properties"]):
                continue
            tagged += 1
            if not resource["Properties"].get("Tags"):
                findings.append(f"{name} {logical_id} ({resource['Type']}) has no tags")
    if not findings:
        print(f"tags: all {tagged} resources that can be tagged are")
    return findings


def regions():
    # The regions that mtlog knows, and those that only the test of names adds.
    sources = ["src/onboard/rules.rs", "tests/templates/names.rs"]
    source = "".join((REPOSITORY / path).read_text(encoding="utf-8") for path in sources)
    listed = set(re.findall(r'"([a-z]{2,4}(?:-[a-z]+)+-[0-9]+)"', source))
    existing = set(KNOWN_REGIONS)
    if existing <= listed:
        print(f"regions: the tests try all {len(existing)} that are known")
    return [f"tests/templates/names.rs does not try {region}" for region in sorted(existing - listed)]


def main(directory):
    paths = sorted(directory.glob("*/*.yaml"))
    if not paths:
        sys.exit(f"no templates in {directory}")
    findings = cfn_lint(paths)
    if not findings:
        print(f"cfn-lint: nothing in {len(paths)} templates and {len(REGIONS)} regions")
        templates = {}
        for path in paths:
            template, _ = cfnlint.decode.decode(str(path))
            templates[str(path.relative_to(directory))] = template
        findings += checkov(directory, templates)
        findings += policies(templates)
        findings += tags(templates)
        findings += regions()
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else REPOSITORY / "templates"))
