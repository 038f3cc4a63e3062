# SPDX-License-Identifier: Apache-2.0
"""abuse.py ZKFS CONNECTIONS WATCHES SECONDS: see scripts/abuse-clients."""
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

import rawzk
from rawzk import Connection, boolean, buffer, int32, int64, text, vector

# What may be late on a busy machine, in seconds.
PATIENCE = 60


def request(xid, op, body=b""):
    payload = int32(xid) + int32(op) + body
    return int32(len(payload)) + payload


def connect_request(timeout_ms=40000):
    payload = int32(0) + int64(0) + int32(timeout_ms) + int64(0) + buffer(bytes(16)) + b"\0"
    return int32(len(payload)) + payload


def create_body(path, data=b""):
    return text(path) + buffer(data) + rawzk.acl(rawzk.WORLD_ALL) + int32(0)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Server:
    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory(prefix="zkfs-abuse-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        config = f"{self.directory.name}/zoo.cfg"
        with open(config, "w") as file:
            file.write(f"tickTime=2000\ndataDir={self.directory.name}/data\n"
                       f"clientPort={self.port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n")
        os.mkdir(f"{self.directory.name}/data")
        self.log = open(f"{self.directory.name}/log", "wb")
        self.process = subprocess.Popen([program, "serve", "--config", config, "--keep"],
                                        stdout=self.log, stderr=self.log)
        self.await_serving()

    def await_serving(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.client()
                return
            except (OSError, rawzk.Closed, rawzk.NoAnswer):
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"the server does not serve:\n{open(self.log.name).read()}")

    def client(self):
        connection = Connection(self.address, wait=PATIENCE)
        connection.send_bytes(connect_request())
        connection.receive_frame()
        return connection

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def await_descriptors(self, most):
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() > most and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.descriptors()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.log.close()
        return code


def ask(connection, op, body=b""):
    """The error of the answer; events are passed over."""
    connection.xid += 1
    connection.send_bytes(request(connection.xid, op, body))
    while True:
        reply = rawzk.Reply(connection.receive_frame())
        if reply.xid == connection.xid:
            return reply.error


class Bystander(threading.Thread):
    """A well-behaved client: asks one thing at a time, and notes how long each answer took."""

    def __init__(self, server):
        super().__init__()
        self.connection = server.client()
        self.reads, self.writes, self.failed, self.over = [], [], None, threading.Event()
        ask(self.connection, rawzk.CREATE, create_body("/bystander"))
        self.start()

    def run(self):
        try:
            while not self.over.wait(0.005):
                begun = time.monotonic()
                assert ask(self.connection, rawzk.GET_DATA, text("/bystander") + b"\0") == 0
                read = time.monotonic()
                body = text("/bystander") + buffer(b"x") + int32(-1)
                assert ask(self.connection, rawzk.SET_DATA, body) == 0
                self.reads.append(read - begun)
                self.writes.append(time.monotonic() - read)
        except Exception as failure:  # pylint: disable=broad-except
            self.failed = failure

    def end(self):
        """What it noticed, in a line."""
        self.over.set()
        self.join()
        if self.failed or not self.reads:
            return f"another client FAILED: {self.failed!r}"
        return "another client: " + ", ".join(
            f"{name} p50 {percentile(took, .5) * 1000:.1f} p99 {percentile(took, .99) * 1000:.1f} "
            f"max {max(took) * 1000:.1f} ms"
            for name, took in (("reads", self.reads), ("writes", self.writes)))


def idle_connections(server, count):
    # Both ends of each, and some for the rest.
    count = min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    before = server.memory_kib()
    begun = time.monotonic()
    sockets = []
    for start in range(0, count, 500):
        batch = [socket.create_connection(("127.0.0.1", server.port))
                 for _ in range(start, min(start + 500, count))]
        for one in batch:
            one.sendall(connect_request())
        for one in batch:
            one.settimeout(PATIENCE)
            answer = one.recv(64)
            assert len(answer) == 41, f"{len(sockets)} connections stand, and one is told {answer}"
        sockets += batch
    took = time.monotonic() - begun
    per_connection = (server.memory_kib() - before) * 1024 / count
    bystander = Bystander(server)
    time.sleep(1)
    noticed = bystander.end()
    for one in sockets:
        one.close()
    print(f"idle connections: {count} in {took:.1f} s, {per_connection:.0f} bytes each with its "
          f"session; {noticed}", flush=True)
    return "FAILED" not in noticed


def many_watches(server, count):
    before = server.memory_kib()
    begun = time.monotonic()
    watchers = [server.client() for _ in range(10)]
    for number, watcher in enumerate(watchers):
        for start in range(0, count // 10, 20000):
            paths = [f"/watched/{number}/{i}"
                     for i in range(start, min(start + 20000, count // 10))]
            lists = [[], paths, []]
            body = int64(0) + b"".join(vector(each, text) for each in lists)
            watcher.send_bytes(request(rawzk.XID_SET_WATCHES, rawzk.SET_WATCHES, body))
            assert rawzk.Reply(watcher.receive_frame()).error == 0
    took = time.monotonic() - begun
    memory = server.memory_kib() - before
    # One of a million is found, and its owner told.
    client = server.client()
    for path in ("/watched", "/watched/7", "/watched/7/1234"):
        assert ask(client, rawzk.CREATE, create_body(path)) == 0
    event = rawzk.Reply(watchers[7].receive_frame())
    bystander = Bystander(server)
    time.sleep(0.5)
    for watcher in watchers:
        watcher.socket.close()
    time.sleep(1)
    noticed = bystander.end()
    print(f"watches: {count} set in {took:.1f} s, {memory * 1024 / count:.0f} bytes each, their "
          f"paths included; they go while {noticed}", flush=True)
    return event.xid == rawzk.XID_EVENT and "FAILED" not in noticed


def garbage(server):
    bystander = Bystander(server)
    cut = 0
    for number in range(600):
        connection = Connection(server.address, wait=PATIENCE)
        noise = os.urandom(4096)
        kind = number % 3
        try:
            if kind != 0:
                connection.send_bytes(connect_request())
                connection.receive_frame()
            if kind == 2:
                # Whole frames, of operations that exist.
                operation = [1, 2, 3, 4, 5, 7, 8, 9, 14, 22, 100, 101, 105, 106][number % 14]
                noise = request(1, operation, noise) * 8
            connection.send_bytes(noise)
            connection.socket.shutdown(socket.SHUT_WR)
            connection.socket.settimeout(PATIENCE)
            while connection.socket.recv(65536):
                pass
            cut += 1
        except (OSError, rawzk.Closed):
            cut += 1
        connection.socket.close()
    noticed = bystander.end()
    print(f"garbage: {cut} of 600 connections were ended; {noticed}", flush=True)
    return cut == 600 and "FAILED" not in noticed


def flood(server, seconds, name, frames):
    """frames: sent again and again as fast as they are taken."""
    greedy = server.client()
    greedy.socket.setblocking(False)
    bystander = Bystander(server)
    before, most = server.memory_kib(), 0
    end = time.monotonic() + seconds
    to_send, received, sent = memoryview(frames), 0, 0
    while time.monotonic() < end:
        readable, writable, _ = select.select([greedy.socket], [greedy.socket], [], 0.1)
        if readable:
            received += len(greedy.socket.recv(1 << 20))
        if writable:
            taken = greedy.socket.send(to_send)
            sent += taken
            to_send = to_send[taken:] if taken < len(to_send) else memoryview(frames)
        most = max(most, server.memory_kib()) if sent % 64 == 0 else most
    noticed = bystander.end()
    most = max(most, server.memory_kib())
    greedy.socket.close()
    print(f"flood of {name}: {sent / seconds / 1e6:.1f} MB/s in, {received / seconds / 1e6:.1f} MB/s "
          f"out, memory +{max(0, most - before) // 1024} MiB; {noticed}", flush=True)
    return "FAILED" not in noticed


def churn(server, seconds):
    before, memory = server.descriptors(), server.memory_kib()
    bystander = Bystander(server)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            kind = count % 4
            if kind != 0:
                one.sendall(connect_request(4000))
            if kind >= 2:
                one.settimeout(PATIENCE)
                one.recv(64)
            if kind == 3:
                one.sendall(request(1, rawzk.CLOSE_SESSION))
                one.recv(64)
        count += 1
    noticed = bystander.end()
    left = server.await_descriptors(before) - before
    print(f"churn: {count / seconds:.0f} connections a second, {max(0, left)} descriptors left, "
          f"memory +{max(0, server.memory_kib() - memory)} KiB; {noticed}", flush=True)
    return left <= 0 and "FAILED" not in noticed


def main():
    program, connections, watches, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    server = Server(program)
    try:
        fine = abuse(server, connections, watches, seconds)
    except BaseException:
        server.process.kill()
        print(open(server.log.name).read()[-2000:], file=sys.stderr)
        raise
    alive = server.process.poll() is None
    code = server.stop()
    print(f"server: {'stopped' if alive else 'DIED'} with exit code {code}", flush=True)
    return 0 if alive and code == 0 and all(fine) else 1


def abuse(server, connections, watches, seconds):
    print(f"server: {server.memory_kib()} KiB before anything", flush=True)
    setup = server.client()
    ask(setup, rawzk.CREATE, create_body("/large", b"x" * 900000))
    ask(setup, rawzk.CREATE, create_body("/small"))
    write = request(1, rawzk.SET_DATA, text("/small") + buffer(b"y" * 100) + int32(-1))
    read = request(1, rawzk.GET_DATA, text("/large") + boolean(False))
    ping = request(rawzk.XID_PING, rawzk.PING)
    return [
        idle_connections(server, connections),
        many_watches(server, watches),
        garbage(server),
        flood(server, seconds, "writes", write * 1000),
        flood(server, seconds, "large reads", read * 1000),
        flood(server, seconds, "pings", ping * 10000),
        churn(server, seconds),
    ]


if __name__ == "__main__":
    sys.exit(main())
