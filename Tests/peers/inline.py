"""InLine-DeiT, InLine-PVT and InLine-Swin in PyTorch, with the tensor names of the official checkpoints."""

import torch
import torch.nn.functional as F
from torch import nn

import operators
import swin
import vit


class Attention(nn.Module):
    """InLine attention over the tokens of a square map, which a class token may precede, with the local residual: a
    depthwise filter that every image predicts from its mean token."""

    def __init__(self, channels, heads, side, split=False):
        super().__init__()
        self.heads, self.side, self.split = heads, side, split
        if split:
            self.q, self.kv = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        else:
            self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.residual = nn.Sequential(nn.Conv1d(channels, channels, 1, groups=heads), nn.GELU(),
                                      nn.Conv1d(channels, 9 * channels, 1, groups=heads))

    def forward(self, x):
        tokens = x.flatten(1, -2)
        packed = torch.cat([self.q(tokens), self.kv(tokens)], 2) if self.split else self.qkv(tokens)
        q, k, v = packed.mT.unflatten(1, (3, self.heads, -1)).unbind(1)
        out = operators.inline(q, k, v).flatten(1, 2)
        filters = self.residual(tokens.mean(1)[:, :, None]).reshape(-1, 1, 3, 3)
        before = tokens.shape[1] - self.side**2
        image = v.flatten(1, 2)[:, :, before:].reshape(1, -1, self.side, self.side)
        local = F.conv2d(image, filters, padding=1, groups=len(filters)).reshape(len(x), x.shape[-1], -1)
        return self.proj((out + F.pad(local, (before, 0))).mT).reshape(x.shape)


class SimplifiedAttention(nn.Module):
    """The same with less work: one projection, from which the mean token gets the means of keys and values, and means
    subtracted from the summary instead of every answer.

    The map stays channels-last but for the filter, a convolution with computed weights. As nine shifted multiply-adds
    of the whole map it is up to half as slow again in every runtime.
    """

    def __init__(self, plain):
        super().__init__()
        self.heads, self.side, self.proj, self.residual = plain.heads, plain.side, plain.proj, plain.residual
        parts = [plain.q, plain.kv] if plain.split else [plain.qkv]
        self.qkv = nn.Linear(plain.proj.in_features, 3 * plain.proj.in_features)
        self.qkv.weight.data = torch.cat([part.weight for part in parts])
        self.qkv.bias.data = torch.cat([part.bias for part in parts])

    def forward(self, x):
        tokens, side = x.flatten(1, -2), self.side
        n, channels = tokens.shape[1:]
        mean = tokens.mean(1, keepdim=True)
        packed = self.qkv(tokens)
        q, k, v = packed.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        _, mean_k, mean_v = self.qkv(mean).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        summary = (k.mT @ v / n - mean_k.mT @ mean_v) * k.shape[3] ** -0.5
        out = (q @ summary + mean_v).transpose(1, 2).flatten(2)
        before = n - side**2
        image = packed[:, before:, 2 * channels:].mT.reshape(1, -1, side, side)
        filters = self.residual(mean.mT).reshape(-1, 1, 3, 3)
        local = F.conv2d(image, filters, padding=1, groups=len(filters)).reshape(len(x), channels, -1).mT
        return self.proj(out + F.pad(local, (0, 0, before, 0))).reshape(x.shape)


