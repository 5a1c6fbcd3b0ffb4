#!/usr/bin/env python3
"""Each alarm of the template over recorded series: what sets it off, what ends it, and that a new stack is quiet. No emulator evaluates alarms.

Runs in the environment of aws-sam-cli. Usage: infra/alarms_test.py
"""

import sys

from check_template import of_type
from cloudformation import evaluated, source, transformed
from metric_math import states

NONE = None


def hours(*parts):
    """A series of (number of periods, value)."""
    return [value for number, value in parts for _ in range(number)]


# A stack of 100 connections, day after day: 24 hours with a tick in one of them.
DAY = [1] + [0] * 23
POLLS = hours((60, 800))
# For each alarm: the recorded series, by metric, with the states that have to be among them in this order; and the periods of which it is red.
SERIES = {
    "DailyRunMissing": [
        ("three good days", {"Ticks": DAY * 3}, []),
        ("the longest day of the year", {"Ticks": [1] + [0] * 24 + DAY}, []),
        ("a morning that did not come, and the next one", {"Ticks": DAY + [0] * 24 + DAY}, range(26, 48)),
        ("a stack that was made in the evening", {"Ticks": [0] * 16 + DAY}, []),
        ("no morning at all", {"Ticks": [0] * 30}, range(25, 30)),
    ],
    "HourlyTaskMissing": [
        ("every hour", {"NumberOfEmptyReceives": POLLS[:12], "RunsStalled": [1] * 12}, []),
        ("one that was late", {"NumberOfEmptyReceives": POLLS[:8], "RunsStalled": hours((3, 1), (1, NONE), (4, 1))}, []),
        ("a schedule that was taken away, and is there again", {"NumberOfEmptyReceives": POLLS[:9], "RunsStalled": hours((2, 1), (5, NONE), (2, 1))}, range(4, 7)),
        ("a stack of two hours", {"NumberOfEmptyReceives": POLLS[:2], "RunsStalled": hours((2, NONE))}, []),
    ],
    "StaleConnections": [
        ("two of a hundred", {"Connections": [100, NONE, 100], "StaleConnections": [2, NONE, 2]}, []),
        ("a bad night, until the next tick", {"Connections": [100, 100, NONE, NONE, 100], "StaleConnections": [0, 30, NONE, NONE, 1]}, [1, 2, 3]),
        ("the only one", {"Connections": [1, 1], "StaleConnections": [1, 0]}, [0]),
        ("no connection", {"Connections": [0, 0], "StaleConnections": [0, 0]}, []),
    ],
    "CredentialsExpiring": [
        ("none", {"ExpiringCredentials": [0, NONE, 0]}, []),
        ("one, until a tick after it was replaced", {"ExpiringCredentials": [0, 1, NONE, NONE, 0]}, [1, 2, 3]),
    ],
    "RunsFailed": [
        ("two of a hundred", {"RunsEnded": [100], "RunsFailed": [2]}, []),
        ("the vendor is down for an hour", {"RunsEnded": [100, 100, 3], "RunsFailed": [1, 60, 0]}, [1]),
        ("two of two, which is no share", {"RunsEnded": [2], "RunsFailed": [2]}, []),
        ("a quiet hour", {"RunsEnded": [NONE], "RunsFailed": [NONE]}, []),
    ],
    "AuthFailuresJump": [
        ("one customer", {"AuthFailures": [0, 1, 0]}, []),
        ("a key that is tried again and again counts once", {"AuthFailures": [1, 0, 0, 0]}, []),
        ("three at once, and an hour without", {"AuthFailures": [0, 3, 0, NONE]}, [1]),
    ],
    "RunsPutAside": [("a message until it is redriven", {"ApproximateNumberOfMessagesVisible": [0, 1, 1, 0]}, [1, 2])],
    "TriggersPutAside": [("a trigger until the queue is purged", {"ApproximateNumberOfMessagesVisible": [NONE, 1, 0]}, [1])],
    "RunsWaitLong": [
        ("a lost worker", {"ApproximateAgeOfOldestMessage": [60, 5_400, 5_700, 0]}, []),
        ("too few workers, until they are through", {"ApproximateAgeOfOldestMessage": [60, 7_100, 7_400, 7_700, 0]}, [2, 3]),
    ],
    "MessagesReturned": [
        ("now and then one", {"MessagesReturned": [1, 1, 1, 1]}, []),
        ("one hiccup of a minute", {"MessagesReturned": [NONE, 40, NONE, NONE]}, []),
        ("the key is disabled, and enabled again", {"MessagesReturned": [8, 9, 9, 9, NONE]}, [2, 3]),
    ],
    "RunsAbandoned": [("one, and an hour without", {"RunsAbandoned": [0, 1, 0]}, [1])],
    "TableThrottled": [
        ("a moment in which the load doubles", {"ReadThrottleEvents": [NONE, 2, NONE], "WriteThrottleEvents": [NONE, 40, NONE]}, []),
        ("a limit of the table, and more JitterMinutes", {"ReadThrottleEvents": [NONE] * 5, "WriteThrottleEvents": [50, 60, 60, NONE, NONE]}, [1, 2, 3]),
    ],
    "SyncWorkerNearTimeLimit": [
        ("a part that ends in time", {"Duration": [2_000, 869_000, 872_000]}, []),
        ("one that does not", {"Duration": [2_000, 899_000, 2_000]}, [1]),
    ],
    "ScheduledSyncThrottled": [("once, and not again", {"Throttles": [0, 1, 0]}, [1])],
    "SyncWorkerThrottled": [("once, and not again", {"Throttles": [0, 1, NONE]}, [1])],
    "ApiErrors": [
        ("a customer's bad key is a 424, and no 5xx", {"5xx": [0, 0, 0]}, []),
        ("a crash, and the next answers", {"5xx": [0, 1, 0]}, [1]),
    ],
}
SERIES |= {f"{it}Errors": [("a crash, and the next invocation", {"Errors": [0, 1, 0]}, [1])] for it in ("ScheduledSync", "SyncWorker", "OnDemandSync", "ConnectionTest", "ConnectionsApi", "EvidenceApi", "PeopleApi", "PacksApi", "Console", "ConsoleConnections", "LogSigning")}


