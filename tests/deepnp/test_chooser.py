"""When helpers are used: on a machine that is made up, where each call takes as long as we say."""

import sys

import pytest

from deepnp import chooser
from deepnp.chooser import Chooser

ALONE, TOGETHER, BUSY = 0.0025, 0.0015, 0.03  # seconds a call: without helpers, with them, with them on a busy machine


class Machine:
    """Runs calls one after the other, on a clock of its own."""

    def __init__(self):
        self.chooser, self.now, self.calls = Chooser(), 0.0, []

    def run(self, seconds: float, together: float, alone: float = ALONE, between: float = 0.0005) -> list[tuple[bool, float]]:
        """(with helpers?, seconds) of each call until that time has passed."""
        first, end = len(self.calls), self.now + seconds
        while self.now < end:
            helpers = self.chooser.helpers
            start = self.now
            self.now += together if helpers else alone
            self.chooser.record(start, self.now)
            self.calls.append((helpers, self.now - start))
            self.now += between
        return self.calls[first:]


def rate(calls, alone=ALONE):
    """Against the rate without helpers."""
    return alone * len(calls) / sum(seconds for _, seconds in calls)


def share(calls):
    return sum(helpers for helpers, _ in calls) / len(calls)


@pytest.fixture
def machine():
    return Machine()


def test_idle_machine_keeps_its_helpers(machine):
    assert share(machine.run(20, TOGETHER)) > 0.95
    later = machine.run(300, TOGETHER)
    assert share(later) > 0.995
    assert rate(later) > 0.99 * ALONE / TOGETHER


@pytest.mark.parametrize("together", [1.05 * ALONE, 2 * ALONE, BUSY, 200 * ALONE])
def test_busy_machine_does_without(machine, together):
    assert rate(machine.run(10, together)) > 0.9 - together / 10  # the first window is not compared with anything
    assert rate(machine.run(20, together)) > 0.93 - 2 * together / 20
    assert rate(machine.run(300, together)) > 0.985


def test_a_machine_that_becomes_busy_is_noticed_at_once(machine):
    machine.run(200, TOGETHER)
    assert sum(helpers for helpers, _ in machine.run(1, BUSY)) < 3 * chooser.WINDOW * ALONE / BUSY
    assert rate(machine.run(10, BUSY)) > 0.9


def test_a_machine_that_becomes_idle_is_noticed_within_a_minute(machine):
    machine.run(300, BUSY)
    machine.run(chooser.LONGEST + 1, TOGETHER)
    assert share(machine.run(20, TOGETHER)) > 0.9


def test_a_short_disturbance_is_soon_forgotten(machine):
    machine.run(300, TOGETHER)
    machine.run(0.5, BUSY)
    machine.run(chooser.WINDOWS * chooser.WINDOW * ALONE + 1, TOGETHER)
    assert share(machine.run(20, TOGETHER)) > 0.9


def test_one_disturbed_window_costs_one_window_without_helpers(machine):
    machine.run(300, TOGETHER)
    while machine.chooser.helpers:
        machine.run(BUSY, BUSY)
    assert share(machine.run(1, TOGETHER)) > 0.75


def test_helpers_that_are_slow_at_first_are_not_given_up_too_soon(machine):
    """The scheduler may need a moment until a thread that has slept has a core of its own."""
    machine.run(10, BUSY)
    while not machine.chooser.helpers:
        machine.run(1e-9, BUSY)
    machine.run(0.3, 1.2 * ALONE)
    assert share(machine.run(60, TOGETHER)) > 0.95


def test_lucky_windows_on_a_busy_machine_come_more_and_more_rarely(machine):
    """Each trial goes well, and then it does not."""
    for _ in range(100):
        while not machine.chooser.helpers:
            machine.run(ALONE, BUSY)
        for _ in range(chooser.WINDOW):
            machine.run(TOGETHER, TOGETHER)
        machine.run(0.5, BUSY)
    assert machine.now > 40 * chooser.LONGEST
    assert rate(machine.calls[len(machine.calls) // 4 :]) > 0.93


def test_more_work_is_not_taken_for_a_busy_machine(machine):
    machine.run(60, TOGETHER)
    later = machine.run(60, 10 * TOGETHER, 10 * ALONE)
    assert share(later) > 0.9
    assert share(machine.run(60, TOGETHER / 10, ALONE / 10)) > 0.98


def test_a_first_window_that_compiles_is_not_compared(machine):
    machine.run(5, 5.0, ALONE)
    assert share(machine.run(2, TOGETHER)[chooser.WINDOW :]) > 0.8


def test_long_calls_are_tried_rarely(machine):
    assert share(machine.run(3600, 0.6, 1.0)) > 0.85


def test_time_between_calls_counts_where_helpers_may_disturb(machine):
    """With helpers the calls are faster, but what comes next is slower by more than that."""
    for _ in range(20_000):
        helpers = machine.chooser.helpers
        machine.run(1e-9, 0.0015, 0.0016, between=0.0009 if helpers else 0.0001)
    assert share(machine.calls) < 0.1


def test_long_times_between_calls_do_not_count(machine):
    for i in range(20_000):
        machine.run(1e-9, TOGETHER, between=10 if i % 97 == 0 else 0.001)
    assert share(machine.calls) > 0.95


def interrupted_at(line: int, machine: Machine) -> bool:
    """Whether a call was recorded only as far as that line, counted from the first that runs."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename != chooser.__file__:
            return None
        if event == "line":
            count += 1
            if count == line:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        machine.run(1e-9, TOGETHER)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.parametrize("calls", [chooser.WINDOW * n - 1 for n in (1, 2, 3)])
def test_interrupted_between_any_two_lines_it_goes_on(calls):
    line, lines = 0, 0
    while line == lines:
        machine, line = Machine(), line + 1
        for _ in range(calls):
            machine.run(1e-9, TOGETHER)
        lines += interrupted_at(line, machine)
        machine.run(10, TOGETHER)
        assert share(machine.run(60, TOGETHER)) > 0.95, line
        machine.run(1, BUSY)
        assert rate(machine.run(100, BUSY)) > 0.95, line
    assert lines > 8


@pytest.mark.parametrize("together", [0.02, 0.2, 2.0])
def test_long_calls_have_their_helpers_soon(machine, together):
    """PPO: one call in an update, 40 updates in all."""
    calls = machine.run(4 + 20 * together, together, alone=1.5 * together)
    assert share(calls) > 0.75
    assert share(machine.run(60 + 400 * together, together, alone=1.5 * together)) > 0.9
    slower = machine.run(60 + 400 * together, 2 * together, alone=1.5 * together)
    assert share(slower) < 0.15
