"""What was found, as Markdown: tables, and beside each target what was reached. Printed as it comes, and kept."""


def spread(q):
    """0.31 (0.29 to 0.34)"""
    return "{1:.2f} ({0:.2f} to {2:.2f})".format(*q)


def verdict(quarts, limit, at_least):
    """In words: of the median, and whether the spread crosses the target."""
    low, middle, high = (-q for q in reversed(quarts)) if at_least else quarts
    limit = -limit if at_least else limit
    if middle <= limit:
        return "reached" if high <= limit else "reached, within the spread"
    return "**missed**" if low > limit else "**missed**, within the spread"


class Results:
    def __init__(self):
        self.lines, self.targets, self.counts_kept = [], [], True

    def say(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def table(self, title, head, rows, *notes):
        self.say("", f"### {title}", "", "| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|")
        self.say(*("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows))
        if notes:
            self.say("", *notes)

    def target(self, what, limit, quarts, at_least=False):
        """quarts: quartiles of a ratio."""
        self._target(what, f"{'at least' if at_least else 'at most'} {limit:g}", spread(quarts), verdict(quarts, limit, at_least))

    def count(self, what, limit, value):
        """What no machine changes."""
        self.counts_kept &= value <= limit
        self._target(what, f"at most {limit:,}", f"{value:,}", verdict((value,) * 3, limit, False))

    def _target(self, *cells):
        self.targets.append("| " + " | ".join(cells) + " |")

    def text(self, title, head):
        lines = [f"# {title}", "", *head, ""]
        if self.targets:
            lines += ["## Targets", "", "| | target | found (quartiles) | verdict |", "|---|---|---|---|", *self.targets, ""]
        return "\n".join([*lines, "## What was measured", *self.lines, ""])
