"""Conversions between rotation vectors (axis times angle, in rad) and matrices."""

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Kind, RobotSpec, mask


def skew(vector: FloatArray) -> FloatArray:
    """Matrix (3, 3) that takes w to the cross product of `vector` (3,) and w."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def matrix_from_rotvec(rotvec: FloatArray) -> FloatArray:
    """Rotation matrix (3, 3) of a rotation vector (3,), by Rodrigues' formula."""
    angle = float(np.linalg.norm(rotvec))
    k = skew(rotvec)
    if angle < 1e-8:
        return np.eye(3) + k
    return np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * (k @ k)


def rotvec_from_matrix(matrix: FloatArray) -> FloatArray:
    """Rotation vector (3,) of a rotation matrix (3, 3), with an angle in [0, pi].

    It is computed by way of the quaternion's largest component, which is exact near pi too.
    """
    m = matrix
    # four times the squared parts of the quaternion (w, x, y, z)
    squares = np.array([
        1 + m[0, 0] + m[1, 1] + m[2, 2],
        1 + m[0, 0] - m[1, 1] - m[2, 2],
        1 - m[0, 0] + m[1, 1] - m[2, 2],
        1 - m[0, 0] - m[1, 1] + m[2, 2],
    ])  # fmt: skip
    products = np.array([
        [squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], squares[1], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
        [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], squares[2], m[1, 2] + m[2, 1]],
        [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[3]],
    ])  # fmt: skip
    q = products[int(np.argmax(squares))]
    q = q / np.linalg.norm(q) * (1.0 if q[0] >= 0 else -1.0)
    sine = float(np.linalg.norm(q[1:]))
    if sine < 1e-12:
        return np.zeros(3)
    return q[1:] / sine * (2 * np.arctan2(sine, q[0]))


def turned(start: FloatArray, target: FloatArray, share: float) -> FloatArray:
    """Rotation vector (3,) that is `share` of the way from `start` (3,) to `target` (3,).

    The way is the short one, turned at a steady rate. Phase: hot.
    """
    first = matrix_from_rotvec(start)
    turn = rotvec_from_matrix(first.T @ matrix_from_rotvec(target))
    return rotvec_from_matrix(first @ matrix_from_rotvec(share * turn))


def rotation_triples(spec: RobotSpec) -> list[NDArray[np.intp]]:
    """Index arrays (3,) of the rotation vectors in an action, one array each.

    Raises ConfigError if the rotation dimensions are not groups of three neighbours.
    """
    at = np.flatnonzero(mask(spec.action, Kind.ROTATION))
    triples = [at[i : i + 3] for i in range(0, len(at), 3)]
    if any(len(triple) != 3 or (np.diff(triple) != 1).any() for triple in triples):
        names = ", ".join(spec.action[i].name for i in at)
        raise ConfigError(
            f"the rotations {names} are no rotation vectors, so nothing can be sent between two of them; name three "
            "neighbours for each, or set substeps=1 and ramp_s=0"
        )
    return triples
