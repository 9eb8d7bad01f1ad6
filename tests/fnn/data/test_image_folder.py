import builtins

import jax
import numpy as np
import pytest
from PIL import Image

from fnn import DataError, InputError
from fnn.data import image_folder, load_image_folder, split

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 5, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of four colour images each, PNG so that every pixel is kept."""
    for number, pixels in enumerate(PIXELS):
        kind = tmp_path / "set" / ("cat" if number < 4 else "dog")
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(kind / f"{number}.png")
    (tmp_path / "set/cat/Thumbs.db").write_bytes(b"not an image")
    (tmp_path / "set/.hidden").mkdir()
    return tmp_path / "set"


def test_every_pixel_and_class_by_number(folder):
    source = image_folder(folder)
    assert (len(source), source.class_names, source.image_shape) == (8, ("cat", "dog"), (6, 5, 3))
    batch = source.take(np.array([7, 0, 7]))
    np.testing.assert_array_equal(batch.x, PIXELS[[7, 0, 7]] / np.float32(255))
    assert (batch.x.dtype, batch.y.dtype, batch.y.tolist()) == (np.float32, np.int32, [1, 0, 1])
    np.testing.assert_array_equal(image_folder(folder, dtype=np.uint8).take(np.arange(8)).x, PIXELS)


def test_lazy_parts_and_all_in_memory(folder):
    _, held = split(image_folder(folder), 0.25, jax.random.key(0), stratify=True)
    batch = held.take(np.arange(len(held)))
    data = load_image_folder(folder, held_out=0.25)
    np.testing.assert_array_equal(data.test.x, batch.x)
    assert (data.name, data.n_classes, data.class_names, data.test.y.tolist()) == ("set", 2, ("cat", "dog"), [0, 1])


def test_train_and_test_folders(folder, tmp_path):
    (tmp_path / "both").mkdir()
    folder.rename(tmp_path / "both/train")
    Image.fromarray(PIXELS[0]).save(new(tmp_path / "both/test/cat") / "a.png")
    Image.fromarray(PIXELS[1]).save(new(tmp_path / "both/test/dog") / "b.png")
    data = load_image_folder(tmp_path / "both")
    assert (data.train.x.shape, data.test.x.shape) == ((8, 6, 5, 3), (2, 6, 5, 3))
    (tmp_path / "both/test/dog").rename(tmp_path / "both/test/cow")
    with pytest.raises(DataError, match=r"expected the same classes in train and test, got 'cow' in one only$"):
        load_image_folder(tmp_path / "both")


def new(folder):
    folder.mkdir(parents=True)
    return folder


def test_sizes_and_colours(folder):
    Image.new("L", (10, 12), 40).save(folder / "dog/grey.jpg")
    with pytest.raises(DataError, match=r"grey.jpg: expected 6 x 5 pixels like \S+0.png, got 12 x 10; a size brings"):
        image_folder(folder)
    source = image_folder(folder, size=(12, 10))
    batch = source.take(np.array([8, 0]))
    np.testing.assert_allclose(batch.x[0], 40 / 255, atol=1e-6)
    assert image_folder(folder, size=(4, 4), channels=1).take(np.array([0])).x.shape == (1, 4, 4, 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_modes_become_grey_or_colour(tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    for kind in ("a", "b"):
        image = Image.new("L", (4, 4), 255).convert(mode)
        options = {"transparency": bytes([7, 8])} if mode == "P" else {}
        image.save(new(tmp_path / kind) / f"white.{suffix}", **options)
    source = image_folder(tmp_path)
    assert source.image_shape[2] == (1 if mode in ("1", "L") else 3)
    np.testing.assert_array_equal(source.take(np.array([1])).x, 1)


def test_damaged_files_are_named(folder):
    path = folder / "cat/0.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:-60])
    source = image_folder(folder)  # the header is sound
    with pytest.raises(DataError, match=r"cat/0.png: damaged or unreadable: "):
        source.take(np.array([3, 0]))
    for content in (b"", b"GIF89a" + bytes(40), whole[:20]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cat/0.png: (expected a PNG or JPEG image|damaged)"):
            image_folder(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"cat/0.png: damaged or unreadable: No such file"):
        source.take(np.array([0]))
    Image.new("I;16", (5, 6)).save(path)
    with pytest.raises(DataError, match=r"cat/0.png: expected 8 bits per channel, got an image of mode 'I;16'$"):
        image_folder(folder)


def test_the_limit_of_pixels_is_kept(folder, monkeypatch):
    for limit in (29, 14):  # above the limit Pillow warns, above twice the limit it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=rf"0.png: more pixels than the limit of Pillow, {limit}$"):
            image_folder(folder)


def test_refusals(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cat: expected at least two sub-folders, one per class, got none$"):
        image_folder(folder / "cat")
    with pytest.raises(DataError, match=r"one per class, got only 'set'$"):
        image_folder(tmp_path)
    with pytest.raises(DataError, match=r"0.png: cannot be read: Not a directory$"):
        image_folder(folder / "cat/0.png")
    for options in ({"size": (0, 3)}, {"channels": 2}, {"dtype": np.float64}):
        with pytest.raises(InputError, match=r"^image_folder: expected "):
            image_folder(folder, **options)
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"set/empty: expected at least one image \(.png, .jpg, .jpeg\), got none$"):
        image_folder(folder)
    (folder / "empty").rmdir()
    genuine = builtins.__import__

    def without_pillow(name, *arguments, **options):
        if name == "PIL":
            raise ImportError(name)
        return genuine(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(DataError, match=r"^image folders need Pillow: pip install 'fnn\[images\]'$"):
        image_folder(folder)
