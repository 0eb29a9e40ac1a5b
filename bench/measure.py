"""Runs commands in turns and says what they cost: wall and CPU time, peak memory, instructions; medians, quartiles, ratios."""

import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time

from receivers import callgrind


class Failed(Exception):
    pass


def once(command):
    """(wall, CPU) seconds of one run. posix_spawn is the least of Python that can stand between the clock and the program."""
    child = 0
    hangs = threading.Timer(command.seconds, lambda: child and os.kill(child, signal.SIGKILL))
    files = [os.open(f, os.O_RDONLY) for f in (command.options or command.stdin, command.stdin)]
    with tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, files[0], 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                   (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        if command.message_fd:
            actions.append((os.POSIX_SPAWN_DUP2, files[1], command.message_fd))
        program, environment = shutil.which(command.argv[0]), {**os.environ, **command.env}
        hangs.start()
        try:
            start = time.perf_counter()
            child = os.posix_spawn(program, command.argv, environment, file_actions=actions)
            _, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - start
        finally:
            hangs.cancel()
            for fd in files:
                os.close(fd)
        if status != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines() or [f"exit status {os.waitstatus_to_exitcode(status)}"]
            raise Failed(f"not done after {command.seconds} s" if wall >= command.seconds else said[0][:160])
    return wall, usage.ru_utime + usage.ru_stime


def peak(command):
    """Peak memory in KiB. A child begins with its parent's peak, so a small parent has to start it: time(1)."""
    told = tempfile.NamedTemporaryFile()
    command.argv[:0] = ["/usr/bin/time", "-o", told.name, "-f", "%M"]
    try:
        once(command)
    finally:
        del command.argv[:5]
    return int(told.read().split()[-1])


def instructions(command):
    """(all, the dynamic loader's) of the program; None without valgrind."""
    argv = command.argv

    def run(counting):
        command.argv = counting
        once(command)

    try:
        return None if callgrind.missing() else callgrind.instructions(run, argv)
    finally:
        command.argv = argv


def progress(text):
    print(text, file=sys.stderr, flush=True)


def each(commands, cost):
    """({name: what it costs}, {name: why it cannot be said})"""
    found, failed = {}, {}
    for name, command in commands.items():
        try:
            found[name] = cost(command)
        except (Failed, OSError, ValueError) as why:
            failed[name] = str(why)
    return found, failed


def mixed(names, place):
    """The order of a round, the same in every run of the bench. Nobody always runs behind the same one, whose mail a server still handles."""
    return random.Random(place).sample(list(names), len(names))


def in_turns(commands, rounds, deadline):
    """{name: [(wall, CPU), …]}, one run of each in each round; fewer rounds, but three, when the deadline has come. Who fails is left out."""
    rows, failed = {name: [] for name in commands}, {}
    for done in range(rounds):
        if done >= 3 and time.monotonic() > deadline:
            break
        found, wrong = each({name: commands[name] for name in mixed(rows, done)}, once)
        failed.update(wrong)
        rows = {name: [*costs, found[name]] for name, costs in rows.items() if name in found}
    return rows, failed


def staggered(commands, rounds, deadline, gap=0.2):
    """The same where programs do little but wait: one starts each gap (seconds), while those before it wait."""
    rows, failed, threads = {name: [] for name in commands}, {}, []

    def run(name, place):
        found, wrong = each({name: commands[name]}, once)
        failed.update(wrong)
        rows[name].append((place, found.get(name)))

    start = time.monotonic()
    for place in range(rounds):
        if place >= 3 and time.monotonic() > deadline:
            break
        for name in mixed(commands, place):
            time.sleep(max(0, start + len(threads) * gap - time.monotonic()))
            threads.append(threading.Thread(target=run, args=(name, place)))
            threads[-1].start()
    for thread in threads:
        thread.join()
    return {name: [cost for _, cost in sorted(found)] for name, found in rows.items() if name not in failed}, failed


def quartiles(values):
    """(first quartile, median, third)"""
    if len(values) < 2:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratio(rows, a, b, column=0):
    """Quartiles of a's cost over b's, round by round: what slows the machine slows both."""
    return quartiles([x[column] / y[column] for x, y in zip(rows[a], rows[b])])


def median(rows, name, column=0):
    return statistics.median(row[column] for row in rows[name])
