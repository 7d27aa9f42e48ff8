#!/usr/bin/env python3
"""Writes what PyTorch computes, in double, for tests/test_pytorch*.cpp to compare with (Debian: python3-torch).

    python3 tests/pytorch/golden.py tests/pytorch/golden.safetensors     the file that is checked in
    python3 tests/pytorch/golden.py --seed 7 FILE                        other numbers, which must do as well

Each case is some options, in the metadata "cases", and tensors, named "<number of the case>.<name>". A derivative is
named d and the name of what it belongs to. A case of a layer says how PyTorch makes it ("layer") and holds the names
and shapes of its state dict in their order ("state"), the tensors being named as there.

Whatever the seed, no number lies where a derivative jumps: beside such a place rounding alone decides which one is right.
"""
import argparse
import itertools
import json
import math

import safetensors
import torch
from torch import nn
from torch.nn.utils import rnn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("file")
arguments = parser.parse_args()


def section(number):
    """What follows draws its own numbers, whatever has been added before it."""
    torch.manual_seed(1000 * arguments.seed + number)


section(0)
torch.set_default_dtype(torch.float64)
cases, tensors = [], {}


def case(kind, options, arrays):
    for name, t in arrays.items():
        if t is not None:
            tensors[f"{len(cases)}.{name}"] = t.detach().numpy().copy()
    cases.append({"kind": kind, **options})


def backward(*outputs):
    """Every element of the outputs counts, with a weight of its own; returns the weights."""
    weights = [torch.randn_like(y) for y in outputs]
    sum((y * w).sum() for y, w in zip(outputs, weights)).backward()
    return weights


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def distinct(*shape):
    """Numbers of which no two are close to each other or to zero."""
    n = torch.Size(shape).numel()
    return ((torch.randperm(n) + 0.5) * (6 / n) - 3).reshape(shape)


def call(name, *args, **options):
    """call("nn.LSTM", 3, 2, bias=False) -> "nn.LSTM(3, 2, bias=False)", for eval."""
    return f"{name}({', '.join([repr(a) for a in args] + [f'{k}={v!r}' for k, v in options.items()])})"


def state(layer):
    return [[name, list(t.shape)] for name, t in layer.state_dict().items()]


def layer_case(kind, options, text, layer, arrays):
    """With the parameters, unless arrays has what they were before, and their gradients."""
    parameters = {k: v for name, p in layer.named_parameters() for k, v in ((name, p), ("d" + name, p.grad))}
    case(kind, {**options, "layer": text, "state": state(layer)}, {**parameters, **arrays})


def simple(kind, options, text, *shape, draw=leaf, accept=lambda layer, x: True):
    """A layer of one tensor."""
    layer = eval(text)
    for name, p in layer.named_parameters():
        if (p == p.flatten()[0]).all():  # as it starts in LayerNorm, which would tell nothing
            nn.init.normal_(p)
    x = draw(*shape)
    while not accept(layer, x):
        x = draw(*shape)
    y = layer(x)
    (w,) = backward(y)
    layer_case(kind, options, text, layer, {"x": x, "y": y, "dy": w, "dx": x.grad})


# ---- embeddings, alone and in bags ----
def embed(kind, options, args, weights=None):
    text = call("nn.EmbeddingBag" if "mode" in options else "nn.Embedding", 6, 3, **options)
    layer = eval(text)
    if options.get("mode") == "max":
        layer.weight.data = distinct(6, 3)
        if layer.padding_idx is not None:
            layer.weight.data[layer.padding_idx] = 0
    before = layer.weight.detach().clone()
    y = layer(*args, per_sample_weights=weights) if weights is not None else layer(*args)
    (w,) = backward(y)
    layer_case(kind, options, text, layer,
               {"weight": before, "weight_after": layer.weight, "ids": args[0], "offsets": args[1] if len(args) > 1 else None, "weights": weights,
                "y": y, "dy": w, "dweights": None if weights is None else weights.grad})


ids = torch.tensor([[0, 2, 5, 0], [2, 3, 0, 5]])
for options in ({}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}, {"max_norm": 1.2},
                {"max_norm": 1.8, "norm_type": 1.},
                {"padding_idx": -1, "scale_grad_by_freq": True, "max_norm": 1., "norm_type": 3.}):
    embed("embedding", options, [ids])
