"""The machine a benchmark ran on: what somebody needs to know to compare with another."""
import os
import platform
import subprocess
from pathlib import Path


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def cpu_field(name):
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def describe(root, **tools):
    """Name to text. tools: a name and the command whose first line tells its version."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8")
    flags = cpu_field("flags").split()
    load = os.getloadavg()[0]
    return {
        "processor": cpu_field("model name"),
        "family, model, stepping": ", ".join(cpu_field(name) for name in ("cpu family", "model\t", "stepping")),
        "instructions": " ".join(flag for flag in wanted if flag in flags),
        "virtual machine": "yes" if "hypervisor" in flags else "no",
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2 ** 30:.0f} GiB",
        "kernel": platform.release(),
        "system": " ".join(platform.freedesktop_os_release().get(key, "") for key in ("NAME", "VERSION_ID")),
        "compiler": first_line("gcc", "--version"),
        **{name: first_line(*command) for name, command in tools.items()},
        "commit": first_line("git", "-C", str(root), "describe", "--always", "--dirty"),
        "load before": f"{load:.1f}",
    }
