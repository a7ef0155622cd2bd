"""What CloudFormation gets, held against AWS's quotas, the operator's guide and ourselves: python tests/template/check.py

Each check is a function of the project that answers what is wrong, in words for whoever changed something. To add one, write it
below and name it in CHECKS; then put the fault that it is for into `tests/template/faults.py`, which tries them all.
"""

import collections
import json
import re
import subprocess
import sys
import tempfile
import tomllib

from project import ROOT, STAGES, Project, Refused, compact, everything, parsed

GUIDE = "infra/README.md"


def deployments(project):
    """Every stage, at first and with everything turned on."""
    for stage in STAGES:
        yield f"{stage}, at first", project.deployed(stage)
        yield f"{stage}, with everything", project.deployed(stage, everything(stage))


# ---- Parameters ------------------------------------------------------------------------------------------------------


def refusals(declared, name, value):
    """What CloudFormation says to a parameter's value."""
    body = declared.get(name)
    if body is None:
        return [f"the template has no parameter {name}"]
    wrong = []
    if "AllowedPattern" in body and not re.fullmatch(body["AllowedPattern"], value):
        wrong.append(f"{name}={value!r} does not match {body['AllowedPattern']}")
    if "AllowedValues" in body and value not in map(str, body["AllowedValues"]):
        wrong.append(f"{name}={value!r} is none of {body['AllowedValues']}")
    if body["Type"] == "Number":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            wrong.append(f"{name}={value!r} is no number")
        elif not body.get("MinValue", float("-inf")) <= float(value) <= body.get("MaxValue", float("inf")):
            wrong.append(f"{name}={value} is not from {body.get('MinValue')} to {body.get('MaxValue')}")
    if not body.get("MinLength", 0) <= len(value) <= body.get("MaxLength", 4096):
        wrong.append(f"{name}={value!r} is too long or too short")
    return wrong


def parameters(project):
    """The SAM CLI takes every stage's parameters, and CloudFormation their values."""
    wrong = []
    declared = project.template["Parameters"]
    for stage in STAGES:
        try:
            given = project.overrides(stage)
        except Refused as refusal:
            wrong.append(f"sam deploy --config-env {stage} refuses: {refusal}")
            continue
        values = {name: str(body["Default"]) for name, body in declared.items() if "Default" in body} | given
        values |= everything(stage) if not wrong else {}
        for name, value in [*values.items(), *given.items()]:
            wrong += [f"{stage}: {refusal}" for refusal in refusals(declared, name, value)]
        wrong += [f"{stage}: {name} has no value" for name in declared if name not in values]
        if given.get("Stage") != stage:
            wrong.append(f"{stage}: Stage is {given.get('Stage')}")
        for rule, body in project.template.get("Rules", {}).items():
            for assertion in body["Assertions"]:
                if not project.deployed(stage).truth(assertion["Assert"]):
                    wrong.append(f"{stage}: the rule {rule}: {assertion['AssertDescription']}")
    return wrong


# As S3's documentation and its users show them: opaque, and fit for an address. "Working with versioning-enabled buckets" has
# the first two.
VERSIONS = [
    "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
    "L4kqtJlcpXroDTDmpUMLUo",
    "UIORUnfndfiufdisojhr398493jfdkjFJjkndnqUifhnw89493jJFJ",
    "Yu5iZ.O4l_W9FDmGvJ1vJ-SVeE9WJ9mI",
    "abcDEF0123+456==",
]
NO_VERSIONS = ["a b", "a'b", 'a"b', "a$b", "a\\b", "v" * 1025]


def versions(project):
    """TruststoreVersion takes what S3 may name a version, also by way of samconfig.toml."""
    declared = project.template["Parameters"]
    wrong = []
    for version in VERSIONS:
        read = parsed([f"TruststoreVersion={version}"]).get("TruststoreVersion")
        if read != version:
            wrong.append(f"the SAM CLI makes {read!r} of the version {version!r}")
        wrong += refusals(declared, "TruststoreVersion", version)
    taken = [version for version in NO_VERSIONS if not refusals(declared, "TruststoreVersion", version)]
    return wrong + [f"TruststoreVersion takes {version!r}, which is none of S3's" for version in taken]


# For how many days a stage may lock what it has signed. A locked statement outlives every mistake that was made in a trial.
LOCKED = {"dev": (1, 1), "staging": (1, 30), "prod": (3650, 36500)}


