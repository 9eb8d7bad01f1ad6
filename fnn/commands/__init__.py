"""What the commands of the command line do, given their options."""

from fnn.commands.evaluate import evaluate
from fnn.commands.export import export
from fnn.commands.predict import predict
from fnn.commands.train import train

__all__ = ["evaluate", "export", "predict", "train"]
