import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, conv, max_pool


def by_definition(x, w, b, stride, dilation, groups, same):
    """The sum of the docstring of ``conv``, in NumPy loops over positions and taps."""
    kh, kw, _, n_out = w.shape
    reach = [(k - 1) * d + 1 for k, d in zip((kh, kw), dilation, strict=True)]
    if same:
        sizes = [-(-n // s) for n, s in zip(x.shape[1:3], stride, strict=True)]
        total = [max((o - 1) * s + r - n, 0) for o, s, r, n in zip(sizes, stride, reach, x.shape[1:3], strict=True)]
        x = np.pad(x, [(0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)])
    else:
        sizes = [(n - r) // s + 1 for n, s, r in zip(x.shape[1:3], stride, reach, strict=True)]
    y = np.zeros((len(x), *sizes, n_out))
    n_in, per_group = w.shape[2], n_out // groups
    for i, j, u, v, o in np.ndindex(*sizes, kh, kw, n_out):
        first = o // per_group * n_in
        pixel = x[:, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1], first : first + n_in]
        y[:, i, j, o] += pixel @ w[u, v, :, o]
    return y + b


@pytest.mark.parametrize(
    ("window", "stride", "dilation", "groups", "padding"),
    [
        ((3, 3), (1, 1), (1, 1), 1, "same"),
        ((3, 2), (2, 1), (1, 2), 1, "valid"),
        ((2, 2), (2, 3), (1, 1), 2, "same"),
        ((5, 5), (1, 1), (1, 1), 1, "valid"),
    ],
)
def test_value_by_definition(window, stride, dilation, groups, padding):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 5, 4)).astype(np.float32)
    layer = conv(6, window, stride=stride, dilation=dilation, groups=groups, padding=padding)
    params, state = layer.init(jax.random.key(0), x)
    assert params["w"].shape == (*window, 4 // groups, 6)
    params["b"] = jnp.asarray(rng.normal(size=6), jnp.float32)
    w, b = np.asarray(params["w"]), np.asarray(params["b"])
    expected = by_definition(x, w, b, stride, dilation, groups, padding == "same")
    y, _ = layer.apply(params, state, jnp.asarray(x))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_value_by_hand():
    # A window [1, 0, -1] over 1 4 9 16 finds differences: x[i-1] - x[i+1], zeros outside.
    params = {"w": jnp.array([1.0, 0.0, -1.0]).reshape(3, 1, 1)}
    y, _ = conv(1, (3,), bias=False).apply(params, {}, jnp.array([1.0, 4.0, 9.0, 16.0]).reshape(1, 4, 1))
    np.testing.assert_array_equal(y.reshape(-1), [-4, -8, -12, 9])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(0), "a whole number n_out >= 1, got n_out == 0"),
        (lambda: conv(2.5), "a whole number n_out >= 1, got n_out == 2.5"),
        (lambda: conv(2, ()), r"window to have one entry per spatial axis, such as \(3, 3\), got window == \(\)"),
        (lambda: conv(2, (3, 0)), r"window >= 1, got window == \(3, 0\)"),
        (lambda: conv(2, 3), r"window to have one entry per spatial axis, such as \(3, 3\), got window == 3"),
        (lambda: conv(2, np.ones(2)), r"window to be whole numbers, got window == array\(\[1., 1.\]\)"),
        (lambda: conv(2, stride=0), "stride >= 1, got stride == 0"),
        (lambda: conv(2, stride=1.5), "stride to be whole numbers, got stride == 1.5"),
        (lambda: conv(2, stride=None), "stride to be whole numbers, got stride == None"),
        (lambda: conv(2, dilation=True), "dilation to be whole numbers, got dilation == True"),
        (lambda: conv(2, groups=1.0), "groups that divide n_out, got 1.0 groups, n_out == 2"),
        (
            lambda: conv(2, stride=(1, 1, 1)),
            r"stride with 2 entries, one per axis of window, got stride == \(1, 1, 1\)",
        ),
        (lambda: conv(3, groups=2), "groups that divide n_out, got 2 groups, n_out == 3"),
        (lambda: conv(2, padding="full"), 'padding "same" or "valid", got padding == \'full\''),
    ],
)
def test_unfit_arguments(make, message):
    with pytest.raises(InputError, match=f"^conv: expected {message}$"):
        make()


def test_a_window_may_be_an_array():
    x = jnp.ones((1, 6, 6, 1))
    params, _ = conv(2, np.array([3, 1]), stride=np.array([2, 1])).init(jax.random.key(0), x)
    assert params["w"].shape == (3, 1, 1, 2)
    assert max_pool(np.array([2, 3])).apply({}, {}, x)[0].shape == (1, 3, 2, 1)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (conv(2), (4, 6, 6), r"x of shape \(batch, 2 spatial axes, channels\), got x.shape == \(4, 6, 6\)"),
        (
            conv(2, (3, 3), padding="valid", dilation=2),
            (1, 4, 9, 1),
            r"spatial axes of at least \(5, 5\) \(the dilated window\), got x.shape == \(1, 4, 9, 1\)",
        ),
        (conv(4, groups=2), (1, 4, 4, 3), r"channels that divide into 2 groups, got x.shape == \(1, 4, 4, 3\)"),
    ],
)
def test_unfit_input(layer, shape, message):
    with pytest.raises(InputError, match=f"^conv: expected {message}$"):
        layer.init(jax.random.key(0), jnp.ones(shape))


def test_other_channels_than_the_parameters():
    params, state = conv(2).init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))
    with pytest.raises(InputError, match=r"^conv: expected x.shape\[-1\] == 3 \(channels of params\[\"w\"\]\), got"):
        conv(2).apply(params, state, jnp.ones((1, 4, 4, 1)))
