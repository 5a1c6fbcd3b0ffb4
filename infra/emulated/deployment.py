"""A stack of the emulator: deployed with `sam deploy`, looked after with the command, asked over its API."""

import argparse
import base64
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import boto3
from samcli.yamlhelper import yaml_dump, yaml_parse
from servers import Gate, Issuer, Process, expect, free_port, say, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STACK = "huntress-evidence"
COMPANY = "msp-acme"
AUDIENCE = "huntress-evidence"
# The secret that the operator makes before the stack has a console.
OIDC_CLIENT = "console-oidc-client"


def merged(base, over):
    # A function of CloudFormation takes the place of another one whole.
    if not isinstance(over, dict) or any(key.startswith("Fn::") for key in over):
        return over
    return {**base, **{key: merged(base.get(key, {}), value) for key, value in over.items()}}


def without_metric_math(template):
    """The emulator makes no such alarms, and evaluates none: infra/alarms_test.py does. What stands for them here has their name and metric."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            stat = next(it["MetricStat"] for it in properties.pop("Metrics") if "MetricStat" in it)
            properties |= {"Statistic": "Sum", "Period": stat["Period"], **stat["Metric"]}
    return template


def filled(value, values):
    if isinstance(value, dict):
        return {key: filled(it, values) for key, it in value.items()}
    return value.format(**values) if isinstance(value, str) and "{" in value else value


class Deployment:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.processes, self.servers = [], []
        self.port = free_port()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": scratch,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SAM_CLI_TELEMETRY": "0",
        }
        self.outputs = {}

    # --- around the stack ---

    def start(self):
        # Its functions inherit this environment: without AWS_ENDPOINT_URL they would call the real AWS.
        env = {
            **self.env, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "TMPDIR": self.scratch,
            # It would listen on fixed ports for these.
            "IOT_MTLS_ENABLED": "false", "SFTP_ENABLED": "false",
        }
        self.emulator = self.process([self.options.ministack], "emulator", env)
        self.emulator.listening(self.port)
        port = free_port()
        arguments = ["--port", str(port), "--worked-example", "--no-rate-limit"]
        self.process([self.options.simulator, *arguments], "simulator").listening(port)
        self.gate = self.server(Gate(f"http://127.0.0.1:{port}"))
        self.issuer = self.server(Issuer())
        say("emulator, simulator, gate and issuer listen on loopback")

    def process(self, command, name, env=None):
        self.processes.append(Process(command, os.path.join(self.scratch, f"{name}.log"), env))
        return self.processes[-1]

    def server(self, server):
        self.servers.append(server)
        return server

    def stop(self):
        for server in self.servers:
            server.stop()
        for process in reversed(self.processes):
            process.stop()

    def aws(self, service):
        return boto3.client(
            service,
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    # --- the stack ---

    def sam(self, *arguments):
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "sam"), *arguments],
            cwd=self.scratch, env=self.env, capture_output=True, text=True, timeout=300,
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "Uploading" not in line]
            raise RuntimeError(f"sam {arguments[0]} failed:\n" + "\n".join(lines[-40:]))
        return done.stdout

    def deploy(self, *parameters):
        architecture = {"x86_64": "x86_64"}.get(os.uname().machine, "arm64")
        values = {
            "huntress": self.gate.url,
            "port": self.port,
            "scheduled_at": (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:00:00Z"),
        }
        with open(os.path.join(self.options.build, "template.yaml")) as file:
            built = yaml_parse(file.read())
        with open(os.path.join(HERE, "overlay.yaml")) as file:
            overlay = filled(yaml_parse(file.read()), values)
        unknown = overlay.pop("UnknownTypes")
        built["Resources"] = {name: it for name, it in built["Resources"].items() if it["Type"] not in unknown}
        template = merged(without_metric_math(built), overlay)
        path = os.path.join(self.options.build, "emulated.yaml")
        with open(path, "w") as file:
            file.write(yaml_dump(template))
        self.sam(
            "deploy", "--template-file", path, "--stack-name", STACK, "--resolve-s3",
            "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
            "--parameter-overrides", f"JwtIssuer={self.issuer.url}", f"JwtAudience={AUDIENCE}", f"Architecture={architecture}",
            f"ConsoleOidcSecret={OIDC_CLIENT}", 'ScheduleExpression="rate(1 minute)"', "JitterMinutes=0", *parameters,
        )
        cloudformation = self.aws("cloudformation")
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        expect(stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), True, stack["StackStatus"])
        self.outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
        # A hundred in a page.
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        found = [it for page in pages for it in page["StackResourceSummaries"]]
        self.resources = {it["LogicalResourceId"]: it.get("PhysicalResourceId") for it in found}
        say(f"{stack['StackStatus']}: {len(self.resources)} resources")

    def version(self, function):
        """The version that the function's alias points at, and its variables."""
        name = self.resources[function]
        version = self.aws("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        configuration = self.aws("lambda").get_function_configuration(FunctionName=f"{name}:live")
        return version, configuration["Environment"]["Variables"]

    # --- what a person does ---

    def command(self, *arguments, code=0, **variables):
        env = {
            **self.env,
            "TABLE_NAME": self.outputs["TableName"],
            # The stack has one of the two.
            "SECRET_PREFIX": self.outputs.get("SecretPrefix", ""),
            "CREDENTIAL_KEY_ID": self.outputs.get("CredentialKeyArn", ""),
            "SECRET_KEY_ID": self.outputs.get("SecretKeyArn", ""),
            "PEOPLE_KEY_ID": self.outputs["PeopleKeyArn"],
            "CERTIFICATE_BUCKET_URL": self.outputs["CertificateBucketUrl"],
            "QUEUE_URL": self.outputs["QueueUrl"],
            "DEAD_LETTERS_URL": self.outputs["RunDeadLettersUrl"],
            "HUNTRESS_API_KEY": "hk_simulator",
            "HUNTRESS_API_SECRET": "hs_simulator",
            "HUNTRESS_EDR_URL": self.gate.url,
            "HUNTRESS_ALLOW_LOOPBACK": "1",
            **variables,
        }
        command = [self.options.command, *arguments, "--aws", "--company", COMPANY]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        expect(done.returncode, code, f"{' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def huntress(self, path):
        request = urllib.request.Request(self.gate.url + path)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"hk_simulator:hs_simulator").decode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def ask(self, method, path, company=COMPANY, headers=None, scope=None):
        """Status and body of a request to the API, in the name of a company; None comes without a token."""
        api = self.outputs["ApiUrl"].split("//")[1].split(".")[0]
        request = urllib.request.Request(f"{self.env['AWS_ENDPOINT_URL']}{path}", method=method, headers=headers or {})
        request.add_header("Host", f"{api}.execute-api.localhost:{self.port}")
        if company:
            request.add_header("Authorization", f"Bearer {self.issuer.token(company, AUDIENCE, scope)}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            body = error.read()
            return error.code, json.loads(body) if body else None

    def console(self):
        """Its address, as the overlay has it."""
        api = self.outputs["ApiUrl"].split("//")[1].split(".")[0]
        return f"https://{api}.execute-api.localhost:{self.port}"

    def of(self, connection):
        return f"/v1/companies/{COMPANY}/connections/{connection}"

    def runs(self, connection):
        status, body = self.ask("GET", f"{self.of(connection)}/runs")
        expect(status, 200, "the list of runs")
        return body["runs"]

    def sync_now(self, connection, key=None):
        """Asks for a run, once the minute after the last one is over."""

        def asked():
            status, body = self.ask("POST", f"{self.of(connection)}/sync", headers={"Idempotency-Key": key} if key else None)
            if status == 429:
                expect(body["code"], "cooling_down", "Sync Now")
                return None
            expect(status, 202, "Sync Now")
            return body["run_id"]

        return wait_for(f"Sync Now of {connection}", asked, 75)

    def run(self, connection, run):
        status, body = self.ask("GET", f"{self.of(connection)}/runs/{run}")
        expect(status, 200, "the state of a run")
        return body["run"]

    def ended(self, connection, run, seconds=30):
        final = lambda: (it := self.run(connection, run))["status"] in ("succeeded", "failed", "auth_failed") and it
        return wait_for(f"the end of a run of {connection}", final, seconds)

    def waiting_in(self, queue):
        wanted = ["ApproximateNumberOfMessages"]
        found = self.aws("sqs").get_queue_attributes(QueueUrl=self.resources[queue], AttributeNames=wanted)
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def log(self):
        """Every line that the functions have logged."""
        logs = self.aws("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in page["events"]:
                    yield from event["message"].splitlines()

    def agents(self, connection):
        bundle = json.loads(self.command("metrics", connection, "--json"))
        text = json.dumps(bundle)
        values = [it["metric_value"] for it in walk(bundle) if it.get("metric_key") == "agents_total"]
        expect(len(values) > 0, True, f"no agents_total in {text[:300]}")
        return values[0]


def walk(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for it in value:
            yield from walk(it)


@contextmanager
def deployed(about):
    """A stack for as long as the body lasts. The logs are printed when it fails."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    for name in ("ministack", "build", "command", "simulator"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--runs", type=int, default=21, help="cold starts of each, where they are measured")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    scratch = tempfile.mkdtemp(prefix="huntress-evidence-")
    deployment = Deployment(options, scratch)
    try:
        deployment.start()
        client = json.dumps(deployment.issuer.CLIENT)
        deployment.aws("secretsmanager").create_secret(Name=OIDC_CLIENT, SecretString=client)
        deployment.deploy()
        yield deployment
    except BaseException:
        for process in deployment.processes:
            print(f"--- {process.log.name}\n{process.text()[-6000:]}", file=sys.stderr)
        raise
    finally:
        deployment.stop()
        shutil.rmtree(scratch, ignore_errors=True)
