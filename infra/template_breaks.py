"""One way to break the template for each rule of check_template.py. A rule that holds for all of them asserts nothing."""

import copy

from check_template import PARTS, Checks
from cloudformation import transformed


def resource(template, name):
    return template["Resources"][name]


def of(template, name):
    return template["Resources"][name]["Properties"]


def put(name, path, value):
    """A break that sets a property of a resource, e.g. put("Queue", "RedrivePolicy.maxReceiveCount", 1); None takes it away."""

    def broken(template):
        at = resource(template, name)
        *most, last = path.split(".")
        for part in most:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return broken


def statement(role, sid, change):
    """A break of one statement in the policies of a role."""

    def broken(template):
        for policy in of(template, role)["Policies"]:
            policy = policy["Fn::If"][1] if "Fn::If" in policy else policy
            for it in policy["PolicyDocument"]["Statement"]:
                if it["Sid"] == sid:
                    change(it)
                    return
        raise KeyError(sid)

    return broken


def more(role, **statement):
    """A break that gives a role another statement."""

    def broken(template):
        add = {"Sid": "More", "Effect": "Allow", **statement}
        of(template, role)["Policies"][0]["PolicyDocument"]["Statement"].append(add)

    return broken


def keys(*patterns):
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)}, "Null": {"dynamodb:LeadingKeys": "false"}}


TABLE = {"Fn::GetAtt": ["Table", "Arn"]}
PEOPLE_KEY = {"Fn::GetAtt": ["PeopleKey", "Arn"]}


def writes(role, key, action="dynamodb:PutItem"):
    return more(role, Action=action, Resource=TABLE, Condition=keys(key))


def without(role, policy):
    """A break that takes an optional policy out of a role."""

    def broken(template):
        found = of(template, role)["Policies"]
        found[:] = [it for it in found if it.get("Fn::If", [None, {}])[1].get("PolicyName") != policy]

    return broken


def beside(kind, **properties):
    """A break that adds a policy beside the roles."""

    def broken(template):
        document = {"Version": "2012-10-17", "Statement": []}
        template["Resources"]["Beside"] = {"Type": kind, "Properties": {"PolicyName": "beside", "Roles": [{"Ref": "SyncWorkerRole"}], "PolicyDocument": document, **properties}}

    return broken


def first(kind, change):
    """A break of the first resource of a type."""

    def broken(template):
        change(next(it for it in template["Resources"].values() if it["Type"] == kind)["Properties"])

    return broken


def function(change):
    return lambda template: change(of(template, "SyncWorker"))


def event(name, change):
    return lambda template: change(of(template, "ScheduledSync")["Events"][name]["Properties"])


def default(parameter, value):
    return lambda template: template["Parameters"][parameter].update(Default=value)


def condition(name, value):
    return lambda template: template["Conditions"].update({name: value})


def allow_all_events(template):
    """A statement of the topic without its condition."""
    del of(template, "AlarmTopicPolicy")["PolicyDocument"]["Statement"][0]["Condition"]


def no_deny(name):
    def broken(template):
        document = of(template, name)["PolicyDocument"]
        document["Statement"] = [it for it in document["Statement"] if it["Effect"] != "Deny"]

    return broken


def dashboard(change):
    def broken(template):
        body = of(template, "Dashboard")["DashboardBody"]["Fn::Sub"]
        body[0] = change(body[0])

    return broken


def stage(change):
    return lambda template: change(of(template, "ApiStage"))


