"""PyTorch.

Stock is the loop of its tutorials without a DataLoader, which would only slow it down: tensors in memory, a
``randperm`` per epoch, indexed batch by batch. Tuned is what a user who measures would do: the epoch shuffled in one go
into contiguous batches, a fused optimizer, images with channels last, memory not given back between steps.
Compiled is ``torch.compile`` of the model.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import Network
from benchmarks.peers import Training


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Identity() if (n_in, stride) == (n_out, 1) else nn.Conv2d(n_in, n_out, 1, stride)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.shortcut(x) + self.body(x))


def build(network: Network) -> nn.Module:
    """The network; images come with channels first."""
    shape, layers = list(network.shape), []
    for kind, *arguments in network.layers:
        if kind == "conv":
            layers.append(nn.Conv2d(shape[2], arguments[0], 3, padding=1))
            shape[2] = arguments[0]
        elif kind == "block":
            n_out, stride = arguments
            layers.append(_Block(shape[2], n_out, stride))
            shape = [shape[0] // stride, shape[1] // stride, n_out]
        elif kind == "pool":
            layers.append(nn.AvgPool2d(2))
            shape = [shape[0] // 2, shape[1] // 2, shape[2]]
        elif kind == "mean":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            shape = [shape[2]]
        elif kind == "flatten":
            layers.append(nn.Flatten())
            shape = [int(np.prod(shape))]
        elif kind == "dense":
            layers.append(nn.Linear(shape[0], arguments[0]))
            shape = [arguments[0]]
        else:
            layers.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[kind]())
    return nn.Sequential(*layers)


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call. Its own law: weights and biases uniform within 1 / sqrt(inputs)."""
    torch.set_num_threads(os.cpu_count() or 1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs, labels = torch.from_numpy(x).to(device), torch.from_numpy(y.astype(np.int64)).to(device)
    model = build(network).to(device)
    if x.ndim == 4:
        inputs = inputs.permute(0, 3, 1, 2).contiguous()
        if form == "tuned":
            inputs, model = inputs.to(memory_format=torch.channels_last), model.to(memory_format=torch.channels_last)
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[network.optimizer]
    held: list[Any] = []

    def restart(seed: int) -> None:
        torch.manual_seed(seed)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            if network.init == "he" and isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        held[:] = [make(model.parameters(), lr=network.rate, **({"fused": True} if form == "tuned" else {}))]

    forward = torch.compile(model) if os.environ.get("BENCHMARK_COMPILED") else model
    half = torch.autocast(device, torch.bfloat16, enabled=dtype != "float32")

    def step(images: Any, targets: Any) -> None:
        (optimizer,) = held
        optimizer.zero_grad()
        with half:
            loss = nn.functional.cross_entropy(forward(images), targets)
        loss.backward()
        optimizer.step()

    def epoch() -> None:
        order = torch.randperm(len(inputs), device=device)
        if form == "tuned":
            shuffled, targets = inputs[order], labels[order]
        for begin in range(0, len(inputs), network.batch_size):
            rows = slice(begin, begin + network.batch_size)
            if form == "tuned":
                step(shuffled[rows], targets[rows])
            else:
                step(inputs[order[rows]], labels[order[rows]])
        if device == "cuda":
            torch.cuda.synchronize()

    def accuracy(images: np.ndarray, targets: np.ndarray) -> float:
        model.eval()
        hits = 0
        with torch.no_grad():
            for begin in range(0, len(images), 500):
                part = torch.from_numpy(images[begin : begin + 500]).to(device)
                outputs = model(part.permute(0, 3, 1, 2) if part.ndim == 4 else part)
                hits += int((outputs.argmax(1).cpu().numpy() == targets[begin : begin + 500]).sum())
        model.train()
        return hits / len(images)

    restart(0)
    return Training(epoch, restart, accuracy)
