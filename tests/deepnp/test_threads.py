"""Work on two threads: it survives Ctrl-C at any moment, and does not change a bit."""

import gc
import subprocess
import sys
import textwrap
import threading
import time
from array import array
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from deepnp import backend, threads
from deepnp.backend import _Blas, get_num_threads, one_blas_thread, set_num_threads, use_kernels
from deepnp.layers import Linear, Sequential, Tanh
from deepnp.losses import mse
from deepnp.optim import Adam
from deepnp.spin import report_and_spin, spin
from deepnp.threads import _free, _Helper, _Job, _made, _serve, side_by_side
from tests.deepnp.always import Always

ROOT = Path(__file__).resolve().parents[2]

INTERRUPTED = """
    import os, random, signal, sys, threading, time
    import numpy as np
    from deepnp import threads
    from deepnp.backend import set_num_threads
    from deepnp.threads import _free, _made, side_by_side
    from tests.deepnp.always import Always

    set_num_threads(2)
    {prepare}
    chances, working = random.Random(0), [0, 0]
    product = np.random.default_rng(0).normal(size=(2, 48, 48))
    expected = [product[0] @ product[1], product[1] @ product[0]]

    def work(i):
        working[i] += 1
        try:
            for _ in range(3):
                result = product[i] @ product[1 - i]
            return result
        finally:
            working[i] -= 1

    def loop():
        while True:
            a, b = side_by_side(lambda: work(0), lambda: work(1))
            assert (a == expected[0]).all() and (b == expected[1]).all()

    side_by_side(lambda: work(0), lambda: work(1))  # compiles
    caught, ready = 0, threading.Event()

    def send():
        for _ in range(400):
            ready.wait(0.5)  # Python drops an interrupt in a weak reference's callback: then it comes again
            ready.clear()
            time.sleep(chances.random() * 0.002)
            os.kill(os.getpid(), signal.SIGINT)
            if chances.random() < 0.2:
                os.kill(os.getpid(), signal.SIGINT)  # an impatient user

    threading.Thread(target=send, daemon=True).start()
    while caught < 200:
        try:
            ready.set()
            loop()
        except KeyboardInterrupt:
            assert working == [0, 0], working  # nobody works on
            caught += 1
    time.sleep(0.01)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads._chooser = Always()
    for _ in range(20):
        a, b = side_by_side(lambda: work(0), lambda: work(1))
        assert (a == expected[0]).all() and (b == expected[1]).all()
    both = threading.Barrier(2, timeout=10)
    side_by_side(both.wait, both.wait)  # two threads at once, still
    assert len(_free) == len(_made) == 1, (_free, list(_made))
    print("caught", caught)
"""


def run(code: str, timeout: float = 120) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize("prepare", ["threads._chooser = Always()", "", "threads._chooser = Always(every=2)"])
def test_two_hundred_interruptions_leave_a_pool_that_works(prepare):
    assert run(INTERRUPTED.format(prepare=prepare)) == "caught 200"


@pytest.fixture
def two_threads(monkeypatch):
    before = get_num_threads()
    set_num_threads(2)
    monkeypatch.setattr(threads, "_chooser", Always())
    yield
    set_num_threads(before)


@pytest.mark.parametrize("kernels", [True, False])
def test_the_helper_really_runs_at_the_same_time(two_threads, kernels):
    use_kernels(kernels)
    try:
        for _ in range(50):
            both = threading.Barrier(2, timeout=20)
            assert sorted(side_by_side(both.wait, both.wait)) == [0, 1]
    finally:
        use_kernels(True)


def test_a_job_that_is_taken_back_leaves_nothing_to_wake_up_for(monkeypatch):
    helper = _Helper.__new__(_Helper)  # its thread never begins
    helper.inbox, helper.begun, helper.ended = SimpleQueue(), array("q", [4]), array("q", [4])
    job = _Job((int, float), helper)
    job.begin()
    assert job.results() == [0, 0.0]
    assert helper.inbox.empty()
    reports = []

    def report_and_spin(report, address, number, times):
        reports.append(number)
        if len(reports) == 2:
            helper.inbox.put(None)
        return number < helper.begun[0]

    monkeypatch.setattr(threads, "report_and_spin", report_and_spin)
    _serve(helper.inbox, helper.begun, helper.ended)
    assert reports == [0, 5]  # one look, and then it waits for the next job


def test_spinning_ends_with_the_number_or_after_a_while():
    numbers = array("q", [3, 7])
    report, address = numbers.buffer_info()[0], numbers.buffer_info()[0] + 8
    assert spin(address, 7, 1)
    assert not spin(address, 8, 1000)
    assert report_and_spin(report, address, 6, 1)
    assert not report_and_spin(report, address, 7, 1000)
    assert list(numbers) == [7, 7]


