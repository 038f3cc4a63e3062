# SPDX-License-Identifier: Apache-2.0
"""scripts/bench clients: ZooKeeper clients' work on three servers of zkfs, and beside ZooKeeper.

  scripts/bench clients [--peer zookeeper] [--rounds N] [--seconds S] [--jobs JOB,...] [--quick]
                        [--znodes N] [--dir DIR] [--json FILE]

  --peer zookeeper  Debian's ZooKeeper beside ours in the same run, if it is installed
  --rounds N        interleaved rounds; medians are shown (default 5)
  --seconds S       each job in a round (default 2)
  --jobs JOB,...    these (default: all but memory); --list names them
  --quick           one short round: shows that it works, and no more
  --znodes N        of memory: how many (default 1000000)
  --dir DIR         on the disk to measure (default: build/bench)
  --json FILE       appends each round's figures to it, one JSON object a line

All jobs but memory take about seven minutes, and with the peer fifteen.

The client is tests/bench/zkfs_client_bench.cpp, which itself costs less than 1 us an operation in
throughput. Figures of servers are of all three together. "device B" and "writes" are what the whole
device did, the journal of the filesystem and other processes included. (--json has what
/proc/PID/io counts for the servers, too; since Linux counts each page cache folio that is written
into as a whole, a short record counts as up to 256 KiB there.) "others" is how busy processes that
are no part of the measurement kept the processors, in processors: above 0.1 the wall times say
little, and CPU per operation is the figure to judge by.

Targets are those of a machine with two processors that wakes a thread in 20 to 30 us and flushes a
log in 90 us; the ratio to ZooKeeper in the same run holds on others too.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "clients"))
import servers  # noqa: E402

top = here.parent.parent
NODES = 3
TICKS = os.sysconf("SC_CLK_TCK")

CONFIGURATION = """tickTime=2000
initLimit=10
syncLimit=5
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
"""

# What a release must meet: of a job, the figure, its bound and by how much it must be better than
# ZooKeeper's (None: no matter). Rates are to be above the bound, all else below.
TARGETS = {
    "set-1-leader": [("p50_us", 340, 1.45), ("server_us", 260, None), ("device_bytes", 14_000, 1.7)],
    "set-1-follower": [("p50_us", 390, 1.55)],
    "set-9x1": [("ops_per_s", 18_000, 2.6)],
    "set-63x1": [("ops_per_s", 60_000, 3.2), ("server_us", 22, None)],
    "set-12x64": [("ops_per_s", 150_000, 4.6), ("server_us", 11, None),
                  ("device_bytes", 650, 1.3)],
    "set-12x64-1k": [("ops_per_s", 90_000, 3.5)],
    "create-12x64": [("ops_per_s", 120_000, 4.0), ("server_us", 14, None)],
    "get-1": [("p50_us", 75, 1.7), ("server_us", 35, None)],
    "get-12x64-1srv": [("ops_per_s", 350_000, 3.5), ("server_us", 3, None)],
    "get-12x64-3srv": [("ops_per_s", 300_000, 4.0)],
    "mixed-12x32": [("ops_per_s", 200_000, 5.0), ("server_us", 6, None)],
    "ephemeral-12x16": [("ops_per_s", 110_000, 4.2)],
    "connect-1": [("p50_us", 480, 1.55)],
    "connect-32": [("ops_per_s", 12_000, 4.0), ("server_us", 100, None)],
    "watch-1": [("p50_us", 450, 1.75)],
    "watch-100": [("p50_us", 900, 2.0)],
    "watch-1000": [("p50_us", 5_000, 2.2), ("server_us", 10_000, None)],
    "outage-leader-killed": [("outage_ms", 60, 9.0)],
    "outage-leader-frozen": [("outage_ms", 700, 15.0)],
    "outage-follower-killed": [("outage_ms", 15, 3.0)],
    "memory": [("empty_mb", 12, None), ("filled_mb", 300, 3.5), ("follower_s", 0.9, 3.5),
               ("ensemble_s", 1.2, 7.0)],
}
JOBS = list(TARGETS)
# Long enough for the peer's recovery too, which takes more than ten seconds when a leader freezes.
OUTAGE_SECONDS = {"outage-leader-killed": 5, "outage-leader-frozen": 15,
                  "outage-follower-killed": 3}
MEMORY = "memory"
RECOVERY_SECONDS = 60


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def misuse(text):
    note(f"{text}; see bench clients --help")
    sys.exit(2)


# --- what the machine does ---

def busy_seconds():
    """Of all processors, also what a neighbour of a virtual machine took from them."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


