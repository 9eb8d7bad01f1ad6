"""Networks as scikit-learn estimators: for its pipelines, its searches over hyperparameters, its metrics."""

# scikit-learn comes without types, so its base classes are Any.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fnn import activations
from fnn.callbacks import Callback, early_stopping, keep_best
from fnn.data.batching import effective_size
from fnn.data.splitting import split
from fnn.errors import expect, is_real, is_whole
from fnn.evaluation import evaluate, predict
from fnn.models import mlp
from fnn.objectives import supervised
from fnn.tasks import for_task
from fnn.train import Validate, fit
from fnn.types import Batch, ExampleLoss, Model, Objective, Params, State

ModelMaker = Callable[[int, int], Model]
"""``(n_features, n_outputs) -> Model``, from ``(batch, n_features)`` to ``(batch, n_outputs)``."""

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": activations.relu,
    "leaky_relu": activations.leaky_relu,
    "elu": activations.elu,
    "softplus": activations.softplus,
    "tanh": activations.tanh,
    "sigmoid": activations.sigmoid,
}
_OPTIMIZERS = ("adam", "sgd")
_ROWS = 128  # that are predicted at a time


class _Program(NamedTuple):
    """What is compiled once and serves every training of one kind."""

    model: Model
    init: Callable[..., tuple[Params, State]]
    loss: ExampleLoss
    objective: Objective
    optimizer: optax.GradientTransformation


