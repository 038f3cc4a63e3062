# SPDX-License-Identifier: Apache-2.0
"""Ensembles of several servers, and what tells of them."""
import re
import time

import rawzk
from behaviour import scenario, shown
from rawzk import Closed, boolean, buffer, int32, int64, text


@scenario(alone=True)
def config_alone(t):
    a = t.client()
    a.get("/zookeeper/config")
    a.get_acl("/zookeeper/config")
    a.exists("/zookeeper/config", watch=True)
    body = text(None) + text(None) + text("server.1=127.0.0.1:1:2;3") + int64(-1)
    a.request("reconfig", rawzk.RECONFIG, body, a.data_stat)


@scenario(servers=3)
def cluster_config(t):
    """/zookeeper/config: one line per server, then the version; the same on each server."""
    texts = []
    for k in range(len(t.servers)):
        a = t.client(f"at{k}", server=k)
        reply = a.quietly(rawzk.GET_DATA, text("/zookeeper/config") + boolean(False))
        texts.append(reply.body.buffer().decode())
    ports = {port: f"PORT{i}" for i, port in enumerate(re.findall(r"\d{4,5}", texts[0]))}
    for line in texts[0].split("\n"):
        if line.startswith("version="):
            t.say(f"version is hexadecimal: {bool(re.fullmatch('version=[0-9a-f]+', line))}")
        else:
            t.say(re.sub(r"\d{4,5}", lambda m: ports[m.group()], line))
    t.say(f"same everywhere {texts == texts[:1] * len(texts)}, "
          f"ends in a newline {texts[0].endswith(chr(10))}")
    for k, server in enumerate(t.servers):
        port = server.rsplit(":", 1)[1]
        t.say(f"server {k + 1} is named by its client port: {port in texts[0]}")
    a.set("/zookeeper/config", b"")


@scenario(servers=3)
def cluster_reconfig_refused(t):
    a = t.client()
    body = text(None) + text(None) + text(None) + int64(-1)
    a.request("reconfig by anybody", rawzk.RECONFIG, text("server.9=127.0.0.1:1:2;3") +
              text(None) + text(None) + int64(-1), a.data_stat)
    a.auth("digest", "super:secret")
    a.request("reconfig of nothing", rawzk.RECONFIG, body, lambda r: "accepted")
    a.request("reconfig of another version", rawzk.RECONFIG, text("server.9=127.0.0.1:1:2;3") +
              text(None) + text(None) + int64(7), a.data_stat)
    a.request("reconfig of garbage", rawzk.RECONFIG, text("garbage") + text(None) + text(None) +
              int64(-1), a.data_stat)


@scenario(servers=3)
def cluster_writes_are_seen(t):
    """What one server answered, another shows after a sync."""
    a, b = t.client(), t.client("b", server=1)
    a.create(t.root, b"0")
    for i in range(1, 20):
        a.quietly(rawzk.SET_DATA, text(t.root) + buffer(b"%d" % i) + int32(-1))
        b.quietly(rawzk.SYNC, text(t.root))
        reply = b.quietly(rawzk.GET_DATA, text(t.root) + boolean(False))
        if reply.body.buffer() != b"%d" % i:
            b.say(f"round {i}: old data after a sync")
    b.get(t.root)


@scenario(servers=3)
def cluster_watches(t):
    """A watch at one server fires on a write at another."""
    a, b = t.client(), t.client("b", server=1)
    c = t.client("c", server=2)
    a.create(t.root)
    for client in (b, c):
        client.sync(t.root)
        client.get(t.root, watch=True)
        client.get_children(t.root, watch=True)
    a.create(f"{t.root}/e", flags=1)
    a.set(t.root, b"x")
    a.close_session()
    for client in (b, c):
        client.await_events(2)
        client.sync(t.root)
        client.get_children(t.root)


