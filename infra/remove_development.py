#!/usr/bin/env python3
"""Removes a development stack whole: empties its bucket, which CloudFormation would refuse to remove, and deletes the stack.

Needs AWS's command-line tool, and its credentials. Usage: infra/remove_development.py STACK
"""

import json
import subprocess
import sys


def aws(*arguments):
    done = subprocess.run(["aws", *arguments, "--output", "json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"aws {arguments[0]} {arguments[1]}: {done.stderr.strip()}")
    return json.loads(done.stdout) if done.stdout.strip() else {}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    name = sys.argv[1]
    stack, = aws("cloudformation", "describe-stacks", "--stack-name", name)["Stacks"]
    parameters = {it["ParameterKey"]: it["ParameterValue"] for it in stack.get("Parameters", [])}
    if parameters.get("Stage") != "development":
        sys.exit(f"{name} is no development stack: its table, keys and bucket would outlive it, and its evidence is not to be removed by this. `sam delete` removes the rest")
    bucket = next(it["OutputValue"] for it in stack["Outputs"] if it["OutputKey"] == "CertificateBucketName")
    if bucket != parameters.get("ExistingCertificateBucket"):
        empty(bucket)
    aws("cloudformation", "delete-stack", "--stack-name", name)
    aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", name)
    print(f"{name} is removed; its keys go after 7 days")


def empty(bucket):
    """Every version of every object, and every marker."""
    while True:
        page = aws("s3api", "list-object-versions", "--bucket", bucket, "--max-items", "500")
        found = [{"Key": it["Key"], "VersionId": it["VersionId"]} for kind in ("Versions", "DeleteMarkers") for it in page.get(kind) or []]
        if not found:
            return
        aws("s3api", "delete-objects", "--bucket", bucket, "--delete", json.dumps({"Objects": found, "Quiet": True}))


main()