flat = torch.tensor([0, 2, 5, 0, 2, 3, 0, 2, 2])  # with a bag of nothing, and one of row 2 alone
# Without scale_grad_by_freq: max refuses it, and the others divide by the count of some other id.
BAG_TABLE = ({}, {"padding_idx": 2}, {"max_norm": 1.2}, {"padding_idx": -1, "max_norm": 1., "norm_type": 3.})
for mode, options, last in itertools.product(("sum", "mean", "max"), BAG_TABLE, (False, True)):
    if last and options:
        continue  # would say nothing new
    offsets = torch.tensor([0, 4, 4, 7] + [9] * last)
    settings = {"mode": mode, "include_last_offset": last, **options}
    embed("embedding_bag", settings, [flat, offsets])
    if not last:
        embed("embedding_bag", settings, [ids])
    if mode == "sum":
        embed("embedding_bag", settings, [flat, offsets], leaf(9))
        if not last:
            embed("embedding_bag", settings, [ids], leaf(2, 4))

# ---- linear, convolution, normalisation, sequential ----
section(1)
for bias, shape in itertools.product((True, False), ((2, 5, 4), (3, 4))):
    simple("linear", {"bias": bias}, call("nn.Linear", 4, 3, bias=bias), *shape)

for options in ({}, {"bias": False}, {"stride": 2}, {"padding": 1}, {"dilation": 2},
                {"stride": 3, "padding": 4, "dilation": 2}):
    simple("conv1d", {"kernel_size": 3, **options}, call("nn.Conv1d", 3, 2, 3, **options), 2, 3, 8)
simple("conv1d", {"kernel_size": 1, "padding": 2}, call("nn.Conv1d", 3, 2, 1, padding=2), 2, 3, 4)

for shape, options in (([4], {}), ([3, 4], {}), ([4], {"eps": 0.3}), ([3, 4], {"elementwise_affine": False})):
    simple("layer_norm", {"normalized_shape": shape, **options}, call("nn.LayerNorm", shape, **options), 2, 3, 4)

for name in ("ReLU", "Tanh", "Sigmoid"):
    simple("sequential", {"name": name}, f"nn.Sequential(nn.Linear(4, 3), nn.{name}(), nn.Linear(3, 2))", 5, 4,
           accept=lambda layer, x: layer[0](x).abs().min() > 1e-3)

lengths = torch.tensor([3, 5, 1])
valid = (torch.arange(5)[:, None] < lengths)[:, :, None]  # [T, N, 1]
for name, pool in (("mean", lambda x: (x * valid).sum(0) / lengths[:, None]),
                   ("max", lambda x: x.masked_fill(~valid, -torch.inf).amax(0)),
                   ("last", lambda x: x[lengths - 1, torch.arange(3)])):
    x = distinct(5, 3, 2).requires_grad_()
    y = pool(x)
    (w,) = backward(y)
    case("pool", {"name": name, "lengths": lengths.tolist()}, {"x": x, "y": y, "dy": w, "dx": x.grad})

for p in (0, 0.1, 0.5, 0.9):
    layer, x = nn.Dropout(p), torch.ones(10000)
    case("dropout", {"p": p}, {"values": layer(x).unique(), "in_evaluation": layer.eval()(x).unique()})

# ---- LSTM, GRU and RNN, their layers and their cells ----
section(2)


def unroll(layer, x, lengths, given):
    if not lengths:
        return layer(x, *given)
    packed, state = layer(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False), *given)
    return rnn.pad_packed_sequence(packed, total_length=len(x))[0], state


def is_at_a_kink(layer, x, *rest):
    """With relu dx is the same number wherever no unit is switched: does it change if x moves a little?"""
    def dx(x):
        x = x.detach().requires_grad_()
        (output, state) = unroll(layer, x, *rest)
        return torch.autograd.grad(output.sum(), x)[0]
    return any((dx(x + 1e-4 * torch.randn_like(x)) - dx(x)).abs().max() > 1e-9 for _ in range(8))


