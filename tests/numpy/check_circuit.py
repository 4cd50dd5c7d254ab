"""Measures a circuit from its files with numpy alone, sharing no code with the program.

usage: check_circuit.py MODEL CIRCUIT

MODEL has config.json and model.safetensors; CIRCUIT has circuit.json, prompts.json and means.safetensors. Prints JSON: nodes and edges of
the circuit, and its losses in nats. All in 64-bit floating point. What a model has that is not computed here is refused.
"""

import json
import math
import struct
import sys
from pathlib import Path

import numpy as np

LOCATIONS = ["attn.act_in", "attn.q", "attn.k", "attn.v", "attn.resid_delta", "mlp.act_in", "mlp.post_act", "mlp.resid_delta"]
AFRAC_NAMES = {
    "attn.act_in": "attn_in",
    "attn.q": "attn_q",
    "attn.k": "attn_k",
    "attn.v": "attn_v",
    "attn.resid_delta": "attn_out",
    "mlp.act_in": "mlp_in",
    "mlp.post_act": "mlp_neuron",
    "mlp.resid_delta": "mlp_out",
}


def read_safetensors(path):
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", entry
        begin, end = (8 + length + place for place in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return tensors


class Model:
    def __init__(self, folder):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        self.weights = read_safetensors(Path(folder) / "model.safetensors")
        for field, value in {
            "rms_norm": True,
            "activation_type": "gelu",
            "tied_unembed": False,
            "d_pos_emb": None,
            "sink": False,
            "residual_activation_type": "identity",
        }.items():
            assert self.config[field] == value, f"{field} is {self.config[field]}, and only {value} is computed here"

    def logits(self, tokens, mask, means):
        """Logits after the last token; mask and means: by location, one entry per channel."""
        c, w = self.config, self.weights
        places = c["afrac_loctypes"].split(",") if c["afrac"] else []

        def at(layer, location, x):
            if AFRAC_NAMES[location] in places:
                k = math.floor(c["afrac"] * x.shape[-1])
                order = np.argsort(-np.abs(x), axis=-1, kind="stable")[:, :k]
                kept = np.zeros_like(x)
                np.put_along_axis(kept, order, np.take_along_axis(x, order, -1), -1)
                x = kept
            name = f"{layer}.{location}"
            return x * mask[name] + means[name] * (1 - mask[name])

        def norm(x, name):
            return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1.1920929e-7) * w[name + ".weight"]

        def linear(x, name):
            return x @ w[name + ".weight"].T + w[name + ".bias"]

        erf = np.vectorize(math.erf)
        heads, width = c["n_head"], c["d_head"]
        length = len(tokens)
        x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][:length]
        for layer in range(c["n_layer"]):
            prefix = f"transformer.h.{layer}."
            read = at(layer, "attn.act_in", norm(x, prefix + "ln_1"))
            q, k, v = np.split(linear(read, prefix + "attn.c_attn"), 3, -1)
            q, k, v = (at(layer, location, part) for location, part in zip(["attn.q", "attn.k", "attn.v"], [q, k, v]))
            q, k, v = (part.reshape(length, heads, width).transpose(1, 0, 2) for part in (q, k, v))
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(width)
            scores[:, np.triu(np.ones((length, length), bool), 1)] = -np.inf
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            y = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(length, heads * width)
            x = x + at(layer, "attn.resid_delta", linear(y, prefix + "attn.c_proj"))
            read = at(layer, "mlp.act_in", norm(x, prefix + "ln_2"))
            h = linear(read, prefix + "mlp.c_fc")
            h = at(layer, "mlp.post_act", h * 0.5 * (1 + erf(h / math.sqrt(2))))
            x = x + at(layer, "mlp.resid_delta", linear(h, prefix + "mlp.c_proj"))
        last = norm(x[-1:], "transformer.ln_f")[0]
        return w["lm_head.weight"] @ last + w["final_logits_bias"] + w.get("bigram_table", np.zeros((1 + max(tokens), 1)))[tokens[-1]]


def edges_of(model, nodes):
    """Nonzero weights between two nodes of the circuit."""
    attention = model.config["n_head"] * model.config["d_head"]
    count = 0
    for layer in range(model.config["n_layer"]):
        prefix = f"transformer.h.{layer}."
        c_attn = model.weights[prefix + "attn.c_attn.weight"]
        matrices = [
            ("attn.act_in", "attn.q", c_attn[:attention]),
            ("attn.act_in", "attn.k", c_attn[attention : 2 * attention]),
            ("attn.act_in", "attn.v", c_attn[2 * attention :]),
            ("attn.v", "attn.resid_delta", model.weights[prefix + "attn.c_proj.weight"]),
            ("mlp.act_in", "mlp.post_act", model.weights[prefix + "mlp.c_fc.weight"]),
            ("mlp.post_act", "mlp.resid_delta", model.weights[prefix + "mlp.c_proj.weight"]),
        ]
        for source, target, matrix in matrices:
            rows = [channel for name, channel in nodes if name == f"{layer}.{target}"]
            columns = [channel for name, channel in nodes if name == f"{layer}.{source}"]
            count += np.count_nonzero(matrix[np.ix_(rows, columns)])
    return int(count)


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def main(model_folder, circuit_folder):
    model = Model(model_folder)
    circuit = json.loads((Path(circuit_folder) / "circuit.json").read_text())
    pairs = json.loads((Path(circuit_folder) / "prompts.json").read_text())["pairs"]
    means = read_safetensors(Path(circuit_folder) / "means.safetensors")
    nodes = [tuple(node["name"].rsplit(".", 1)) for node in circuit["nodes"]]
    nodes = [(name, int(channel)) for name, channel in nodes]
    inside = {name: np.zeros_like(values) for name, values in means.items()}
    for name, channel in nodes:
        inside[name][channel] = 1
    outside = {name: 1 - values for name, values in inside.items()}
    whole = {name: np.ones_like(values) for name, values in inside.items()}
    empty = {name: np.zeros_like(values) for name, values in inside.items()}

    def measure(mask):
        loss, right = 0.0, 0.0
        for pair in pairs:
            for prompt, sign in ((pair["first"], 1), (pair["second"], -1)):
                logits = model.logits(prompt, mask, means)
                margin = sign * (logits[pair["answer_a"]] - logits[pair["answer_b"]])
                loss += softplus(-margin)
                right += 1 if margin > 0 else 0.5 if margin == 0 else 0
        return loss / len(pairs) / 2, right / len(pairs) / 2

    loss, accuracy = measure(inside)
    print(
        json.dumps(
            {
                "nodes": len(nodes),
                "edges": edges_of(model, nodes),
                "loss": loss,
                "accuracy": accuracy,
                "loss_full_model": measure(whole)[0],
                "loss_without_circuit": measure(outside)[0],
                "loss_empty": measure(empty)[0],
            }
        )
    )


main(*sys.argv[1:])