def locks(project):
    """No stage but the last locks its audit statements for long."""
    wrong = []
    for stage in STAGES:
        (least, most) = LOCKED[stage]
        for name, bucket in project.deployed(stage).of("AWS::S3::Bucket"):
            retention = bucket.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
            if retention and not least <= int(retention["Days"]) <= most:
                wrong.append(f"{stage}: {name} locks objects for {retention['Days']} days, not {least} to {most}")
    return wrong


# ---- Quotas ----------------------------------------------------------------------------------------------------------


def behind_an_api(deployed):
    """The functions that an HTTP API calls, by logical id."""
    apis = compact([api for _, api in deployed.of("AWS::ApiGatewayV2::Api")])
    return {name for name, _ in deployed.of("AWS::Lambda::Function") if f"{deployed.stack}-{name}/invocations" in apis}


def sums(pairs):
    total = collections.Counter()
    for what, number in pairs:
        total[what] += number
    return total.items()


def quotas(project):
    """No quota of AWS is passed."""
    rows = tomllib.loads(project.text("tests/template/quotas.toml"))["quota"]
    wrong, counted = [], set()
    for stage, deployed in deployments(project):
        names = {
            "d": deployed,
            "project": project,
            "of": deployed.of,
            "json": json,
            "size": lambda value: size_of(compact(value)),
            "size_of": size_of,
            "groups": lambda things: collections.Counter(things).items(),
            "sums": sums,
            "behind_an_api": behind_an_api,
        }
        for row in rows:
            for what, number in eval(row["count"], names):  # noqa: S307 a file of ours, next to this one
                counted.add(row["name"])
                if number > row["most"]:
                    wrong.append(f"{row['name']}: {what} has {number}, AWS takes {row['most']} ({row['page']}; {stage})")
    return wrong + [f"{row['name']}: nothing is counted" for row in rows if row["name"] not in counted]


def indexes(project):
    """No deployment changes more than one index of a table that exists (Amazon DynamoDB API Reference: UpdateTable)."""
    deployments = tomllib.loads(project.text("tests/template/indexes.toml"))["deployment"]
    now = {
        name: sorted(index["IndexName"] for index in table["GlobalSecondaryIndexes"])
        for name, table in project.deployed("dev").of("AWS::DynamoDB::Table")
        if "GlobalSecondaryIndexes" in table
    }
    wrong = []
    if now != deployments[-1]:
        wrong.append(f"the tables have the indexes {now}, and the last deployment in indexes.toml {deployments[-1]}")
    for number, (before, after) in enumerate(zip(deployments, deployments[1:]), start=2):
        for table in before.keys() & after.keys():
            changed = set(before[table]) ^ set(after[table])
            if len(changed) > 1:
                wrong.append(f"deployment {number} changes {len(changed)} indexes of {table} at once: {sorted(changed)}")
    return wrong


def size_of(text):
    return len(str(text).encode())


# ---- APIs ------------------------------------------------------------------------------------------------------------


def cors(project):
    """An API's cross-origin configuration is whole, or not there at all."""
    wrong = []
    whole = {"allowOrigins": list, "allowMethods": list, "allowHeaders": list, "exposeHeaders": list, "maxAge": int}
    for stage, deployed in deployments(project):
        origins = [origin for origin in deployed.parameters["CorsOrigins"].split(",") if origin]
        for name, api in deployed.of("AWS::ApiGatewayV2::Api"):
            if not api.get("FailOnWarnings"):
                wrong.append(f"{stage}: {name} is made in spite of warnings")
            configured = api["Body"].get("x-amazon-apigateway-cors")
            if configured is None:
                if origins and name == "PortalApi":
                    wrong.append(f"{stage}: {name} is configured for no origin")
                continue
            if not isinstance(configured, dict):
                wrong.append(f"{stage}: {name} has {compact(configured)} for its whole cross-origin configuration")
                continue
            found = {part: type(value) for part, value in configured.items()}
            if found != whole:
                wrong.append(f"{stage}: {name} has {found} of {whole}")
            if configured.get("allowOrigins") != origins:
                wrong.append(f"{stage}: {name} allows {configured.get('allowOrigins')}, configured are {origins}")
    return wrong


# ---- Metrics ---------------------------------------------------------------------------------------------------------

