"""The whole stack on an AWS of somebody else's making: python tests/template/cloud_run.py PROGRAMS [ARTIFACTS]

ministack takes what SAM makes of the template, runs the functions as processes of their own under their roles' permissions and with
the template's variables alone, and starts them by its own sources of events: HTTP, bucket, stream and schedule. What a person does in
their first hour is done there. Where it is not as AWS is stands in `tests/template/cloud_run.toml`.

PROGRAMS is Cargo's folder of this machine's programs. With ARTIFACTS, what `sam build` has made (`.aws-sam/build`), these are the
functions that run: under QEMU, when they are of another machine.
"""

import base64
import contextlib
import copy
import hashlib
import http.client
import http.server
import io
import json
import os
import pathlib
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.parse
import urllib.request
import zipfile

from botocore.exceptions import ClientError

from foreign import ACCOUNT, cloud
from project import REGION, ROOT, Project

STAGE, STACK = "dev", "first-sign-in-dev"
# Schedules as often as the template lets them be.
PARAMETERS = {"RevocationSchedule": "rate(1 minute)", "AuditHeadSchedule": "rate(1 minute)", "TruststoreVersion": "1"}
TABLE = pathlib.Path(__file__).with_name("cloud_run.toml")
# Whom the sample roster has at the agency A02.
PERSON = {"national_id": "A123456789", "email": "wang@example.gov.tw"}
ACCOUNT_NAME, PASSWORD = "wang.xiaoming", "Taroko-Gorge#1842"


class Wrong(Exception):
    """Something is not as it must be."""


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def eventually(what, look, seconds=90):
    """What `look` finds, once it finds something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise Wrong(f"not within {seconds} s: {what}")


# ---- Cards and lists -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def certificates(program, folder):
    """Test CAs with their cards and lists, as the stand-in makes them, and a server of the lists."""
    ready = folder / "ready"
    command = [program, "serve", "--data", folder / "data", "--memory", "--ready-json"]
    command += [part for host in ["portal", "card", "mailbox"] for part in (f"--{host}", "127.0.0.1:0")]
    with ready.open("wb") as output, (folder / "stand-in.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=output, stderr=log)
    try:
        eventually("the stand-in is ready", lambda: process.poll() is not None or ready.stat().st_size)
        expect(process.poll() is None, f"the stand-in ends: {(folder / 'stand-in.log').read_text()[-2000:]}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    data = folder / "data"

    class Lists(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            kind = re.fullmatch(r"/(citizen|organization)-revoked\.crl", self.path)
            body = (data / "pki" / kind[1] / "revoked.crl").read_bytes() if kind else b""
            self.send_response(200 if kind else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        issuers = data / "truststore" / "issuers.toml"
        address = f"http://127.0.0.1:{server.server_port}/"
        issuers.write_text(re.sub(r"http://127\.0\.0\.1:\d+/", address, issuers.read_text(encoding="utf-8")), encoding="utf-8")
        yield data
        server.shutdown()


# ---- The template, as far as ministack goes --------------------------------------------------------------------------

# Keys of conditions that are taken out of every statement, by the names of their exceptions.
CONDITIONS = [
    "kms:MacAlgorithm",
    "kms:SigningAlgorithm",
    "kms:MessageType",
    "kms:EncryptionContext:purpose",
    "ses:FromAddress",
    "aws:PrincipalArn",
]


def adapted(template, data):
    """The template without what the exceptions name."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    for name in [name for name, it in resources.items() if "Metrics" in it["Properties"]]:
        expect(resources[name]["Type"] == "AWS::CloudWatch::Alarm", f"{name} has metrics, and is no alarm")
        del resources[name]
    template["Outputs"] = {name: it for name, it in template["Outputs"].items() if not name.startswith("Dkim")}
    for resource in resources.values():
        variables = resource["Properties"].get("Environment", {}).get("Variables", {})
        for variable, folder in [("TRUSTSTORE_DIR", "truststore"), ("CLIENTS_DIR", "clients")]:
            if variable in variables:
                variables[variable] = str(data / folder)
        if resource["Type"] in ("AWS::IAM::Role", "AWS::KMS::Key"):
            for statement in statements(resource["Properties"]):
                unconditioned(statement, CONDITIONS)
                if statement["Action"] == "ses:SendRawEmail":
                    statement |= {"Action": "ses:SendEmail", "Resource": "*"}
    return template


