#!/usr/bin/env python3
"""Asserts on the template after the SAM transform what no emulator proves: permissions, keeping, schedule, versions, alarms.

Each rule has a name and is one assertion. infra/template_breaks.py breaks the template in one way for each of them, and a rule that is never seen to
fail, fails this program. Runs in the environment of aws-sam-cli. Usage: infra/check_template.py
"""

import copy
import json
import os
import re
import sys
from itertools import product

from cloudformation import ROOT, evaluated, source, transformed

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = {name for name in os.listdir(os.path.join(ROOT, "functions")) if os.path.isdir(os.path.join(ROOT, "functions", name))}
# One value for each parameter without default, and for each that exists already.
STATE = ("Table", "Key", "CredentialKey", "PeopleKey", "LogKey", "CertificateBucket")
EXISTING = {f"Existing{it}": f"existing-{it.lower()}" for it in STATE}
REPLACING = {"PreviousLogKey": "${PreviousLogKey}"}
REDIRECT = {"SatOauthSecret": "${SatOauthSecret}"}
VPC = {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"}
# SAM makes it where functions are deployed gradually.
CODE_DEPLOY = "CodeDeployServiceRole"


class Checks:
    """What was asserted, and what did not hold."""

    def __init__(self):
        self.rules, self.problems = set(), []

    def __call__(self, rule, holds, what=""):
        self.rules.add(rule)
        if not holds:
            self.problems.append((rule, what))


def name_of(value):
    """A resource as people write it: `Table`, `Table/index/due`, or an ARN with its variables."""
    if not isinstance(value, str):
        return value
    value = re.sub(r"^\$\{Removable(\w+)", r"${\1", value)
    value = re.sub(r"^arn:\$\{AWS::Partition\}:s3:::\$\{(?:Removable)?(\w+)\}", r"\1", value)
    value = re.sub(r"^\$\{(\w+?)Aliaslive\}$", r"\1:live", value)
    return re.sub(r"^\$\{(\w+)(?:\.\w+)?\}", r"\1", value)


def meet(one, other):
    """Whether some key is in both patterns."""
    one, other = one.split("*")[0], other.split("*")[0]
    return one.startswith(other) or other.startswith(one)


def listed(value):
    return value if isinstance(value, list) else [value]


def of_type(resources, kind):
    return {name: it.get("Properties", {}) for name, it in resources.items() if it["Type"] == kind}


def only(resources, kind):
    found = list(of_type(resources, kind).values())
    if len(found) != 1:
        raise ValueError(f"{len(found)} resources of type {kind}")
    return found[0]


# --- permissions ---


def statement(check, raw):
    """A statement of a policy in the form of permissions.json."""
    known = {"Sid", "Effect", "Action", "Resource", "Condition"}
    check("statements-allow", set(raw) <= known and raw["Effect"] == "Allow", f"{raw.get('Sid')}: only plain Allow statements are compared")
    entry = {
        "sid": raw["Sid"],
        "actions": sorted(listed(raw.get("Action", []))),
        "resources": sorted(name_of(it) for it in listed(raw.get("Resource", []))),
    }
    condition = copy.deepcopy(raw.get("Condition", {}))
    if condition.pop("Null", None) == {"dynamodb:LeadingKeys": "false"}:
        entry["leading_keys"] = sorted(condition.pop("ForAllValues:StringLike")["dynamodb:LeadingKeys"])
    attributes = condition.pop("ForAllValues:StringEquals", None)
    if attributes:
        entry["attributes"] = sorted(attributes["dynamodb:Attributes"])
    equals = condition.pop("StringEquals", {})
    if "kms:ViaService" in equals:
        entry["via"] = sorted(it.split(".")[0] for it in listed(equals.pop("kms:ViaService")))
    if "kms:EncryptionContext:purpose" in equals:
        entry["purposes"] = sorted(equals.pop("kms:EncryptionContext:purpose"))
    condition.update({"StringEquals": equals} if equals else {})
    check("conditions-comparable", not condition, f"{raw['Sid']}: a condition that permissions.json cannot express: {condition}")
    return entry


def granted(check, resources):
    """The statements of each role, and of each policy that people attach."""
    found = {}
    for name, it in of_type(resources, "AWS::IAM::Role").items():
        if name == CODE_DEPLOY:
            continue
        check("no-policies-of-aws", not it.get("ManagedPolicyArns"), f"{name}: a managed policy allows more than the function needs")
        documents = [policy["PolicyDocument"] for policy in it.get("Policies", [])]
        written = re.sub(r"\s", "", "".join(map(json.dumps, documents)))
        # Names of an account and of a table are as long as what stands for them here, or shorter.
        check("policies-fit", len(written) <= LARGEST_POLICIES, f"{name}: {len(written)} characters of inline policies, IAM takes {LARGEST_POLICIES}")
        found[name] = [statement(check, it) for document in documents for it in document["Statement"]]
    check("policies-inline", not of_type(resources, "AWS::IAM::Policy"), "Lambda checks a role when it makes the function: a policy beside it comes too late")
    for name, it in of_type(resources, "AWS::IAM::ManagedPolicy").items():
        check("policies-inline", not it.get("Roles"), f"{name} is attached to a role, and comes too late")
        found[name] = [statement(check, it) for it in it["PolicyDocument"]["Statement"]]
    return found


def permissions(check, template):
    with open(os.path.join(HERE, "permissions.json")) as file:
        expected = json.load(file)
    for secrets, vpc, locked in product(("manager", "sealed"), ({}, VPC), ({}, {"CheckpointBucket": "${CheckpointBucket}"})):
        resources = evaluated(template, Secrets=secrets, SecretPrefix="${SecretPrefix}", **vpc, **locked)["Resources"]
        permissions_of(check, resources, expected, secrets, vpc, locked)
    for secrets in ("manager", "sealed"):
        resources = evaluated(template, Secrets=secrets, SecretPrefix="${SecretPrefix}", **REDIRECT)["Resources"]
        permissions_of(check, resources, expected, secrets, {}, {}, REDIRECT)
    resources = evaluated(template, Secrets="manager", SecretPrefix="${SecretPrefix}", **REPLACING)["Resources"]
    permissions_of(check, resources, expected, "manager", {}, {}, replacing=REPLACING)
    untraced = granted(check, evaluated(template, Tracing="PassThrough")["Resources"])
    actions = {action for statements in untraced.values() for it in statements for action in it["actions"]}
    check("untraced-without-xray", not any(it.startswith("xray:") for it in actions), "PassThrough leaves the permission for traces")


def permissions_of(check, resources, expected, secrets, vpc, locked, redirect=None, replacing=None):
    found = granted(check, resources)
    wanted_of = {**expected["roles"], **expected["policies"]}
    for role in sorted(set(wanted_of) | set(found)):
        wanted = wanted_of.get(role, {}).get("statements", [])
        wanted = [it for it in wanted if it.get("secrets", secrets) == secrets and (vpc or not it.get("vpc")) and (locked or not it.get("locked")) and (redirect or not it.get("redirect")) and it.get("replacing", bool(replacing)) == bool(replacing)]
        wanted = {it["sid"]: {key: it[key] for key in it if key not in ("for", "secrets", "vpc", "locked", "redirect", "replacing")} for it in wanted}
        there = {it["sid"]: it for it in found.get(role, [])}
        check("sids-unique", len(there) == len(found.get(role, [])), f"{role}: two statements have one Sid")
        for sid in sorted(set(wanted) | set(there)):
            check("as-permissions-json", wanted.get(sid) == there.get(sid), f"{role}/{sid}: permissions.json has {wanted.get(sid)}, the template {there.get(sid)}")
    for role, statements in found.items():
        for it in statements:
            unscoped = set(it["actions"]) <= set(expected["without_resources"])
            check("resources-named", "*" not in it["resources"] or unscoped, f"{role}/{it['sid']}: allowed on every resource")
            check("actions-named", not any("*" in action for action in it["actions"]), f"{role}/{it['sid']}: more than one action in a word")
            alone = role == "LogSigningRole" and set(it["actions"]) <= {"kms:GetPublicKey", "kms:Sign"}
            signs = any("LogKey" in str(resource) for resource in it["resources"])
            check("log-key-signs", not signs or alone, f"{role}/{it['sid']}: only the signing function uses the key of the log, and only to sign")
    roles = {name: it for name, it in found.items() if name not in expected["policies"]}
    for role, statements in roles.items():
        once(check, role, statements)
    reach(check, roles, secrets)
    for function in of_type(resources, "AWS::Lambda::Function").values():
        role = name_of(function["Role"])
        actions = {action for it in roles[role] for action in it["actions"]}
        check("traced-role", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"} <= actions, f"{role}: Lambda makes no traced function without these")
        check("networked-role", not vpc or "ec2:CreateNetworkInterface" in actions, f"{role}: Lambda makes no function in a VPC without this")
        check("logging-role", {"logs:CreateLogStream", "logs:PutLogEvents"} <= actions, f"{role}: no log")
    for mapping in of_type(resources, "AWS::Lambda::EventSourceMapping").values():
        function = name_of(mapping["FunctionName"]).removesuffix(":live")
        role = roles[name_of(resources[function]["Properties"]["Role"])]
        actions = {action for it in role if name_of(mapping["EventSourceArn"]) in it["resources"] for action in it["actions"]}
        check("mapping-role", {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} <= actions, f"{function}: Lambda makes no mapping without these")
    for config in of_type(resources, "AWS::Lambda::EventInvokeConfig").values():
        function = name_of(config["FunctionName"])
        target = name_of(config["DestinationConfig"]["OnFailure"]["Destination"])
        allowed = any("sqs:SendMessage" in it["actions"] and target in it["resources"] for it in roles[name_of(resources[function]["Properties"]["Role"])])
        check("destination-role", allowed, f"{function}: Lambda makes no destination that its role may not send to")


# What is sealed is read and written alone, in no transaction; so is who is on the way to Huntress, who exchanges a refresh token, and when a record ends.
ALONE = ("EndRecords", "ReadSealedCredentials", "WriteSealedCredentials", "ExchangeTokens", "KeepSealedTokens")
# A rotated refresh token takes the place of the one that was exchanged: who reads credentials keeps it, too.
ROTATION = ("KeepTokens", "KeepTokensUnderKey", "KeepSealedTokens", "SealTokens")
CONSOLE_CLIENT = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${ConsoleOidcSecret}-??????"
OAUTH_CLIENT = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SatOauthSecret}-??????"


# Of all inline policies of a role together, without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LARGEST_POLICIES = 10240


def once(check, role, statements):
    """AWS does not say whether LeadingKeys hold the keys of one member of a transaction or of all: right under both readings is one statement."""
    seen = {}
    for it in statements:
        if "Table" in it["resources"] and it["sid"] not in ALONE:
            for action in it["actions"]:
                check("one-statement-per-action", action not in seen, f"{role}: {seen.get(action)} and {it['sid']} both have {action}")
                seen[action] = it["sid"]
            check("keys-named", it.get("leading_keys"), f"{role}/{it['sid']}: all keys of the table")


def reach(check, roles, secrets):
    """What no role may do, whatever permissions.json says."""

    def allows(role, action, key):
        statements = [it for it in roles[role] if action in it["actions"]]
        return [it for it in statements if any(meet(key, own) for own in it.get("leading_keys", [key]))]

    for action in ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"):
        check("test-writes-no-evidence", not allows("ConnectionTestRole", action, "EVIDENCE#*"), f"the connection test has {action} on evidence")
        check("test-writes-no-run", not allows("ConnectionTestRole", action, "CONNECTION#*"), f"the connection test has {action} on runs")
        for role in ("OnDemandSyncRole", "ScheduledSyncRole"):
            check("planner-writes-no-evidence", not allows(role, action, "EVIDENCE#*"), f"{role} has {action} on evidence")
        check("sync-now-writes-no-connection", not allows("OnDemandSyncRole", action, "COMPANY#*"), f"Sync Now has {action} on connections")
    # The pages do both, each for who may.
    readers = {"SyncWorkerRole", "ConnectionTestRole", "ConsoleConnectionsRole"}
    # The one that people make and remove connections with: it writes credentials, and reads none.
    writer = "ConnectionsApiRole"
    writers = {writer, "ConsoleConnectionsRole"}
    names = {"SyncWorkerRole", "PeopleApiRole", "ConsoleConnectionsRole"}
    owners = {"company", "id", "product", "mapping"}
    for role, statements in roles.items():
        for it in statements:
            what = f"{role}/{it['sid']} with Secrets={secrets}"
            # The OAuth clients are the operator's and the key of cookies is the stack's, no customer's credential.
            own = set(it["resources"]) <= {OAUTH_CLIENT} or (role == "ConsoleRole" and set(it["resources"]) <= {CONSOLE_CLIENT, "ConsoleCookieKey"}) or (role == "ConsoleConnectionsRole" and it["resources"] == ["ConsoleCookieKey"])
            managed = any(action.startswith("secretsmanager:") for action in it["actions"]) and not own
            # A statement on the table that names no keys reaches all of them.
            keys = it.get("leading_keys", ["*"] if "Table" in it["resources"] else [])
            sealed = any(meet(key, "CREDENTIAL#*") for key in keys) or "credential" in it.get("purposes", [])
            check("secrets-for-readers", not managed or (secrets == "manager" and role in readers | writers), f"{what} reaches secrets")
            check("sealed-for-readers", not sealed or (secrets == "sealed" and role in readers | writers), f"{what} reaches sealed credentials")
            check("credentials-read-only", not sealed or role in writers or it["sid"] in ROTATION or set(it["actions"]) <= {"dynamodb:GetItem", "kms:Decrypt"}, f"{what} does more than read")
            opens = (managed and "secretsmanager:GetSecretValue" in it["actions"]) or (sealed and {"dynamodb:GetItem", "kms:Decrypt"} & set(it["actions"]))
            check("credentials-write-only", role != writer or not opens, f"{what} reads credentials")
            # A secret is made with its tags.
            check("secrets-tagged", "secretsmanager:CreateSecret" not in it["actions"] or "secretsmanager:TagResource" in it["actions"], f"{what} may make no secret that has tags")
            # Any use of a key but through a service or for a purpose would open whatever is under it.
            keyed = {"Key", "CredentialKey", "PeopleKey"} & set(it["resources"])
            check("keys-for-a-purpose", not keyed or it.get("via") or it.get("purposes"), f"{what} uses a key for anything")
            wrong = "PeopleKey" in keyed and set(it.get("purposes", [])) - {"people", "person-hash"}
            wrong = wrong or ("CredentialKey" in keyed and (set(it.get("purposes", [])) - {"credential"} or set(it.get("via", [])) - {"secretsmanager"}))
            check("keys-apart", not wrong, f"{what} uses a key for what another is for")
            check("names-for-few", "PeopleKey" not in keyed or role in names, f"{what} opens names")
        if role in writers:
            continue
        for action in ("dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"):
            check("no-connection-replaced", not allows(role, action, "COMPANY#*"), f"{role} could replace a connection or take it away with {action}")
        for it in allows(role, "dynamodb:UpdateItem", "COMPANY#*"):
            check("owner-unchangeable", not owners & set(it.get("attributes", owners)), f"{role}/{it['sid']} could change whose a connection is")


def trust(check, template):
    resources = evaluated(template)["Resources"]
    for name, it in of_type(resources, "AWS::IAM::Role").items():
        for it in it["AssumeRolePolicyDocument"]["Statement"]:
            check("trust-services", set(it["Principal"]) == {"Service"}, f"{name}: only a service takes this role")
            if "scheduler.amazonaws.com" in listed(it["Principal"]["Service"]):
                named = [key for condition in it.get("Condition", {}).values() for key in condition]
                check("scheduler-of-this-stack", {"aws:SourceAccount", "aws:SourceArn"} <= set(named), f"{name}: any schedule could take this role")
    topic = only(resources, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    for it in topic:
        if it["Effect"] == "Allow":
            named = {key for condition in it.get("Condition", {}).values() for key in condition}
            check("topic-for-this-stack", "aws:SourceArn" in named, f"{it['Sid']}: anybody's alarm could be told here")


# --- state ---

KEPT = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket")


def keeping(check, template):
    """What production keeps, what development leaves behind, and what a stack over existing state makes."""
    production, development, over = (evaluated(template, **it)["Resources"] for it in ({}, {"Stage": "development"}, EXISTING))
    for name in (*STATE, "ApiLog"):
        check("state-made", name in production, f"{name} is not made")
        # What a failed creation leaves behind is in nobody's stack.
        it = production.get(name, {})
        check("kept-on-removal", it.get("DeletionPolicy") == "RetainExceptOnCreate", f"{name}: DeletionPolicy {it.get('DeletionPolicy')}")
        check("kept-on-replacement", it.get("UpdateReplacePolicy") == "Retain", f"{name}: UpdateReplacePolicy {it.get('UpdateReplacePolicy')}")
    for name, it in development.items():
        # A version goes with its function.
        kept = {"DeletionPolicy", "UpdateReplacePolicy"} & {key for key, value in it.items() if str(value).startswith("Retain")}
        check("development-removable", not kept or it["Type"] == "AWS::Lambda::Version", f"{name} outlives a development stack")
    kinds = lambda resources, kind: sum(it["Type"] == kind for it in resources.values())
    for kind in KEPT:
        check("development-alike", kinds(development, kind) == kinds(production, kind), f"{kind}: development has others than production")
    check("development-unprotected", all(not it["DeletionProtectionEnabled"] for it in of_type(development, "AWS::DynamoDB::Table").values()), "a protected table in development")
    tables = of_type(production, "AWS::DynamoDB::Table").values()
    check("production-protected", all(it["DeletionProtectionEnabled"] == "true" for it in tables), "the table of production is not protected")
    made = {name for name, it in over.items() if it["Type"] in KEPT}
    check("existing-state-used", made == {"AlarmKey"}, f"over existing state the stack makes {sorted(made)}")
    text = json.dumps(over)
    for name, value in EXISTING.items():
        check("existing-state-named", value in text, f"{name} is used nowhere")
    dangling = re.findall(r"\$\{(?:Removable)?(?:%s)(?:\.\w+)?\}" % "|".join(STATE), text)
    check("existing-state-only", not dangling, f"over existing state, references to what is not made: {sorted(set(dangling))}")
    for name, it in {**of_type(production, "AWS::KMS::Key"), **of_type(development, "AWS::KMS::Key")}.items():
        # KMS rotates no key that signs.
        check("keys-rotate", it.get("EnableKeyRotation") is True or it.get("KeyUsage") == "SIGN_VERIFY", f"{name} is not rotated")
    for resources, name in ((production, "LogKey"), (development, "RemovableLogKey")):
        check("log-key-is-ed25519", resources[name]["Properties"].get("KeySpec") == "ECC_NIST_EDWARDS25519", f"{name}: checkpoints are signed with Ed25519")
    rules = lambda **parameters: only(evaluated(template, **parameters)["Resources"], "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    check("certificates-end", any(it.get("ExpirationInDays") == "400" for it in rules(CertificateRetentionDays="400")), "certificates do not end")
    ended = [it.get("Prefix") for it in rules(PackRetentionDays="7") if it.get("ExpirationInDays") == "7"]
    check("packs-end", ended == ["~packs/"], f"what ends as packs do: {ended}")
    check("certificates-stay", not any("ExpirationInDays" in it and "Prefix" not in it for it in rules()), "certificates end by default")


def first_deployment(check, template):
    """A new account runs 10 functions at once, all of which have to stay unreserved."""
    resources = evaluated(template)["Resources"]
    for name, it in of_type(resources, "AWS::Lambda::Function").items():
        check("nothing-reserved", "ReservedConcurrentExecutions" not in it, f"{name} reserves concurrency that a new account does not have")
    concurrency = int(only(resources, "AWS::Lambda::EventSourceMapping")["ScalingConfig"]["MaximumConcurrency"])
    check("workers-leave-room", 2 <= concurrency <= 5, f"{concurrency} workers of the 10 that a new account has")
    reserved = of_type(evaluated(template, ReservedConcurrency="true")["Resources"], "AWS::Lambda::Function")
    for name, it in reserved.items():
        check("reserved-by-parameter", "ReservedConcurrentExecutions" in it, f"{name}: ReservedConcurrency=true reserves nothing")


# --- running ---


def triggers(check, template):
    resources = evaluated(template)["Resources"]
    schedules = of_type(resources, "AWS::Scheduler::Schedule")
    daily = {name: it for name, it in schedules.items() if "task" not in it["Target"]["Input"]}
    check("three-schedules", len(schedules) == 3 and len(daily) == 1, f"{len(schedules)} schedules: one for the day, two for the hour")
    for name, it in schedules.items():
        check("schedules-retry", it["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 5, f"{name} is not tried again")
        check("schedules-put-aside", name_of(it["Target"].get("DeadLetterConfig", {}).get("Arn")) == "ScheduleDeadLetters", f"{name}: no dead letters")
        check("schedules-grouped", name_of(it.get("GroupName")) == "ScheduleGroup", f"{name}: its role is for the group of this stack")
        called = "LogSigning" if '"task": "sign"' in it["Target"]["Input"] else "ScheduledSync"
        check("schedules-call-alias", it["Target"]["Arn"] == f"${{{called}Aliaslive}}", f"{name} calls {it['Target']['Arn']}")
    for name, it in daily.items():
        check("daily-zone", it.get("ScheduleExpressionTimezone") == "America/New_York", f"{name} knows no time zone")
        flexible = evaluated(template, ScheduleFlexibleMinutes="20")["Resources"][name]["Properties"]["FlexibleTimeWindow"]
        check("daily-window", flexible == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": "20"}, f"{name} has no flexible window")
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    check("batch-fails-by-items", mapping.get("FunctionResponseTypes") == ["ReportBatchItemFailures"], "a batch fails as a whole")
    check("batch-size", 1 <= mapping["BatchSize"] <= 10, "1 to 10 messages in a batch")
    check("mapping-calls-alias", mapping["FunctionName"] == "${SyncWorkerAliaslive}", f"the mapping calls {mapping['FunctionName']}")
    config = only(resources, "AWS::Lambda::EventInvokeConfig")
    check("failed-tick-put-aside", "OnFailure" in config["DestinationConfig"], "a failed tick is lost")
    check("failed-tick-of-alias", config["Qualifier"] == "live", "what the alias fails on is lost")
    queues = of_type(resources, "AWS::SQS::Queue")
    queue = queues["Queue"]
    check("queue-redrives", name_of(queue["RedrivePolicy"]["deadLetterTargetArn"]) == "RunDeadLetters", "the queue's dead letters")
    with open(os.path.join(ROOT, "common/src/aws/queue.rs")) as file:
        deliveries = int(re.search(r"MOST_DELIVERIES: u32 = (\d+);", file.read())[1])
    check("queue-delivers-as-counted", queue["RedrivePolicy"]["maxReceiveCount"] == deliveries, f"the worker counts to {deliveries}, the queue does not")
    timeout = resources["SyncWorker"]["Properties"]["Timeout"]
    check("queue-waits", queue["VisibilityTimeout"] >= 6 * timeout, "the queue waits less than six times the worker's time-out")
    allowed = queues["RunDeadLetters"].get("RedriveAllowPolicy", {})
    name = queue.get("QueueName", "")
    of_queue = [it.split(":${AWS::AccountId}:")[-1] for it in allowed.get("sourceQueueArns", [])] == [name]
    check("dead-letters-of-queue", allowed.get("redrivePermission") == "byQueue" and of_queue and name, "another queue could put its messages among ours")
    check("dead-letters-of-nobody", queues["ScheduleDeadLetters"].get("RedriveAllowPolicy") == {"redrivePermission": "denyAll"}, "a queue could put its messages aside here")


# What is of the function and not of its version.
UNVERSIONED = ("ReservedConcurrentExecutions", "RecursiveLoop", "Tags", "Code")
# Another value for each parameter that may reach a function.
OTHER = {
    **EXISTING, **VPC, "Secrets": "sealed", "SecretPrefix": "another", "Architecture": "x86_64", "WorkerMemory": "512", "JitterMinutes": "30",
    "Tracing": "PassThrough", "ScheduleExpression": "cron(0 9 * * ? *)", "ScheduleTimezone": "Europe/Berlin", "WorkerConcurrency": "7", "LogRetentionDays": "30", "LogName": "log.example", "PreviousLogKey": "previous", "CheckpointBucket": "locked", "PackRetentionDays": "7", "AlarmEmail": "a@example.com", "SatOauthSecret": "oauth", "ConsoleOidcSecret": "oidc", "ConsoleScopes": "openid roles", "JwtIssuer": "https://b.example", "PublicUrl": "https://a.example.com", "PeopleScopes": "p:",
}


def versions(check, template):
    """SAM sees changes of code and template, not of parameters. A version whose description changes is published anew; CloudFormation fails when
    nothing else has. So a version's description changes with just those parameters that change its function."""
    parameters = template["Parameters"]
    usual = evaluated(template)["Resources"]
    functions = of_type(usual, "AWS::Lambda::Function")
    for name in functions:
        check("alias-of-each", f"{name}Aliaslive" in usual, f"{name} has no alias")
    unknown = set(OTHER) - set(parameters)
    check("parameters-known", not unknown, f"no parameters: {sorted(unknown)}")
    for base, (parameter, value) in product(({}, {"Secrets": "sealed"}, VPC), OTHER.items()):
        before, after = evaluated(template, **base)["Resources"], evaluated(template, **{**base, parameter: value})["Resources"]
        for name in functions:
            relevant = lambda resources: {key: it for key, it in resources[name]["Properties"].items() if key not in UNVERSIONED}
            described = lambda resources: next((it["Description"] for it in of_type(resources, "AWS::Lambda::Version").values() if it["FunctionName"] == f"${{{name}}}"), None)
            changes, tells = relevant(before) != relevant(after), described(before) != described(after)
            check("version-on-change", tells or not changes, f"{parameter} changes {name}, and no version is published")
            check("no-version-without-change", changes or not tells, f"{parameter} changes the version of {name}, and not {name}: Lambda would refuse it")
    gradual = evaluated(transformed(source_of(template), Deployment="Canary10Percent5Minutes"), Deployment="Canary10Percent5Minutes")["Resources"]
    groups = of_type(gradual, "AWS::CodeDeploy::DeploymentGroup")
    check("gradual-by-parameter", len(groups) == len(functions), f"{len(groups)} of {len(functions)} functions are deployed gradually")
    for name, it in groups.items():
        check("gradual-goes-back", it.get("AlarmConfiguration", {}).get("Alarms"), f"{name}: no alarm takes a bad version back")
    check("at-once-by-default", not of_type(usual, "AWS::CodeDeploy::DeploymentGroup"), "CodeDeploy is there, although nobody asked for it")


def source_of(template):
    """The template before the transform, which the checks are given beside it."""
    return template["Metadata"]["Source"]


# --- HTTP API ---


# What says nothing of anybody.
PUBLIC = {"GET /oauth/huntress/callback", "POST /oauth/huntress/callback", "GET /v1/openapi.json", "GET /v1/errors", "GET /healthz"}


def api(check, template):
    resources = evaluated(template)["Resources"]
    open_to_all = evaluated(template, PeopleScopes="")["Resources"]
    for name, route in of_type(resources, "AWS::ApiGatewayV2::Route").items():
        # Pages have sessions of their own.
        is_page = route["Target"] in ("integrations/${ConsoleIntegration}", "integrations/${ConsoleConnectionsIntegration}")
        check("routes-need-token", route.get("AuthorizationType") == ("NONE" if route["RouteKey"] in PUBLIC or is_page else "JWT"), f"{name}: needs no token")
        check("pages-below-no-api", not is_page or not route["RouteKey"].split(" ")[1].startswith(("/v1", "/hooks", "/oauth", "/healthz")), f"{name}: a page in the place of a route of the API")
        scope = None if is_page else scope_of(*route["RouteKey"].split(" "), "PeopleApi" in route["Target"])
        check("routes-need-scope", route.get("AuthorizationScopes") == ([f"people:{scope}"] if scope else None), f"{name}: needs the scope {scope}")
        check("scopes-by-parameter", "AuthorizationScopes" not in open_to_all[name]["Properties"], f"{name}: needs a scope where there are none")
    for name, it in of_type(resources, "AWS::ApiGatewayV2::Integration").items():
        check("integrations-call-alias", it["IntegrationUri"].endswith("Aliaslive}"), f"{name} calls {it['IntegrationUri']}")
    bare = evaluated(template, ConsoleOidcSecret="")["Resources"]
    left = [name for name, it in bare.items() if "${Console" in json.dumps(it)]
    check("console-by-parameter", set(resources) - set(bare) >= {"Console", "ConsoleRole", "ConsoleIntegration", "ConsoleConnections", "ConsoleConnectionsRole", "ConsoleConnectionsIntegration", "ConsoleCookieKey"}, "a stack without an OIDC client has a console")
    check("no-console-no-reference", not [name for name in left if name != "Dashboard"], f"without a console, {left} point to it")
    variables = resources["Console"]["Properties"]["Environment"]["Variables"]
    check("one-issuer", variables.get("OIDC_ISSUER") == only(resources, "AWS::ApiGatewayV2::Authorizer")["JwtConfiguration"]["Issuer"], "the console trusts another issuer than the API")
    claims = {name: resources["EvidenceApi"]["Properties"]["Environment"]["Variables"][name] for name in ("COMPANY_CLAIM", "ROLE_CLAIM", "CLIENTS_CLAIM", "WINDOW_CLAIM")}
    check("one-set-of-claims", claims.items() <= variables.items(), "the console reads other claims than the API")
    stage = only(resources, "AWS::ApiGatewayV2::Stage")
    for settings in [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]:
        check("routes-throttled", {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(settings), "a route is not throttled")
    keys = {it["RouteKey"] for it in of_type(resources, "AWS::ApiGatewayV2::Route").values()}
    check("settings-of-routes", set(stage["RouteSettings"]) <= keys, "settings for a route that is not there")
    check("requests-logged", "$context.authorizer.claims.sub" in stage.get("AccessLogSettings", {}).get("Format", ""), "nobody knows who asked for what")
    for name, it in of_type(resources, "AWS::Lambda::Permission").items():
        check("permissions-of-this-api", "SourceArn" in it, f"{name}: anybody's API could call")
        check("permissions-on-alias", it["FunctionName"].endswith("Aliaslive}"), f"{name}: not on the alias that the API calls")


def scope_of(method, path, about_people):
    """The scope that a route about people needs at the gateway: the most that it can do. What other routes need, the functions ask for."""
    end = path.rsplit("/", 1)[1]
    if end in ("identity", "certificate"):
        return "open"
    # Taking a link back erases nobody.
    if end == "onboarding-link":
        return "change"
    # A mode that keeps less erases the rest.
    if end == "privacy" or (method == "DELETE" and "/people" in path):
        return "erase"
    if about_people and (method == "GET" or end == "lookup"):
        return "read"
    return "change" if about_people else None


# --- hardening ---


def hardening(check, template):
    resources = evaluated(template)["Resources"]
    found = of_type(resources, "AWS::Lambda::Function")
    check("all-functions", len(found) == len(FUNCTIONS), f"functions: {sorted(found)} for {sorted(FUNCTIONS)}")
    for name, it in found.items():
        check("functions-traced", it["TracingConfig"]["Mode"] == "Active", f"{name}: no tracing")
        check("own-log-group", name_of(it["LoggingConfig"]["LogGroup"]) in resources, f"{name}: a log group that the stack does not make")
        variables = set(it["Environment"]["Variables"])
        check("no-vendor-settings", not any(key.startswith("HUNTRESS_") for key in variables), f"{name}: only a person at a desk sets HUNTRESS_…")
    for name, it in of_type(evaluated(template, **VPC)["Resources"], "AWS::Lambda::Function").items():
        check("vpc-by-parameter", it.get("VpcConfig", {}).get("SubnetIds") == ["subnet-1", "subnet-2"], f"{name}: not in the VPC")
        check("no-vpc-by-default", "VpcConfig" not in found[name], f"{name}: in a VPC that nobody asked for")
    for name, it in of_type(resources, "AWS::Logs::LogGroup").items():
        check("logs-kept-a-year", it.get("RetentionInDays") == "365", f"{name}: kept for {it.get('RetentionInDays')} days")
        check("logs-under-key", name_of(it.get("KmsKeyId")) == "Key", f"{name}: not under the key")
    tls = {name_of(it) for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy") for policy in of_type(resources, kind).values()
           for statement in policy["PolicyDocument"]["Statement"]
           if statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}} for it in listed(statement["Resource"])}
    for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket"):
        for name in of_type(resources, kind):
            check("encrypted-connections", name in tls, f"{name}: takes connections without TLS")
    for name, it in of_type(resources, "AWS::SQS::Queue").items():
        check("queues-under-key", name_of(it.get("KmsMasterKeyId")) == "Key", f"{name}: not under the key")
    check("topic-under-own-key", name_of(only(resources, "AWS::SNS::Topic").get("KmsMasterKeyId")) == "AlarmKey", "an alarm on a disabled key could not be sent")
    ending = evaluated(template, EvidenceRetentionDays="400")["Resources"]["SyncWorker"]["Properties"]["Environment"]["Variables"]
    check("evidence-ends", ending.get("EVIDENCE_RETENTION_DAYS") == "400", "evidence does not end when its parameter says")
    making = resources["ConnectionsApi"]["Properties"]["Environment"]["Variables"]
    check("secrets-under-the-key", "CredentialKey" in json.dumps(making.get("SECRET_KEY_ID", "")), "secrets that the API makes are not under the key of the credentials")
    worker = resources["SyncWorker"]["Properties"]["Environment"]["Variables"]
    sealed = evaluated(template, Secrets="sealed")["Resources"]["SyncWorker"]["Properties"]["Environment"]["Variables"]
    cookies = resources["ConsoleCookieKey"]["Properties"]
    check("cookie-key-under-key", name_of(cookies.get("KmsKeyId")) == "CredentialKey", "the key of cookies is not under the key of credentials")
    check("cookie-key-long", cookies["GenerateSecretString"].get("PasswordLength", 32) >= 64, "the key of cookies could be guessed")
    check("people-key-apart", name_of(worker["PEOPLE_KEY_ID"]) == "PeopleKey", "people are not under their own key")
    check("credential-key-apart", name_of(sealed.get("CREDENTIAL_KEY_ID")) == "CredentialKey", "credentials are not under their own key")
    table = resources["Table"]["Properties"]
    check("table-under-key", name_of(table["SSESpecification"].get("KMSMasterKeyId")) == "Key", "the table is not under the key")
    check("table-forgets", table.get("TimeToLiveSpecification") == {"AttributeName": "expires_at", "Enabled": True}, "the table forgets nothing")
    check("table-restorable", table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"), "the table cannot be taken back")
    arns = re.findall(r"arn:aws[\w-]*:", json.dumps({name: it for name, it in resources.items() if name != CODE_DEPLOY}))
    check("any-partition", not arns, f"of one partition: {arns}")
    regions = re.findall(r"\b(?:us|eu|ap|sa|ca|me|af|il)(?:-gov)?-(?:north|south|east|west|central)+-\d\b", json.dumps(resources))
    check("any-region", not regions, f"of one region: {regions}")


# --- alarms ---


def alarms(check, template):
    resources = evaluated(template)["Resources"]
    with open(os.path.join(ROOT, "docs/operations.md")) as file:
        handbook = file.read()
    dashboard = only(resources, "AWS::CloudWatch::Dashboard")["DashboardBody"]
    check("dashboard-is-json", readable(dashboard), "the dashboard is no JSON")
    for name, it in of_type(resources, "AWS::CloudWatch::Alarm").items():
        check("alarms-tell", [name_of(it) for it in it.get("AlarmActions", [])] == ["AlarmTopic"], f"{name}: tells nobody")
        check("missing-data-decided", "TreatMissingData" in it, f"{name}: says nothing of missing data")
        check("new-stack-is-quiet", it.get("TreatMissingData") != "breaching", f"{name}: red from the first minute of a new stack")
        check("alarms-on-dashboard", f"${{{name}.Arn}}" in dashboard, f"{name}: not on the dashboard")
        check("alarms-in-handbook", f"### {name}\n" in handbook, f"{name}: docs/operations.md does not say what to do")
        stats = [query["MetricStat"]["Metric"] for query in it.get("Metrics", []) if "MetricStat" in query] or [it]
        for metric in stats:
            written = metric["Namespace"] != "HuntressEvidence" or metric["MetricName"] in metrics()
            check("metrics-written", written, f"{name}: the functions write no {metric['MetricName']}")
    for name, it in of_type(resources, "AWS::Logs::QueryDefinition").items():
        check("queries-in-handbook", it["Name"].split("/", 1)[1] in handbook, f"{name}: not in docs/operations.md")
    rule = only(resources, "AWS::Events::Rule")
    watched = {name_of(it) for it in rule["EventPattern"]["detail"]["requestParameters"]["keyId"]}
    check("keys-watched", watched == set(of_type(resources, "AWS::KMS::Key")), f"keys that are watched: {sorted(watched)}")
    check("disabled-keys-told", [name_of(it["Arn"]) for it in rule["Targets"]] == ["AlarmTopic"], "nobody hears of a disabled key")
    paused = evaluated(template, ScheduleState="DISABLED")["Resources"]["DailyRunMissing"]["Properties"]
    check("paused-is-not-missing", paused.get("ActionsEnabled") is False, "a schedule that is off is missed")


def readable(text):
    try:
        return bool(json.loads(text))
    except ValueError:
        return False


def metrics():
    """The metrics that the code writes."""
    with open(os.path.join(ROOT, "common/src/app/runs/metrics.rs")) as file:
        code = file.read().split("#[cfg(test)]")[0]
    named = re.findall(r'(?:Metric::count|counted)\(\s*"(\w+)"|Metric \{ name: "(\w+)"', code)
    return {counted or other for counted, other in named}


PARTS = (permissions, trust, keeping, first_deployment, triggers, versions, api, hardening, alarms)


def checked(template):
    """The rules that were asserted on a template as it is written, and the problems."""
    check = Checks()
    found = transformed(template)
    found.setdefault("Metadata", {})["Source"] = template
    for part in PARTS:
        try:
            part(check, found)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
            check(f"{part.__name__}-readable", False, f"{part.__name__}: {error!r}")
    return check


def main():
    from template_breaks import unbroken

    template = source()
    check = checked(template)
    for rule, problem in check.problems:
        print(f"{rule}: {problem}", file=sys.stderr)
    if check.problems:
        sys.exit(1)
    never = unbroken(template, check.rules)
    for problem in never:
        print(problem, file=sys.stderr)
    if never:
        sys.exit(1)
    print(f"{len(check.rules)} rules hold for template.yaml, and each was seen to fail on a template that breaks it")


if __name__ == "__main__":
    main()