def recurrent(kind, bidirectional, lengths, plain, options):
    """Plain: with biases, from zero; else without biases, from given states. batch_first where all rows are full."""
    options = {"num_layers": 2, "bidirectional": bidirectional, "bias": plain, "batch_first": plain and not lengths, **options}
    text = call("nn." + kind, 3, 2, **options)
    layers = options["num_layers"] * (2 if bidirectional else 1)
    projected = options.get("proj_size", 0) or 2
    while True:
        layer, x = eval(text), leaf(3, 4, 3) if options["batch_first"] else leaf(4, 3, 3)
        start = [] if plain else [leaf(layers, 3, size) for size in ((projected, 2) if kind == "LSTM" else (2,))]
        given = (tuple(start) if kind == "LSTM" else start[0],) if start else ()
        if "nonlinearity" not in options or not is_at_a_kink(layer, x, lengths, given):
            break
    output, state = unroll(layer, x, lengths, given)
    state = state if kind == "LSTM" else (state,)
    w = backward(output, *state)
    arrays = {"x": x, "dx": x.grad, "output": output, "doutput": w[0]}
    for name, before, after, dafter in zip("hc", start or (None, None), state, w[1:]):
        arrays.update({name + "_n": after, f"d{name}_n": dafter, name + "_0": before})
        if before is not None:
            arrays[f"d{name}_0"] = before.grad
    layer_case("recurrent", {"name": kind, "lengths": lengths, **options}, text, layer, arrays)


for kind, options in (("LSTM", {}), ("LSTM", {"num_layers": 1}), ("LSTM", {"proj_size": 1}), ("GRU", {}), ("GRU", {"num_layers": 1}),
                      ("RNN", {}), ("RNN", {"num_layers": 1}), ("RNN", {"nonlinearity": "relu"})):
    for bidirectional, lengths, plain in itertools.product((False, True), ([], [2, 4, 1]), (True, False)):
        recurrent(kind, bidirectional, lengths, plain, options)

for kind, bias, given in itertools.product(("LSTM", "GRU", "RNN", "relu"), (True, False), (True, False)):
    options = {"bias": bias, **({"nonlinearity": "relu"} if kind == "relu" else {})}
    kind = "RNN" if kind == "relu" else kind
    text = call(f"nn.{kind}Cell", 3, 2, **options)
    while True:
        layer, x = eval(text), leaf(3, 3)
        before = [leaf(3, 2) for _ in range(2 if kind == "LSTM" else 1)] if given else []
        after = layer(x, *([tuple(before)] if kind == "LSTM" and given else before))
        after = after if kind == "LSTM" else (after,)
        if "nonlinearity" not in options:
            break
        opposite = eval(text)
        opposite.load_state_dict({name: -t for name, t in layer.state_dict().items()})
        if (opposite(x, *before) + after[0]).min() > 1e-3:  # |a| = relu(a) + relu(-a)
            break
    w = backward(*after)
    arrays = {"x": x, "dx": x.grad}
    for name, a, da in zip("hc", after, w):
        arrays.update({name + "_after": a, f"d{name}_after": da})
    for name, b in zip("hc", before):
        arrays.update({name: b, "d" + name: b.grad})
    layer_case("recurrent_cell", {"name": kind, **options}, text, layer, arrays)

# ---- how layers start ----
section(3)
for text, bound in (("nn.Embedding(500, 40, padding_idx=3)", None), ("nn.EmbeddingBag(500, 40, padding_idx=-1)", None),
                    ("nn.Linear(300, 200)", 1 / math.sqrt(300)), ("nn.Conv1d(30, 200, 5)", 1 / math.sqrt(150)), ("nn.LayerNorm([300])", None),
                    ("nn.LSTM(40, 100, num_layers=2, bidirectional=True)", 0.1),
                    ("nn.LSTM(40, 100, num_layers=2, bidirectional=True, proj_size=30)", 0.1),
                    ("nn.GRU(40, 100, num_layers=2, bidirectional=True)", 0.1),
                    ("nn.RNN(40, 100, num_layers=2, bidirectional=True)", 0.1),
                    ("nn.LSTMCell(40, 100)", 0.1), ("nn.GRUCell(40, 100)", 0.1), ("nn.RNNCell(40, 100)", 0.1)):
    layer = eval(text)
    # Uniform ones hold the bound that PyTorch documents; the others, normal or constant, none.
    measured = {}
    for name, p in layer.named_parameters():
        assert bound is None or 0.9 * bound < p.abs().max() <= bound, (text, name)
        measured[name] = torch.stack([p.mean(), p.std()])
    case("init", {"layer": text, "bound": bound, "state": state(layer),
                  "zero_row": getattr(layer, "padding_idx", None)}, measured)

