#!/usr/bin/env python3
"""Writes golden.json: what PyTorch computes, in double, for tests/test_pytorch.cpp to compare with.

    python3 tests/pytorch/golden.py > tests/pytorch/golden.json     (Debian: python3-torch)
"""
import itertools
import json
import sys

import torch
from torch import nn
from torch.nn.utils import rnn

torch.manual_seed(2)
torch.set_default_dtype(torch.float64)
cases = []


def array(t):
    return {"shape": list(t.shape), "data": t.detach().reshape(-1).tolist()}


def case(kind, options, arrays):
    cases.append({"kind": kind, **options, **{k: array(v) for k, v in arrays.items() if v is not None}})


def backward(*outputs):
    """Every element of the outputs counts, with a weight of its own; returns the weights."""
    weights = [torch.randn_like(y) for y in outputs]
    sum((y * w).sum() for y, w in zip(outputs, weights)).backward()
    return weights


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


# ---- layers ----
for padding_idx in (None, 2, -1):
    layer = nn.Embedding(6, 3, padding_idx=padding_idx)
    ids = torch.tensor([[0, 2, 5, 0], [2, 3, 0, 5]])
    y = layer(ids)
    (w,) = backward(y)
    case("embedding", {"padding_idx": padding_idx},
         {"weight": layer.weight, "ids": ids, "y": y, "dy": w, "dweight": layer.weight.grad})

for bias in (True, False):
    layer, x = nn.Linear(4, 3, bias=bias), leaf(2, 5, 4)
    y = layer(x)
    (w,) = backward(y)
    case("linear", {"bias": bias},
         {"x": x, "y": y, "dy": w, "dx": x.grad, "weight": layer.weight, "dweight": layer.weight.grad,
          **({"bias_value": layer.bias, "dbias": layer.bias.grad} if bias else {})})

for lengths in ([], [3, 5, 1], [5, 4, 2]):
    layer, x = nn.LSTM(3, 2), leaf(5, 3, 3)
    if lengths:
        packed, (h_n, c_n) = layer(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False))
        output, _ = rnn.pad_packed_sequence(packed, total_length=5)
    else:
        output, (h_n, c_n) = layer(x)
    w = backward(output, h_n[0], c_n[0])
    arrays = {"x": x, "dx": x.grad, "output": output, "h_n": h_n[0], "c_n": c_n[0],
              "doutput": w[0], "dh_n": w[1], "dc_n": w[2]}
    for name, p in layer.named_parameters():
        arrays[name], arrays["d" + name] = p, p.grad
    case("lstm", {"lengths": lengths}, arrays)

# ---- losses ----
REDUCTIONS = ("none", "mean", "sum")
targets = torch.tensor([2, 0, 1, 3, 2])
for reduction, weighted, ignore, smoothing in itertools.product(REDUCTIONS, (False, True), (-100, 2), (0, 0.3)):
    weight = torch.rand(4) + 0.5 if weighted else None
    x = leaf(5, 4)
    y = nn.CrossEntropyLoss(weight, ignore_index=ignore, reduction=reduction, label_smoothing=smoothing)(x, targets)
    (w,) = backward(y)
    options = {"reduction": reduction, "ignore_index": ignore}
    case("cross_entropy", {**options, "label_smoothing": smoothing},
         {"x": x, "targets": targets, "weight": weight, "y": y, "dy": w, "dx": x.grad})
    if smoothing == 0:
        x = leaf(5, 4)
        y = nn.NLLLoss(weight, ignore_index=ignore, reduction=reduction)(x, targets)
        (w,) = backward(y)
        case("nll", options, {"x": x, "targets": targets, "weight": weight, "y": y, "dy": w, "dx": x.grad})

for reduction in REDUCTIONS:
    for pos_weight in (None, torch.tensor(2.5), torch.tensor([0.5, 1, 3])):
        x, z = torch.tensor([[0.3, -40, 900], [1.5, 0, -2]], requires_grad=True), torch.tensor([[1, 0, 1], [0, 0.25, 1.]])
        y = nn.BCEWithLogitsLoss(pos_weight=pos_weight, reduction=reduction)(x, z)
        (w,) = backward(y)
        case("bce", {"reduction": reduction}, {"x": x, "targets": z, "pos_weight": pos_weight, "y": y, "dy": w, "dx": x.grad})
    for kind, loss in (("mse", nn.MSELoss), ("l1", nn.L1Loss)):
        x, z = leaf(2, 3), torch.randn(2, 3)
        y = loss(reduction=reduction)(x, z)
        (w,) = backward(y)
        case(kind, {"reduction": reduction}, {"x": x, "targets": z, "y": y, "dy": w, "dx": x.grad})

# ---- optimizers: ten steps over given gradients of a [6, 2] table ----
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
                {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}):
    optimize("SGD", torch.optim.SGD, options, False)
optimize("SGD", torch.optim.SGD, {"lr": 0.1}, True)
for name, options in (("Adam", {"lr": 0.1}), ("Adam", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.3}),
                      ("AdamW", {"lr": 0.1}), ("AdamW", {"lr": 0.1, "weight_decay": 0.5})):
    optimize(name, getattr(torch.optim, name), options, False)