BREAKS = {
    # permissions
    "statements-allow": statement("SyncWorkerRole", "Read", lambda it: it.update(Effect="Deny")),
    "conditions-comparable": statement("SyncWorkerRole", "Read", lambda it: it["Condition"].update(Bool={"aws:SecureTransport": "true"})),
    "no-policies-of-aws": put("SyncWorkerRole", "Properties.ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    "policies-inline": beside("AWS::IAM::Policy"),
    "policies-fit": more("ConsoleConnectionsRole", Action="dynamodb:Query", Resource=TABLE, Condition=keys(*["LONG" * 100] * 30)),
    "untraced-without-xray": more("PeopleApiRole", Action="xray:PutTraceSegments", Resource="*"),
    "sids-unique": statement("SyncWorkerRole", "Read", lambda it: it.update(Sid="List")),
    "as-permissions-json": statement("SyncWorkerRole", "ContinueRuns", lambda it: it.update(Action="sqs:DeleteMessage")),
    "resources-named": statement("SyncWorkerRole", "ContinueRuns", lambda it: it.update(Resource="*")),
    "actions-named": statement("SyncWorkerRole", "ContinueRuns", lambda it: it.update(Action="sqs:*")),
    "one-statement-per-action": writes("SyncWorkerRole", "ACCOUNT#*"),
    "keys-named": more("PeopleApiRole", Action="dynamodb:ConditionCheckItem", Resource=TABLE),
    "traced-role": without("PeopleApiRole", "tracing"),
    "networked-role": without("PeopleApiRole", "network"),
    "logging-role": statement("PeopleApiRole", "Log", lambda it: it.update(Action="logs:CreateLogStream")),
    "mapping-role": statement("SyncWorkerRole", "TakeRuns", lambda it: it.update(Action="sqs:ReceiveMessage")),
    "destination-role": statement("ScheduledSyncRole", "PutAsideFailedEvents", lambda it: it.update(Resource={"Fn::GetAtt": ["Queue", "Arn"]})),
    "test-writes-no-evidence": writes("ConnectionTestRole", "EVIDENCE#*"),
    "test-writes-no-run": writes("ConnectionTestRole", "CONNECTION#*"),
    "planner-writes-no-evidence": writes("ScheduledSyncRole", "EVIDENCE#*"),
    "sync-now-writes-no-connection": writes("OnDemandSyncRole", "COMPANY#*", "dynamodb:UpdateItem"),
    "secrets-for-readers": more("PeopleApiRole", Action="secretsmanager:GetSecretValue", Resource="arn"),
    "sealed-for-readers": writes("PeopleApiRole", "CREDENTIAL#*", "dynamodb:Query"),
    "credentials-read-only": writes("SyncWorkerRole", "CREDENTIAL#*"),
    "credentials-write-only": writes("ConnectionsApiRole", "CREDENTIAL#*", "dynamodb:GetItem"),
    "evidence-ends": put("SyncWorker", "Properties.Environment.Variables.EVIDENCE_RETENTION_DAYS", None),
    "secrets-tagged": statement("ConnectionsApiRole", "WriteCredentials", lambda it: it["Action"].remove("secretsmanager:TagResource")),
    "secrets-under-the-key": put("ConnectionsApi", "Properties.Environment.Variables.SECRET_KEY_ID", None),
    "keys-for-a-purpose": more("PeopleApiRole", Action="kms:Decrypt", Resource=PEOPLE_KEY),
    "names-for-few": more("ConsoleRole", Action="kms:Decrypt", Resource=PEOPLE_KEY, Condition={"StringEquals": {"kms:EncryptionContext:purpose": ["people"]}}),
    "keys-apart": more("SyncWorkerRole", Action="kms:Decrypt", Resource=PEOPLE_KEY, Condition={"StringEquals": {"kms:EncryptionContext:purpose": ["credential"]}}),
    "no-connection-replaced": writes("SyncWorkerRole", "COMPANY#*", "dynamodb:DeleteItem"),
    "owner-unchangeable": statement("SyncWorkerRole", "MarkConnectionsAndRuns", lambda it: it["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"].append("mapping")),
    # trust
    "trust-services": put("SyncWorkerRole", "Properties.AssumeRolePolicyDocument", {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}),
    "scheduler-of-this-stack": lambda it: of(it, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"].pop("ArnLike"),
    "topic-for-this-stack": allow_all_events,
    # state
    "state-made": condition("MakeTable", {"Fn::Equals": ["a", "b"]}),
    "kept-on-removal": put("Table", "DeletionPolicy", "Retain"),
    "kept-on-replacement": put("Key", "UpdateReplacePolicy", "Delete"),
    "development-removable": put("RemovableTable", "DeletionPolicy", "Retain"),
    "development-alike": condition("MakeRemovablePeopleKey", {"Fn::Equals": ["a", "b"]}),
    "development-unprotected": put("RemovableTable", "Properties.DeletionProtectionEnabled", True),
    "production-protected": default("DeletionProtection", "false"),
    "existing-state-used": condition("MakeKey", {"Fn::Not": [{"Condition": "Removable"}]}),
    "existing-state-named": condition("KeyExists", {"Fn::Equals": ["a", "b"]}),
    "existing-state-only": put("KeyAlias", "Properties.TargetKeyId", {"Ref": "Key"}),
    "log-key-signs": more("PacksApiRole", Action="kms:Sign", Resource={"Fn::GetAtt": ["LogKey", "Arn"]}),
    "log-key-is-ed25519": put("LogKey", "Properties.KeySpec", "ECC_NIST_P256"),
    "packs-end": put("CertificateBucket", "Properties.LifecycleConfiguration.Rules.2.Prefix", "~other/"),
    "keys-rotate": put("PeopleKey", "Properties.EnableKeyRotation", False),
    "certificates-end": condition("CertificatesEnd", {"Fn::Equals": ["a", "b"]}),
    "certificates-stay": condition("CertificatesEnd", {"Fn::Equals": ["a", "a"]}),
    # the first deployment
    "nothing-reserved": default("ReservedConcurrency", "true"),
    "workers-leave-room": default("WorkerConcurrency", 10),
    "reserved-by-parameter": put("PeopleApi", "Properties.ReservedConcurrentExecutions", {"Ref": "AWS::NoValue"}),
    # triggers
    "three-schedules": lambda it: of(it, "ScheduledSync")["Events"].pop("Hourly"),
    "schedules-retry": event("Daily", lambda it: it["RetryPolicy"].update(MaximumRetryAttempts=0)),
    "schedules-put-aside": event("Hourly", lambda it: it.pop("DeadLetterConfig")),
    "schedules-grouped": event("Daily", lambda it: it.pop("GroupName")),
    "schedules-call-alias": lambda it: of(it, "ScheduledSync").pop("AutoPublishAlias", None) or it["Globals"]["Function"].pop("AutoPublishAlias"),
    "daily-zone": event("Daily", lambda it: it.pop("ScheduleExpressionTimezone")),
    "daily-window": event("Daily", lambda it: it.pop("FlexibleTimeWindow")),
    "batch-fails-by-items": function(lambda it: it["Events"]["Runs"]["Properties"].pop("FunctionResponseTypes")),
    "batch-size": function(lambda it: it["Events"]["Runs"]["Properties"].update(BatchSize=100)),
    "mapping-calls-alias": lambda it: it["Globals"]["Function"].pop("AutoPublishAlias"),
    "failed-tick-put-aside": lambda it: of(it, "ScheduledSync")["EventInvokeConfig"]["DestinationConfig"].update(OnSuccess=of(it, "ScheduledSync")["EventInvokeConfig"]["DestinationConfig"].pop("OnFailure")),
    "failed-tick-of-alias": lambda it: it["Globals"]["Function"].pop("AutoPublishAlias"),
    "queue-redrives": put("Queue", "Properties.RedrivePolicy.deadLetterTargetArn", {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}),
    "queue-delivers-as-counted": put("Queue", "Properties.RedrivePolicy.maxReceiveCount", 5),
    "queue-waits": put("Queue", "Properties.VisibilityTimeout", 900),
    "dead-letters-of-queue": put("RunDeadLetters", "Properties.RedriveAllowPolicy", {"redrivePermission": "allowAll"}),
    "dead-letters-of-nobody": put("ScheduleDeadLetters", "Properties.RedriveAllowPolicy", None),
    # versions
    "alias-of-each": lambda it: it["Globals"]["Function"].pop("AutoPublishAlias"),
    "parameters-known": lambda it: it["Parameters"].pop("AlarmEmail"),
    "version-on-change": function(lambda it: it["VersionDescription"]["Fn::Join"][1].remove({"Ref": "WorkerMemory"})),
    "no-version-without-change": function(lambda it: it["VersionDescription"]["Fn::Join"][1].append({"Ref": "LogRetentionDays"})),
    "gradual-by-parameter": lambda it: it["Mappings"]["Deployments"]["Canary10Percent5Minutes"].update(Gradual=False),
    "gradual-goes-back": function(lambda it: it.pop("DeploymentPreference")),
    "at-once-by-default": lambda it: it["Mappings"]["Deployments"]["AllAtOnce"].update(Gradual=True),
    # API
    "routes-need-token": first("AWS::ApiGatewayV2::Route", lambda it: it.update(AuthorizationType="NONE")),
    "routes-need-scope": put("ErasePeopleRoute", "Properties.AuthorizationScopes", None),
    "scopes-by-parameter": put("ErasePeopleRoute", "Properties.AuthorizationScopes", ["people:erase"]),
    "pages-below-no-api": put("GetConsoleRunsRoute", "Properties.RouteKey", "GET /v1/runs"),
    "console-by-parameter": condition("HasConsole", {"Fn::Equals": ["a", "a"]}),
    "no-console-no-reference": lambda it: resource(it, "ConsolePermission").pop("Condition"),
    "one-issuer": put("Console", "Properties.Environment.Variables.OIDC_ISSUER", "https://another.example"),
    "one-set-of-claims": put("Console", "Properties.Environment.Variables.ROLE_CLAIM", "another"),
    "integrations-call-alias": first("AWS::ApiGatewayV2::Integration", lambda it: it.update(IntegrationUri={"Fn::GetAtt": ["PeopleApi", "Arn"]})),
    "routes-throttled": stage(lambda it: it["DefaultRouteSettings"].pop("ThrottlingRateLimit")),
    "settings-of-routes": stage(lambda it: it["RouteSettings"].update({"GET /nowhere": it["DefaultRouteSettings"]})),
    "requests-logged": stage(lambda it: it.pop("AccessLogSettings")),
    "permissions-of-this-api": first("AWS::Lambda::Permission", lambda it: it.pop("SourceArn")),
    "permissions-on-alias": first("AWS::Lambda::Permission", lambda it: it.update(FunctionName={"Ref": "PeopleApi"})),
    # hardening
    "all-functions": lambda it: it["Resources"].update(Another=copy.deepcopy(resource(it, "PeopleApi"))),
    "functions-traced": default("Tracing", "PassThrough"),
    "own-log-group": function(lambda it: it["LoggingConfig"].update(LogGroup="/aws/lambda/any")),
    "no-vendor-settings": function(lambda it: it["Environment"]["Variables"].update(HUNTRESS_ALLOW_LOOPBACK="1")),
    "vpc-by-parameter": lambda it: it["Globals"]["Function"].pop("VpcConfig"),
    "no-vpc-by-default": condition("InVpc", {"Fn::Equals": ["a", "a"]}),
    "logs-kept-a-year": default("LogRetentionDays", 90),
    "logs-under-key": put("SyncWorkerLog", "Properties.KmsKeyId", None),
    "encrypted-connections": no_deny("QueuesPolicy"),
    "queues-under-key": put("Queue", "Properties.KmsMasterKeyId", None),
    "topic-under-own-key": put("AlarmTopic", "Properties.KmsMasterKeyId", {"Fn::GetAtt": ["Key", "Arn"]}),
    "cookie-key-under-key": put("ConsoleCookieKey", "Properties.KmsKeyId", None),
    "cookie-key-long": put("ConsoleCookieKey", "Properties.GenerateSecretString.PasswordLength", 16),
    "people-key-apart": function(lambda it: it["Environment"]["Variables"].update(PEOPLE_KEY_ID={"Fn::GetAtt": ["Key", "Arn"]})),
    "credential-key-apart": function(lambda it: it["Environment"]["Variables"].update(CREDENTIAL_KEY_ID={"Fn::GetAtt": ["Key", "Arn"]})),
    "table-under-key": put("Table", "Properties.SSESpecification.KMSMasterKeyId", None),
    "table-forgets": put("Table", "Properties.TimeToLiveSpecification", None),
    "table-restorable": put("Table", "Properties.PointInTimeRecoverySpecification", None),
    "any-partition": put("ScheduleGroup", "Properties.Name", "arn:aws:scheduler"),
    "any-region": put("ScheduleGroup", "Properties.Name", "in-us-east-1"),
    # alarms
    "dashboard-is-json": dashboard(lambda it: it + ","),
    "alarms-tell": put("ApiErrors", "Properties.AlarmActions", []),
    "missing-data-decided": put("ApiErrors", "Properties.TreatMissingData", None),
    "new-stack-is-quiet": put("DailyRunMissing", "Properties.TreatMissingData", "breaching"),
    "alarms-on-dashboard": dashboard(lambda it: it.replace("${ApiErrors.Arn}", "${RunsFailed.Arn}")),
    "alarms-in-handbook": lambda it: it["Resources"].update(AnotherAlarm=copy.deepcopy(resource(it, "ApiErrors"))),
    "metrics-written": put("RunsAbandoned", "Properties.MetricName", "RunsForgotten"),
    "queries-in-handbook": put("OneRunQuery", "Properties.Name", "stack/a query that nobody knows"),
    "keys-watched": lambda it: it["Resources"].update(AnotherKey=copy.deepcopy(resource(it, "AlarmKey"))),
    "disabled-keys-told": put("KeysDisabled", "Properties.Targets", []),
    "paused-is-not-missing": put("DailyRunMissing", "Properties.ActionsEnabled", True),
}


def unbroken(template, rules):
    """What is wrong with this list, and the rules that hold although they are broken."""
    found = [f"{rule}: nothing breaks it, write a break into infra/template_breaks.py" for rule in sorted(rules - set(BREAKS))]
    found += [f"{rule}: there is a break, and no such rule" for rule in sorted(set(BREAKS) - rules)]
    owners = parts_of(template)
    for rule in sorted(rules & set(BREAKS)):
        broken = copy.deepcopy(template)
        BREAKS[rule](broken)
        check = Checks()
        result = transformed(broken)
        result.setdefault("Metadata", {})["Source"] = broken
        try:
            owners[rule](check, result)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            # Another rule of the same part cannot be asked any more. What was asked before counts.
            pass
        if rule not in {name for name, _ in check.problems}:
            found.append(f"{rule}: it holds although the template breaks it")
    return found


def parts_of(template):
    """Which part asserts which rule."""
    result = transformed(template)
    result.setdefault("Metadata", {})["Source"] = template
    owners = {}
    for part in PARTS:
        check = Checks()
        part(check, result)
        owners |= dict.fromkeys(check.rules, part)
    return owners
