"""Work beside training: in its order, and with its errors."""

import threading

import pytest

from rl.runs.background import Background


def test_work_is_done_in_its_order_beside_the_caller():
    background, gate, done = Background(waiting=2), threading.Event(), []
    background.start(lambda: (gate.wait(10), done.append(1)))
    background.start(lambda: done.append(2))
    assert background.busy
    assert not background.finished
    assert not done
    gate.set()
    background.wait()
    assert done == [1, 2]
    assert not background.busy


def test_no_more_than_two_wait():
    background, gate, done = Background(waiting=2), threading.Event(), []
    for i in range(2):
        background.start(lambda i=i: (gate.wait(10), done.append(i)))
    late = threading.Thread(target=background.start, args=(lambda: done.append(2),))
    late.start()
    late.join(0.05)
    assert late.is_alive()
    gate.set()
    late.join(10)
    background.wait()
    assert done == [0, 1, 2]


def test_errors_come_back():
    def fail():
        raise OSError("disk full")

    background, done = Background(), []
    background.start(fail)
    background.start(lambda: done.append(1))
    with pytest.raises(OSError, match="disk full"):
        background.wait()
    assert done == [1]  # what followed was done all the same
    background.wait()  # told once
    background.start(fail)
    while not background.finished:
        pass
    with pytest.raises(OSError, match="disk full"):
        background.check()
    background.start(lambda: None)
    background.wait()
