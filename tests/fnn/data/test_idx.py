import gzip

import numpy as np
import pytest

from fnn import DataError, read_idx

SAMPLES = {
    "uint8": [0, 1, 255],
    "int8": [-128, 0, 127],
    "int16": [-32768, 258, 32767],
    "int32": [-(2**31), 16909060, 2**31 - 1],
    "float32": [-1.5, 3.25, 1e30],
    "float64": [-1.5, np.pi, 1e300],
}


@pytest.mark.parametrize("dtype", SAMPLES)
@pytest.mark.parametrize("zipped", [False, True])
def test_all_dtypes_gzipped_or_not(dtype, zipped, write_idx, tmp_path):
    array = np.array(SAMPLES[dtype] * 2, dtype).reshape(2, 3, 1)
    path = write_idx("file", array)
    if zipped:
        packed = tmp_path / "file.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.dtype.isnative


def test_gzip_is_seen_without_the_name_and_no_examples_are_an_array(write_idx):
    path = write_idx("plain-name", np.zeros((0, 28, 28), np.uint8))
    assert read_idx(path).shape == (0, 28, 28)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_idx(path).shape == (0, 28, 28)


GOOD = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
BAD = {
    "empty": (b"", "not an IDX file: .* got an empty file"),
    "wrong magic": (
        b"\x89PNG" + GOOD,
        "not an IDX file: expected 00 00, a dtype and a number of axes, got 89 50 4e 47",
    ),
    "unknown dtype": (b"\0\0\x0a" + GOOD[3:], "not an IDX file"),
    "no axes": (b"\0\0\x08\0" + GOOD[4:], "not an IDX file"),
    "cut in the magic": (GOOD[:3], "not an IDX file"),
    "cut in the header": (GOOD[:9], "truncated: the header of 2 axes takes 12 bytes, the file has 9"),
    "cut in the numbers": (GOOD[:-1], r"truncated: the header announces 6 bytes of shape \(2, 3\), the file has 5"),
    "over-long": (GOOD + b"\0", r"over-long: the header announces 6 bytes of shape \(2, 3\), the file has more"),
    "too large": (b"\0\0\x0e\x04" + b"\xff" * 16, "the header announces [0-9]+ bytes .*, at most [0-9]+ are read"),
    "large and cut": (b"\0\0\x08\x01\x3f\xff\xff\xff", "truncated: the header announces 1073741823 bytes"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("zipped", [False, True])
def test_bad_files(case, zipped, tmp_path):
    content, message = BAD[case]
    path = tmp_path / ("bad.gz" if zipped else "bad")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_bad_gzip(tmp_path):
    path = tmp_path / "file.gz"
    packed = gzip.compress(GOOD)
    for content, message in [
        (GOOD, "expected gzip, as the name says, got a file that is not gzipped"),
        (packed[:-3], "damaged gzip"),
        (packed[:12], "damaged gzip"),
        (packed[:12] + bytes([packed[12] ^ 255]) + packed[13:], "damaged gzip"),
        (packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:], "damaged gzip: CRC check failed"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path)


def test_a_small_file_that_unpacks_to_much_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(50_000_000)))
    taken = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: taken.append(size) or read(self, size))
    with pytest.raises(DataError, match=r"over-long"):
        read_idx(path)
    assert sum(taken) == len(GOOD) + 1
    assert min(taken) > 0


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(DataError, match=r"no-such-file: cannot be read: No such file or directory$"):
        read_idx(tmp_path / "no-such-file")
    with pytest.raises(DataError, match=r"cannot be read: Is a directory$"):
        read_idx(tmp_path)
