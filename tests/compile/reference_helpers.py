"""A helper of another file, which has a constant of its own."""

SCALE = 2.0


def offset_by_scale(x: float) -> float:
    return x + SCALE
