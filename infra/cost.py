#!/usr/bin/env python3
"""Computes docs/cost.md from infra/cost.toml. Runs in the environment of aws-sam-cli. Usage: infra/cost.py [--check]"""

import os
import tomllib
from functools import cache

from cloudformation import evaluated, source, transformed
from generated import generated

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(os.path.dirname(HERE), "docs/cost.md")
CONNECTIONS = (1, 100, 5000)
GB = 1e9


@cache
def resources():
    """Those of a stack with the template's defaults."""
    return evaluated(transformed(source()))["Resources"]


def counted(kind):
    """Resources of a type in such a stack."""
    return sum(it["Type"] == kind for it in resources().values())


def month(inputs, connections, secrets="manager"):
    """Dollars of a month, by what they are paid for, where the parameter Secrets has this value."""
    price, assumed, run, tick = inputs["prices"], inputs["assumed"], inputs["measured"]["run"], inputs["measured"]["tick"]
    runs = connections * assumed["days"]
    worker_s = (run["milliseconds"] + run["huntress_requests"] * assumed["huntress_ms_per_request"]) / 1000
    tick_s = tick["milliseconds"] / 1000
    hours = assumed["days"] * assumed["hourly_tasks_a_day"]
    asked = runs * assumed["api_requests_a_day"]
    hourly_s = hours * assumed["hourly_milliseconds"] / 1000
    gb_s = runs * worker_s * assumed["worker_memory_mb"] / 1024 + (runs * tick_s + hourly_s) * assumed["other_memory_mb"] / 1024
    # Each run adds a leaf to a log, which is signed within the hour.
    gb_s += (runs + hours) * assumed["signing_milliseconds"] / 1000 * assumed["signing_memory_mb"] / 1024
    stored_gb = connections * assumed["days"] * assumed["evidence_months"] * run["stored_bytes"] / GB
    invocations = 2 * runs + 2 * hours + asked
    log_gb = (runs * (run["log_bytes"] + tick["log_bytes"]) + invocations * assumed["platform_log_bytes"] + asked * assumed["access_log_bytes"]) / GB
    sqs = runs * (run["sqs_requests"] + tick["sqs_requests"] + 2) + assumed["days"] * assumed["queue_polls_a_day"]
    # The table's key is cached, and a data key of the queue serves an hour: 24 of both a day, and one for each credential, wherever it is.
    kms = runs * run["secret_requests"] + assumed["days"] * 48
    # A credential in the table is a record below 4 KB, read consistently; its storage is nothing beside the evidence.
    reads = run["read_units"] + tick["read_units"] + (run["secret_requests"] if secrets == "sealed" else 0)
    secret_requests = runs * run["secret_requests"] if secrets == "manager" else 0
    return {
        "Lambda": gb_s * price["lambda_gb_second_arm"] + invocations / 1e6 * price["lambda_million_requests"],
        "API": asked / 1e6 * price["api_million_requests"],
        "DynamoDB, requests": runs
        * (
            (run["write_units"] + tick["write_units"] + assumed["signing_write_units"]) / 1e6 * price["dynamodb_million_write_units"]
            + (reads + assumed["signing_read_units"]) / 1e6 * price["dynamodb_million_read_units"]
        )
        + 2 * hours * assumed["hourly_read_units"] / 1e6 * price["dynamodb_million_read_units"],
        "DynamoDB, a year of evidence and its backup": stored_gb
        * (price["dynamodb_gb_month"] + price["dynamodb_backup_gb_month"]),
        "Secrets Manager": (connections * price["secret_month"] if secrets == "manager" else 0)
        + secret_requests / 1e4 * price["secrets_ten_thousand_requests"],
        # The key that signs is not rotated.
        "KMS": counted("AWS::KMS::Key") * price["kms_key_month"]
        + (counted("AWS::KMS::Key") - 1) * assumed["key_rotations"] * price["kms_rotation_month"]
        + runs / 1e4 * price["kms_ten_thousand_signatures"]
        + kms / 1e4 * price["kms_ten_thousand_requests"],
        "SQS": sqs / 1e6 * price["sqs_million_requests"],
        "Logs": log_gb * (price["logs_gb_ingested"] + assumed["log_retention_months"] * price["logs_gb_month"]),
        "Metrics, alarms, dashboard": (
            assumed["metrics"] * assumed["metric_hours_a_day"] + assumed["api_metrics"] * assumed["api_metric_hours_a_day"]
        )
        / 24
        * price["metric_month"]
        + counted("AWS::CloudWatch::Alarm") * price["alarm_month"]
        + price["dashboard_month"],
        # At most all of them are sampled.
        "Traces": 2 * runs / 1e6 * price["traces_million"],
    }


def money(dollars):
    return f"{dollars:,.2f}" if dollars >= 0.005 else "0.00"


