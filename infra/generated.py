"""Files that a program here writes, and with --check compares."""

import os
import sys


def generated(path, content):
    """Writes a file; with --check ends the program unless the file is just that."""
    if sys.argv[1:] != ["--check"]:
        with open(path, "w") as file:
            file.write(content)
        return
    with open(path) as file:
        if file.read() != content:
            sys.exit(f"{os.path.relpath(path)} is not what it would be: run {os.path.relpath(sys.argv[0])}")
