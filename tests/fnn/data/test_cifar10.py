import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from fnn import DataError
from fnn.data import cifar10, load_cifar10, originals

N = 3  # images per file, instead of 10,000
IMAGES = np.random.default_rng(0).integers(0, 256, (6 * N, 32, 32, 3), np.uint8)
LABELS = np.arange(6 * N, dtype=np.uint8) % 10
NAMES = (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)


@pytest.fixture
def files(monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_PER_FILE", N)
    channels_first = IMAGES.transpose(0, 3, 1, 2).reshape(6 * N, -1)
    records = np.concatenate([LABELS[:, None], channels_first], axis=1).reshape(6, -1)
    return {name: row.tobytes() for name, row in zip(NAMES, records, strict=True)}


@pytest.fixture
def folder(files, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def pack(path, files, monkeypatch, prefix="cifar-10-batches-bin/"):
    """An archive, whose digest stands in for that of the original."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"../evil.bin": b"x", f"{prefix}batches.meta.txt": b"airplane", **files}.items():
            member = tarfile.TarInfo(name if "/" in name else prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def check(data):
    assert (data.name, data.n_classes, data.class_names[3]) == ("cifar10", 10, "cat")
    x, y = (np.concatenate([data.train[i], data.test[i]]) for i in (0, 1))
    np.testing.assert_array_equal(x, IMAGES / np.float32(255))
    np.testing.assert_array_equal(y, LABELS)
    assert len(data.test.x) == N
    assert data.train.x.flags.c_contiguous


def test_folder_and_archive(folder, files, monkeypatch):
    check(load_cifar10(folder))
    path = pack(folder / "cifar-10-binary.tar.gz", files, monkeypatch)
    check(load_cifar10(path))
    for name in NAMES:
        (folder / name).unlink()
    before = sorted(folder.iterdir())
    check(load_cifar10(folder))
    assert sorted(folder.iterdir()) == before  # nothing is unpacked
    assert not (folder.parent / "evil.bin").exists()


def test_downloaded_once(tmp_path, files, monkeypatch):
    served = pack(tmp_path / "cifar-10-binary.tar.gz", files, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cifar10, "MIRRORS", (tmp_path.as_uri() + "/",))
    check(load_cifar10())
    served.unlink()
    check(load_cifar10())
    assert [path.name for path in originals.cache_dir("cifar10").iterdir()] == ["cifar-10-binary.tar.gz"]


def test_damaged_files(folder, files, tmp_path):
    def broken(name, content, message):
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            load_cifar10(folder)
        (folder / name).write_bytes(files[name])

    whole = files["data_batch_3.bin"]
    broken("data_batch_3.bin", whole[:-1], r"data_batch_3.bin: expected 9219 bytes, 3 images of 3073, got 9218$")
    broken("data_batch_3.bin", whole + b"x", r"data_batch_3.bin: expected 9219 bytes, .* got more$")
    broken("data_batch_3.bin", b"", r"data_batch_3.bin: expected 9219 bytes, .* got 0$")
    wrong = bytearray(whole)
    wrong[3073] = 10
    broken("data_batch_3.bin", wrong, r"data_batch_3.bin: expected classes from 0 to 9, got 10 \(image 1\)$")
    (folder / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch.bin: cannot be read: No such file"):
        load_cifar10(folder)


def test_damaged_archives(tmp_path, files, monkeypatch):
    path = pack(tmp_path / "a.tar.gz", files, monkeypatch)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.tar.gz: not the original: expected SHA-256 \w{64}, got \w{64}$"):
        load_cifar10(path)
    del files["data_batch_5.bin"]
    with pytest.raises(DataError, match=r"a.tar.gz: no cifar-10-batches-bin/data_batch_5.bin in it$"):
        load_cifar10(pack(path, files, monkeypatch))
    for content in (b"", b"not gzip", gzip.compress(b"not tar" * 500), path.read_bytes()[:-2000]):
        path.write_bytes(content)
        monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
        with pytest.raises(DataError, match=r"a.tar.gz: (damaged archive|cannot be read): "):
            load_cifar10(path)