def metrics_of(alarm):
    return [it["MetricStat"]["Metric"]["MetricName"] for it in alarm.get("Metrics", []) if "MetricStat" in it] or [alarm["MetricName"]]


def problems(alarms):
    for name in sorted(set(alarms) ^ set(SERIES)):
        yield f"{name}: there is an alarm without series, or series without an alarm"
    for name in sorted(set(alarms) & set(SERIES)):
        alarm = alarms[name]
        # From the first minute on, and for a day: there is nothing yet.
        quiet = states(alarm, {metric: [NONE] * 48 for metric in metrics_of(alarm)})
        if "ALARM" in quiet:
            yield f"{name}: red in a new stack"
        seen = set()
        for what, recorded, red in SERIES[name]:
            found = states(alarm, recorded)
            seen |= set(found)
            got = [at for at, state in enumerate(found) if state == "ALARM"]
            if got != list(red):
                yield f"{name}, {what}: red in the periods {got}, not {list(red)}"
        if not {"ALARM", "OK"} <= seen:
            yield f"{name}: the series show {sorted(seen)} and not what sets it off and what ends it"


def main():
    alarms = of_type(evaluated(transformed(source()))["Resources"], "AWS::CloudWatch::Alarm")
    found = list(problems(alarms))
    for problem in found:
        print(problem, file=sys.stderr)
    # An alarm that is never red, and one that always is, have to be found out.
    for name in alarms:
        for threshold in ("1e12", "-1e12"):
            if not any(problem.startswith(name) for problem in problems({**alarms, name: {**alarms[name], "Threshold": threshold}})):
                found.append(name)
                print(f"{name}: the series say nothing of its threshold", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{len(alarms)} alarms: each goes off at its fault, ends after it, and is quiet in a new stack")


if __name__ == "__main__":
    main()
