"""Variables for an agent's container: `up --env NAME=VALUE`, which leaves those alone that `up` itself decides."""

from collections.abc import Mapping
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.programs import VARIABLE
from provisioning.provider import AGENT_OPTIONS, Option

PREFIX = "EDGERUN_"
DECIDED = {
    **{PREFIX + option.upper().replace("-", "_"): f"give --{option} instead" for option in AGENT_OPTIONS},
    **dict.fromkeys(
        (f"{PREFIX}TOKEN", f"{PREFIX}TOKEN_SHA256", f"{PREFIX}TLS", f"{PREFIX}HOST", f"{PREFIX}DATA", VARIABLE),
        "every deployment gets its own, without which `provision` could not reach or find it",
    ),
}
"""The agent's settings that may not be given, and why; others, such as EDGERUN_DEVICE, may."""


def option(who_sees: str) -> Option:
    """The option `--env` of a place where `who_sees` the values."""
    return Option(
        "env",
        "a variable for the agent and `provision exec`, not for jobs; may be repeated. "
        f"{who_sees}: no place for secrets.",
        many=True,
        metavar="NAME=VALUE",
        pattern=r"(?s:[A-Za-z_][A-Za-z0-9_]*=.*)",
        check=_require_free,
    )


def variables(options: Mapping[str, Any]) -> dict[str, str]:
    """What was given, by name; of two values for one name the last."""
    return dict(text.split("=", 1) for text in options.get("env", ()))


def _require_free(text: str) -> None:
    name = text.partition("=")[0]
    if why := DECIDED.get(name):
        raise ProvisioningError(f"--env cannot set {name}, which `provision up` decides", hint=why)
