# SPDX-License-Identifier: Apache-2.0
"""compare-with-zookeeper: the same clients against ZooKeeper and zkfs; their transcripts compared.

  scripts/compare-with-zookeeper [--nodes 1|3] [--client KIND]... [--only NAME]...
                                 [--golden | --record | --show] [--zkfs PROGRAM]
                                 [--zkfs-servers HOST:PORT,...]

  --nodes N           servers of each ensemble (default 1)
  --client KIND       python, c, zkcli or node; may be repeated (default: all)
  --only NAME         this scenario; may be repeated (default: all that fit)
  --list              names the scenarios
  --golden            compares with tests/clients/golden, recorded from ZooKeeper 3.8.0, instead of
                      a live ZooKeeper; done, too, where there is no java
  --record            writes tests/clients/golden from a live ZooKeeper; zkfs is not run
  --show              prints what a live ZooKeeper answers; zkfs is not run
  --zkfs PROGRAM      default: $ZKFS, or the newest of build/release and build/dev
  --zkfs-servers LIST zkfs servers that run already, instead of ones of its own
  --c-client PROGRAM  the client in C (default: $ZKFS_C_CLIENT, or as built beside zkfs)

Differences that are meant are listed with reasons in tests/clients/differences.txt. Exit codes:
0 no other differences, 1 differences or failures, 2 misuse, 77 nothing could be run.
"""
import argparse
import difflib
import os
import pathlib
import re
import shlex
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading

import kinds
import servers

here = pathlib.Path(__file__).resolve().parent
top = here.parent.parent
GOLDEN = here / "golden"
ZXIDS = re.compile(r"\bz\d+\b")
SKIPPED = 77


def note(text):
    print(f"compare-with-zookeeper: {text}", file=sys.stderr, flush=True)


# --- what may differ ---

class Difference:
    """An intended difference: which lines of which scenario, and why."""

    def __init__(self, scenario, line):
        self.scenario, self.line = scenario, line
        self.reason, self.patterns, self.used = [], {"-": [], "+": []}, False


def read_differences(path):
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        sign, _, rest = line.partition(" ")
        if line.startswith("["):
            entries.append(Difference(re.compile(line.strip()[1:-1]), number))
        elif entries and sign == "because":
            entries[-1].reason.append(rest)
        elif entries and sign in "-+":
            entries[-1].patterns[sign].append(re.compile(rest))
        else:
            raise SystemExit(f"{path}:{number}: neither [scenario], because, - nor +: {line}")
    for entry in entries:
        if not entry.reason:
            raise SystemExit(f"{path}:{entry.line}: no reason is given: add a line 'because ...'")
    return entries


def unexpected(scenario, theirs, ours, differences):
    """The lines of a diff that no entry allows, with what surrounds them."""
    entries = [d for d in differences if d.scenario.fullmatch(scenario)]
    theirs, ours = theirs.splitlines(), ours.splitlines()
    found = []

    def allowed(sign, line):
        for entry in entries:
            if any(pattern.fullmatch(line) for pattern in entry.patterns[sign]):
                entry.used = True
                return True
        return False

    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        # One more or one fewer transaction shifts the names of all zxids behind it: said once.
        if found and [ZXIDS.sub("z", line) for line in theirs[a:b]] == [
                ZXIDS.sub("z", line) for line in ours[c:d]]:
            continue
        lines = [("-", line) for line in theirs[a:b]] + [("+", line) for line in ours[c:d]]
        if not all([allowed(sign, line) for sign, line in lines]):
            found.append(f"  line {a + 1}")
            found += [f"  {sign} {line}" for sign, line in lines]
    return found


# --- ensembles under control of a scenario ---

