"""The permissions of what CloudFormation gets, judged by parliament: python tests/template/policies.py

It knows the actions, resources and condition keys of each service. What it says that is no fault is in `tests/template/policies.toml`,
with the reason; one that it does not say any more fails too.
"""

import collections
import json
import sys
import tomllib

from parliament import analyze_policy_string
from project import ACCOUNT, REGION, Deployed, Project, everything

# ARNs as AWS makes them, which parliament holds against what an action is for.
ARNS = {
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}
# The policies that stand with the resource that they are of, or beside it.
OF_RESOURCES = {
    "AWS::DynamoDB::Table": ["ResourcePolicy", "PolicyDocument"],
    "AWS::KMS::Key": ["KeyPolicy"],
    "AWS::S3::BucketPolicy": ["PolicyDocument"],
    "AWS::SNS::TopicPolicy": ["PolicyDocument"],
    "AWS::SQS::QueuePolicy": ["PolicyDocument"],
}


class OnAws(Deployed):
    """A deployment whose ARNs have the form of AWS's."""

    def attribute(self, name, attribute):
        kind = self.resource(name)["Type"]
        if attribute == "Arn" and kind in ARNS:
            return ARNS[kind].format(f"{self.stack}-{name}".lower())
        return super().attribute(name, attribute)

    def reference(self, name):
        is_topic = self.template["Resources"].get(name, {}).get("Type") == "AWS::SNS::Topic"
        return self.attribute(name, "Arn") if is_topic else super().reference(name)


def policies(deployed):
    """Every policy with the name of its resource, but for those that say who may take a role: they have no resource."""
    for name, role in deployed.of("AWS::IAM::Role"):
        for policy in role["Policies"]:
            yield name, policy["PolicyDocument"]
    for kind, path in OF_RESOURCES.items():
        for name, document in deployed.of(kind):
            for part in path:
                document = document.get(part, {})
            if document:
                yield name, document


def main():
    project = Project()
    rows = tomllib.loads(project.text("tests/template/policies.toml"))["exception"]
    excepted = {(row["issue"], resource) for row in rows for resource in row["resources"]}
    said, judged = collections.defaultdict(set), 0
    # The stages differ in names alone.
    for more in [{}, everything("prod")]:
        parameters = {**project.overrides("prod"), **more}
        deployed = OnAws(project.transformed(parameters), parameters, project.stack("prod"))
        for name, document in policies(deployed):
            judged += 1
            for finding in analyze_policy_string(json.dumps(document)).findings:
                said[finding.issue, name].add(str(finding.detail))
    for issue, name in sorted(said.keys() - excepted):
        print(f"{issue} {name}: {'; '.join(sorted(said[issue, name]))}")
    for issue, name in sorted(excepted - said.keys()):
        print(f"{issue} {name}: parliament does not say that any more: take it out of the exceptions")
    print(f"{judged} policies, {len(said)} things said, {len(excepted)} exceptions")
    return said.keys() != excepted or not judged


if __name__ == "__main__":
    sys.exit(main())
