"""Held to the exponential series, and to the definition of a rotation; no other library of rotations is used."""

from collections.abc import Iterator

import numpy as np
import pytest

from every import every
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.rotation import matrix_from_rotvec, rotvec_from_matrix

NEAR_ZERO = [0.0, 1e-15, 1e-12, 1e-10, 0.99e-8, 1.01e-8, 1e-7, 1e-5, 1e-3]
NEAR_PI = [np.pi - gap for gap in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-13, 0.0)]
BETWEEN = [0.1, 1.0, np.pi / 2, 2.0, 3.0]
UNITS = [axis * sign for axis in np.eye(3) for sign in (1.0, -1.0)]


def axes(n: int = 6) -> Iterator[FloatArray]:
    """The coordinate axes, both ways, and n random ones."""
    yield from UNITS
    for axis in np.random.default_rng(0).standard_normal((n, 3)):
        yield axis / np.linalg.norm(axis)


def hat(w: FloatArray) -> FloatArray:
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]], dtype=np.float64)


def exponential(matrix: FloatArray, terms: int = 40) -> FloatArray:
    """The power series of exp."""
    total = term = np.eye(len(matrix))
    for n in range(1, terms):
        term = term @ matrix / n
        total = total + term
    return total


@every("angle", NEAR_ZERO + BETWEEN + NEAR_PI + [4.0, 6.0])
def test_a_matrix_is_the_exponential_of_its_rotation_vector(angle: float) -> None:
    for axis in axes():
        np.testing.assert_allclose(matrix_from_rotvec(angle * axis), exponential(hat(angle * axis)), atol=2e-14)


@every("angle", NEAR_ZERO + BETWEEN)
def test_a_rotation_vector_survives_the_round_trip(angle: float) -> None:
    for axis in axes():
        back = rotvec_from_matrix(matrix_from_rotvec(angle * axis))
        np.testing.assert_allclose(back, angle * axis, atol=2e-12)


@every("angle", NEAR_PI)
def test_near_pi_the_round_trip_loses_nothing_but_the_sign_of_the_axis_at_pi_itself(angle: float) -> None:
    for axis in axes(50):
        back = rotvec_from_matrix(matrix_from_rotvec(angle * axis))
        signs = (1.0, -1.0) if np.pi - angle < 1e-12 else (1.0,)
        assert min(np.abs(back - sign * angle * axis).max() for sign in signs) < 1e-12


def test_small_rotations_keep_their_relative_accuracy() -> None:
    for angle in (1e-10, 1e-8, 1e-6, 1e-4):
        for axis in axes():
            back = rotvec_from_matrix(matrix_from_rotvec(angle * axis))
            np.testing.assert_allclose(back, angle * axis, rtol=1e-9, atol=1e-20)


@every("angle", [np.pi + 1e-9, 4.0, 6.0, 2 * np.pi - 1e-6, 3 * np.pi])
def test_an_angle_past_pi_comes_back_as_the_same_rotation_the_short_way(angle: float) -> None:
    for axis in axes():
        matrix = matrix_from_rotvec(angle * axis)
        back = rotvec_from_matrix(matrix)
        assert np.linalg.norm(back) <= np.pi + 1e-12
        np.testing.assert_allclose(matrix_from_rotvec(back), matrix, atol=1e-12)


@pytest.mark.parametrize("largest", range(4), ids="wxyz")
def test_each_part_of_the_quaternion_can_be_the_largest(largest: int) -> None:
    rng = np.random.default_rng(largest)
    for _ in range(100):
        q = rng.uniform(-0.4, 0.4, 4)
        q[largest] = rng.choice([-1.0, 1.0])
        w, x, y, z = q / np.linalg.norm(q)
        matrix = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        rotvec = rotvec_from_matrix(matrix)
        angle = float(np.linalg.norm(rotvec))
        assert angle == pytest.approx(2 * np.arccos(min(abs(w), 1.0)), abs=1e-7)
        expected = np.array([x, y, z]) * np.sign(w) / np.sin(angle / 2)
        np.testing.assert_allclose(rotvec / angle, expected, atol=1e-9)
