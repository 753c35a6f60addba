"""Metrics by hand, and against scikit-learn where it is installed."""

import numpy as np
import pytest

from deepnp import metrics

PREDICTED = np.array([0, 0, 1, 1, 0, 3])
TARGET = np.array([0, 0, 0, 1, 1, 1])  # 2 never occurs, 3 is only predicted
#   class   hits  predicted  true   precision  recall      F1
#       0     2          3      3        2/3     2/3      2/3
#       1     1          2      3        1/2     1/3      2/5
#       3     0          1      0          0       0        0


class TestClasses:
    def test_accuracy(self):
        assert metrics.accuracy(PREDICTED, TARGET) == pytest.approx(3 / 6)
        assert metrics.accuracy(PREDICTED.reshape(2, 3), TARGET.reshape(2, 3)) == pytest.approx(3 / 6)

    def test_confusion_matrix_has_the_truth_in_rows(self):
        expected = [[2, 1, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
        matrix = metrics.confusion_matrix(PREDICTED, TARGET)
        assert matrix.dtype.kind == "i"
        np.testing.assert_array_equal(matrix, expected)
        assert metrics.confusion_matrix(PREDICTED, TARGET, classes=6).shape == (6, 6)
        np.testing.assert_array_equal(metrics.confusion_matrix(PREDICTED.astype(np.uint8) * 60, TARGET, 200).sum(), 6)

    @pytest.mark.parametrize(
        ("metric", "macro", "weighted", "micro"),
        [
            (metrics.precision, (2 / 3 + 1 / 2) / 3, (2 / 3 + 1 / 2) / 2, 3 / 6),
            (metrics.recall, (2 / 3 + 1 / 3) / 3, (2 / 3 + 1 / 3) / 2, 3 / 6),
            (metrics.f1, (2 / 3 + 2 / 5) / 3, (2 / 3 + 2 / 5) / 2, 3 / 6),
        ],
    )
    def test_averages(self, metric, macro, weighted, micro):
        assert metric(PREDICTED, TARGET) == pytest.approx(macro)
        assert metric(PREDICTED, TARGET, "weighted") == pytest.approx(weighted)
        assert metric(PREDICTED, TARGET, average="micro") == pytest.approx(micro)

    def test_precision_and_recall_are_not_each_other(self):
        predicted, target = np.array([1, 1, 1, 1]), np.array([1, 0, 0, 0])
        assert metrics.precision(predicted, target) == pytest.approx((0 + 1 / 4) / 2)
        assert metrics.recall(predicted, target) == pytest.approx((0 + 1) / 2)
        assert metrics.precision(predicted, target, "weighted") == pytest.approx(1 / 16)  # by how often each is true

    def test_large_class_numbers_cost_no_square(self):
        assert metrics.f1(np.array([10**6, 3]), np.array([10**6, 3])) == 1

    def test_top_k(self):
        scores = np.array([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]])
        target = np.array([2, 2, 2, 1])
        assert [metrics.top_k_accuracy(scores, target, k) for k in (1, 2, 3)] == [0.25, 0.75, 1.0]

    def test_ties_go_to_the_lower_class_and_nan_wins_nothing(self, rng):
        scores = np.ones((4, 4))
        assert [metrics.top_k_accuracy(scores, np.arange(4), k) for k in (1, 2, 4)] == [0.25, 0.5, 1.0]
        tied = rng.integers(3, size=(50, 5)).astype(float)
        target = rng.integers(5, size=50)
        assert metrics.top_k_accuracy(tied, target, 1) == metrics.accuracy(tied.argmax(axis=-1), target)
        assert metrics.top_k_accuracy(np.full((4, 4), np.nan), np.arange(4), 3) == 0


class TestNumbers:
    def test_errors(self):
        y, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 4.0], [0.0, 4.0]])
        assert metrics.mse(y, target) == pytest.approx(13 / 4)
        assert metrics.mae(y, target) == pytest.approx(5 / 4)

    def test_bytes_do_not_wrap_around(self):
        y, target = np.array([1, 255], np.uint8), np.array([3, 0], np.uint8)
        assert metrics.mse(y, target) == pytest.approx((4 + 255**2) / 2)
        assert metrics.mae(y, target) == pytest.approx(257 / 2)

    def test_r2(self):
        target = np.array([1.0, 2.0, 3.0, 4.0])
        assert metrics.r2(target, target) == 1
        assert metrics.r2(np.full(4, 2.5), target) == 0
        assert metrics.r2(np.array([1.0, 2.0, 3.0, 6.0]), target) == pytest.approx(1 - 4 / 5)
        both = np.stack([target, np.full(4, 2.5)], axis=1)
        assert metrics.r2(both, np.stack([target, target], axis=1)) == pytest.approx(0.5)

    def test_r2_of_what_never_varies(self):
        assert metrics.r2(np.ones(3), np.ones(3)) == 1
        assert metrics.r2(np.array([1.0, 1.0, 2.0]), np.ones(3)) == 0


