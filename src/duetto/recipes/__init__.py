"""Long jobs behind one command: the demo, and the paper's tables."""
