"""Writes the PyTorch goldens beside this script; see README.md.

Usage: /usr/bin/python3 make_goldens.py [FAMILY ...]
A family is golden_ops.NAME, golden_layers.NAME, random, parity, optimisers, unsupervised, extractors or dexined; without any, all are written.
"""

import sys

sys.dont_write_bytecode = True

import importlib
import json
import os
import pkgutil
import zlib

try:
    import numpy as np
    import torch
except ImportError as error:
    sys.exit(
        f"make_goldens.py needs PyTorch and numpy ({error}).\n"
        f"  What to do: apt install python3-torch, then run /usr/bin/python3 {sys.argv[0]}"
    )

import golden_dexined
import golden_extractors
import golden_layers
import golden_ops
import golden_optimisers
import golden_unsupervised
import philox
import safetensors_file
from golden_ops.sampling import Random
from parity import PARITY, train

HERE = os.path.dirname(os.path.abspath(__file__))


def to_float32(tensor):
    array = tensor.detach().numpy().astype(np.float32)
    assert np.isfinite(array).all()
    return array


def case_name(inputs, options):
    shapes = ", ".join("x".join(map(str, array.shape)) for array in inputs.values())
    short = {key: value for key, value in options.items() if not (isinstance(value, list) and len(value) > 5)}
    return f"{shapes} {json.dumps(short)}" if short else shapes


def op_golden(op, definition, draw_cases):
    """Value and vector-Jacobian products of every case, in float64, rounded once."""
    tensors, cases = {}, []
    random = Random(zlib.crc32(op.encode()))
    for index, (inputs, options) in enumerate(draw_cases(random)):
        leaves = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in inputs.values()]
        output = definition(*leaves, **options)
        grad_output = random.normal(*output.shape)
        grads = torch.autograd.grad(output, leaves, torch.tensor(grad_output.astype(np.float64)))
        if op == "max":
            assert len(np.unique(inputs["x"])) == inputs["x"].size, "a tie: its gradient is not unique"
        prefix = f"{index:02d}."
        for name, array, grad in zip(inputs, inputs.values(), grads):
            tensors[f"{prefix}{name}"] = array
            tensors[f"{prefix}grad.{name}"] = to_float32(grad)
        tensors[f"{prefix}output"] = to_float32(output)
        tensors[f"{prefix}gradOutput"] = grad_output
        cases.append({
            "name": f"{index}: {case_name(inputs, options)}",
            "inputs": [f"{prefix}{name}" for name in inputs],
            "options": options,
            "output": f"{prefix}output",
            "gradOutput": f"{prefix}gradOutput",
            "grads": [f"{prefix}grad.{name}" for name in inputs],
        })
    return tensors, cases


def layer_golden(layer, draw_cases):
    """Output, gradients of inputs and parameters, and the buffers afterwards, in float64, rounded once."""
    torch.manual_seed(zlib.crc32(layer.encode()))
    random = Random(zlib.crc32(layer.encode()))
    tensors, cases = {}, []
    for index, case in enumerate(draw_cases(random)):
        prefix = f"{index:02d}."
        rename = case.rename or (lambda key: key)
        # Everything starts from float32 numbers, so that both sides start from the same.
        module = case.module.float().double().train(case.training)

        def put(kind, values):
            keys = {}
            for key, value in values.items():
                name = rename(key)
                if name is not None and key not in case.ignore and not key.endswith("num_batches_tracked"):
                    keys[name] = f"{prefix}{kind}.{name}"
                    tensors[keys[name]] = to_float32(value)
            return keys

        state = put("state", {key: value.clone() for key, value in module.state_dict().items()})
        leaves = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in case.inputs.values()]
        output = (case.call or (lambda module, *inputs: module(*inputs)))(module, *leaves)
        grad_output = random.normal(*output.shape)
        parameters = dict(module.named_parameters())
        grads = torch.autograd.grad(
            output, [*leaves, *parameters.values()], torch.tensor(grad_output.astype(np.float64)), allow_unused=True
        )
        inputs, grad_inputs = [], []
        for name, array, grad in zip(case.inputs, case.inputs.values(), grads):
            inputs.append(f"{prefix}{name}")
            tensors[inputs[-1]] = array
            grad_inputs.append(None if grad is None else f"{prefix}grad.{name}")
            if grad is not None:
                tensors[grad_inputs[-1]] = to_float32(grad)
        tensors[f"{prefix}output"] = to_float32(output)
        tensors[f"{prefix}gradOutput"] = grad_output
        of_parameters = {key: g for key, g in zip(parameters, grads[len(leaves):]) if g is not None}
        cases.append({
            "name": f"{index}: {case_name(case.inputs, case.options)}",
            "inputs": inputs,
            "options": case.options,
            "training": case.training,
            "output": f"{prefix}output",
            "gradOutput": f"{prefix}gradOutput",
            "grads": grad_inputs,
            "state": state,
            "stateGrads": put("stateGrad", of_parameters),
            "buffersAfter": put("after", dict(module.named_buffers())),
        })
    return tensors, cases


