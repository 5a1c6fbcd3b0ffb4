#!/usr/bin/env python3
"""Asserts on the template after the SAM transform what no emulator proves: permissions, keeping, schedule, alarms.

Runs in the environment of aws-sam-cli. Usage: infra/check_template.py [template.yaml]
"""

import copy
import json
import os
import re
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FUNCTIONS = {name for name in os.listdir(os.path.join(ROOT, "functions")) if os.path.isdir(os.path.join(ROOT, "functions", name))}

problems = []


def check(holds, what):
    if not holds:
        problems.append(what)


def transform(path):
    """The CloudFormation template that SAM makes of ours."""

    class NoPolicies:
        """Managed policies are looked up in AWS; there are none here."""

        def load(self):
            return {}

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with open(path) as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As `sam package` leaves it.
            resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
    return Translator(NoPolicies().load(), Parser()).translate(template, parameter_values={})


def name_of(value):
    """A resource as people write it: `Table`, `Table/index/due`, or an ARN with its variables."""
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return value["Fn::GetAtt"][0]
    if isinstance(value, dict) and "Ref" in value:
        return value["Ref"]
    if isinstance(value, dict) and "Fn::Sub" in value:
        return re.sub(r"^\$\{(\w+)\.Arn\}", r"\1", value["Fn::Sub"])
    return value


def meet(one, other):
    """Whether some key is in both patterns."""
    one, other = one.split("*")[0], other.split("*")[0]
    return one.startswith(other) or other.startswith(one)


def listed(value):
    return value if isinstance(value, list) else [value]


def statement(raw):
    """A statement of a policy in the form of permissions.json."""
    known = {"Sid", "Effect", "Action", "Resource", "Condition"}
    check(set(raw) <= known and raw["Effect"] == "Allow", f"{raw.get('Sid')}: only plain Allow statements are compared")
    entry = {
        "sid": raw["Sid"],
        "actions": sorted(listed(raw["Action"])),
        "resources": sorted(name_of(it) for it in listed(raw["Resource"])),
    }
    condition = copy.deepcopy(raw.get("Condition", {}))
    if condition.pop("Null", None) == {"dynamodb:LeadingKeys": "false"}:
        entry["leading_keys"] = condition.pop("ForAllValues:StringLike")["dynamodb:LeadingKeys"]
    attributes = condition.pop("ForAllValues:StringEquals", None)
    if attributes:
        entry["attributes"] = sorted(attributes["dynamodb:Attributes"])
    equals = condition.pop("StringEquals", {})
    if "kms:ViaService" in equals:
        entry["via"] = sorted(name_of(it).split(".")[0] for it in listed(equals.pop("kms:ViaService")))
    if "kms:EncryptionContext:purpose" in equals:
        entry["purposes"] = sorted(equals.pop("kms:EncryptionContext:purpose"))
    condition.update({"StringEquals": equals} if equals else {})
    check(not condition, f"{raw['Sid']}: a condition that permissions.json cannot express: {condition}")
    return entry


# The conditions that the parameter Secrets decides.
SECRETS = {"SecretsManaged": "manager", "SecretsSealed": "sealed"}


def granted(resources, secrets):
    """The statements of each role, its own and those attached to it, where the parameter Secrets has this value."""
    roles = {}
    resources = {name: it for name, it in resources.items() if SECRETS.get(it.get("Condition"), secrets) == secrets}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            properties = resource["Properties"]
            check(not properties.get("ManagedPolicyArns"), f"{name}: a managed policy allows more than the function needs")
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            roles[name] = [statement(it) for document in documents for it in document["Statement"]]
    for resource in resources.values():
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for role in resource["Properties"]["Roles"]:
                roles[name_of(role)] += [statement(it) for it in resource["Properties"]["PolicyDocument"]["Statement"]]
    return roles


def permissions(template):
    resources, parameter = template["Resources"], {"Ref": "Secrets"}
    for condition, value in SECRETS.items():
        check(template["Conditions"][condition] == {"Fn::Equals": [parameter, value]}, f"{condition} is not Secrets={value}")
        permissions_of(resources, value)


