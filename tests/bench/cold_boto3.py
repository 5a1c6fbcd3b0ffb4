"""connection-test once more, in Python with boto3, to have something to compare its cold start with.

The runtime's loop is written out, which is less than AWS's own Python runtime does.
"""

import base64
import http.client
import json
import os
import urllib.parse
from datetime import datetime, timezone

import boto3

table = boto3.client("dynamodb")
secrets = boto3.client("secretsmanager")
LISTS = ("/v1/account", "/v1/organizations?limit=1", "/v1/agents?limit=1", "/v1/incident_reports?limit=1")


def handle(event):
    company = event["pathParameters"]["company"]
    connection = event["pathParameters"]["connection"]
    if event["requestContext"]["authorizer"]["jwt"]["claims"]["company_id"] != company:
        return {"statusCode": 403}
    key = {"pk": {"S": f"COMPANY#{company}"}, "sk": {"S": f"CONNECTION#{connection}"}}
    table.get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True)["Item"]
    secret = secrets.get_secret_value(SecretId=f"{os.environ['SECRET_PREFIX']}/{company}/{connection}")
    secret = json.loads(secret["SecretString"])
    basic = base64.b64encode(f"{secret['api_key']}:{secret['api_secret']}".encode()).decode()
    origin = urllib.parse.urlsplit(os.environ["HUNTRESS_EDR_URL"])
    huntress = http.client.HTTPConnection(origin.hostname, origin.port, timeout=20)
    permissions = []
    for path in LISTS:
        huntress.request("GET", path, headers={"Authorization": f"Basic {basic}"})
        answer = huntress.getresponse()
        answer.read()
        permissions.append({"permission": path, "granted": answer.status == 200})
    passed = all(it["granted"] for it in permissions)
    outcome = {"tested_at": {"S": datetime.now(timezone.utc).isoformat()}, "passed": {"BOOL": passed}}
    table.update_item(
        TableName=os.environ["TABLE_NAME"], Key=key, UpdateExpression="SET last_test = :outcome",
        ExpressionAttributeValues={":outcome": {"M": outcome}},
    )
    return {"statusCode": 200, "body": json.dumps({"passed": passed, "permissions": permissions})}


def main():
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        answer = runtime.getresponse()
        request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(answer.read())
        runtime.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps(handle(event)))
        runtime.getresponse().read()


main()
