"""System files of machines that are not here, as their kernels write them: each function fills a folder."""

from collections.abc import Callable
from pathlib import Path

Files = dict[str, str]

HOURS_TICKS = 360_000
ZONE = "sys/class/thermal/thermal_zone"
HWMON = "sys/class/hwmon/hwmon"


def plant(root: Path, files: Files) -> Path:
    """Write files under a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def stat(cores: int, busy_ticks: int = 1000, idle_ticks: int = HOURS_TICKS, steal_ticks: int = 0) -> str:
    """/proc/stat: every core alike; busy is half user, half system."""
    half, rest = busy_ticks // 2, busy_ticks - busy_ticks // 2
    lines = [("cpu", cores), *((f"cpu{core}", 1) for core in range(cores))]
    rows = [f"{name} {half * n} 0 {rest * n} {idle_ticks * n} 0 0 0 {steal_ticks * n} 0 0" for name, n in lines]
    return "\n".join([*rows, "intr 42 0 1", "ctxt 17", ""])


def linux(cores: int, disk: str, number: str, memory_kib: int) -> Files:
    """What every kernel has."""
    return {
        "proc/stat": stat(cores),
        "proc/loadavg": "0.50 0.25 0.10 1/123 4567\n",
        "proc/meminfo": f"MemTotal:  {memory_kib} kB\nMemFree: 1000 kB\nMemAvailable: {memory_kib // 2} kB\n"
        "SwapTotal: 2048 kB\nSwapFree: 1024 kB\n",
        "proc/diskstats": f"   7       0 loop0 9 9 9 9 9 9 9 9 0 9 9\n"
        f" {number.replace(':', ' ')} {disk} 10 0 200 5 20 0 400 7 0 1500 12\n",
        "proc/self/mountinfo": f"25 1 {number} / / rw,relatime - ext4 /dev/{disk} rw\n",
        "proc/net/dev": "Inter-|   Receive  |  Transmit\n face |bytes    packets\n"
        "    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0\n"
        "  eth0: 1000 1 0 0 0 0 0 0 300 1 0 0 0 0 0 0\n wlan0:20 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n",
    }


def zone(at: int, kind: str, millidegrees: int, passive: int | None = None) -> Files:
    """A thermal zone, with a passive trip point where it has one."""
    files = {f"{ZONE}{at}/type": f"{kind}\n", f"{ZONE}{at}/temp": f"{millidegrees}\n"}
    if passive is not None:
        files |= {
            f"{ZONE}{at}/trip_point_0_type": "critical\n",
            f"{ZONE}{at}/trip_point_0_temp": f"{passive + 20_000}\n",
            f"{ZONE}{at}/trip_point_1_type": "passive\n",
            f"{ZONE}{at}/trip_point_1_temp": f"{passive}\n",
        }
    return files


def clocks(cores: int, khz: int) -> Files:
    """A cpufreq file a core."""
    return {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": f"{khz}\n" for core in range(cores)}


def cgroup_v2(**stat_fields: int) -> Files:
    """A container in a namespace of its own."""
    fields = {"usage_usec": 2_500_000, "nr_periods": 10, "nr_throttled": 3, "throttled_usec": 40_000} | stat_fields
    return {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.stat": "".join(f"{name} {value}\n" for name, value in fields.items()),
        "sys/fs/cgroup/memory.current": "123456\n",
    }


PI4_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI5_THROTTLED = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


def raspberry_pi_4(root: Path) -> Path:
    """A Pi 4 whose supply was weak some time since boot (bit 16); no PSI in its kernel."""
    return plant(
        root,
        linux(4, "mmcblk0", "179:0", 3_884_312)
        | {"proc/self/mountinfo": "25 1 179:2 / / rw - ext4 /dev/root rw\n"}
        | {"proc/diskstats": " 179 0 mmcblk0 10 0 200 5 20 0 400 7 0 1500 12\n 179 2 mmcblk0p2 1 0 2 1 1 0 1 1 0 1 1\n"}
        | zone(0, "cpu-thermal", 48_312)
        | clocks(4, 1_500_000)
        | cgroup_v2()
        | {
            f"{HWMON}0/name": "cpu_thermal\n",
            f"{HWMON}0/temp1_input": "48312\n",
            f"{HWMON}1/name": "rpi_volt\n",
            f"{HWMON}1/in0_lcrit_alarm": "0\n",
            PI4_THROTTLED: "10000\n",
        },
    )


def raspberry_pi_5(root: Path) -> Path:
    """A Pi 5 with its fan, and PSI."""
    return plant(
        root,
        linux(4, "nvme0n1", "259:0", 8_245_000)
        | {"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"}
        | zone(0, "cpu-thermal", 55_100)
        | clocks(4, 2_400_000)
        | cgroup_v2()
        | {
            "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
            "sys/class/thermal/cooling_device0/cur_state": "2\n",
            f"{HWMON}0/name": "rpi_volt\n",
            f"{HWMON}0/in0_lcrit_alarm": "0\n",
            PI5_THROTTLED: "0\n",
        },
    )


def jetson_nano(root: Path) -> Path:
    """A Nano on JetPack 4: control groups of version 1, rails through iio, the GPU's zone, a fake one."""
    iio = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    rails = {
        f"{iio}/{name.format(at)}": f"{value}\n"
        for at, (rail, milliwatts) in enumerate((("POM_5V_IN", 4500), ("POM_5V_GPU", 800), ("POM_5V_CPU", 1200)))
        for name, value in (("rail_name_{}", rail), ("in_power{}_input", milliwatts))
    }
    return plant(
        root,
        linux(4, "mmcblk0", "179:0", 4_058_000)
        | zone(0, "AO-therm", 40_000)
        | zone(1, "CPU-therm", 36_500, passive=86_000)
        | zone(2, "GPU-therm", 34_000)
        | zone(3, "PMIC-Die", 100_000)
        | clocks(4, 1_479_000)
        | rails
        | {
            "proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
            "sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "7500000000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 500000000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "654321\n",
            "sys/class/devfreq/57000000.gpu/device/load": "123\n",
            "sys/class/devfreq/57000000.gpu/cur_freq": "921600000\n",
            "sys/class/thermal/cooling_device0/type": "gpu-balanced\n",
            "sys/class/thermal/cooling_device0/cur_state": "0\n",
        },
    )


