"""What torch.optim and torch.optim.lr_scheduler compute, in float64: optim/optimisers.json, optim/schedules.json."""

import json
import math
import os

import numpy as np
import torch

STEPS = 30
# Options under their JavaScript names; `groups` gives each of the parameters w and b its own.
OPTIMISERS = {
    "Adam": [{"lr": 0.01}, {"lr": 0.03, "weightDecay": 0.1, "betas": [0.8, 0.95], "eps": 1e-4}],
    "AdamW": [{"lr": 0.01}, {"lr": 0.03, "weightDecay": 0.1, "betas": [0.8, 0.95], "eps": 1e-4}],
    "Sgd": [
        {"lr": 0.1},
        {"lr": 0.05, "weightDecay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "weightDecay": 0.01},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weightDecay": 0.01},
    ],
}
TORCH_NAMES = {"weightDecay": "weight_decay"}
CLASSES = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW, "Sgd": torch.optim.SGD}
VARIANTS = (
    {},
    {"groups": [{"lr": 0.02, "weightDecay": 0.2}, {"weightDecay": 0}]},
    {"clipNorm": 0.5, "clipValue": 0.4},
    {"late": 3},  # b has no gradient in the first steps
    {"gamma": 0.5, "stepSize": 7},  # StepLR
)


def torch_options(options):
    return {TORCH_NAMES.get(key, key): value for key, value in options.items()}


def grid(state, *shape):
    """Normal numbers on a grid of 2^-10: exact in float32, short in JSON."""
    return np.round(state.standard_normal(shape) * 1024) / 1024


def run(kind, options, variant, start, grads):
    w, b = [torch.tensor(array, requires_grad=True) for array in start]
    groups = variant.get("groups", [{}, {}])
    given = [{"params": [p], **torch_options(own)} for p, own in zip((w, b), groups)]
    optimiser = CLASSES[kind](given, **torch_options(options))
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, variant.get("stepSize", 1000), variant.get("gamma", 1.0))
    after = {}
    for step, pair in enumerate(grads):
        w.grad, b.grad = [torch.tensor(array) for array in pair]
        if step < variant.get("late", 0):
            b.grad = None
        if "clipValue" in variant:
            torch.nn.utils.clip_grad_value_([w, b], variant["clipValue"])
            torch.nn.utils.clip_grad_norm_([w, b], variant["clipNorm"])
        optimiser.step()
        schedule.step()
        if step + 1 in (1, 4, STEPS):
            after[step + 1] = [p.detach().numpy().ravel().tolist() for p in (w, b)]
    return {"kind": kind, "options": options, "variant": variant, "after": after}


def optimisers():
    state = np.random.RandomState(20)
    shapes = (3, 5), (7,)
    start = [grid(state, *shape) for shape in shapes]
    grads = [[grid(state, *shape) for shape in shapes] for _ in range(STEPS)]
    cases = [
        run(kind, options, variant, start, grads)
        for kind, all_options in OPTIMISERS.items()
        for options in all_options
        for variant in VARIANTS
    ]
    lists = lambda arrays: [array.ravel().tolist() for array in arrays]
    return {"shapes": shapes, "start": lists(start), "grads": [lists(pair) for pair in grads], "cases": cases}


def rates(make, lr, steps):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = make(optimiser)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def warmed(make, steps):
    """Linear warm-up, then another schedule."""
    lr = torch.optim.lr_scheduler
    ramp = lambda optimiser: lr.LinearLR(optimiser, 1 / steps, 1.0, steps - 1)
    return lambda optimiser: lr.SequentialLR(optimiser, [ramp(optimiser), make(optimiser)], [steps])