def statements(value):
    """Every statement in a resource's properties."""
    if isinstance(value, list):
        for item in value:
            yield from statements(item)
    elif isinstance(value, dict):
        if "Effect" in value:
            yield value
        for item in value.values():
            yield from statements(item)


def unconditioned(statement, names):
    condition = statement.get("Condition", {})
    for operator in list(condition):
        condition[operator] = {key: value for key, value in condition[operator].items() if key not in names}
        if not condition[operator]:
            del condition[operator]
    if not condition:
        statement.pop("Condition", None)


# ---- The run ---------------------------------------------------------------------------------------------------------


class Run:
    """One stack, and what is done to it."""

    def __init__(self, aws, project, programs, artifacts, data):
        self.aws, self.project, self.programs, self.data = aws, project, programs, data
        self.artifacts = artifacts
        self.parameters = {**project.overrides(STAGE), **PARAMETERS}
        self.deployed = project.deployed(STAGE, PARAMETERS)
        self.template = self.deployed.template
        # What became of the exception `body`, and of a reset's mail.
        self.read_routes, self.made_routes, self.reset_path = 0, [], ""
        self.agency, self.initial_password, self.delivered = "", "", False
        self.portal, self.card = self.parameters["PortalDomain"], self.parameters["CardDomain"]
        self.outputs = {}

    def client(self, service):
        return self.aws.client(service)

    def role(self, name):
        """Credentials of one of the stack's roles for people."""
        answer = self.client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{name}", RoleSessionName="run")
        return answer["Credentials"]

    def deploy(self):
        s3, formation = self.client("s3"), self.client("cloudformation")
        location = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration=location)
        machines = set()
        for name, function in self.deployed.of("AWS::Lambda::Function"):
            # What SAM packs is the program itself. It is not copied here: there are sixteen, of some fifty megabytes.
            key = function["Code"]["S3Key"]
            program = self.programs / key.removesuffix(".zip")
            if self.artifacts:
                program = self.artifacts / name / "bootstrap"
            expect(program.is_file(), f"{program} is not built")
            machine, command = runnable(program)
            machines.add(machine)
            s3.put_object(Bucket="artifacts", Key=key, Body=archive({"bootstrap": f"#!/bin/sh\nexec {command}\n".encode()}))
        for layer in ["truststore", "clients"]:
            files = {path.name: path.read_bytes() for path in (self.data / layer).iterdir()}
            s3.put_object(Bucket="artifacts", Key=f"layer-{layer}.zip", Body=archive(files))
        s3.put_object(Bucket="artifacts", Key="template", Body=json.dumps(adapted(self.template, self.data)).encode())
        formation.create_stack(
            StackName=STACK,
            TemplateURL=f"{self.aws.url}/artifacts/template",
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()],
        )
        stack = eventually("the stack is made", lambda: settled(formation, STACK))
        failed = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in formation.describe_stack_events(StackName=STACK)["StackEvents"]
            if "FAILED" in event["ResourceStatus"]
        ]
        expect(stack["StackStatus"] == "CREATE_COMPLETE", f"{stack['StackStatus']}: {failed}")
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.routes()
        return f"{len(self.deployed.resources)} resources; programs of {', '.join(machines)}"

    def routes(self):
        """The routes of both APIs, which ministack does not read in their bodies."""
        gateway, formation = self.client("apigatewayv2"), self.client("cloudformation")
        made = formation.describe_stack_resources(StackName=STACK)["StackResources"]
        apis = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in made if it["ResourceType"] == "AWS::ApiGatewayV2::Api"}
        functions = {f"{STACK}-{name}": it["FunctionName"] for name, it in self.deployed.of("AWS::Lambda::Function")}
        for name, api in self.deployed.of("AWS::ApiGatewayV2::Api"):
            identifier = apis[name]
            self.read_routes += len(gateway.get_routes(ApiId=identifier)["Items"])
            for path, methods in api["Body"]["paths"].items():
                for method, operation in methods.items():
                    uri = operation["x-amazon-apigateway-integration"]["uri"]
                    function = functions[re.search(r"functions/.*:([^:/]+)/invocations$", uri)[1]]
                    integration = gateway.create_integration(
                        ApiId=identifier,
                        IntegrationType="AWS_PROXY",
                        IntegrationUri=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
                        PayloadFormatVersion=operation["x-amazon-apigateway-integration"]["payloadFormatVersion"],
                    )
                    anything = method == "x-amazon-apigateway-any-method"
                    key = "$default" if operation.get("isDefaultRoute") else f"{'ANY' if anything else method.upper()} {path}"
                    gateway.create_route(
                        ApiId=identifier, RouteKey=key, Target=f"integrations/{integration['IntegrationId']}"
                    )
                    self.made_routes.append((name, key, function.removeprefix(f"{STACK}-")))

    # ---- HTTP ----

    def call(self, method, path, body=None, token=None, host=None, language="zh-TW"):
        """A request by way of a host's name: status, headers, and what was answered."""
        address = urllib.parse.urlsplit(self.aws.url)
        connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=60, context=self.aws.context)
        headers = {"Host": host or self.portal, "Accept": "application/json", "Accept-Language": language}
        if isinstance(body, str):
            body, headers["Content-Type"] = body.encode(), "text/csv"
        elif body is not None:
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        content = answer.headers.get("Content-Type", "")
        return answer.status, answer.headers, json.loads(text) if "json" in content and text else text

    def succeeds(self, status, method, path, *rest, **more):
        found, _, answer = self.call(method, path, *rest, **more)
        expect(found == status, f"{method} {path}: {found} {answer}")
        return answer

    def complaints(self):
        """What the functions and ministack say that is no news."""
        logs = self.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
                if re.search(r'\bERROR\b|"errorMessage"', event["message"]):
                    yield f"{group['logGroupName']}: {event['message'].strip()}"
        yield from (line for line in self.aws.log.read_text(errors="replace").splitlines() if re.search(r" (WARNING|ERROR) ", line))

    # ---- What is done, in its order ----

    def every_route(self):
        """A request of nobody to each route: its function answers it, as its own."""
        for api, key, function in self.made_routes:
            method, _, path = key.partition(" ")
            method, path = ("GET", "/nowhere") if key == "$default" else (method, path)
            path = re.sub(r"\{proxy\+\}", "any/thing", path)
            path = re.sub(r"\{[^}]+\}", "0" * 26, path)
            host = self.card if api == "CardApi" else self.portal
            body = {} if method in ("POST", "PUT") else None
            status, _, answer = self.call("GET" if method == "ANY" else method, path, body, host=host)
            # What ministack itself answers has a message alone.
            ours = isinstance(answer, bytes) or "message" not in answer
            expect(status < 500 and ours, f"{key}, of {function}: {status} {answer}")
        return f"{len(self.made_routes)} routes, {len({function for _, _, function in self.made_routes})} functions"

    def roster(self):
        """An operator's file in the bucket: roster-import takes it in."""
        s3 = self.aws.client("s3", self.role("roster-upload"))
        bucket, key = self.outputs["RosterBucketName"], "country/名冊 a+1.csv"
        s3.put_object(Bucket=bucket, Key=key, Body=(ROOT / "infra/local/sample-roster.csv").read_bytes())
        report = eventually("roster-import writes its report", lambda: self.report(s3, bucket), 30)
        expect(report["outcome"] == "taken" and not report["refused"], f"the report of the roster: {report}")
        return f"{report['accepted']} people"

    def report(self, s3, bucket):
        found = s3.list_objects_v2(Bucket=bucket, Prefix="reports/").get("Contents", [])
        return json.loads(s3.get_object(Bucket=bucket, Key=found[0]["Key"])["Body"].read()) if found else None

    def count(self, table):
        return self.client("dynamodb").scan(TableName=self.outputs[f"{table}Name"], Select="COUNT")["Count"]

    def lists(self):
        """The schedule starts revocation-sync, and that fetches the issuers' lists."""
        eventually("revocation-sync brings two lists, on its schedule", lambda: self.count("RevocationsTable") >= 2)
        return f"{self.count('RevocationsTable')} items of revocation lists"

    def by_card(self):
        """An agency signs in by its card, and has a token."""
        pem = (self.data / "cards/agency-a02/certificate.pem").read_text()
        end = "-----END CERTIFICATE-----"
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        answer = self.invoke("certificate-login", card_event(self.card, challenge, pem[: pem.index(end) + len(end)]))
        expect(answer.get("statusCode") == 200, f"the card host: {answer}")
        code = json.loads(answer["body"])["code"]
        exchange = {"code": code, "verifier": verifier, "session": "token"}
        self.agency = self.succeeds(200, "POST", "/v1/login/certificate", exchange)["token"]
        subject = self.succeeds(200, "GET", "/v1/session", token=self.agency)
        expect(subject["subject"] == "agency" and subject["agency"] == "A02", f"the session: {subject}")
        return "a token of the agency A02"

    def invoke(self, function, event):
        answer = self.client("lambda").invoke(FunctionName=f"{STACK}-{function}", Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read())
        expect("FunctionError" not in answer, f"{function}: {payload}")
        return payload

    def reset(self):
        """The agency resets a password: the stream starts email-dispatch, and SES has the mail."""
        reset = self.succeeds(202, "POST", "/v1/hr/employees/password-reset", PERSON, token=self.agency)
        path = f"/v1/hr/password-resets/{reset['reset_id']}"

        def sent():
            state = self.succeeds(200, "GET", path, token=self.agency)["mail"]
            expect(state in ("queued", "sent", "delivered"), f"the mail is {state}")
            return state != "queued"

        eventually("the mail is sent", sent, 30)
        self.reset_path = path
        texts = [mail["BodyText"] for mail in self.mails() if mail["To"] == [PERSON["email"]]]
        found = {line for text in texts for line in text.splitlines() if re.fullmatch(r"[^\s-]{5}(-[^\s-]{5}){3}", line)}
        # In both languages.
        expect(len(found) == 1, f"{len(found)} initial passwords in {len(texts)} mails")
        self.initial_password = found.pop()
        return "a mail with an initial password"

    def mails(self):
        with urllib.request.urlopen(f"{self.aws.url}/_ministack/ses/messages", context=self.aws.context) as answer:
            return [mail for mails in json.load(answer)["messages"].values() for mail in mails]

    def by_password(self):
        """The person activates with it, and signs in by their own password."""
        first = {"identifier": PERSON["national_id"], "password": self.initial_password}
        answer = self.succeeds(200, "POST", "/v1/login/password", first)
        expect(answer["status"] == "activation_required", f"the initial password: {answer}")
        chosen = {"password": PASSWORD, "password_confirmation": PASSWORD}
        activation = {"ticket": answer["ticket"], "account": ACCOUNT_NAME, "email": PERSON["email"], **chosen}
        expect(self.succeeds(200, "POST", "/v1/activation", activation)["status"] == "activated", "the activation")
        self.succeeds(401, "POST", "/v1/login/password", {"identifier": ACCOUNT_NAME, "password": "Not-This-One#1"})
        second = {"identifier": ACCOUNT_NAME, "password": PASSWORD, "session": "token"}
        answer = self.succeeds(200, "POST", "/v1/login/password", second)
        expect(answer["status"] == "signed_in", f"the password: {answer}")
        subject = self.succeeds(200, "GET", "/v1/session", token=answer["token"])
        expect(subject["subject"] == "person" and subject["account"] == ACCOUNT_NAME, f"the session: {subject}")
        return f"{ACCOUNT_NAME} is signed in"

    def bulk(self):
        """A file of new staff: the stream starts its worker, and the sweep its mail."""
        file = "national_id,email\nF111357703,li@example.gov.tw\n"
        path = f"/v1/hr/bulk-resets/{self.succeeds(201, 'POST', '/v1/hr/bulk-resets', file, token=self.agency)['bulk_id']}"
        self.succeeds(202, "POST", f"{path}/confirm", {}, token=self.agency)
        state = lambda: self.succeeds(200, "GET", path, token=self.agency)["state"]  # noqa: E731
        eventually("the bulk reset is done", lambda: state() == "done", 30)
        return "one of one person"

    def by_hand(self):
        """What no source of events starts here, or not within these minutes, takes the event that AWS would send."""
        self.delivered = self.succeeds(200, "GET", self.reset_path, token=self.agency)["mail"] == "delivered"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = {"version": "0", "id": secrets.token_hex(16), "account": ACCOUNT, "region": REGION, "time": now, "resources": []}
        mail = {
            "timestamp": now,
            "messageId": "1",
            "destination": [PERSON["email"]],
            "tags": {
                "ses:configuration-set": [f"{STACK}-mail"],
                "mail_kind": ["reset"],
                "mail_id": [self.reset_path.rsplit("/", 1)[1]],
            },
        }
        delivery = {"timestamp": now, "smtpResponse": "250 ok", "recipients": [PERSON["email"]]}
        detail = {"eventType": "Delivery", "mail": mail, "delivery": delivery}
        self.invoke("mail-events", {**event, "source": "aws.ses", "detail-type": "Email Delivered", "detail": detail})
        state = self.succeeds(200, "GET", self.reset_path, token=self.agency)["mail"]
        expect(state == "delivered", f"the mail was delivered, and is {state}")
        self.invoke("roster-import", {**event, "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
        return "mail-events, and roster-import's sweep"

    def sources(self):
        """Every mapping of a stream and every rule of the template has started its function, but for those of by_hand."""
        log = self.aws.log.read_text(errors="replace")
        by_rule = set(re.findall(rf"EventBridge → Lambda {STACK}-([a-z-]+): dispatched", log))
        by_stream = set(re.findall(rf"ESM: Lambda {STACK}-([a-z-]+) processed [1-9]", log))
        name = lambda reference: reference.rsplit(":", 1)[-1].removeprefix(f"{STACK}-")  # noqa: E731
        functions = {logical: it["FunctionName"].removeprefix(f"{STACK}-") for logical, it in self.deployed.of("AWS::Lambda::Function")}
        rules = {functions[name(rule["Targets"][0]["Arn"])] for _, rule in self.deployed.of("AWS::Events::Rule")}
        streams = {functions[name(it["FunctionName"])] for _, it in self.deployed.of("AWS::Lambda::EventSourceMapping")}
        silent = sorted((rules - by_rule - {"mail-events"}) | (streams - by_stream))
        expect(not silent, f"not started by their events: {silent}")
        reached = {function for _, _, function in self.made_routes} | by_rule | by_stream | {"mail-events"}
        missing = sorted(set(functions.values()) - reached)
        expect(not missing, f"nothing starts {missing}")
        return f"{len(functions)} functions, {len(by_rule)} by rules, {len(by_stream)} by streams"

    def judged(self):
        """What a role does not allow is refused: without its policy a function cannot do its work, and with it again it can."""
        iam, role, policy = self.client("iam"), f"{STACK}-password-login", "step"
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        signing_in = {"identifier": ACCOUNT_NAME, "password": PASSWORD}
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
        try:
            status, _, answer = self.call("POST", "/v1/login/password", signing_in)
            expect(status == 503 and answer["code"] == "unavailable", f"without its permissions it answers {status} {answer}")
        finally:
            document = document if isinstance(document, str) else json.dumps(document)
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
        self.succeeds(200, "POST", "/v1/login/password", signing_in)
        return "503 without the role's policy, 200 with it"

    def audit(self):
        """The stream chains what was written, the schedule has it signed, and the command for it finds all in order."""
        s3 = self.client("s3")
        bucket, entries = self.outputs["AuditBucketName"], self.count("AuditTable")
        expect(entries >= 5, f"{entries} entries in the audit trail")
        heads = lambda: s3.list_objects_v2(Bucket=bucket, Prefix="heads/").get("Contents", [])  # noqa: E731
        eventually("the schedule has it signed where the chains end", heads)
        credentials = self.role("audit-verify")
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "SSL_CERT_FILE": self.aws.trusted,
            "AUDIT_TABLE": self.outputs["AuditTableName"],
            "CHAINS_TABLE": self.outputs["ChainsTableName"],
            "AUDIT_BUCKET": bucket,
            "AUDIT_KEY": self.outputs["AuditKeyId"],
            "AUDIT_CHAINS": str(self.deployed.parameters["AuditChains"]),
            "STACK": STACK,
        }
        command = [self.programs / "first-sign-in", "audit", "verify", "--aws", "--json"]
        verify = lambda: subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)  # noqa: E731
        # The stream may not have told of the last entries yet.
        eventually("audit verify finds all in order", lambda: verify().returncode == 0, 30)
        return f"{entries} entries"


