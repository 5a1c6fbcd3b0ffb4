"""A function under the Lambda runtime emulator that aws-sam-cli brings."""

import glob
import json
import os
import re
import sys
import time
import urllib.request

from servers import Process, free_port

EMULATOR = "lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-*"


def emulator():
    """In the environment that this runs in."""
    wanted = "x86_64" if os.uname().machine == "x86_64" else "arm64"
    found = [path for path in glob.glob(os.path.join(sys.prefix, EMULATOR)) if path.endswith(wanted)]
    if not found:
        sys.exit("there is no Lambda runtime emulator here: run this in the environment of aws-sam-cli")
    return found[0]


class Function:
    """One sandbox. It begins with the first event, as a cold start does."""

    def __init__(self, bootstrap, env, log, timeout_s=30):
        self.port = free_port()
        command = [emulator(), "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", *([bootstrap] if isinstance(bootstrap, str) else bootstrap)]
        self.process = Process(command, log, {**env, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s)})
        self.process.listening(self.port, 10)

    def invoke(self, event):
        """The answer to an event, and the milliseconds until it was there. Errors of the function are answers, too."""
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        begun = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(url, data=event, method="POST"), timeout=60) as answer:
            body = answer.read()
        return json.loads(body), (time.perf_counter() - begun) * 1000

    def init_ms(self):
        found = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", self.process.text())
        return float(found.group(1)) if found else None

    def stop(self):
        self.process.stop()
