"""What the stand-in reads in the template, held against what CloudFormation gets: python tests/template/stand_in.py PROGRAM

The stand-in reads the template as it is written, and reads by itself what SAM makes of events, APIs and defaults. Both sides are
brought into one form here, for each stage, at first and with everything turned on; they differ nowhere.
"""

import json
import re
import subprocess
import sys

from check import deployments
from project import Project


def read_by_the_stand_in(program, deployed):
    arguments = [f"--parameter={name}={value}" for name, value in deployed.parameters.items()]
    command = [program, "template", "--stack", deployed.stack, *arguments]
    read = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # What has no order has none on the other side either.
    for name in ["routes", "domains", "mappings", "schedules", "rules", "aliases"]:
        read[name] = ordered(read[name])
    for policies in read["permissions"].values():
        for one in (statement for statements in policies.values() for statement in statements):
            one["conditions"] = ordered(one["conditions"])
    return read


def ordered(values):
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def read_of_cloudformation(deployed):
    functions = {
        f"{deployed.stack}-{name}": function["FunctionName"].removeprefix(f"{deployed.stack}-")
        for name, function in deployed.of("AWS::Lambda::Function")
    }
    rules = deployed.of("AWS::Events::Rule")
    running = [rule for _, rule in rules if rule.get("State", "ENABLED") == "ENABLED"]
    started = lambda rule: functions[rule["Targets"][0]["Arn"].rsplit(":", 1)[1]]  # noqa: E731
    domains = {f"{deployed.stack}-{name}": domain["DomainName"] for name, domain in deployed.of("AWS::ApiGatewayV2::DomainName")}
    to_eventbridge = [
        destination["EventDestination"]["MatchingEventTypes"]
        for _, destination in deployed.of("AWS::SES::ConfigurationSetEventDestination")
        if "EventBridgeDestination" in destination["EventDestination"]
    ]
    return {
        "functions": {
            function["FunctionName"].removeprefix(f"{deployed.stack}-"): {
                "environment": {name: str(value) for name, value in function["Environment"]["Variables"].items()},
                "timeout_seconds": function["Timeout"],
            }
            for _, function in deployed.of("AWS::Lambda::Function")
        },
        "routes": ordered(routes(deployed, functions)),
        "domains": ordered(
            [mapping["ApiId"].removeprefix(f"{deployed.stack}-"), domains[mapping["DomainName"]]]
            for _, mapping in deployed.of("AWS::ApiGatewayV2::ApiMapping")
        ),
        "cors": {
            name: api["Body"]["x-amazon-apigateway-cors"]
            for name, api in deployed.of("AWS::ApiGatewayV2::Api")
            if "x-amazon-apigateway-cors" in api["Body"]
        },
        "mappings": ordered(
            mapping(source, functions[source["FunctionName"]])
            for _, source in deployed.of("AWS::Lambda::EventSourceMapping")
        ),
        "schedules": ordered(
            [started(rule), seconds(rule["ScheduleExpression"])] for rule in running if "ScheduleExpression" in rule
        ),
        "rules": ordered([started(rule), rule["EventPattern"]] for rule in running if "EventPattern" in rule),
        "tables": {name: table(deployed, name, properties) for name, properties in deployed.of("AWS::DynamoDB::Table")},
        "buckets": {name: bucket(properties) for name, properties in deployed.of("AWS::S3::Bucket")},
        "keys": {name: key["Description"] for name, key in deployed.of("AWS::KMS::Key")},
        "aliases": ordered([alias["AliasName"], alias["TargetKeyId"]] for _, alias in deployed.of("AWS::KMS::Alias")),
        "sender_identities": [identity["EmailIdentity"] for _, identity in deployed.of("AWS::SES::EmailIdentity")],
        "configuration_sets": [of["Name"] for _, of in deployed.of("AWS::SES::ConfigurationSet")],
        "published_mail_events": [kind for kinds in to_eventbridge for kind in kinds],
        "permissions": permissions(deployed),
    }