def runnable(program):
    """Whose machine's program it is, and how it is started on this one."""
    with program.open("rb") as file:
        head = file.read(20)
    expect(head[:4] == b"\x7fELF", f"{program} is no program")
    machine = {62: "x86_64", 183: "aarch64"}.get(int.from_bytes(head[18:20], "little"))
    expect(machine, f"{program} is of a machine that is not known here")
    if machine == platform.machine():
        return machine, f'"{program}"'
    emulator = shutil.which(f"qemu-{machine}") or shutil.which(f"qemu-{machine}-static")
    expect(emulator, f"{program} is of {machine}, and there is no qemu-{machine} (Debian: qemu-user)")
    return machine, f'"{emulator}" "{program}"'


def archive(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def settled(formation, name):
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]
    return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack


def card_event(host, challenge, pem):
    """What API Gateway gives to the card host's function, with the certificate that the connection showed."""
    path = "/v1/login/certificate"
    return {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": f"challenge={challenge}",
        "queryStringParameters": {"challenge": challenge},
        "headers": {"host": host, "accept": "application/json"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "card",
            "authentication": {
                "clientCert": {
                    "clientCertPem": pem,
                    "subjectDN": "CN=A02",
                    "issuerDN": "CN=GCA",
                    "serialNumber": "1",
                    "validity": {"notBefore": "Dec  1 00:00:00 2025 GMT", "notAfter": "Dec  1 00:00:00 2027 GMT"},
                }
            },
            "domainName": host,
            "domainPrefix": host.split(".")[0],
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "tests"},
            "requestId": secrets.token_hex(8),
            "routeKey": f"GET {path}",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }


