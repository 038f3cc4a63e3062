#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes data directories by real ZooKeeper servers (Debian's package), with kazoo.

    real_server.py DIRECTORY SERVERS SEED

Runs SERVERS servers in DIRECTORY/1 ... (one alone, or an ensemble), which take a snapshot every
few txns, lets clients change the tree meanwhile, and prints what server 1 then answers: a line
for each znode, as real_server_test.cpp prints the imported tree, and "last ZXID". The servers are
killed, not stopped, while sessions with ephemerals are open.
"""
import os
import random
import socket
import subprocess
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.serialization import Create
from kazoo.security import ACL, Id, make_digest_acl

JAVA = "/usr/share/java/"
OPEN = [ACL(31, Id("world", "anyone"))]


class CreateContainer(Create):
    type = 19


class CreateTtl(Create):
    type = 21
    ttl = 0

    def serialize(self):
        return Create.serialize(self) + self.ttl.to_bytes(8, "big")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Servers:
    def __init__(self, directory, count):
        self.directory = directory
        self.count = count
        self.processes = {}
        ports = free_ports(3 * count)
        self.clients = ports[:count]
        for i in range(count):
            place = f"{directory}/{i + 1}"
            os.makedirs(place)
            lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", "clientPortAddress=127.0.0.1",
                     f"clientPort={self.clients[i]}", f"dataDir={place}", "maxClientCnxns=0",
                     "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=64"]
            if count > 1:
                lines += [f"server.{j + 1}=127.0.0.1:{ports[count + j]}:{ports[2 * count + j]}"
                          for j in range(count)]
                with open(f"{place}/myid", "w") as file:
                    file.write(f"{i + 1}\n")
            with open(f"{place}/zoo.cfg", "w") as file:
                file.write("\n".join(lines) + "\n")
            self.start(i + 1)

    def start(self, number):
        place = f"{self.directory}/{number}"
        main = "quorum.QuorumPeerMain" if self.count > 1 else "ZooKeeperServerMain"
        with open(f"{place}/log", "a") as log:
            self.processes[number] = subprocess.Popen(
                ["java", "-Xmx256m", "-Dzookeeper.snapCount=60", "-Dzookeeper.preAllocSize=64",
                 "-Dzookeeper.extendedTypesEnabled=true", "-Dzookeeper.admin.enableServer=false",
                 "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                 "-cp", f"{JAVA}zookeeper.jar:{JAVA}slf4j-simple.jar",
                 f"org.apache.zookeeper.server.{main}", f"{place}/zoo.cfg"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, number):
        self.processes[number].kill()
        self.processes[number].wait()

    def kill_all(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def mode(self, number):
        try:
            with socket.create_connection(("127.0.0.1", self.clients[number - 1]), 5) as one:
                one.sendall(b"srvr")
                text = b"".join(iter(lambda: one.recv(4096), b"")).decode()
        except OSError:
            return ""
        return text.split("Mode: ")[1].split("\n")[0] if "Mode: " in text else ""

    def leader(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for number in range(1, self.count + 1):
                if self.mode(number) in ("leader", "standalone"):
                    return number
            time.sleep(0.05)
        sys.exit("no leader")

    def connect(self, number=None):
        ports = self.clients if number is None else [self.clients[number - 1]]
        client = KazooClient(",".join(f"127.0.0.1:{port}" for port in ports), timeout=40)
        client.start(60)
        return client


def call(client, request):
    result = client.handler.async_result()
    client._call(request, result)
    return result.get(60)


def types(client):
    client.create("/types")
    call(client, CreateContainer("/types/container", b"c", OPEN, 4))
    client.create("/types/container/child")
    call(client, CreateContainer("/types/unused", None, OPEN, 4))
    request = CreateTtl("/types/ttl", b"t", OPEN, 5)
    request.ttl = 123456789
    call(client, request)
    client.create("/types/null", None)
    client.create("/types/empty", b"")
    client.create("/types/became-null", b"x")
    client.set("/types/became-null", None)
    client.create("/types/\u00e4\u20ac", "\u00e4".encode())
    client.create("/types/large", b"x" * 500000)


def acls(client):
    digest = make_digest_acl("bob", "secret", all=True)
    client.add_auth("digest", "bob:secret")
    client.create("/acl", acl=[digest])
    client.create("/acl/several", acl=[digest, ACL(1, Id("ip", "10.0.0.0/8")),
                                       ACL(1, Id("world", "anyone"))])
    client.create("/acl/set")
    for _ in range(3):
        client.set_acls("/acl/set", [digest, ACL(3, Id("world", "anyone"))])
    client.ensure_path("/zookeeper/quota/acl")
    client.create("/zookeeper/quota/acl/zookeeper_limits", b"count=5,bytes=-1")
    client.create("/zookeeper/quota/acl/zookeeper_stats", b"count=0,bytes=0")


def churn(servers, seed, count):
    """Whatever makes a fuzzy snapshot hard: parents, children and owners come and go."""
    dice = random.Random(seed)
    client = servers.connect()
    owner = servers.connect()
    for i in range(count):
        parent = f"/churn/p{dice.randrange(4)}"
        path = f"{parent}/n{dice.randrange(6)}"
        what = dice.randrange(12)
        try:
            if what < 3:
                client.create(path, b"%d" % i, makepath=True)
            elif what == 3:
                client.create(f"{parent}/s-", b"s", sequence=True, makepath=True)
            elif what == 4:
                client.delete(path)
            elif what == 5:
                client.delete(parent, recursive=True)
            elif what == 6:
                client.set(path, b"x" * dice.randrange(300))
            elif what == 7:
                client.set_acls(path, OPEN + [ACL(1, Id("ip", f"10.0.0.{dice.randrange(9)}"))])
            elif what == 8:
                owner.create(path, b"e", ephemeral=True)
            elif what == 9:
                owner.stop()
                owner.close()
                owner = servers.connect()
            elif what == 10:
                batch = client.transaction()
                batch.create(f"{path}-m", b"m")
                batch.set_data(f"{path}-m", b"n")
                batch.create(f"{path}-m/c", b"m", sequence=True)
                batch.check(f"{path}-m", 1)
                batch.commit()
            else:
                batch = client.transaction()
                batch.delete(f"{path}-m")
                batch.create(path)
                batch.commit()
        except KazooException:
            pass
    for one in (client, owner):
        one.stop()
        one.close()


def work(servers, seed, count):
    threads = [threading.Thread(target=churn, args=(servers, f"{seed}-{i}", count))
               for i in range(4)]
    for one in threads:
        one.start()
    return threads


def show(client, path):
    try:
        data, stat = client.get(path)
        acl, _ = client.get_acls(path)
    except NoNodeError:
        return
    if stat.ephemeralOwner == 0 and path != "/zookeeper/config":
        value = "null" if data is None else data.hex()
        value = value if len(value) < 1000 else f"{len(value)}"
        entries = " ".join(f"{a.perms}:{a.id.scheme}:{a.id.id}" for a in acl)
        print(path, stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime, stat.version,
              stat.cversion, stat.aversion, stat.numChildren, value, entries)
    for name in sorted(client.get_children(path)):
        show(client, path.rstrip("/") + "/" + name)


def main():
    directory, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    servers = Servers(directory, count)
    try:
        servers.leader()
        client = servers.connect()
        client.ensure_path("/churn")
        threads = work(servers, seed, 150)
        types(client)
        acls(client)
        for one in threads:
            one.join()
        if count > 1:
            gone = servers.leader()
            servers.kill(gone)
            servers.leader()
            servers.start(gone)
        for one in work(servers, seed + "-again", 60):
            one.join()
        holder = servers.connect(1)
        holder.create("/held", makepath=True)
        holder.create("/held/stays")
        for name in ("a", "b", "c"):
            holder.create(f"/held/{name}", ephemeral=True)
        holder.create("/held/n-", ephemeral=True, sequence=True)
        reader = servers.connect(1)
        reader.add_auth("digest", "bob:secret")
        reader.sync("/")
        show(reader, "/")
        print("last", reader.last_zxid)
        sys.stdout.flush()
    finally:
        servers.kill_all()
    # The clients' threads would try to connect for ever.
    os._exit(0)


main()
