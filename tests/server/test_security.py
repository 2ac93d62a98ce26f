"""Nobody without the token gets in, and nobody reads it on the way."""

import hashlib
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.paths import TLS_SERVER_NAME
from server.http.tls import ensure_certificate
from server.processes.children import CHILD_VARIABLE
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.images import digit
from tests.server.test_classify import problem

SNI = {"sni_hostname": TLS_SERVER_NAME}
PATHS = ["/health/ready", "/v1/info", "/v1/models", "/v1/classify", "/openapi.json", "/", "/nothing", "/metrics"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic dXNlcjpwYXNz", f"Token {TOKEN}", "Bearer"])
def test_nothing_but_liveness_answers_without_the_token(
    secured_agent: RunningAgent, path: str, authorization: str | None
) -> None:
    """Every path, known or not, wants the token first."""
    headers = {"Authorization": authorization} if authorization else {"Authorization": ""}
    with secured_agent.http() as http:
        response = http.post(path, content=digit(1), headers=headers, extensions=SNI)
    assert response.status_code in (401, 429)
    assert problem(response).code in (ErrorCode.UNAUTHORIZED, ErrorCode.TOO_MANY_ATTEMPTS)


def test_liveness_is_open_and_says_nothing_else(secured_agent: RunningAgent) -> None:
    """A probe needs no secret, and learns no version."""
    with secured_agent.http() as http:
        response = http.get("/health/live", headers={"Authorization": ""}, extensions=SNI)
    assert response.json() == {"status": "live"}
    assert "server" not in response.headers


def test_the_token_opens_and_the_challenge_names_the_scheme(secured_agent: RunningAgent) -> None:
    """With the token there is an answer; without it the response says how to authenticate."""
    with secured_agent.http() as http:
        assert http.post("/v1/classify", content=digit(3), extensions=SNI).status_code == 200
        response = http.get("/v1/info", headers={"Authorization": ""}, extensions=SNI)
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_many_wrong_tokens_are_slowed_but_the_right_one_is_not(tmp_path: Path) -> None:
    """The eleventh wrong token in a minute gets 429; the owner behind the same address still gets in."""
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent, agent.http() as http:
        wrong = [
            http.get("/v1/info", headers={"Authorization": f"Bearer {n}"}, extensions=SNI).status_code
            for n in range(12)
        ]
        assert wrong == [401] * 10 + [429] * 2
        assert http.get("/v1/info", extensions=SNI).status_code == 200


def test_only_the_hash_of_the_token_is_in_the_agents_process(secured_agent: RunningAgent) -> None:
    """Environment and command line of the agent and its workers never hold the token, and workers get no setting."""
    for pid in (secured_agent.process.pid, *secured_agent.workers()):
        for file in ("environ", "cmdline"):
            assert TOKEN.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()
    for worker in secured_agent.workers():
        variables = Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")
        names = {variable.partition("=")[0] for variable in variables}
        assert {name for name in names if name.startswith("EDGERUN_")} == {CHILD_VARIABLE}
    assert TOKEN not in secured_agent.log()


def test_the_certificate_is_the_agents_own_and_stays(tmp_path: Path) -> None:
    """The same key and certificate serve after a restart; the key is readable by its owner alone."""
    first = ensure_certificate(tmp_path / "tls").sha256
    assert ensure_certificate(tmp_path / "tls").sha256 == first
    assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    (tmp_path / "tls" / "cert.pem").write_text("damaged")
    assert ensure_certificate(tmp_path / "tls").sha256 != first


def test_what_makes_certificates_is_not_in_the_agents_memory(secured_agent: RunningAgent, tmp_path: Path) -> None:
    """Neither of an agent that made its own, nor after a start with one that is there: it would take 10 MB."""
    assert "cryptography" not in Path(f"/proc/{secured_agent.process.pid}/maps").read_text()
    ensure_certificate(tmp_path / "data" / "tls")
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as again:
        assert "cryptography" not in Path(f"/proc/{again.process.pid}/maps").read_text()


def test_an_agent_that_cannot_make_its_certificate_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong in the process that makes it comes through, and nothing half-written stays."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "cryptography.py").write_text("raise ImportError('built for another machine')")
    with pytest.raises(OSError, match="could not be made: ImportError: built for another machine"):
        ensure_certificate(tmp_path / "tls")
    assert list((tmp_path / "tls").iterdir()) == []


def test_the_certificate_passes_the_strict_checks_of_new_pythons(secured_agent: RunningAgent) -> None:
    """A pinned connection succeeds with X.509 strict mode, and fails for another name."""
    pem = (secured_agent.data / "tls" / "cert.pem").read_text()
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    raw = socket.create_connection(secured_agent.address)
    with context.wrap_socket(raw, server_hostname=TLS_SERVER_NAME) as secured:
        assert secured.version() in ("TLSv1.2", "TLSv1.3")
    with socket.create_connection(secured_agent.address) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="other.example")


