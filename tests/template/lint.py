"""cfn-lint on what CloudFormation gets: python tests/template/lint.py FOLDER

On the template as it is written cfn-lint leaves out what only the transformed one has: the actions of policies, for one. What is
written into the folder is for a person to look at.
"""

import collections
import json
import pathlib
import subprocess
import sys

from project import STAGES, Project

# What cfn-lint says that is no fault: its rule, the resource, and why. One that it does not say any more is out of date.
EXCEPTIONS = {}


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    project = Project()
    files = []
    for stage in STAGES:
        path = folder / f"{stage}.json"
        path.write_text(json.dumps(project.transformed(project.overrides(stage)), indent=1), encoding="utf-8")
        files.append(path)
    command = [str(pathlib.Path(sys.executable).parent / "cfn-lint"), "--format", "json", "--", *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if not ran.stdout.strip() and ran.returncode:
        sys.exit(ran.stderr)
    said = collections.defaultdict(list)
    for finding in json.loads(ran.stdout or "[]"):
        path = finding["Location"]["Path"] or []
        resource = path[1] if len(path) > 1 and path[0] == "Resources" else "the template"
        said[finding["Rule"]["Id"], resource].append(finding)
    for rule, resource in sorted(said.keys() - EXCEPTIONS.keys()):
        first = said[rule, resource][0]
        print(f"{rule} {resource}: {first['Message']} ({first['Filename']})")
    for rule, resource in sorted(EXCEPTIONS.keys() - said.keys()):
        print(f"{rule} {resource}: cfn-lint does not say that any more: take it out of the exceptions")
    print(f"{len(files)} templates, {len(said)} things said, {len(EXCEPTIONS)} exceptions")
    return said.keys() != EXCEPTIONS.keys()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