def jetson_orin(root: Path) -> Path:
    """An Orin Nano on JetPack 6: rails through hwmon, one zone powered off."""
    chip = f"{HWMON}3"
    channels = {1: ("VDD_IN", 5000, 1200), 2: ("VDD_CPU_GPU_CV", 5000, 400), 3: ("VDD_SOC", 5000, 300)}
    rails = {
        f"{chip}/{name}{at}_{kind}": f"{value}\n"
        for at, (rail, millivolts, milliamperes) in channels.items()
        for name, kind, value in (("in", "label", rail), ("in", "input", millivolts), ("curr", "input", milliamperes))
    }
    return plant(
        root,
        linux(6, "nvme0n1", "259:0", 7_800_000)
        | zone(0, "cpu-thermal", 51_000, passive=99_000)
        | zone(1, "gpu-thermal", 50_500)
        | zone(2, "cv0-thermal", -256_000)
        | clocks(6, 1_510_400)
        | cgroup_v2()
        | rails
        | {
            f"{chip}/name": "ina3221\n",
            f"{chip}/in7_label": "sum of shunt voltages\n",
            f"{chip}/in7_input": "3\n",
            "sys/class/devfreq/17000000.gpu/device/load": "500\n",
            "sys/class/devfreq/17000000.gpu/cur_freq": "624750000\n",
            "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
            "sys/class/thermal/cooling_device0/cur_state": "1\n",
            "sys/class/thermal/cooling_device1/type": "cpu-throttle-alert\n",
            "sys/class/thermal/cooling_device1/cur_state": "0\n",
        },
    )


def x86_with_amdgpu(root: Path) -> Path:
    """A desktop: coretemp, an AMD card, RAPL readable, an odd hwmon chip first."""
    card = "sys/class/drm/card0/device"
    return plant(
        root,
        linux(8, "sda", "8:0", 32_000_000)
        | {"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"}
        | clocks(8, 3_600_000)
        | cgroup_v2()
        | {
            f"{HWMON}0/name": "acpitz\n",
            f"{HWMON}0/temp1_input": "27800\n",
            f"{HWMON}1/name": "coretemp\n",
            f"{HWMON}1/temp1_label": "Package id 0\n",
            f"{HWMON}1/temp1_input": "61000\n",
            f"{HWMON}1/temp1_crit": "100000\n",
            f"{HWMON}1/temp2_label": "Core 0\n",
            f"{HWMON}1/temp2_input": "60000\n",
            f"{HWMON}2/name": "amdgpu\n",
            f"{HWMON}2/temp1_label": "edge\n",
            f"{HWMON}2/temp1_input": "44000\n",
            f"{HWMON}2/power1_average": "31000000\n",
            f"{HWMON}2/power1_label": "PPT\n",
            f"{card}/gpu_busy_percent": "37\n",
            f"{card}/mem_info_vram_used": "1073741824\n",
            f"{card}/mem_info_vram_total": "8573157376\n",
            f"{card}/hwmon/hwmon2/temp1_input": "44000\n",
            f"{card}/hwmon/hwmon2/freq1_input": "1800000000\n",
            "sys/class/powercap/intel-rapl:0/name": "package-0\n",
            "sys/class/powercap/intel-rapl:0/energy_uj": "262000000\n",
            "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143000\n",
            "sys/class/thermal/cooling_device0/type": "intel_powerclamp\n",
            "sys/class/thermal/cooling_device0/cur_state": "-1\n",
            "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "5\n",
            "sys/devices/system/cpu/cpu0/topology/physical_package_id": "0\n",
            "sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": "5\n",
            "sys/devices/system/cpu/cpu1/topology/physical_package_id": "0\n",
        },
    )


def bare_vm(root: Path) -> Path:
    """A virtual machine: an overlay for a root, and not one sensor."""
    mounts = "30 1 0:45 / / rw - overlay overlay rw\n31 30 254:1 /x /etc/hosts rw - ext4 /dev/vda1 rw\n"
    disks = " 254 0 vda 10 0 200 5 20 0 400 7 0 1500 12\n 254 1 vda1 1 0 2 1 1 0 1 1 0 1 1\n"
    return plant(root, linux(2, "vda", "254:0", 2_000_000) | {"proc/self/mountinfo": mounts, "proc/diskstats": disks})


TREES: dict[str, Callable[[Path], Path]] = {
    "raspberry_pi_4": raspberry_pi_4,
    "raspberry_pi_5": raspberry_pi_5,
    "jetson_nano": jetson_nano,
    "jetson_orin": jetson_orin,
    "x86_with_amdgpu": x86_with_amdgpu,
    "bare_vm": bare_vm,
}
