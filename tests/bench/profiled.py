"""A worker with cProfile on its loop and on its media clock, in place of `python -m bridge worker`.

    python -m tests.bench.profiled FOLDER < run/worker-0.json

`serve` leaves that file in its state folder. On SIGTERM `loop.prof` and `clock.prof` are written to FOLDER. Shares and
call counts are what to read: the profiler makes small functions look bigger than they are.
"""

import cProfile
import sys
from pathlib import Path

from bridge import worker
from bridge.sip.mediaclock import MediaClock


def main() -> None:
    """Run the worker; write `loop.prof` and `clock.prof` when it ends."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    run_clock = MediaClock._run

    def profiled_clock(clock: MediaClock) -> None:
        profile = cProfile.Profile()
        try:
            profile.runcall(run_clock, clock)
        finally:
            profile.dump_stats(folder / "clock.prof")

    MediaClock._run = profiled_clock  # type: ignore[method-assign,assignment]  # the one place to put it in
    profile = cProfile.Profile()
    try:
        profile.runcall(worker.main)
    finally:
        profile.dump_stats(folder / "loop.prof")


if __name__ == "__main__":
    main()
