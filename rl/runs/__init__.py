"""What a training tells while it runs, and where it is written: callbacks, progress, run folders."""

from rl.runs.callbacks import Callback
from rl.runs.progress import ProgressBar
from rl.runs.record import Log, log_of, read_config
from rl.runs.run import Run, new_folder, read_progress
from rl.runs.stopping import StopOnNoProgress, StopOnReturn, StopOnSignal
from rl.runs.tensorboard import TensorBoard

__all__ = [
    "Callback",
    "Log",
    "ProgressBar",
    "Run",
    "StopOnNoProgress",
    "StopOnReturn",
    "StopOnSignal",
    "TensorBoard",
    "log_of",
    "new_folder",
    "read_config",
    "read_progress",
]
