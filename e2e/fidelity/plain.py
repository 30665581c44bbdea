"""Runs programs one after the other as ``python3 main.py``, each in an empty /work and /tmp: what the service is
compared with. Not pid 1 itself, because a program that is one does not get the signals that it sends to itself.

One JSON object a line comes in, one goes out.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

SECONDS_MAX = 30


def initial_environment():
    # Not os.environ: Python may have added LC_CTYPE for itself.
    with open("/proc/self/environ", "rb") as file:
        entries = [entry for entry in file.read().split(b"\0") if entry]
    return {name: value for name, _, value in (entry.partition(b"=") for entry in entries)}


def clear(directory):
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def write(files, executable):
    for name, content in files.items():
        path = os.path.join("/work", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(content))
        os.chmod(path, 0o755 if name in executable else 0o644)


def feed(stream, data):
    try:
        stream.write(data)
        stream.close()
    except BrokenPipeError:
        pass


def run(program):
    clear("/work")
    clear("/tmp")
    write(program["files"], program["executable"])
    environment = initial_environment()
    for variable in program["env"]:
        name, _, value = os.fsencode(variable).partition(b"=")
        environment[name] = value
    process = subprocess.Popen(
        ["python3", program["entrypoint"]] + program["args"],
        executable=shutil.which("python3", path=os.fsdecode(environment[b"PATH"])),
        env=environment,
        cwd="/work",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    outputs = {}
    threads = [threading.Thread(target=feed, args=(process.stdin, program["stdin"].encode()), daemon=True)]
    for name in ("stdout", "stderr"):
        stream = getattr(process, name)
        threads.append(threading.Thread(target=lambda n=name, s=stream: outputs.__setitem__(n, s.read())))
    for thread in threads:
        thread.start()
    try:
        code = process.wait(SECONDS_MAX)
    except subprocess.TimeoutExpired:
        code = None
    # With its first process, a container ends.
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for thread in threads[1:]:
        thread.join()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return {
        "exitCode": code if code is None or code >= 0 else 128 - code,
        "stdout": base64.b64encode(outputs["stdout"]).decode(),
        "stderr": base64.b64encode(outputs["stderr"]).decode(),
    }


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
