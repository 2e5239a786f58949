"""Where a training may run."""

ACCELERATORS = ("cpu", "cuda", "mps", "auto")
"""Names that Lightning Fabric and the option `--accelerator` take; `auto` picks the best that is available."""

ENGINES = ("processes", "ray")
"""Who trains: processes of this computer, or tasks of a Ray cluster whose machines share the folders of the run."""
