"""What CloudFormation gets: the template as SAM's own translator makes it, for each stage's parameters.

`Project.transformed` is CloudFormation with its functions in it; `Project.deployed` is what is left once parameters and
conditions have their values, as the stack would have it. Names and ARNs of resources, which only AWS knows, are as the stand-in
invents them (`infra/local/src/template.rs`), so that the two can be compared.
"""

import copy
import functools
import importlib
import json
import logging
import os
import pathlib
import re
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
STAGES = ["dev", "staging", "prod"]

# The translator asks boto3 for a region, and nothing else.
os.environ.update(AWS_DEFAULT_REGION=REGION, SAM_CLI_TELEMETRY="0")
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)
logging.getLogger("samcli").setLevel(logging.CRITICAL)


def everything(stage):
    """Beside a stage's own parameters, what turns on whatever is off at first."""
    return {
        "TruststoreVersion": "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY.MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
        "HostedZoneId": "Z0123456789ABCDEFGHIJ",
        "CardAttemptsCertificateArn": f"arn:aws:acm:{REGION}:000000000000:certificate/{stage}",
        "CorsOrigins": "https://hr.example.gov.tw,https://desk.example.gov.tw:8443",
        "TokenPreviousKeySlot": "b",
    }


class Project:
    """The project's files, some of them with another text where a fault is tried."""

    def __init__(self, changed=None):
        self.changed = changed or {}

    def text(self, path):
        return self.changed.get(path) or (ROOT / path).read_text(encoding="utf-8")

    # ---- What the SAM CLI reads ----------------------------------------------------------------------------------

    @functools.cached_property
    def _samconfig(self):
        self._folder = tempfile.TemporaryDirectory(prefix="samconfig-")
        path = pathlib.Path(self._folder.name) / "samconfig.toml"
        path.write_text(self.text("samconfig.toml"), encoding="utf-8")
        return str(path)

    def sam(self, command, *arguments):
        """A command of the SAM CLI, as far as it reads its settings: its parameters. Raises Refused, in the CLI's words."""
        import click
        from samcli.commands._utils import template

        # Each option that looks into the template parses it anew, in pure Python.
        template.yaml_parse = _parsed_once
        module = importlib.import_module(f"samcli.commands.{command}.command")
        arguments = ["--config-file", self._samconfig, *arguments]
        before = pathlib.Path.cwd()
        os.chdir(ROOT)
        try:
            return module.cli.make_context(command, arguments).params
        except click.ClickException as refusal:
            raise Refused(refusal.format_message()) from refusal
        finally:
            os.chdir(before)

    @functools.lru_cache(maxsize=None)
    def deployment(self, stage):
        return self.sam("deploy", "--config-env", stage, "--template-file", "infra/template.yaml")

    def overrides(self, stage):
        """The template's parameters of a stage, as the SAM CLI hands them to CloudFormation."""
        return self.deployment(stage)["parameter_overrides"]

    def stack(self, stage):
        return self.deployment(stage)["stack_name"]

    # ---- What CloudFormation gets --------------------------------------------------------------------------------

    @functools.cached_property
    def template(self):
        return _read_once(self.text("infra/template.yaml"))

    def transformed(self, parameters):
        """The template as the transform AWS::Serverless-2016-10-31 leaves it. Not to be changed."""
        return _transformed(self.text("infra/template.yaml"), tuple(sorted(parameters.items())))

    def deployed(self, stage, more=None):
        """What a stage's stack has; `more` are parameters beside those of samconfig.toml. Not to be changed."""
        return self._deployed(stage, tuple(sorted((more or {}).items())))

    @functools.lru_cache(maxsize=None)
    def _deployed(self, stage, more):
        parameters = {**self.overrides(stage), **dict(more)}
        return Deployed(self.transformed(parameters), parameters, self.stack(stage))


class Refused(Exception):
    """The SAM CLI does not take what it was given."""


def parsed(overrides):
    """Parameters as the SAM CLI reads them."""
    import click
    from samcli.cli.types import CfnParameterOverridesType

    try:
        return CfnParameterOverridesType().convert(overrides, None, None)
    except click.ClickException as refusal:
        raise Refused(refusal.format_message()) from refusal


def read_template(text):
    """YAML with CloudFormation's short tags, as the SAM CLI reads it, by the quicker of PyYAML's two parsers."""
    from samcli.yamlhelper import intrinsics_multi_constructor

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        pass

    Loader.add_multi_constructor("!", intrinsics_multi_constructor)
    return yaml.load(text, Loader)  # noqa: S506 a safe loader with tags


