"""The model of examples/sentiment in PyTorch, from the configuration that its file holds: the same names, the same numbers."""
import torch
from torch import nn
from torch.nn.utils import rnn

WIDTHS = (3, 4, 5)  # of the windows of cnn


class Sentiment(nn.Module):
    def __init__(self, config, num_words):
        super().__init__()
        self.kind, self.pool = config["model"], config.get("pool", "last")
        size, hidden, layers = config["embedding_dim"], config["hidden"], config.get("layers", 1)
        self.directions = 2 if config.get("bidirectional", False) else 1
        self.embedding = nn.Embedding(num_words, size, padding_idx=0)
        features = {"bag": size, "cnn": len(WIDTHS) * hidden}.get(self.kind, self.directions * hidden)
        self.dropout = nn.Dropout(config["dropout"])
        if self.kind == "cnn":
            self.convs = nn.ModuleList(nn.Conv1d(size, hidden, width, padding=width - 1) for width in WIDTHS)
        elif self.kind != "bag":
            recurrent = nn.LSTM if self.kind == "lstm" else nn.GRU
            self.add_module(self.kind, recurrent(size, hidden, layers, bidirectional=self.directions == 2,
                                                 dropout=config["dropout"] if layers > 1 else 0))
        self.linear = nn.Linear(features, config["num_classes"])

    def forward(self, ids, lengths):  # [T, N], [N] -> logits [N, C]
        return self.linear(self.dropout(self.encode(self.embedding(ids), lengths)))

    def encode(self, x, lengths):
        if self.kind == "bag":
            return masked_mean(x, lengths)
        if self.kind == "cnn":
            # A window counts if it holds a word of the sentence.
            return torch.cat([masked_max(conv(x.permute(1, 2, 0)).relu().permute(2, 0, 1), lengths + width - 1)
                              for width, conv in zip(WIDTHS, self.convs)], 1)
        packed = rnn.pack_padded_sequence(self.dropout(x), lengths, enforce_sorted=False)
        output, state = getattr(self, self.kind)(packed)
        h_n = state[0] if self.kind == "lstm" else state
        if self.pool == "last":
            return torch.cat(tuple(h_n[-self.directions:]), 1)
        return (masked_mean if self.pool == "mean" else masked_max)(rnn.pad_packed_sequence(output)[0], lengths)


def is_there(x, lengths):  # [T, N, 1]
    return (torch.arange(len(x))[:, None] < lengths)[:, :, None]


def masked_mean(x, lengths):
    return (x * is_there(x, lengths)).sum(0) / lengths[:, None]


def masked_max(x, lengths):
    return x.masked_fill(~is_there(x, lengths), -torch.inf).amax(0)
