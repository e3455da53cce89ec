"""What of requirements.lock the running product needs: its dependencies with the extra `postgres`, and theirs.

Prints those lines of the lock file. The lock holds the tests' packages too; an image does without them. Standard
library only: it runs before anything is installed. usage: runtime.py pyproject.toml requirements.lock
"""

import re
import sys
import tomllib
from pathlib import Path


def name_of(requirement: str) -> str:
    """The normalised name (PEP 503) at the beginning of a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def only_for_tests(pyproject: dict) -> set[str]:
    """Names of the group dev, and of nothing that the product itself asks for."""
    project = pyproject["project"]
    extras = [one for group in project.get("optional-dependencies", {}).values() for one in group]
    product = {name_of(one) for one in [*project["dependencies"], *extras]}
    dev = {name_of(one) for one in pyproject["dependency-groups"]["dev"] if isinstance(one, str)}
    return dev - product


def main() -> None:
    """Print the lock without the tests' own packages. What only those need stays: harmless, and pinned."""
    pyproject, lock = (Path(argument) for argument in sys.argv[1:3])
    without = only_for_tests(tomllib.loads(pyproject.read_text(encoding="utf-8")))
    for line in lock.read_text(encoding="utf-8").splitlines():
        if name_of(line) not in without:
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
