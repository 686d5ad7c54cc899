"""What one has to know of a machine to compare its figures with another's."""

import os
import platform
import re
import subprocess
from pathlib import Path

from .tools.base import first_line


def found(pattern, path, missing="?"):
    try:
        match = re.search(pattern, Path(path).read_text())
    except OSError:
        return missing
    return match[1].strip() if match else missing


def last_line(*command):
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return (done.stdout.splitlines() or ["?"])[-1].strip()


def below(folder, what):
    """A column of df for the file system that the folder lies on."""
    return last_line("df", f"--output={what}", str(folder))


def disk(folder):
    """The device below the folder, and its model where there is one."""
    source = below(folder, "source")
    model = found(r"(.*)", f"/sys/class/block/{Path(source).name}/device/model", "")
    return f"{source} {model}".strip()


def describe(folder, tools):
    memory = found(r"MemTotal:\s*(\d+)", "/proc/meminfo", "0")
    return {
        "cpu": found(r"model name\s*: (.*)", "/proc/cpuinfo", platform.machine()),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / (1 << 20), 1),
        "kernel": platform.release(),
        "system": found(r'PRETTY_NAME="(.*)"', "/etc/os-release"),
        "congestion_control": found(r"(.*)", "/proc/sys/net/ipv4/tcp_congestion_control"),
        "file_system": below(folder, "fstype"),
        "disk": disk(folder),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "tc": first_line("tc", "-V"),
        "versions": {tool.name: tool.version() for tool in tools},
    }