optimize("Adam", torch.optim.SparseAdam, {"lr": 0.1}, True)
optimize("Adam", torch.optim.SparseAdam, {"lr": 0.1, "betas": [0.7, 0.9], "eps": 1e-2}, True)

# ---- clipping ----
for max_norm in (0.5, 100):
    a, b = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(4))
    values = torch.randn(3, 2)
    a.grad, b.grad = torch.sparse_coo_tensor(rows[1][None], values, (6, 2)).to_dense(), torch.randn(4)
    gb = b.grad.clone()
    total = nn.utils.clip_grad_norm_([a, b], max_norm)
    case("clip", {"max_norm": max_norm},
         {"rows": rows[1], "values": values, "gb": gb, "total": total, "clipped_a": a.grad, "clipped_b": b.grad})

# ---- embeddings: every option, alone and in bags ----
def embed(kind, layer, options, args, weights=None):
    before = layer.weight.detach().clone()
    y = layer(*args, per_sample_weights=weights) if weights is not None else layer(*args)
    (w,) = backward(y)
    case(kind, options,
         {"before": before, "weight": layer.weight, "ids": args[0], "offsets": args[1] if len(args) > 1 else None,
          "weights": weights, "y": y, "dy": w, "dweight": layer.weight.grad, "dweights": None if weights is None else weights.grad})


ids = torch.tensor([[0, 2, 5, 0], [2, 3, 0, 5]])
for options in ({"scale_grad_by_freq": True}, {"max_norm": 1.2}, {"max_norm": 1.8, "norm_type": 1.},
                {"padding_idx": -1, "scale_grad_by_freq": True, "max_norm": 1., "norm_type": 3.}):
    embed("embedding_options", nn.Embedding(6, 3, **options), options, [ids])
flat = torch.tensor([0, 2, 5, 0, 2, 3, 0, 2, 2])  # with a bag of nothing, and one of row 2 alone
# Without scale_grad_by_freq: max refuses it, and the others divide by the count of some other id.
BAG_TABLE = ({}, {"padding_idx": 2}, {"max_norm": 1.2}, {"padding_idx": -1, "max_norm": 1., "norm_type": 3.})
for mode, options, last in itertools.product(("sum", "mean", "max"), BAG_TABLE, (False, True)):
    if last and options:
        continue  # would say nothing new
    offsets = torch.tensor([0, 4, 4, 7] + [9] * last)
    settings = {"mode": mode, "include_last_offset": last, **options}
    embed("embedding_bag", nn.EmbeddingBag(6, 3, **settings), settings, [flat, offsets])
    if not last:
        embed("embedding_bag", nn.EmbeddingBag(6, 3, **settings), settings, [ids])
    if mode == "sum":
        embed("embedding_bag", nn.EmbeddingBag(6, 3, **settings), settings, [flat, offsets], leaf(9))
        if not last:
            embed("embedding_bag", nn.EmbeddingBag(6, 3, **settings), settings, [ids], leaf(2, 4))

# ---- Adagrad, RMSprop, clip_grad_value ----
torch.manual_seed(3)
for options in ({"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3}):
    optimize("Adagrad", torch.optim.Adagrad, options, False)
optimize("Adagrad", torch.optim.Adagrad, {"lr": 0.1, "lr_decay": 0.2}, True)
for options in ({"lr": 0.1}, {"lr": 0.1, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.3},
                {"lr": 0.1, "momentum": 0.7}, {"lr": 0.1, "alpha": 0.8, "momentum": 0.7, "centered": True, "weight_decay": 0.1}):
    optimize("RMSprop", torch.optim.RMSprop, options, False)

a, b = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(4))
values, gb = torch.randn(3, 2), torch.randn(4)
a.grad, b.grad = torch.sparse_coo_tensor(rows[1][None], values, (6, 2)).to_dense(), gb.clone()
nn.utils.clip_grad_value_([a, b], 0.5)
case("clip_value", {"clip_value": 0.5}, {"rows": rows[1], "values": values, "gb": gb, "clipped_a": a.grad, "clipped_b": b.grad})

# ---- LSTM, GRU and RNN: two layers, every option; their cells ----
torch.manual_seed(4)


def named(layer):
    """The parameters and their gradients by name."""
    return {k: v for name, p in layer.named_parameters() for k, v in ((name, p), ("d" + name, p.grad))}


def recurrent(kind, bidirectional, lengths, plain, options):
    """Plain: with biases, from zero; else without biases, from given states. batch_first where all rows are full."""
    options = {"num_layers": 2, "bidirectional": bidirectional, "bias": plain, "batch_first": plain and not lengths, **options}
    layer, x = getattr(nn, kind)(3, 2, **options), leaf(3, 4, 3) if options["batch_first"] else leaf(4, 3, 3)
    directions, projected = 2 if bidirectional else 1, options.get("proj_size", 0) or 2
    start = [] if plain else [leaf(2 * directions, 3, size) for size in ((projected, 2) if kind == "LSTM" else (2,))]
    given = (tuple(start) if kind == "LSTM" else start[0],) if start else ()
    if lengths:
        packed, state = layer(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False), *given)
        output, _ = rnn.pad_packed_sequence(packed, total_length=4)
    else:
        output, state = layer(x, *given)
    state = state if kind == "LSTM" else (state,)
    w = backward(output, *state)
    arrays = {"x": x, "dx": x.grad, "output": output, "doutput": w[0], **named(layer)}
    for name, before, after, dafter in zip("hc", start or (None, None), state, w[1:]):
        arrays.update({name + "_n": after, f"d{name}_n": dafter, name + "_0": before})
        if before is not None:
            arrays[f"d{name}_0"] = before.grad
    case("recurrent", {"name": kind, "lengths": lengths, **options}, arrays)


