#!/usr/bin/env python3
"""The weight-sparse training step in PyTorch on a CUDA device: the peer that the GPU engine is measured against.

  python3 torch_step.py TINY|S|M|L|PAPER [--precision float32 tf32 fp16] [--device cuda:0] [--phase sparse|dense] [--seconds 4] [--json NAME]

The same step as `sparsity bench train`: dense products of weights that are mostly zero, AbsTopK by torch.topk, selection by magnitude after every Adam step. Eager,
fused Adam, fp16 under autocast as the official script has it. A batch that does not fit is computed in parts.
Prints a JSON object for each precision, and writes it to NAME-PRECISION.json: median milliseconds of a step, tokens/s, parts, loss, device.
"""
import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F

SIZES = {
    "TINY": dict(D=64, L=1, B=1, density=1 / 8, alive=4),
    "S": dict(D=256, L=4, B=8, density=1 / 64, alive=4),
    "M": dict(D=512, L=8, B=8, density=1 / 256, alive=2),
    "L": dict(D=1024, L=8, B=4, density=1 / 256, alive=4),
    "PAPER": dict(D=2048, L=8, B=512, density=1 / 512, alive=4),
}
T, V, DH, KEEP = 256, 2048, 16, 0.25


def abs_top_k(x):
    indices = x.abs().topk(int(KEEP * x.shape[-1]), dim=-1, sorted=False).indices
    return torch.zeros_like(x).scatter(-1, indices, x.gather(-1, indices))


def rms_norm(x, weight):
    return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1.1920929e-7) * weight


class Model:
    def __init__(self, device, D, L, **_):
        generator = torch.Generator(device).manual_seed(0)
        normal = lambda *shape, std=0.02: torch.empty(*shape, device=device).normal_(0, std, generator=generator).requires_grad_()
        zeros = lambda *shape: torch.zeros(*shape, device=device, requires_grad=True)
        ones = lambda *shape: torch.ones(*shape, device=device, requires_grad=True)
        small = 0.02 / math.sqrt(2 * L)
        self.heads = D // DH
        self.wte, self.head, self.ln_f = normal(V, D), normal(V, D), ones(D)
        self.bigram = (torch.rand(V, V, device=device, generator=generator) * 0.02).requires_grad_()
        self.blocks = [
            dict(ln_1=ones(D), qkv=normal(3 * D, D), qkv_bias=zeros(3 * D), attn=normal(D, D, std=small), attn_bias=zeros(D),
                 ln_2=ones(D), fc=normal(4 * D, D), fc_bias=zeros(4 * D), mlp=normal(D, 4 * D, std=small), mlp_bias=zeros(D))
            for _ in range(L)
        ]

    def parameters(self):
        return [self.wte, self.head, self.ln_f, self.bigram] + [parameter for block in self.blocks for parameter in block.values()]

    def matrices(self):
        """Each with the axis along which every neuron keeps its minimum, or None."""
        yield from ((self.wte, None), (self.head, None))
        for block in self.blocks:
            yield from ((block["qkv"], 1), (block["attn"], 0), (block["fc"], 1), (block["mlp"], 0))

    def logits(self, tokens):
        x = self.wte[tokens]
        for block in self.blocks:
            h = abs_top_k(rms_norm(x, block["ln_1"]))
            q, k, v = (abs_top_k(part).view(*tokens.shape, self.heads, DH).transpose(1, 2)
                       for part in F.linear(h, block["qkv"], block["qkv_bias"]).chunk(3, -1))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + abs_top_k(F.linear(y.transpose(1, 2).reshape(*tokens.shape, -1), block["attn"], block["attn_bias"]))
            h = abs_top_k(rms_norm(x, block["ln_2"]))
            x = x + abs_top_k(F.linear(abs_top_k(F.gelu(F.linear(h, block["fc"], block["fc_bias"]))), block["mlp"], block["mlp_bias"]))
        return F.linear(rms_norm(x, self.ln_f), self.head) + F.embedding(tokens, self.bigram)