def permissions_of(resources, secrets):
    with open(os.path.join(HERE, "permissions.json")) as file:
        expected = json.load(file)
    found = granted(resources, secrets)
    for role in sorted(set(expected["roles"]) | set(found)):
        wanted = expected["roles"].get(role, {}).get("statements", [])
        wanted = [it for it in wanted if it.get("secrets", secrets) == secrets]
        wanted = {it["sid"]: {key: it[key] for key in it if key not in ("for", "secrets")} for it in wanted}
        there = {it["sid"]: it for it in found.get(role, [])}
        check(len(there) == len(found.get(role, [])), f"{role}: two statements have one Sid")
        for sid in sorted(set(wanted) | set(there)):
            check(
                wanted.get(sid) == there.get(sid),
                f"{role}/{sid}: permissions.json has {wanted.get(sid)}, the template {there.get(sid)}",
            )
    for role, statements in found.items():
        for it in statements:
            anywhere = it["resources"] == ["*"]
            unscoped = set(it["actions"]) <= set(expected["without_resources"])
            check(anywhere <= unscoped, f"{role}/{it['sid']}: allowed on every resource")
            for action in it["actions"]:
                check("*" not in action, f"{role}/{it['sid']}: {action} is more than one action")

    def allows(role, action, key=None):
        statements = [it for it in found[role] if action in it["actions"]]
        return [it for it in statements if key is None or any(meet(key, own) for own in it.get("leading_keys", [key]))]

    writes = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"]
    for action in writes:
        check(not allows("ConnectionTestRole", action, "EVIDENCE#*"), f"the connection test has {action} on evidence")
        check(not allows("ConnectionTestRole", action, "CONNECTION#*"), f"the connection test has {action} on runs")
        for role in ("OnDemandSyncRole", "ScheduledSyncRole"):
            check(not allows(role, action, "EVIDENCE#*"), f"{role} has {action} on evidence")
        check(not allows("OnDemandSyncRole", action, "COMPANY#*"), f"Sync Now has {action} on connections")
        # That a run ended as abandoned is all that it may say of a connection.
        told = {"last_failure", "paused", "pk", "schema_version", "sk", "status"}
        for it in allows("ScheduledSyncRole", action, "COMPANY#*"):
            limited = action == "dynamodb:UpdateItem" and set(it.get("attributes", [])) == told
            check(limited, f"ScheduledSyncRole/{it['sid']} has {action} on more of a connection")
    readers = {"SyncWorkerRole", "ConnectionTestRole"}
    for role, statements in found.items():
        for it in statements:
            what = f"{role}/{it['sid']} with Secrets={secrets}"
            managed = any(action.startswith("secretsmanager:") for action in it["actions"])
            # A statement on the table that names no keys reaches all of them.
            keys = it.get("leading_keys", ["*"] if "Table" in it["resources"] else [])
            sealed = any(meet(key, "CREDENTIAL#*") for key in keys) or "credential" in it.get("purposes", [])
            check(not managed or (secrets == "manager" and role in readers), f"{what} reaches secrets")
            check(not sealed or (secrets == "sealed" and role in readers), f"{what} reaches sealed credentials")
            check(not sealed or set(it["actions"]) <= {"dynamodb:GetItem", "kms:Decrypt"}, f"{what} does more than read")
            # Any use of the key but through a service or for a purpose would open every credential.
            bounded = "Key" not in it["resources"] or it.get("via") or it.get("purposes")
            check(bounded, f"{what} uses the key for anything")
    owners = {"company", "id", "product", "mapping"}
    for role in found:
        for action in ("dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"):
            check(not allows(role, action, "COMPANY#*"), f"{role} could replace a connection or take it away with {action}")
        for it in allows(role, "dynamodb:UpdateItem", "COMPANY#*"):
            named = set(it.get("attributes", owners))
            check(not owners & named, f"{role}/{it['sid']} could change whose a connection is")


def trust(resources):
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            for it in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                check(set(it["Principal"]) == {"Service"}, f"{name}: only a service takes this role")


def keeping(resources):
    """No removal or replacement by the stack takes away what cannot be had again."""
    kept = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket")
    found = {name: it for name, it in resources.items() if it["Type"] in kept}
    check({"Table", "Key"} <= set(found), "there are a table and a key")
    for name, resource in found.items():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            check(resource.get(policy) == "Retain", f"{name}: {policy} is not Retain")


