"""Runs commands in turns and says what they cost: wall and CPU time, peak memory, instructions; medians, quartiles, ratios."""

import os
import shutil
import statistics
import sys
import tempfile
import time

from receivers import callgrind


class Failed(Exception):
    pass


def once(command):
    """(wall, CPU) seconds of one run. posix_spawn is the least of Python that can stand between the clock and the program."""
    files = [os.open(f, os.O_RDONLY) for f in (command.options or command.stdin, command.stdin)]
    with tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, files[0], 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                   (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        if command.message_fd:
            actions.append((os.POSIX_SPAWN_DUP2, files[1], command.message_fd))
        program, environment = shutil.which(command.argv[0]), {**os.environ, **command.env}
        try:
            start = time.perf_counter()
            child = os.posix_spawn(program, command.argv, environment, file_actions=actions)
            _, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - start
        finally:
            for fd in files:
                os.close(fd)
        if status != 0:
            errors.seek(0)
            raise Failed(errors.read().decode(errors="replace").strip()[-200:] or f"exit {os.waitstatus_to_exitcode(status)}")
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
    """(all, the dynamic loader's) of the program; None without valgrind or where it cannot."""
    argv = command.argv

    def run(counting):
        command.argv = counting
        once(command)

    try:
        return None if callgrind.missing() else callgrind.instructions(run, argv)
    except Failed:
        return None
    finally:
        command.argv = argv


def progress(text):
    print(text, file=sys.stderr, flush=True)


def in_turns(commands, rounds, show=""):
    """{name: [(wall, CPU), …]}, one run of each in each round. Who fails at the first run is left out, and it is said why."""
    rows, failed = {}, {}
    for name, command in commands.items():
        try:
            once(command)  # also warms the caches
            rows[name] = []
        except (Failed, OSError) as why:
            failed[name] = str(why)
            progress(f"{show}: {name} fails: {why}")
    for _ in range(rounds):
        for name in list(rows):
            try:
                rows[name].append(once(commands[name]))
            except Failed as why:
                progress(f"{show}: {name} failed once: {why}")
                rows.pop(name)
                failed[name] = str(why)
    return rows


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


def best(rows, column=0, among=None):
    others = [n for n in rows if n != "envoi" and (among is None or n in among)]
    return min(others, key=lambda n: median(rows, n, column), default=None)


def spread(q):
    """0.31 (0.29 to 0.34)"""
    return "{1:.2f} ({0:.2f} to {2:.2f})".format(*q)


class Results:
    """Lines of Markdown, printed as they come and kept; and what was promised, with what was found."""

    def __init__(self):
        self.lines, self.promises = [], []

    def say(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def table(self, title, head, rows):
        self.say("", f"### {title}", "", "| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|")
        self.say(*("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows))

    def promise(self, what, limit, quarts, at_least=False):
        """quarts: quartiles of a ratio, or one count."""
        value = quarts[1] if isinstance(quarts, tuple) else quarts
        kept = value >= limit if at_least else value <= limit
        text = spread(quarts) if isinstance(quarts, tuple) else f"{value:,}"
        self.promises.append((what, f"{'at least' if at_least else 'at most'} {limit:,}", text, "yes" if kept else "**no**"))
