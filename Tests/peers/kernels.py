"""Single attention operators at the shapes of real models: zoo against PyTorch eager and the other peers."""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Callable

import torch

import contest
import operators
import runtimes
import seeded
from zoo import Zoo

# The operators cancel (MALA, InLine) and sum thousands of terms, so float32 runs differ by up to 3e-6.
TOLERANCE = 3e-5


@dataclasses.dataclass
class Case:
    """One operator on one shape."""

    operator: str
    shape: str
    function: Callable
    inputs: tuple
    macs: int
    """Multiply-adds of the summary, the readout and, where there is one, the depthwise branch."""
    zoo: dict
    """Inputs of `zoo op`."""
    sizes: dict
    """Options of `zoo bench kernel`."""
    from_zoo: Callable
    """Brings the output of `zoo op` into the layout of `function`."""


def cases(names):
    shapes = {"rala": rotary, "mala": rotary, "softmax": rotary, "inline": inline, "lit": lit, "sla": sla}
    for name in names:
        yield from shapes[name](name)


def sizes(heads, tokens, head_dim):
    return {"heads": heads, "tokens": tokens, "head-dim": head_dim}


def token_minor(out):
    """(B, heads, N, d) as (B, heads, d, N)."""
    return out.swapaxes(2, 3)


def tensors(names, shape):
    """Values in [-1.5, 1.5), the range of the golden cases."""
    count = torch.Size(shape).numel()
    return tuple(torch.from_numpy(1.5 * seeded.uniform(name, count).reshape(shape)) for name in names)


def rotary(name):
    """The first three stages of RAVLT-T at 224 pixels, and the first one at 1024."""
    core = getattr(operators, name)
    for heads, side in ((1, 56), (2, 28), (4, 14), (1, 256)):
        d, n = 64, side * side
        if name == "softmax" and n > 4096:
            continue
        tables = operators.tables(side, side, d)
        inputs = tensors("qkv", (1, heads, n, d))
        q, k, v = (t.transpose(2, 3) for t in inputs)
        q, k = (operators.deinterleave(t, 1, 2) for t in (q, k))
        yield Case(name, f"{heads} x {n} x {d}", lambda q, k, v, tables=tables: core(q, k, v, tables),
                   tuple(t.contiguous() for t in (q, k, v)), 2 * heads * n * (n * d if name == "softmax" else d * d),
                   dict(zip("qkv", inputs)) | {"grid": torch.tensor([side, side])}, sizes(heads, n, d), token_minor)


def inline(name):
    """InLine-DeiT at 224 pixels, the first stages of InLine-PVT, and a long sequence."""
    for heads, n, d in ((3, 197, 64), (1, 3136, 64), (2, 784, 64), (1, 65536, 64)):
        inputs = tensors("qkv", (1, heads, d, n))
        yield Case(name, f"{heads} x {n} x {d}", operators.inline, inputs, 2 * heads * n * d * d,
                   {key: value.transpose(2, 3) for key, value in zip("qkv", inputs)}, sizes(heads, n, d), token_minor)


def lit(name):
    """LiT-S/2 and LiT-XL/2 at 256 and 512 pixels, and the head of the other cores."""
    for heads, d, side in ((2, 192, 16), (2, 192, 32), (4, 288, 16), (4, 288, 32), (1, 64, 28), (1, 64, 56)):
        n = side * side
        weight, = tensors(["weight"], (d, 1, 5, 5))
        bias, = tensors(["bias"], (d,))
        inputs = tensors("qkv", (1, heads, d, n))
        packed = {key: value.flatten(1, 2).transpose(1, 2) for key, value in zip("qkv", inputs)}
        yield Case(name, f"{heads} x {n} x {d}",
                   lambda q, k, v, w=weight, b=bias, s=side: operators.lit(q, k, v, w, b, (s, s)),
                   inputs, heads * n * d * (2 * d + 25), packed | {"dwc.weight": weight, "dwc.bias": bias},
                   sizes(heads, n, d), lambda out, shape=inputs[0].shape: out.swapaxes(1, 2).reshape(shape))


def sla(name):
    """100 000 voxels in groups of 1 to 2000, drawn as `zoo bench kernel` draws them."""
    rows, heads, d, largest = 100_000, 8, 16, 2000
    counts = []
    for position in (seeded.uniform("groups", rows) + 1) / 2 * largest:
        if rows == sum(counts):
            break
        counts.append(min(rows - sum(counts), 1 + min(int(position), largest - 1)))
    group = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    inputs = tensors("qkv", (rows, heads, d))
    yield Case(name, f"{rows} rows in {len(counts)} groups, {heads} x {d}",
               lambda q, k, v: operators.sla(q, k, v, group, len(counts)), inputs, 2 * rows * heads * d * d,
               dict(zip("qkv", inputs)) | {"counts": torch.tensor(counts)},
               sizes(heads, rows, d) | {"groups": f"1-{largest}"}, lambda out: out)


class Operator(torch.nn.Module):
    """A function as a module, which is what an export wants."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def zoo_contestant(binary, case, threads):
    zoo = Zoo(binary)
    inputs = {name: value.contiguous().numpy() for name, value in case.zoo.items()}
    common = [case.operator, "--threads", str(threads)]
    sizes = [word for name, value in case.sizes.items() for word in (f"--{name}", str(value))]
    return contest.Contestant(
        "zoo", output=lambda: case.from_zoo(zoo.output(["op", *common], inputs, "out")),
        measure=lambda runs: zoo.samples(["kernel", *common, *sizes], runs))


def contestants(case, options, threads):
    module = Operator(case.function).eval()
    for name in options.runtimes:
        if name == "zoo":
            yield zoo_contestant(options.zoo, case, threads)
        else:
            yield contest.Contestant.in_process(name, runtimes.ALL[name](module, case.inputs, threads))


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operators", nargs="*", default=["rala", "mala", "inline", "lit", "sla"],
                        help="rala, mala, inline, lit, sla, softmax")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--runtimes", nargs="+", choices=["zoo", *runtimes.ALL],
                        default=["zoo", "eager", "onnxruntime"],
                        help="the first one is what the others are compared with")
    parser.add_argument("--rounds", type=int, default=10, help="how often every runtime gets its turn")
    parser.add_argument("--runs", type=int, default=5, help="measured runs per turn")
    parser.add_argument("--zoo", default=root / ".build/release/zoo", help="the binary")
    parser.add_argument("--cpus", type=int, nargs="+", help="pin everything to these CPUs")
    parser.add_argument("--json", type=pathlib.Path, help="also write everything, raw samples included, to this file")
    options = parser.parse_args()
    if options.cpus:
        os.sched_setaffinity(0, options.cpus)
    results = []
    for case, threads in itertools.product(cases(options.operators), options.threads):
        expected = case.function(*(value.double() for value in case.inputs)).numpy()
        rows = contest.hold(list(contestants(case, options, threads)), expected, TOLERANCE, options.rounds,
                            options.runs)
        facts = {"operator": case.operator, "shape": case.shape, "gflop": 2e-9 * case.macs, "rows": rows}
        results.append(facts | contest.environment(threads, runtimes.versions(options.runtimes)))
        print(f"\n{case.operator} {case.shape}, {2e-9 * case.macs:.3f} GFLOP, threads {threads}, "
              f"load {os.getloadavg()[0]:.1f}\n{contest.table(rows, 2 * case.macs)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema_version": 1, "cases": results}))
    return 0 if all(row["agrees"] for case in results for row in case["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
