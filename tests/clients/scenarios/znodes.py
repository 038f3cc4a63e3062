# SPDX-License-Identifier: Apache-2.0
"""Znodes: kinds, names, data, versions, stats, and which error wins."""
import time

import rawzk
from behaviour import scenario, shown
from rawzk import boolean, buffer, int32, int64, text


@scenario
def create_kinds(t):
    a = t.client()
    a.create(t.root, None)
    for flags in range(-1, 9):
        a.create(f"{t.root}/one{flags}-", b"x", flags=flags)
    for flags in range(-1, 9):
        a.create2(f"{t.root}/two{flags}-", b"x", flags=flags)
    for flags in (4, 0, 1, 2, 3):
        a.container(f"{t.root}/container{flags}-", b"x", flags=flags)
    a.get_children2(t.root)
    for name in ("one0-", "one1-", "one4-", "container4-"):
        a.get(f"{t.root}/{name}")


@scenario
def create_ttl(t):
    a = t.client()
    a.create(t.root)
    a.create_ttl(f"{t.root}/n", 60000)
    a.create_ttl(f"{t.root}/n", 60000)
    a.create_ttl(f"{t.root}/seq-", 60000, flags=6)
    for ttl in (0, -1, -5, 1, (1 << 40) - 1, 1 << 40, 1 << 62):
        a.create_ttl(f"{t.root}/ttl{ttl}", ttl)
    for flags in (0, 1, 2, 3, 4):
        a.create_ttl(f"{t.root}/flag{flags}", 1000, flags=flags)
    for flags in (7, 9, -1):
        a.create_ttl(f"{t.root}/flag{flags}", 1000, flags=flags)
    a.get(f"{t.root}/n")
    a.create(f"{t.root}/n/child")
    a.set(f"{t.root}/n", b"y")


@scenario
def ours_ttl_without_ttl(t):
    """createTTL with the flags of another kind and no ttl ends ZooKeeper 3.8.0 for good: it logs
    the transaction and fails to apply it, at each start again. Ours must serve on."""
    a = t.client()
    a.create(t.root)
    for flags in (0, 1, 2, 3, 4):
        for ttl in (-1, 0):
            a.connection.send(rawzk.CREATE_TTL, text(f"{t.root}/{flags}{ttl}") + buffer(b"") +
                              rawzk.acl(rawzk.WORLD_ALL) + int32(flags) + int64(ttl))
            a.reply(a.connection.xid)
    a.get("/t_missing")


