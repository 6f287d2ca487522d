"""Layers over sequences, indices and graphs."""

import torch
from torch.nn import functional as F

from golden_layers.case import Case


def embedding(r):
    for count, width, padding, indices in ((1, 1, None, [0, 0]), (7, 5, None, [6, 0, 6, 3]), (64, 3, 2, [2, 63, 2, 0, 1, 63])):
        def call(module, indices=indices):
            return module(torch.tensor(indices))

        options = {"count": count, "width": width, "paddingIdx": padding, "indices": indices}
        yield Case(torch.nn.Embedding(count, width, padding_idx=padding), {}, options, call=call)


def lstm(r):
    for length, rows, inputs, hidden, layers, bias, batch_first, with_state in (
        (1, 1, 1, 1, 1, True, False, False),
        (4, 7, 5, 3, 2, True, False, False),
        (3, 2, 3, 5, 2, True, False, True),
        (5, 3, 2, 3, 1, False, True, False),
        (2, 3, 3, 2, 3, True, True, True),
    ):
        def call(module, x, h=None, c=None):
            output, (h, c) = module(x, None if h is None else (h, c))
            return torch.cat([output.flatten(), h.flatten(), c.flatten()])

        module = torch.nn.LSTM(inputs, hidden, layers, bias=bias, batch_first=batch_first)
        values = {"x": r.normal(*((rows, length) if batch_first else (length, rows)), inputs)}
        if with_state:
            values |= {"h": r.normal(layers, rows, hidden), "c": r.normal(layers, rows, hidden)}
        options = {"inputs": inputs, "hidden": hidden, "numLayers": layers, "bias": bias, "batchFirst": batch_first}
        yield Case(module, values, options, call=call)


def lstm_cell(r):
    for rows, inputs, hidden, bias, with_state in ((1, 1, 1, True, False), (7, 5, 3, True, True), (3, 2, 5, False, True)):
        def call(module, x, h=None, c=None):
            return torch.cat(module(x, None if h is None else (h, c)), 1)

        values = {"x": r.normal(rows, inputs)}
        if with_state:
            values |= {"h": r.normal(rows, hidden), "c": r.normal(rows, hidden)}
        options = {"inputs": inputs, "hidden": hidden, "bias": bias}
        yield Case(torch.nn.LSTMCell(inputs, hidden, bias=bias), values, options, call=call)


class SageBlock(torch.nn.Module):
    """gs_block of Hist2ST (biomed-AI/Hist2ST, gcn.py), policy 'mean', on a list of neighbours; rows without any give 0."""

    def __init__(self, inputs, outputs, concat_self):
        super().__init__()
        self.concat_self = concat_self
        self.weight = torch.nn.Parameter(torch.empty(outputs, 2 * inputs if concat_self else inputs))
        torch.nn.init.xavier_uniform_(self.weight)

    def forward(self, x, neighbours):
        adjacency = torch.zeros(len(neighbours), len(x)).to(x)
        for row, others in enumerate(neighbours):
            adjacency[row, others] = 1
        means = adjacency.div(adjacency.sum(1, keepdim=True).clamp(min=1)).mm(x)
        combined = torch.cat([x, means], 1) if self.concat_self else means
        return F.normalize(F.relu(self.weight.mm(combined.t())).t(), p=2, dim=1)


def sage_conv(r):
    for neighbours, inputs, outputs, concat_self in (
        ([[0]], 1, 1, True),
        ([[1, 2], [0], [], [0, 1, 2, 4], [3]], 5, 7, False),
        ([[1, 2], [0], [], [0, 1, 2, 4], [3]], 3, 4, True),
    ):
        def call(module, x, neighbours=neighbours):
            return module(x, neighbours)

        options = {"neighbours": neighbours, "inputs": inputs, "outputs": outputs, "concatSelf": concat_self}
        yield Case(SageBlock(inputs, outputs, concat_self), {"x": r.normal(len(neighbours), inputs)}, options, call=call)


GOLDENS = {"Embedding": embedding, "LSTM": lstm, "LSTMCell": lstm_cell, "SageConv": sage_conv}
