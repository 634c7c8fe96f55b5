"""Checks rendered Kubernetes manifests against schemas and with checkov.

Usage: python k8s_check.py RENDERED_DIRECTORY [DEFINITIONS_DIRECTORY]

RENDERED_DIRECTORY holds one YAML file for each built kustomization; `tests/snapshots/k8s` is one, which `cargo test`
holds equal to what kubectl builds.

- every resource of Kubernetes itself fits its schema, with no unknown field (kubernetes_validate, strict);
- every custom resource whose definition is in DEFINITIONS_DIRECTORY (by default tests/k8s/definitions) fits it, with no
  unknown field; the others are named as not checked;
- no two files disagree about a resource that they share and that belongs to neither, such as the namespace;
- checkov finds nothing but what a manifest's annotation accepts with a reason.

kubernetes_validate and PyYAML must be installed for this interpreter; checkov must be on the path. Prints what was
checked. Exits 0 when all is well, 1 otherwise.
"""

import collections
import json
import pathlib
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DEFINITIONS = REPOSITORY / "tests" / "k8s" / "definitions"
# Groups whose resources Kubernetes defines itself, besides those that end in .k8s.io.
OWN_GROUPS = {"", "apps", "autoscaling", "batch", "policy"}
# An annotation that accepts a finding is `ID=reason`; a reason is more than a word.
SHORTEST_REASON = 8


def main():
    rendered = pathlib.Path(sys.argv[1])
    definitions = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else DEFINITIONS
    resources = read(rendered)
    problems = [] if resources else [f"no manifests in {rendered}"]
    problems += check_schemas(resources, read_definitions(definitions))
    problems += check_shared(resources)
    problems += check_reasons(resources)
    problems += run_checkov(rendered)
    for problem in problems:
        print(f"error: {problem}")
    print("FAILED" if problems else "ok")
    return 1 if problems else 0


def read(directory):
    """Returns (file, resource) of every resource in the directory."""
    found = []
    for path in sorted(directory.glob("*.yaml")):
        with path.open(encoding="utf-8") as file:
            found += [(path.name, document) for document in yaml.safe_load_all(file) if document]
    return found


def read_definitions(directory):
    """Returns the schema of every custom resource by API version and kind."""
    schemas = {}
    for path in sorted(directory.glob("*.yaml")):
        with path.open(encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                if not document or document.get("kind") != "CustomResourceDefinition":
                    continue
                spec = document["spec"]
                for version in spec["versions"]:
                    api = f"{spec['group']}/{version['name']}"
                    schemas[api, spec["names"]["kind"]] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema):
    """Returns the schema as one that refuses fields it does not name, as the API server's strict mode does."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items() if key not in ("default", "example")}
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        result["type"] = [schema["type"], "null"]
    keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields")
    is_open = "additionalProperties" in schema or keeps_unknown or "properties" not in schema
    if schema.get("type") == "object" and not is_open:
        result["additionalProperties"] = False
    return result


def check_schemas(resources, definitions):
    """Validates every resource, and prints how many of which kind were checked against what."""
    problems = []
    checked = collections.Counter()
    unchecked = collections.Counter()
    for file, resource in resources:
        api, kind = resource.get("apiVersion", ""), resource.get("kind", "")
        name = f"{file}: {kind} {resource.get('metadata', {}).get('name')}"
        group = api.rpartition("/")[0]
        try:
            if group in OWN_GROUPS or group.endswith(".k8s.io"):
                kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
                checked[api, kind] += 1
            elif (api, kind) in definitions:
                # The definition says nothing about metadata, which the API server checks by itself.
                body = {key: value for key, value in resource.items() if key != "metadata"}
                jsonschema.Draft202012Validator(without_metadata(definitions[api, kind])).validate(body)
                checked[api, kind] += 1
            else:
                unchecked[api, kind] += 1
        except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
            path = ".".join(str(part) for part in getattr(error, "path", []))
            problems.append(f"{name}: {path}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            problems.append(f"{name}: Kubernetes {kubernetes_validate.latest_version()} has no {api} {kind}")
    files = len({file for file, _ in resources})
    print(f"{files} kustomizations, {len(resources)} resources, {sum(checked.values())} of them checked against"
          f" {len(checked)} schemas (Kubernetes {kubernetes_validate.latest_version()} and {len(definitions)} definitions)")
    for (api, kind), count in sorted(unchecked.items()):
        print(f"not checked, no definition at hand: {count} x {api} {kind}")
    return problems


def without_metadata(schema):
    properties = {key: value for key, value in schema.get("properties", {}).items() if key != "metadata"}
    required = [key for key in schema.get("required", []) if key != "metadata"]
    return {**schema, "properties": properties, "required": required}


def check_shared(resources):
    """A namespace that two files contain must be the same in both: applying one would undo the other."""
    seen = {}
    problems = []
    for file, resource in resources:
        if resource.get("kind") != "Namespace":
            continue
        name = resource["metadata"]["name"]
        other_file, other = seen.setdefault(name, (file, resource))
        if other != resource:
            problems.append(f"{file}: Namespace {name} differs from the one in {other_file}")
    return problems


def check_reasons(resources):
    problems = []
    for file, resource in resources:
        for key, value in (resource.get("metadata", {}).get("annotations") or {}).items():
            if key.startswith("checkov.io/skip") and len(value.partition("=")[2]) < SHORTEST_REASON:
                problems.append(f"{file}: {resource['kind']} {resource['metadata']['name']}: {key} gives no reason")
    return problems


def run_checkov(directory):
    """Returns checkov's findings that no annotation accepts."""
    command = ["checkov", "--directory", str(directory), "--framework", "kubernetes", "--skip-download", "--compact",
               "--output", "json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(finished.stdout)
        summary = report["summary"]
    except (ValueError, KeyError, TypeError):
        return [f"checkov ended with {finished.returncode} and no report: {finished.stderr.strip()[-400:]}"]
    accepted = collections.Counter(check["check_id"] for check in report["results"].get("skipped_checks", []))
    print(f"checkov {summary['checkov_version']}: {summary['passed']} passed, {summary['failed']} failed,"
          f" {summary['skipped']} accepted with a reason ({', '.join(sorted(accepted)) or 'none'})")
    problems = [f"checkov could not read {summary['parsing_errors']} files"] if summary["parsing_errors"] else []
    if summary["passed"] == 0:
        problems.append("checkov checked nothing")
    for check in report["results"].get("failed_checks", []):
        problems.append(f"{check['file_path'].lstrip('/')}: {check['check_id']}: {check['check_name']} ({check['resource']})")
    return problems


if __name__ == "__main__":
    sys.exit(main())