def gone(client, path, seconds=30.0):
    """Says whether a znode goes in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if client.quietly(rawzk.EXISTS, text(path) + b"\0").error:
            client.say(f"{path} goes")
            return
        time.sleep(0.02)
    client.say(f"{path} stays")


@scenario
def containers_and_ttls_go(t):
    a = t.client()
    a.create(t.root)
    a.container(f"{t.root}/used")
    a.container(f"{t.root}/unused")
    a.create(f"{t.root}/used/child")
    a.create_ttl(f"{t.root}/short", 1)
    a.create_ttl(f"{t.root}/long", 3600000)
    a.create_ttl(f"{t.root}/parent", 1)
    a.create(f"{t.root}/parent/child")
    gone(a, f"{t.root}/short")
    a.get_children(t.root)
    a.exists(f"{t.root}/used", watch=True)
    a.delete(f"{t.root}/used/child")
    a.delete(f"{t.root}/parent/child")
    gone(a, f"{t.root}/parent")
    gone(a, f"{t.root}/used")
    a.get_children(t.root)


@scenario
def sequences(t):
    a = t.client()
    a.create(t.root)
    for _ in range(3):
        a.create(f"{t.root}/s-", flags=2)
    a.delete(f"{t.root}/s-0000000001")
    a.create(f"{t.root}/s-", flags=2)
    a.create(f"{t.root}/plain")
    a.create(f"{t.root}/other-", flags=2)
    a.create(f"{t.root}/", flags=2)
    a.create(f"{t.root}/e-", flags=3)
    a.create_ttl(f"{t.root}/t-", 60000, flags=6)
    a.container(f"{t.root}/c")
    a.create(f"{t.root}/plain", flags=0)
    a.create(f"{t.root}/after-failure-", flags=2)
    a.create(f"{t.root}/plain/x-", flags=2)
    a.create(f"{t.root}/plain/x-", flags=2)
    a.create(f"{t.root}/missing/x-", flags=2)
    a.delete(f"{t.root}/plain/x-0000000000")
    a.delete(f"{t.root}/plain/x-0000000001")
    a.delete(f"{t.root}/plain")
    a.create(f"{t.root}/plain")
    a.create(f"{t.root}/plain/x-", flags=2)
    a.get_children2(t.root)
    reply = a.quietly(rawzk.CREATE, text("/t_sequences-root-") + buffer(b"") +
                      rawzk.acl(rawzk.WORLD_ALL) + int32(3))
    path = reply.body.text()
    a.say(f"sequential in / ends in {len(path) - len('/t_sequences-root-')} digits")


@scenario
def data_null_empty_large(t):
    a = t.client()
    a.create(f"{t.root}", None)
    a.get(t.root)
    a.set(t.root, b"")
    a.get(t.root)
    a.set(t.root, None)
    a.get(t.root)
    a.set(t.root, b"\0\xff\n")
    a.get(t.root)
    a.create(f"{t.root}/empty", b"")
    a.get(f"{t.root}/empty")
    a.create(f"{t.root}/large", b"z" * 512 * 1024)
    a.get(f"{t.root}/large")
    a.set(f"{t.root}/large", b"y" * 1000000)
    a.get(f"{t.root}/large")
    a.exists(f"{t.root}/large")
    b = t.client("b")
    b.create(f"{t.root}/too-large", b"z" * 2 * 1024 * 1024)
    a.exists(f"{t.root}/too-large")
    b = t.client("b")
    # The limit is that of the frame: the largest request that fits, and one byte more.
    around = len(text(f"{t.root}/limit")) + 4 + len(rawzk.acl(rawzk.WORLD_ALL)) + 4 + 8
    b.create(f"{t.root}/limit", b"z" * (0xfffff - around))
    b.delete(f"{t.root}/limit")
    b.create(f"{t.root}/limit", b"z" * (0xfffff - around + 1))
    a.exists(f"{t.root}/limit")


@scenario
def versions(t):
    a = t.client()
    a.create(t.root, b"0")
    a.set(t.root, b"1", 0)
    a.set(t.root, b"2", 0)
    a.set(t.root, b"2", 1)
    a.set(t.root, b"3", -1)
    a.set(t.root, b"4", -2)
    a.set(t.root, b"4", 99)
    a.get(t.root)
    a.create(f"{t.root}/n")
    a.delete(f"{t.root}/n", 1)
    a.delete(f"{t.root}/n", -7)
    a.set(f"{t.root}/n", b"x")
    a.delete(f"{t.root}/n", 0)
    a.delete(f"{t.root}/n", 1)
    a.delete(f"{t.root}/n", 1)
    a.set_acl(t.root, rawzk.WORLD_ALL, 1)
    a.set_acl(t.root, rawzk.WORLD_ALL, 0)
    a.set_acl(t.root, rawzk.WORLD_ALL, 0)
    a.set_acl(t.root, rawzk.WORLD_ALL, 1)
    a.set_acl(t.root, rawzk.WORLD_ALL, -1)
    a.get(t.root)


@scenario
def stat_effects(t):
    """What each operation changes in the stat of the node and of its parent."""
    a = t.client()
    a.create(t.root)

    def look(*paths):
        for path in paths:
            a.exists(path)

    node, child = f"{t.root}/n", f"{t.root}/n/c"
    a.create2(node, b"abc")
    look(t.root)
    a.create(child)
    look(t.root, node)
    a.create(f"{child}/grandchild")
    look(t.root, node, child)
    a.set(child, b"12345")
    look(t.root, node)
    a.set_acl(node, [(31, "world", "anyone"), (1, "ip", "127.0.0.1")])
    look(t.root, node)
    a.delete(f"{child}/grandchild")
    look(node, child)
    a.delete(child)
    look(t.root, node)
    a.create(f"{node}/e", flags=1)
    look(f"{node}/e", node)
    a.sync(node)
    a.get(node)
    a.get_children2(node)
    a.get_acl(node)
    look(node)
    a.multi(*[])
    look(node)
    a.delete(f"{node}/e")
    a.delete(node)
    look(t.root)


@scenario
def times(t):
    """ctime and mtime: the time of the transaction, in milliseconds of the real clock."""
    a = t.client()
    before = time.time() * 1000
    a.create2(t.root)
    made = dict(a.last_stat)
    a.say(f"ctime is mtime {made['ctime'] == made['mtime']}, "
          f"now {abs(made['ctime'] - before) < 10000}")
    time.sleep(0.02)
    a.set(t.root, b"x")
    changed = dict(a.last_stat)
    a.say(f"setData: ctime stays {changed['ctime'] == made['ctime']}, "
          f"mtime moves {changed['mtime'] > made['mtime']}")
    time.sleep(0.02)
    a.set_acl(t.root, rawzk.WORLD_ALL)
    a.create(f"{t.root}/c")
    a.exists(t.root)
    a.say(f"setACL and a child: ctime stays {a.last_stat['ctime'] == made['ctime']}, "
          f"mtime stays {a.last_stat['mtime'] == changed['mtime']}")


@scenario
def zxids(t):
    """Each write takes one zxid; reads take none; replies to reads carry the last one."""
    a = t.client()
    base = None

    def after(label, reply):
        nonlocal base
        base = reply.zxid if base is None else base
        a.say(f"{label}: zxid +{reply.zxid - base}")

    after("create", a.create(t.root))
    after("create2", a.create2(f"{t.root}/a"))
    after("getData", a.get(f"{t.root}/a"))
    after("exists missing", a.exists(f"{t.root}/missing"))
    after("setData", a.set(f"{t.root}/a", b"x"))
    after("sync", a.sync(t.root))
    after("setACL", a.set_acl(f"{t.root}/a", rawzk.WORLD_ALL))
    after("ping", a.request("ping", rawzk.PING, xid=rawzk.XID_PING))
    after("delete", a.delete(f"{t.root}/a"))
    after("setWatches", a.set_watches(a.last_zxid))
    after("getChildren", a.get_children(t.root))


@scenario
def zxids_of_failures(t):
    """A write that fails takes a zxid in ZooKeeper."""
    a = t.client()
    base = a.create(t.root).zxid
    failed = a.create(t.root).zxid
    a.say(f"failed create: zxid +{failed - base}")
    a.say(f"next write: zxid +{a.set(t.root, b'x').zxid - base}")


@scenario
def paths(t):
    a = t.client()
    a.create(t.root)
    names = ["", "/", "//", "/.", "/..", "/...", "/.a", "/a.", "/a/", "/a//b", "/./a", "/a/..",
             "/a b", "/a\nb", "/\x01", "/\x1f", "/\x7f", "/\x9f", "/\xa0", "/\u00e9", "/\u4e2d",
             "/\ud7ff", "/\ue000", "/\uf8ff", "/\uf900", "/\uffef", "/\ufff0", "/\uffff",
             "/\U00010000", "/\U0001f600", "/a\0b"]
    for name in names:
        a.create(t.root + name)
    for raw in (b"/\xff", b"/\xc3", b"/\xed\xa0\x80\xed\xb0\x80", b"/\xc0\xaf"):
        a.create(t.root.encode() + raw)
    for name in ["", "a", "a/b", "relative/"]:
        a.create(name)
        a.delete(name)
        a.set(name, b"")
        if name:  # ZooKeeper takes the empty path for the root when it reads
            a.get(name)
            a.exists(name)
            a.get_children(name)
    a.create(None)
    a.get_children(t.root)
    for name in ("/", "//", "/x/", "/x//y", "/./x", "/..", "/\x01"):
        path = t.root + name
        a.exists(path)
        a.get(path)
        a.get_children(path)
        a.get_acl(path)
        a.set(path, b"")
        a.delete(path)
        a.set_acl(path, rawzk.WORLD_ALL)
        a.sync(path)
    a.exists(t.root + "/a\0b")
    a.create(t.root + "/" + "n" * 255)
    a.create(t.root + "/s/", flags=2)
    a.create(t.root + "/s", flags=0)
    a.create(t.root + "/s/", flags=2)


@scenario
def long_names(t):
    a = t.client()
    a.create(t.root)
    for size in (200, 255, 256, 1000):
        reply = a.quietly(rawzk.CREATE, text(f"{t.root}/{'n' * size}") + buffer(b"") +
                          rawzk.acl(rawzk.WORLD_ALL) + int32(0))
        a.say(f"a name of {size} bytes -> {reply.error}")
        a.quietly(rawzk.DELETE, text(f"{t.root}/{'n' * size}") + int32(-1))
    deep = t.root
    for _ in range(40):
        deep += "/" + "d" * 50
        reply = a.quietly(rawzk.CREATE, text(deep) + buffer(b"") + rawzk.acl(rawzk.WORLD_ALL) +
                          int32(0))
    a.say(f"a path of {len(deep)} bytes -> {reply.error}")


@scenario
def root_and_system_nodes(t):
    a = t.client()
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        a.delete(path)
        a.create(path)
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        entries = a.quietly(rawzk.GET_ACL, text(path)).body.acl()
        a.say(f"{path}: {a.acl_text(entries)}")
    a.get_children("/zookeeper")
    a.create("/zookeeper/t_x")
    a.get("/zookeeper/t_x")
    a.delete("/zookeeper/t_x")
    a.set("/zookeeper/config", b"mine")
    a.set_acl("/zookeeper/config", rawzk.WORLD_ALL)
    a.create("/zookeeper/config/child")
    reply = a.quietly(rawzk.GET_CHILDREN, text("/") + boolean(False))
    a.say(f"root lists zookeeper: {'zookeeper' in reply.body.vector(reply.body.text)}")
    reply = a.quietly(rawzk.GET_DATA, text("/") + boolean(False))
    a.say(f"root's data: {shown(reply.body.buffer())}")


@scenario(alone=True)
def fresh_tree(t):
    """Only on servers nobody wrote to: the comparison starts its own."""
    a = t.client()
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        a.get(path)
    a.all_children_number("/")


@scenario
def errors_that_win(t):
    """Several things wrong at once."""
    a = t.client()
    a.create(t.root)
    bad = [(31, "world", "nobody")]
    node = f"{t.root}/n"
    a.create(node)
    a.create(node, acl=bad)
    a.create(f"{t.root}/missing/x", acl=bad)
    a.create(f"{t.root}/missing/x", flags=9)
    a.create(node, acl=bad, flags=9)
    a.create(f"{t.root}/missing//x")
    a.create(f"{t.root}/missing/x/")
    a.create(f"{node}/", acl=bad)
    a.create(f"{node}/")
    a.create(f"{node}/", flags=2)
    a.create(f"{t.root}/e", flags=1)
    a.create(f"{t.root}/e/x")
    a.create(f"{t.root}/e/x", acl=[])
    a.create(f"{t.root}/e/x\x01")
    a.create(f"{t.root}/e/x/y")
    a.create("/")
    a.create("/", acl=[])
    a.delete(f"{t.root}/missing/x")
    a.delete(f"{t.root}/missing")
    a.create(f"{node}/c-", flags=2)
    a.delete(node, 7)
    a.delete(node, 0)
    a.delete(node + "/")
    a.delete("/", 5)
    a.set(f"{t.root}/missing", b"", 5)
    a.set(node, b"", 5)
    a.set_acl(f"{t.root}/missing", bad)
    a.set_acl(f"{t.root}/missing", rawzk.WORLD_ALL, 5)
    a.set_acl(node, bad, 5)
    a.set_acl(node, rawzk.WORLD_ALL, 5)
    a.set_acl("relative", bad)
    a.get(f"{t.root}/missing")
    a.get_children(f"{t.root}/missing")
    a.get_children2(f"{t.root}/missing")
    a.get_acl(f"{t.root}/missing")


@scenario
def children_of_all_kinds(t):
    a = t.client()
    a.create(t.root)
    a.get_children(t.root)
    a.get_children2(t.root)
    for name in ("b", "a", "c", "10", "9"):
        a.create(f"{t.root}/{name}")
    a.get_children(t.root)
    a.get_children2(t.root)
    a.create(f"{t.root}/a/x")
    a.all_children_number(t.root)
    a.all_children_number(f"{t.root}/a")
    a.all_children_number(f"{t.root}/a/x")
    a.all_children_number(f"{t.root}/missing")
    for i in range(300):
        a.quietly(rawzk.CREATE, text(f"{t.root}/b/{i:03}") + buffer(b"") +
                  rawzk.acl(rawzk.WORLD_ALL) + int32(0))
    a.all_children_number(t.root)
    reply = a.quietly(rawzk.GET_CHILDREN, text(f"{t.root}/b") + b"\0")
    a.say(f"{len(reply.body.vector(reply.body.text))} children")


@scenario
def sync_echoes(t):
    a = t.client()
    for path in ("/", t.root, "", "no path", None):
        a.sync(path)


@scenario
def ephemerals_listed(t):
    a = t.client()
    b = t.client("b")
    a.create(t.root)
    a.ephemerals(t.root)
    for name in ("x", "xy", "z"):
        a.create(f"{t.root}/{name}", flags=1)
    b.create(f"{t.root}/b", flags=1)
    a.create(f"{t.root}/plain")
    a.ephemerals(t.root)
    a.ephemerals(f"{t.root}/x")
    a.ephemerals("/")
    a.ephemerals("")
    a.ephemerals("no path")
    b.ephemerals(t.root)
    a.delete(f"{t.root}/x")
    a.ephemerals(t.root)
