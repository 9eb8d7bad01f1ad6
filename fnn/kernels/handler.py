"""How XLA calls a function: by its foreign function interface, with the work divided among its threads.

XLA gives a frame (``xla/ffi/api/c_api.h`` in ``jaxlib/include``) with the arrays and with its pool of threads. The work
consists of parts, each done once by whoever takes its number first. The thread that is called asks others for help and
goes to work itself; it never waits for a part that nobody has begun. A thread that comes late finds no part left. What
the parts are does not depend on who does them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from fnn.kernels.writing import LINE

_BYTE, _INT, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_POINTER = _BYTE.as_pointer()

# The beginnings of XLA's structures, as far as they are used here. Each starts with its size and its extensions.
_HEAD = [_LONG, _POINTER]
_LIST = ir.LiteralStructType([*_HEAD, _LONG, _POINTER, _POINTER.as_pointer()])  # size, types, items
_FRAME = ir.LiteralStructType([*_HEAD, _POINTER, _POINTER, _INT, _LIST, _LIST])  # API, context, stage, given, results
_BUFFER = ir.LiteralStructType([*_HEAD, _INT, _POINTER])  # dtype, numbers
_VERSION = ir.LiteralStructType([*_HEAD, _INT, _INT])
_EXTENSION = ir.LiteralStructType([_LONG, _INT, _POINTER, _POINTER])  # size, type, next, metadata
_METADATA = ir.LiteralStructType([_LONG, _VERSION, _INT])
_API = ir.LiteralStructType([*_HEAD, _VERSION, *[_POINTER] * 14])  # its own data, then functions
_SCHEDULE_GIVEN = ir.LiteralStructType([*_HEAD, _POINTER, _POINTER, _POINTER])  # context, task, what the task gets
_THREADS_GIVEN = ir.LiteralStructType([*_HEAD, _POINTER, _LONG.as_pointer()])  # context, number
_ERROR_GIVEN = ir.LiteralStructType([*_HEAD, _POINTER])
_ERROR_TO_BE = ir.LiteralStructType([*_HEAD, _POINTER, _INT])  # message, code
_CREATE, _DESTROY, _SCHEDULE, _THREADS = 4, 6, 15, 16  # where functions are in the API
_RESOURCE_EXHAUSTED = 8
_METADATA_EXTENSION = 1
_MAJOR = 0

_PAUSES = 1024  # of a waiting thread, before it lets others have its core


def write(module: ir.Module, name: str, work: Any, bounds: Sequence[int], n_scratch: int) -> None:
    """The function ``name``, for :func:`jax.ffi.register_ffi_target`.

    Args:
        module: what it is added to.
        name: of the function.
        work: the function to be called: of pointers, the last to what comes out, of the first and the last number of a
            part, of the number of the part, and of a pointer to scratch memory.
        bounds: where the parts begin, and the end of the last.
        n_scratch: bytes of scratch memory. Each thread asks the system for its own, once per call: a stack may have no
            room for it, and asked for once per part it would go back to the system each time.
    """
    n_arrays = len(work.args) - 4
    job = ir.LiteralStructType([_INT, _INT, _INT, ir.ArrayType(_POINTER, n_arrays)])  # next part, done, users, arrays
    n_parts = len(bounds) - 1
    limits = ir.GlobalVariable(module, ir.ArrayType(_LONG, n_parts + 1), f"{name}_bounds")
    limits.initializer, limits.global_constant = ir.Constant(limits.value_type, bounds), True
    parts = _parts(module, f"{name}_parts", work, job, limits)
    task = _task(module, f"{name}_task", parts, job, n_scratch)
    _call(module, name, parts, task, job, n_parts, n_scratch)


def _field(build: ir.IRBuilder, pointer: Any, *path: int) -> Any:
    return build.gep(pointer, [_INT(0), *(_INT(number) for number in path)])


def _read(build: ir.IRBuilder, pointer: Any, *path: int) -> Any:
    return build.load(_field(build, pointer, *path))


def _outside(module: ir.Module, name: str, result: Any, *kinds: Any) -> Any:
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, kinds), name)


def _parts(module: ir.Module, name: str, work: Any, job: Any, limits: Any) -> Any:
    """A function that does the parts of a job until all are taken."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [job.as_pointer(), _POINTER]), name)
    function.linkage = "internal"
    build = ir.IRBuilder(function.append_basic_block())
    again, take, end = (function.append_basic_block() for _ in range(3))
    given, scratch = function.args
    pointers = [_read(build, given, 3, number) for number in range(job.elements[3].count)]
    arrays = [build.bitcast(pointer, arg.type) for pointer, arg in zip(pointers, work.args, strict=False)]
    build.branch(again)
    build.position_at_end(again)
    part = build.atomic_rmw("add", _field(build, given, 0), _INT(1), "monotonic")
    build.cbranch(build.icmp_unsigned("<", part, _INT(limits.value_type.count - 1)), take, end)
    build.position_at_end(take)
    first = build.load(build.gep(limits, [_INT(0), part]))
    last = build.load(build.gep(limits, [_INT(0), build.add(part, _INT(1))]))
    build.call(work, [*arrays, first, last, build.zext(part, _LONG), scratch])
    build.atomic_rmw("add", _field(build, given, 1), _INT(1), "release")
    build.branch(again)
    build.position_at_end(end)
    build.ret_void()
    return function


