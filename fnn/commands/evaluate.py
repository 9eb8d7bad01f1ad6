"""``fnn evaluate``: judges a trained network."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from fnn.commands.job import judge_test
from fnn.commands.kept import data_for, load_trained
from fnn.evaluation import predict
from fnn.loading import describe_data
from fnn.progress import print_json, print_table


def evaluate(options: Namespace) -> None:
    """Judges a trained network by held-out examples: loss, and for classes accuracy, in all and by class.

    Raises:
        InputError: the run or the data are missing, damaged, or do not fit each other.
    """
    trained = load_trained(options)
    prepared = data_for(trained, options)
    data = prepared.data
    means = judge_test(trained.model, trained.params, trained.state, prepared, trained.task)
    n = len(data.test.x)
    head = {"command": "evaluate", "run": str(trained.run), "data": describe_data(prepared), "examples": n, **means}
    if data.task == "regression":
        root = means["loss"] ** 0.5
        if options.json:
            print_json(head | {"root_mean_squared_error": root})
        else:
            print(
                f"{trained.run} on {data.name}: mean squared error {means['loss']:.6g}, its root {root:.6g} ({n} rows)"
            )
        return
    outputs = predict(trained.model, trained.params, trained.state, data.test.x)
    hits = outputs.argmax(axis=-1) == data.test.y
    names = trained.data["class_names"]
    by_class = [
        {"class": k, "examples": int(count), "accuracy": float(hits[data.test.y == k].mean()) if count else None}
        | ({"name": names[k]} if names else {})
        for k, count in enumerate(np.bincount(data.test.y, minlength=data.n_classes))
    ]
    if options.json:
        print_json(head | {"classes": by_class})
        return
    what = "images" if len(trained.shape) > 1 else "rows"
    print(f"{trained.run} on {data.name}: accuracy {means['accuracy']:.4f}, loss {means['loss']:.4f} ({n} {what})")
    cells = [
        [str(c.get("name", c["class"])), str(c["examples"]), f"{c['accuracy']:.4f}" if c["examples"] else "-"]
        for c in by_class
    ]
    print_table("by class", ["class", what, "accuracy"], cells)
