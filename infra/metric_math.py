"""Alarms of CloudWatch over recorded series: metric math as far as template.yaml uses it, and how an alarm comes to its state.

A series is a list with a value for each period, oldest first; None where there is none. Sources:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import ast
import operator
import re

OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Eq: operator.eq,
}
COMPARISONS = {
    "GreaterThanThreshold": operator.gt, "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt, "LessThanOrEqualToThreshold": operator.le,
}


def computed(expression, values):
    """The value of an expression in one period. What is made of a missing value is missing, but for FILL."""
    words = re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", expression))
    return value_of(ast.parse(words, mode="eval").body, values)


def value_of(node, values):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Call) and node.func.id == "FILL":
        value, instead = (value_of(it, values) for it in node.args)
        return instead if value is None else value
    if isinstance(node, ast.Call) and node.func.id == "IF":
        condition, then, otherwise = (value_of(it, values) for it in node.args)
        return None if condition is None else then if condition else otherwise
    if isinstance(node, ast.BinOp):
        parts, function = (node.left, node.right), OPERATORS[type(node.op)]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        parts, function = (node.left, node.comparators[0]), OPERATORS[type(node.ops[0])]
    elif isinstance(node, ast.BoolOp):
        parts, function = node.values, (lambda *it: all(it)) if isinstance(node.op, ast.And) else lambda *it: any(it)
    else:
        raise ValueError(f"metric math that is not known here: {ast.dump(node)}")
    found = [value_of(it, values) for it in parts]
    if None in found:
        return None
    try:
        return float(function(*found))
    except ZeroDivisionError:
        return None


def series(alarm, recorded):
    """What an alarm looks at: its metric, or its expression over the metrics of its query."""
    if "MetricName" in alarm:
        return recorded[alarm["MetricName"]]
    names = {it["Id"]: it["MetricStat"]["Metric"]["MetricName"] for it in alarm["Metrics"] if "MetricStat" in it}
    expression, = (it["Expression"] for it in alarm["Metrics"] if "Expression" in it)
    periods = len(next(iter(recorded.values())))
    return [computed(expression, {id: recorded[name][at] for id, name in names.items()}) for at in range(periods)]


def states(alarm, recorded):
    """The state of an alarm after each period, from the one that a new alarm has."""
    found, state = series(alarm, recorded), "INSUFFICIENT_DATA"
    periods = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm", periods))
    breaches = lambda value: COMPARISONS[alarm["ComparisonOperator"]](value, float(alarm["Threshold"]))
    passed = []
    for at in range(len(found)):
        window = ([None] * periods + found[: at + 1])[-periods:]
        state = state_of(window, needed, breaches, alarm["TreatMissingData"], state)
        passed.append(state)
    return passed


def state_of(window, needed, breaches, missing, before):
    there = [it for it in window if it is not None]
    if not there and missing in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if missing == "missing" else before
    breaching = sum(breaches(it) for it in there)
    if missing == "breaching":
        breaching += len(window) - len(there)
    if missing == "ignore" and len(there) < len(window):
        return before if len(there) < needed else "ALARM" if breaching >= needed else "OK"
    return "ALARM" if breaching >= needed else "OK"
