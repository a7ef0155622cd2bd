"""Faults that were here, put back one by one: each must be named by its check. python tests/template/faults.py

A fault is a change of files: the check that must say something, and what to replace by what. A check that stays silent has lost
its fault, and a text that is not found any more hides one.
"""

import re
import sys

import check
from project import ROOT, Project

TEMPLATE = "infra/template.yaml"
GUIDE = "infra/README.md"
SAMCONFIG = "samconfig.toml"

# What the fault was, the check that names it, a word that it says, and for each file the old text with the new one.
FAULTS = [
    (
        "a parameter with nothing behind its equals sign: the SAM CLI refuses the stage",
        check.parameters,
        "is not a valid format",
        {SAMCONFIG: ('    "LogRetentionDays=30",\n', '    "LogRetentionDays=30",\n    "TruststoreVersion=",\n')},
    ),
    (
        "a value that CloudFormation refuses",
        check.parameters,
        "AuditLockDays",
        {SAMCONFIG: ('"AuditLockDays=3650"', '"AuditLockDays=0"')},
    ),
    (
        "an alarm of more than ten metrics",
        check.quotas,
        "SignInThrottleAlarm has 14, AWS takes 10",
        {TEMPLATE: (re.compile(r"\n  WorkThrottleAlarm:.*?ReturnData: true\n", re.DOTALL), "")},
    ),
    (
        "an index of which no deployment is told",
        check.indexes,
        "MailTable",
        {TEMPLATE: ("- IndexName: ByResetter\n", "- IndexName: BySender\n")},
    ),
    (
        "two indexes of a table in one update of the stack",
        check.indexes,
        "deployment 2 changes 2 indexes of MailTable",
        {
            "tests/template/indexes.toml": (
                "\n[[deployment]]\n",
                "\n[[deployment]]\nMailTable = [\"Pending\"]\n\n[[deployment]]\n",
            )
        },
    ),
    (
        "a condition inside AllowOrigins, which SAM takes for the whole configuration",
        check.cors,
        "for its whole cross-origin configuration",
        {
            TEMPLATE: (
                re.compile(r"        Fn::If:\n          - HasCorsOrigins\n          - AllowOrigins: (.*?)\n(.*?)          - !Ref AWS::NoValue\n", re.DOTALL),
                r'            AllowOrigins: !If [HasCorsOrigins, \1, [!Sub "https://${PortalDomain}"]]\n\2',
            )
        },
    ),
    (
        "origins as a list of CloudFormation's, of which SAM leaves a text",
        check.cors,
        "allowOrigins",
        {TEMPLATE: ("AllowOrigins: !Split [\",\", !Ref CorsOrigins]", "AllowOrigins: !Ref CorsOrigins")},
    ),
    (
        "keys that a first deployment leaves when it fails, of which the guide does not tell",
        check.leftovers,
        "AWS::KMS::Key",
        {TEMPLATE: ("    Type: AWS::KMS::Key\n    DeletionPolicy: RetainExceptOnCreate\n", "    Type: AWS::KMS::Key\n    DeletionPolicy: Retain\n")},
    ),
    (
        "a guide without the way out of a first deployment that failed",
        check.leftovers,
        "the guide has no command",
        {GUIDE: ("### When the first deployment fails\n", "### Something else\n")},
    ),
    (
        "sam build for a stage that has no settings of it",
        check.commands,
        "emplate",
        {
            SAMCONFIG: ('[dev.build.parameters]\ntemplate_file = "infra/template.yaml"\n', "[dev.build.parameters]\n"),
            "README.md": ("sam build\n", "sam build --config-env dev\n"),
        },
    ),
    (
        "functions that are built one after the other, each with its own features of every crate",
        check.builds,
        "not build all functions together",
        {"functions/Makefile": ("$(addprefix --package ,$(functions))", "--package $(binary)")},
    ),
    (
        "sources that are copied before they are built, away from their workspace",
        check.builds,
        "staging copies the sources",
        {SAMCONFIG: (re.compile(r"(\[staging\.build\.parameters\]\n.*\n)build_in_source = true\n"), r"\1")},
    ),
    (
        "ten years of locks in a trial",
        check.locks,
        "dev: AuditBucket locks objects for 3650 days",
        {SAMCONFIG: ('    "AuditLockDays=1",\n', "")},
    ),
    (
        "a list of permissions without EventBridge",
        check.permissions,
        "lacks EventBridge",
        {GUIDE: ("EventBridge (rules), ", "")},
    ),
    (
        "an alarm that sees one kind of mail",
        check.metrics,
        "MailFailureAlarm: it sees only mails of the kind reset",
        {
            TEMPLATE: (
                "      MetricName: MailsFailed\n      Dimensions:\n",
                "      MetricName: MailsFailed\n      Dimensions:\n        - { Name: Kind, Value: reset }\n",
            )
        },
    ),
    (
        "a kind of mail that the dashboard does not show",
        check.metrics,
        "MailsSent of the kind code",
        {TEMPLATE: ('["FirstSignIn/Mail", "MailsSent", "Kind", "code",', '["FirstSignIn/Mail", "MailsSent", "Kind", "notice",')},
    ),
    (
        "no envelope of the sender's domain",
        check.envelope,
        "no MAIL FROM domain",
        {TEMPLATE: ("        MailFromDomain: !Join", "        Subdomain: !Join")},
    ),
    (
        "bounces as mail",
        check.envelope,
        "forwarded as mail",
        {TEMPLATE: ("        EmailForwardingEnabled: false\n", "        EmailForwardingEnabled: true\n")},
    ),
    (
        "versions of S3 without a plus sign",
        check.versions,
        "does not match",
        {TEMPLATE: ("    AllowedPattern: ^[A-Za-z0-9._~+/=-]{0,1024}$\n", "    AllowedPattern: ^[A-Za-z0-9._-]{0,1024}$\n")},
    ),
    (
        "figures of an earlier template",
        check.figures,
        "alarms",
        {GUIDE: ("metrics in 38 alarms", "metrics in 25 alarms")},
    ),
    (
        "keys that were counted once",
        check.figures,
        "keys",
        {GUIDE: ("there are 5 keys, or 6", "there are 4 keys, or 5")},
    ),
    (
        "TLS as it was before 2024",
        check.tls,
        "TLS 1.3",
        {GUIDE: ("**TLS 1.2 and 1.3**", "**TLS 1.2 only**")},
    ),
    (
        "a function whose throttles ring nothing",
        check.throttles,
        "PortalFunction are in 0 alarms",
        {TEMPLATE: ("MetricName: Throttles, Dimensions: [{ Name: FunctionName, Value: !Ref PortalFunction }]", "MetricName: Errors, Dimensions: [{ Name: FunctionName, Value: !Ref PortalFunction }]")},
    ),
    (
        "an alarm that nobody explains",
        check.alarms,
        "work-throttles",
        {GUIDE: ("### sign-in-throttles, work-throttles\n", "### sign-in-throttles\n")},
    ),
]


def main():
    silent = 0
    for fault, named_by, word, changes in FAULTS:
        changed, lost = {}, []
        for path, (old, new) in changes.items():
            text = (ROOT / path).read_text(encoding="utf-8")
            changed[path] = old.sub(new, text) if isinstance(old, re.Pattern) else text.replace(old, new)
            if changed[path] == text:
                lost.append(f"{path} has no {old!r} any more")
        found = [] if lost else named_by(Project(changed))
        named = any(word in finding for finding in found)
        silent += not named
        print(f"{'named' if named else 'NOT NAMED'} by {named_by.__name__}: {fault}")
        for line in lost or ([] if named else found):
            print(f"    {line}")
    print(f"{len(FAULTS) - silent} faults are named, {silent} are not")
    return silent != 0


if __name__ == "__main__":
    sys.exit(main())
