"""On which runtimes and devices a job may run its model."""

from contract.codes import ErrorCode
from contract.specs import BenchmarkSpec, ProfileSpec
from server.errors import AgentError
from server.jobs.kinds.base import Means
from server.models.stored_model import StoredModel
from server.runtimes.selection import CPU, Candidate, Choice, NoDevice, choose


def choose_devices(means: Means, model: StoredModel, spec: BenchmarkSpec | ProfileSpec) -> Choice:
    """Runtimes and devices to try, best first; raises AgentError RUNTIME_UNAVAILABLE, DEVICE_UNAVAILABLE."""
    registry, pools = means.registry, means.pools
    first = registry.runtime_for(model, spec.runtime)
    if spec.device == CPU:
        return Choice([Candidate(first, CPU)], [], f"{CPU} was asked for")
    others = [] if spec.runtime else [name for name in pools.installed if name != first]
    unfit = {name: reason for name in others if (reason := registry.why_not(model, name)) is not None}
    found = pools.devices.of([first, *(name for name in others if name not in unfit)])
    try:
        return choose(spec.device, found, unfit)
    except NoDevice as none:
        raise AgentError(ErrorCode.DEVICE_UNAVAILABLE, str(none)) from none
