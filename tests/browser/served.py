"""`huntress-evidence serve` on a free port of loopback, ended by its process id."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path


class Simulated:
    """The simulated Huntress as a process of its own, ended by its process id."""

    def __init__(self, command, *arguments):
        self.child = subprocess.Popen([command, *arguments], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True, text=True)
        self.url = self.child.stdout.readline().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise SystemExit(f"the simulator did not say where it is: {self.url!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.child)


def end(child):
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(30)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(10)


class Served:
    def __init__(self, command, folder, demo, huntress=None):
        self.log = Path(folder, "serve.log")
        self.data = Path(folder, "data")
        self.command, self.folder = command, folder
        arguments = ["--demo"] if demo else ["--data", str(self.data), "--company", "acme"]
        reached = {"HUNTRESS_EDR_URL": huntress, "HUNTRESS_SAT_URL": huntress, "HUNTRESS_ALLOW_LOOPBACK": "1"} if huntress else {}
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [command, "serve", "--listen", "127.0.0.1:0", *arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **reached},
            )
        self.url = self.printed(r"listening on (http://127\.0\.0\.1:\d+)")
        self.links = [self.printed(r"console: (http://\S+)")]

    def printed(self, pattern, seconds=180):
        """What the server has said, as soon as it has."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text(errors="replace"))
            if found:
                return found.group(1)
            if self.child.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"serve did not say {pattern}:\n{self.log.read_text(errors='replace')[-2000:]}")

    def link(self):
        """The login link, which works once."""
        return self.links.pop()

    def token(self):
        """The token of the folder."""
        file = self.printed(r"token in (\S+)")
        return Path(file).read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.child)
