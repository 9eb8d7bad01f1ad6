"""How much of the ecosystem's differentiable functions does ``verify.prove_gradient`` decide?

Every differentiable function of jax.nn, every loss of optax, every layer of flax.linen and the activations, losses and
layers of fnn: the verdict, the time, and where nothing was decided, why.

    python -m benchmarks.gradient_coverage            a table (markdown) on stdout
    python -m benchmarks.gradient_coverage --json     one JSON document
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import fnn.activations
import fnn.layers
import fnn.losses
from verify.gradients.prove import prove_gradient

Case = tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def normal(*shape: int, seed: int = 0) -> jax.Array:
    """Standard normal numbers."""
    return jnp.asarray(np.random.default_rng(seed + 7 * len(shape)).standard_normal(shape), jnp.float32)


def jax_nn() -> Iterator[Case]:
    """The differentiable functions of jax.nn (scaled_matmul has no derivative in JAX, one_hot none at all)."""
    x = normal(3, 4)
    plain = (
        "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid log_softmax "
        "logmeanexp logsumexp mish relu relu6 selu sigmoid silu soft_sign softmax softplus sparse_plus sparse_sigmoid "
        "squareplus standardize swish tanh glu"
    )
    for name in plain.split():
        yield name, getattr(jax.nn, name), (x,), {}
    yield "gelu (exact)", lambda x: jax.nn.gelu(x, approximate=False), (x,), {}
    yield "log1mexp", jax.nn.log1mexp, (jnp.abs(x) + 0.1,), {}
    yield "softmax (where)", lambda x: jax.nn.softmax(x, where=jnp.arange(4) < 3), (x,), {}
    q = normal(1, 5, 2, 4)
    yield (
        "dot_product_attention",
        lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True),
        (q, q + 1, q * 2),
        {"argnums": (0, 1, 2)},
    )


def optax_losses() -> Iterator[Case]:
    """The losses of optax."""
    losses = optax.losses
    x, y = normal(3, 4), normal(3, 4, seed=1)
    labels, ids = jax.nn.softmax(y), jnp.array([0, 2, 1])
    signs = jnp.sign(y)
    binary = (y > 0).astype(jnp.float32)
    both = {"argnums": (0, 1)}
    for name in ["squared_error", "l2_loss", "huber_loss", "log_cosh", "cosine_similarity", "cosine_distance"]:
        yield name, getattr(losses, name), (x, y), both
    for name in ["hinge_loss", "perceptron_loss"]:
        yield name, getattr(losses, name), (x, signs), {}
    for name in ["sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "sparsemax_loss", "binary_dice_loss"]:
        yield name, getattr(losses, name), (x, binary), {}
    for name in ["softmax_cross_entropy", "safe_softmax_cross_entropy", "poly_loss_cross_entropy"]:
        yield name, getattr(losses, name), (x, labels), both
    yield "dice_loss", losses.dice_loss, (x, binary), {}
    yield "multiclass_generalized_dice_loss", losses.multiclass_generalized_dice_loss, (x, labels), {}
    yield "softmax_cross_entropy_with_integer_labels", losses.softmax_cross_entropy_with_integer_labels, (x, ids), {}
    for name in ["multiclass_hinge_loss", "multiclass_perceptron_loss", "multiclass_sparsemax_loss"]:
        yield name, getattr(losses, name), (x, ids), {}
    log_p, q = jax.nn.log_softmax(x), labels
    for name in ["kl_divergence", "convex_kl_divergence", "generalized_kl_divergence"]:
        yield name, getattr(losses, name), (log_p, q), both
    yield "kl_divergence_with_log_targets", losses.kl_divergence_with_log_targets, (log_p, jnp.log(q)), both
    yield "ranking_softmax_loss", losses.ranking_softmax_loss, (x, jnp.abs(y)), {}
    yield "smooth_labels", lambda y: losses.smooth_labels(y, 0.1), (labels,), {}
    yield "triplet_margin_loss", losses.triplet_margin_loss, (x, y, normal(3, 4, seed=2)), {"argnums": (0, 1, 2)}
    yield "ntxent", lambda x: losses.ntxent(x, jnp.array([0, 0, 1])), (x,), {}
    fenchel_young = losses.make_fenchel_young_loss(lambda v: jax.nn.logsumexp(v, axis=-1))
    yield "make_fenchel_young_loss", fenchel_young, (x, labels), both
    logits, none = normal(2, 5, 4), jnp.zeros((2, 5))
    targets, target_padding = jnp.array([[1, 2], [3, 1]]), jnp.zeros((2, 2))
    yield "ctc_loss", lambda z: losses.ctc_loss(z, none, targets, target_padding), (logits,), {}
    yield (
        "ctc_loss_with_forward_probs",
        lambda z: losses.ctc_loss_with_forward_probs(z, none, targets, target_padding),
        (logits,),
        {},
    )


def module_case(name: str, module: Any, *inputs: Any, **call: Any) -> Case:
    """A flax module with fresh parameters, as a case."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = module.init(keys, *inputs, **call)
    params, rest = variables.get("params", {}), {k: v for k, v in variables.items() if k != "params"}

    def apply(params: Any, *inputs: Any) -> Any:
        collections = {"params": params, **rest}
        return module.apply(collections, *inputs, **call, mutable=list(rest), rngs={"dropout": keys["dropout"]})[0]

    floating = [i for i, x in enumerate(inputs, start=1) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
    numbers = ([0] if jax.tree_util.tree_leaves(params) else []) + floating
    return name, apply, (params, *inputs), {"argnums": tuple(numbers)}


def flax_linen() -> Iterator[Case]:
    """The layers of flax.linen, parameters and inputs."""
    x, image, sequence = normal(3, 4), normal(2, 6, 6, 3), normal(2, 5, 4)
    yield module_case("Dense", nn.Dense(3), x)
    yield module_case("DenseGeneral", nn.DenseGeneral((2, 3)), x)
    yield module_case("Einsum", nn.Einsum((4, 3), "ab,bc->ac"), x)
    yield module_case("Embed", nn.Embed(6, 3), jnp.array([[0, 2], [2, 5]]))
    yield module_case("Conv", nn.Conv(4, (3, 3)), image)
    yield module_case("Conv (strided, dilated)", nn.Conv(4, (3, 3), strides=2, kernel_dilation=2), image)
    yield module_case("Conv (depthwise)", nn.Conv(6, (3, 3), feature_group_count=3), image)
    yield module_case("ConvTranspose", nn.ConvTranspose(2, (3, 3), strides=(2, 2)), image)
    yield module_case("ConvLocal", nn.ConvLocal(2, (3, 3)), normal(1, 4, 4, 2))
    yield module_case("BatchNorm (training)", nn.BatchNorm(use_running_average=False), image)
    yield module_case("BatchNorm (evaluation)", nn.BatchNorm(use_running_average=True), image)
    yield module_case("LayerNorm", nn.LayerNorm(), x)
    yield module_case("RMSNorm", nn.RMSNorm(), x)
    yield module_case("GroupNorm", nn.GroupNorm(2), normal(2, 3, 3, 4))
    yield module_case("InstanceNorm", nn.InstanceNorm(), normal(2, 3, 3, 2))
    yield module_case("WeightNorm", nn.WeightNorm(nn.Dense(3)), x)
    yield module_case("SpectralNorm", nn.SpectralNorm(nn.Dense(3)), x, update_stats=True)
    yield module_case("PReLU", nn.PReLU(), x)
    yield module_case("Dropout", nn.Dropout(0.4, deterministic=False), x)
    yield module_case(
        "MultiHeadDotProductAttention", nn.MultiHeadDotProductAttention(2, qkv_features=4), sequence, sequence
    )
    yield module_case("SelfAttention", nn.SelfAttention(2, qkv_features=4), sequence)
    cells = {
        "LSTMCell": nn.LSTMCell(3),
        "OptimizedLSTMCell": nn.OptimizedLSTMCell(3),
        "GRUCell": nn.GRUCell(3),
        "MGUCell": nn.MGUCell(3),
        "SimpleCell": nn.SimpleCell(3),
    }
    for name, cell in cells.items():
        yield module_case(f"RNN({name})", nn.RNN(cell), sequence)
    yield module_case("RNN(ConvLSTMCell)", nn.RNN(nn.ConvLSTMCell(2, (3, 3))), normal(1, 2, 4, 4, 2))
    yield module_case("Bidirectional", nn.Bidirectional(nn.RNN(nn.GRUCell(2)), nn.RNN(nn.GRUCell(2))), sequence)
    yield module_case("Sequential", nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(2)]), x)
    yield "max_pool", lambda v: nn.max_pool(v, (2, 2), (2, 2)), (image,), {}
    yield "max_pool (overlapping, padded)", lambda v: nn.max_pool(v, (3, 3), (2, 2), "SAME"), (image,), {}
    yield "avg_pool", lambda v: nn.avg_pool(v, (2, 2), (2, 2)), (image,), {}