def routes(deployed, functions):
    for name, api in deployed.of("AWS::ApiGatewayV2::Api"):
        for path, methods in api["Body"]["paths"].items():
            for method, operation in methods.items():
                uri = operation["x-amazon-apigateway-integration"]["uri"]
                function = functions[re.search(r"functions/.*:([^:/]+)/invocations$", uri)[1]]
                anything = method == "x-amazon-apigateway-any-method"
                path = "$default" if operation.get("isDefaultRoute") else path
                yield [name, "ANY" if anything else method.upper(), path, function]


def mapping(source, function):
    patterns = source.get("FilterCriteria", {}).get("Filters", [])
    return {
        "function": function,
        "stream": source["EventSourceArn"],
        "table": source["EventSourceArn"].split(":table/")[1].split("/")[0],
        "batch_size": source.get("BatchSize", 100),
        "filters": [json.loads(one["Pattern"]) for one in patterns],
        "bisects": source.get("BisectBatchOnFunctionError", False),
        "reports_item_failures": "ReportBatchItemFailures" in source.get("FunctionResponseTypes", []),
        "retry_attempts": source.get("MaximumRetryAttempts"),
        "record_age_seconds": source.get("MaximumRecordAgeInSeconds"),
    }


def seconds(schedule):
    count, unit = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule).groups()
    return int(count) * {"minute": 60, "hour": 3600, "day": 86400}[unit]


def table(deployed, name, properties):
    request = {"TableName": f"{deployed.stack}-{name}", "BillingMode": properties["BillingMode"]}
    for part in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"]:
        if part in properties:
            request[part] = properties[part]
    if "StreamSpecification" in properties:
        request["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    return {
        "name": f"{deployed.stack}-{name}",
        "request": request,
        "ttl": properties.get("TimeToLiveSpecification", {}).get("AttributeName"),
    }


def bucket(properties):
    retention = properties.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
    events = properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration", {})
    return {
        "versioned": properties.get("VersioningConfiguration", {}).get("Status") == "Enabled",
        "object_lock": properties.get("ObjectLockEnabled", False),
        "retention": [retention["Mode"], int(retention["Days"])] if retention else None,
        "tells_event_bridge": events.get("EventBridgeEnabled", False),
    }


def permissions(deployed):
    arn = lambda name: deployed.attribute(name, "Arn")  # noqa: E731
    return {
        "roles": {
            role["RoleName"].removeprefix(f"{deployed.stack}-"): [
                statement(one) for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]
            ]
            for _, role in deployed.of("AWS::IAM::Role")
        },
        "keys": {arn(name): [statement(one) for one in key["KeyPolicy"]["Statement"]] for name, key in deployed.of("AWS::KMS::Key")},
        "tables": {
            arn(name): [statement(one) for one in properties["ResourcePolicy"]["PolicyDocument"]["Statement"]]
            for name, properties in deployed.of("AWS::DynamoDB::Table")
            if "ResourcePolicy" in properties
        },
    }


def statement(one):
    every = lambda value: [str(part) for part in value] if isinstance(value, list) else [str(value)]  # noqa: E731
    # The stand-in takes all that know wildcards for one.
    operators = {"StringEquals": "StringEquals", "StringLike": "StringLike", "ArnLike": "StringLike", "ArnEquals": "StringLike"}
    return {
        "effect": one["Effect"],
        "actions": every(one["Action"]),
        "resources": every(one["Resource"]),
        "conditions": ordered(
            [operators[operator], key, every(values)]
            for operator, keys in one.get("Condition", {}).items()
            for key, values in keys.items()
        ),
    }


def differences(ours, theirs, place):
    """Where two values differ, down to the parts that do."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted({*ours, *theirs}):
            yield from differences(ours.get(name), theirs.get(name), f"{place}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif ours != theirs:
        yield f"{place}: the stand-in reads {json.dumps(ours, ensure_ascii=False)}, CloudFormation gets {json.dumps(theirs, ensure_ascii=False)}"


def main(program):
    project = Project()
    wrong = compared = 0
    for stage, deployed in deployments(project):
        ours, theirs = read_by_the_stand_in(program, deployed), read_of_cloudformation(deployed)
        found = list(differences(ours, theirs, stage))
        wrong += len(found)
        compared += sum(len(part) for part in theirs.values())
        for line in found:
            print(line)
    print(f"{compared} parts compared, {wrong} differences")
    return wrong != 0 or compared == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
