"""The first signal asks, a second Ctrl-C insists, and no signal breaks what is being written."""

import os
import signal
import threading

import pytest

from rl.runs.interrupt import SIGNALS, Interrupt, signals_deferred

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to the own process on Windows")


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers_are_restored():
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_first_ctrl_c_asks_and_the_second_insists():
    with Interrupt() as interrupt:
        assert not interrupt.requested
        send()
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            send()
    assert interrupt.requested


@pytest.mark.parametrize("number", SIGNALS[1:])
def test_a_scheduler_may_ask_any_number_of_times(number):
    with Interrupt() as interrupt:
        send(number)
        send(number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            send()


def test_a_request_reaches_all_blocks_that_are_open():
    with Interrupt() as outer:
        with Interrupt() as inner:
            send()
        assert inner.requested
        assert outer.requested
        with Interrupt() as later:
            assert later.requested
            with pytest.raises(KeyboardInterrupt):
                send()
    with Interrupt() as another:
        assert not another.requested


def test_a_block_of_one_s_own_each_time():
    with Interrupt() as interrupt:
        with pytest.raises(RuntimeError, match="a new one for each block"), interrupt:
            pass
        send()
        assert interrupt.requested


def test_handlers_are_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), Interrupt():
        raise ZeroDivisionError


@pytest.mark.parametrize("number", SIGNALS)
def test_what_others_decided_stays(number):
    arrived = []
    for handler in (signal.SIG_IGN, lambda number, frame: arrived.append(number)):
        before = signal.signal(number, handler)
        try:
            with Interrupt() as interrupt:
                send(number)
            assert not interrupt.requested
            with signals_deferred():
                send(number)
        finally:
            signal.signal(number, before)
    assert arrived == [number, number]


def test_other_threads_do_without():
    seen = []

    def work():
        with Interrupt() as interrupt, signals_deferred():
            seen.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_signal_waits_until_everything_is_written():
    written = []

    @signals_deferred()
    def write():
        send()
        written.append("all of it")

    with Interrupt() as interrupt:
        send()
        with pytest.raises(KeyboardInterrupt):
            write()
        assert written == ["all of it"]
    assert interrupt.requested
    with Interrupt() as interrupt:
        with signals_deferred():
            send(signal.SIGTERM)
            assert not interrupt.requested
        assert interrupt.requested