def _model(name: str, model: Any, x: Any, **call: Any) -> Case:
    params, state = model.init(jax.random.key(0), x)

    def apply(params: Any, x: Any) -> Any:
        return model.apply(params, state, x, **call)[0]

    return name, apply, (params, x), {"argnums": (0, 1) if jax.tree_util.tree_leaves(params) else 1}


def fnn_parts() -> Iterator[Case]:
    """The activations, losses and layers of fnn."""
    x, y = normal(3, 4), normal(3, 4, seed=1)
    for name in ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "softmax"]:
        yield name, getattr(fnn.activations, name), (x,), {}
    yield "prelu", fnn.activations.prelu, (x, jnp.float32(0.25)), {"argnums": (0, 1)}
    labels, ids, binary = jax.nn.softmax(y), jnp.array([0, 2, 1]), (y > 0).astype(jnp.float32)
    for name in ["mean_squared_error", "half_squared_error"]:
        yield name, getattr(fnn.losses, name), (x, y), {}
    yield "softmax_cross_entropy", fnn.losses.softmax_cross_entropy, (x, labels), {}
    yield (
        "softmax_cross_entropy_with_integer_labels",
        fnn.losses.softmax_cross_entropy_with_integer_labels,
        (x, ids),
        {},
    )
    yield "sigmoid_binary_cross_entropy", fnn.losses.sigmoid_binary_cross_entropy, (x, binary), {}
    layers, image = fnn.layers, normal(2, 6, 6, 3)
    yield _model("dense", layers.dense(3), x)
    yield _model("conv", layers.conv(4, (3, 3)), image)
    yield _model("max_pool", layers.max_pool((2, 2)), image)
    yield _model("average_pool", layers.average_pool((2, 2)), image)
    yield _model("dropout", layers.dropout(0.4), x, key=jax.random.key(1), train=True)
    yield _model("flatten", layers.flatten(), image)
    network = layers.serial(layers.dense(5), fnn.activations.relu, layers.dense(2))
    yield _model("serial", network, x)


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "jax.nn": jax_nn,
    "optax.losses": optax_losses,
    "flax.linen": flax_linen,
    "fnn": fnn_parts,
}