# ---- losses ----
section(4)
REDUCTIONS = ("none", "mean", "sum")


def loss_case(kind, options, loss, x, targets, arrays={}):
    y = loss(x, targets)
    (w,) = backward(y)
    case(kind, options, {"x": x, "targets": targets, "y": y, "dy": w, "dx": x.grad, **arrays,
                         "dtargets": targets.grad if targets.is_floating_point() else None})


targets = torch.tensor([2, 0, 1, 3, 2])
for reduction, weighted, ignore, smoothing in itertools.product(REDUCTIONS, (False, True), (-100, 2), (0, 0.3)):
    weight = torch.rand(4) + 0.5 if weighted else None
    options = {"reduction": reduction, "ignore_index": ignore}
    loss_case("cross_entropy", {**options, "label_smoothing": smoothing},
              nn.CrossEntropyLoss(weight, label_smoothing=smoothing, **options), leaf(5, 4), targets, {"weight": weight})
    if smoothing == 0:
        loss_case("nll", options, nn.NLLLoss(weight, **options), leaf(5, 4), targets, {"weight": weight})

for reduction in REDUCTIONS:
    for pos_weight in (None, torch.tensor(2.5), torch.tensor([0.5, 1, 3]), torch.rand(2, 3) + 0.5):
        x, z = torch.tensor([[0.3, -40, 900], [1.5, 0, -2]], requires_grad=True), torch.tensor([[1, 0, 1], [0, 0.25, 1.]])
        for logits in (x, leaf(2, 3)):
            loss_case("bce", {"reduction": reduction}, nn.BCEWithLogitsLoss(pos_weight=pos_weight, reduction=reduction),
                      logits, z, {"pos_weight": pos_weight})
    for kind, loss in (("mse", nn.MSELoss), ("l1", nn.L1Loss)):
        x = leaf(2, 3)
        z = (x.detach() + distinct(2, 3)).requires_grad_()
        loss_case(kind, {"reduction": reduction}, loss(reduction=reduction), x, z)

# ---- optimizers: ten steps over given gradients of a [6, 2] table ----
section(5)
STEPS = 10
rows = torch.tensor([[k % 5, (2 * k) % 4, k % 5] for k in range(STEPS)])  # repeated ones; row 5 never


def optimize(kind, make, options, sparse):
    """The gradient of each step is `values` in `rows`: kept sparse, or made dense for PyTorch."""
    w0, values = torch.randn(6, 2), torch.randn(STEPS, 3, 2)
    w = nn.Parameter(w0.clone())
    optimizer = make([w], **options)
    for k in range(STEPS):
        g = torch.sparse_coo_tensor(rows[k][None], values[k], (6, 2))
        w.grad = g if sparse else g.to_dense()
        optimizer.step()
    case("optimizer", {"name": kind, "options": options, "sparse": sparse},
         {"w0": w0, "rows": rows, "values": values, "w": w})


for options in ({"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.2}, {"lr": 0.1, "momentum": 0.9},
                {"lr": 0.1, "momentum": 0.9, "nesterov": True},
                {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}):
    optimize("SGD", torch.optim.SGD, options, False)
for name, options in (("Adam", {"lr": 0.1}), ("Adam", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.3}),
                      ("AdamW", {"lr": 0.1}), ("AdamW", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.5})):
    optimize(name, getattr(torch.optim, name), options, False)
