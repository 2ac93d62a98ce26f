"""How tokens and changes are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from client.console import plain_table
from client.durations import format_duration
from contract.tokens import AuditEntry, TokenInfo


@dataclass(frozen=True)
class HostTokens:
    """The tokens of an agent."""

    host: str
    tokens: Sequence[TokenInfo]
    in_use: str | None
    """The name of the one that this command sent."""


@dataclass(frozen=True)
class HostChanges:
    """What was changed on an agent."""

    host: str
    entries: Sequence[AuditEntry]
    next: int | None


def token_row(host: str, token: TokenInfo, in_use: str | None) -> dict[str, Any]:
    """A token as a row of plain values."""
    return {
        "host": host,
        "name": token.name,
        "scopes": " ".join(token.scopes),
        "created_at": token.created_at.isoformat(),
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "expired": token.expired,
        "first": token.first,
        "in_use": token.name == in_use,
    }


def tokens_view(found: Sequence[HostTokens]) -> RenderableType:
    """A row a token; * marks the one in use."""
    table = plain_table("", "host", "name", "scopes", "made", "last used", "expires")
    for each in found:
        for token in each.tokens:
            table.add_row(
                "*" if token.name == each.in_use else "",
                each.host,
                token.name,
                " ".join(token.scopes),
                _ago(token.created_at),
                _ago(token.last_used_at) if token.last_used_at else Text("never", "dim"),
                _expiry(token),
            )
    return table


def audit_row(host: str, entry: AuditEntry) -> dict[str, Any]:
    """A change as a row of plain values."""
    return {"host": host, **entry.model_dump(mode="json")}


def audit_view(found: Sequence[HostChanges]) -> RenderableType:
    """A row a change, newest first, by the clock of the agent."""
    table = plain_table("when (UTC)", "host", "who", "from", "what", "target", "outcome")
    for each in found:
        for entry in each.entries:
            table.add_row(
                f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                each.host,
                _who(entry),
                entry.address,
                entry.action,
                entry.target or "",
                _outcome(entry),
            )
    return table


def _who(entry: AuditEntry) -> Text:
    if entry.token is None:
        return Text("-", "dim")
    return Text(f"{entry.token} (browser)" if entry.session else entry.token)


def _outcome(entry: AuditEntry) -> Text:
    if entry.count > 1 or entry.status is None:
        return Text(f"{entry.count} times" if entry.count > 1 else "not answered", "dim")
    return Text("done", "green") if entry.status < 400 else Text(f"refused ({entry.status})", "red")


def _expiry(token: TokenInfo) -> Text:
    if token.expired:
        return Text("expired", "red")
    if token.expires_at is None:
        return Text("never", "dim")
    return Text(f"in {format_duration(max(0.0, (token.expires_at - datetime.now(UTC)).total_seconds()))}")


def _ago(at: datetime) -> str:
    return f"{format_duration(max(0.0, (datetime.now(UTC) - at).total_seconds()))} ago"