def examine(group: str, case: Case) -> dict[str, Any]:
    """One row: the verdict, the time with tracing, the reason where there is one."""
    name, f, args, options = case
    start = time.perf_counter()
    proof = prove_gradient(f, *args, **options)
    return {
        "group": group,
        "name": name,
        "verdict": proof.verdict,
        "seconds": round(time.perf_counter() - start, 3),
        "reason": proof.reason or (str(proof) if proof.verdict == "WRONG" else ""),
    }


def measure(groups: list[str]) -> dict[str, Any]:
    """All rows, and the counts that the issue asks for."""
    rows = []
    for group in groups:
        for case in GROUPS[group]():
            rows.append(examine(group, case))
            print(f"{group} {case[0]}: {rows[-1]['verdict']} in {rows[-1]['seconds']} s", file=sys.stderr)
    counts = Counter(row["verdict"] for row in rows)
    decided = (counts["PROVED"] + counts["CERTIFIED"]) / len(rows)
    versions = {"jax": jax.__version__, "python": platform.python_version()}
    return {"versions": versions, "counts": dict(counts), "decided": round(decided, 4), "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Markdown: a line a group, then what was not proved, with the reason."""
    rows = result["rows"]
    verdicts = ["PROVED", "CERTIFIED", "WRONG", "INCONCLUSIVE", "UNSUPPORTED"]
    lines = ["| | functions | " + " | ".join(verdicts) + " | slowest |", "|---|---|" + "---|" * (len(verdicts) + 1)]
    for group in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == group]
        counts = Counter(row["verdict"] for row in own)
        slowest = max(row["seconds"] for row in own)
        lines.append(f"| {group} | {len(own)} | " + " | ".join(str(counts[v]) for v in verdicts) + f" | {slowest} s |")
    lines += ["", f"Proved or certified: {100 * result['decided']:.1f} %. Not proved:", ""]
    for row in rows:
        if row["verdict"] != "PROVED":
            lines.append(f"- {row['group']} {row['name']}: {row['verdict']}: {row['reason']}")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description="What verify.prove_gradient says of differentiable functions in use.")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--group", action="append", choices=list(GROUPS), help="only these groups")
    options = parser.parse_args()
    result = measure(options.group or list(GROUPS))
    print(json.dumps(result, indent=1) if options.json else table(result))


if __name__ == "__main__":
    main()
