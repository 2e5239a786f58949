"""Where a training may run."""

ACCELERATORS = ("cpu", "cuda", "mps", "auto")
"""Names that Lightning Fabric and the option `--accelerator` take; `auto` picks the best that is available."""
