"""DeiT and ViT in PyTorch, with timm's tensor names."""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, width), nn.Linear(width, channels)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=1e-6), nn.LayerNorm(channels, eps=1e-6)
        self.attn, self.mlp = Attention(channels, heads), MLP(channels, 4 * channels)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 16, 16)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Network(nn.Module):
    """The classifier at one image size."""

    def __init__(self, channels, heads, image_size=224, depth=12, num_classes=1000):
        super().__init__()
        self.patch_embed = PatchEmbed(channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image_size // 16) ** 2, channels))
        self.blocks = nn.Sequential(*(Block(channels, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x)[:, 0]))


RELEASED = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}


def create(name):
    """The network of one of the zoo's model names, such as `deit-small` or `deit-base-384`, with unset weights."""
    _, variant, *size = name.split("-")
    return Network(*RELEASED[variant], *map(int, size))


def simplified(network):
    """There is nothing to fold."""
    return network