class Block(nn.Module):
    def __init__(self, channels, attention, eps, mlp_ratio=4):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=eps), nn.LayerNorm(channels, eps=eps)
        self.attn, self.mlp = attention, vit.MLP(channels, mlp_ratio * channels)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def deit(channels, heads, image_size):
    network = vit.Network(channels, heads, image_size)
    for block in network.blocks:
        block.attn = Attention(channels, heads, image_size // 16)
    return network


class PVTPatchEmbed(nn.Module):
    def __init__(self, channels, out, patch):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(channels, out, patch, patch), nn.LayerNorm(out)

    def forward(self, x):
        return self.norm(self.proj(x).flatten(2).mT)


class PVT(nn.Module):
    """The classifier at one image size."""

    def __init__(self, depths, image_size=224):
        super().__init__()
        channels, self.sides = [3, 64, 128, 320, 512], [image_size >> i for i in range(2, 6)]
        for i, (side, depth, heads, ratio) in enumerate(zip(self.sides, depths, [2, 4, 10, 16], [8, 8, 4, 4]), 1):
            c = channels[i]
            self.add_module(f"patch_embed{i}", PVTPatchEmbed(channels[i - 1], c, 4 if i == 1 else 2))
            self.register_parameter(f"pos_embed{i}", nn.Parameter(torch.zeros(1, side**2, c)))
            self.add_module(f"block{i}", nn.Sequential(
                *(Block(c, Attention(c, heads, side, split=True), 1e-6, ratio) for _ in range(depth))))
        self.head = nn.Linear(channels[-1], 1000)

    def forward(self, x):
        for i, side in enumerate(self.sides, 1):
            tokens = getattr(self, f"patch_embed{i}")(x) + getattr(self, f"pos_embed{i}")
            tokens = getattr(self, f"block{i}")(tokens)
            x = tokens.mT.unflatten(2, (side, side))
        return self.head(tokens.mean(1))


class SwinStage(nn.Module):
    """Blocks with InLine attention over the whole map, blocks with softmax attention in windows, and patch merging."""

    def __init__(self, channels, heads, depth, inline_depth, side, window, merges):
        super().__init__()
        self.blocks = nn.Sequential(*(
            Block(channels, Attention(channels, heads, side), 1e-5) if i < inline_depth
            else swin.Block(channels, heads, window, side, i % 2 * (window // 2)) for i in range(depth)))
        self.downsample = swin.PatchMerging(channels) if merges else nn.Identity()

    def forward(self, x):
        return self.downsample(self.blocks(x))


class Swin(nn.Module):
    """The classifier at one image size."""

    def __init__(self, channels, heads, depths, inline_depths, image_size=224):
        super().__init__()
        self.patch_embed = swin.PatchEmbed(channels)
        self.layers = nn.Sequential(
            *(SwinStage(channels << i, *of_stage, image_size // 4 >> i, image_size // 32, i < 3)
              for i, of_stage in enumerate(zip(heads, depths, inline_depths))))
        self.norm, self.head = nn.LayerNorm(channels << 3), nn.Linear(channels << 3, 1000)

    def forward(self, x):
        return self.head(self.norm(self.layers(self.patch_embed(x))).mean((1, 2)))


RELEASED = {
    "deit-tiny": (deit, 192, 6, 224),
    "deit-small": (deit, 320, 10, 288),
    "deit-base": (deit, 384, 12, 448),
    "pvt-tiny": (PVT, [2, 2, 2, 2]),
    "pvt-small": (PVT, [3, 4, 6, 3]),
    "pvt-medium": (PVT, [3, 4, 18, 3]),
    "pvt-large": (PVT, [3, 8, 27, 3]),
    "swin-tiny": (Swin, 96, [3, 6, 12, 24], [2, 2, 6, 2], [2, 2, 6, 0]),
    "swin-small": (Swin, 96, [3, 6, 12, 24], [2, 2, 18, 2], [2, 2, 0, 0]),
    "swin-base": (Swin, 128, [4, 8, 16, 32], [2, 2, 18, 2], [2, 2, 2, 0]),
    "swin-base-384": (Swin, 128, [4, 8, 16, 32], [2, 2, 18, 2], [2, 2, 2, 0], 384),
}


def create(name):
    """The network of one of the zoo's model names, such as `inline-swin-tiny`, with unset weights."""
    kind, *sizes = RELEASED[name.removeprefix("inline-")]
    return kind(*sizes)


def simplified(network):
    """The same function with less work in every attention."""
    network = swin.simplified(network)
    for module in network.modules():
        if isinstance(getattr(module, "attn", None), Attention):
            module.attn = SimplifiedAttention(module.attn)
    return network.requires_grad_(False)
