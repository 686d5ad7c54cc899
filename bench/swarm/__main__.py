"""Measures parvi beside other tools in network namespaces; started by swarm.sh, as root.

Each round runs every tool once, beginning with another one each time, so that a machine that gets
slower or faster meanwhile does so for all of them.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from . import machine, plot, report
from .namespaces import Network
from .run import Run
from .tools import every
from .workloads import WORKLOADS, Payloads


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/swarm.sh", description="Measures parvi beside other tools, in network "
        "namespaces, as root.", epilog="Workloads: " + ", ".join(w.name for w in WORKLOADS) +
        ". Environment: PARVI_BIN, a binary to measure instead of building one; PYTHON.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", metavar="WORKLOAD", action="append", default=[],
                        help="this workload; several with commas or by repeating")
    parser.add_argument("--tools", metavar="LIST", help="with commas; a beginning is enough: parvi")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the results go "
                        "[default: bench/results/swarm]")
    parser.add_argument("--dir", metavar="DIR", type=Path, default=Path("/tmp"), help="file system "
                        "that all files lie on; needs 6 GiB [default: /tmp]")
    parser.add_argument("--limit", metavar="SECONDS", type=float, default=600,
                        help="a run that takes longer is given up [default: 600]")
    parser.add_argument("--scale", metavar="FACTOR", type=float, default=1.0,
                        help="smaller payloads, to try it out")
    parser.add_argument("--note", default="", help="a line for the report's beginning")
    return parser.parse_args()


def chosen(names, known, what):
    """Those of `known` that are asked for by name, all when none is."""
    wanted = [name for text in names for name in text.split(",") if name]
    for name in wanted:
        if not any(fits(one.name, name) for one in known):
            sys.exit(f"bench/swarm.sh: there is no {what} {name!r}; there are "
                     f"{', '.join(one.name for one in known)}")
    return [one for one in known if not wanted or any(fits(one.name, n) for n in wanted)]


def fits(name, asked):
    return name == asked or name.startswith(asked + "-")


class Bench:
    def __init__(self, options, tools, scratch):
        self.options, self.tools, self.scratch = options, tools, scratch
        self.network = Network(os.environ["PV_PREFIX"])
        self.payloads = Payloads(scratch / "payloads", options.scale)

    def workload(self, workload):
        unfit = {t.name: t.unfit(workload) for t in self.tools if t.unfit(workload)}
        tools = [tool for tool in self.tools if tool.name not in unfit]
        payload = self.payloads.get(workload.payload)
        runs = {tool.name: [] for tool in tools}
        for number in range(self.options.rounds):
            turn = number * len(tools) // self.options.rounds
            for tool in tools[turn:] + tools[:turn]:
                figures = self.once(tool, workload, payload)
                runs[tool.name].append({"round": number + 1, **figures})
                tell(number + 1, workload, tool, figures)
        return {"workload": workload.name, "says": workload.says, "size": payload.size,
                "files": len(payload.parts), "unfit": unfit, "runs": runs}

    def once(self, tool, workload, payload):
        load = os.getloadavg()[0]
        run = Run(self.network, self.scratch / "run", workload, payload, self.options.limit)
        try:
            with run:
                return {"load": load, **run.measure(tool)}
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            return {"load": load, "failure": str(error) or repr(error)}


def tell(number, workload, tool, figures):
    if "failure" in figures:
        said = f"failed: {figures['failure']}"
    elif not figures["complete"]:
        said = f"given up after {figures['waited']:.0f} s; done: {figures['finished']}"
    else:
        said = f"{figures['seconds']:.3f} s"
    print(f"round {number}: {workload.name}: {tool.name}: {said}", file=sys.stderr, flush=True)


def keep(out, results, about, options, missing):
    """Writes all that is known so far: what a broken run has measured is not lost."""
    out.mkdir(parents=True, exist_ok=True)
    shown = {"rounds": options.rounds, "limit": options.limit, "scale": options.scale,
             "note": options.note}
    (out / "swarm.md").write_text(report.document(results, about, shown, missing))
    raw = {"machine": about, "options": shown, "missing": missing, "results": results}
    (out / "swarm.json").write_text(json.dumps(raw, indent=1) + "\n")
    for result in results:
        (out / f"{result['workload']}.svg").write_text(plot.svg(result))


def present(tools):
    """The tools that are installed, and what the others lack."""
    usable, missing = [], []
    for tool in tools:
        lacks = tool.missing()
        for what, package in lacks:
            how = package if package.startswith("none") else f"apt install {package}"
            missing.append(f"{tool.name}, for lack of {what} (Debian: {how})")
        if not lacks:
            usable.append(tool)
    return usable, missing


def main():
    options = arguments()
    workloads = chosen(options.only, WORKLOADS, "workload")
    tools, missing = present(chosen([options.tools or ""], every(), "tool"))
    for line in missing:
        print(f"left out: {line}", file=sys.stderr)
    if not tools:
        sys.exit("bench/swarm.sh: none of these tools is installed; see above for what to install")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scratch = Path(os.environ["PV_SCRATCH"])
    about = machine.describe(scratch, tools)
    out = options.out or Path(__file__).resolve().parent.parent / "results" / "swarm"
    bench, results = Bench(options, tools, scratch), []
    for workload in workloads:
        results.append(bench.workload(workload))
        keep(out, results, about, options, missing)
        print(f"\n{workload.name}: {workload.says}\n{report.terminal_table(results[-1])}")
        if results[-1]["unfit"]:
            print(report.left_out(results[-1]))
        sys.stdout.flush()
    print(f"\nkept in {out}: swarm.md, swarm.json, a picture of each workload", file=sys.stderr)
    return any("failure" in run for result in results for of in result["runs"].values() for run in of)


if __name__ == "__main__":
    sys.exit(main())
