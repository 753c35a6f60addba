"""explorer.html in a run's folder: everything that its training recorded, in curves and words.

reading     what the folder holds, as far as it can be read
words       what each curve is, what it should look like, and what it means when it does not
charts      which curves there are
drawing     a chart as SVG
settings    the settings, and the command that repeats the run
page        the page: one file without a server, and without anything from elsewhere
"""

from rl.training.explorer.page import PAGE, explore, explore_at_end

__all__ = ["PAGE", "explore", "explore_at_end"]
