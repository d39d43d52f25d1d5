"""GPU leases: without them, parallel jobs of a machine would all compute on its first GPU.

A lease is a lock on a file, one for each device and slot (`jobs_per_gpu` slots). The kernel
releases it when its process ends, however it ends.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from urllib.parse import quote

JOBS_VARIABLE = "LEAP_SUITE_JOBS_PER_GPU"
_DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_SECONDS_BETWEEN_TRIES = 1.0

logger = logging.getLogger("leap_suite")


def use_gpus(wanted: int) -> None:
    """Lease GPUs until this process ends (call it before torch is first imported).

    Waits until they are free, and hides all others. Without GPUs on the machine the job computes
    on the CPU. Processes of torchrun share their launcher's lease.
    Raises ValueError if the machine has some GPUs but fewer than `wanted`.
    """
    if "WORLD_SIZE" not in os.environ:
        os.environ[_DEVICES_VARIABLE] = ",".join(_lease(wanted, visible_gpus()) if wanted else [])
    devices = os.environ.get(_DEVICES_VARIABLE)
    logger.debug("on %s", f"GPU {devices}" if devices else "the CPU")


def visible_gpus() -> list[str]:
    """Indices or UUIDs in CUDA_VISIBLE_DEVICES if it is set, else of all GPUs of the machine."""
    listed = os.environ.get(_DEVICES_VARIABLE)
    names = asked_driver("index") if listed is None else map(str.strip, listed.split(","))
    # like CUDA, which stops at an invalid name: -1, or Slurm's NoDevFiles
    real = takewhile(lambda name: name and name[0] != "-" and name != "NoDevFiles", names)
    return list(dict.fromkeys(real))


def asked_driver(field: str) -> list[str]:
    """A field of `nvidia-smi` for every GPU of the machine; none without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={field}", "--format=csv,noheader"]
    listing = subprocess.run(command, capture_output=True, text=True)
    return listing.stdout.split() if listing.returncode == 0 else []


def _lease(wanted: int, devices: Sequence[str]) -> list[str]:
    """Wait for `wanted` of the devices, in a queue of all jobs that choose among the same ones."""
    if not devices:
        return []
    if wanted > len(devices):
        raise ValueError(
            f"resources.<stage>.gpu is {wanted} for this job, but it can only see GPU "
            f"{', '.join(devices)}: set it to {len(devices)} or less"
        )
    folder = _lease_folder()
    among = hashlib.sha256(",".join(sorted(devices)).encode()).hexdigest()[:16]
    queue = _open(folder / f"queue-{among}")
    taken = _take(wanted, devices, folder) if _lock(queue) else []
    if not taken:
        logger.info("waiting for a GPU")
        fcntl.flock(queue, fcntl.LOCK_EX)
        while not (taken := _take(wanted, devices, folder)):
            time.sleep(_SECONDS_BETWEEN_TRIES)
    os.close(queue)
    return taken


def _lease_folder() -> Path:
    """The folder of this user's leases; inside Slurm, which renumbers GPUs, of the allocation.

    Raises ValueError if another user made it or could write to it.
    """
    allocation = os.environ.get("SLURM_JOB_ID")
    name = f"leap-suite-gpus-{os.getuid()}{f'-{allocation}' if allocation else ''}"
    folder = Path(tempfile.gettempdir(), name)
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(
            f"{folder} is not a folder of yours alone: delete it, or set TMPDIR to another place"
        )
    return folder


def _take(wanted: int, devices: Sequence[str], folder: Path) -> list[str]:
    """Lock one slot on each of `wanted` devices, idle ones first; none if too few are free."""
    free = {device: _lock_free_slots(device, folder) for device in devices}
    usable = sorted(filter(free.get, devices), key=lambda device: -len(free[device]))
    chosen = usable[:wanted] if len(usable) >= wanted else []
    for device, slots in free.items():
        if device in chosen:
            slots.pop()  # stays open, and with it the lease
        for slot in slots:
            os.close(slot)
    return chosen


def _lock_free_slots(device: str, folder: Path) -> list[int]:
    """Lock all free slots of a device; their descriptors."""
    jobs = int(os.environ.get(JOBS_VARIABLE, "1"))
    slots = [_open(folder / f"{quote(device, safe='')}.{slot}") for slot in range(jobs)]
    free = [slot for slot in slots if _lock(slot)]
    for slot in set(slots) - set(free):
        os.close(slot)
    return free


def _open(file: Path) -> int:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    os.utime(descriptor)  # machines delete temporary files that look unused for days
    return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
