"""The FID Inception in PyTorch, with the tensor names of pt_inception-2015-12-05."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

import seeded


class Unit(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def row(inputs, outputs, width):
    return Unit(inputs, outputs, (1, width), padding=(0, width // 2))


def column(inputs, outputs, height):
    return Unit(inputs, outputs, (height, 1), padding=(height // 2, 0))


def average(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def highest(x):
    return F.max_pool2d(x, 3, stride=1, padding=1)


def reduction(x):
    return F.max_pool2d(x, 3, stride=2)


class Mixed(nn.Module):
    """Chains of units side by side: `branches` names the units of each, a tuple of names ends in two side by side, and
    a function stands for a pool."""

    def __init__(self, units, branches):
        super().__init__()
        for name, unit in units.items():
            self.add_module(name, unit)
        self.branches = branches

    def forward(self, x):
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                if callable(step):
                    y = step(y)
                elif isinstance(step, tuple):
                    y = torch.cat([getattr(self, name)(y) for name in step], 1)
                else:
                    y = getattr(self, step)(y)
            outputs.append(y)
        return torch.cat(outputs, 1)


def block_a(inputs, pooled):
    return Mixed({
        "branch1x1": Unit(inputs, 64), "branch5x5_1": Unit(inputs, 48), "branch5x5_2": Unit(48, 64, 5, padding=2),
        "branch3x3dbl_1": Unit(inputs, 64), "branch3x3dbl_2": Unit(64, 96, 3, padding=1),
        "branch3x3dbl_3": Unit(96, 96, 3, padding=1), "branch_pool": Unit(inputs, pooled),
    }, [["branch1x1"], ["branch5x5_1", "branch5x5_2"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"],
        [average, "branch_pool"]])


def block_b(inputs):
    return Mixed({
        "branch3x3": Unit(inputs, 384, 3, 2), "branch3x3dbl_1": Unit(inputs, 64),
        "branch3x3dbl_2": Unit(64, 96, 3, padding=1), "branch3x3dbl_3": Unit(96, 96, 3, 2),
    }, [["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], [reduction]])


def block_c(inputs, width):
    return Mixed({
        "branch1x1": Unit(inputs, 192), "branch7x7_1": Unit(inputs, width), "branch7x7_2": row(width, width, 7),
        "branch7x7_3": column(width, 192, 7), "branch7x7dbl_1": Unit(inputs, width),
        "branch7x7dbl_2": column(width, width, 7), "branch7x7dbl_3": row(width, width, 7),
        "branch7x7dbl_4": column(width, width, 7), "branch7x7dbl_5": row(width, 192, 7),
        "branch_pool": Unit(inputs, 192),
    }, [["branch1x1"], [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)],
        [average, "branch_pool"]])


def block_d(inputs):
    return Mixed({
        "branch3x3_1": Unit(inputs, 192), "branch3x3_2": Unit(192, 320, 3, 2), "branch7x7x3_1": Unit(inputs, 192),
        "branch7x7x3_2": row(192, 192, 7), "branch7x7x3_3": column(192, 192, 7),
        "branch7x7x3_4": Unit(192, 192, 3, 2),
    }, [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)], [reduction]])


def block_e(inputs, pool):
    return Mixed({
        "branch1x1": Unit(inputs, 320), "branch3x3_1": Unit(inputs, 384), "branch3x3_2a": row(384, 384, 3),
        "branch3x3_2b": column(384, 384, 3), "branch3x3dbl_1": Unit(inputs, 448),
        "branch3x3dbl_2": Unit(448, 384, 3, padding=1), "branch3x3dbl_3a": row(384, 384, 3),
        "branch3x3dbl_3b": column(384, 384, 3), "branch_pool": Unit(inputs, 192),
    }, [["branch1x1"], ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
        ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")], [pool, "branch_pool"]])


class Network(nn.Module):
    """Images in 0...255 of 299 x 299 to the pooled features."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, 32, 3, 2), Unit(32, 32, 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Unit(32, 64, 3, padding=1), Unit(64, 80)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = block_a(192, 32), block_a(256, 64), block_a(288, 64)
        self.Mixed_6a = block_b(288)
        self.Mixed_6b, self.Mixed_6c = block_c(768, 128), block_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = block_c(768, 160), block_c(768, 192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = block_d(768), block_e(1280, average), block_e(2048, highest)

    def forward(self, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3((x - 128) / 128)))
        x = reduction(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(reduction(x))))
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{name}")(x)
        return x.mean((2, 3))


def create(name):
    """`fid-inception` with unset weights."""
    return Network()


IMAGE_SIZE = 299
OUTPUT = "pool3"
WEIGHTS = "seeded:1,.conv.weight=1.4142135"


def inputs(batch, image_size):
    """Named inputs of a pass: images in 0...255."""
    return {"images": torch.from_numpy((seeded.image((batch, 3, image_size, image_size)) + 1) * 127.5)}


def simplified(network):
    """The same function with the batch norms in the convolutions."""
    network = copy.deepcopy(network)
    for unit in network.modules():
        if isinstance(unit, Unit):
            unit.conv = nn.utils.fuse_conv_bn_eval(unit.conv, unit.bn)
            unit.bn = nn.Identity()
    return network
