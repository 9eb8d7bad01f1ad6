"""How much of the error reaches each layer of a deep network: with sigmoids next to nothing, with relus most of it."""

import jax

import fnn

x, y, _ = fnn.load_digits().train
batch = x[:64], y[:64]
first = {}
for activation in (fnn.sigmoid, fnn.relu):
    model = fnn.mlp([64] * 8, 10, activation=activation)
    params, state = model.init(jax.random.key(0), x[:1])
    print(f"{'layer':14}{'activation':>11}{'gradient':>11}{'of weights':>11}{'dead':>6}")
    rows = fnn.inspect(model, fnn.softmax_cross_entropy_with_integer_labels, params, state, batch)
    for row in rows:
        print(f"{row.name:14}{row.activation:11.4f}{row.gradient:11.2e}{row.weight_gradient:11.2e}{row.dead:6.0%}")
    first[activation.__name__] = rows[1].weight_gradient
