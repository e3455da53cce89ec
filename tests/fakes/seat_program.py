"""In place of a seat's process: answers, says what it was told, and ends as its order's offer wants it."""

import json
import os
import sys

line = sys.stdin.readline()
if not line:  # nobody wanted it
    sys.exit(0)
order = json.loads(line)
wish = order["offer"].rpartition(" ")[2].strip()


def say(**words):
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if wish == "refuse":
    say(over="no SDP")
    sys.exit(0)
if wish == "die":
    sys.exit(3)
if wish == "hang":
    sys.stdin.read()
    sys.exit(0)
if wish in {"list", "number", "deep"}:
    sys.stdout.write({"list": "[1]", "number": "7", "deep": "[" * 20_000}[wish] + "\n")
say(answer=json.dumps({"order": order, "environ": sorted(os.environ), "pid": os.getpid()}))
for _line in sys.stdin:
    if wish == "over":
        break
say(over="done")
