"""What every flow needs: a stand-in, certificate stores for browsers, and somebody who runs and counts flows."""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.request
from pathlib import Path

from people import Person

PATIENCE_S = 60
PIN = "1234"
LANGUAGES = ("zh-TW", "en")


class StandIn:
    """The stand-in as a process, with a data directory of its own."""

    def __init__(self, binary: Path, folder: Path, *options: str):
        folder.mkdir(parents=True)
        self.binary, self.data, log = binary, folder / "data", (folder / "stand-in.log").open("wb")
        free = [f"--{name}=127.0.0.1:0" for name in ("portal", "card", "mailbox")]
        command = [binary, "serve", "--data", self.data, "--memory", "--ready-json", *free, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in does not start: {(folder / 'stand-in.log').read_text()}")
        ready = json.loads(line)
        self.portal, self.card, self.mailbox = (ready[f"{name}_url"] for name in ("portal", "card", "mailbox"))
        self.server_ca, self.cards, self.issued = Path(ready["server_ca"]), Path(ready["cards_dir"]), folder / "issued"

    def stop(self):
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()

    def issue(self, person: Person):
        """Gives somebody the card that they are said to have, and that is none of the sample's: those stay as they are."""
        holder = ["--name", person.name, "--id-tail", person.national_id[-4:]]
        command = [self.binary, "card", "issue", "--data", self.data, "--kind", "citizen", *holder, "--out", self.issued / person.card]
        subprocess.run(command, check=True, capture_output=True)

    def issue_by_sha1(self, name: str) -> str:
        """Makes a card whose signature has a digest that no gateway takes any more, and tells what it is called."""
        folder, ca = self.issued / name, self.data / "pki" / "citizen"
        folder.mkdir(parents=True)
        openssl = lambda *command: subprocess.run(["openssl", *command], check=True, capture_output=True, cwd=folder)
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/C=TW/CN={name}", "-keyout", "key.pem", "-out", "request.pem")
        (folder / "extensions").write_text("keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
        signed = ["-extfile", "extensions", "-CA", ca / "issuing.pem", "-CAkey", ca / "issuing.key.pem", "-set_serial", str(time.time_ns()), "-out", "certificate.pem"]
        openssl("x509", "-req", "-in", "request.pem", "-sha1", *signed)
        openssl("pkcs12", "-export", "-in", "certificate.pem", "-inkey", "key.pem", "-passout", f"pass:{PIN}", "-out", "card.p12")
        return name

    def shares_connections(self) -> bool:
        """Whether a browser used a connection for another name than that of its handshake, and so showed that name's card."""
        return any("a connection is used for another name" in log.read_text() for log in (self.data / "log").iterdir())

    def card_file(self, card: str) -> Path:
        """A card as a browser imports it."""
        return next(path for folder in (self.cards, self.issued) if (path := folder / card / "card.p12").exists())

    def mails_to(self, address: str) -> list[dict]:
        """The mails to an address, newest first."""
        with urllib.request.urlopen(f"{self.mailbox}/api/messages") as answer:
            return [mail for mail in json.load(answer) if mail["to"] == address]

    def initial_password(self, address: str) -> str:
        """The initial password in the newest mail to an address that has one."""
        return self.in_mail(address, r"(?m)^(?:\w{5}-){3}\w{5}(?=\r?$)")

    def in_mail(self, address: str, pattern: str) -> str:
        """What a pattern finds in the newest mail to an address that has it."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for mail in self.mails_to(address):
                if found := re.search(pattern, mail["text"]):
                    return found.group()
            time.sleep(0.2)
        raise AssertionError(f"no mail to {address} has {pattern}")


def fill_store(store: Path, world: StandIn, cards=()):
    """Makes a certificate store of NSS, as Chromium and Firefox have it, that trusts the stand-in and has cards."""
    store.mkdir(parents=True)
    tool = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    tool("certutil", "-d", f"sql:{store}", "-N", "--empty-password")
    tool("certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "stand-in", "-i", world.server_ca)
    for card in cards:
        tool("pk12util", "-d", f"sql:{store}", "-i", world.card_file(card), "-W", PIN, "-K", "")


def run(flows: type[unittest.TestCase], first: str = "") -> int:
    """Runs flows, and ends as cargo-nextest does, with a line that counts. The workers are processes, each with a stand-in that its
    flows share; who is free takes the next flow, and the one named `first`, which takes longest, is the first of all."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--stand-in", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--only", default="", help="flows whose name has this")
    arguments.add_argument("--tls", help="the only version of TLS that the stand-in agrees to")
    arguments.add_argument("--workers", type=int, default=1, help="how many flows run at once")
    arguments.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    flows.output = given.output.resolve()
    if given.worker is None:
        return _supervise(flows.output, given.workers)
    tests = [test for test in unittest.defaultTestLoader.loadTestsFromTestCase(flows) if given.only in test.id()]
    tests.sort(key=lambda test: test.id().rpartition(".")[2] != first)
    flows.place = flows.output / f"worker-{given.worker}"
    options = [f"--tls={given.tls}"] if given.tls else []
    flows.world = StandIn(given.stand_in.resolve(), flows.place / "stand-in", *options)
    try:
        result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(unittest.TestSuite(map(Unclaimed, tests)))
    finally:
        flows.world.stop()
    bad = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    (flows.place / "counts").write_text(f"{result.testsRun} {bad}")
    return 0 if result.wasSuccessful() else 1


class Unclaimed:
    """A flow that runs unless another worker has it."""

    def __init__(self, test: unittest.TestCase):
        self.test = test

    def __call__(self, result: unittest.TestResult):
        try:
            (self.test.output / "claims" / self.test.id()).mkdir()
        except FileExistsError:
            return
        self.test(result)


def _supervise(output: Path, workers: int) -> int:
    """Starts the workers, and counts what they ran."""
    shutil.rmtree(output, ignore_errors=True)
    (output / "claims").mkdir(parents=True)
    began = time.monotonic()
    logs = [(output / f"worker-{number}.log").open("w+") for number in range(workers)]
    start = lambda number, log: subprocess.Popen([sys.executable, *sys.argv, f"--worker={number}"], stdout=log, stderr=log)
    started = [start(number, log) for number, log in enumerate(logs)]
    failed = [process.wait() != 0 for process in started]
    for log in logs:
        log.seek(0)
        print(log.read())
    counts = [file.read_text().split() for file in output.glob("worker-*/counts")]
    ran, bad = (sum(int(count[place]) for count in counts) for place in (0, 1))
    # A worker that did not come to its end has counted nothing.
    bad = max(bad, int(any(failed)))
    print(f"     Summary [{time.monotonic() - began:8.3f}s] {ran} flows run: {max(ran - bad, 0)} passed, {bad} failed")
    return int(bad > 0 or ran == 0)
