# SPDX-License-Identifier: Apache-2.0
"""Servers to compare: Debian's ZooKeeper and zkfs, on loopback, with the same configuration.

Each ensemble lives in a directory of its own and ends with this process, however that ends.
"""
import ctypes
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import rawzk

JARS = [pathlib.Path("/usr/share/java") / jar for jar in ("zookeeper.jar", "slf4j-simple.jar")]
CLASS_PATH = ":".join(map(str, JARS))
START_SECONDS = 60
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1
# super:secret
SUPER_DIGEST = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="

CONFIGURATION = f"""tickTime=500
initLimit=20
syncLimit=20
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
enforceQuota=true
reconfigEnabled=true
znode.container.checkIntervalMs=200
DigestAuthenticationProvider.superDigest={SUPER_DIGEST}
"""


def zookeeper_missing():
    """Why the real ZooKeeper cannot be run, or None."""
    if shutil.which("java") is None:
        return "no java"
    absent = [str(jar) for jar in JARS if not jar.exists()]
    return f"no {' '.join(absent)}" if absent else None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Ensemble:
    """command: of a configuration file, the command line of a server."""

    def __init__(self, directory, nodes, command, configuration=CONFIGURATION):
        self.directory, self.nodes, self.command = pathlib.Path(directory), nodes, command
        self.configuration = configuration
        self.processes = {}
        self.ports = free_ports(3 * nodes)
        for k in range(1, nodes + 1):
            self.write_configuration(k)

    @property
    def servers(self):
        return [f"127.0.0.1:{port}" for port in self.ports[:self.nodes]]

    def write_configuration(self, k):
        home, n, ports = self.directory / str(k), self.nodes, self.ports
        (home / "data").mkdir(parents=True)
        lines = [f"dataDir={home / 'data'}"]
        if n == 1:
            lines += [f"clientPort={ports[0]}", "clientPortAddress=127.0.0.1"]
        else:
            (home / "data" / "myid").write_text(f"{k}\n")
            lines += [f"server.{j}=127.0.0.1:{ports[n + j - 1]}:{ports[2 * n + j - 1]}"
                      f":participant;127.0.0.1:{ports[j - 1]}" for j in range(1, n + 1)]
        (home / "zoo.cfg").write_text(self.configuration + "\n".join(lines) + "\n")

    def start_all(self):
        for k in range(1, self.nodes + 1):
            self.launch(k)
        for k in range(1, self.nodes + 1):
            self.await_service(k)

    def start(self, k):
        self.launch(k)
        self.await_service(k)

    def launch(self, k):
        home = self.directory / str(k)
        with open(home / "log", "ab") as log:
            self.processes[k] = subprocess.Popen(
                self.command(home / "zoo.cfg"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=home, preexec_fn=die_with_parent, start_new_session=True)

    def await_service(self, k):
        deadline = time.monotonic() + START_SECONDS
        while not self.serves(k):
            if self.processes[k].poll() is not None:
                raise RuntimeError(f"server {k} ended:\n{self.log(k)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"server {k} does not serve clients:\n{self.log(k)}")
            time.sleep(0.05)

    def serves(self, k):
        try:
            connection = rawzk.Connection(self.servers[k - 1], 2.0)
            try:
                if not connection.handshake().timeout:
                    return False
                connection.send(rawzk.CLOSE_SESSION)
                return connection.is_closed(2.0)
            finally:
                connection.close()
        except (OSError, rawzk.Closed, rawzk.NoAnswer):
            return False

    def log(self, k):
        text = (self.directory / str(k) / "log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-15:])

    def ended(self):
        """The servers that are not there any more though nobody stopped them."""
        return [k for k, process in self.processes.items() if process.poll() is not None]

    def kill(self, k):
        process = self.processes.pop(k)
        process.kill()
        process.wait()

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = {}


def zookeeper(directory, nodes):
    return Ensemble(directory, nodes, lambda file: [
        "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dznode.container.checkIntervalMs=200",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", CLASS_PATH,
        "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(file)])


def zkfs(directory, nodes, program):
    return Ensemble(directory, nodes,
                    lambda file: [str(program), "serve", "--keep", "--config", str(file)])