def _leave(module: ir.Module, build: ir.IRBuilder, job: Any) -> None:
    """The last to leave a job clears it away."""
    users = build.atomic_rmw("sub", _field(build, job, 2), _INT(1), "acq_rel")
    with build.if_then(build.icmp_unsigned("==", users, _INT(1))):
        build.call(_outside(module, "free", ir.VoidType(), _POINTER), [build.bitcast(job, _POINTER)])


def _scratch(module: ir.Module, build: ir.IRBuilder, n_bytes: int) -> tuple[Any, Any, Any]:
    """Memory, from where in it numbers may begin, and whether there is none though there should be."""
    nothing = ir.Constant(_POINTER, None)
    if n_bytes == 0:
        return nothing, nothing, ir.IntType(1)(0)
    memory = build.call(_outside(module, "malloc", _POINTER, _LONG), [_LONG(n_bytes + LINE)])
    beyond = build.and_(build.ptrtoint(memory, _LONG), _LONG(LINE - 1))
    start = build.gep(memory, [build.sub(_LONG(LINE), beyond)])
    return memory, start, build.icmp_unsigned("==", memory, nothing)


def _task(module: ir.Module, name: str, parts: Any, job: Any, n_scratch: int) -> Any:
    """What another thread does; nothing, if there is no memory for it."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), name)
    build = ir.IRBuilder(function.append_basic_block())
    given = build.bitcast(function.args[0], job.as_pointer())
    memory, scratch, has_none = _scratch(module, build, n_scratch)
    with build.if_then(build.not_(has_none)):
        build.call(parts, [given, scratch])
    build.call(_outside(module, "free", ir.VoidType(), _POINTER), [memory])
    _leave(module, build, given)
    build.ret_void()
    return function


def _size(build: ir.IRBuilder, kind: Any) -> Any:
    end = build.gep(ir.Constant(kind.as_pointer(), None), [_INT(1)])
    return build.ptrtoint(end, _LONG)


def _call(module: ir.Module, name: str, parts: Any, task: Any, job: Any, n_parts: int, n_scratch: int) -> None:
    function = ir.Function(module, ir.FunctionType(_POINTER, [_POINTER]), name)
    build = ir.IRBuilder(function.append_basic_block())
    nothing = ir.Constant(_POINTER, None)
    frame = build.bitcast(function.args[0], _FRAME.as_pointer())
    api = build.bitcast(_read(build, frame, 2), _API.as_pointer())
    _answer(build, _read(build, frame, 1), api)

    memory, scratch, has_none = _scratch(module, build, n_scratch)
    if n_scratch:
        with build.if_then(has_none):
            build.ret(_failure(module, build, api, f"fnn: no memory, {n_scratch} bytes were asked for"))
    at = build.call(_outside(module, "malloc", _POINTER, _LONG), [_size(build, job)])
    given = build.bitcast(at, job.as_pointer())
    n_arrays = job.elements[3].count
    for number in range(n_arrays):
        is_result = number == n_arrays - 1
        items = _read(build, frame, 6 if is_result else 5, 4)
        item = build.load(build.gep(items, [_INT(0 if is_result else number)]))
        numbers = _read(build, build.bitcast(item, _BUFFER.as_pointer()), 3)
        build.store(numbers, _field(build, given, 3, number))
    build.store(_INT(0), _field(build, given, 0))
    build.store(_INT(0), _field(build, given, 1))
    build.store(_INT(1), _field(build, given, 2))

    context = _read(build, frame, 3)
    helpers = _helpers(build, api, context, n_parts)
    _repeat(build, helpers, lambda: _ask(module, build, api, context, given, task))
    build.call(parts, [given, scratch])
    build.call(_outside(module, "free", ir.VoidType(), _POINTER), [memory])

    # What is left is being done by others.
    before, wait, over = build.block, function.append_basic_block(), function.append_basic_block()
    build.branch(wait)
    build.position_at_end(wait)
    turns = build.phi(_INT)
    turns.add_incoming(_INT(1), before)
    done = build.load_atomic(_field(build, given, 1), "acquire", 4)
    build.call(_outside(module, "llvm.x86.sse2.pause", ir.VoidType()), [])
    with build.if_then(build.icmp_unsigned("==", build.urem(turns, _INT(_PAUSES)), _INT(0))):
        build.call(_outside(module, "sched_yield", _INT), [])
    turns.add_incoming(build.add(turns, _INT(1)), build.block)
    build.cbranch(build.icmp_unsigned("<", done, _INT(n_parts)), wait, over)
    build.position_at_end(over)
    _leave(module, build, given)
    build.ret(nothing)


def _failure(module: ir.Module, build: ir.IRBuilder, api: Any, message: str) -> Any:
    """An error of XLA's."""
    text = bytearray(f"{message}\0".encode())
    held = ir.GlobalVariable(module, ir.ArrayType(_BYTE, len(text)), module.get_unique_name("message"))
    held.initializer, held.global_constant = ir.Constant(held.value_type, text), True
    given = _given(build, _ERROR_TO_BE, build.bitcast(held, _POINTER), _INT(_RESOURCE_EXHAUSTED))
    kind = ir.FunctionType(_POINTER, [_POINTER]).as_pointer()
    return build.call(build.bitcast(_read(build, api, _CREATE), kind), [given])