def test_plain_http_to_a_tls_port_gets_nothing(secured_agent: RunningAgent) -> None:
    """Speaking without TLS ends the connection."""
    with httpx.Client(trust_env=False) as http, pytest.raises(httpx.TransportError):
        http.get(secured_agent.url.replace("https", "http") + "/health/live")


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": ""}]
)
def test_a_web_page_cannot_use_an_agent_without_token(agent: RunningAgent, headers: dict[str, str]) -> None:
    """Foreign origins and rebound host names are refused on loopback too."""
    with agent.http() as http:
        assert problem(http.get("/v1/info", headers=headers)).code == ErrorCode.FORBIDDEN_ORIGIN


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://[::1]:3000"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_page_on_another_port_cannot_use_an_agent_without_token(agent: RunningAgent, headers: dict[str, str]) -> None:
    """Whatever it calls this machine, its jobs go on; the agent's own page and programs are answered."""
    host, port = agent.address
    own = [{}, {"Origin": f"http://{host}:{port}", "Sec-Fetch-Site": "same-origin"}]
    own.append({"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"})
    with agent.http() as http:
        for method, path in (("POST", "/v1/jobs/x/cancel"), ("DELETE", "/v1/jobs/x"), ("GET", "/v1/jobs/x")):
            assert problem(http.request(method, path, headers=headers)).code == ErrorCode.FORBIDDEN_ORIGIN
            for good in own:
                assert problem(http.request(method, path, headers=good)).code == ErrorCode.UNKNOWN_JOB
        assert http.get("/", headers=headers).status_code == 200  # a link may lead to the live page


@pytest.mark.parametrize(
    ("variables", "code", "complaint"),
    [
        ({"EDGERUN_HOST": "0.0.0.0"}, 2, "without a token"),
        ({"EDGERUN_TOKEN_SHA256": "secret"}, 2, "EDGERUN_TOKEN_SHA256"),
        ({"EDGERUN_HOST": "198.51.100.1", "EDGERUN_TOKEN_SHA256": "ab" * 32}, 3, "cannot listen"),
    ],
)
def test_the_server_refuses_to_start_unprotected(
    tmp_path: Path, variables: dict[str, str], code: int, complaint: str
) -> None:
    """Misuse ends with a line that says what to change, not with a traceback."""
    environment = {**os.environ, "EDGERUN_DATA": str(tmp_path), "EDGERUN_PORT": "0", **variables}
    command = [Path(sys.executable).with_name("server")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_server_does_not_run_a_foreign_package_of_its_name(tmp_path: Path) -> None:
    """A folder `server` in the working directory is not what the workers run."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("raise SystemExit('foreign code ran')")
    previous = Path.cwd()
    os.chdir(tmp_path)
    try:
        with running_agent(tmp_path / "data", "--workers", "1") as agent:
            assert agent.post("/v1/classify", digit(1)).status_code == 200
    finally:
        os.chdir(previous)


def test_a_hash_is_not_a_token(tmp_path: Path) -> None:
    """Knowing what is in the agent's environment does not let anybody in."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent, agent.http() as http:
        headers = {"Authorization": f"Bearer {digest}"}
        assert http.get("/v1/info", headers=headers, extensions=SNI).status_code == 401