class Others:
    """How many processors all that is not measured keeps busy."""

    def __init__(self, pids):
        self.pids = pids
        self.begun, self.before = time.monotonic(), self.sample()

    def sample(self):
        ended = os.times()
        ours = sum(map(process_seconds, self.pids))
        return busy_seconds() - ours - ended.children_user - ended.children_system

    def processors(self):
        return max(0.0, (self.sample() - self.before) / (time.monotonic() - self.begun))


# --- ensembles ---

class Target:
    def __init__(self, name, command):
        self.name, self.command, self.ensemble = name, command, None

    def start(self, directory):
        directory.mkdir()
        self.directory = directory
        self.ensemble = servers.Ensemble(directory, NODES, self.command, CONFIGURATION)
        self.ensemble.start_all()
        self.await_agreement()

    def stop(self):
        if self.ensemble is not None:
            self.ensemble.stop()
            shutil.rmtree(self.directory, ignore_errors=True)
        self.ensemble = None

    def print_logs(self):
        """The ends of them: they go with the directory."""
        for k in range(1, NODES + 1) if self.ensemble else ():
            note(f"log of {self.name} {k}:\n{self.ensemble.log(k)}")

    def pid(self, k):
        return self.ensemble.processes[k].pid

    def pids(self):
        return [self.pid(k) for k in range(1, NODES + 1)]

    def mode(self, k):
        host, port = self.ensemble.servers[k - 1].rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), timeout=2) as asked:
                asked.sendall(b"srvr")
                answer = b"".join(iter(lambda: asked.recv(4096), b""))
        except OSError:
            return None
        for line in answer.decode().splitlines():
            if line.startswith("Mode: "):
                return line.split()[1]
        return None

    def await_agreement(self):
        """Who leads, when one server does and the others follow it."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            modes = [self.mode(k) for k in range(1, NODES + 1)]
            if sorted(map(str, modes)) == ["follower"] * (NODES - 1) + ["leader"]:
                return modes.index("leader") + 1
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: no agreement within {RECOVERY_SECONDS} s: {modes}")
            time.sleep(0.05)

    def by_role(self):
        """The servers' numbers, the leader first."""
        leader = self.await_agreement()
        return [leader] + [k for k in range(1, NODES + 1) if k != leader]

    def serves_any(self):
        return any(self.ensemble.serves(k) for k in range(1, NODES + 1))


