#!/usr/bin/env bash
# What SAM makes of CloudFormation's functions in an HTTP API's CorsConfiguration.
#
# Expected: a condition, or a reference to a list of origins, in AllowOrigins ends in the API's document as the allowed
# origins, beside methods, headers and age: "CorsConfiguration" of AWS::Serverless::HttpApi (AWS SAM Developer Guide) has
# AllowOrigins as a list of its own, and CloudFormation resolves functions after the transform.
# Seen: with Fn::If in AllowOrigins, that condition is the whole x-amazon-apigateway-cors: methods, headers and age are gone,
# and no warning says so. With Ref to a parameter of the type CommaDelimitedList, allowOrigins is the parameter's text, where
# the OpenAPI extension wants a list. Fn::If around the whole CorsConfiguration, and Fn::Split of a parameter that is a
# String, come out as they should.
# Version: aws-sam-translator 1.115.0, which the SAM CLI 1.170.0 has. Date: 2026-12-01.
# What it means: a template that passes sam validate and cfn-lint may deploy an API that refuses every page of another origin,
# or, with FailOnWarnings, may not deploy at all. Read the transformed template, not the one that is written.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-translator==1.115.0 PyYAML==6.0.3

cat >"$folder/template.yaml" <<'YAML'
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Listed: { Type: CommaDelimitedList, Default: "https://a.example,https://b.example" }
  Written: { Type: String, Default: "https://a.example,https://b.example" }
Conditions:
  Any: !Not [!Equals [!Ref Written, ""]]
Resources:
  ConditionInside:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: { AllowOrigins: !If [Any, ["https://a.example"], []], AllowMethods: [GET], MaxAge: 600 }
  ConditionAround:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        Fn::If:
          - Any
          - { AllowOrigins: !Split [",", !Ref Written], AllowMethods: [GET], MaxAge: 600 }
          - !Ref AWS::NoValue
  List:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: { AllowOrigins: !Ref Listed, AllowMethods: [GET], MaxAge: 600 }
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: s3://bucket/code.zip
      Events:
        One: { Type: HttpApi, Properties: { ApiId: !Ref ConditionInside, Method: GET, Path: / } }
        Two: { Type: HttpApi, Properties: { ApiId: !Ref ConditionAround, Method: GET, Path: / } }
        Three: { Type: HttpApi, Properties: { ApiId: !Ref List, Method: GET, Path: / } }
YAML

AWS_DEFAULT_REGION=eu-west-1 "$folder/venv/bin/python" - "$folder/template.yaml" <<'PYTHON'
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

translated = Translator({}, Parser()).translate(yaml_parse(open(sys.argv[1])), {})
expected = {
    "ConditionInside": {"Fn::If": ["Any", ["https://a.example"], []]},
    "ConditionAround": {
        "Fn::If": [
            "Any",
            {
                "allowOrigins": {"Fn::Split": [",", "https://a.example,https://b.example"]},
                "allowMethods": ["GET"],
                "maxAge": 600,
            },
            {"Ref": "AWS::NoValue"},
        ]
    },
    "List": {"allowOrigins": "https://a.example,https://b.example", "allowMethods": ["GET"], "maxAge": 600},
}
changed = False
for name, seen_before in expected.items():
    seen = translated["Resources"][name]["Properties"]["Body"]["x-amazon-apigateway-cors"]
    print(f"{name}: {json.dumps(seen)}")
    changed |= seen != seen_before
sys.exit("what SAM makes of it has changed" if changed else 0)
PYTHON
