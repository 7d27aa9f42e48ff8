#!/usr/bin/env python3
"""Weights travel: what is saved here gives the same numbers in PyTorch, and the other way round. `./run parity` calls it.

    python3 tests/pytorch/parity.py --seed 7 --golden FILE --state-dicts FOLDER PROGRAM

FILE is what golden.py wrote, FOLDER what the tests wrote under GRADWALK_STATE_DICTS, PROGRAM is examples/sentiment.
Prints a table; the result is 1 where anything differs.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import safetensors
import torch
import twin
from torch import nn

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/pytorch.md")
TOLERANCE = 1e-5
MODELS = ("lstm", "lstm --layers 2 --bidirectional --pool max", "gru", "gru --bidirectional --pool mean", "cnn", "bag")
EPOCHS = 12  # of training in PyTorch

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--golden", required=True)
parser.add_argument("--state-dicts", nargs="+", default=[])
arguments = parser.parse_args()
failures = 0


def row(what, difference, tolerance, here="", there=""):
    global failures
    good = difference <= tolerance and here == there
    failures += not good
    print(f"{what:<72} {difference:8.1e}  {here:>9}  {there:>9}  {'' if good else 'DIFFERS'}", flush=True)


def distance(ours, theirs):
    """The greatest difference, relative where numbers are greater than 1."""
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max(initial=0))


def tensors_of(state):
    return {name: torch.tensor(values) for name, values in state.items()}


def check_state_dicts(folder):
    golden, metadata = safetensors.load(arguments.golden)
    worst, count = 0, 0
    for number, case in enumerate(json.loads(metadata["cases"])):
        if "layer" not in case or case["kind"] == "init":
            continue
        state, _ = safetensors.load(os.path.join(folder, str(number)))
        assert list(state) == [name for name, _ in case["state"]], (case, list(state))
        layer = eval(case["layer"], {"nn": nn}).double()
        layer.load_state_dict(tensors_of(state), strict=True)
        count += 1
        for name, p in layer.state_dict().items():
            worst = max(worst, distance(p.numpy(), golden[f"{number}.{name}"]))
    assert count > 0
    row(f"{count} state dicts of layers, saved here ({next(iter(state.values())).dtype})", worst, 1e-7)


def sentiment(*words):
    done = subprocess.run([arguments.program, *words], stdout=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: failed")
    return done.stdout


def evaluate(model, data, logits):
    """Batches of ids, lengths, labels and logits, and how many of all were right, as `480/500`."""
    out = sentiment("evaluate", "--model", model, "--data", data, "--logits", logits)
    state, _ = safetensors.load(logits)
    batches = []
    while f"{len(batches)}.ids" in state:
        k = len(batches)
        ids, lengths, labels = (torch.tensor(state[f"{k}.{name}"]).long() for name in ("ids", "lengths", "labels"))
        batches.append((ids, lengths, labels, state[f"{k}.logits"]))
    return batches, re.search(r"\((\d+/\d+)\)\s*$", out)[1]


def load(path):
    state, metadata = safetensors.load(path)
    model = twin.Sentiment(json.loads(metadata["config"]), len(json.loads(metadata["vocabulary"])))
    model.load_state_dict(tensors_of(state), strict=True)
    return model.double().eval()


def compare(what, path, data, logits):
    batches, here = evaluate(path, data, logits)
    model = load(path)
    worst = right = count = 0
    with torch.no_grad():
        for ids, lengths, labels, ours in batches:
            theirs = model(ids, lengths)
            worst = max(worst, distance(ours, theirs.numpy()))
            right += int((theirs.argmax(1) == labels).sum())
            count += len(labels)
    row(what, worst, TOLERANCE, here, f"{right}/{count}")


def train(path, batches, save):
    """A new model of the configuration of the file at path, trained in PyTorch."""
    _, metadata = safetensors.load(path)
    model = twin.Sentiment(json.loads(metadata["config"]), len(json.loads(metadata["vocabulary"])))
    model.embedding.weight.data *= 0.1
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for k in torch.randperm(len(batches)):
            ids, lengths, labels, _ = batches[k]
            loss = nn.functional.cross_entropy(model(ids, lengths), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
    safetensors.save(save, {name: t.numpy() for name, t in model.state_dict().items()}, metadata)


def run_document():
    """The Python of docs/pytorch.md, as it stands: it saves a model, loads it and must have learnt its two sentences."""
    with open(DOCUMENT) as file:
        blocks = re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    there = {"__name__": "document"}
    exec("".join(blocks), there)
    with torch.no_grad():
        difference = distance(there["again"](there["ids"], there["lengths"]).softmax(1).numpy(), there["probabilities"].numpy())
    right = int((there["probabilities"].argmax(1) == there["targets"]).sum())
    row("docs/pytorch.md: trained, saved and loaded in PyTorch", difference, 0, "2/2", f"{right}/2")


torch.manual_seed(arguments.seed)
print(f"{'':<72} {'differ by':>9}  {'right here':>10}  {'there':>8}")
for folder in arguments.state_dicts:
    check_state_dicts(folder)
arguments.program = os.path.abspath(arguments.program)
with tempfile.TemporaryDirectory() as folder:
    train_set, test_set, model, other, logits = (
        os.path.join(folder, name) for name in ("train.tsv", "test.tsv", "here.safetensors", "there.safetensors", "logits"))
    os.chdir(folder)
    run_document()
    sentiment("corpus", folder)
    for options in MODELS:
        sentiment("train", "--model", *options.split(), "--seed", str(arguments.seed), "--save", model)
        compare(f"{options}, trained here", model, test_set, logits)
        batches, _ = evaluate(model, train_set, logits)
        train(model, batches, other)
        compare(f"{options}, trained in PyTorch", other, test_set, logits)
sys.exit(failures > 0)
