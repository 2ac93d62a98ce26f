"""Send an agent everything its description allows, and what it forbids, and check every answer against it.

schemathesis (https://schemathesis.readthedocs.io) makes the requests from /openapi.json: no answer may be a mistake of
the agent, have a status, header, media type or body that the description does not name, take what the description
forbids, or answer who sends no token. A real agent is started for it, with a token and TLS, in a temporary folder.

examples:
  python -m scripts.fuzz_api                                every path, 20 requests an operation and phase
  python -m scripts.fuzz_api --examples 200 --only '^/v2'   more of them, for some paths
  python -m scripts.fuzz_api --seed 7                       the requests of an earlier run again
  python -m scripts.fuzz_api --host edge1                   an agent of the hosts file: see the warning below

--host leaves jobs, models, files and tokens with odd names on that agent, and chooses its default model and lease.
"""

import argparse
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from client import EdgeClient, Host, HostsFile
from client.errors import EdgeError
from client.sdk.hosts import CONFIG_VARIABLE, HOST_VARIABLE, TOKEN_VARIABLE
from contract.paths import OPENAPI, TLS_SERVER_NAME
from scripts.fuzz_api.configuration import TOKEN_VARIABLE as FUZZ_TOKEN_VARIABLE
from scripts.fuzz_api.configuration import configuration
from scripts.fuzz_api.materials import ask, prepare
from tests.agents import running_agent

ROOT = Path(__file__).parents[2]
ADDRESS_VARIABLE, MATERIALS_VARIABLE = "EDGERUN_FUZZ_ADDRESS", "EDGERUN_FUZZ_MATERIALS"
NAME = "fuzzed"
SEED_LIMIT = 1 << 32
NOTHING_FUZZED = 2
INTERRUPTED = 130


def main() -> int:
    """Fuzz an agent; 0 when every answer was right, 1 when one was not, 2 when nothing could be fuzzed."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fuzz_api", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", metavar="NAME", help="an agent of the hosts file (default: one started for this)")
    parser.add_argument("--examples", metavar="N", type=_positive, default=20, help="requests a phase (default: 20)")
    parser.add_argument("--seed", metavar="N", type=int, help="as an earlier run printed it (default: any)")
    parser.add_argument("--only", metavar="REGEX", type=_regex, help="paths that match")
    parser.add_argument("--phases", metavar="LIST", help="of examples,coverage,fuzzing,stateful (default: all)")
    options = parser.parse_args()
    seed = secrets.randbelow(SEED_LIMIT) if options.seed is None else options.seed
    try:
        with tempfile.TemporaryDirectory() as folder, _agent(options.host, Path(folder)) as host:
            code = fuzz(host, Path(folder), seed, options.examples, options.only, options.phases)
    except EdgeError as error:
        print(f"fuzz_api: {error}" + (f"; {error.hint}" if error.hint else ""), file=sys.stderr)
        return NOTHING_FUZZED
    except KeyboardInterrupt:
        return INTERRUPTED
    print(f"\nseed {seed}: `--seed {seed}` sends the same requests again")
    return code


def fuzz(host: Host, folder: Path, seed: int, examples: int, only: str | None = None, phases: str | None = None) -> int:
    """Run schemathesis against an agent; gives its exit code. Raises EdgeError where the agent cannot be prepared."""
    HostsFile(folder / "hosts.toml").put(host)
    with EdgeClient(host) as client:
        materials = prepare(client, commands="commands" in client.access().features)
    (folder / "materials.json").write_text(materials.model_dump_json())
    certificate = None
    if host.certificate is not None:
        certificate = folder / "certificate.pem"
        certificate.write_text(host.certificate)
    (folder / "schemathesis.toml").write_text(configuration(materials, certificate))
    (folder / "openapi.json").write_bytes(ask(host, "GET", OPENAPI).content)
    address = urlsplit(host.url)
    name = TLS_SERVER_NAME if certificate is not None else address.hostname
    options = [
        *("--config-file", str(folder / "schemathesis.toml"), "run", str(folder / "openapi.json")),
        *("--url", f"{address.scheme}://{name}:{address.port}"),
        *("--seed", str(seed), "--max-examples", str(examples)),
        *(("--include-path-regex", only) if only else ()),
        *(("--phases", phases) if phases else ()),
    ]
    environment = {
        **os.environ,
        CONFIG_VARIABLE: str(folder),
        HOST_VARIABLE: host.name,
        TOKEN_VARIABLE: host.secret() or "",
        FUZZ_TOKEN_VARIABLE: host.secret() or "",
        ADDRESS_VARIABLE: socket.gethostbyname(address.hostname or ""),
        MATERIALS_VARIABLE: str(folder / "materials.json"),
        "PYTHONPATH": str(ROOT),
    }
    command = Path(sys.executable).with_name("schemathesis")
    return subprocess.run([command, *options], env=environment, cwd=folder, check=False).returncode


@contextmanager
def _agent(name: str | None, folder: Path) -> Iterator[Host]:
    if name is not None:
        yield HostsFile().named(name)
        return
    options = ("--workers", "1", "--allow-commands", "on")
    with running_agent(folder / "agent", *options, token=secrets.token_urlsafe(24)) as agent:
        yield agent.host
        if agent.process.poll() is not None:
            raise EdgeError(f"the agent ended with {agent.process.returncode}: {agent.log()[-2000:]}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"no regular expression: {error}") from error
    return text


if __name__ == "__main__":
    sys.exit(main())
