#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A ZooKeeper client (kazoo) that a test holds by a string; see client.h.

    client.py HOSTS SESSION_TIMEOUT_SECONDS [digest USER:PASSWORD]

Reads Python expressions, a line each, and answers each with a line: "= VALUE", or "! ERROR" with
the exception's name. What it is told meanwhile are lines that begin with "* ". Names: k, the
client, and the functions below. The first answer is that of the connect. Ends with its input,
without closing its session: k.stop() does.
"""
import os
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.serialization import Create
from kazoo.retry import KazooRetry
from kazoo.security import ACL, Id, OPEN_ACL_UNSAFE, make_acl, make_digest_acl

ANSWER_SECONDS = 30.0
CONNECT_SECONDS = 20.0
# Letters of zkCli.sh, in the order of their bits.
PERMISSIONS = "rwcda"

printing = threading.Lock()


def put(line):
    with printing:
        print(line, flush=True)


class CreateContainer(Create):
    type = 19


class CreateTtl(Create):
    type = 21
    ttl = 0

    def serialize(self):
        return Create.serialize(self) + self.ttl.to_bytes(8, "big")


class Session:
    """What the expressions may name."""

    def __init__(self, hosts, timeout, auth):
        self.k = KazooClient(
            hosts=hosts, timeout=timeout, randomize_hosts=False, auth_data=auth,
            connection_retry=KazooRetry(max_tries=-1, delay=0.02, max_delay=0.2))
        self.k.add_listener(lambda state: put(f"* {state}"))

    def connect(self):
        self.k.start(CONNECT_SECONDS)
        return "connected"

    # --- one-shot watches ---
    def watch(self, event):
        put(f"* {event.type} {event.path}")

    # --- kazoo's recipes ---
    def watch_data(self, path):
        def changed(data, stat):
            put(f"* data {path} {data} {stat.version}" if stat else f"* data {path} gone")
        self.k.DataWatch(path, changed)

    def watch_children(self, path):
        self.k.ChildrenWatch(path, lambda names: put(f"* children {path} {sorted(names)}"))

    # --- what kazoo's API lacks ---
    def container(self, path):
        return self.create_as(CreateContainer, path, 4)

    def ttl(self, path, milliseconds):
        return self.create_as(CreateTtl, path, 5, milliseconds)

    def create_as(self, kind, path, flags, ttl=0):
        request, result = kind(path, b"", OPEN_ACL_UNSAFE, flags), self.k.handler.async_result()
        if kind is CreateTtl:
            request = type("Ttl", (CreateTtl,), {"ttl": ttl})(*request)
        self.k._call(request, result)
        return result.get(ANSWER_SECONDS)

    # --- in fewer words ---
    def attempt(self, call, *arguments):
        """What the call answers; None if it is refused."""
        try:
            return call(*arguments)
        except KazooException:
            return None

    def acls(self, path):
        return ",".join(f"{one.id.scheme}:{one.id.id}:" + "".join(
            letter for bit, letter in enumerate(PERMISSIONS) if one.perms >> bit & 1)
            for one in self.k.get_acls(path)[0])

    def set_acls(self, path, text):
        acls = []
        for one in text.split(","):
            identity, letters = one.rsplit(":", 1)
            perms = sum(1 << PERMISSIONS.index(letter) for letter in letters)
            acls.append(ACL(perms, Id(*identity.split(":", 1))))
        return self.k.set_acls(path, acls).aversion

    def commit(self, *calls):
        transaction = self.k.transaction()
        for name, *arguments in calls:
            getattr(transaction, name)(*arguments)
        return [type(one).__name__ if isinstance(one, Exception) else one
                for one in transaction.commit()]


def answer(call):
    try:
        put(f"= {call()}")
    except Exception as error:  # whatever it is, the test is told
        put(f"! {type(error).__name__}")


def main():
    hosts, timeout, *auth = sys.argv[1:]
    session = Session(hosts, float(timeout), [tuple(auth)] if auth else None)
    names = {name: getattr(session, name) for name in dir(session) if name[0] != "_"}
    names.update(make_acl=make_acl, make_digest_acl=make_digest_acl)
    answer(session.connect)
    for line in sys.stdin:
        answer(lambda: eval(line, names))
    os._exit(0)


main()
