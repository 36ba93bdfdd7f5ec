"""Swin in PyTorch, with timm's tensor names, for images whose maps are made of whole windows."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

import vit


def windows(x, side):
    """[B, H, W, ...] to [B, windows, side * side, ...]."""
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def whole(x, side, height, width):
    """The inverse of `windows`."""
    x = x.unflatten(2, (side, side)).unflatten(1, (height // side, width // side)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


class WindowAttention(nn.Module):
    def __init__(self, channels, heads, side, map_side, shift):
        super().__init__()
        self.heads, self.side, self.shift = heads, side, shift
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        y, x = torch.arange(side * side) // side, torch.arange(side * side) % side
        index = (y[:, None] - y + side - 1) * (2 * side - 1) + x[:, None] - x + side - 1
        self.register_buffer("index", index, persistent=False)
        place = torch.arange(map_side)
        band = (place >= map_side - side).long() + (place >= map_side - shift).long() if shift else 0 * place
        label = windows((3 * band[:, None] + band)[None], side)[0]
        self.register_buffer("mask", -100.0 * (label[:, :, None] != label[:, None]), persistent=False)
        self.bias = None

    def scores_bias(self):
        """[windows or 1, heads, queries, keys]"""
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]
        return bias + self.mask[:, None].to(bias.dtype) if self.shift else bias

    def forward(self, x):
        bias = self.scores_bias() if self.bias is None else self.bias
        if self.shift:
            bias = bias.repeat(len(x), 1, 1, 1)
        # Windows as images: runtimes know attention in four dimensions only.
        q, k, v = self.qkv(x.flatten(0, 1)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        out = self.proj(F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2))
        return out.unflatten(0, (len(x), -1))


class Block(nn.Module):
    def __init__(self, channels, heads, side, map_side, shift):
        super().__init__()
        self.side, self.shift = min(side, map_side), shift if map_side > side else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, self.side, map_side, self.shift)
        self.mlp = vit.MLP(channels, 4 * channels)

    def forward(self, x):
        y = self.norm1(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), (1, 2))
        y = whole(self.attn(windows(y, self.side)), self.side, *x.shape[1:3])
        if self.shift:
            y = y.roll((self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * channels), nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x):
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x))


class Stage(nn.Module):
    def __init__(self, channels, heads, depth, side, map_side, merges):
        super().__init__()
        self.downsample = PatchMerging(channels // 2) if merges else nn.Identity()
        self.blocks = nn.Sequential(
            *(Block(channels, heads, side, map_side, i % 2 * (side // 2)) for i in range(depth)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, channels, 4, 4), nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Head(nn.Module):
    def __init__(self, channels, num_classes):
        super().__init__()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.fc(x.mean((1, 2)))


class Network(nn.Module):
    """The classifier at one image size."""

    def __init__(self, channels, heads, depths, image_size=224, num_classes=1000):
        super().__init__()
        side = 7 * image_size // 224
        self.patch_embed = PatchEmbed(channels)
        self.layers = nn.Sequential(
            *(Stage(channels << i, h, n, side, image_size // 4 >> i, i > 0)
              for i, (h, n) in enumerate(zip(heads, depths))))
        self.norm = nn.LayerNorm(channels << 3)
        self.head = Head(channels << 3, num_classes)

    def forward(self, x):
        return self.head(self.norm(self.layers(self.patch_embed(x))))


RELEASED = {
    "tiny": (96, [3, 6, 12, 24], [2, 2, 6, 2]),
    "small": (96, [3, 6, 12, 24], [2, 2, 18, 2]),
    "base": (128, [4, 8, 16, 32], [2, 2, 18, 2]),
}


def create(name):
    """The network of one of the zoo's model names, such as `swin-tiny` or `swin-base-384`, with unset weights."""
    _, variant, *size = name.split("-")
    return Network(*RELEASED[variant], *map(int, size))


def simplified(network):
    """The same function with less work: position bias and mask of every block as one constant."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, WindowAttention):
            bias = module.scores_bias().detach()
            del module.bias
            module.register_buffer("bias", bias, persistent=False)
    return network
