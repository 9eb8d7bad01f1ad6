"""What a random oracle has answered: the same question has the same answer, however it was put."""

from __future__ import annotations

import numpy as np

from verify.algebra.modular import Residues


class Answers:
    """Sorted questions, and their answers.

    Example:
        >>> answers = Answers()
        >>> answers.settle(np.array([7, 7], np.uint64), np.array([1, 2], np.uint64)).tolist()
        [1, 1]
    """

    def __init__(self) -> None:
        self.questions = np.zeros(0, np.uint64)
        self.answers = np.zeros(0, np.uint64)

    def settle(self, questions: Residues, proposed: Residues) -> Residues:
        """The earlier answer where there is one, else (and from now on) the proposed one."""
        if self.questions.size:
            at = np.minimum(np.searchsorted(self.questions, questions), self.questions.size - 1)
            settled = np.where(self.questions[at] == questions, self.answers[at], proposed)
        else:
            settled = proposed
        everything, first = np.unique(np.append(self.questions, questions.ravel()), return_index=True)
        self.answers = np.append(self.answers, settled.ravel())[first]
        self.questions = everything
        # two entries of one array may ask the same question: all get the answer that was kept
        at = np.searchsorted(self.questions, questions)
        return np.asarray(self.answers[at])
