"""The messages of our .proto against those that Triton's own client brings, and against what is made of it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

DUMP = """
import json, sys
{imports}
def fields(message):
    for field in message.fields:
        kind = field.message_type or field.enum_type
        yield [field.name, field.number, field.type, field.is_repeated, kind.full_name if kind else None]
def nested(message):
    yield message
    for inner in message.nested_types:
        yield from nested(inner)
found = {{}}
for file in files:
    for message in file.message_types_by_name.values():
        for each in nested(message):
            found[each.full_name] = sorted(fields(each))
    for enum in file.enum_types_by_name.values():
        found[enum.full_name] = sorted([value.name, value.number] for value in enum.values)
    for service in file.services_by_name.values():
        for call in service.methods:
            kinds = [call.input_type.full_name, call.output_type.full_name]
            found[call.full_name] = [*kinds, call.client_streaming, call.server_streaming]
json.dump(found, sys.stdout)
"""
OURS = "from server.grpc import open_inference_pb2 as ours; files = [ours.DESCRIPTOR]"
THEIRS = (
    "from tritonclient.grpc import model_config_pb2, service_pb2; "
    "files = [service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR]"
)


def described(imports: str) -> dict[str, list[object]]:
    """Messages, enums and calls by name. In a process of their own: one holds only one message of a name."""
    command = [sys.executable, "-c", DUMP.format(imports=imports)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def test_every_field_is_the_protocols() -> None:
    """Name, number, type and what it repeats, of each field that we have; each call with its messages."""
    ours, theirs = described(OURS), described(THEIRS)
    assert len(ours) > 50
    for name, mine in ours.items():
        assert name in theirs, name
        if mine and isinstance(mine[0], list):
            assert [entry for entry in mine if entry not in theirs[name]] == [], name
        else:
            assert mine == theirs[name], name


def test_the_messages_are_of_the_proto_beside_them() -> None:
    """Nobody edited one and forgot the other."""
    subprocess.run([ROOT / "scripts" / "grpc_messages", "--check"], check=True, timeout=60)
