"""An AWS of somebody else's making on loopback: PyPI's ministack, a process of its own.

It insists on other versions of what the SAM CLI needs too, so it has a virtual environment of its own, whose Python the variable
FIRST_SIGN_IN_MINISTACK names.
"""

import contextlib
import os
import pathlib
import socket
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
def cloud(**variables):
    """Runs it, answers a maker of clients, and ends it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        log = pathlib.Path(folder) / "log"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_HOST": "localhost",
            "HOME": folder,
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
            wait(f"http://127.0.0.1:{port}/_ministack/health", process, log)
            yield Cloud(f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(url, process, log):
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"ministack does not start:\n{log.read_text(errors='replace')[-2000:]}")


class Cloud:
    def __init__(self, url, log):
        self.url, self.log = url, log

    def client(self, service):
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=120)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="x",
            config=config,
        )
