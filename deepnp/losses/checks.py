"""What every loss asks of its arguments."""


def check_shapes(y, target) -> None:
    """Raise ValueError unless y and target have one shape and at least one element."""
    if y.shape != target.shape:  # broadcasting (B,) against (B, 1) is the classic silent bug
        raise ValueError(f"expected y and target of one shape, given {y.shape} and {target.shape}")
    if y.size == 0:
        raise ValueError(f"expected at least one element, given shape {y.shape}")
