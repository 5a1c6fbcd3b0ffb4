"""`huntress-evidence serve` on a free port of loopback, ended by its process id."""

import re
import signal
import subprocess
import time
from pathlib import Path


class Served:
    def __init__(self, command, folder, demo):
        self.log = Path(folder, "serve.log")
        self.data = Path(folder, "data")
        self.command, self.folder = command, folder
        arguments = ["--demo"] if demo else ["--data", str(self.data), "--company", "acme"]
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [command, "serve", "--listen", "127.0.0.1:0", *arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
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
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(10)
