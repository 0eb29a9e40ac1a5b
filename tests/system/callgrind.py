"""How many instructions a program takes, in itself and all it maps, by valgrind's callgrind."""

import os
import pathlib
import re
import shutil
import tempfile

COST = re.compile(r"[+\-*\d]\S* (\d+)$")


def self_cost(path):
    """(all, the dynamic loader's) of a callgrind file: the sums of self cost."""
    names, loader, total, of_callee, in_loader = {}, 0, 0, False, False
    for line in open(path):
        if line.startswith(("ob=", "cob=")):
            key, _, value = line.strip().partition("=")
            number, _, name = value.partition(" ")
            name = names.setdefault(number, name)  # told once, also in a call
            if key == "ob":
                in_loader = os.path.basename(name).startswith("ld-")
        elif line.startswith("calls="):
            of_callee = True  # the next line's cost
        elif m := COST.match(line.rstrip()):
            if not of_callee:
                total += int(m[1])
                loader += int(m[1]) * in_loader
            of_callee = False
    return total, loader


def missing():
    """Why nothing can be counted here, or None."""
    return None if shutil.which("valgrind") else "valgrind is not installed"


def instructions(run, argv):
    """run(command) starts the command that counts argv's instructions and waits for it. (all, the dynamic loader's), of its children, too"""
    with tempfile.TemporaryDirectory() as directory:
        run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={directory}/out.%p", *argv])
        return tuple(map(sum, zip(*map(self_cost, pathlib.Path(directory).iterdir()))))
