"""Tables of medians with their spread, as Markdown; the terminal gets the same."""

import statistics

HEAD = [
    "tool", "seconds", "MiB/s", "× best", "first done s", "CPU s requesters", "CPU s owners", "CPU s machine",
    "peak MiB requester", "peak MiB owner", "owners sent / size",
]
NOTES = """\
Seconds are medians with min–max, from the first requester's start to the last one that counts having
said that it is done. *MiB/s* is one copy's size over that time. *first done* is when the first
requester was done. *CPU* is user and system time of all requesters or all owners together while the
clock ran; the kernel bills the network's work to whom it interrupts, so a sender's may stand with the
receiver, or only in *machine*: everything that ran, this program, the bridge and strangers included. *peak* is the host that needed most (VmHWM, of all its processes together; in brackets what
no file backs: a program that maps its files has them in its peak). *owners sent / size* is what left
the owners' network ports, headers included, over the size of one copy. When the
clock stops all processes are frozen, and every copy that counts is compared with its source (SHA-256):
bytes that a tool has not yet written count as wrong.

Programs that stay (parvi's nodes, the BitTorrent clients) run before the clock and are given their
order when it starts; curl, rsync and socat are started then. Owners have indexed or checked what they
have before. Nobody syncs, but for parvi-private-fsync. parvi-private encrypts and all parvis verify
with BLAKE3; BitTorrent verifies with SHA-1 unencrypted; curl, rsync (but for its own sum of each file)
and socat verify nothing. curl is given a folder's list beforehand."""


def spread(values, digits):
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def good(runs):
    return [run for run in runs if run.get("complete")]


def rows(result):
    """Each tool's cells, in the order of HEAD."""
    medians = [median(good(runs), "seconds") for runs in result["runs"].values() if good(runs)]
    best = min(medians, default=None)
    for tool, runs in result["runs"].items():
        yield [tool, *cells(result, runs, best)]


def cells(result, runs, best):
    done = good(runs)
    if not done:
        return [why(runs)] + ["-"] * (len(HEAD) - 2)
    seconds = median(done, "seconds")
    digits = 2 if seconds >= 10 else 3
    shown = spread([run["seconds"] for run in done], digits)
    if len(done) < len(runs):
        shown += f", {len(done)} of {len(runs)} runs"
    first = statistics.median(min(run["finished"].values()) for run in done)
    return [
        shown, f"{result['size'] / seconds / (1 << 20):.1f}", f"{seconds / best:.2f}",
        f"{first:.{digits}f}", f"{median(done, 'cpu_requester'):.2f}",
        f"{median(done, 'cpu_seed'):.2f}", f"{median(done, 'cpu_machine'):.2f}",
        *(f"{median(done, 'peak_' + who):.0f} ({median(done, 'anonymous_' + who):.0f})"
          for who in ("requester", "seed")),
        f"{median(done, 'seed_ratio'):.3f}",
    ]


def why(runs):
    last = runs[-1]
    if "failure" in last:
        return "failed: " + last["failure"].splitlines()[0][:80].replace("|", "/")
    return f"not within {last['waited']:.0f} s ({len(last['finished'])} done)"


def markdown_table(result):
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    return "\n".join(lines)


def terminal_table(result):
    table = [HEAD, *rows(result)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in table
    )


def left_out(result):
    return "\n".join(f"{tool}: {reason}." for tool, reason in result["unfit"].items())


def section(result, picture):
    parts = [f"## {result['workload']}", result["says"] + ".", markdown_table(result)]
    if result["unfit"]:
        parts.append("Left out: " + "; ".join(f"{t} ({r})" for t, r in result["unfit"].items()) + ".")
    return "\n\n".join(parts + [f"![seconds of each tool]({picture})"])


def about(machine, options):
    versions = "\n".join(f"* {tool}: {version}" for tool, version in machine["versions"].items())
    scaled = "" if options["scale"] == 1 else f", all sizes times {options['scale']}"
    kind = {"tmpfs": "memory, not a disk"}.get(machine["file_system"], machine["disk"])
    return f"""\
{options['note'] + chr(10) + chr(10) if options['note'] else ''}\
Rounds, interleaved: {options['rounds']}{scaled}. A run is given up after {options['limit']:.0f} s. {machine['cpu']}, {machine['cores']} cores, \
{machine['memory_gib']} GiB, {machine['system']}, Linux {machine['kernel']}, TCP \
{machine['congestion_control']}, load before {machine['load_before'][0]}. All files of all tools on \
{machine['file_system']} ({kind}), page cache warm. Hosts are network namespaces joined by a bridge; \
where a rate is given, tbf holds both ends of each cable to it.

{versions}"""


def document(results, machine, options, missing):
    absent = "\n".join(f"* not installed, left out: {text}" for text in missing)
    sections = [section(result, f"{result['workload']}.svg") for result in results]
    head = ["# parvi beside other tools", about(machine, options) + ("\n" + absent if absent else "")]
    return "\n\n".join([*head, *sections, "## How to read this", NOTES]) + "\n"
