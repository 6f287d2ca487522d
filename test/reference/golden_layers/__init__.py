"""One module per family of layers, each with GOLDENS = {layer: cases(random)}, which yields layer cases."""
