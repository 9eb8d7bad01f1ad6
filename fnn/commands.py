"""What the commands of the command line do, given their options."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fnn import __version__, checkpoint, recipes
from fnn.activations import softmax
from fnn.data.batching import check_finite
from fnn.data.dataset import Dataset, to_inputs
from fnn.data.idx import read_idx
from fnn.errors import CheckpointError, DataError, InputError
from fnn.evaluation import evaluate as evaluate_model, predict as predict_outputs
from fnn.losses import accuracy, softmax_cross_entropy_with_integer_labels
from fnn.objectives import supervised
from fnn.progress import Progress, print_summary, print_table
from fnn.summary import count_parameters, summarize
from fnn.train import Epoch, epochs
from fnn.types import Batch, Model, Params, State, spec

_RUNS = Path("runs")
_METRICS = {"loss": softmax_cross_entropy_with_integer_labels, "accuracy": accuracy}


def train(options: Namespace) -> None:
    """Trains, judges by the held-out images, keeps the parameters, reports.

    Raises:
        InputError: data, model and options do not fit, or the parameters cannot be kept.
        DivergedError: a loss was no longer finite.
        KeyboardInterrupt: with the parameters of the last whole epoch kept, if there is one.
    """
    begin = time.perf_counter()
    out = Path(options.out) if options.out else _RUNS / f"{options.data}-{options.model}"
    checkpoint.check_replaceable(out)  # before the work, not after it
    data = recipes.load_data(options.data, options.data_dir, recipes.idx_files(options))
    recipe = recipes.choose(options, data)
    model = recipes.build(recipe.model)
    x = spec(data.train.x[:1])
    rows = summarize(model, x)
    if not options.json:
        print_summary(f"{recipe.model['name']} on {data.name}", rows)

    init_key, fit_key = jax.random.split(jax.random.key(options.seed))
    params, state = jax.jit(lambda key: model.init(key, x))(init_key)
    objective = supervised(model, _METRICS["loss"], {"accuracy": accuracy})
    about = {
        "fnn": __version__,
        "jax": jax.__version__,
        "model": recipe.model,
        "data": recipes.describe_data(data) | {"source": recipes.describe_source(options)},
        "training": recipe.training,
    }
    history: list[dict[str, Any]] = []
    last: Epoch | None = None
    n_steps = recipe.n_steps(len(data.train.x))
    try:
        with Progress(recipe.training["epochs"], n_steps) as progress:
            for last in epochs(
                objective,
                recipes.optimizer(recipe.training, n_steps),
                params,
                state,
                data.train,
                key=fit_key,
                n_epochs=recipe.training["epochs"],
                batch_size=recipe.training["batch_size"],
                on_step=progress.step,
            ):
                progress.epoch(last.number, last.metrics)
                history.append({"epoch": last.number, **last.metrics})
        assert last is not None  # at least one epoch: the options say so
        params, state = last.train_state.params, last.train_state.state
        test = evaluate_model(model, params, state, data.test, _METRICS)
    except KeyboardInterrupt:
        if last is None:
            raise KeyboardInterrupt("interrupted before the end of the first epoch; nothing is kept") from None
        _keep(out, last.train_state.params, last.train_state.state, about | {"interrupted": last.number})
        raise KeyboardInterrupt(f"interrupted; the parameters of epoch {last.number} are in {out}") from None
    _keep(out, params, state, about | {"test": test})
    seconds = time.perf_counter() - begin
    if options.json:
        document = {
            "command": "train",
            **about,
            "layers": [row._asdict() for row in rows],
            "parameters": count_parameters(params),
            "epochs": history,
            "test": test,
            "sha256": digest(params),
            "seconds": round(seconds, 3),
            "out": str(out),
        }
        _print_json(document)
        return
    print(f"held-out accuracy {test['accuracy']:.4f}, loss {test['loss']:.4f} ({len(data.test.x)} images)")
    print(f"{seconds:.1f} s; parameters kept in {out}; next: python -m fnn predict {out}")


def evaluate(options: Namespace) -> None:
    """Judges kept parameters by held-out images: loss, accuracy, accuracy by class.

    Raises:
        InputError: the parameters or the data are missing, damaged, or do not fit each other.
    """
    run = _run(options)
    model, params, state, about = _load(run)
    data = _data_for(run, about, options)
    means = evaluate_model(model, params, state, data.test, _METRICS)
    hits = predict_outputs(model, params, state, data.test.x).argmax(axis=-1) == data.test.y
    by_class = [
        {"class": k, "examples": int(n), "accuracy": float(hits[data.test.y == k].mean()) if n else None}
        for k, n in enumerate(np.bincount(data.test.y, minlength=data.n_classes))
    ]
    if options.json:
        head = {"command": "evaluate", "run": str(run), "data": recipes.describe_data(data)}
        _print_json(head | {"examples": len(hits), **means, "classes": by_class})
        return
    print(f"{run} on {data.name}: accuracy {means['accuracy']:.4f}, loss {means['loss']:.4f} ({len(hits)} images)")
    cells = [[str(c["class"]), str(c["examples"]), f"{c['accuracy']:.4f}" if c["examples"] else "-"] for c in by_class]
    print_table("by class", ["class", "images", "accuracy"], cells)


def predict(options: Namespace) -> None:
    """Classifies the images of a file, or the first held-out ones.

    Raises:
        InputError: the parameters or the images are missing, damaged, or do not fit each other.
    """
    files = recipes.idx_files(options)
    if options.images is not None and (options.data or options.data_dir or files):
        raise InputError("--images names the images; --data, --data-dir and single IDX files go without it")
    run = _run(options)
    model, params, state, about = _load(run)
    labels: np.ndarray | None = None
    if options.images is None:
        data = _data_for(run, about, options)
        count = options.count or 10
        source, x, labels = f"{data.name}, held out", data.test.x[:count], data.test.y[:count]
    else:
        source, x = options.images, _images(options.images, run, about)[: options.count]
    probabilities = np.asarray(softmax(predict_outputs(model, params, state, x)))
    if not np.isfinite(probabilities).all():
        place = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise InputError(f"{run}: the outputs for image {place} of {source} are not finite: weights or pixels are huge")
    predictions = [
        {"index": i, "class": int(p.argmax()), "probability": float(p.max()), "probabilities": p.tolist()}
        | ({} if labels is None else {"label": int(labels[i])})
        for i, p in enumerate(probabilities)
    ]
    if options.json:
        _print_json({"command": "predict", "run": str(run), "images": source, "predictions": predictions})
        return
    columns = ["image", "class", "probability"] + ([] if labels is None else ["label", ""])
    cells = [
        [str(p["index"]), str(p["class"]), f"{p['probability']:.4f}"]
        + ([] if labels is None else [str(p["label"]), "" if p["class"] == p["label"] else "wrong"])
        for p in predictions
    ]
    print_table(f"{run} on {source}", columns, cells)


def digest(params: Params) -> str:
    """SHA-256 over the names, shapes, dtypes and bytes of all parameters: equal digests, equal bits.

    Example:
        >>> digest({"w": np.zeros(2, np.float32)}) == digest({"w": np.zeros(2, np.float32)})
        True
    """
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(params)):
        sha.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}\n".encode())
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return sha.hexdigest()


def _keep(out: Path, params: Params, state: State, about: dict[str, Any]) -> None:
    checkpoint.save(out, {"params": params, "state": state}, about)


def _run(options: Namespace) -> Path:
    return Path(options.run) if options.run else checkpoint.find_newest(_RUNS)


def _load(run: Path) -> tuple[Model, Params, State, dict[str, Any]]:
    about = checkpoint.describe(run)
    try:
        model = recipes.build(about["model"])
        x = spec(np.broadcast_to(np.float32(0), (1, *about["data"]["input_shape"])))
        like = jax.eval_shape(lambda: dict(zip(("params", "state"), model.init(jax.random.key(0), x), strict=True)))
        if not 0 < float(about["data"]["scale"]) < math.inf or not isinstance(about["data"]["n_classes"], int):
            raise ValueError("scale or n_classes")
        dict(about["data"].get("source", {}).get("files", {}))
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{run}: was not kept by train: its description lacks or garbles {error}") from None
    tree = checkpoint.load(run, like)
    return model, tree["params"], tree["state"], about


def _data_for(run: Path, about: dict[str, Any], options: Namespace) -> Dataset:
    source = about["data"].get("source", {})
    files = recipes.idx_files(options)
    if options.data is None and options.data_dir is None and not files:
        named: tuple[Any, Any, Any] = source.get("data"), source.get("data_dir"), source.get("files", {})
    else:
        named = options.data or source.get("data"), options.data_dir, files
    data = recipes.load_data(*named, n_classes=about["data"]["n_classes"])
    expected = tuple(about["data"]["input_shape"])
    if data.test.x.shape[1:] != expected:
        raise InputError(f"{run}: expected images of shape {expected}, {data.name} has {data.test.x.shape[1:]}")
    if data.n_classes != about["data"]["n_classes"]:
        raise InputError(f"{run}: expected {about['data']['n_classes']} classes, {data.name} has {data.n_classes}")
    scale = float(about["data"]["scale"])
    if data.scale != scale:  # the network has learned from numbers divided by its own
        x = data.test.x * np.float32(data.scale / scale)
        data = data._replace(test=data.test._replace(x=x), scale=scale)
    return data


def _images(path: str, run: Path, about: dict[str, Any]) -> np.ndarray:
    images = read_idx(path)
    if images.ndim < 2 or not images.size:
        raise DataError(f"{path}: expected at least one image, an array of shape (n, ...), got shape {images.shape}")
    x = to_inputs(images, about["data"]["scale"])
    expected = tuple(about["data"]["input_shape"])
    if x.shape[1:] != expected:
        raise InputError(f"{run}: expected images of shape {expected}, {path} has {x.shape[1:]}")
    check_finite(Batch(x), path)
    return x


def _print_json(document: dict[str, Any]) -> None:
    json.dump(_finite(document), sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for what is not finite, such as the loss of a ruined network."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
