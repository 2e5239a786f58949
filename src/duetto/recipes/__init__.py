"""Long jobs of one command: the demo, the paper's tables."""
