"""Damaged models: what a bad disk, a broken upload or an attacker could make of a good one."""

import random
from collections.abc import Callable, Iterator

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def mutants(model: bytes, count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of damaged copies of a model, the same ones for the same seed."""
    source = random.Random(seed)
    kinds: tuple[tuple[str, Callable[[bytes, random.Random], bytes]], ...] = (
        ("flipped bit", _flip_bits(1)),
        ("flipped bits", _flip_bits(40)),
        ("cut off", _cut_off),
        ("zeroed stretch", _zero_stretch),
        ("swapped indices", _swap_indices),
        ("wild index", _wild_index),
        ("wild shape", _wild_shape),
        ("wild header bytes", _wild_header),
    )
    for number in range(count):
        name, damage = kinds[number % len(kinds)]
        yield f"{number}: {name}", damage(model, source)


def _flip_bits(bits: int) -> Callable[[bytes, random.Random], bytes]:
    def damage(model: bytes, source: random.Random) -> bytes:
        changed = bytearray(model)
        for _ in range(bits):
            changed[source.randrange(8, len(changed))] ^= 1 << source.randrange(8)
        return bytes(changed)

    return damage


def _cut_off(model: bytes, source: random.Random) -> bytes:
    return model[: source.randrange(8, len(model))]


def _zero_stretch(model: bytes, source: random.Random) -> bytes:
    start = source.randrange(8, len(model))
    length = min(source.choice((4, 16, 64, 1024)), len(model) - start)
    return model[:start] + bytes(length) + model[start + length :]


def _wild_header(model: bytes, source: random.Random) -> bytes:
    """Damage among the first offsets, which decide where everything else is looked for."""
    changed = bytearray(model)
    start = source.choice((0, source.randrange(8, 512)))
    changed[start : start + 4] = source.randbytes(4)
    return bytes(changed)


def _swap_indices(model: bytes, source: random.Random) -> bytes:
    """Operators that read each other's tensors, tensors that use each other's buffers."""

    def damage(graph: schema.SubGraphT) -> None:
        first, second = source.choice(graph.operators), source.choice(graph.operators)
        what = source.choice(("inputs", "outputs", "opcodeIndex", "buffer", "within"))
        if what == "buffer":
            one, other = source.choice(graph.tensors), source.choice(graph.tensors)
            one.buffer, other.buffer = other.buffer, one.buffer
        elif what == "within":
            first.inputs = list(reversed(list(first.inputs)))
        else:
            one_value, other_value = getattr(first, what), getattr(second, what)
            setattr(first, what, other_value)
            setattr(second, what, one_value)

    return _rewritten(model, damage)


def _wild_index(model: bytes, source: random.Random) -> bytes:
    """An index that points to nothing."""
    wild = source.choice((-2, -1, 999, 2**31 - 1))

    def damage(graph: schema.SubGraphT) -> None:
        operator = source.choice(graph.operators)
        what = source.choice(("inputs", "outputs", "graph inputs", "graph outputs", "opcode", "buffer"))
        if what == "opcode":
            operator.opcodeIndex = abs(wild)
        elif what == "buffer":
            source.choice(graph.tensors).buffer = abs(wild)
        else:
            owner = graph if what.startswith("graph") else operator
            name = what.split()[-1]
            indices = list(getattr(owner, name))
            indices[source.randrange(len(indices))] = wild
            setattr(owner, name, indices)

    return _rewritten(model, damage)


def _wild_shape(model: bytes, source: random.Random) -> bytes:
    """A tensor of another size than its data and its neighbours expect."""

    def damage(graph: schema.SubGraphT) -> None:
        tensor = source.choice([each for each in graph.tensors if len(each.shape)])
        shape = list(tensor.shape)
        shape[source.randrange(len(shape))] = source.choice((0, -1, 3, 4096, 2**30))
        tensor.shape = shape

    return _rewritten(model, damage)


def _rewritten(model: bytes, damage: Callable[[schema.SubGraphT], None]) -> bytes:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    damage(tree.subgraphs[0])
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
