"""`python -m bridge …`: the same as the `sipbridge` command, plus the processes that the supervisor and control start.

`worker` and `control` are told apart before anything heavy is imported: a worker must never load the control plane's
packages, and numpy must not start a thread pool in a process that moves four phone calls.
"""

import os
import sys
from pathlib import Path
from types import ModuleType


def main() -> int:
    """Run the process or command named on the command line; returns its exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role in ("worker", "zygote"):
        # structlog would load it for tracebacks in colour: 3.4 MB in every worker, and none is ever shown there.
        sys.modules["rich"] = None  # type: ignore[assignment]
        if role == "zygote":
            os.environ["OPENBLAS_NUM_THREADS"] = "1"  # whatever the machine says: it may have one thread only
            from bridge.zygote import main as zygote  # noqa: PLC0415  # see above

            return zygote()
        from bridge.worker import main as worker  # noqa: PLC0415  # see above

        return worker()
    if role == "control":
        # Consoles of libraries (structlog, httpx, mako, cel): 15 MB that a process without a terminal never uses.
        sys.modules["rich"] = sys.modules["pygments"] = None  # type: ignore[assignment]
        sys.modules["cel.cli"] = ModuleType("cel.cli")  # the package imports it, whether there or not
        from bridge.control_main import main as control  # noqa: PLC0415  # see above

        # The supervisor is the only one who starts it: `control [--config FILE]`.
        return control(Path(sys.argv[3]) if sys.argv[2:3] == ["--config"] else None)
    if role == "seat":
        from bridge.seat.process import main as seat  # noqa: PLC0415  # see above

        return seat()
    from bridge.cli.main import run  # noqa: PLC0415  # see above

    return run()


if __name__ == "__main__":
    sys.exit(main())