SEEDS = [1, 0], [42, 7], [0xDEADBEEF, 0x12345678], [0xFFFFFFFF, 0xFFFFFFFF]
RANDOM_FILLS = [
    {"shape": shape, "seed": seed, "offset": offset}
    for shape, seed, offset in zip(([1], [7, 13], [2, 3, 5], [1030]), SEEDS, (0, 3, 0xFFFFFFFF, 12345))
]


def random_golden():
    tensors, cases = {}, []
    for name, fill in (("uniform", philox.uniform), ("normal", philox.normal)):
        for index, options in enumerate(RANDOM_FILLS):
            shape = options["shape"]
            values = fill(int(np.prod(shape)), options["seed"], options["offset"])
            key = f"{name}.{index}"
            tensors[key] = values.reshape(shape).astype(np.float32)
            case = {"name": name, "inputs": [], "options": options, "output": key}
            cases.append({**case, "gradOutput": None, "grads": []})
    return tensors, cases


def families(package):
    """The modules of a package that define goldens, by name."""
    for _, name, _ in pkgutil.iter_modules(package.__path__):
        if name not in ("sampling", "case") and not name.startswith("basics_"):
            yield f"{package.__name__}.{name}"


def write_ops(family):
    for op, (definition, draw_cases) in importlib.import_module(family).GOLDENS.items():
        write("ops", op, *op_golden(op, definition, draw_cases))


def write_layers(family):
    for layer, draw_cases in importlib.import_module(family).GOLDENS.items():
        write("layers", layer, *layer_golden(layer, draw_cases))


def write(folder, name, tensors, cases):
    metadata = {"op" if folder == "ops" else "layer": name, "cases": json.dumps(cases, separators=(",", ":"))}
    safetensors_file.write(os.path.join(HERE, folder, f"{name}.safetensors"), tensors, metadata)


def write_parity():
    for name, config in PARITY.items():
        tensors, metadata = train(name, **config)
        safetensors_file.write(os.path.join(HERE, "parity", f"{name}.safetensors"), tensors, metadata)


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    philox.check_known_answers()
    writers = {family: (lambda family=family: write_ops(family)) for family in families(golden_ops)}
    writers |= {family: (lambda family=family: write_layers(family)) for family in families(golden_layers)}
    writers["random"] = lambda: write("ops", "random", *random_golden())
    writers["parity"] = write_parity
    writers["optimisers"] = lambda: golden_optimisers.write(os.path.join(HERE, "optim"))
    writers["unsupervised"] = lambda: golden_unsupervised.write(os.path.join(HERE, "unsupervised"))
    writers["extractors"] = lambda: golden_extractors.write(os.path.join(HERE, "extractors"))
    writers["dexined"] = lambda: golden_dexined.write(os.path.join(HERE, "extractors"))
    wanted = sys.argv[1:] or list(writers)
    unknown = [name for name in wanted if name not in writers]
    if unknown:
        sys.exit(f"There is no {', '.join(unknown)}; there are: {', '.join(writers)}")
    for name in wanted:
        writers[name]()


if __name__ == "__main__":
    main()
