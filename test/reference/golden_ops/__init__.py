"""One module per family of operations, each with GOLDENS = {op: (definition in PyTorch, cases(random))}.

A definition takes the inputs, then the op's options under their JavaScript names; `cases` yields (inputs, options).
"""