class _Network(BaseEstimator):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        *,
        activation: str | Callable[[Any], Any] = "relu",
        model: ModelMaker | None = None,
        optimizer: str | optax.GradientTransformation = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int | None = 64,
        n_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.model = model
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _train(self, x: np.ndarray, y: np.ndarray, sample_weight: Any, task: str, n_outputs: int) -> None:
        where = type(self).__name__
        weights = _weights(where, sample_weight, x)
        counts = weights > 0
        sound = is_whole(self.n_epochs) and self.n_epochs >= 1
        expect(sound, where, "a whole number n_epochs >= 1", f"n_epochs == {self.n_epochs!r}")
        effective_size(self.batch_size, len(x), where)  # for its errors: fit asks for it again
        _check_stopping(where, self.validation_fraction, self.n_iter_no_change)
        # Kept apart from the hyperparameters, which may be set anew before what was learned is used.
        self._network = *self._recipe(where, x.shape[1]), n_outputs
        optimizer = self.optimizer, self.learning_rate, self.weight_decay
        _check_optimizer(where, *optimizer)
        # As plain numbers, by which the program is known.
        rates = (rate if callable(rate) else float(rate) for rate in optimizer[1:])
        program = _program(*self._network, task, self.optimizer, *rates)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        init_key, fit_key = jax.random.split(jax.random.key(seed))
        params, state = program.init(init_key, x[:1])
        data = Batch(x[counts], y[counts], weights[counts])
        validate: Validate | None = None
        callbacks: tuple[Callback, ...] = ()
        if self.early_stopping:
            split_key, stratify = jax.random.fold_in(fit_key, 0), task == "single-label"
            data, held_out = split(data, self.validation_fraction, split_key, stratify=stratify)
            validate = partial(_validation_loss, program, held_out)
            patience = self.n_iter_no_change
            callbacks = keep_best("validation_loss"), early_stopping("validation_loss", patience=patience)
        if self.model is None and _is_full(len(data.x), self.batch_size):
            data = _merged(*data)
        data = _filled(*data, self.batch_size)
        fitted = fit(
            program.objective,
            program.optimizer,
            params,
            state,
            data,
            key=fit_key,
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            validate=validate,
            callbacks=callbacks,
        )
        learned, self.best_epoch_ = (fitted.params, fitted.state), len(fitted.history)
        if callbacks and fitted.callbacks[0]["epoch"]:  # 0 if no validation loss was a number
            best = fitted.callbacks[0]
            learned, self.best_epoch_ = (best["params"], best["state"]), int(best["epoch"])
        self.params_, self.state_ = jax.device_get(learned)
        self.history_ = fitted.history

    def _recipe(self, where: str, n_features: int) -> tuple[Any, int | None]:
        """What the model is made of. A multilayer perceptron is one model for all numbers of features."""
        if self.model is not None:
            expect(callable(self.model), where, "model to be a function or None", repr(self.model))
            return self.model, n_features
        activation = self.activation
        if isinstance(activation, str):
            names = ", ".join(_ACTIVATIONS)
            expect(activation in _ACTIVATIONS, where, f"an activation of {names}", repr(activation))
            activation = _ACTIVATIONS[activation]
        expect(callable(activation), where, "activation to be a name or a function", repr(activation))
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes))
        sound = sizes.ndim == 1 and (sizes.size == 0 or (sizes.dtype.kind in "iu" and sizes.min() >= 1))
        expect(sound, where, "hidden_layer_sizes to be whole numbers >= 1", repr(self.hidden_layer_sizes))
        return (tuple(int(size) for size in sizes), activation), None

    def _outputs(self, x: Any) -> np.ndarray:
        """What the last layer gives, float32 (n_samples, n_outputs)."""
        check_is_fitted(self)
        checked = np.asarray(validate_data(self, x, dtype=np.float32, reset=False))
        # Always as many rows at a time, so that one program serves for all, and an example gives the same bits
        # whatever stands beside it.
        rows = np.arange(-(-len(checked) // _ROWS) * _ROWS) % len(checked)
        model = _model(*self._network)
        outputs = predict(model, self.params_, self.state_, checked[rows], batch_size=_ROWS)
        found: np.ndarray = outputs[: len(checked)]
        return found


class NetworkClassifier(ClassifierMixin, _Network):
    """A network that tells classes apart, as a scikit-learn classifier: softmax and cross-entropy.

    Scale the features (``StandardScaler``). Everything is computed in float32.

    Args:
        hidden_layer_sizes: the widths of the hidden layers; ``()`` makes a linear model.
        activation: after each hidden layer: ``"relu"``, ``"leaky_relu"``, ``"elu"``, ``"softplus"``, ``"tanh"``,
            ``"sigmoid"``, or a function of arrays.
        model: any other network: ``(n_features, n_outputs) -> Model``. Then the two above are not used.
        optimizer: ``"adam"``, ``"sgd"``, or any Optax gradient transformation; with the latter the two below are not
            used.
        learning_rate: of ``"adam"`` and ``"sgd"``; a number, or an Optax schedule.
        weight_decay: each step takes ``learning_rate * weight_decay * w`` off each weight; biases are left alone.
        batch_size: examples per update, ``None`` for all. If that is all of them, a weight of 2 is the example given
            twice, to the bit.
        n_epochs: passes over the examples, at most.
        early_stopping: whether some examples are held out, training ends when the loss on them no longer falls, and the
            parameters of the epoch in which it was lowest are what is learned.
        validation_fraction: how much is held out then, between 0 and 1; of each class alike, in a classifier.
        n_iter_no_change: how many epochs in a row without a lower loss end it.
        random_state: decides the first parameters, the order of the examples, what dropout drops and which examples
            are held out.

    Attributes:
        classes_: the labels, sorted, of shape (n_classes,).
        n_features_in_: how many features ``fit`` saw; ``feature_names_in_``: their names, if they had some.
        params_: the learned parameters, NumPy arrays; ``state_``: the model's state.
        history_: the metrics of each epoch, one dict per epoch; with early stopping there is a ``"validation_loss"``.
        best_epoch_: the epoch, from 1, after which the parameters were those learned: the last without early stopping.

    Raises:
        InputError: in ``fit``, a hyperparameter is out of range, or there are too few examples to hold some out. It is
            a ``ValueError``, as scikit-learn's own are.
        DivergedError: in ``fit``, a number was no longer finite.

    Example:
        >>> x, y = np.array([[-1.0], [-0.5], [0.5], [1.0]]), ["no", "no", "yes", "yes"]
        >>> classifier = NetworkClassifier((8,), learning_rate=0.1, n_epochs=20, random_state=0).fit(x, y)
        >>> classifier.predict([[-0.8], [0.8]]).tolist()
        ['no', 'yes']
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Learns from the beginning.

        Args:
            X: features, (n_samples, n_features).
            y: labels of any kind, (n_samples,).
            sample_weight: how much each example counts, (n_samples,); ``None`` for all alike.

        Returns:
            Itself.
        """
        x, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self._train(np.asarray(x), numbers.astype(np.int32), sample_weight, "single-label", len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, float32 (n_samples, n_classes), in the order of ``classes_``."""
        logits = self._outputs(X).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
        return shares.astype(np.float32)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example, (n_samples,)."""
        best = self._outputs(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels


class NetworkRegressor(RegressorMixin, _Network):
    """A network that predicts numbers, as a scikit-learn regressor: linear outputs and the mean squared error.

    Scale the features (``StandardScaler``) and, where they are far from 1 in size, the targets
    (``TransformedTargetRegressor``). Everything is computed in float32. Arguments, attributes and errors are those of
    :class:`NetworkClassifier`, but for ``classes_``.

    Example:
        >>> x = np.linspace(-1, 1, 9)[:, None]
        >>> regressor = NetworkRegressor((), learning_rate=0.1, n_epochs=200, random_state=0).fit(x, 2 * x[:, 0] + 1)
        >>> regressor.predict([[0.5]]).round(2).tolist()
        [2.0]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Learns from the beginning.

        Args:
            X: features, (n_samples, n_features).
            y: targets, (n_samples,) or (n_samples, n_targets).
            sample_weight: how much each example counts, (n_samples,); ``None`` for all alike.

        Returns:
            Itself.
        """
        x, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        self._target = y.shape[1:], y.dtype if y.dtype.kind == "f" else np.dtype(np.float32)
        targets = np.asarray(y, np.float32).reshape(len(y), -1)
        self._train(np.asarray(x), targets, sample_weight, "regression", targets.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The predicted numbers, of the shape that the targets had, and their dtype if it was a floating one."""
        outputs = self._outputs(X)
        shape, dtype = self._target
        return outputs.astype(dtype).reshape(-1, *shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _weights(where: str, sample_weight: Any, x: np.ndarray) -> np.ndarray:
    if sample_weight is None:
        return np.ones(len(x), np.float32)
    if isinstance(sample_weight, int | float):
        sample_weight = np.full(len(x), sample_weight)
    weights = np.asarray(check_array(sample_weight, ensure_2d=False, dtype=np.float32, input_name="sample_weight"))
    expect(weights.ndim == 1, where, "sample_weight of shape (n_samples,)", f"shape {weights.shape}")
    check_consistent_length(x, weights)
    expect(bool((weights >= 0).all()), where, "sample weights >= 0", f"a smallest of {weights.min()}")
    expect(bool((weights > 0).any()), where, "a sample weight above zero", "all sample weights zero")
    return weights


def _check_stopping(where: str, fraction: float, patience: int) -> None:
    between = is_real(fraction) and 0 < fraction < 1
    expect(between, where, "validation_fraction between 0 and 1", f"validation_fraction == {fraction!r}")
    sound = is_whole(patience) and patience >= 1
    expect(sound, where, "a whole number n_iter_no_change >= 1", f"n_iter_no_change == {patience!r}")


def _validation_loss(program: _Program, held_out: Batch, params: Params, state: State) -> dict[str, float]:
    return evaluate(program.model, params, state, held_out, {"validation_loss": program.loss})


def _is_full(n: int, batch_size: int | None) -> bool:
    return batch_size is None or n <= batch_size


def _merged(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Batch:
    """Each different example once, in one order, its weights added up: the same full batch however it was given."""
    pairs = np.concatenate([x, y.reshape(len(y), -1).astype(np.float64)], axis=1)
    _, first, which = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return Batch(x[first], y[first], np.bincount(which.ravel(), weights).astype(np.float32))


def _filled(x: np.ndarray, y: np.ndarray, weights: np.ndarray, batch_size: int | None) -> Batch:
    """The examples; if they are less than a batch, as many as a power of two, the rest of weight 0.

    So the folds of a cross-validation, which differ by an example, are trained by one compiled program.
    """
    n = len(x)
    if not _is_full(n, batch_size) or batch_size is None:
        return Batch(x, y, weights)
    size = min(batch_size, 1 << (n - 1).bit_length())
    rows = np.arange(size)
    return Batch(x[rows % n], y[rows % n], np.where(rows < n, weights[rows % n], 0).astype(np.float32))


def _check_optimizer(where: str, optimizer: Any, learning_rate: Any, weight_decay: float) -> None:
    known = optimizer in _OPTIMIZERS if isinstance(optimizer, str) else hasattr(optimizer, "update")
    expect(known, where, 'optimizer to be "adam", "sgd" or an Optax gradient transformation', repr(optimizer))
    positive = callable(learning_rate) or (is_real(learning_rate) and learning_rate > 0)
    expect(positive, where, "learning_rate > 0, or a schedule", f"learning_rate == {learning_rate!r}")
    expect(is_real(weight_decay) and weight_decay >= 0, where, "weight_decay >= 0", f"weight_decay == {weight_decay!r}")


@lru_cache(maxsize=64)
def _model(recipe: Any, n_features: int | None, n_outputs: int) -> Model:
    """The model, rebuilt from what it was made of: that can be copied and pickled where a model cannot."""
    if callable(recipe):
        made: Any = recipe(n_features, n_outputs)
        expect(isinstance(made, Model), "model", "model(n_features, n_outputs) to give a Model", repr(made))
        model: Model = made
        return model
    sizes, activation = recipe
    return mlp(sizes, n_outputs, activation=activation)


@lru_cache(maxsize=64)
def _program(
    recipe: Any,
    n_features: int | None,
    n_outputs: int,
    task: str,
    optimizer: Any,
    learning_rate: Any,
    weight_decay: float,
) -> _Program:
    model = _model(recipe, n_features, n_outputs)
    if optimizer == "adam":
        optimizer = optax.adamw(learning_rate, weight_decay=weight_decay, mask=_is_weight)
    elif optimizer == "sgd":
        optimizer = optax.chain(optax.add_decayed_weights(weight_decay, mask=_is_weight), optax.sgd(learning_rate))
    loss = for_task(task).loss
    return _Program(model, model.init, loss, supervised(model, loss), optimizer)


def _is_weight(params: Params) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
