"""Around the training loop: evaluation, run directories, progress, plots, pictures."""
