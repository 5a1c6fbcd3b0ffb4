#!/usr/bin/env python3
"""What the functions need to run on one machine. Runs in the environment of aws-sam-cli.

infra/sam_local.py template     writes a copy of what `sam build` built for `sam local`: .aws-sam/build/local.yaml
infra/sam_local.py resources    makes what functions/local.env names, in the AWS that it names
infra/sam_local.py check        asserts that docs/lambda-local.md, functions/local.env, the events and the template agree
"""

import json
import os
import re
import shlex
import sys

import boto3
from dotenv import dotenv_values
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VARIABLES = dotenv_values(os.path.join(ROOT, "functions/local.env"))
PAGE = os.path.join(ROOT, "docs/lambda-local.md")
# In the template and not in the file: those that have a default or may be empty, of two for credentials a stack has one, and those of the console, which
# needs an issuer over TLS: `serve` shows the same pages without.
WITHOUT_VALUE = {"SCHEDULE_EXPRESSION", "EVIDENCE_RETENTION_DAYS", "PUBLIC_URL", "SAT_OAUTH_SECRET", "SECRET_KEY_ID", "SCHEDULE_TIMEZONE", "SERVICE_NAME", "CREDENTIAL_KEY_ID", "PREVIOUS_LOG_KEY_ID", "COMPANY_CLAIM", "ROLE_CLAIM", "CLIENTS_CLAIM", "WINDOW_CLAIM", "HAS_CONSOLE"} | {"OIDC_ISSUER", "CONSOLE_OIDC_SECRET", "CONSOLE_KEY_SECRET", "CONSOLE_SCOPES"}
# In the file and not in the template: where AWS and Huntress are, which no deployed stack is told.
OF_THE_MACHINE = re.compile(r"^(AWS|HUNTRESS)_")


def parsed(path):
    with open(os.path.join(ROOT, path)) as file:
        return yaml_parse(file.read())


def adapted(template):
    """The template with what `sam local` would not see: it passes on only variables that a function declares, and knows only routes that are events."""
    resources = template["Resources"]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables.update({variable: "" for variable in VARIABLES})
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            method, path = resource["Properties"]["RouteKey"].split(" ")
            integration = resource["Properties"]["Target"]["Fn::Sub"].split("${")[1].rstrip("}")
            function = resources[integration]["Properties"]["IntegrationUri"]["Ref"].removesuffix(".Alias")
            event = {"Type": "HttpApi", "Properties": {"Method": method, "Path": path, "PayloadFormatVersion": "2.0"}}
            resources[function]["Properties"].setdefault("Events", {})[name] = event
    return template


def template():
    path = ".aws-sam/build/local.yaml"
    with open(os.path.join(ROOT, path), "w") as file:
        file.write(yaml_dump(adapted(parsed(".aws-sam/build/template.yaml"))))
    print(path)


def resources():
    """The table as the template has it, the queue, the key and the bucket."""
    aws = lambda service: boto3.client(
        service,
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=VARIABLES["AWS_REGION"],
        aws_access_key_id=VARIABLES["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=VARIABLES["AWS_SECRET_ACCESS_KEY"],
    )
    table = parsed("template.yaml")["Resources"]["Table"]["Properties"]
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    aws("dynamodb").create_table(TableName=VARIABLES["TABLE_NAME"], **{name: table[name] for name in wanted})
    aws("sqs").create_queue(QueueName=VARIABLES["QUEUE_URL"].rsplit("/", 1)[1])
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    aws("kms").create_alias(AliasName=VARIABLES["PEOPLE_KEY_ID"], TargetKeyId=key)
    aws("s3").create_bucket(Bucket=VARIABLES["CERTIFICATE_BUCKET_URL"].rsplit("/", 1)[1])
    print("table, queue, key and bucket are there")


def commands(heading):
    """The commands of a section of the page."""
    with open(PAGE) as file:
        section = file.read().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def check():
    """As far as `sam local` goes before it starts a container, by its own code."""
    from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
    from samcli.lib.providers.api_provider import ApiProvider
    from samcli.lib.providers.provider import Stack
    from samcli.lib.providers.sam_function_provider import SamFunctionProvider

    original, copy = parsed("template.yaml"), adapted(parsed("template.yaml"))
    stack = Stack("", "", "template.yaml", {}, copy)
    functions = SamFunctionProvider([stack])
    runner = LocalLambdaRunner(None, functions, ROOT, ROOT, env_vars_values={"Parameters": dict(VARIABLES)})
    problems = []
    declared = set()
    for name, resource in original["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        shared = original["Globals"]["Function"]["Environment"]["Variables"]
        declared |= set(shared) | set(resource["Properties"].get("Environment", {}).get("Variables", {}))
        resolved = runner._make_env_vars(functions.get(name)).resolve()
        lost = {it for it in VARIABLES if resolved.get(it) != VARIABLES[it]}
        if lost or resolved.get("CREDENTIAL_KEY_ID"):
            problems.append(f"sam local would not pass on to {name}: {sorted(lost)}, or passes a credential's key")
    named = {it for it in VARIABLES if not OF_THE_MACHINE.match(it)}
    if named != declared - WITHOUT_VALUE:
        problems.append(f"functions/local.env and the template differ in {sorted(named ^ (declared - WITHOUT_VALUE))}")
    keys = {it["Properties"]["RouteKey"] for it in original["Resources"].values() if it["Type"] == "AWS::ApiGatewayV2::Route"}
    served = {f"{method} {route.path}" for route in ApiProvider([stack]).routes for method in route.methods}
    if not keys <= served:
        problems.append(f"sam local start-api would not serve {sorted(keys - served)}")
    with open(PAGE) as file:
        page = file.read()
    for line in re.findall(r"^(?:sam local|cargo lambda invoke) .*$", page, re.M):
        words = shlex.split(line, comments=True)
        given = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("--")}
        for option in ("--event", "--data-file"):
            if option in given:
                with open(os.path.join(ROOT, given[option])) as file:
                    json.load(file)
        if words[:3] == ["sam", "local", "invoke"] and not functions.get(words[3]):
            problems.append(f"the template has no function {words[3]}")
        if words[0] == "sam" and (given["--env-vars"], given["--template"]) != ("functions/local.env", ".aws-sam/build/local.yaml"):
            problems.append(f"without the variables of this machine: {line}")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"sam local would start {len(list(functions.get_all()))} functions with {len(VARIABLES)} variables, and serve {len(keys)} routes")


if __name__ == "__main__":
    steps = {"template": template, "resources": resources, "check": check}
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit(__doc__)
    steps[sys.argv[1]]()