# A fault that is tried in another file leaves the template as it is, and is not worth a second reading of it.


@functools.lru_cache(maxsize=1)
def _parsed_once(text):
    from samcli.yamlhelper import yaml_parse

    return yaml_parse(text)


@functools.lru_cache(maxsize=2)
def _read_once(text):
    return read_template(text)


@functools.lru_cache(maxsize=16)
def _transformed(text, parameters):
    from samtranslator.metrics.metrics import DummyMetricsPublisher, Metrics
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    template = copy.deepcopy(_read_once(text))
    for resource in template["Resources"].values():
        # `sam deploy` puts what was built into a bucket first.
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            properties["CodeUri"] = f"s3://artifacts/{binary}.zip"
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = f"s3://artifacts/layer-{properties['ContentUri']}.zip"
    metrics = Metrics("ServerlessTransform", DummyMetricsPublisher())
    translated = Translator({}, Parser(), metrics=metrics).translate(template, dict(parameters))
    metrics.publish()
    translated.pop("Transform", None)
    return translated


class Deployed:
    """The resources that a deployment makes, with every reference resolved."""

    def __init__(self, template, parameters, stack):
        self.template, self.stack = template, stack
        self.parameters = {
            name: parameters.get(name, declared.get("Default"))
            for name, declared in template["Parameters"].items()
        }
        missing = [name for name, value in self.parameters.items() if value is None]
        if missing:
            raise ValueError(f"parameters without a value: {', '.join(missing)}")
        self.conditions = {}
        self.resources = {
            name: {**resource, "Properties": self.resolve(resource.get("Properties", {}))}
            for name, resource in template["Resources"].items()
            if self.condition(resource.get("Condition"))
        }

    def of(self, kind):
        """The resources of a type: logical ids with properties."""
        return [(name, it["Properties"]) for name, it in self.resources.items() if it["Type"] == kind]

    def condition(self, name):
        if name is None:
            return True
        if name not in self.conditions:
            self.conditions[name] = self.truth(self.template["Conditions"][name])
        return self.conditions[name]

    def truth(self, expression):
        (function, argument), = expression.items()
        match function:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                one, other = (str(self.resolve(part)) for part in argument)
                return one == other
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all(self.truth(part) for part in argument)
            case "Fn::Or":
                return any(self.truth(part) for part in argument)
        raise ValueError(f"{function} is no condition")

    NOTHING = object()

    def resolve(self, value):
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not self.NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self.call(function, argument)
        fields = {name: self.resolve(field) for name, field in value.items()}
        return {name: field for name, field in fields.items() if field is not self.NOTHING}

    def call(self, function, argument):
        match function:
            case "Ref":
                return self.reference(argument)
            case "Fn::GetAtt":
                return self.attribute(*(argument.split(".", 1) if isinstance(argument, str) else argument))
            case "Fn::Sub":
                text, values = (argument, {}) if isinstance(argument, str) else argument
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.substitute(found[1], values), text)
            case "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.condition(condition) else no)
            case "Fn::Join":
                return argument[0].join(str(part) for part in self.resolve(argument[1]))
            case "Fn::Split":
                return str(self.resolve(argument[1])).split(argument[0])
            case "Fn::Select":
                return self.resolve(argument[1])[int(argument[0])]
        raise ValueError(f"{function} is not understood here")

    def substitute(self, name, values):
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if name in values:
            return str(self.resolve(values[name]))
        return str(self.attribute(*name.split(".", 1)) if "." in name else self.reference(name.strip()))

    def reference(self, name):
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack,
            "AWS::NoValue": self.NOTHING,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        self.resource(name)
        return f"{self.stack}-{name}"

    def attribute(self, name, attribute):
        resource = self.resource(name)
        if resource["Type"] == "AWS::DynamoDB::Table":
            arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.stack}-{name}"
            return {"Arn": arn, "StreamArn": f"{arn}/stream/1"}[attribute]
        if attribute == "Arn":
            return f"arn:aws:local:{REGION}:{ACCOUNT}:{self.stack}-{name}"
        return f"{self.stack}-{name}-{attribute}"

    def resource(self, name):
        resource = self.template["Resources"].get(name)
        if resource is None:
            raise ValueError(f"{name} is no resource")
        if not self.condition(resource.get("Condition")):
            raise ValueError(f"{name} is referred to, and does not exist under these parameters")
        return resource


def compact(value):
    """JSON as AWS counts it: without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