def table(months):
    lines = [
        "| US dollars a month | " + " | ".join(f"{it:,} connection{'s' if it > 1 else ''}" for it in CONNECTIONS) + " |",
        "|---|" + "---:|" * len(CONNECTIONS),
    ]
    for name in months[1]:
        lines.append(f"| {name} | " + " | ".join(money(months[it][name]) for it in CONNECTIONS) + " |")
    totals = [sum(months[it].values()) for it in CONNECTIONS]
    lines.append("| **together** | " + " | ".join(f"**{money(it)}**" for it in totals) + " |")
    lines.append("| for each connection | " + " | ".join(money(total / it) for total, it in zip(totals, CONNECTIONS)) + " |")
    return lines


def most(costs):
    """What is paid for most, and its percentage."""
    name = max(costs, key=costs.get)
    return f"*{name}*", f"{100 * costs[name] / sum(costs.values()):.0f} %"


def inputs_table(inputs):
    lines = ["| input | value |", "|---|---:|"]
    for group, values in (("price", inputs["prices"]), ("assumed", inputs["assumed"])):
        lines += [f"| {group}: {name.replace('_', ' ')} | {value:.10g} |" for name, value in values.items()]
    for what in ("tick", "run", "large"):
        measured = inputs["measured"][what]
        lines += [f"| measured, {what}: {name.replace('_', ' ')} | {value} |" for name, value in measured.items()]
    return lines


def page(inputs):
    managed, sealed = ({it: month(inputs, it, secrets) for it in CONNECTIONS} for secrets in ("manager", "sealed"))
    small, middle, large = CONNECTIONS
    first, second, third, last = (most(it) for it in (managed[small], managed[middle], managed[large], sealed[large]))
    peak = inputs["measured"]["large"]
    return "\n".join([
        "# Cost",
        "",
        "A month of daily collection, computed by `infra/cost.py` from the inputs below; CI fails when this page is not what they give. Prices are list prices without any",
        "free tier, so a small stack costs less than this. A connection is one key that sees 25 organizations with 2,000 agents, each organization with a client of its own.",
        "",
        "With credentials in Secrets Manager (`Secrets=manager`):",
        "",
        *table(managed),
        "",
        f"With one connection almost all costs are fixed: {first[0]} is {first[1]}. With {middle} it is {second[0]}, {second[1]}.",
        f"With {large:,} connections {third[0]} dominates with {third[1]}: one secret for each connection has a price of its own, whatever it is used for.",
        "",
        "With credentials sealed in the table (`Secrets=sealed`, [operations.md](operations.md#credentials)):",
        "",
        *table(sealed),
        "",
        f"With {large:,} connections {last[0]} is then most of it, {last[1]}. A run asks KMS for one data key, as Secrets Manager would for it.",
        "Computing is next to nothing, because a run is a few requests and the worker waits for Huntress more than it works.",
        "",
        "## What changes it",
        "",
        "- **Clients.** Evidence is one record for each client. A connection with one client writes a fraction of this.",
        f"- **Compression.** Evidence is gzip, and written beside the transaction that makes it visible, which would be billed twice for each kilobyte: {inputs['measured']['run']['write_units']} write units a run and not the 537 of",
        f"  earlier releases, {inputs['measured']['run']['stored_bytes']:,} bytes and not 244,773. Parts of a bundle that differ from client to client, as hashes do, stay as large as they are.",
        "- **History.** Evidence is kept for ever, unless `EvidenceRetentionDays` ends it. Its storage grows by the same amount each month.",
        "- **The vendor's answers.** A worker is paid for while it waits for an answer; it is not paid for while a run waits for a request limit.",
        "- **Monitoring.** The alarms and the dashboard cost the same for one connection and for thousands.",
        "- **People.** Not in these tables, and not measured: a connection that tracks people writes a row for each whose status changed, one data key a run, and a",
        "  certificate of some kilobytes for each that was earned. A day without changes writes nothing.",
        "- **Credentials.** A secret costs as much in a month as the rest of a connection in a year; from about 50 connections on they are most of the bill, and `sealed` is cheaper.",
        "",
        "## Inputs",
        "",
        "Milliseconds and memory were measured with an earlier release; requests, units and bytes with this one. Bytes are counted as the table bills them. Release bootstraps under the Lambda runtime emulator, requests metered between them and an emulated AWS (`just bench-usage`). Memory is that of the process:",
        f"a run over {peak['agents']:,} agents takes {peak['peak_mb']} MB at its peak, so the smallest setting, 128 MB, serves. A tick is counted as if it planned each connection alone, which is more than it costs.",
        "",
        *inputs_table(inputs),
        "",
    ])


def main():
    with open(os.path.join(HERE, "cost.toml"), "rb") as file:
        generated(PAGE, page(tomllib.load(file)))


if __name__ == "__main__":
    main()