@scenario(servers=3)
def cluster_session_moves(t):
    """A session goes on at another server; the connection at the old one ends."""
    a = t.client()
    a.create(t.root)
    a.create(f"{t.root}/e", flags=1)
    old = a.connection
    a.reattach(server=1)
    a.sync(t.root)
    a.get(f"{t.root}/e")
    # The old connection learns of it when it writes.
    try:
        old.send(rawzk.CREATE, text(f"{t.root}/old") + buffer(b"") +
                 rawzk.acl(rawzk.WORLD_ALL) + int32(0))
        a.say(f"the older connection is {'closed' if old.is_closed() else 'open'}")
    except Closed:
        a.say("the older connection is closed")
    a.create(f"{t.root}/new", flags=1)
    a.get_children(t.root)
    a.drop()
    a.reattach(server=2)
    a.reattach(server=0, password=b"0" * 16)
    a.reattach(server=2)
    a.sync(t.root)
    a.ephemerals(t.root)
    a.close_session()
    b = t.client("b", server=1)
    b.sync(t.root)
    a.reattach(server=1)


@scenario(servers=3)
def cluster_sequences(t):
    """Numbers of sequences from all servers at once are one sequence."""
    clients = [t.client(f"at{k}", server=k) for k in range(3)]
    clients[0].create(t.root)
    for client in clients:
        client.sync(t.root)
    xids = [(client, client.connection.send(
        rawzk.CREATE, text(f"{t.root}/s-") + buffer(b"") + rawzk.acl(rawzk.WORLD_ALL) + int32(2)))
            for _ in range(20) for client in clients]
    names = [client.reply(xid).body.text() for client, xid in xids]
    wanted = [f"{t.root}/s-{i:010}" for i in range(60)]
    t.say(f"60 numbers without gaps {sorted(names) == wanted}")
    t.say(f"each client's own rise {all(names[k::3] == sorted(names[k::3]) for k in range(3))}")


@scenario(servers=3)
def cluster_future_zxid(t):
    """A server that is behind what a client saw refuses it until it has caught up."""
    a = t.client()
    a.create(t.root)
    for k in (1, 2):
        until = time.monotonic() + 10
        while True:
            connection = t.bare(k)
            try:
                answer = connection.handshake(session=a.session, password=a.password,
                                              last_zxid=a.last_zxid)
                break
            except Closed:
                assert time.monotonic() < until
        a.connection = connection
        a.say(f"server {k + 1} -> timeout {answer.timeout}")
        a.exists(t.root)


@scenario(servers=3)
def cluster_failover(t):
    """Servers end one after the other; sessions, ephemerals and data stay."""
    clients = [t.client(f"at{k}", server=k) for k in range(3)]
    clients[0].create(t.root)
    for client in clients:
        client.sync(t.root)
        client.create(f"{t.root}/{client.name}", flags=1)
    for k in range(3):
        t.server_control("kill", k)
        client, other = clients[k], (k + 1) % 3
        client.drop()
        reattach_in_time(client, other)
        client.sync(t.root)
        client.ephemerals(t.root)
        client.create(f"{t.root}/after{k}")
        t.server_control("start", k)
        client.get_children(t.root)
        for one in clients:  # the loss of a leader ends all connections
            one.drop()
            reattach_in_time(one, clients.index(one) if one is not client else other)
    for client in clients:
        client.sync(t.root)
        client.ephemerals(t.root)
        client.close_session()
    last = t.client("last")
    last.sync(t.root)
    last.get_children(t.root)


def reattach_in_time(client, server, seconds=8.0):
    """As a client library does: until a server takes the session."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            connection = rawzk.Connection(client.t.servers[server], 2.0)
            client.t.at_end.append(connection.close)
            answer = connection.handshake(session=client.session, password=client.password,
                                          last_zxid=client.last_zxid)
            client.connection = connection
            connection.wait = 10.0
            client.say(f"reattached, {'alive' if answer.timeout else 'expired'}")
            return
        except (OSError, Closed, rawzk.NoAnswer):
            time.sleep(0.05)
    client.say(f"no server takes {shown(client.name)}")
