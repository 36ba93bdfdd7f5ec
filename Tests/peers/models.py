"""Whole models: zoo against PyTorch, ONNX Runtime and OpenVINO on the same weights, input and threads."""

import argparse
import json
import os
import pathlib
import sys

import torch
from safetensors.numpy import load_file

import autoencoder
import contest
import dit
import inception
import inline
import ravlt
import runtimes
import seeded
import swin
import vit
from zoo import Zoo

# The PyTorch twin of every family.
TWINS = {"ravlt": ravlt, "mavit": ravlt, "deit": vit, "vit": vit, "swin": swin, "inline": inline,
         "dit": dit, "lit": dit, "sd": autoencoder, "fid": inception}

# A forward pass in float32 errs by about 5e-7; a wrong epsilon in a norm already moves the logits by 1e-5 and more.
TOLERANCE = 5e-6


def weights(specification):
    """`tensor(name, shape)` of a safetensors file or of `seeded:SEED[,SUFFIX=FACTOR...]`."""
    if not specification.startswith("seeded:"):
        return lambda name, _, tensors=load_file(specification): tensors[name]
    seed, *factors = specification.removeprefix("seeded:").split(",")
    factors = {suffix: float(factor) for suffix, factor in (factor.split("=") for factor in factors)}
    return lambda name, shape: seeded.tensor(name, shape, int(seed), factors)


def inputs_of(twin, batch, image_size):
    """Named inputs of a pass: an image, unless the twin has inputs of its own."""
    if hasattr(twin, "inputs"):
        return twin.inputs(batch, image_size)
    return {"input": torch.from_numpy(seeded.image((batch, 3, image_size, image_size)))}


def flops(network, inputs):
    """Twice the multiply-adds of all convolutions and matrix products of a pass."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # The counter does not know PyTorch's fused attention on CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops()


def contestants(network, inputs, options, threads):
    for name in options.runtimes:
        if name == "zoo":
            yield zoo_contestant(options, inputs, threads)
        else:
            call = runtimes.ALL[name](network, tuple(inputs.values()), threads)
            yield contest.Contestant.in_process(name, call)


def zoo_contestant(options, inputs, threads):
    zoo = Zoo(options.zoo)
    common = [options.model, "--weights", options.weights, "--threads", str(threads)]
    batch = len(next(iter(inputs.values())))
    setting = ["--batch", str(batch), "--image-size", str(options.image_size)]
    arrays = {name: value.numpy() for name, value in inputs.items()}
    result = getattr(TWINS[options.model.partition("-")[0]], "OUTPUT", "logits")
    return contest.Contestant(
        "zoo", output=lambda: zoo.output(["run", *common], arrays, result),
        measure=lambda runs: zoo.samples(["model", *common, *setting], runs))


def arguments():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="ravlt-t",
                        help="{ravlt,mavit}-{t,s,b,l,nano}, {deit,vit,swin}-{tiny,small,base}, "
                             "inline-{deit,pvt,swin}-tiny, {dit,lit}-{s,b}-2, sd-vae, fid-inception")
    parser.add_argument("--weights", help="safetensors file or seeded rule (default: seeded:1, tamed where it must be)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--image-size", type=int, help="in pixels, also of latents (default: 224, or 256 for dit and lit)")
    parser.add_argument("--runtimes", nargs="+", choices=["zoo", *runtimes.ALL], default=["zoo", *runtimes.ALL],
                        help="the first one is what the others are compared with")
    parser.add_argument("--rounds", type=int, default=10, help="how often every runtime gets its turn")
    parser.add_argument("--runs", type=int, default=3, help="measured passes per turn")
    parser.add_argument("--zoo", default=root / ".build/release/zoo", help="the binary")
    parser.add_argument("--cpus", type=int, nargs="+", help="pin everything to these CPUs")
    parser.add_argument("--json", type=pathlib.Path, help="also write everything, raw samples included, to this file")
    return parser.parse_args()


def main():
    options = arguments()
    if options.cpus:
        os.sched_setaffinity(0, options.cpus)
    twin = TWINS[options.model.partition("-")[0]]
    options.image_size = options.image_size or getattr(twin, "IMAGE_SIZE", 224)
    tame = ",.pos.weight=0.25" if twin is ravlt else ""
    options.weights = options.weights or getattr(twin, "WEIGHTS", "seeded:1" + tame)
    plain = ravlt.load(twin.create(options.model), weights(options.weights))
    network = twin.simplified(plain)
    results = []
    for batch in options.batch:
        inputs = inputs_of(twin, batch, options.image_size)
        exact = [value.double() if value.is_floating_point() else value for value in inputs.values()]
        expected = plain.double()(*exact).numpy()
        work = flops(plain.float(), inputs.values())
        for threads in options.threads:
            torch.compiler.reset()
            rows = contest.hold(list(contestants(network, inputs, options, threads)), expected,
                                getattr(twin, "TOLERANCE", TOLERANCE), options.rounds, options.runs)
            case = {"model": options.model, "weights": options.weights, "batch": batch,
                    "image_size": options.image_size, "gflop": work * 1e-9, "rows": rows}
            results.append(case | contest.environment(threads, runtimes.versions(options.runtimes)))
            print(f"\n{options.model}, batch {batch}, {options.image_size} pixels, {work * 1e-9:.2f} GFLOP, "
                  f"threads {threads}, load {os.getloadavg()[0]:.1f}\n{contest.table(rows, work)}")
            print(contest.verdict(rows) or "no comparison", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema_version": 1, "cases": results}))
    return 0 if all(row["agrees"] for case in results for row in case["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
