"""Which runtime and device run a model: a pure function of what is there and what was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contract.devices import Rejection, RuntimeDevice
from server.runtimes import KNOWN

CPU = "CPU"
_NAMED_ONLY = ("NPU",)
"""AUTO takes these only when they are named: many models fail on them or lose accuracy."""
_DISCRETE = "dGPU"
_SPLITTING = next(name for name, package in KNOWN.items() if package.splits_graphs)
"""The runtime that takes HETERO."""


@dataclass(frozen=True)
class Candidate:
    """A runtime and a device of it."""

    runtime: str
    device: str


@dataclass(frozen=True)
class Choice:
    """What to try, best first; the last one is what is fallen back on."""

    candidates: Sequence[Candidate]
    rejected: Sequence[Rejection]
    reason: str


class NoDevice(Exception):
    """Nothing here is what was asked for; the message says what each runtime has to say."""


def choose(requested: str, found: Mapping[str, Sequence[RuntimeDevice]], unfit: Mapping[str, str]) -> Choice:
    """Order the candidates of a request.

    `requested` follows `contract.devices.DEVICE_PATTERN`. `found` holds the devices of each runtime that reads the
    model, preferred runtime first; `unfit` says why the other runtimes do not. Raises NoDevice.
    """
    mode, _, names = requested.partition(":")
    rejected = [Rejection(runtime=runtime, device="*", reason=reason) for runtime, reason in unfit.items()]
    if mode == "HETERO":
        return _split(requested, names.split(","), found, rejected)
    if mode == "AUTO":
        return _automatic(names.split(",") if names else None, found, rejected)
    usable, refused = _usable([requested], found)
    rejected += refused
    if not usable:
        raise NoDevice(_refusal(requested, rejected))
    return Choice(usable[:1], rejected, f"{requested} was asked for")


def _automatic(
    names: Sequence[str] | None, found: Mapping[str, Sequence[RuntimeDevice]], rejected: list[Rejection]
) -> Choice:
    known = dict.fromkeys(device.name for devices in found.values() for device in devices)
    wanted = list(names) if names else sorted((name for name in known if name != CPU), key=_is_named_only)
    accelerators, refused = _usable([name for name in wanted if name != CPU], found)
    if names is None:  # what a runtime never heard of need not be said of all devices there are
        refused = [each for each in refused if each.device in {device.name for device in found[each.runtime]}]
    if names is None:
        opt_in = [candidate for candidate in accelerators if _is_named_only(candidate.device)]
        accelerators = [candidate for candidate in accelerators if candidate not in opt_in]
        refused += [_rejection(candidate, "AUTO takes it only when it is named: AUTO:NPU,CPU") for candidate in opt_in]
    accelerators.sort(key=lambda candidate: _DISCRETE not in _detail(candidate, found))  # stable: else as listed
    rejected += refused
    cpus = _usable([CPU], found)[0] if names is None or CPU in names else []
    rejected += [_rejection(candidate, f"{cpus[0].runtime} is preferred on the {CPU}") for candidate in cpus[1:]]
    candidates = [*accelerators, *cpus[:1]]
    if not candidates:
        raise NoDevice(_refusal("AUTO" if names is None else f"AUTO:{','.join(names)}", rejected))
    return Choice(candidates, rejected, _reason(accelerators, cpus))


def _reason(accelerators: Sequence[Candidate], cpus: Sequence[Candidate]) -> str:
    if not accelerators:
        return f"no accelerator can be used here: {cpus[0].runtime} on the {CPU}"
    best = accelerators[0]
    start = f", started on the {CPU} while it compiles" if cpus else ""
    return f"{best.runtime} on {best.device}: accelerators go before the CPU{start}"


def _split(
    requested: str, names: Sequence[str], found: Mapping[str, Sequence[RuntimeDevice]], rejected: list[Rejection]
) -> Choice:
    devices = {device.name.split(".")[0]: device for device in found.get(_SPLITTING, [])}
    if not devices:
        why = next((each.reason for each in rejected if each.runtime == _SPLITTING), "it is not installed")
        raise NoDevice(f"{requested}: only {_SPLITTING} splits a graph over devices; {why}")
    missing = [
        Rejection(runtime=_SPLITTING, device=name, reason=device.detail if device else "it knows no such device")
        for name in names
        if (device := devices.get(name.split(".")[0])) is None or not device.available
    ]
    if missing:
        raise NoDevice(_refusal(requested, [*rejected, *missing]))
    return Choice([Candidate(_SPLITTING, requested)], rejected, f"{requested} was asked for")


def _usable(
    names: Sequence[str], found: Mapping[str, Sequence[RuntimeDevice]]
) -> tuple[list[Candidate], list[Rejection]]:
    """Candidates by name, then by runtime, and why others are none; `GPU` stands for `GPU.0` and `GPU.1` too."""
    usable, refused = [], []
    for name in names:
        for runtime, devices in found.items():
            matching = [device for device in devices if name in (device.name, device.name.split(".")[0])]
            if not matching:
                refused.append(Rejection(runtime=runtime, device=name, reason=f"{runtime} knows no {name}"))
            for device in matching:
                candidate = Candidate(runtime, device.name)
                if device.available and candidate not in usable:
                    usable.append(candidate)
                elif not device.available:
                    refused.append(_rejection(candidate, device.detail))
    return usable, refused


def _is_named_only(name: str) -> bool:
    return name.split(".")[0] in _NAMED_ONLY


def _detail(candidate: Candidate, found: Mapping[str, Sequence[RuntimeDevice]]) -> str:
    return next(device.detail for device in found[candidate.runtime] if device.name == candidate.device)


def _rejection(candidate: Candidate, reason: str) -> Rejection:
    return Rejection(runtime=candidate.runtime, device=candidate.device, reason=reason)


def _refusal(requested: str, rejected: Sequence[Rejection]) -> str:
    reasons = "; ".join(
        f"{each.runtime}{'' if each.device == '*' else f' {each.device}'}: {each.reason}" for each in rejected
    )
    return f"{requested} cannot be used here: {reasons}"
