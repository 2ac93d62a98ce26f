"""How equal the intervals of the telemetry recorder are, and what it costs: 3,600 samples at 0.1 s take six minutes."""

import argparse
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from server.telemetry.recorder import Recorder
from server.telemetry.sensors import Sensors

INTERVAL_OFF_MAX = 0.001
SHARE_OF_CORE_MAX = 0.01


def main() -> int:
    """Record this machine's sensors to disk; print how well the beat was kept. Ends with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3600)
    parser.add_argument("--interval", type=float, default=0.1, metavar="SECONDS")
    arguments = parser.parse_args()
    nominal_s = arguments.interval
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Sensors(), nominal_s, Path(folder))
        recorder.start()
        time.sleep(nominal_s * (arguments.samples - 1) + nominal_s / 2)
        telemetry = recorder.stop()
    times = telemetry.t_s[:-1]  # the last one is taken when stopped, not on a beat
    intervals = [after - before for before, after in pairwise(times)]
    late_ms = sorted((t - round(t / nominal_s) * nominal_s) * 1e3 for t in times)
    mean_s = statistics.fmean(intervals)
    off, share = mean_s / nominal_s - 1, telemetry.quality.self_cpu_ratio
    known = [key for key, values in telemetry.series.items() if any(value is not None for value in values)]
    print(f"series           {len(telemetry.series)}, {len(known)} of them with values here")
    print(f"samples          {len(times)}, missed {telemetry.quality.missed}")
    print(f"mean interval    {mean_s * 1e3:.4f} ms, nominal {nominal_s * 1e3:g} ms: {off:+.4%}")
    print(f"spread           standard deviation {statistics.stdev(intervals) * 1e3:.3f} ms")
    print(f"late             median {statistics.median(late_ms):.3f} ms, most {late_ms[-1]:.3f} ms")
    print(f"share of a core  {share:.3%}, {share * nominal_s * 1e3:.3f} ms a sample")
    return 0 if abs(off) <= INTERVAL_OFF_MAX and share <= SHARE_OF_CORE_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