for kind, options in (("LSTM", {}), ("LSTM", {"proj_size": 1}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"})):
    for bidirectional, lengths, plain in itertools.product((False, True), ([], [2, 4, 1]), (True, False)):
        recurrent(kind, bidirectional, lengths, plain, options)

for kind, bias in itertools.product(("LSTM", "GRU", "RNN"), (True, False)):
    layer, x = getattr(nn, kind + "Cell")(3, 2, bias=bias), leaf(3, 3)
    before = [leaf(3, 2) for _ in range(2 if kind == "LSTM" else 1)]
    after = layer(x, tuple(before)) if kind == "LSTM" else (layer(x, before[0]),)
    w = backward(*after)
    arrays = {"x": x, "dx": x.grad, **named(layer)}
    for name, b, a, da in zip("hc", before, after, w):
        arrays.update({name: b, "d" + name: b.grad, name + "_after": a, f"d{name}_after": da})
    case("recurrent_cell", {"name": kind, "bias": bias}, arrays)


# ---- convolution, pooling, normalisation, sequential ----
torch.manual_seed(4)


def layer_case(kind, options, layer, x, y):
    (w,) = backward(y)
    arrays = {"x": x, "y": y, "dy": w, "dx": x.grad}
    for name, p in layer.named_parameters():
        arrays[name], arrays["d" + name] = p, p.grad
    case(kind, options, arrays)


for options in ({}, {"bias": False}, {"stride": 2}, {"padding": 1}, {"dilation": 2},
                {"stride": 3, "padding": 4, "dilation": 2}):
    layer, x = nn.Conv1d(3, 2, 3, **options), leaf(2, 3, 8)
    layer_case("conv1d", options, layer, x, layer(x))

for shape, options in (([4], {}), ([3, 4], {}), ([4], {"eps": 0.3}), ([3, 4], {"elementwise_affine": False})):
    layer, x = nn.LayerNorm(shape, **options), leaf(2, 3, 4)
    for p in layer.parameters():
        nn.init.normal_(p)  # they start as 1 and 0
    layer_case("layer_norm", {"normalized_shape": shape, **options}, layer, x, layer(x))

for name in ("ReLU", "Tanh", "Sigmoid"):
    layer, x = nn.Sequential(nn.Linear(4, 3), getattr(nn, name)(), nn.Linear(3, 2)), leaf(5, 4)
    layer_case("sequential", {"name": name}, layer, x, layer(x))

lengths = torch.tensor([3, 5, 1])
valid = (torch.arange(5)[:, None] < lengths)[:, :, None]  # [T, N, 1]
for name, pool in (("mean", lambda x: (x * valid).sum(0) / lengths[:, None]),
                   ("max", lambda x: x.masked_fill(~valid, -torch.inf).amax(0)),
                   ("last", lambda x: x[lengths - 1, torch.arange(3)])):
    x = leaf(5, 3, 2)
    layer_case("pool", {"name": name, "lengths": lengths.tolist()}, nn.Identity(), x, pool(x))

# ---- parameter groups and schedules ----
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

EPOCHS = 30
schedules = torch.optim.lr_scheduler
metrics = (torch.rand(EPOCHS) + 3 * torch.sin(torch.arange(EPOCHS) / 4 + 2)).tolist()  # down, up, down


def schedule(*made):
    """The learning rates of two groups at first and after each epoch, with schedules made and stepped in this order."""
    optimizer = torch.optim.SGD([{"params": [leaf(1)]}, {"params": [leaf(1)], "lr": 0.02}], lr=0.5)
    in_order = [getattr(schedules, name)(optimizer, **options) for name, options in made]
    rates = [[g["lr"] for g in optimizer.param_groups]]
    for metric in metrics:
        optimizer.step()
        for s in in_order:
            s.step(metric) if isinstance(s, schedules.ReduceLROnPlateau) else s.step()
        rates.append([g["lr"] for g in optimizer.param_groups])
    case("schedule", {"made": [{"name": name, **options} for name, options in made]},
         {"metrics": torch.tensor(metrics), "rates": torch.tensor(rates)})


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

sys.stdout.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
