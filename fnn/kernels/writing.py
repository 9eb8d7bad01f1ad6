"""What loops over numbers in vectors are written with, in the intermediate language of LLVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

INDEX = ir.IntType(64)
FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
_BYTE = ir.IntType(8)
LINE = 64  # bytes that a cache brings at a time


class _BFloat(ir.Type):  # type: ignore[misc]
    """bfloat16, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


_BFLOAT = _BFloat()
_HALF = ir.IntType(16)
_KINDS = {"float32": FLOAT, "bfloat16": _HALF, "uint32": _INT32}


class Writer:
    """Writes a function that computes an array from two.

    Attributes:
        function: the function, without result: of pointers to the three arrays, of what is below, and of a pointer to
            as much scratch memory as it needs.
        arrays: the pointers.
        part: the first number of a part, such as an image, and the one after its last.
        part_number: which part it is.
        lanes: float32 numbers in a vector.
        n_scratch: bytes of scratch memory.

    ``dtypes`` are those of the arrays: ``"float32"``; ``"bfloat16"``, whose numbers are computed with in float32; or
    ``"uint32"`` for two bfloat16 numbers, whose products with two others are added up by one instruction.
    """

    def __init__(self, module: ir.Module, name: str, lanes: int, dtypes: Sequence[str]) -> None:
        kinds = [*(_KINDS[dtype].as_pointer() for dtype in dtypes), *[INDEX] * 3, _BYTE.as_pointer()]
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.function.linkage = "internal"
        arguments: Sequence[Any] = self.function.args
        self.arrays, self.part, self.part_number = arguments[:3], arguments[3:5], arguments[5]
        self._scratch = arguments[6]
        self.lanes, self._vector = lanes, ir.VectorType(FLOAT, lanes)
        self.n_scratch = 0
        self._whole = ir.VectorType(_INT32, lanes)
        self._module = module
        self._builder = ir.IRBuilder(self.function.append_basic_block())

    def done(self) -> None:
        self._builder.ret_void()

    # Whole numbers

    def index(self, value: Any) -> Any:
        return value if isinstance(value, ir.Value) else INDEX(value)

    def sum(self, *terms: Any) -> Any:
        """Of numbers that are known now and ones that will be; known now if all of them are."""
        known = sum(term for term in terms if isinstance(term, int))
        later = [term for term in terms if not isinstance(term, int)]
        if not later:
            return known
        total = INDEX(known)
        for term in later:
            total = self._builder.add(total, term)
        return total

    def times(self, value: Any, factor: int) -> Any:
        return value * factor if isinstance(value, int) else self._builder.mul(value, INDEX(factor))

    def least(self, first: Any, second: Any) -> Any:
        first, second = self.index(first), self.index(second)
        return self._builder.select(self._builder.icmp_signed("<", first, second), first, second)

    def greatest(self, first: Any, second: Any) -> Any:
        first, second = self.index(first), self.index(second)
        return self._builder.select(self._builder.icmp_signed(">", first, second), first, second)

    def chosen(self, pair: tuple[Any, Any], if_less: Any, otherwise: Any) -> Any:
        """The one or the other, by whether the first of a pair is less than its second."""
        first, second = map(self.index, pair)
        is_less = self._builder.icmp_signed("<", first, second)
        return self._builder.select(is_less, self.index(if_less), self.index(otherwise))

    def divided(self, value: Any, divisor: int) -> Any:
        return self._builder.sdiv(self.index(value), INDEX(divisor))

    def rest(self, value: Any, divisor: int) -> Any:
        return self._builder.srem(self.index(value), INDEX(divisor))

    def divided_up(self, value: Any, divisor: int) -> Any:
        """Rounded up; 0 for what is less."""
        up = self._builder.add(self.greatest(value, 0), INDEX(divisor - 1))
        return up if divisor == 1 else self._builder.sdiv(up, INDEX(divisor))

    @contextmanager
    def loop(self, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
        """From ``start`` to before ``stop``; what is written within is carried out for each."""
        build, start, stop = self._builder, self.index(start), self.index(stop)
        before, body, behind = build.block, build.append_basic_block(), build.append_basic_block()
        build.cbranch(build.icmp_signed("<", start, stop), body, behind)
        build.position_at_end(body)
        counter = build.phi(INDEX)
        counter.add_incoming(start, before)
        yield counter
        following = build.add(counter, INDEX(step))
        counter.add_incoming(following, build.block)
        build.cbranch(build.icmp_signed("<", following, stop), body, behind)
        build.position_at_end(behind)

    @contextmanager
    def when(self, first: Any, second: Any) -> Iterator[None]:
        """What is written within is carried out if ``first`` is less than ``second``."""
        with self._builder.if_then(self._builder.icmp_signed("<", self.index(first), self.index(second))):
            yield

    # Numbers in memory

    def memory(self, count: int) -> Any:
        """A pointer to so many float32 numbers on the stack, a few thousand at most."""
        with self._builder.goto_entry_block():
            numbers = self._builder.alloca(FLOAT, INDEX(count))
        numbers.align = 4 * self.lanes
        return numbers

    def scratch(self, count: int, dtype: str = "float32") -> Any:
        """A pointer to so many numbers for which a thread's stack may have no room."""
        kind = _KINDS[dtype]
        place = self._builder.gep(self._scratch, [INDEX(self.n_scratch)])
        bytes_each = 4 if kind in (FLOAT, _INT32) else 2
        self.n_scratch += -(-count * bytes_each // LINE) * LINE
        return self._builder.bitcast(place, kind.as_pointer())

    def as_pairs(self, pointer: Any) -> Any:
        """A pointer to pairs of bfloat16 numbers, from one to such numbers."""
        return self._builder.bitcast(pointer, _INT32.as_pointer())

    def moved(self, pointer: Any, by: Any) -> Any:
        """A pointer to a later number."""
        return self._builder.gep(pointer, [self.index(by)])

    # Vectors

    def registers(self, count: int) -> list[Any]:
        """Places for vectors, which LLVM keeps in registers where there are enough of them."""
        with self._builder.goto_entry_block():
            return [self._builder.alloca(self._vector) for _ in range(count)]

    def clear(self, register: Any) -> None:
        self._builder.store(self.zero(), register)

    def assign(self, registers: Sequence[Any], vectors: Sequence[Any]) -> None:
        for register, vector in zip(registers, vectors, strict=True):
            self._builder.store(vector, register)

    def read(self, register: Any) -> Any:
        return self._builder.load(register)

    def load(self, pointer: Any, at: Any, count: int | None = None) -> Any:
        """So many numbers as a vector has, of float32; of pairs, as they are.

        With a ``count``, which is for float32 only, no more than so many are read, and the others are 0.
        """
        if count is None or count == self.lanes:
            return self._computable(self._aligned(self._builder.load(self._at(pointer, at))))
        given = [self._at(pointer, at), _INT32(4), self._first(count), self.zero()]
        return self._masked("load", self._vector, given)

    def store(self, vector: Any, pointer: Any, at: Any, count: int | None = None) -> None:
        """Numbers, rounded to what the array consists of; with a ``count``, no more than so many, of float32."""
        if count is not None and count < self.lanes:
            self._masked("store", ir.VoidType(), [vector, self._at(pointer, at), _INT32(4), self._first(count)])
            return
        if pointer.type.pointee == _HALF:
            vector = self._halved(vector)
        self._aligned(self._builder.store(vector, self._at(pointer, at)))

    def store_halved(self, vector: Any, pointer: Any, at: Any) -> None:
        """Numbers as bfloat16, by an instruction that takes those below the normal ones to be 0."""
        self._aligned(self._builder.store(self._by_instruction(vector), self._at(pointer, at)))

    def store_half(self, vector: Any, pointer: Any, at: Any, half: int) -> None:
        """The same as the first of pairs, before there is a second; or as the second of those that are there."""
        numbers, place = self._builder.zext(self._by_instruction(vector), self._whole), self._at(pointer, at)
        if half:
            first = self._aligned(self._builder.load(place))
            numbers = self._builder.or_(first, self._builder.shl(numbers, self._everywhere(16)))
        self._aligned(self._builder.store(numbers, place))

    def _by_instruction(self, vector: Any) -> Any:
        kind = ir.FunctionType(ir.VectorType(_BFLOAT, self.lanes), [self._vector])
        name = f"llvm.x86.avx512bf16.cvtneps2bf16.{32 * self.lanes}"
        halved = self._builder.call(self._function_of(name, kind), [vector])
        return self._builder.bitcast(halved, ir.VectorType(_HALF, self.lanes))

    def fetch(self, pointer: Any, at: Any) -> None:
        """Has the processor bring a number near, and its neighbours; which need not be there at all."""
        place = self._builder.gep(pointer, [self.index(at)])
        kind = ir.FunctionType(ir.VoidType(), [place.type, *[_INT32] * 3])
        self._builder.call(self._function_of("llvm.prefetch.p0", kind), [place, _INT32(0), _INT32(3), _INT32(1)])

    def transposed(self, rows: Sequence[Any]) -> list[Any]:
        """Vectors of the first, second and following numbers of up to as many vectors as they have lanes.

        Neighbouring blocks of 1, 2, 4 and so on are exchanged across the diagonal. What is missing counts as 0.
        """
        found = [*rows, *[self.zero()] * (self.lanes - len(rows))]
        for apart in self._powers():
            for at in (at for at in range(self.lanes) if not at & apart):
                found[at], found[at + apart] = self._exchanged(found[at], found[at + apart], apart)
        return found

    def totals(self, vectors: Sequence[Any]) -> Any:
        """A vector of the sums of the lanes of each of up to as many vectors as they have lanes, 0 for what is missing.

        Two are made one each time, of sums of two lanes of the first and of sums of two of the second.
        """
        found = list(vectors)
        for apart in self._powers():
            if len(found) % 2:
                found.append(self.zero())
            halves = (self._exchanged(*pair, apart) for pair in zip(found[::2], found[1::2], strict=True))
            found = [self.add(*pair) for pair in halves]
        return found[0]

    def _powers(self) -> Iterator[int]:
        """1, 2, 4 and so on, less than there are lanes."""
        return (1 << power for power in range(self.lanes.bit_length() - 1))

    def _exchanged(self, first: Any, second: Any, apart: int) -> tuple[Any, Any]:
        """Two vectors, each other block of so many numbers of the first exchanged for the one before in the second."""
        upper = [at if not at & apart else self.lanes + at - apart for at in range(self.lanes)]
        lower = [at + apart if not at & apart else self.lanes + at for at in range(self.lanes)]
        orders = (ir.Constant(self._whole, order) for order in (upper, lower))
        above, below = (self._builder.shuffle_vector(first, second, order) for order in orders)
        return above, below

    def spread(self, pointer: Any, at: Any) -> Any:
        """One number in all places of a vector."""
        number = self._computable(self._builder.load(self._builder.gep(pointer, [self.index(at)])))
        kind = ir.VectorType(number.type, self.lanes)
        nowhere = ir.Constant(kind, ir.Undefined)
        first = self._builder.insert_element(nowhere, number, _INT32(0))
        return self._builder.shuffle_vector(first, nowhere, ir.Constant(self._whole, None))

    def add(self, first: Any, second: Any) -> Any:
        return self._builder.fadd(first, second)

    def subtract(self, first: Any, second: Any) -> Any:
        return self._builder.fsub(first, second)

    def zero(self) -> Any:
        return ir.Constant(self._vector, None)

    def scaled(self, factor: float, vector: Any) -> Any:
        """A vector times a number that is known now."""
        return self._builder.fmul(vector, ir.Constant(self._vector, [factor] * self.lanes))

    def add_product(self, register: Any, first: Any, second: Any) -> None:
        """``register += first * second``, rounded once; of pairs, both products."""
        sum_ = self._builder.load(register)
        if first.type == self._whole:
            halves = ir.VectorType(_BFLOAT, 2 * self.lanes)
            given = [sum_, self._builder.bitcast(first, halves), self._builder.bitcast(second, halves)]
            name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.lanes}"
        else:
            given, name = [first, second, sum_], f"llvm.fma.v{self.lanes}f32"
        kind = ir.FunctionType(self._vector, [value.type for value in given])
        self._builder.store(self._builder.call(self._function_of(name, kind), given), register)

    def _computable(self, value: Any) -> Any:
        """A bfloat16 number, or a vector of them, as float32: the upper half of one."""
        lanes = getattr(value.type, "count", 0)
        if (value.type.element if lanes else value.type) != _HALF:
            return value
        wide, float_ = (self._whole, self._vector) if lanes else (_INT32, FLOAT)
        moved = self._builder.shl(self._builder.zext(value, wide), ir.Constant(wide, [16] * lanes if lanes else 16))
        return self._builder.bitcast(moved, float_)

    def _halved(self, vector: Any) -> Any:
        """Numbers rounded to bfloat16, to even ones in the middle; NaN stays NaN.

        By whole numbers: most processors have no instruction for it, and LLVM calls a function that is not there.
        """
        build = self._builder
        bits = build.bitcast(vector, self._whole)
        upper = build.lshr(bits, self._everywhere(16))
        half = build.add(build.and_(upper, self._everywhere(1)), self._everywhere(0x7FFF))
        rounded = build.lshr(build.add(bits, half), self._everywhere(16))
        is_nan = build.fcmp_unordered("uno", vector, vector)
        kept = build.select(is_nan, build.or_(upper, self._everywhere(0x40)), rounded)
        return build.trunc(kept, ir.VectorType(_HALF, self.lanes))

    def _everywhere(self, number: int) -> Any:
        return ir.Constant(self._whole, [number] * self.lanes)

    def _first(self, count: int) -> Any:
        """A mask for the first lanes."""
        bit = ir.IntType(1)
        return ir.Constant(ir.VectorType(bit, self.lanes), [bit(lane < count) for lane in range(self.lanes)])

    def _masked(self, what: str, result: Any, given: Sequence[Any]) -> Any:
        name = f"llvm.masked.{what}.v{self.lanes}f32.p0"
        kind = ir.FunctionType(result, [value.type for value in given])
        return self._builder.call(self._function_of(name, kind), given)

    def _function_of(self, name: str, kind: Any) -> Any:
        """One of LLVM's own functions."""
        return self._module.globals.get(name) or ir.Function(self._module, kind, name)

    def _aligned(self, access: Any) -> Any:
        access.align = 2  # a vector begins at any number, of 16 bits or more
        return access

    def _at(self, pointer: Any, at: Any) -> Any:
        number = self._builder.gep(pointer, [self.index(at)])
        return self._builder.bitcast(number, ir.VectorType(pointer.type.pointee, self.lanes).as_pointer())
