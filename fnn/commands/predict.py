"""``fnn predict``: what a trained network says of examples."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np

from fnn.arguments import given_data
from fnn.commands.inputs import read_inputs
from fnn.commands.kept import Trained, data_for, load_trained
from fnn.errors import InputError
from fnn.evaluation import predict as predict_outputs
from fnn.progress import print_json, print_table
from fnn.recipes import in_units


def predict(options: Namespace) -> None:
    """Predicts for the examples of a file, or the first held-out ones.

    Raises:
        InputError: the run or the examples are missing, damaged, or do not fit each other.
    """
    if options.input is not None and given_data(options):
        raise InputError("--input names the examples; --data and what belongs to it go without it")
    trained = load_trained(options)
    targets: np.ndarray | None = None
    if options.input is None:
        data = data_for(trained, options).data
        count = options.count or 10
        source, x, targets = f"{data.name}, held out", data.test.x[:count], data.test.y[:count]
        if trained.targets is not None:
            targets = targets * trained.targets.spread + trained.targets.mean
    else:
        source, x = options.input, read_inputs(options.input, trained)[: options.count]
    model = in_units(trained.model, trained.targets)
    outputs = np.asarray(trained.task.activation(predict_outputs(model, trained.params, trained.state, x)))
    if not np.isfinite(outputs).all():
        place = int(np.flatnonzero(~np.isfinite(outputs).all(axis=1))[0])
        raise InputError(
            f"{trained.run}: the outputs for example {place} of {source} are not finite: weights or inputs are huge"
        )
    classes = trained.data["task"] == "single-label"
    predictions = (_classes if classes else _numbers)(trained, outputs, targets)
    if options.json:
        print_json({"command": "predict", "run": str(trained.run), "input": source, "predictions": predictions})
        return
    (_print_classes if classes else _print_numbers)(f"{trained.run} on {source}", predictions)


def _classes(trained: Trained, outputs: np.ndarray, targets: np.ndarray | None) -> list[dict[str, Any]]:
    names = trained.data["class_names"]
    predictions = []
    for i, p in enumerate(outputs):
        one = {"index": i, "class": int(p.argmax()), "probability": float(p.max()), "probabilities": p.tolist()}
        one |= {"name": names[int(p.argmax())]} if names else {}
        if targets is not None:
            label = int(targets[i])
            one |= {"label": label} | ({"label_name": names[label]} if names else {})
        predictions.append(one)
    return predictions


def _numbers(trained: Trained, outputs: np.ndarray, targets: np.ndarray | None) -> list[dict[str, Any]]:
    return [
        {"index": i, "values": values.tolist()} | ({} if targets is None else {"targets": targets[i].tolist()})
        for i, values in enumerate(outputs)
    ]


def _print_classes(title: str, predictions: list[dict[str, Any]]) -> None:
    judged = "label" in predictions[0]
    cells = [
        [str(p["index"]), str(p.get("name", p["class"])), f"{p['probability']:.4f}"]
        + ([str(p.get("label_name", p["label"])), "" if p["class"] == p["label"] else "wrong"] if judged else [])
        for p in predictions
    ]
    print_table(title, ["example", "class", "probability"] + (["label", ""] if judged else []), cells)


def _print_numbers(title: str, predictions: list[dict[str, Any]]) -> None:
    judged = "targets" in predictions[0]

    def text(values: list[float]) -> str:
        return " ".join(f"{value:.6g}" for value in values)

    cells = [[str(p["index"]), text(p["values"])] + ([text(p["targets"])] if judged else []) for p in predictions]
    print_table(title, ["example", "value"] + (["target"] if judged else []), cells)
