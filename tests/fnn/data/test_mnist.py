import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from fnn import DataError, load_mnist
from fnn.data import mnist
from fnn.data.idx_folder import FILES


@pytest.fixture
def folder(write_idx, tmp_path, monkeypatch):
    """Four files of the right names and a few images, whose digests stand in for those of MNIST."""
    digests = {}
    for part, name in FILES.items():
        n = 12 if part.startswith("train") else 10
        array = np.zeros((n, 28, 28), np.uint8) if part.endswith("images") else np.arange(n).astype(np.uint8) % 10
        content = write_idx(f"set/{name}", array).read_bytes()
        digests[part] = hashlib.sha256(content).hexdigest()
        (tmp_path / f"set/{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(mnist, "SHA256", digests)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "set"


def test_from_a_folder(folder):
    data = load_mnist(folder)
    assert (data.name, data.n_classes, data.scale) == ("mnist", 10, 255.0)
    assert data.train.x.shape == (12, 28, 28, 1)


def test_a_changed_file_is_refused(folder):
    path = folder / FILES["test_labels"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"t10k-labels-idx1-ubyte: not the original: expected SHA-256 .* got [0-9a-f]{64}$"
    ):
        load_mnist(folder)
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: truncated"):
        load_mnist(folder)


@pytest.fixture
def mirror(folder, monkeypatch):
    """A server of the folder's files that counts what is asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        here = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(mnist, "MIRRORS", (f"{here}/not-here/", f"{here}/"))
        yield asked
        server.shutdown()
        thread.join()


def test_downloaded_once_checked_and_kept(folder, mirror, tmp_path):
    expected = load_mnist(folder)
    assert not mirror
    np.testing.assert_array_equal(load_mnist().train.y, expected.train.y)
    assert mirror.count("/train-images-idx3-ubyte.gz") == 1  # from the second mirror, after the first had none
    before = len(mirror)
    load_mnist()
    assert len(mirror) == before
    assert sorted(p.name for p in (tmp_path / "cache/fnn/mnist").iterdir()) == sorted(f"{n}.gz" for n in FILES.values())


def test_a_wrong_download_is_not_kept(folder, mirror, tmp_path):
    (folder / f"{FILES['train_images']}.gz").write_bytes(gzip.compress(b"<html>not found</html>"))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: not an IDX file"):
        load_mnist()
    assert list((tmp_path / "cache/fnn/mnist").iterdir()) == []


def test_no_mirror_answers(folder, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match=r"^mnist: train-images-idx3-ubyte.gz could not be downloaded, name a folder"):
        load_mnist()
