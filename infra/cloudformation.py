"""A template as CloudFormation sees it: after the SAM transform, and with the values of its parameters put in."""

import copy
import logging
import os
import re

from samcli.yamlhelper import yaml_parse
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NO_VALUE = object()
# SAM's translator warns of its own feature switches at each call.
logging.disable(logging.WARNING)


def source(path=os.path.join(ROOT, "template.yaml")):
    """The template as it is written, with code as `sam package` leaves it."""
    with open(path) as file:
        # Each alias becomes a copy: SAM changes in place what it is given.
        template = unshared(yaml_parse(file.read()))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
    return template


def unshared(value):
    if isinstance(value, dict):
        return {key: unshared(it) for key, it in value.items()}
    return [unshared(it) for it in value] if isinstance(value, list) else value


def transformed(template, **parameters):
    """What SAM makes of a template. It resolves no conditions, and parameters in few places."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    try:
        return Translator({}, Parser()).translate(copy.deepcopy(template), parameter_values=parameters)
    except InvalidDocumentException as error:
        raise ValueError("; ".join(it.message for it in error.causes)) from error


# A stack with everything in it. A parameter that is given takes the place of these.
WHOLE = {"ConsoleOidcSecret": "${ConsoleOidcSecret}"}


def evaluated(template, **parameters):
    """Resources and outputs as they are for these parameters. What is known at deployment only stands as `${Table.Arn}`."""
    values = {name: it.get("Default", f"${{{name}}}") for name, it in template["Parameters"].items()}
    return Evaluation(template, {**values, **WHOLE, **parameters}).all()


# As AWS makes them, because parts of it are taken out.
STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/huntress-evidence/11111111-2222-3333-4444-555555555555"


class Evaluation:
    def __init__(self, template, values):
        self.template = template
        self.values = {
            name: [it for it in str(value).split(",") if it] if template["Parameters"][name]["Type"] == "CommaDelimitedList" else str(value)
            for name, value in values.items()
        }
        self.values["AWS::StackId"] = STACK_ID

    def all(self):
        found = {}
        for section in ("Resources", "Outputs"):
            there = self.template.get(section, {}).items()
            found[section] = {name: self.of(it) for name, it in there if "Condition" not in it or self.holds(it["Condition"])}
        return found

    def holds(self, condition):
        return self.of(self.template["Conditions"][condition])

    def of(self, value):
        if isinstance(value, list):
            return [it for it in map(self.of, value) if it is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                if name == "Condition" and not isinstance(argument, str):
                    return {name: self.of(argument)}
                return self.function(name, argument)
        found = {key: self.of(it) for key, it in value.items()}
        return {key: it for key, it in found.items() if it is not NO_VALUE}

    def function(self, name, argument):
        if name == "Ref":
            return NO_VALUE if argument == "AWS::NoValue" else self.values.get(argument, f"${{{argument}}}")
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::GetAtt":
            return "${%s}" % (argument if isinstance(argument, str) else ".".join(argument))
        if name == "Fn::If":
            condition, then, otherwise = argument
            return self.of(then if self.holds(condition) else otherwise)
        if name == "Fn::Sub":
            text, own = (argument, {}) if isinstance(argument, str) else argument
            own = {key: self.of(it) for key, it in own.items()}
            return re.sub(r"\$\{([\w:.]+)\}", lambda it: str(own.get(it[1], self.values.get(it[1], it[0]))), text)
        if name == "Fn::Select":
            index, parts = argument
            return self.of(parts)[int(index)]
        argument = self.of(argument)
        if name == "Fn::Equals":
            return str(argument[0]) == str(argument[1])
        if name == "Fn::Not":
            return not argument[0]
        if name == "Fn::And":
            return all(argument)
        if name == "Fn::Or":
            return any(argument)
        if name == "Fn::Join":
            return argument[0].join(map(str, argument[1]))
        if name == "Fn::Split":
            return argument[1].split(argument[0])
        if name == "Fn::FindInMap":
            first, second, third = argument
            return self.template["Mappings"][first][second][third]
        raise ValueError(f"{name} is not known here")
