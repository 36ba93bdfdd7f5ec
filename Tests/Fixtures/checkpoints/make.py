#!/usr/bin/env python3
"""Makes the small checkpoints of this folder with PyTorch, numpy and safetensors: run once, results committed.

`expected.safetensors` holds, for each file F and tensor T, the values as float64 under the name `F/T`.
`seeded.safetensors` holds the seeded rule applied to the shapes it lists, for seeds 1 and 18446744073709551615.
"""
import argparse
import collections
import datetime
import pathlib
import sys

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

here = pathlib.Path(__file__).parent
expected = {}


def values(shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def save(name, content, tensors, **options):
    torch.save(content, here / name, **options)
    for key, tensor in tensors.items():
        expected[f"{name}/{key}"] = tensor.detach().to(torch.float64).contiguous().numpy()


types = {
    "f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64,
    "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8,
    "bool": torch.bool,
}
tensors = {k: (values((2, 3)) * 9).abs().to(t) if k in ("u8", "bool") else (values((2, 3)) * 9).to(t)
           for k, t in types.items()}
save("types.pth", tensors, tensors)

base = values((4, 6))
tensors = {
    "transposed": base.t(), "sliced": base[1:3, ::2], "permuted": values((2, 3, 4)).permute(2, 0, 1),
    "expanded": values((3, 1)).expand(3, 5), "row": base[2], "scalar": values(()), "empty": torch.empty(0, 3),
    "whole": base, "one": base[1:2, 2:3].t(),
}
save("views.pth", tensors, tensors)

weights = {"layer.weight": values((3, 2)), "layer.bias": values(3), "layer.num_batches_tracked": torch.tensor(5)}
ema = {k: v + 1 if v.is_floating_point() else v for k, v in weights.items()}
optimizer = torch.optim.AdamW([torch.nn.Parameter(values(3))], lr=1e-3)
optimizer.param_groups[0]["params"][0].grad = values(3)
optimizer.step()
training = {
    "model": collections.OrderedDict(weights), "optimizer": optimizer.state_dict(), "epoch": 299,
    "model_ema": ema, "args": argparse.Namespace(lr=1e-3, out=pathlib.PurePosixPath("/tmp"), sizes=[224, 224]),
    "max_accuracy": np.float64(82.8), "best": np.array([1.0, 2.0]), "date": datetime.datetime(2025, 1, 2),
    "scaler": None, "steps": {1, 2}, "rng": torch.get_rng_state(), "big": 1 << 80, "hooks": collections.defaultdict(list),
    "size": torch.Size([1, 2]), "dtype": torch.float32, "raw": b"bytes", "neg": -3, "yes": True,
}
save("training.pth", training, weights)
for key, tensor in ema.items():
    expected[f"training.pth/model_ema/{key}"] = tensor.to(torch.float64).numpy()

save("parallel.pth", {"state_dict": {f"module.{k}": v for k, v in weights.items()}}, weights)
save("parameters.pth", {k: torch.nn.Parameter(v) for k, v in weights.items() if v.is_floating_point()},
     {k: v for k, v in weights.items() if v.is_floating_point()})
detector = {f"backbone.{k}": v for k, v in weights.items()} | {"neck.conv.weight": values(2), "head.bias": values(2)}
save("detector.pth", {"meta": {"epoch": 12, "classes": ("a", "b")}, "state_dict": detector}, weights)
save("nested.pth", {"ema": {"module": {"state_dict": weights}}, "acc": torch.tensor(0.5)}, weights)
save("protocol4.pth", {"model": weights, "args": argparse.Namespace(a=1)}, weights, pickle_protocol=4)
save("protocol5.pth", {"model": weights, "args": argparse.Namespace(a=1)}, weights, pickle_protocol=5)
torch.save(weights, here / "legacy.pth", _use_new_zipfile_serialization=False)

shards = [{"a.weight": values((2, 2))}, {"b.weight": values(3), "c.weight": values((1, 2))}]
for number, shard in enumerate(shards, 1):
    safetensors.torch.save_file(shard, here / f"sharded-0000{number}-of-00002.safetensors")
    for key, tensor in shard.items():
        expected[f"sharded.safetensors.index.json/{key}"] = tensor.to(torch.float64).numpy()
index = ",\n    ".join(f'"{k}": "sharded-0000{n}-of-00002.safetensors"' for n, s in enumerate(shards, 1) for k in s)
(here / "sharded.safetensors.index.json").write_text(
    '{\n  "metadata": {"total_size": 36, "more": [1, {"deep": [null, true, -1.5e3]}, []]},\n'
    f'  "weight_map": {{\n    {index}\n  }}\n}}\n')

safetensors.numpy.save_file(expected, here / "expected.safetensors")

# The seeded rule comes from the project's shared tools; without them the committed file stays as it is.
tools = here.parents[3] / "shared" / "tools"
if tools.exists():
    sys.path.insert(0, str(tools))
    from seeded_weights import seeded_tensor, uniform

    shapes = {
        "a.proj.weight": (3, 4, 2, 2), "a.proj.bias": (5,), "a.norm.weight": (7,), "bn.running_mean": (6,),
        "bn.running_var": (6,), "gamma_1": (4, 1, 1), "block.ls1": (3,), "layer_gamma.x": (2,), "weight": (),
        "pos.weight": (8, 1, 3, 3), "tête.weight": (9,), "free": (2, 0, 3),
    }
    seeded = {}
    for seed in (1, 2**64 - 1):
        for name, shape in shapes.items():
            seeded[f"{seed}/{name}"] = seeded_tensor(name, shape, seed)
        seeded[f"{seed}/s:input"] = uniform("input", 33, seed)
    factor = np.float32(0.25)
    seeded["scaled/pos.weight"] = seeded_tensor("pos.weight", shapes["pos.weight"], 1) * factor
    safetensors.numpy.save_file(seeded, here / "seeded.safetensors")
