"""A layer in PyTorch with the inputs to run it on."""

from dataclasses import dataclass, field


@dataclass
class Case:
    module: object  # torch.nn.Module, initialised; its state dict names are those of the JavaScript layer
    inputs: dict  # float32 arrays by argument name
    options: dict = field(default_factory=dict)  # what the JavaScript test makes its layer from
    training: bool = True
    call: object = None  # (module, *inputs) -> output, where it is not module(*inputs)
    rename: object = None  # key of the state dict -> key in JavaScript, where they differ; None drops it
    ignore: tuple = ()  # buffers that the JavaScript layer does not have
