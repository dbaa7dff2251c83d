"""What a hostile file might do once it has taken over the process that reads it: each attempt, and each way to end."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from smalti.compute import extend_limits

Request = Mapping[str, Any]
REFUSED = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENODEV)
libc = ctypes.CDLL(None, use_errno=True)
_ANSWERING = 3


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _connect(kind: int, address: Any, family: int = socket.AF_INET) -> None:
    with socket.socket(family, kind) as made:
        made.connect(address)


def _fork(_: Request) -> None:
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)


def _vfork(_: Request) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()


def _exec(request: Request) -> None:
    os.execv(str(Path(request["folder"], "absent")), ["absent"])  # in reach where the system call is


def _read_memory(request: Request) -> None:
    target = ctypes.create_string_buffer(8)

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    here = Vector(ctypes.addressof(target), 8)
    _checked(libc.process_vm_readv(request["parent"], ctypes.byref(here), 1, ctypes.byref(here), 1, 0))


ATTEMPTS: dict[str, Callable[[Request], Any]] = {
    # what needs Landlock to be kept from
    "files: read a key": lambda request: Path(request["secret"]).read_text(),
    "files: read the environment of another": lambda request: Path(f"/proc/{request['parent']}/environ").read_bytes(),
    "files: read what is beside the input": lambda request: Path(request["sibling"]).read_text(),
    "files: list a folder": lambda request: list(Path(request["secret"]).parent.iterdir()),
    "files: write another": lambda request: Path(request["victim"]).write_text("mine"),
    "files: empty another": lambda request: os.truncate(request["victim"], 0),
    "files: remove another": lambda request: Path(request["victim"]).unlink(),
    "files: make one elsewhere": lambda request: Path(request["victim"]).with_name("new").write_text("new"),
    "files: make a folder elsewhere": lambda request: Path(request["victim"]).with_name("folder").mkdir(),
    "files: move another": lambda request: Path(request["victim"]).rename(f"{request['folder']}/moved"),
    "files: link another": lambda request: os.link(request["secret"], f"{request['folder']}/linked"),
    "files: leave a link": lambda request: Path(f"{request['folder']}/symbolic").symlink_to(request["secret"]),
    # what needs seccomp
    "calls: change the mode of another": lambda request: Path(request["victim"]).chmod(0o777),
    "calls: change the times of another": lambda request: os.utime(request["victim"], (0, 0)),
    "calls: connect by TCP": lambda request: _connect(socket.SOCK_STREAM, ("127.0.0.1", request["port"])),
    "calls: connect by UDP": lambda request: _connect(socket.SOCK_DGRAM, ("127.0.0.1", request["port"])),
    "calls: make a Unix socket": lambda _: socket.socket(socket.AF_UNIX).close(),
    "calls: make a pair of sockets": lambda _: [end.close() for end in socket.socketpair()],
    "calls: fork": _fork,
    "calls: start a program": _vfork,
    "calls: become a program": _exec,
    "calls: signal another": lambda request: os.kill(request["parent"], 0),
    "calls: signal all": lambda _: os.kill(0, 0),
    "calls: look into another": _read_memory,
    "calls: trace another": lambda request: _checked(libc.ptrace(0x4206, request["parent"], 0, 0)),
    "calls: memory that is shared": lambda _: mmap.mmap(-1, 1 << 20, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS).close(),
    "calls: memory in a file that is none": lambda _: os.close(os.memfd_create("a")),
    "calls: set a limit": lambda _: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "calls: be owner of a signal": lambda request: fcntl.fcntl(2, fcntl.F_SETOWN, request["parent"]),
    "calls: change the user": lambda _: os.setuid(os.getuid()),
    "calls: leave the time limit of the parent": lambda _: _checked(libc.prctl(1, 0, 0, 0, 0)),
}  # fmt: skip


def attempt(request: Request) -> dict[str, Any]:
    """Try ``request["attempt"]``: ``done``, and what it came to."""
    try:
        return {"done": True, "came": repr(ATTEMPTS[request["attempt"]](request))[:200]}
    except OSError as error:
        return {"done": error.errno not in REFUSED, "came": str(error)}


def state(_: Request) -> dict[str, Any]:
    """Say what a child has."""
    kinds = ("DATA", "CPU", "FSIZE", "NOFILE", "CORE")
    limits = {kind: resource.getrlimit(getattr(resource, f"RLIMIT_{kind}")) for kind in kinds}
    files = []
    for descriptor in range(256):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        files.append(descriptor)
    return {
        "environment": dict(os.environ),
        "limits": limits,
        "files": files,
        "folder": str(Path.cwd()),
        "pid": os.getpid(),
    }


def echo(request: Request) -> dict[str, Any]:
    return dict(request)


def read(request: Request) -> dict[str, Any]:
    return {"text": Path(request["path"]).read_text()}


def write(request: Request) -> dict[str, Any]:
    Path(request["folder"], "result").write_text("result")
    return {}


def run_thread(_: Request) -> dict[str, Any]:
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    return {"done": len(done)}


def take(request: Request) -> dict[str, Any]:
    for nbytes in request.get("claimed", ()):
        extend_limits(nbytes, 1)
    return {"took": len(bytearray(request["nbytes"])), **state(request)}


def take_without_end(_: Request) -> dict[str, Any]:
    kept = []
    while True:
        kept.append(bytearray(b"x" * (16 << 20)))


def sleep(request: Request) -> dict[str, Any]:
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
        signal.signal(number, signal.SIG_IGN)
    Path(request["folder"], "pid").write_text(str(os.getpid()))
    time.sleep(60)
    return {}


def compute(request: Request) -> dict[str, Any]:
    if request["stubborn"]:
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def write_without_end(request: Request) -> dict[str, Any]:
    with Path(request["folder"], "endless").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))


def crash(_: Request) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def abort(_: Request) -> dict[str, Any]:
    os.abort()


def fail(_: Request) -> dict[str, Any]:
    print("noise", flush=True)
    print("noise on stderr", file=sys.stderr, flush=True)
    raise RuntimeError("the cause")


def leave(_: Request) -> dict[str, Any]:
    sys.exit(3)


def end_by(request: Request) -> dict[str, Any]:
    signal.signal(request["signal"], signal.SIG_DFL)
    os.kill(os.getpid(), request["signal"])
    time.sleep(60)
    return {}


def leave_with(request: Request) -> dict[str, Any]:
    os._exit(request["status"])


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_ANSWERING, data) :]


def _packed(answer: Any) -> bytes:
    text = json.dumps(answer).encode()
    return struct.pack("<cQ", b"A", len(text)) + text


def say_raw(request: Request) -> dict[str, Any]:
    """Write ``request["hex"]`` where the answer goes, again and again if asked, and then keep quiet."""
    data = bytes.fromhex(request["hex"])
    while True:
        _write(data)
        if not request["again"]:
            time.sleep(60)


def answer_twice(request: Request) -> dict[str, Any]:
    _write(_packed({"result": {"answer": 1}}) + _packed({"result": {"answer": 2}}))
    _write(_packed({"result": {"answer": 3}}))
    return {"answer": 4}


def close_without_answer(_: Request) -> dict[str, Any]:
    os.close(_ANSWERING)
    time.sleep(60)
    return {}


def claim_all(_: Request) -> dict[str, Any]:
    for _ in range(100):
        extend_limits((1 << 64) - 1, (1 << 64) - 1)
    return state({})


def say(request: Request) -> dict[str, Any]:
    """Answer this document, whatever it is."""
    answer: dict[str, Any] = request["answer"]
    return answer


def obey(request: Request) -> dict[str, Any]:
    """Do what the file says, in place of its validation: ``do``, a function of this module, and what it is given."""
    order = json.loads(Path(request["path"]).read_text())
    for name, text in order.get("leave", {}).items():
        Path(request["handover"], name).write_text(text)
    found: dict[str, Any] = globals()[order["do"]]({"folder": str(Path.cwd()), **request, **order})
    return found
