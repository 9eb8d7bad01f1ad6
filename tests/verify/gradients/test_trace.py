"""A JAX function as a flat program."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from verify.gradients.trace import trace, trace_jvp, trace_vjp, with_stop


def names(program):
    return [step.primitive for step in program.steps]


def test_calls_are_opened_and_custom_rules_replaced_by_their_forward():
    @jax.custom_vjp
    def double(x):
        return 2.0 * x

    double.defvjp(lambda x: (double(x), None), lambda _, ct: (ct * 7.0,))
    inner = jax.jit(lambda x: jnp.sin(double(x)))
    assert names(trace(jax.checkpoint(inner), 1.0)) == ["mul", "sin"]


def test_vjp_contains_the_custom_rule():
    @jax.custom_vjp
    def double(x):
        return 2.0 * x

    double.defvjp(lambda x: (double(x), None), lambda _, ct: (ct * 7.0,))
    program = trace_vjp(lambda x: (double(x),), [1.0], [1.0])
    assert names(program) == ["mul"]
    assert 7.0 in [float(value) for value in program.constants.values()]


def test_dead_steps_are_dropped():
    def f(x):
        jnp.exp(x)
        return x + 1.0

    assert names(trace(f, 1.0)) == ["add"]


def test_only_chosen_leaves_are_differentiated():
    program = trace_vjp(lambda x, y: (x * y,), [1.0, 2.0], [1.0], chosen=[1])
    assert len(program.inputs) == 3
    assert len(program.outputs) == 1
    forward = trace_jvp(lambda x, y: (x * y, y), [1.0, 2.0], [1.0], chosen=[0], with_results=True)
    assert len(forward.outputs) == 4


def test_scan_keeps_its_body_and_its_counts():
    def f(x, w):
        return lax.scan(lambda c, a: (c + w * a, c), x[0], x)

    (scan,) = [step for step in trace(f, jnp.ones(3), 2.0).steps if step.primitive == "scan"]
    assert (scan.params["num_consts"], scan.params["num_carry"], scan.params["length"]) == (1, 1, 3)
    assert {"add", "mul"} <= set(names(scan.bodies[0]))


def test_source_lines_name_this_file_and_not_the_checker():
    (step,) = trace(lambda x: jnp.sin(x), 1.0).steps
    assert step.source.startswith("test_trace.py:")
    assert trace(jnp.sin, 1.0).steps[0].source.startswith(("", "test_trace.py"))


def test_what_flows_into_a_root_is_marked():
    program = trace(lambda x: jnp.sqrt(jnp.broadcast_to(x * x + 1.0, (2, 3))) + x, jnp.ones(3))
    marked = [step.primitive for step in program.steps if step.radicands]
    assert marked == ["add"]
    assert program.radicands == ()
    assert trace(lambda x: x**0.5, 1.0).radicands == (0,)
    assert trace(lambda x: x**2.0, 1.0).radicands == ()


def test_kernels_of_jax_are_taken_at_their_word_and_namesakes_are_not():
    program = trace_vjp(lambda x: (lax.erf(x),), [1.0], [1.0])
    assert "bitcast_convert_type" not in names(program)

    @jax.custom_jvp
    def exp_neg_sq(x):
        return jnp.exp(x)

    exp_neg_sq.defjvp(lambda primals, tangents: (exp_neg_sq(*primals), tangents[0]))
    assert names(trace(exp_neg_sq, 1.0)) == ["exp"]


def test_with_stop_holds_one_step():
    program = trace(lambda x: jnp.sin(x) * x, 1.0)
    assert names(with_stop(program, 0)) == ["sin", "stop_gradient", "mul"]


def test_constants_are_numpy_arrays():
    table = np.arange(3.0, dtype=np.float32)
    program = trace(lambda x: x * table, jnp.ones(3))
    assert any(np.array_equal(value, table) for value in program.constants.values())
