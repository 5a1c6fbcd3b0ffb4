#!/usr/bin/env python3
"""Draws the layout of the dashboard in template.yaml as docs/dashboard.svg.

Runs in the environment of aws-sam-cli. Usage: infra/dashboard.py [--check]
"""

import json
import os
import re
from xml.sax.saxutils import escape

from generated import generated
from samcli.yamlhelper import yaml_parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join(ROOT, "docs/dashboard.svg")
# One unit of the dashboard's grid of 24 columns, in pixels.
UNIT = 40
GAP = 6
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b")


def widgets():
    with open(os.path.join(ROOT, "template.yaml")) as file:
        body = yaml_parse(file.read())["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    return json.loads(body)["widgets"]


def labels(properties):
    """What a widget shows, one entry for each line in its legend."""
    if "alarms" in properties:
        return [re.sub(r"^\$\{(\w+)\.Arn\}$", r"\1", alarm) for alarm in properties["alarms"]]
    shown = []
    for metric in properties["metrics"]:
        if "expression" in metric[-1]:
            shown.append("a line for each product and outcome")
        else:
            shown.append(metric[-1]["label"])
    return shown


def text(x, y, content, size=13, fill="#16191f", weight="normal"):
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" font-weight="{weight}">{escape(content)}</text>'


def drawn(widget):
    properties = widget["properties"]
    x, y = widget["x"] * UNIT + GAP, widget["y"] * UNIT + GAP
    width, height = widget["width"] * UNIT - 2 * GAP, widget["height"] * UNIT - 2 * GAP
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="#fff" stroke="#aab7b8"/>']
    parts.append(text(x + 10, y + 20, properties["title"], weight="bold"))
    names = labels(properties)
    if widget["type"] == "alarm":
        columns = -(-len(names) // 2)
        cell = (width - 20) / columns
        for index, name in enumerate(names):
            left, top = x + 10 + index % columns * cell, y + 30 + index // columns * 36
            parts.append(f'<rect x="{left:.0f}" y="{top}" width="{cell - 6:.0f}" height="30" rx="3" fill="#eaf6ec" stroke="#2ca02c"/>')
            parts.append(text(round(left) + 6, top + 19, name, 10))
        return parts
    # Axes, and the legend below them.
    left, right, bottom = x + 14, x + width - 14, y + height - 26 - 16 * ((len(names) - 1) // 2 + 1)
    parts.append(f'<path d="M{left} {y + 34}V{bottom}H{right}" fill="none" stroke="#aab7b8"/>')
    detail = f"{properties['stat']} of {properties['period'] // 60} min" if properties["period"] < 86400 else f"{properties['stat']} of a day"
    parts.append(text(right - 100, y + 46, detail, 10, "#687078"))
    for index, name in enumerate(names):
        column, row = index % 2, index // 2
        at, line = left + column * (width - 28) // 2, bottom + 20 + 16 * row
        parts.append(f'<rect x="{at}" y="{line - 9}" width="10" height="10" fill="{COLORS[index % len(COLORS)]}"/>')
        parts.append(text(at + 15, line, name, 11))
    return parts


def picture():
    found = widgets()
    width = 24 * UNIT
    height = max(widget["y"] + widget["height"] for widget in found) * UNIT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
        "<title>Layout of the dashboard, drawn by infra/dashboard.py from template.yaml</title>",
        f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>',
    ]
    for widget in found:
        lines += drawn(widget)
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    generated(PICTURE, picture())