@torch.no_grad()
def keep_largest(weight, density, axis, alive):
    score = weight.abs()
    if axis is not None:
        score.scatter_(axis, score.topk(alive, dim=axis, sorted=False).indices, 1e10)
    keep = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    keep[score.flatten().topk(int(density * weight.numel()), sorted=False).indices] = True
    weight.masked_fill_(~keep.view_as(weight), 0)


class Step:
    def __init__(self, size, phase, precision, device):
        self.size, self.phase, self.precision = size, phase, precision
        self.model = Model(device, **size)
        self.parameters = self.model.parameters()
        self.adam = torch.optim.Adam(self.parameters, lr=1e-3, betas=(0.9, 0.95), eps=0.1, fused=True)
        self.entries = sum(parameter.numel() for parameter in self.parameters)
        self.select()

    def select(self):
        if self.phase == "dense":
            return  # a selection that keeps everything
        for weight, axis in self.model.matrices():
            density = self.size["density"]
            keep_largest(weight, density if axis is not None else min(1.0, density * self.size["D"] / 256), axis, self.size["alive"])

    def run(self, tokens, parts):
        self.adam.zero_grad(set_to_none=True)
        scale = 1024.0 if self.precision == "fp16" else 1.0
        total = 0
        for part in tokens.chunk(parts):
            with torch.autocast("cuda", torch.float16, enabled=self.precision == "fp16"):
                logits = self.model.logits(part)
                loss = F.cross_entropy(logits[:, :-1].reshape(-1, V).float(), part[:, 1:].reshape(-1)) / parts
            (loss * scale).backward()
            total = total + loss.detach()
        gradients = [parameter.grad for parameter in self.parameters]
        rms = torch.sqrt(sum(gradient.float().pow(2).sum() for gradient in gradients) / self.entries)
        torch._foreach_div_(gradients, rms + 1e-5 * scale)
        self.adam.step()
        self.select()
        with torch.no_grad():
            torch._foreach_mul_([weight for weight, _ in self.model.matrices()], 1 - 0.1 * 1e-3)
        return total


def measure(name, phase, precision, device, seconds):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.cuda.reset_peak_memory_stats()
    size = SIZES[name]
    step = Step(size, phase, precision, device)
    tokens = torch.randint(0, V, (size["B"], T), generator=torch.Generator().manual_seed(1)).to(device)
    parts = 1
    while True:
        try:
            loss = float(step.run(tokens, parts))
            break
        except torch.cuda.OutOfMemoryError:
            if parts == size["B"]:
                raise
            torch.cuda.empty_cache()
            parts *= 2
    first = loss
    for _ in range(2):
        loss = float(step.run(tokens, parts))
    times, started = [], time.perf_counter()
    while len(times) < 2 or time.perf_counter() - started < seconds:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        loss = step.run(tokens, parts)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    loss = float(loss)
    if not loss < first:
        raise SystemExit(f"The loss went from {first} to {loss} on one batch: the step is wrong, its time means nothing.")
    median = statistics.median(times)
    return dict(
        size=name, phase=phase, precision=precision, batch_parts=parts, steps=len(times), ms_per_step=median * 1e3,
        tokens_per_second=size["B"] * T / median, loss=loss, peak_memory_mb=torch.cuda.max_memory_allocated() / 2**20,
        device=torch.cuda.get_device_name(), torch=torch.__version__)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("size", choices=SIZES)
    arguments.add_argument("--precision", choices=("float32", "tf32", "fp16"), nargs="+", default=["float32"])
    arguments.add_argument("--phase", choices=("sparse", "dense"), default="sparse")
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--device", default="cuda:0")
    arguments.add_argument("--json")
    given = arguments.parse_args()
    device = torch.device(given.device)
    torch.cuda.set_device(device)
    for precision in given.precision:
        text = json.dumps(measure(given.size, given.phase, precision, device, given.seconds), indent=2)
        print(text, flush=True)
        if given.json:
            with open(f"{given.json}-{precision}.json", "w") as file:
                file.write(text + "\n")
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
