# SPDX-License-Identifier: Apache-2.0
"""The kinds of client: whether they are here, their scenarios, and how they are run."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import servers

here = pathlib.Path(__file__).resolve().parent
top = here.parent.parent
RUN_SECONDS = 900
ONE_SECONDS = 150


def kind_of(scenario):
    """The name of a scenario tells its kind; all others are Python's."""
    for kind in KINDS:
        if scenario == f"{kind}_client":
            return kind
    return "python"


class Python:
    """kazoo and raw sockets: tests/clients/python_scenarios."""
    name = "python"
    program = here / "python_scenarios"

    def __init__(self, _options):
        pass

    def missing(self):
        return None if os.access("/usr/bin/python3", os.X_OK) else "no /usr/bin/python3"

    def scenarios(self, nodes):
        got = subprocess.run([self.program, "--list", "--count", str(nodes)], check=True,
                             stdout=subprocess.PIPE, timeout=60)
        return got.stdout.decode().split()

    def run(self, scenarios, hosts, out, control):
        command = [self.program, "--out", out]
        for name in scenarios:
            command += ["--only", name]
        if control:
            command += ["--control", control]
        done = subprocess.run([*command, ",".join(hosts)], timeout=RUN_SECONDS)
        return done.returncode == 0


class OneProgram:
    """A client that is a program with one transcript, NAME_client."""
    name = ""

    def __init__(self, options):
        self.options = options

    def scenarios(self, _nodes):
        return [f"{self.name}_client"]

    def command(self):
        raise NotImplementedError

    def directory(self):
        return here

    def run(self, scenarios, hosts, out, _control):
        with open(out / f"{scenarios[0]}.txt", "wb") as transcript:
            done = subprocess.run([*self.command(), ",".join(hosts)], stdin=subprocess.DEVNULL,
                                  stdout=transcript, cwd=self.directory(), timeout=ONE_SECONDS)
        if done.returncode != 0:
            print(f"{scenarios[0]}: exit code {done.returncode}", file=sys.stderr)
        return done.returncode == 0


class C(OneProgram):
    """libzookeeper-mt: tests/clients/c_client.cpp, which CMake builds where the library is."""
    name = "c"

    def program(self):
        if self.options.c_client:
            return pathlib.Path(self.options.c_client).resolve()
        built = [top / "build" / preset / "tests" / "clients" / "zkfs_c_client"
                 for preset in ("release", "dev")]
        return next((path for path in built if path.exists()), built[-1])

    def missing(self):
        path = self.program()
        return None if path.exists() else f"{path} is not built; it needs libzookeeper-mt-dev"

    def command(self):
        return [self.program()]


class ZkCli(OneProgram):
    """The Java client: its shell, zkCli."""
    name = "zkcli"

    def missing(self):
        return servers.zookeeper_missing()

    def command(self):
        return [sys.executable, here / "zkcli.py"]


class Node(OneProgram):
    """node-zookeeper-client, which npm installs into a directory of its own."""
    name = "node"
    place = None

    def missing(self):
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                return f"no {program}"
        if self.options.list:
            return None
        self.place = tempfile.TemporaryDirectory(prefix="compare-with-zookeeper-node-")
        shutil.copy(here / "node" / "package.json", self.place.name)
        try:
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock",
                            "--ignore-scripts", "--prefer-offline", "--loglevel=error"],
                           cwd=self.place.name, check=True, timeout=ONE_SECONDS,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.SubprocessError:
            return "npm could not install node-zookeeper-client"
        return None

    def command(self):
        return ["node", here / "node" / "transcript.js"]

    def directory(self):
        return self.place.name


KINDS = {kind.name: kind for kind in (Python, C, ZkCli, Node)}