# What the functions tell, as `shared/src/telemetry.rs` writes it, and under which names of dimensions.
TOLD = {
    "FirstSignIn/Mail": {
        "MailQueueAge": [{"Stage"}],
        "MailQueueDue": [{"Stage"}],
        **{
            name: [{"Stage"}, {"Stage", "Kind"}]
            for name in [
                "MailsSent",
                "MailRetries",
                "MailsFailed",
                "MailTimeToSend",
                "MailsDelivered",
                "MailsBounced",
                "MailsComplained",
            ]
        },
    },
    "FirstSignIn/Audit": {"AuditHeadsSigned": [{"Stage"}], "AuditEntriesTampered": [{"Stage"}]},
}


def kinds(project):
    """The kinds of mail, from the code."""
    body = re.search(r"pub const KINDS: \[&'static str; \d+\] = \[([^\]]*)\]", project.text("shared/src/store/outbox.rs"))
    return re.findall(r'"([a-z]+)"', body[1]) if body else []


def metrics(project):
    """Every metric of ours that is looked at is told under just these dimensions, and every kind of mail is looked at."""
    wrong = []
    mails = kinds(project)
    if "reset" not in mails:
        wrong.append("the kinds of mail are not where they were in shared/src/store/outbox.rs")
    deployed = project.deployed("dev")
    looked_at = []
    for name, alarm in deployed.of("AWS::CloudWatch::Alarm"):
        queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in queries or [alarm]:
            dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
            looked_at.append((name, metric["Namespace"], metric["MetricName"], dimensions))
            if metric["Namespace"] == "FirstSignIn/Mail" and "Kind" in dimensions:
                wrong.append(f"{name}: it sees only mails of the kind {dimensions['Kind']}, CloudWatch adds no dimensions up")
    shown = collections.defaultdict(set)
    for name, dashboard in deployed.of("AWS::CloudWatch::Dashboard"):
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
            for namespace, metric, *rest in widget["properties"]["metrics"]:
                names = [part for part in rest if isinstance(part, str)]
                dimensions = dict(zip(names[::2], names[1::2], strict=True))
                looked_at.append((name, namespace, metric, dimensions))
                shown[metric].add(dimensions.get("Kind"))
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("functions/*/src/*.rs")))
    for told in TOLD.values():
        wrong += [f"no function tells {metric} any more: take it out of TOLD" for metric in told if f'"{metric}"' not in sources]
    for name, namespace, metric, dimensions in looked_at:
        if namespace not in TOLD:
            continue
        told = TOLD[namespace].get(metric)
        if told is None:
            wrong.append(f"{name}: nothing tells {namespace} {metric}")
        elif set(dimensions) not in told:
            wrong.append(f"{name}: {metric} is not told by {sorted(dimensions)}")
    for metric, dimensions in TOLD["FirstSignIn/Mail"].items():
        if {"Stage", "Kind"} in dimensions:
            missing = [kind for kind in mails if kind not in shown[metric]]
            wrong += [f"the dashboard does not show {metric} of the kind {kind}" for kind in missing]
    return wrong


def throttles(project):
    """Each function's throttles ring one alarm, but for functions that run one at a time, which are turned away as they should be."""
    deployed = project.deployed("dev")
    watched = collections.Counter()
    for _, alarm in deployed.of("AWS::CloudWatch::Alarm"):
        for query in alarm.get("Metrics", []):
            metric = query.get("MetricStat", {}).get("Metric", {})
            if metric.get("MetricName") == "Throttles":
                watched[metric["Dimensions"][0]["Value"]] += 1
    wrong = []
    for name, function in deployed.of("AWS::Lambda::Function"):
        wanted = 0 if "ReservedConcurrentExecutions" in function else 1
        if watched[f"{deployed.stack}-{name}"] != wanted:
            wrong.append(f"the throttles of {name} are in {watched[f'{deployed.stack}-{name}']} alarms, not {wanted}")
    return wrong


# ---- Mail ------------------------------------------------------------------------------------------------------------


