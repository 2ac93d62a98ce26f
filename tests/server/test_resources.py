"""What the control group allows, from trees as real machines show them."""

from pathlib import Path

import pytest

from server.resources import MIB, allowed_resources, cpu_model

HERE = allowed_resources().cpus


def tree(root: Path, files: dict[str, str]) -> Path:
    """System files under a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:        3884312 kB\nMemFree: 1 kB\n"}


def test_a_version_2_container_with_limits(tmp_path: Path) -> None:
    """cpu.max and memory.max at the mount, as a container with its own namespace sees them."""
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/memory.max": f"{512 * MIB}\n",
    }
    allowed = allowed_resources(tree(tmp_path, MEMINFO | files))
    assert (allowed.cpus, allowed.cpus_source) == (0.5, "cgroup")
    assert (allowed.memory_bytes, allowed.memory_source) == (512 * MIB, "cgroup")
    assert allowed.whole_cpus == 1
    assert allowed.default_workers == 1


def test_the_tightest_limit_on_the_way_up_wins(tmp_path: Path) -> None:
    """A parent's limit holds for its children."""
    files = {
        "proc/self/cgroup": "0::/kubepods/pod1/app\n",
        "sys/fs/cgroup/kubepods/pod1/app/cpu.max": "max 100000\n",
        "sys/fs/cgroup/kubepods/pod1/cpu.max": "100000 100000\n",
        "sys/fs/cgroup/kubepods/pod1/app/memory.max": "max\n",
        "sys/fs/cgroup/kubepods/memory.max": f"{1024 * MIB}\n",
    }
    allowed = allowed_resources(tree(tmp_path, MEMINFO | files))
    assert (allowed.cpus, allowed.memory_bytes) == (1.0, 1024 * MIB)


def test_a_version_1_machine(tmp_path: Path) -> None:
    """Quota and period of version 1, with the joint mount name of its controllers."""
    files = {
        "proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{256 * MIB}\n",
    }
    allowed = allowed_resources(tree(tmp_path, MEMINFO | files))
    assert (allowed.cpus, allowed.memory_bytes) == (1.0, 256 * MIB)


def test_no_limits_leave_affinity_and_memory(tmp_path: Path) -> None:
    """Version 1's huge "unlimited" and version 2's "max" are no limits."""
    files = {
        "proc/self/cgroup": "4:memory:/\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
    }
    allowed = allowed_resources(tree(tmp_path, MEMINFO | files))
    assert (allowed.cpus_source, allowed.memory_source) == ("affinity", "physical")
    assert allowed.memory_bytes == 3884312 * 1024


def test_nothing_readable_is_no_failure(tmp_path: Path) -> None:
    """Where /proc and /sys are hidden, affinity alone remains."""
    allowed = allowed_resources(tmp_path)
    assert (allowed.cpus, allowed.memory_bytes, allowed.memory_source) == (HERE, None, "unknown")
    assert allowed.default_workers >= 1


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
            "Raspberry Pi 4 Model B Rev 1.4",
        ),
        ("processor\t: 0\nmodel name\t: AMD EPYC 9B14\n", "AMD EPYC 9B14"),
        ("processor\t: 0\nCPU part\t: 0xd0b\n", None),
    ],
)
def test_the_cpu_is_named_where_the_kernel_names_it(tmp_path: Path, cpuinfo: str, name: str | None) -> None:
    """A Pi's board, an x86 model, and nothing on bare ARM kernels."""
    assert cpu_model(tree(tmp_path, {"proc/cpuinfo": cpuinfo})) == name
