"""Small models trained by PyTorch for a few AdamW steps: the runs the TypeScript models must reproduce."""

import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZES = {"d": 24, "h": 16, "a": 8, "e": 20, "G": 30}
BAG_SIZES = [5, 1, 9, 3], [4, 7, 2, 6], [1, 8, 3, 5], [6, 2, 11, 1], [3, 3, 10, 4]
STEPS = 30
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}
TEMPERATURE = 0.1


def segment_mean(x, offsets):
    return torch.stack([x[start:end].mean(0) for start, end in zip(offsets[:-1], offsets[1:])])


class Attention(nn.Module):
    """Attention pooling of Ilse et al. 2018: gated (eq. 9), or plain without U (eq. 8)."""

    def __init__(self, gated):
        super().__init__()
        self.V = nn.Linear(SIZES["h"], SIZES["a"])
        if gated:
            self.U = nn.Linear(SIZES["h"], SIZES["a"])
        self.w = nn.Linear(SIZES["a"], 1)

    def forward(self, x, offsets):
        hidden = torch.tanh(self.V(x))
        if hasattr(self, "U"):
            hidden = hidden * torch.sigmoid(self.U(x))
        scores = self.w(hidden)
        spans = list(zip(offsets[:-1], offsets[1:]))
        weights = torch.cat([F.softmax(scores[start:end], 0) for start, end in spans])
        pooled = torch.stack([(weights[start:end] * x[start:end]).sum(0) for start, end in spans])
        return pooled, weights


class Abmil(nn.Module):
    def __init__(self, gated=True):
        super().__init__()
        self.embed = nn.Linear(SIZES["d"], SIZES["h"])
        self.attention = Attention(gated)

    def forward(self, x, offsets):
        return self.attention(F.relu(self.embed(x)), offsets)


class DirectAbmil(Abmil):
    def __init__(self, gated=True):
        super().__init__(gated)
        self.head = nn.Linear(SIZES["h"], SIZES["G"])

    def loss(self, x, offsets, targets):
        return F.mse_loss(self.head(self(x, offsets)[0]), targets)

    def attention_weights(self, x, offsets):
        return self(x, offsets)[1]


class DirectPatchLevel(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(SIZES["d"], SIZES["h"])
        self.head = nn.Linear(SIZES["h"], SIZES["G"])

    def loss(self, x, offsets, targets):
        return F.mse_loss(segment_mean(self.head(F.relu(self.hidden(x))), offsets), targets)


class GeneEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(SIZES["G"], SIZES["e"])
        self.norm1 = nn.LayerNorm(SIZES["e"])
        self.linear2 = nn.Linear(SIZES["e"], SIZES["e"])
        self.norm2 = nn.LayerNorm(SIZES["e"])
        self.linear3 = nn.Linear(SIZES["e"], SIZES["h"])

    def forward(self, genes):
        hidden = F.relu(self.norm1(self.linear1(genes)))
        return self.linear3(F.relu(self.norm2(self.linear2(hidden))))


class Contrastive(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = Abmil()
        self.gene = GeneEncoder()

    def loss(self, x, offsets, targets):
        a = F.normalize(self.image(x, offsets)[0], dim=-1)
        b = F.normalize(self.gene(targets), dim=-1)
        logits = a @ b.T / TEMPERATURE
        labels = torch.arange(len(a))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    def attention_weights(self, x, offsets):
        return self.image(x, offsets)[1]


PARITY = {
    "direct-abmil": {"build": DirectAbmil},
    "direct-abmil-clipped": {"build": DirectAbmil, "max_norm": 0.1},
    "direct-abmil-plain": {"build": lambda: DirectAbmil(gated=False)},
    "direct-patch-level": {"build": DirectPatchLevel},
    "contrastive": {"build": Contrastive},
}


def make_batches():
    """Ragged bags whose targets depend on the bag, so that there is something to learn."""
    random = np.random.RandomState(20240607)
    mix = random.standard_normal([SIZES["d"], SIZES["G"]])
    batches = []
    for sizes in BAG_SIZES:
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        features = random.standard_normal([offsets[-1], SIZES["d"]])
        means = np.stack([features[start:end].mean(0) for start, end in zip(offsets[:-1], offsets[1:])])
        targets = means @ mix * 0.5 + 0.3 * random.standard_normal([len(sizes), SIZES["G"]])
        batches.append((features.astype(np.float32), offsets.astype(np.int32), targets.astype(np.float32)))
    return batches


def run(model, batches, max_norm):
    """Train in the model's own precision. Returns what there is to compare, as a dict of numpy arrays."""
    dtype = next(model.parameters()).dtype
    batches = [(torch.tensor(x).to(dtype), offsets.tolist(), torch.tensor(y).to(dtype)) for x, offsets, y in batches]
    out = {f"init.{key}": value.detach().numpy().copy() for key, value in model.state_dict().items()}
    if hasattr(model, "attention_weights"):
        out["attention0"] = model.attention_weights(*batches[0][:2]).detach().numpy()
    optimiser = torch.optim.AdamW(model.parameters(), **ADAMW)
    losses, norms = [], []
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = model.loss(*batches[step % len(batches)])
        loss.backward()
        if step == 0:
            out.update({f"grad.{key}": value.grad.numpy().copy() for key, value in model.named_parameters()})
        if max_norm is None:
            norms.append(torch.sqrt(sum((p.grad**2).sum() for p in model.parameters())).item())
        else:
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimiser.step()
        losses.append(loss.item())
    out.update({f"final.{key}": value.detach().numpy().copy() for key, value in model.state_dict().items()})
    return out, np.array(losses), np.array(norms)


def largest_differences(single, double, prefix):
    """Per tensor: how far the float32 run is from the float64 run, the noise any float32 implementation has."""
    keys = [key for key in single if key.startswith(prefix)]
    return {key[len(prefix):]: float(f"{np.abs(single[key] - double[key]).max():.3g}") for key in keys}


def train(name, build, max_norm=None):
    """Returns (tensors, metadata) of one parity file."""
    batches = make_batches()
    torch.manual_seed(1234)
    model = build()
    reference = build().double()
    reference.load_state_dict(model.state_dict())
    single, losses, norms = run(model, batches, max_norm)
    double, losses64, _ = run(reference, batches, max_norm)
    assert losses64[-5:].mean() < losses64[:5].mean(), f"{name} does not learn"
    if max_norm is not None:
        assert norms.min() > max_norm, f"{name}: the clip is not always active"

    tensors = dict(single)
    for index, (features, offsets, targets) in enumerate(batches):
        tensors[f"batch{index}.features"] = features
        tensors[f"batch{index}.offsets"] = offsets
        tensors[f"batch{index}.targets"] = targets
    tensors["losses"] = losses.astype(np.float32)
    tensors["gradNorms"] = norms.astype(np.float32)
    hyperparameters = {
        **SIZES,
        "steps": STEPS,
        "batches": len(batches),
        "lr": ADAMW["lr"],
        "betas": ADAMW["betas"],
        "eps": ADAMW["eps"],
        "weightDecay": ADAMW["weight_decay"],
        "maxNorm": max_norm,
        "temperature": TEMPERATURE if build is Contrastive else None,
    }
    metadata = {
        "model": name,
        "hyperparameters": json.dumps(hyperparameters),
        "losses64": json.dumps(losses64.tolist()),
        "gradNoise": json.dumps(largest_differences(single, double, "grad.")),
        "finalNoise": json.dumps(largest_differences(single, double, "final.")),
        "shiftInvariant": json.dumps([key for key in model.state_dict() if key.endswith("attention.w.bias")]),
    }
    return tensors, metadata