INTEGERS, FLOATS = np.array([0, 1]), np.array([0.0, 1.0])


@pytest.mark.parametrize(
    ("metric", "arguments", "error", "message"),
    [
        (metrics.accuracy, (INTEGERS, INTEGERS[:, None]), ValueError, r"one shape, given \(2,\) and \(2, 1\)"),
        (metrics.accuracy, (FLOATS, INTEGERS), TypeError, "integer classes, given float64: from scores, take the argmax"),
        (metrics.accuracy, (INTEGERS[:0], INTEGERS[:0]), ValueError, "at least one element"),
        (metrics.precision, (INTEGERS, FLOATS), TypeError, "integer classes, given float64"),
        (metrics.recall, (INTEGERS - 1, INTEGERS), ValueError, r"labels in \[0, 2\), given -1"),
        (metrics.f1, (INTEGERS, INTEGERS, "mean"), ValueError, '"macro", "micro" or "weighted", given \'mean\''),
        (metrics.confusion_matrix, (INTEGERS, INTEGERS, 1), ValueError, r"labels in \[0, 1\), given 1"),
        (metrics.confusion_matrix, (INTEGERS, INTEGERS - 1), ValueError, "given -1"),
        (metrics.top_k_accuracy, (np.eye(2), INTEGERS, 3), ValueError, r"k in \[1, 2\], given 3"),
        (metrics.top_k_accuracy, (np.eye(2), INTEGERS, 0), ValueError, r"k in \[1, 2\], given 0"),
        (metrics.top_k_accuracy, (np.eye(2), INTEGERS + 1, 1), ValueError, r"labels in \[0, 2\), given 2"),
        (metrics.top_k_accuracy, (np.eye(2), INTEGERS[:1], 1), ValueError, r"labels of shape \(2,\), given \(1,\)"),
        (metrics.top_k_accuracy, (np.eye(2)[:0], INTEGERS[:0], 1), ValueError, "at least one element"),
        (metrics.mse, (FLOATS, FLOATS[:, None]), ValueError, "one shape"),
        (metrics.mae, (FLOATS[:0], FLOATS[:0]), ValueError, "at least one element"),
        (metrics.r2, (FLOATS[:1], FLOATS[:1]), ValueError, r"two rows, given shape \(1,\)"),
    ],
)
def test_refuses(metric, arguments, error, message):
    with pytest.raises(error, match=message):
        metric(*arguments)


def test_agrees_with_scikit_learn(rng):
    theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    for classes, n in ((2, 30), (5, 40), (9, 12)):
        predicted, target = rng.integers(classes, size=(2, n))
        assert metrics.accuracy(predicted, target) == pytest.approx(theirs.accuracy_score(target, predicted))
        matrix = theirs.confusion_matrix(target, predicted, labels=range(classes))
        np.testing.assert_array_equal(metrics.confusion_matrix(predicted, target, classes), matrix)
        for ours, their in (
            (metrics.precision, theirs.precision_score),
            (metrics.recall, theirs.recall_score),
            (metrics.f1, theirs.f1_score),
        ):
            for average in ("macro", "micro", "weighted"):
                expected = their(target, predicted, average=average, zero_division=0)
                assert ours(predicted, target, average) == pytest.approx(expected)
        scores = rng.normal(size=(n, classes))
        for k in range(1, classes if classes > 2 else 1):
            expected = theirs.top_k_accuracy_score(target, scores, k=k, labels=range(classes))
            assert metrics.top_k_accuracy(scores, target, k) == pytest.approx(expected)
    y, target = rng.normal(size=(2, 20, 3))
    assert metrics.mse(y, target) == pytest.approx(theirs.mean_squared_error(target, y))
    assert metrics.mae(y, target) == pytest.approx(theirs.mean_absolute_error(target, y))
    target[:, 1] = 0.5
    assert metrics.r2(y, target) == pytest.approx(theirs.r2_score(target, y))
