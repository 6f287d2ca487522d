"""Writes the PyTorch goldens beside this script; see README.md. Usage: /usr/bin/python3 make_goldens.py"""

import sys

sys.dont_write_bytecode = True

import json
import os
import zlib

try:
    import numpy as np
    import torch
except ImportError as error:
    sys.exit(
        f"make_goldens.py needs PyTorch and numpy ({error}).\n"
        f"  What to do: apt install python3-torch, then run /usr/bin/python3 {sys.argv[0]}"
    )

import philox
import safetensors_file
from op_cases import CASES, RANDOM_FILLS, Random
from op_definitions import OPS
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


def op_golden(op):
    """Value and vector-Jacobian products of every case, in float64, rounded once."""
    tensors, cases = {}, []
    random = Random(zlib.crc32(op.encode()))
    for index, (inputs, options) in enumerate(CASES[op](random)):
        leaves = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in inputs.values()]
        output = OPS[op](*leaves, **options)
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


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    philox.check_known_answers()
    assert CASES.keys() == OPS.keys()
    goldens = {op: op_golden(op) for op in OPS}
    goldens["random"] = random_golden()
    for op, (tensors, cases) in goldens.items():
        metadata = {"op": op, "cases": json.dumps(cases, separators=(",", ":"))}
        safetensors_file.write(os.path.join(HERE, "ops", f"{op}.safetensors"), tensors, metadata)
    for name, config in PARITY.items():
        tensors, metadata = train(name, **config)
        safetensors_file.write(os.path.join(HERE, "parity", f"{name}.safetensors"), tensors, metadata)


if __name__ == "__main__":
    main()