def zookeeper_command(file):
    # The heap of a small production server, all of it from the start, and the compiler that a
    # server has after a while.
    return ["java", "-Xms1g", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", servers.CLASS_PATH,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(file)]


# --- jobs ---

class Bench:
    def __init__(self, options, targets, directory):
        self.options, self.targets, self.directory = options, targets, directory
        self.client = options.client
        self.figures = {}  # (job, target) -> rounds

    def words(self, target, job, seconds):
        roles = target.by_role()
        return [self.client, job, "--servers", ",".join(target.ensemble.servers[k - 1] for k in roles),
                "--pids", ",".join(str(target.pid(k)) for k in roles), "--seconds", str(seconds),
                "--disk", str(self.directory), "--count", str(self.options.znodes)]

    def run_client(self, target, job, seconds):
        words = self.words(target, job, seconds)
        answer = subprocess.run(words, stdout=subprocess.PIPE, check=False)
        if answer.returncode != 0:
            raise RuntimeError(f"{job} on {target.name} failed")
        return json.loads(answer.stdout)

    def run_outage(self, target, job):
        victim = target.by_role()[0 if "leader" in job else 1]
        words = self.words(target, "outage", OUTAGE_SECONDS[job])
        # The victim's CPU cannot be told: none is asked for.
        del words[words.index("--pids"):words.index("--pids") + 2]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as probe:
            try:
                if probe.stdout.readline() != "ready\n":
                    raise RuntimeError(f"{job} on {target.name} failed")
                process = target.ensemble.processes[victim]
                process.send_signal(signal.SIGSTOP if "frozen" in job else signal.SIGKILL)
                line = probe.stdout.readline()
            finally:
                if "frozen" in job:
                    target.ensemble.processes[victim].send_signal(signal.SIGCONT)
        if "frozen" not in job:
            target.ensemble.kill(victim)
            target.ensemble.start(victim)
        target.await_agreement()
        if not line:
            raise RuntimeError(f"{job} on {target.name} failed")
        return json.loads(line) | {"job": job}

    def run_memory(self, target):
        """On servers of its own; one round, for it is long and no figure of time."""
        target.start(self.directory / f"{target.name}-memory")
        figures = {"job": MEMORY, "empty_mb": max(map(resident_mb, target.pids()))}
        figures["fill_per_s"] = self.run_client(target, "fill", 1)["ops_per_s"]
        figures["filled_mb"] = max(map(resident_mb, target.pids()))
        follower = target.by_role()[1]
        target.ensemble.kill(follower)
        figures["follower_s"] = self.timed(lambda: target.ensemble.launch(follower),
                                           lambda: target.ensemble.serves(follower))
        target.await_agreement()
        for k in range(1, NODES + 1):
            target.ensemble.kill(k)
        figures["ensemble_s"] = self.timed(
            lambda: [target.ensemble.launch(k) for k in range(1, NODES + 1)], target.serves_any)
        target.await_agreement()
        figures["restarted_mb"] = max(map(resident_mb, target.pids()))
        target.stop()
        return figures

    @staticmethod
    def timed(begin, done):
        """Seconds from begin() until a client can have a session, which takes a quorum."""
        begun = time.monotonic()
        begin()
        while not done():
            if time.monotonic() > begun + RECOVERY_SECONDS:
                raise RuntimeError(f"not back within {RECOVERY_SECONDS} s")
            time.sleep(0.01)
        return time.monotonic() - begun

    def keep(self, target, figures):
        figures["target"] = target.name
        self.figures.setdefault((figures["job"], target.name), []).append(figures)
        if self.options.json:
            with open(self.options.json, "a", encoding="ascii") as file:
                file.write(json.dumps(figures) + "\n")

    def run_once(self, target, job):
        others = Others([pid for each in self.targets for pid in each.pids()])
        if job in OUTAGE_SECONDS:
            return self.run_outage(target, job)
        figures = self.run_client(target, job, self.options.seconds)
        return figures | {"others": others.processors()}

    def run_jobs(self, jobs):
        for target in self.targets:
            target.start(self.directory / target.name)
        # What a virtual machine compiles in its first seconds is none of its servers' work.
        for job in jobs:
            if job in OUTAGE_SECONDS:
                continue
            for target in self.targets:
                self.run_client(target, job, self.options.seconds)
        for n in range(self.options.rounds):
            note(f"round {n + 1} of {self.options.rounds}; load average {load_average()}")
            for job in jobs:
                for target in self.targets if n % 2 == 0 else reversed(self.targets):
                    self.keep(target, self.run_once(target, job))
        for target in self.targets:
            target.stop()

    def run(self):
        jobs = [job for job in self.options.jobs if job != MEMORY]
        if jobs:
            self.run_jobs(jobs)
        if MEMORY in self.options.jobs:
            for target in self.targets:
                note(f"memory of {target.name}, {self.options.znodes} znodes")
                self.keep(target, self.run_memory(target))

    def median(self, job, target, key):
        values = [figures[key] for figures in self.figures.get((job, target.name), [])
                  if key in figures]
        return statistics.median(values) if values else None


# --- what is printed ---

COLUMNS = [("ops/s", "ops_per_s"), ("p50 us", "p50_us"), ("p95 us", "p95_us"), ("p99 us", "p99_us"),
           ("server us", "server_us"), ("user", "server_user_us"), ("sys", "server_sys_us"),
           ("client us", "client_us"), ("device B", "device_bytes"), ("writes", "device_writes"),
           ("outage ms", "outage_ms"), ("others", "others")]
MEMORY_COLUMNS = [("empty MB", "empty_mb"), ("filled MB", "filled_mb"),
                  ("restarted MB", "restarted_mb"), ("fill/s", "fill_per_s"),
                  ("follower s", "follower_s"), ("ensemble s", "ensemble_s")]


def load_average():
    return " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3])


def short(value):
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_table(bench, jobs, columns):
    columns = [(title, key) for title, key in columns
               if any(bench.median(job, target, key) is not None
                      for job in jobs for target in bench.targets)]
    print(f"\n{'job':<23} {'target':<10}" + "".join(f"{title:>13}" for title, _ in columns))
    for job in jobs:
        for target in bench.targets:
            print(f"{job:<23} {target.name:<10}" +
                  "".join(f"{short(bench.median(job, target, key)):>13}" for _, key in columns))


def print_targets(bench):
    """Returns how many were missed."""
    ours, *peers = bench.targets
    missed = 0
    print(f"\n{'job':<23} {'figure':<14}{'zkfs':>10}{'must':>12}  {'x peer':>8}{'must':>8}")
    for job in bench.options.jobs:
        for key, bound, factor in TARGETS[job]:
            value = bench.median(job, ours, key)
            if value is None:
                continue
            rate = key == "ops_per_s"
            met = value >= bound if rate else value <= bound
            limit = f"{'>=' if rate else '<='} {bound}"
            line = f"{job:<23} {key:<14}{short(value):>10}{limit:>12}"
            theirs = bench.median(job, peers[0], key) if peers else None
            if theirs is not None and min(value, theirs) > 0:
                ratio = value / theirs if rate else theirs / value
                line += f"  {ratio:>8.2f}{f'>= {factor}' if factor else '':>8}"
                met = met and (factor is None or ratio >= factor)
            missed += not met
            print(f"{line}  {'met' if met else 'MISSED'}")
    return missed


# --- the command line ---

def parse(words):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--znodes", type=int, default=1_000_000)
    parser.add_argument("--jobs", default=",".join(job for job in JOBS if job != MEMORY))
    parser.add_argument("--dir", type=pathlib.Path, default=top / "build" / "bench")
    parser.add_argument("--json", type=pathlib.Path)
    # From scripts/bench.
    parser.add_argument("--client")
    parser.add_argument("--zkfs")
    parser.error = misuse
    options = parser.parse_args(words)
    if options.help:
        print(__doc__.strip())
        sys.exit(0)
    if options.list:
        print("\n".join(JOBS))
        sys.exit(0)
    options.jobs = options.jobs.split(",")
    for job in options.jobs:
        if job not in JOBS:
            misuse(f"--jobs {job}: there is no such job; --list names them")
    if options.peer not in (None, "zookeeper"):
        misuse(f"--peer {options.peer}: give zookeeper")
    if min(options.rounds, options.seconds, options.znodes) <= 0:
        misuse("--rounds, --seconds and --znodes: give numbers above 0")
    if options.quick:
        options.rounds, options.seconds = 1, 0.3
        options.znodes = min(options.znodes, 20_000)
    return options


def targets_of(options):
    zkfs = [options.zkfs, "serve", "--keep", "--config"]
    targets = [Target("zkfs", lambda file: [*zkfs, str(file)])]
    if options.peer:
        missing = servers.zookeeper_missing()
        if missing:
            note(f"ZooKeeper is left out: {missing}")
        else:
            targets.append(Target("zookeeper", zookeeper_command))
    return targets


def main(words):
    options = parse(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.dir.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="clients.", dir=options.dir.resolve()))
    targets = targets_of(options)
    bench = Bench(options, targets, directory)
    begun = load_average()
    try:
        bench.run()
    except (RuntimeError, OSError) as error:
        note(error)
        for target in targets:
            target.print_logs()
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for target in targets:
            target.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"Three servers, medians of {options.rounds} x {options.seconds} s; "
          f"{os.cpu_count()} processors; load average {begun} before, {load_average()} after")
    jobs = [job for job in options.jobs if job != MEMORY]
    if jobs:
        print_table(bench, jobs, COLUMNS)
    if MEMORY in options.jobs:
        print_table(bench, [MEMORY], MEMORY_COLUMNS)
    missed = print_targets(bench)
    if missed:
        print(f"{missed} missed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
