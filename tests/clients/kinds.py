# SPDX-License-Identifier: Apache-2.0
"""The kinds of client: whether they are here, their scenarios, and how they are run."""
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
RUN_SECONDS = 900


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

    def run(self, scenarios, servers, out, control):
        command = [self.program, "--out", out]
        for name in scenarios:
            command += ["--only", name]
        if control:
            command += ["--control", control]
        done = subprocess.run([*command, ",".join(servers)], timeout=RUN_SECONDS)
        return done.returncode == 0


KINDS = {"python": Python}
