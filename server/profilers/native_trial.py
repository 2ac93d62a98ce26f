"""`python -P -m server.profilers.native_trial MODEL THREADS KERNELS`: profile once, and live or not."""

import sys
from pathlib import Path

from server.runtimes.base import ModelFault
from server.runtimes.litert_profiler import NativeModel, ProfilerLibrary, ProfilerUnavailable

RUNS = 2


def main(argv: list[str]) -> int:
    """Load, run and profile a model; 1 with a line when that is refused."""
    path, threads, kernels = argv
    try:
        model = NativeModel(
            ProfilerLibrary(), Path(path).read_bytes(), threads=int(threads), builtin=kernels == "builtin"
        )
        for _ in range(RUNS):
            model.run()
            model.profile()
    except (ModelFault, ProfilerUnavailable) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
