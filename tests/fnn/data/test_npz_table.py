import io
import zipfile

import numpy as np
import pytest

from fnn import DataError
from fnn.data import load_npz, npz_table

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 4


@pytest.fixture
def save(tmp_path):
    def save(compressed=False, **arrays):
        (np.savez_compressed if compressed else np.savez)(tmp_path / "table.npz", **arrays)
        return tmp_path / "table.npz"

    return save


def test_classes_held_out_and_named_arrays(save):
    data = load_npz(save(x=X, y=Y))
    assert (data.name, data.task, data.n_classes, len(data.test.x)) == ("table", "single-label", 4, 4)
    np.testing.assert_array_equal(data.train.x[:, 0] // 2 % 4, data.train.y)
    same = load_npz(save(compressed=True, inputs=X, targets=Y[:, None]), x="inputs", y="targets")
    np.testing.assert_array_equal(same.train.x, data.train.x)


def test_names_of_keras_and_bytes(save):
    images = np.full((6, 4, 4), 51, np.uint8)
    data = load_npz(save(x_train=images, y_train=Y[:6], x_test=images[:2], y_test=Y[:2]))
    assert (data.train.x.shape, data.test.x.shape, data.scale) == ((6, 4, 4, 1), (2, 4, 4, 1), 255.0)
    assert data.train.x[0, 0, 0, 0] == np.float32(0.2)


def test_text_big_endian_and_columns_first(save):
    names = np.array(["cat", "dog"])[Y % 2]
    data = load_npz(save(x=np.asfortranarray(X.astype(">f8")), y=names))
    assert (data.class_names, data.n_classes) == (("cat", "dog"), 2)
    np.testing.assert_array_equal(data.train.x[:, 0] // 2 % 2, data.train.y)
    with pytest.raises(DataError, match=r"one of the classes of the training data, got 'dog'$"):
        load_npz(save(x=X[::2], y=names[::2], x_test=X, y_test=names))


def test_regression(save):
    assert load_npz(save(x=X, y=X)).train.y.shape == (16, 2)
    data = load_npz(save(x=X, y=Y), task="regression")
    assert (data.task, data.n_classes, data.train.y.shape) == ("regression", 0, (16, 1))


def member(path, content):
    """An archive whose array x is these bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", npy(Y))
    return path


def npy(array, shape=None):
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | ({} if shape is None else {"shape": shape})
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def test_announced_sizes_are_checked_before_they_are_set_aside(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with pytest.raises(DataError, match=r"array 'x': it announces 80000000000000 bytes of shape .*, at most"):
        load_npz(member(path, npy(X, (10**13,))))
    with pytest.raises(DataError, match=r"array 'x': damaged: the header announces 8000 bytes .*, there are 320$"):
        load_npz(member(path, npy(X, (1000,))))
    monkeypatch.setattr(npz_table, "MAX_BYTES", 100)
    with pytest.raises(DataError, match=r"announces 320 bytes of shape \(20, 2\), at most 100 are read$"):
        load_npz(member(path, npy(X)))


def test_nothing_is_unpickled(save):
    with pytest.raises(DataError, match=r"array 'x': expected numbers or text, got object; nothing else is loaded$"):
        load_npz(save(x=np.array([{}, 1], object), y=Y[:2]))


def test_refusals(save, tmp_path):
    with pytest.raises(DataError, match=r"no array 'x'; there are: a, b$"):
        load_npz(save(a=X, b=Y))
    with pytest.raises(DataError, match=r"expected inputs and targets to test with, got only x_test$"):
        load_npz(save(x=X, y=Y, x_test=X))
    with pytest.raises(DataError, match=r"expected classes from 0, got -1$"):
        load_npz(save(x=X, y=Y - 1))
    with pytest.raises(DataError, match=r"expected finite numbers, got nan at x\[0, 0\]$"):
        load_npz(save(x=X * np.nan, y=Y))
    with pytest.raises(DataError, match=r"cannot be read: No such file"):
        load_npz(tmp_path / "none.npz")
    whole = save(x=X, y=Y).read_bytes()
    path = tmp_path / "damaged.npz"
    for content in (b"", b"PK", b"x,y\n1,2\n", whole[:-30], whole[:100]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"damaged.npz: no sound NumPy archive: "):
            load_npz(path)
    flipped = bytearray(whole)
    flipped[250] ^= 1  # within the numbers of x
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"damaged.npz: no sound NumPy archive: Bad CRC-32 for file 'x.npy'$"):
        load_npz(path)
    with pytest.raises(DataError, match=r"array 'x': no sound NumPy array: "):
        load_npz(member(path, b"no array"))
