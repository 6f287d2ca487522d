"""The operations of the first models; definitions and cases stand in two files because they are many."""

from golden_ops.basics_cases import CASES
from golden_ops.basics_definitions import OPS

assert CASES.keys() == OPS.keys()
GOLDENS = {op: (OPS[op], CASES[op]) for op in OPS}