def warmup_restarts(first_cycle_steps, cycle_mult, max_lr, min_lr, warmup_steps, gamma, steps):
    """The recurrence of katsura-jp's CosineAnnealingWarmupRestarts, written out; systems.md 9.2."""
    length, cycle, at, found = first_cycle_steps, 0, 0, [min_lr]
    for _ in range(steps - 1):
        at += 1
        if at >= length:
            cycle += 1
            at -= length
            length = int((length - warmup_steps) * cycle_mult) + warmup_steps
        peak = max_lr * gamma**cycle
        if at < warmup_steps:
            found.append((peak - min_lr) * at / warmup_steps + min_lr)
        else:
            progress = (at - warmup_steps) / (length - warmup_steps)
            found.append(min_lr + (peak - min_lr) * (1 + math.cos(math.pi * progress)) / 2)
    return found


def schedules():
    lr = torch.optim.lr_scheduler
    step = lambda o: lr.StepLR(o, 7, 0.9)
    multi = lambda o: lr.MultiStepLR(o, [3, 11, 12, 30], 0.3)
    exponential = lambda o: lr.ExponentialLR(o, 0.95)
    cosine = lambda o: lr.CosineAnnealingLR(o, 40, 0.002)
    restarts = lambda o: lr.CosineAnnealingWarmRestarts(o, 5, 2, 0.002)
    even_restarts = lambda o: lr.CosineAnnealingWarmRestarts(o, 7, 1)
    torch_cases = [
        ({"kind": "constant", "totalSteps": 40, "floor": 0}, lambda o: lr.LambdaLR(o, lambda _: 1.0)),
        ({"kind": "step", "stepSize": 7, "gamma": 0.9}, step),
        ({"kind": "multi-step", "milestones": [3, 11, 12, 30], "gamma": 0.3}, multi),
        ({"kind": "exponential", "gamma": 0.95}, exponential),
        ({"kind": "cosine", "totalSteps": 40, "floor": 0.1}, cosine),
        ({"kind": "cosine-restarts", "t0": 5, "tMult": 2, "floor": 0.1}, restarts),
        ({"kind": "cosine-restarts", "t0": 7, "tMult": 1, "floor": 0}, even_restarts),
        ({"kind": "step", "stepSize": 7, "gamma": 0.9, "warmupSteps": 6}, warmed(step, 6)),
        ({"kind": "exponential", "gamma": 0.95, "warmupSteps": 6}, warmed(exponential, 6)),
    ]
    cases = [{"schedule": options, "lr": 0.02, "rates": rates(make, 0.02, 40)} for options, make in torch_cases]
    for cycle, mult, warmup, gamma in ((20, 1.0, 5, 1.0), (10, 1.5, 3, 0.5), (9, 2.0, 0, 0.7)):
        options = {"firstCycleSteps": cycle, "cycleMult": mult, "warmupSteps": warmup, "gamma": gamma, "floor": 0.2}
        found = warmup_restarts(cycle, mult, 5e-4, 1e-4, warmup, gamma, 60)
        cases.append({"schedule": {"kind": "cosine-warmup-restarts", **options}, "lr": 5e-4, "rates": found})
    return cases


def plateaus():
    state = np.random.RandomState(3)
    metrics = [round(float(v), 4) for v in 1 / np.arange(1, 61) ** 0.3 + 0.02 * state.standard_normal(60)]
    cases = []
    for options in (
        {"patience": 2, "factor": 0.5},
        {"patience": 0, "factor": 0.7, "cooldown": 3, "minLr": 1e-3},
        {"patience": 1, "mode": "max", "threshold": 0.01, "thresholdMode": "abs"},
        {"patience": 3, "threshold": 0.05},
    ):
        names = {"minLr": "min_lr", "thresholdMode": "threshold_mode"}
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, **{names.get(key, key): value for key, value in options.items()}
        )
        found = []
        for metric in metrics:
            schedule.step(metric)
            found.append(optimiser.param_groups[0]["lr"])
        cases.append({"options": options, "lr": 0.1, "metrics": metrics, "rates": found})
    return cases


def write(folder):
    os.makedirs(folder, exist_ok=True)
    files = {"optimisers": optimisers(), "schedules": {"schedules": schedules(), "plateaus": plateaus()}}
    for name, content in files.items():
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(content, file, separators=(",", ":"))
            file.write("\n")
