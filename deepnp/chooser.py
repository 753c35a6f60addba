"""Whether a second thread pays at present.

Two threads that wait for each other lose where another program takes a processor: one of them stands still for milliseconds,
sometimes with Python's lock, and the other waits for it. So both ways of running are timed in windows of calls, one
after the other, and the faster one is kept. The other is tried again from time to time: soon at first, and more rarely while
the answer stays the same. A window with helpers ends early once it has taken as long as the last one without; then both are
timed anew.
"""

from math import inf
from typing import NamedTuple

WINDOW = 60  # calls: whole updates of all learners that make 1 to 5 calls in an update, or in two
SPAN = 0.5  # seconds after which a window ends with fewer: PPO makes one long call in an update
FIRST, LONGEST = 2.0, 60.0  # seconds of calls until the slower way is tried again
WINDOWS = 20  # … and windows, at least
NEAR = 0.001  # seconds before a call that count, too: a helper that still spins may be in the caller's way
TRIES, CLOSE = 3, 1.5  # windows of a trial of helpers, as long as none takes so many times the time without
UNKNOWN = 0.25  # seconds that the first window may take; kernels are compiled in it, and it is not compared


class Choice(NamedTuple):
    """One way of running, and when the other is tried. Replaced as a whole: an interruption leaves the old one or the new one.

    `left` counts the windows until the two ways are compared, the present one included; 0 means that no comparison is under
    way. `former` won the last comparison, and every one after `since`. Times are seconds spent in calls, so that trials
    cost the same share of them however rare calls are.
    """

    helpers: bool
    left: int
    former: bool
    since: float
    pause: float
    due: float
    tries: int = TRIES

    def other(self, left: int) -> "Choice":
        return self._replace(helpers=not self.helpers, left=left)

    def settle(self, helpers: bool, now: float, least: float) -> "Choice":
        """What follows from a comparison. The pause doubles where nothing changes, and where helpers did not help for long."""
        same = helpers == self.former
        pause = min(2 * self.pause, LONGEST)
        if helpers and not same:
            pause = self.pause
        elif not same and now - self.since >= self.pause:
            pause = FIRST
        return Choice(helpers, 0, helpers, self.since if same else now, pause, now + max(pause, least))


class Chooser:
    """Times calls, and says whether the next one shall have helpers.

    This is advice only. Where several threads write here at once, or an interruption comes between, some calls are miscounted.
    """

    def __init__(self):
        self._choice = Choice(helpers=True, left=3, former=False, since=-inf, pause=FIRST / 2, due=inf)
        self._seconds_a_call = {True: inf, False: UNKNOWN / WINDOW}
        self._calls, self._seconds, self._spent, self._end = 0, 0.0, 0.0, -inf

    @property
    def helpers(self) -> bool:
        return self._choice.helpers

    def record(self, start: float, end: float) -> None:
        """A call from `start` to `end`, in seconds of one clock."""
        self._seconds += max(0.0, end - max(self._end, start - NEAR))
        self._end = end
        self._calls += 1
        given_up = self._choice.helpers and self._seconds > WINDOW * self._seconds_a_call[False]
        if given_up or self._calls >= WINDOW or self._seconds >= SPAN:
            self._end_window()

    def _end_window(self) -> None:
        choice, times = self._choice, self._seconds_a_call
        seconds, calls = self._seconds, max(self._calls, 1)
        self._calls, self._seconds = 0, 0.0
        self._spent += seconds
        times[choice.helpers] = seconds / calls
        if choice.left > 1:
            self._choice = choice.other(choice.left - 1)
        elif choice.helpers and choice.left and choice.tries > 1 and times[False] <= times[True] < CLOSE * times[False]:
            self._choice = choice._replace(tries=choice.tries - 1)  # a thread that wakes may be on its waker's core at first
        elif choice.left:
            least = WINDOWS * max(seconds, WINDOW * times[False])
            self._choice = choice.settle(times[True] < times[False], self._spent, least)
        elif choice.helpers and times[True] > times[False]:
            self._choice = choice.other(left=2)  # and then helpers once more: something short may have disturbed them
        elif self._spent >= choice.due:
            self._choice = choice.other(left=1)