# ---- Exceptions: whether ministack is as AWS by now ------------------------------------------------------------------


def as_aws(run):
    """By the names of the exceptions: whether it does this as AWS does."""
    _, _, answer = run.call("GET", "/v1/login/certificate", host=run.card)
    reached = isinstance(answer, dict) and answer.get("code")
    alarm = next(it for it in run.template["Resources"].items() if "Metrics" in it[1]["Properties"])
    identity = {"Type": "AWS::SES::EmailIdentity", "Properties": {"EmailIdentity": "dkim.example.gov.tw"}}
    return {
        "body": run.read_routes > 0,
        "metric-math": makes(run, "alarm", alarm),
        "dkim": makes(run, "dkim", ("Identity", identity), output={"Fn::GetAtt": ["Identity", "DkimDNSTokenName1"]}),
        "layers": pathlib.Path("/opt/truststore.pem").exists() or pathlib.Path("/opt/clients.toml").exists(),
        "mutual-tls": not reached,
        "mail-events": run.delivered,
        **conditions(run),
    }


def makes(run, name, resource, output=None):
    """Whether a stack of one resource comes to be, and its output is more than an empty text."""
    formation = run.client("cloudformation")
    logical, body = resource
    body = {**body, "Properties": run.deployed.resolve(body["Properties"])}
    template = {"Resources": {logical: body}, "Outputs": {"Found": {"Value": output}} if output else {}}
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    stack = eventually(f"the stack {name} ends", lambda: settled(formation, name))
    made = stack["StackStatus"] == "CREATE_COMPLETE"
    return made and (output is None or bool(stack["Outputs"][0]["OutputValue"]))


