"""What a proof says."""

import jax.numpy as jnp
import numpy as np

from verify.gradients.notes import quantises, steps_of, stopped
from verify.gradients.proof import Proof, shown
from verify.gradients.trace import trace
from verify.gradients.witness import Witness


def test_every_verdict_explains_itself():
    for verdict, words in {
        "PROVED": "probability of error < 2^-50",
        "CERTIFIED": "agrees with the derivative at 6 inputs",
        "WRONG": "is not the derivative",
        "INCONCLUSIVE": "was not decided",
        "UNSUPPORTED": "cannot be examined",
    }.items():
        proof = Proof(verdict, "f", error=0.7 * 2.0**-50, points=6, bound=1e-30, reason="r")
        assert str(proof).startswith(f"{verdict}: ")
        assert "what jax.vjp(f) computes" in str(proof)
        assert words in str(proof)
        assert proof.ok == (verdict in ("PROVED", "CERTIFIED"))


def test_a_witness_is_shown_with_its_input():
    witness = Witness(
        "args[0]", (1, 2), "[2.0 +/- 1e-9]", "1.0", ["claimed / true = 2"], 1, 6, ["args[0]"], ["args[1]"],
        [("args[0]", np.zeros((2, 3)))], [("f(...)", np.ones(2))],
    )  # fmt: skip
    text = str(Proof("WRONG", "f", witness=witness))
    for part in (
        "args[0][1, 2]",
        "claimed / true = 2",
        "wrong in 1 of the 6",
        "right for args[1]",
        "cotangent of f(...)",
    ):
        assert part in text


def test_the_seed_is_called_by_its_name():
    witness = Witness("f(...)", (), "2", "1", [], 1, 1, ["f(...)"], [], [], [("args[0]", np.ones(1))])
    assert "tangent of args[0]" in str(Proof("WRONG", "f", "jvp", witness=witness))
    assert "vector for args[0]" in str(Proof("WRONG", "f", "hvp", witness=witness))


def test_long_arrays_are_cut():
    assert shown(np.arange(20.0)) == "[0.0, 1.0, 2.0, 3.0, ...] of shape (20,)"


def test_unreached_branches_and_notes():
    text = str(Proof("PROVED", "f", error=2.0**-60, outcomes=8, unseen={"a.py:3": 2}, notes=["kink: x"]))
    assert "6 of 8 outcomes" in text
    assert "not reached: 2 at a.py:3" in text
    assert "note: kink: x" in text


def test_what_is_stopped_and_what_is_rounded():
    import jax

    program = trace(
        lambda x: jax.lax.scan(lambda c, a: (c + jax.lax.stop_gradient(a), a), 0.0, jnp.sign(x))[0], jnp.ones(2)
    )
    assert len(stopped(program)) == 1
    assert quantises(program)
    assert not quantises(trace(jnp.sin, 1.0))
    assert "add" in [step.primitive for step in steps_of(program)]