class Control:
    """Lets a scenario kill and start servers: a command that asks us over a socket."""

    def __init__(self, ensemble, directory):
        self.path = directory / "control"

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                verb, k = self.rfile.readline().decode().split()
                try:
                    (ensemble.kill if verb == "kill" else ensemble.start)(int(k))
                    self.wfile.write(b"ok\n")
                except (RuntimeError, KeyError) as error:
                    self.wfile.write(f"{error}\n".encode())

        self.server = socketserver.UnixStreamServer(str(self.path), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def command(self):
        return shlex.join([sys.executable, str(here / "control.py"), str(self.path)])

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def transcripts_of(ensemble, directory, chosen, scenarios):
    """Runs the scenarios on an ensemble: {name: text}, and whether all came to their end."""
    out = directory / "out"
    out.mkdir()
    control = Control(ensemble, directory) if isinstance(ensemble, servers.Ensemble) else None
    whole = True
    try:
        for kind in chosen:
            wanted = [name for name in scenarios if kinds.kind_of(name) == kind.name]
            if not wanted:
                continue
            command = control.command() if control else None
            whole &= kind.run(wanted, ensemble.servers, out, command)
            if control and ensemble.ended():
                k = ensemble.ended()[0]
                note(f"server {k} ended during {kind.name}:\n{ensemble.log(k)}")
                return read(out), False
    finally:
        if control:
            control.close()
    return read(out), whole


def read(directory):
    return {path.stem: path.read_text() for path in directory.glob("*.txt")}


class Running:
    """Servers that somebody else runs."""

    def __init__(self, listed):
        self.servers = listed


def run_on(name, make, chosen, scenarios, directory):
    place = directory / name
    place.mkdir()
    ensemble = make(place)
    if isinstance(ensemble, Running):
        return transcripts_of(ensemble, place, chosen, scenarios)
    try:
        note(f"starting {name}")
        ensemble.start_all()
        return transcripts_of(ensemble, place, chosen, scenarios)
    finally:
        ensemble.stop()


# --- the command ---

def parse():
    parser = argparse.ArgumentParser(description=__doc__, prog="compare-with-zookeeper",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--client", action="append", choices=sorted(kinds.KINDS), default=[])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--golden", action="store_true")
    how.add_argument("--record", action="store_true")
    how.add_argument("--show", action="store_true")
    parser.add_argument("--zkfs", metavar="PROGRAM", default=os.environ.get("ZKFS"))
    parser.add_argument("--zkfs-servers", metavar="LIST")
    parser.add_argument("--c-client", metavar="PROGRAM", default=os.environ.get("ZKFS_C_CLIENT"))
    return parser, parser.parse_args()


def choose(parser, options):
    """The kinds of client that can be run, and the scenarios."""
    chosen = []
    for name in options.client or kinds.KINDS:  # Python's first: it asks a fresh tree
        kind = kinds.KINDS[name](options)
        missing = kind.missing()
        if missing:
            note(f"left out {name}: {missing}")
        else:
            chosen.append(kind)
    scenarios = [name for kind in chosen for name in kind.scenarios(options.nodes)]
    for name in options.only:
        if name not in scenarios:
            parser.error(f"no scenario {name} for {options.nodes} node(s); --list names them")
    return chosen, options.only or scenarios


def program(parser, options):
    if options.zkfs:
        return pathlib.Path(options.zkfs).resolve()
    for preset in ("release", "dev"):
        path = top / "build" / preset / "zkfs" / "zkfs"
        if path.exists():
            return path
    return parser.error("zkfs is not built yet; run scripts/build, or give --zkfs PROGRAM")


def theirs_of(options, chosen, scenarios, directory):
    """What ZooKeeper answers, live or as recorded."""
    if options.golden or servers.zookeeper_missing():
        if not options.golden:
            note(f"comparing with tests/clients/golden: {servers.zookeeper_missing()}")
        return {name: text for name, text in read(GOLDEN).items() if name in scenarios}, True
    live = [name for name in scenarios if not name.startswith("ours_")]
    said, whole = run_on("zookeeper", lambda place: servers.zookeeper(place, options.nodes), chosen,
                         live, directory)
    golden = read(GOLDEN)
    for name in scenarios:
        if name.startswith("ours_"):
            said[name] = golden[name]
        elif name in said and said[name] != golden.get(name):
            note(f"this ZooKeeper answers otherwise than golden/{name}.txt says")
    return said, whole


def report(scenarios, theirs, ours):
    """Prints what differs; whether nothing does."""
    differences = read_differences(here / "differences.txt")
    failed = 0
    for name in scenarios:
        if name not in theirs:
            failed += 1
            print(f"{name}: no transcript of ZooKeeper")
        elif name not in ours:
            failed += 1
            print(f"{name}: no transcript of zkfs")
        else:
            found = unexpected(name, theirs[name], ours[name], differences)
            failed += bool(found)
            print(f"{name}: {'differs (- ZooKeeper, + zkfs)' if found else 'same'}")
            print("".join(line + "\n" for line in found), end="")
    for entry in differences:
        meant = [name for name in scenarios if entry.scenario.fullmatch(name)]
        if meant and not entry.used:
            note(f"differences.txt:{entry.line}: did not occur in {meant[0]}")
    print(f"{len(scenarios)} scenarios, {failed} with differences")
    return failed == 0


def compare(parser, options, chosen, scenarios, directory):
    if options.record or options.show:
        missing = servers.zookeeper_missing()
        if missing:
            note(missing)
            return SKIPPED
        live = [name for name in scenarios if not name.startswith("ours_")]
        said, whole = run_on("zookeeper", lambda place: servers.zookeeper(place, options.nodes),
                             chosen, live, directory)
        for name, text in sorted(said.items()):
            if options.record:
                (GOLDEN / f"{name}.txt").write_text(text)
            else:
                print(f"== {name}\n{text}", end="")
        return 0 if whole else 1
    if options.zkfs_servers:
        def make(_place):
            return Running(options.zkfs_servers.split(","))
    else:
        zkfs = program(parser, options)

        def make(place):
            return servers.zkfs(place, options.nodes, zkfs)
    theirs, theirs_whole = theirs_of(options, chosen, scenarios, directory)
    ours, ours_whole = run_on("zkfs", make, chosen, scenarios, directory)
    same = report(scenarios, theirs, ours)
    return 0 if same and theirs_whole and ours_whole else 1


def main():
    # An end by a signal is an end with cleaning up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser, options = parse()
    if options.zkfs_servers:
        options.nodes = 3 if "," in options.zkfs_servers else 1
    chosen, scenarios = choose(parser, options)
    if options.list:
        print("\n".join(scenarios))
        return 0
    if not chosen:
        return SKIPPED
    directory = pathlib.Path(tempfile.mkdtemp(prefix="compare-with-zookeeper-"))
    try:
        return compare(parser, options, chosen, scenarios, directory)
    except (RuntimeError, subprocess.SubprocessError) as error:
        note(error)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