def conditions(run):
    """Whether a role may do what a policy allows under a condition that holds; each also without the condition, which it may."""
    iam, kms, sts = run.client("iam"), run.client("kms"), run.client("sts")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="probe", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    credentials = sts.assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    key = lambda **more: kms.create_key(**more)["KeyMetadata"]["KeyId"]  # noqa: E731
    mac, seal = key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"), key()
    sign = key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    mine, mail = run.aws.client("kms", credentials), run.aws.client("sesv2", credentials)
    address = run.parameters["MailFrom"]
    signing = {"KeyId": sign, "Message": bytes(32), "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    raw = f"From: {address}\r\nTo: a@example.gov.tw\r\nSubject: a\r\n\r\na\r\n".encode()
    sending = {
        "FromEmailAddress": address,
        "Destination": {"ToAddresses": ["a@example.gov.tw"]},
        "Content": {"Raw": {"Data": raw}},
    }
    send = lambda: mail.send_email(**sending)  # noqa: E731
    calls = {
        "kms:MacAlgorithm": ("HMAC_SHA_256", lambda: mine.generate_mac(KeyId=mac, Message=b"a", MacAlgorithm="HMAC_SHA_256")),
        "kms:SigningAlgorithm": ("ECDSA_SHA_256", lambda: mine.sign(**signing)),
        "kms:MessageType": ("DIGEST", lambda: mine.sign(**signing)),
        "kms:EncryptionContext:purpose": (
            "initial-password",
            lambda: mine.encrypt(KeyId=seal, Plaintext=b"a", EncryptionContext={"purpose": "initial-password"}),
        ),
        "ses:FromAddress": (address, send),
        "aws:PrincipalArn": (role, lambda: mine.encrypt(KeyId=seal, Plaintext=b"a")),
    }
    expect(set(calls) == set(CONDITIONS), "not every key of a condition that is taken out is asked about")
    grant = lambda **allow: iam.put_role_policy(  # noqa: E731
        RoleName="probe", PolicyName="probe", PolicyDocument=policy({"Effect": "Allow", **allow})
    )
    found = {}
    grant(Action="ses:SendRawEmail", Resource="*")
    found["ses:SendRawEmail"] = allowed(send)
    grant(Action="ses:SendEmail", Resource=f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{address.split('@')[1]}")
    found["ses:identity"] = allowed(send)
    for name, (value, call) in calls.items():
        everything = {"Action": ["kms:*", "ses:*"], "Resource": "*"}
        grant(**everything)
        expect(allowed(call), f"a call is refused even without a condition on {name}")
        operator = "ArnEquals" if name == "aws:PrincipalArn" else "StringEquals"
        grant(**everything, Condition={operator: {name: value}})
        found[name] = allowed(call)
    return found


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowed(call):
    try:
        call()
    except ClientError as refusal:
        if "AccessDenied" in refusal.response["Error"]["Code"]:
            return False
        raise
    return True


def exceptions(run):
    """What ministack does otherwise than AWS is what the table says, and no less."""
    table = {row["name"]: row["why"] for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["exception"]}
    found = as_aws(run)
    wrong = [f"{name} is asked about, and no exception" for name in found.keys() - table.keys()]
    wrong += [f"{name} is an exception, and nothing asks about it" for name in table.keys() - found.keys()]
    wrong += [f"{name}: it is as AWS by now; take the exception out, and what is done about it" for name in found if found[name]]
    expect(not wrong, "; ".join(sorted(wrong)))
    return f"{len(table)} exceptions, each still needed"


STEPS = [
    ("the stack is made", Run.deploy),
    ("every route reaches its function", Run.every_route),
    ("a roster comes in by its bucket", Run.roster),
    ("revocation lists come in on schedule", Run.lists),
    ("a card signs in", Run.by_card),
    ("a reset is mailed", Run.reset),
    ("a password signs in", Run.by_password),
    ("a bulk reset is worked off", Run.bulk),
    ("events that nothing sends here", Run.by_hand),
    ("permissions are judged", Run.judged),
    ("the audit trail is chained and signed", Run.audit),
    ("every function was started", Run.sources),
    ("what is not as on AWS", exceptions),
]


def main(programs, artifacts=None):
    project, programs = Project(), pathlib.Path(programs).resolve()
    artifacts = pathlib.Path(artifacts).resolve() if artifacts else None
    with tempfile.TemporaryDirectory(prefix="cloud-run-") as folder:
        folder = pathlib.Path(folder)
        with certificates(programs / "first-sign-in", folder) as data:
            authority = (data / "pki/server/ca.pem", data / "pki/server/ca.key.pem")
            with cloud(authority, AUTH="true") as aws:
                run = Run(aws, project, programs, artifacts, data)
                for what, step in STEPS:
                    began = time.monotonic()
                    try:
                        found = step(run)
                    except (Wrong, ClientError) as refusal:
                        print(f"FAILED: {what}: {refusal}")
                        print(*run.complaints(), sep="\n")
                        return 1
                    print(f"{time.monotonic() - began:5.1f} s  {what}: {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