def envelope(project):
    """The envelope's sender is of the sender's domain, and no bounce comes back as mail."""
    wrong = []
    for stage in STAGES:
        for name, identity in project.deployed(stage).of("AWS::SES::EmailIdentity"):
            domain = identity["EmailIdentity"]
            if not identity.get("MailFromAttributes", {}).get("MailFromDomain", "").endswith(f".{domain}"):
                wrong.append(f"{stage}: {name} has no MAIL FROM domain below {domain}: SPF speaks of Amazon's, and DMARC hangs on DKIM")
            if identity.get("FeedbackAttributes", {}).get("EmailForwardingEnabled") is not False:
                wrong.append(f"{stage}: {name}'s bounces are forwarded as mail, with the initial passwords that they enclose")
    guide = project.text(GUIDE)
    records = [output for output in project.template["Outputs"] if output.startswith("MailFrom")]
    wrong += [f"the guide does not say what to do with the output {record}" for record in records if record not in guide]
    return wrong if records else [*wrong, "no outputs tell the records of the MAIL FROM domain"]


# ---- The operator's guide --------------------------------------------------------------------------------------------


def section(guide, title):
    """What stands under a heading, up to the next one of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", guide, re.MULTILINE | re.DOTALL)
    return found[2] if found else ""


# What must be allowed to whoever deploys resources of a service, in the guide's words.
SERVICES = {
    "ApiGatewayV2": "API Gateway",
    "CloudWatch": "CloudWatch",
    "DynamoDB": "DynamoDB",
    "Events": "EventBridge",
    "IAM": "IAM",
    "KMS": "KMS",
    "Lambda": "Lambda",
    "Logs": "CloudWatch Logs",
    "Route53": "Route 53",
    "S3": "S3",
    "SES": "SES",
    "SNS": "SNS",
    "SQS": "SQS",
}


def permissions(project):
    """The guide's list of permissions has every service whose resources the stack has."""
    listed = re.search(r"Your own AWS permissions must cover (.*?)\.", section(project.text(GUIDE), "Before you begin"), re.DOTALL)
    listed = " ".join(listed[1].split()) if listed else ""
    wrong = []
    for kind in sorted({it["Type"] for it in project.transformed({})["Resources"].values()}):
        service = kind.split("::")[1]
        if service not in SERVICES:
            wrong.append(f"{kind} is of a service that no check knows: name it in SERVICES")
        elif not re.search(rf"(?<!\w){re.escape(SERVICES[service])}(?!\w)", listed):
            wrong.append(f"the guide's list of permissions lacks {SERVICES[service]}, of which the stack has {kind}")
    return wrong


def leftovers(project):
    """What a first deployment that fails leaves is in the guide, with the commands that take it away."""
    left = collections.Counter(
        it["Type"] for it in project.transformed({})["Resources"].values() if it.get("DeletionPolicy") == "Retain"
    )
    text = section(project.text(GUIDE), "When the first deployment fails")
    told = {kind: int(number) for kind, number in re.findall(r"^\| `(AWS::[A-Za-z0-9:]+)` \| (\d+) \|", text, re.MULTILINE)}
    wrong = []
    if told != left:
        wrong.append(f"a first deployment that fails leaves {dict(left)}, and the guide tells of {told}")
    commands = {"AWS::DynamoDB::Table": "aws dynamodb delete-table", "AWS::S3::Bucket": "aws s3api delete-bucket"}
    for kind in left:
        if kind not in commands or commands[kind] not in text:
            wrong.append(f"the guide has no command that deletes what is left of {kind}")
    return wrong


def commands(project):
    """Every `sam` command of the documents finds its settings and its template."""
    wrong, found = [], 0
    for path in ["README.md", GUIDE]:
        text = project.text(path)
        lines = [line for block in text.split("```")[1::2] for line in block.splitlines()[1:]]
        lines += re.findall(r"(?<!`)`(sam [^`]+)`(?!`)", text)
        for command in [part.strip() for line in lines for part in line.split("&&")]:
            words = " ".join(command.split("#")[0].split()).split()
            if words[:1] != ["sam"] or words[1:2] not in (["build"], ["deploy"]):
                continue
            found += 1
            more = ["--template-file", "infra/template.yaml"] if words[1] == "deploy" else []
            try:
                read = project.sam(words[1], *words[2:], *more)
            except Refused as refusal:
                wrong.append(f"{path}: `{command}`: {refusal}")
                continue
            if words[1] == "build" and not read["template_file"].endswith("infra/template.yaml"):
                wrong.append(f"{path}: `{command}` builds {read['template_file']}")
    return wrong if found else ["no document has a command of the SAM CLI"]


