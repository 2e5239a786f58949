"""What every package needs and has nothing to do with speech: files, data from outside, processes, progress bars."""
