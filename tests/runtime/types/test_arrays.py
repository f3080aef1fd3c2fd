import numpy as np
import pytest

from every import every
from rollahead.runtime.types.arrays import frozen, unknown

SOURCES = {
    "list": [[1, 2], [3, 4]],
    "integers": np.array([[1, 2], [3, 4]]),
    "float32": np.array([[1, 2], [3, 4]], np.float32),
    "float64": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "transposed": np.array([[1.0, 3.0], [2.0, 4.0]]).T,
    "empty": np.empty((0, 2)),
    "scalar": 1.5,
}


@every("name", SOURCES)
def test_a_frozen_array_is_float64_and_equal_and_cannot_be_written(name: str) -> None:
    array = frozen(SOURCES[name])
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, SOURCES[name])
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 9.0
    with pytest.raises(ValueError, match="read-only"):
        array += 1.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_writing_the_source_later_does_not_change_a_frozen_array(dtype: type) -> None:
    source = np.ones(3, dtype)
    array = frozen(source)
    source[:] = 7
    np.testing.assert_array_equal(array, [1, 1, 1])
    assert source.flags.writeable


def test_freezing_what_is_frozen_copies_nothing() -> None:
    array = frozen([1.0, 2.0])
    assert frozen(array) is array
    assert frozen(array[1:]).base is array


def test_a_read_only_view_of_what_its_owner_writes_to_is_copied() -> None:
    source, memory = np.ones(3), bytearray(24)
    view = source[:]
    view.flags.writeable = False
    raw = np.ndarray(3, np.float64, memory)
    raw.flags.writeable = False
    arrays = [frozen(view), frozen(view[1:]), frozen(raw)]
    source[:] = 7
    memory[:] = b"?" * 24
    assert [array.tolist() for array in arrays] == [[1, 1, 1], [1, 1], [0, 0, 0]]


@pytest.mark.parametrize("n", range(4))
def test_what_is_unknown_is_a_vector_of_no_numbers_that_cannot_be_written(n: int) -> None:
    assert unknown(n).shape == (n,)
    assert np.isnan(unknown(n)).all()
    assert not unknown(n).flags.writeable
