"""Infomax ICA: the rotation of a whitened embedding that makes its dimensions independent.

A module of its own, imported when it is asked for: Picard's imports take seconds.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
from jaxtyping import Float
from picard import picard
from picard.densities import Tanh

from core.values import Progress, no_progress

_log = logging.getLogger(__name__)

MAX_ITERATIONS = 100
"""Iterations of either pass of Picard at most."""
TOLERANCE = 1e-3
"""Largest entry of the relative gradient at convergence; sampling error at 15,000 rows: .008."""


class _ReportingTanh(Tanh):
    """Picard's log cosh density, which also counts its iterations: each asks for one score."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._done = 0

    def log_lik(self, Y: np.ndarray) -> np.ndarray:
        """Return log(2 cosh y), without the exponential that Picard computes and drops."""
        size = np.abs(Y)
        return size + np.log1p(np.exp(-2 * size))

    def score_and_der(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tanh y and its derivative; report one more iteration, which may raise."""
        self._progress(self._done, 2 * MAX_ITERATIONS, "Infomax")
        self._done += 1
        score = np.tanh(Y)
        return score, 1 - score * score


def infomax_rotation(
    whitened: Float[np.ndarray, "n d"], *, progress: Progress = no_progress
) -> Float[np.ndarray, "d d"]:
    """Rotation R for which the columns of ``whitened @ R`` are as independent as one can make them.

    Infomax (Bell & Sejnowski 1995) restricted to orthogonal maps, where log|det W| is constant:
    minimise sum_i s_i E[log cosh y_i] from the identity by Picard-O (Ablin, Cardoso & Gramfort
    2018, arXiv 1711.10873). A first pass takes every component as sparse, s_i = 1; a second,
    extended one (Lee, Girolami & Sejnowski 1999) reads the signs s_i off the components found and
    so separates sub-Gaussian ones too. Read off the unseparated mixtures, which are all nearly
    Gaussian, the signs would be chance and stay wrong. A pass stops at ``TOLERANCE`` or after
    ``MAX_ITERATIONS``; either way the result is a rotation. Components stand by falling excess
    kurtosis, each signed to lean to the positive side.

    Args:
        whitened: centred rows of about unit covariance, float64; with fewer than d of them the
            identity is returned.
        progress: told every iteration.

    Raises:
        Cancelled: when ``progress`` raises it.
    """
    rows, dim = whitened.shape
    if rows < dim:
        _log.warning("Infomax keeps its start: %d rows say nothing of %d components", rows, dim)
        return np.eye(dim)
    density, unmixing = _ReportingTanh(progress), np.eye(dim)
    for extended in (False, True):
        unmixing = _picard(whitened.T, density, start=unmixing, extended=extended)
    progress(2 * MAX_ITERATIONS, 2 * MAX_ITERATIONS, "Infomax")
    order, signs = _canonical(unmixing @ whitened.T)
    return (unmixing[order] * signs[:, None]).T


def _picard(
    mixtures: Float[np.ndarray, "d n"],
    density: Tanh,
    *,
    start: Float[np.ndarray, "d d"],
    extended: bool,
) -> Float[np.ndarray, "d d"]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Picard did not converge", category=UserWarning)
        _, unmixing, _, iterations = picard(  # pyright: ignore[reportAssignmentType]
            mixtures,
            fun=density,  # pyright: ignore[reportArgumentType] - documented: str or class
            ortho=True,
            extended=extended,
            whiten=False,
            max_iter=MAX_ITERATIONS,
            tol=TOLERANCE,
            check_fun=False,
            w_init=start,
            return_n_iter=True,
        )
    _log.info("Infomax: %d components, %d iterations", len(mixtures), iterations)
    return unmixing


def _canonical(
    sources: Float[np.ndarray, "d n"],
) -> tuple[np.ndarray, Float[np.ndarray, " d"]]:
    """Order of the components by falling kurtosis, and the signs, so ordered, for skewness >= 0."""
    squares = sources * sources
    variances = np.maximum(squares.mean(axis=1), np.finfo(float).tiny)
    kurtosis = (squares * squares).mean(axis=1) / variances**2
    order = np.argsort(-kurtosis, kind="stable")
    skewness = (squares * sources).mean(axis=1)
    return order, np.where(skewness[order] < 0, -1.0, 1.0)
