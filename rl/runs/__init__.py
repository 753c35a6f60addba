"""What a training tells while it runs, and where it is written: callbacks, progress, run folders."""