def _answer(build: ir.IRBuilder, extension: Any, api: Any) -> None:
    """When the function is registered, XLA calls it to ask which version of the interface it is for.

    It is for the major one in which the structures above begin alike; XLA refuses it where its own is another.
    """
    null = ir.Constant(_POINTER, None)
    with build.if_then(build.icmp_unsigned("!=", extension, null)):
        asked = build.bitcast(extension, _EXTENSION.as_pointer())
        with build.if_then(build.icmp_unsigned("==", _read(build, asked, 1), _INT(_METADATA_EXTENSION))):
            answer = build.bitcast(_read(build, asked, 3), _METADATA.as_pointer())
            build.store(_INT(_MAJOR), _field(build, answer, 1, 2))
            build.store(_read(build, api, 2, 3), _field(build, answer, 1, 3))
            build.store(_INT(0), _field(build, answer, 2))
            build.ret(null)


def _given(build: ir.IRBuilder, kind: Any, *values: Any) -> Any:
    """A structure for one of XLA's functions."""
    with build.goto_entry_block():
        given = build.alloca(kind)
    for number, value in enumerate((_size(build, kind), ir.Constant(_POINTER, None), *values)):
        build.store(value, _field(build, given, number))
    return build.bitcast(given, _POINTER)


def _xla(build: ir.IRBuilder, api: Any, number: int, given: Any) -> Any:
    """Calls one of XLA's functions; whether it did what it was to do."""
    kind = ir.FunctionType(_POINTER, [_POINTER]).as_pointer()
    error = build.call(build.bitcast(_read(build, api, number), kind), [given])
    failed = build.icmp_unsigned("!=", error, ir.Constant(_POINTER, None))
    with build.if_then(failed):
        destroy = build.bitcast(_read(build, api, _DESTROY), kind)
        build.call(destroy, [_given(build, _ERROR_GIVEN, error)])
    return build.not_(failed)


def _helpers(build: ir.IRBuilder, api: Any, context: Any, n_parts: int) -> Any:
    """How many threads to ask: all but this one, if there are parts for them; none where XLA has no pool."""
    with build.goto_entry_block():
        count = build.alloca(_LONG)
    build.store(_LONG(1), count)
    _xla(build, api, _THREADS, _given(build, _THREADS_GIVEN, context, count))
    most = build.select(build.icmp_signed("<", build.load(count), _LONG(n_parts)), build.load(count), _LONG(n_parts))
    return build.trunc(build.sub(most, _LONG(1)), _INT)


def _ask(module: ir.Module, build: ir.IRBuilder, api: Any, context: Any, job: Any, task: Any) -> None:
    """Asks for one more thread, which is counted before it may come and go."""
    build.atomic_rmw("add", _field(build, job, 2), _INT(1), "monotonic")
    given = _given(build, _SCHEDULE_GIVEN, context, build.bitcast(task, _POINTER), build.bitcast(job, _POINTER))
    with build.if_then(build.not_(_xla(build, api, _SCHEDULE, given))):
        _leave(module, build, job)


def _repeat(build: ir.IRBuilder, count: Any, write_body: Callable[[], None]) -> None:
    before, body, behind = build.block, build.append_basic_block(), build.append_basic_block()
    build.cbranch(build.icmp_signed("<", _INT(0), count), body, behind)
    build.position_at_end(body)
    counter = build.phi(_INT)
    counter.add_incoming(_INT(0), before)
    write_body()
    following = build.add(counter, _INT(1))
    counter.add_incoming(following, build.block)
    build.cbranch(build.icmp_signed("<", following, count), body, behind)
    build.position_at_end(behind)
