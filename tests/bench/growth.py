"""Whether something grows: a straight line through its samples, and how sure that line is.

Memory, file handles and threads are taken every few seconds; one minute is one point (its median), because samples a
few seconds apart say the same thing twice. The slope is by least squares, its error by Newey and West's estimate, which
stays right when neighbours are alike. Several pieces of a run, or several processes of a kind, are joined by the weight
of their errors. Pure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

BIN_S = 60.0
LEAST_POINTS = 6
SURE = 2.6
"""Standard errors that count as certain: 95 % by trial, as Newey and West's are too small for half an hour's points."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Units an hour, and its standard error. `points`: minutes it rests on."""

    per_h: float
    error: float
    points: int
    level: float

    @property
    def least(self) -> float:
        """Growth of at least this an hour is certain."""
        return self.per_h - SURE * self.error

    @property
    def most(self) -> float:
        """More than this an hour is excluded."""
        return self.per_h + SURE * self.error


def minutes(samples: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """(seconds, value) → one point a minute: its middle and the median of what was seen in it."""
    bins: dict[int, list[float]] = {}
    for at, value in samples:
        bins.setdefault(int(at // BIN_S), []).append(value)
    return [((number + 0.5) * BIN_S, float(np.median(values))) for number, values in sorted(bins.items())]


def slope(points: Sequence[tuple[float, float]]) -> Slope | None:
    """The line through points; None when there are too few."""
    if len(points) < LEAST_POINTS:
        return None
    hours = np.array([at / 3600 for at, _ in points])
    values = np.array([value for _, value in points])
    centred = hours - hours.mean()
    spread = float((centred**2).sum())
    per_h = float((centred * (values - values.mean())).sum() / spread)
    scores = centred * (values - values.mean() - per_h * centred)
    count = len(points)
    lags = int(4 * (count / 100) ** (2 / 9)) + 1
    total = float((scores**2).sum())
    for lag in range(1, min(lags, count - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float((scores[lag:] * scores[:-lag]).sum())
    error = math.sqrt(max(total, 0.0) * count / max(count - 2, 1)) / spread
    return Slope(per_h, error, count, float(values.mean()))


def joined(slopes: Sequence[Slope], noise: float) -> Slope | None:
    """What several pieces say together; `noise`: error an hour below which no piece is believed more."""
    if not slopes:
        return None
    weights = [1 / (one.error**2 + noise**2) for one in slopes]
    total = sum(weights)
    return Slope(
        sum(weight * one.per_h for weight, one in zip(weights, slopes, strict=True)) / total,
        math.sqrt(1 / total),
        sum(one.points for one in slopes),
        sum(one.level for one in slopes) / len(slopes),
    )


def grows(found: Slope, allowed_per_h: float) -> bool:
    """Whether growth beyond what is allowed is certain."""
    return found.least > allowed_per_h
