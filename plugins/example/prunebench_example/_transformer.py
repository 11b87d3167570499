"""The network of `causal_net`: apart, for the catalogue imports that module in every command, without torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Attention to the places before, and a perceptron, each added to what it reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same shape."""
        query, key, value = self.qkv(self.norm1(x)).chunk(3, -1)
        agreement = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        x = x + self.proj(agreement.masked_fill(later, -torch.inf).softmax(-1) @ value)
        out: Tensor = x + self.fc2(self.fc1(self.norm2(x)).relu())
        return out


class Transformer(nn.Module):
    """Tokens to logits of the token that comes next."""

    def __init__(self, vocabulary: int, length: int, width: int, blocks: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) int64 to (batch, length, vocabulary)."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        logits: Tensor = self.head(self.norm(self.blocks(self.tokens(tokens) + self.places(place))))
        return logits
