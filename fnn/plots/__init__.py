"""Pictures of data and of training, as matplotlib figures (extra ``plot``)."""

from fnn.plots.boundaries import decision_boundary as decision_boundary
from fnn.plots.classes import confusion_matrix as confusion_matrix, misclassified as misclassified
from fnn.plots.curves import (
    learning_curves as learning_curves,
    learning_rate_curve as learning_rate_curve,
    sweep_curve as sweep_curve,
)
from fnn.plots.figures import save as save
from fnn.plots.filters import first_layer_filters as first_layer_filters
from fnn.plots.writing import write_plots as write_plots
