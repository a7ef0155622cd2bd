"""An AWS of somebody else's making on loopback: PyPI's ministack, a process of its own.

It insists on other versions of what the SAM CLI needs too, so it has a virtual environment of its own, whose Python the variable
FIRST_SIGN_IN_MINISTACK names.
"""

import contextlib
import datetime
import ipaddress
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

from project import REGION

ACCOUNT = "000000000000"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def cloud(authority=None, **variables):
    """Runs it, answers a maker of clients, and ends it. With an authority, a certificate and its key, over TLS."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        log = pathlib.Path(folder) / "log"
        scheme, trusted = "http", None
        if authority:
            scheme, trusted = "https", str(authority[0])
            certificate, key = certified(authority, pathlib.Path(folder))
            variables |= {"USE_SSL": "1", "MINISTACK_SSL_CERT": certificate, "MINISTACK_SSL_KEY": key}
            # What it starts believes that authority, and calls it at this address.
            variables |= {"SSL_CERT_FILE": trusted, "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}"}
        url = f"{scheme}://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_HOST": "localhost",
            "HOME": folder,
            "TMPDIR": folder,
            **variables,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [os.environ["FIRST_SIGN_IN_MINISTACK"], "-m", "ministack"],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            aws = Cloud(url, log, trusted)
            wait(aws, process)
            yield aws
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(aws, process):
    for _ in range(1200):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{aws.url}/_ministack/health", timeout=2, context=aws.context)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"ministack does not start:\n{aws.log.read_text(errors='replace')[-2000:]}")


def certified(authority, folder):
    """A certificate of 127.0.0.1 that an authority issues, and its key: paths."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer = x509.load_pem_x509_certificate(pathlib.Path(authority[0]).read_bytes())
    issuer_key = serialization.load_pem_private_key(pathlib.Path(authority[1]).read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ministack")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    files = {
        "certificate.pem": certificate.public_bytes(serialization.Encoding.PEM),
        "key.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, text in files.items():
        (folder / name).write_bytes(text)
    return tuple(str(folder / name) for name in files)


class Cloud:
    def __init__(self, url, log, trusted=None):
        self.url, self.log, self.trusted = url, log, trusted
        self.context = ssl.create_default_context(cafile=trusted) if trusted else None

    def client(self, service, credentials=None):
        """A client of a service: the account's root, or whoever has these credentials."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=300)
        credentials = credentials or {"AccessKeyId": ACCOUNT, "SecretAccessKey": "test"}
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            verify=self.trusted,
            config=config,
        )