for options in ({"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3}):
    optimize("Adagrad", torch.optim.Adagrad, options, False)
for options in ({"lr": 0.1}, {"lr": 0.1, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.3}, {"lr": 0.1, "centered": True},
                {"lr": 0.1, "momentum": 0.7}, {"lr": 0.1, "alpha": 0.8, "momentum": 0.7, "centered": True, "weight_decay": 0.1}):
    optimize("RMSprop", torch.optim.RMSprop, options, False)
optimize("SGD", torch.optim.SGD, {"lr": 0.1}, True)
for options in ({"lr": 0.1}, {"lr": 0.1, "betas": [0.7, 0.9], "eps": 1e-2}):
    optimize("Adam", torch.optim.SparseAdam, options, True)
for options in ({"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3}):
    optimize("Adagrad", torch.optim.Adagrad, options, True)

for name, options in (("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {}), ("Adagrad", {}), ("RMSprop", {"momentum": 0.7})):
    w0, values = torch.randn(2, 6, 2), torch.randn(STEPS, 2, 6, 2)
    ws = [nn.Parameter(w.clone()) for w in w0]
    groups = [{"params": ws[:1], "lr": 0.2}, {"params": ws[1:], "weight_decay": 0.5}]
    optimizer = getattr(torch.optim, name)(groups, lr=0.1, weight_decay=0.25, **options)
    for g in values:
        for w, gw in zip(ws, g):
            w.grad = gw.clone()
        optimizer.step()
    case("param_groups", {"name": name, **options}, {"w0": w0, "values": values, "w": torch.stack(ws)})

# ---- clipping ----
section(6)
for kind, most in (("clip_grad_norm", 0.5), ("clip_grad_norm", 100), ("clip_grad_value", 0.5), ("clip_grad_value", 100)):
    a, b = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(4))
    values, gb = torch.randn(3, 2), torch.randn(4)
    a.grad, b.grad = torch.sparse_coo_tensor(rows[1][None], values, (6, 2)).to_dense(), gb.clone()
    total = getattr(nn.utils, kind + "_")([a, b], most)
    case("clip", {"name": kind, "most": most},
         {"rows": rows[1], "values": values, "gb": gb, "total": total, "clipped_a": a.grad, "clipped_b": b.grad})

# ---- schedules ----
section(7)
EPOCHS = 30
schedules = torch.optim.lr_scheduler
# Down, up, down. A comparison of metrics must come out the same with numbers that have been float.
metrics = (torch.rand(EPOCHS) + 3 * torch.sin(torch.arange(EPOCHS) / 4 + 2)).float().double()


def schedule(*made):
    """The learning rates of two groups at first and after each epoch, with schedules made and stepped in this order."""
    optimizer = torch.optim.SGD([{"params": [leaf(1)]}, {"params": [leaf(1)], "lr": 0.02}], lr=0.5)
    in_order = [getattr(schedules, name)(optimizer, **options) for name, options in made]
    rates = [[g["lr"] for g in optimizer.param_groups]]
    for metric in metrics.tolist():
        optimizer.step()
        for s in in_order:
            s.step(metric) if isinstance(s, schedules.ReduceLROnPlateau) else s.step()
        rates.append([g["lr"] for g in optimizer.param_groups])
    case("schedule", {"made": [{"name": name, **options} for name, options in made]},
         {"metrics": metrics, "rates": torch.tensor(rates)})


schedule(("StepLR", {"step_size": 7}))
schedule(("StepLR", {"step_size": 1, "gamma": 0.9}))
schedule(("CosineAnnealingLR", {"T_max": 30}))
schedule(("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}))  # up and down again
schedule(("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.001}))
schedule(("LinearLR", {}))
schedule(("LinearLR", {"start_factor": 0.01, "end_factor": 0.8, "total_iters": 12}))
schedule(("LinearLR", {"start_factor": 1, "end_factor": 0, "total_iters": 9}))
schedule(("LinearLR", {"start_factor": 0.1, "total_iters": 4}), ("StepLR", {"step_size": 5, "gamma": 0.5}))
schedule(("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.005}), ("LinearLR", {"start_factor": 0.1, "total_iters": 4}))
schedule(("ReduceLROnPlateau", {"patience": 2, "factor": 0.5}))
schedule(("ReduceLROnPlateau", {"patience": 0, "cooldown": 3, "threshold": 0.3, "threshold_mode": "abs", "min_lr": 0.004}))
schedule(("ReduceLROnPlateau", {"patience": 1, "mode": "max", "factor": 0.7, "threshold": 0.05, "eps": 0.01}))
schedule(("ReduceLROnPlateau", {"patience": 3, "mode": "max", "factor": 0.2, "threshold_mode": "abs"}))
for mode in ("min", "max"):
    schedule(("ReduceLROnPlateau", {"patience": 1, "mode": mode, "factor": 0.8, "threshold": 0.5}))

safetensors.save(arguments.file, tensors, {"cases": json.dumps(cases)})
