import jax
import jax.numpy as jnp

from fnn import cnn, conv, count_parameters, dense, dropout, max_pool, mlp, relu, serial, summarize


def test_dense_layers_by_hand():
    rows = summarize(mlp([30], 10), jnp.ones((1, 28, 28, 1)))
    assert [row.name for row in rows] == ["00_flatten", "01_dense", "02_relu", "03_dense"]
    assert [row.output for row in rows] == [(1, 784), (1, 30), (1, 30), (1, 10)]
    assert [row.parameters for row in rows] == [0, 784 * 30 + 30, 0, 30 * 10 + 10]
    # Per output: as many multiplications as additions, and the bias.
    assert [row.flops for row in rows] == [0, 2 * 784 * 30 + 30, 30, 2 * 30 * 10 + 10]


def test_convolution_by_hand():
    (row,) = summarize(conv(8, (3, 3), padding="valid"), jnp.ones((1, 6, 6, 4)))
    assert row == ("conv", (1, 4, 4, 8), 3 * 3 * 4 * 8 + 8, 4 * 4 * 8 * (2 * 3 * 3 * 4 + 1))


def test_flops_are_those_of_one_example():
    one, many = (summarize(dense(5), jnp.ones((n, 3)))[0].flops for n in (1, 64))
    assert one == many == 2 * 3 * 5 + 5


def test_inner_layers_and_totals():
    model = serial(serial(dense(3), relu, name="inner"), dropout(0.5), dense(2))
    x = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    rows = summarize(model, x)
    assert [row.name for row in rows] == ["00_inner/00_dense", "00_inner/01_relu", "01_dropout", "02_dense"]
    assert sum(row.parameters for row in rows) == count_parameters(model.init(jax.random.key(0), x)[0]) == 23
    assert summarize(max_pool(), jnp.ones((1, 4, 4, 2)))[0].output == (1, 2, 2, 2)


def test_the_convolutional_network():
    rows = summarize(cnn(10), jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32))
    assert sum(row.parameters for row in rows) == 320 + 18_496 + 803_072 + 2_570
    assert rows[-1].output == (1, 10)