def test_an_error_on_either_side_waits_for_the_other(two_threads):
    for failing in (0, 1):
        both, done = threading.Barrier(2, timeout=20), []

        def fail(both=both):
            both.wait()
            raise KeyError("mine")

        def work(both=both, done=done):
            both.wait()
            done.append(sum(range(100_000)))

        with pytest.raises(KeyError, match="mine"):
            side_by_side(*((fail, work) if failing == 0 else (work, fail)))
        assert done
        assert all(helper.job is None for helper in _free)


def test_a_helper_that_is_lost_is_replaced(two_threads):
    side_by_side(int, int)
    _free.clear()  # as if interrupted just here
    gc.collect()  # errors of other tests
    deadline = time.monotonic() + 20
    while len(_made) and time.monotonic() < deadline:  # its thread may still hold the last job
        time.sleep(0.001)
    assert len(_made) == 0
    both = threading.Barrier(2, timeout=20)
    side_by_side(both.wait, both.wait)
    assert len(_free) == len(_made) == 1


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_last_to_leave_gives_blas_its_threads_back(two_threads):
    with one_blas_thread():
        entered, leave = threading.Event(), threading.Event()

        def other():
            with one_blas_thread():
                entered.set()
                leave.wait(20)

        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(20)
        assert blas_threads() == {1}
        set_num_threads(2)  # counts from the end of the block on
        assert blas_threads() == {1}
        leave.set()
        thread.join()
        assert blas_threads() == {1}  # the other has left, we are still here
    assert blas_threads() == {2}


def test_any_python_thread_may_hold_blas_to_one(two_threads):
    with one_blas_thread():
        pass
    inside: list = []

    def other():
        with one_blas_thread():
            inside.append(blas_threads())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert inside == [{1}]
    assert blas_threads() == {2}


def test_a_block_that_was_never_ended_ends_with_its_owner(two_threads):
    block = one_blas_thread()
    block.__enter__()  # and then an interruption
    del block
    assert not backend._blas.tokens
    with one_blas_thread():
        pass
    assert blas_threads() == {2}


@pytest.fixture
def blas(monkeypatch):
    """One library, that keeps its number of threads in a list."""
    blas, number = _Blas(), [4]
    blas._libraries = [(lambda n: number.__setitem__(0, n), 4)]
    monkeypatch.setattr(backend, "_blas", blas)
    return blas, number


def test_who_leaves_late_does_not_release_a_newcomer(blas):
    blas, number = blas
    with one_blas_thread():
        blas.release()  # of one that saw no token just before this block began
        assert (number, blas.limited) == ([1], True)
        blas.limited = False  # another one has released, and this block is about to limit again
        blas.release()
        assert not blas.limited


def test_blocks_in_many_threads_never_see_another_number(blas):
    """Python changes threads after every few instructions."""
    (blas, number), seen = blas, []

    def work():
        for _ in range(400):
            with one_blas_thread():
                seen.append(number[0])
                with one_blas_thread():
                    seen.append(number[0])
                seen.append(number[0])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert set(seen) == {1}
    assert len(seen) == 4 * 400 * 3
    assert number == [4]
    assert not blas.tokens


def trained(seed: int, results: dict, barrier) -> None:
    rng = np.random.default_rng(seed)
    nets = [Sequential(Linear(12, 96, rng=rng), Tanh(), Linear(96, 96, rng=rng), Tanh(), Linear(96, 1, rng=rng)) for _ in range(2)]
    optimizers = [Adam(net.flat, lr=1e-3) for net in nets]
    x, target = rng.normal(size=(256, 12)).astype("f"), rng.normal(size=(256, 1)).astype("f")

    def step(net, optimizer):
        net.zero_grad()
        net.backward(mse(net.forward(x), target)[1])
        optimizer.step()

    if barrier is not None:
        barrier.wait()
    with one_blas_thread():
        for _ in range(30 + 10 * seed):  # one leaves before the other
            side_by_side(*(lambda n=net, o=optimizer: step(n, o) for net, optimizer in zip(nets, optimizers, strict=True)))
    results[seed] = np.concatenate([net.flat.data for net in nets])


def test_two_learners_in_two_python_threads_get_the_bits_they_get_alone(two_threads):
    alone: dict = {}
    for seed in (0, 1):
        trained(seed, alone, None)
    for _ in range(3):
        together: dict = {}
        barrier = threading.Barrier(2, timeout=20)
        threads = [threading.Thread(target=trained, args=(seed, together, barrier)) for seed in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for seed in (0, 1):
            np.testing.assert_array_equal(together[seed], alone[seed])
