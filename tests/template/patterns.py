"""What starts which function, judged by another implementation of EventBridge's patterns than ours: python tests/template/patterns.py

The events and what they start are in `tests/template/events.toml`; the patterns are those of the transformed template. ministack's
`TestEventPattern` was right in all of 31 cases of AWS's documentation.
"""

import json
import sys
import tomllib

from foreign import cloud
from project import Project

# What EventBridge asks of every event. A stream's record is judged as one, which Lambda's filters are documented to be.
ENVELOPE = {
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "account": "123456789012",
    "source": "tests",
    "detail-type": "record",
    "time": "2026-12-01T00:00:00Z",
    "region": "ap-northeast-1",
    "resources": [],
    "detail": {},
}


def patterns(deployed):
    """By logical id: the table, or nothing for the event bus, and the patterns, of which one must match."""
    found = {}
    for name, source in deployed.of("AWS::Lambda::EventSourceMapping"):
        filters = [one["Pattern"] for one in source.get("FilterCriteria", {}).get("Filters", [])]
        if filters:
            table = source["EventSourceArn"].split(f":table/{deployed.stack}-")[1].split("/")[0]
            found[name] = (table, filters)
    for name, rule in deployed.of("AWS::Events::Rule"):
        if "EventPattern" in rule:
            found[name] = (None, [json.dumps(rule["EventPattern"])])
    return found


def main():
    project = Project()
    known = patterns(project.deployed("dev"))
    events = tomllib.loads(project.text("tests/template/events.toml"))["event"]
    wrong, judged = [], 0
    # Which patterns have matched, and which have not.
    matched, refused = set(), set()
    with cloud() as aws:
        judge = aws.client("events")
        for event in events:
            whole = json.dumps({**ENVELOPE, **json.loads(event["event"])})
            started = []
            for name, (table, filters) in known.items():
                if table != event.get("table"):
                    continue
                for pattern in filters:
                    judged += 1
                    if judge.test_event_pattern(EventPattern=pattern, Event=whole)["Result"]:
                        matched.add((name, pattern))
                        started.append(name)
                    else:
                        refused.add((name, pattern))
            if sorted(started) != sorted(event["starts"]):
                wrong.append(f"{event['what']}: it starts {started}, not {event['starts']}")
    for name, (_, filters) in known.items():
        for pattern in filters:
            if (name, pattern) not in matched:
                wrong.append(f"{name}: no event passes {pattern}")
            if (name, pattern) not in refused:
                wrong.append(f"{name}: every event passes {pattern}")
    for line in wrong:
        print(line)
    print(f"{len(events)} events, {len(known)} rules and mappings, {judged} judgements, {len(wrong)} wrong")
    return bool(wrong) or not judged


if __name__ == "__main__":
    sys.exit(main())
