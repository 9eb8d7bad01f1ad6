"""The example that a researcher would read."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "check_my_vjp.py"


def test_the_forgotten_path_is_named_and_the_corrected_rule_is_proved(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    output = capsys.readouterr().out
    wrong, proved = output.split("\n\n")
    assert wrong.startswith("WRONG: what jax.vjp(layer_norm)")
    assert "with one value held constant" in wrong
    assert "check_my_vjp.py:21" in wrong  # the line of the variance
    assert "wrong for args[0]; right for args[1], args[2]" in wrong
    assert len(wrong.splitlines()) < 25
    assert proved.startswith("PROVED")
