"""Requests that no client sends: seeded, so that a failure can be looked at again."""

import random

from contract import paths

NAMES = [
    b"x",
    b"digits",
    b"%ff",
    b"%00",
    b"%0a",
    b"%",
    b"%zz",
    b"%2e%2e",
    b"..",
    b"a%2Fb",
    b"\xc3\xa9",
    b"\xff",
    b"~" * 300,
]
TARGETS = [value.encode() for name, value in vars(paths).items() if name.isupper() and str(value).startswith("/")]
ODD_TARGETS = [
    *(
        b"*",
        b"//",
        b"/%",
        b"/?%",
        b"/v1/info/",
        b"/v1/jobs//",
        b"/v1//jobs",
        b"//evil.example/v1/info",
        b"/\xff",
        b"/%c3%28",
    ),
    *(
        b"http://evil.example/v1/info",
        b"http://[/v1/info",
        b"http://127.0.0.1:99999/v1/info",
        b"evil.example:80",
        b"/;a=b",
    ),
    *(
        b"/v1/info#fragment",
        b"/static/..%2f..%2fsettings.py",
        b"/static/%00",
        b"/" + b"a" * 20_000,
        b"/v1/\xe2\x80\xae",
    ),
]
QUERIES = [
    *(
        b"",
        b"?",
        b"?top_k=1",
        b"?top_k=%ff",
        b"?top_k=\xff",
        b"?limit=-1",
        b"?limit=" + b"9" * 5000,
        b"?before=x&before",
    ),
    *(
        b"?state=\xed\xa0\x80",
        b"?interval_s=nan&past_s=inf",
        b"?=&&=&;",
        b"?" + b"a&" * 3000,
        b"?offset=1e400",
        b"?a[=]",
    ),
]
METHODS = [
    *(b"GET", b"POST", b"PUT", b"DELETE", b"HEAD") * 4,
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"PURGE",
    b"FOO",
]
HOSTS = [
    *(
        b"127.0.0.1",
        b"localhost:1",
        b"[::1]",
        b"[",
        b"]",
        b"[]",
        b"[::1",
        b"[::1]]:80",
        b"[v1.x]",
        b"[::1%eth0]",
        b":",
        b"::1",
    ),
    *(
        b"127.0.0.1:",
        b"localhost:99999999999999999999",
        b"localhost:-1",
        b"localhost:\xb2",
        b"a@b",
        b"\xff",
        b"",
        b" ",
        b"\t",
    ),
    *(
        b"evil.example",
        b"http://[",
        b"localhost/../",
        b"xn--",
        b"\xc3\xa9.example",
        b"127.0.0.1, 127.0.0.1",
        b"a" * 9000,
    ),
]
ORIGINS = [
    *(
        b"null",
        b"http://",
        b"http://[",
        b"http://]",
        b"http://[::1",
        b"//localhost",
        b"http://localhost:99999",
        b"file://",
    ),
    *(
        b"http://127.0.0.1",
        b"http://localhost:x",
        b"http://\xff",
        b"\xff",
        b"",
        b"a b",
        b"http://[::1]:" + b"9" * 5000,
        b"http:/",
    ),
    *(
        b"https://evil.example",
        b"chrome-extension://abc",
        b"http://u:p@localhost",
        b"http://localhost\x00",
        b"http://%5b",
    ),
]
VALUES = [
    b"",
    b"\xff",
    b"\x80\xfe",
    b"[",
    b"=",
    b";",
    b"a" * 2000,
    b'"',
    b"W/",
    b"-1",
    b"9" * 400,
    b"\xed\xa0\x80",
    b"{",
    b"null",
]
FIELDS = [
    *(b"Cookie", b"Sec-Fetch-Site", b"Authorization", b"X-Request-ID", b"If-None-Match", b"Idempotency-Key", b"Accept"),
    *(b"Last-Event-ID", b"Content-Type", b"Accept-Encoding", b"Range", b"Forwarded", b"X-Forwarded-For", b"Expect"),
    *(b"Content-Encoding", b"Transfer-Encoding", b"Upgrade", b"TE", b"Content-Length"),
]
TYPES = [
    b"application/json",
    b"multipart/form-data",
    b"multipart/form-data; boundary=\xff",
    b"image/jpeg; charset=[",
    b"a/b/c",
]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"kind": "command"}',
    b"\xff" * 40,
    b"[" * 20_000,
    b'{"code": "\\ud800"}',
    b"--x\r\n",
]


def odd_request(dice: random.Random, authorization: bytes | None) -> tuple[str, str, bytes]:
    """A method, a path, and a request with most of its parts odd."""
    method = dice.choice(METHODS)
    target = dice.choice(ODD_TARGETS) if dice.random() < 0.2 else dice.choice(TARGETS)
    for parameter in (b"{name}", b"{id}", b"{digest}"):
        target = target.replace(parameter, dice.choice(NAMES))
    body = dice.choice(BODIES) if method in (b"POST", b"PUT") or dice.random() < 0.1 else b""
    lines = [method + b" " + target + dice.choice(QUERIES) + b" HTTP/1." + dice.choice([b"1", b"1", b"1", b"0"])]
    lines += [b"Host: " + dice.choice(HOSTS) for _ in range(dice.choice([0, 1, 1, 1, 2]))]
    if dice.random() < 0.5:
        lines += [b"Host: 127.0.0.1"]
    if dice.random() < 0.4:
        lines += [b"Origin: " + dice.choice(ORIGINS) for _ in range(dice.choice([1, 1, 2]))]
    lines += [dice.choice(FIELDS) + b": " + dice.choice(VALUES) for _ in range(dice.choice([0, 0, 1, 2]))]
    if authorization is not None and dice.random() < 0.8:
        lines.append(b"Authorization: " + authorization)
    if body:
        lines += [b"Content-Length: %d" % len(body), b"Content-Type: " + dice.choice(TYPES)]
    head = b"\r\n".join([*lines, b"Connection: close", b"", b""])
    return method.decode(), target.decode("latin-1"), head + body