def triggers(resources):
    schedules = [it["Properties"] for it in resources.values() if it["Type"] == "AWS::Scheduler::Schedule"]
    check(len(schedules) == 2, f"{len(schedules)} schedules: one for the day, one for the hour")
    for schedule in schedules:
        retries, aside = (schedule["Target"][it] for it in ("RetryPolicy", "DeadLetterConfig"))
        check(retries["MaximumRetryAttempts"] == 5, "a schedule is tried again")
        check(name_of(aside["Arn"]) == "ScheduleDeadLetters", "a schedule's dead letters")
    daily = [it for it in schedules if "task" not in it["Target"]["Input"]]
    check(len(daily) == 1, "one schedule plans the day")
    for schedule in daily:
        check(schedule["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}, "the daily one knows its time zone")
        check("FlexibleTimeWindow" in schedule, "the daily one has a flexible window")
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    check(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], "a batch fails by its items")
    check(1 <= mapping["BatchSize"] <= 10, "1 to 10 messages in a batch")
    check("MaximumConcurrency" in mapping["ScalingConfig"], "the mapping bounds the workers")
    config = only(resources, "AWS::Lambda::EventInvokeConfig")
    check("OnFailure" in config["DestinationConfig"], "a failed tick is put aside")
    queue = resources["Queue"]["Properties"]
    check(name_of(queue["RedrivePolicy"]["deadLetterTargetArn"]) == "RunDeadLetters", "the queue's dead letters")
    timeout = next(it for name, it in functions(resources).items() if name == "SyncWorker")["Timeout"]
    check(queue["VisibilityTimeout"] >= 6 * timeout, "the queue waits six times the worker's time-out")


def api(resources):
    for name, resource in resources.items():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            route = resource["Properties"]
            check(route.get("AuthorizationType") == "JWT", f"{name}: needs no token")
            scope = scope_of(*route["RouteKey"].split(" "), "PeopleApi" in route["Target"]["Fn::Sub"])
            wanted = {"Fn::If": ["DemandScopes", [{"Fn::Sub": f"${{PeopleScopes}}{scope}"}], {"Ref": "AWS::NoValue"}]}
            check(route.get("AuthorizationScopes") == (wanted if scope else None), f"{name}: needs the scope {scope}")
    stage = only(resources, "AWS::ApiGatewayV2::Stage")
    for settings in [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]:
        check({"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(settings), "every route is throttled")
    keys = {it["Properties"]["RouteKey"] for it in resources.values() if it["Type"] == "AWS::ApiGatewayV2::Route"}
    check(set(stage["RouteSettings"]) <= keys, "settings for a route that is not there")
    check(stage.get("AccessLogSettings"), "requests are logged")


def scope_of(method, path, about_people):
    """The scope that a route about people needs: the most that it can do."""
    end = path.rsplit("/", 1)[1]
    if end in ("identity", "certificate"):
        return "open"
    # A mode that keeps less erases the rest.
    if end == "privacy" or (method == "DELETE" and "/people" in path):
        return "erase"
    if about_people and (method == "GET" or end == "lookup"):
        return "read"
    return "change" if about_people or (method, end) == ("PUT", "assignments") else None


def hardening(resources):
    found = functions(resources)
    check(len(found) == len(FUNCTIONS), f"functions: {sorted(found)} for {sorted(FUNCTIONS)}")
    for name, it in found.items():
        check("ReservedConcurrentExecutions" in it, f"{name}: no reserved concurrency")
        check(it["TracingConfig"]["Mode"] == {"Ref": "Tracing"}, f"{name}: no tracing")
        check(name_of(it["LoggingConfig"]["LogGroup"]) in resources, f"{name}: a log group that the stack does not make")
        variables = set(it["Environment"]["Variables"])
        check(not any(key.startswith("HUNTRESS_") for key in variables), f"{name}: only a person at a desk sets HUNTRESS_…")
    for name, resource in resources.items():
        properties, kind = resource.get("Properties", {}), resource["Type"]
        if kind == "AWS::Logs::LogGroup":
            check("RetentionInDays" in properties and "KmsKeyId" in properties, f"{name}: no retention, or no key")
        if kind == "AWS::SQS::Queue":
            check("KmsMasterKeyId" in properties, f"{name}: not under the key")
        if kind == "AWS::Lambda::Permission":
            check("SourceArn" in properties, f"{name}: anybody's API could call")
    table = resources["Table"]["Properties"]
    check(table["SSESpecification"]["SSEType"] == "KMS", "the table is under the key")
    check(table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}, "the table forgets")
    check(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], "the table can be taken back")


def alarms(resources):
    with open(os.path.join(ROOT, "docs/operations.md")) as file:
        handbook = file.read()
    dashboard = only(resources, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]
    json.loads(dashboard)
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::CloudWatch::Alarm":
            check([name_of(it) for it in properties["AlarmActions"]] == ["AlarmTopic"], f"{name}: tells nobody")
            check("TreatMissingData" in properties, f"{name}: says nothing of missing data")
            check(f"${{{name}.Arn}}" in dashboard, f"{name}: not on the dashboard")
            check(f"### {name}\n" in handbook, f"{name}: docs/operations.md does not say what to do")
            known = metrics() if properties.get("Namespace") == "HuntressEvidence" else {properties.get("MetricName")}
            check(properties.get("MetricName") in known, f"{name}: the functions write no such metric")
        if kind == "AWS::Logs::QueryDefinition":
            check(name_of(properties["Name"]).split("/", 1)[1] in handbook, f"{name}: not in docs/operations.md")
    check(resources["DailyRunMissing"]["Properties"]["TreatMissingData"] == "breaching", "a missed morning is missed")


def metrics():
    """The metrics that the code writes."""
    with open(os.path.join(ROOT, "common/src/aws/telemetry.rs")) as file:
        return set(re.findall(r'\("(\w+)", Unit::', file.read()))


def functions(resources):
    return {name: it["Properties"] for name, it in resources.items() if it["Type"] == "AWS::Lambda::Function"}


def only(resources, kind):
    found = [it["Properties"] for it in resources.values() if it["Type"] == kind]
    check(len(found) == 1, f"{len(found)} resources of type {kind}")
    return found[0]


def main():
    template = transform(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "template.yaml"))
    resources = template["Resources"]
    permissions(template)
    for part in (trust, keeping, triggers, api, hardening, alarms):
        part(resources)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{len(resources)} resources after the transform: permissions, keeping, triggers, API, alarms are as they should be")


if __name__ == "__main__":
    main()