def builds(project):
    """`sam build` makes every function by the one Makefile, where the sources are, and takes each function's own program."""
    wrong = []
    for stage in ["default", *STAGES]:
        if not project.sam("build", "--config-env", stage)["build_in_source"]:
            wrong.append(f"sam build --config-env {stage} copies the sources first, away from their workspace")
    functions = {name: it for name, it in project.template["Resources"].items() if it["Type"] == "AWS::Serverless::Function"}
    programs = {name: it["Metadata"]["BuildProperties"]["Binary"] for name, it in functions.items()}
    for name, it in functions.items():
        if it["Metadata"]["BuildMethod"] != "makefile" or it["Properties"]["CodeUri"] != "../functions":
            wrong.append(f"{name} is not built by functions/Makefile")
    crates = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
    wrong += [f"{crate} is built or deployed, and not both" for crate in crates ^ set(programs.values())]
    with tempfile.NamedTemporaryFile("w", suffix=".mk", encoding="utf-8") as makefile:
        makefile.write(project.text("functions/Makefile"))
        makefile.flush()
        command = ["make", "--dry-run", "--directory", ROOT / "functions", "--makefile", makefile.name, "ARTIFACTS_DIR=/artifacts"]
        said = subprocess.run([*command, *(f"build-{name}" for name in programs)], capture_output=True, text=True)
    taken = re.findall(r"^cp \S+/lambda/(\S+)/bootstrap ", said.stdout, re.MULTILINE)
    if taken != list(programs.values()):
        wrong.append(f"functions/Makefile takes {taken} for {list(programs)}: {said.stderr}")
    built = [set(re.findall(r"--package (\S+)", line)) for line in said.stdout.splitlines() if "cargo lambda build" in line]
    if any(packages != crates for packages in built):
        wrong.append("functions/Makefile does not build all functions together: their crates are compiled anew for each")
    return wrong


def figures(project):
    """The guide's figures are the template's."""
    text = section(project.text(GUIDE), "Costs")
    numbers = []
    for more in [{}, everything("prod")]:
        alarms = [alarm for _, alarm in project.deployed("prod", more).of("AWS::CloudWatch::Alarm")]
        looked_at = sum(sum("MetricStat" in query for query in alarm.get("Metrics", [])) or 1 for alarm in alarms)
        numbers.append((looked_at, len(alarms)))
    (metrics, alarms), (more_metrics, more_alarms) = numbers
    keys = [len(project.deployed("prod", more).of("AWS::KMS::Key")) for more in ({}, everything("prod"))]
    expected = [
        f"{metrics} metrics in {alarms} alarms, or {more_metrics} in {more_alarms} with `CardAttemptsCertificateArn`",
        f"there are {keys[0]} keys, or {keys[1]} during a rotation",
    ]
    flat = " ".join(text.split())
    return [f"the guide's costs do not say {words!r}" for words in expected if words not in flat]


def tls(project):
    """The guide says of TLS what the policy of the hosts means."""
    policies = {
        configuration["SecurityPolicy"]
        for _, deployed in deployments(project)
        for _, domain in deployed.of("AWS::ApiGatewayV2::DomainName")
        for configuration in domain["DomainNameConfigurations"]
    }
    text = section(project.text(GUIDE), "TLS")
    wrong = [f"a host has the policy {policy}, of which the guide does not tell" for policy in policies - {"TLS_1_2"}]
    if "TLS 1.2 and 1.3" not in text or "1.2 only" in text:
        wrong.append("TLS_1_2 is a least, and lets TLS 1.3 in; the guide says otherwise")
    return wrong


def alarms(project):
    """Every alarm is explained in the guide, under its name."""
    guide = project.text(GUIDE)
    explained = guide[guide.index("\n## Alarms") : guide.index("\n## Bulk resets")]
    wrong = []
    for _, alarm in project.deployed("dev", everything("dev")).of("AWS::CloudWatch::Alarm"):
        name = alarm["AlarmName"].removeprefix("first-sign-in-dev-")
        if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", explained):
            wrong.append(f"the guide does not say what to do about {name}")
    return wrong


CHECKS = [
    parameters,
    versions,
    locks,
    quotas,
    indexes,
    cors,
    metrics,
    throttles,
    envelope,
    permissions,
    leftovers,
    commands,
    builds,
    figures,
    tls,
    alarms,
]


def main():
    project = Project()
    failed = 0
    for check in CHECKS:
        wrong = check(project)
        failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'passed'}: {check.__name__}: {check.__doc__}")
        for finding in wrong:
            print(f"    {finding}")
    print(f"{len(CHECKS) - failed} checks passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
