#!/usr/bin/env python3
"""Writes a copy of the built template for `sam local start-api`, which sees the routes of SAM functions and none that are resources of their own.

Usage: infra/start_api.py [.aws-sam/build/template.yaml]; the copy is start-api.yaml beside it.
"""

import os
import sys

from samcli.yamlhelper import yaml_dump, yaml_parse


def with_events(template):
    """The template with each route as an event of its function."""
    resources = template["Resources"]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            method, path = resource["Properties"]["RouteKey"].split(" ")
            integration = resource["Properties"]["Target"]["Fn::Sub"].split("${")[1].rstrip("}")
            function = resources[integration]["Properties"]["IntegrationUri"]["Fn::GetAtt"][0]
            event = {"Type": "HttpApi", "Properties": {"Method": method, "Path": path, "PayloadFormatVersion": "2.0"}}
            resources[function]["Properties"].setdefault("Events", {})[name] = event
    return template


def main():
    built = sys.argv[1] if len(sys.argv) > 1 else ".aws-sam/build/template.yaml"
    with open(built) as file:
        template = with_events(yaml_parse(file.read()))
    copy = os.path.join(os.path.dirname(built), "start-api.yaml")
    with open(copy, "w") as file:
        file.write(yaml_dump(template))
    print(copy)


if __name__ == "__main__":
    main()
