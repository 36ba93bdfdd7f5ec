"""Checks the PyTorch twins against the golden data, so that a ratio never compares two different functions."""

import argparse
import json
import pathlib
import sys

import torch
from safetensors.numpy import load_file

import dit
import inline
import operators
import ravlt
import seeded
from contest import relative_l2

# A float32 run may err this much more than the recorded one: other orders of summation are as good. What was recorded
# as nothing may still be rounded once.
MARGIN = 10
ROUNDING = 2**-24


def cases(golden):
    """Yields (name, output, expected, recorded noise) of every case."""
    for area, family, large, core in (("rala", "ravlt", "RAVLT_T", operators.rala),
                                      ("mala", "mavit", "MALA_T", operators.mala)):
        yield from operator_cases(golden / area, core)
        yield from tiny_cases(golden / area, core)
        yield from large_cases(golden / area, f"{family}-t", large)
    yield from inline_cases(golden / "inline")
    yield from inline_networks(golden / "inline")
    yield from lit_cases(golden / "lit")
    yield from sla_cases(golden / "scatterformer")
    yield from diffusion_cases(golden)


def diffusion_cases(golden):
    for area, name, large in (("dit", "dit-s-2", "DiT-S-2"), ("lit", "lit-s-2", "LiT-S-2")):
        data = torch_file(golden / area / f"{large}.case.safetensors")
        about = json.loads((golden / area / f"{large}.json").read_text())
        latent = torch.from_numpy(seeded.image((1, 4, 32, 32)))
        output = ravlt.load(dit.create(name), seeded.tensor)(latent, data["t"].float(), data["y"])
        yield large, output, data["output"], about["noise_floor_fp32_vs_fp64"]["rel_to_max"]


def operator_cases(folder, core):
    data = torch_file(folder / "op_core.case.safetensors")
    for case, about in json.loads((folder / "op_core.json").read_text())["cases"].items():
        if f"{case}.q" not in data:
            continue  # the file holds a sample of the rows only
        q, k, v = (data[f"{case}.{t}"].transpose(2, 3) for t in "qkv")
        q, k = (operators.deinterleave(t, 1, 2) for t in (q, k))
        tables = operators.tables(about["H"], about["W"], about["head_dim"])
        for name, function, rope in (("out", core, tables), ("out_norope", core, None),
                                     ("softmax_out", operators.softmax, tables)):
            noise = about["noise_fp32_vs_fp64"][name]["rel_l2"]
            output = function(q, k, v, rope).transpose(2, 3)
            yield f"{core.__name__} {case} {name}", output, data[f"{case}.{name}"], noise


def inline_cases(folder):
    for path in sorted(folder.glob("op_core_*.json")):
        about = json.loads(path.read_text())
        if about["kernel_function"] == "identity":
            data = torch_file(path.with_suffix(".case.safetensors"))
            output = operators.inline(*(data[t].transpose(2, 3) for t in "qkv")).transpose(2, 3)
            yield f"inline {path.stem}", output, data["out_f64"], about["noise_fp32_vs_fp64"]["rms_diff_over_rms"]


def inline_networks(folder):
    for name in ("deit", "pvt", "swin"):
        about = json.loads((folder / f"inline_{name}_tiny.json").read_text())
        expected = torch_file(folder / f"inline_{name}_tiny.case.safetensors")["output_f64"]
        network = ravlt.load(inline.create(f"inline-{name}-tiny"), seeded.tensor)
        noise = about["noise_fp32_vs_fp64"]["rms_diff_over_rms"]
        image = torch.from_numpy(seeded.image(about["input"]["shape"]))
        yield f"inline-{name}-tiny", network(image), expected, noise
        yield f"inline-{name}-tiny simplified", inline.simplified(network)(image), expected, noise


def lit_cases(folder):
    about, data = json.loads((folder / "ops.json").read_text()), torch_file(folder / "ops.case.safetensors")
    for case, facts in about["cases"].items():
        q, k, v = (data[f"{case}.{t}"].transpose(1, 2).unflatten(1, (facts["heads"], -1)) for t in "qkv")
        weight, bias = data[f"{case}.dwc.weight"], data[f"{case}.dwc.bias"]
        output = operators.lit(q, k, v, weight, bias, (facts["H"], facts["W"])).flatten(1, 2).transpose(1, 2)
        noise = about["noise_floor_fp32_vs_fp64"][case]["out"]["rel_to_max"]
        yield f"lit {case}", output, data[f"{case}.out"], noise


def sla_cases(folder):
    for about in json.loads((folder / "sla_op.json").read_text())["cases"]:
        if about["inputs_stored"]:
            data = torch_file(folder / f"{about['name']}.case.safetensors")
            sizes = torch.tensor(about["group_sizes"])
            group = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
            output = operators.sla(*(data[f"in.{t}"] for t in "qkv"), group, len(sizes))
            yield f"sla {about['name']}", output, data["out.y"], about["noise_fp32_vs_fp64"]["y"]["rel_to_max"]


def tiny_cases(folder, core):
    about = json.loads((folder / "tiny.json").read_text())
    weights, data = torch_file(folder / "tiny.weights.safetensors"), torch_file(folder / "tiny.case.safetensors")
    keys = ("embed_dims", "depths", "num_heads", "projection", "num_classes")
    network = ravlt.Network(core, **{key: about["config"][key] for key in keys})
    ravlt.load(network, lambda name, _: weights[name])
    for case, facts in about["cases"].items():
        image = torch.from_numpy(seeded.image(facts["input_shape"]))
        yield from both_forms(network, f"tiny {core.__name__} {case}", image, data[f"{case}.logits_fp64"], facts)


def large_cases(folder, model, large):
    data = torch_file(folder / f"{large}.case.safetensors")
    about = json.loads((folder / f"{large}.json").read_text())
    image = torch.from_numpy(seeded.image(about["input"]["shape"]))
    for kind, factors in (("plain", {}), ("damped", {".pos.weight": 0.25})):
        network = ravlt.load(ravlt.create(model), lambda name, shape: seeded.tensor(name, shape, 1, factors))
        yield from both_forms(network, f"{model} {kind}", image, data[f"{kind}.logits_fp64"], about["results"][kind])


def both_forms(network, name, image, expected, facts):
    noise = facts["noise_fp32_vs_fp64"]["rel_l2"]
    yield name, network(image), expected, noise
    yield f"{name} simplified", ravlt.simplified(network)(image), expected, noise


def torch_file(path):
    return {name: torch.from_numpy(value) for name, value in load_file(path).items()}


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", type=pathlib.Path, default=root.parent / "shared/golden",
                        help="folder of golden data")
    failures = 0
    for name, output, expected, noise in cases(parser.parse_args().golden):
        error = relative_l2(output.numpy(), expected.numpy())
        failed = not error <= MARGIN * max(noise, ROUNDING)
        failures += failed
        print(f"{'FAIL' if failed else 'ok  '} {name}: relative L2 {error:.1e}, recorded noise {noise:.1e}")
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
