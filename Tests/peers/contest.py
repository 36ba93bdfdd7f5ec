"""A contest of runtimes on one task: agreement first, then alternating rounds, then the table of ratios."""

import dataclasses
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass
class Contestant:
    """One runtime set up for one task."""

    name: str
    output: Callable[[], np.ndarray]
    """Computes the task's result once."""
    measure: Callable[[int], tuple[list[float], float]]
    """Warms up and returns the seconds of so many runs and the processor seconds of one, over all threads."""

    @classmethod
    def in_process(cls, name, call):
        """A contestant that runs inside this process: `call` computes and returns the result."""

        def measure(runs):
            call()
            before = time.process_time()
            samples = [seconds(call) for _ in range(runs)]
            return samples, (time.process_time() - before) / runs

        return cls(name, call, measure)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def relative_l2(actual, expected):
    expected = expected.astype(np.float64)
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected))


def hold(contestants, expected, tolerance, rounds, runs):
    """Compares every contestant's output with `expected`, then measures them in turns.

    Returns one row per contestant; one whose output is off has an error and no times. Rounds rather than one long
    measurement each: what disturbs the machine for a while then disturbs all of them.
    """
    rows = [{"runtime": c.name, "relative_l2": relative_l2(c.output(), expected), "samples": [], "processor_times": []}
            for c in contestants]
    valid = [(c, row) for c, row in zip(contestants, rows) if row["relative_l2"] <= tolerance]
    for _ in range(rounds):
        for contestant, row in valid:
            time.sleep(0.05)  # the threads of the previous runtime stop spinning
            samples, processor_time = contestant.measure(runs)
            row["samples"].append(samples)
            row["processor_times"].append(processor_time)
    for row in rows:
        row["agrees"] = row["relative_l2"] <= tolerance
        if row["samples"]:
            times = sum(row["samples"], [])
            row |= {"median": statistics.median(times), "min": min(times), "cpu": min(row["processor_times"])}
    return rows


def table(rows, work):
    """The rows as text, with the time of each relative to the first one's (above 1: the first is faster)."""
    first = rows[0]
    lines = [f"{'runtime':<14}{'median ms':>11}{'min ms':>9}{'cpu ms':>9}{'GFLOP/s':>9}{'of medians':>12}"
             f"{'of minima':>11}{'of cpu':>8}{'rel. L2':>10}"]
    for row in rows:
        line = f"{row['runtime']:<14}"
        if "median" in row:
            line += f"{row['median'] * 1e3:11.2f}{row['min'] * 1e3:9.2f}{row['cpu'] * 1e3:9.2f}"
            line += f"{work / row['median'] * 1e-9:9.1f}"
            line += "".join(f"{row[key] / first[key]:{width}.2f}" if key in first else " " * width
                            for key, width in (("median", 12), ("min", 11), ("cpu", 8)))
        else:
            line += f"{'wrong result':>69}"
        lines.append(f"{line}{row['relative_l2']:10.1e}")
    return "\n".join(lines)


def verdict(rows):
    """One line: the first contestant against the best of the others."""
    measured = [row for row in rows if "median" in row]
    if not measured:
        return None
    first, *others = measured
    if not others or first is not rows[0]:
        return None
    best = min(others, key=lambda row: row["median"])
    return (f"{first['runtime']} is {best['median'] / first['median']:.2f}x as fast as {best['runtime']}, the best of "
            f"the others (minima: {min(row['min'] for row in others) / first['min']:.2f}x)")


def environment(threads, versions):
    """What a reader needs to judge the numbers."""
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.processor())
    return {"cpu": model, "cpus": sorted(os.sched_getaffinity(0)), "threads": threads, "load": os.getloadavg(),
            "python": platform.python_version(), "versions": versions, "command": sys.argv}
