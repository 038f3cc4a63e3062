# SPDX-License-Identifier: Apache-2.0
"""Watches: what fires, in which order, how often, and what a new connection re-arms."""
import rawzk
from behaviour import m_create, m_delete, scenario
from rawzk import boolean, int32, int64, text, vector

PERSISTENT, RECURSIVE = 0, 1
CHILDREN, DATA, ANY = 1, 2, 3


@scenario
def watch_one_shot(t):
    """Each kind, each operation: what fires on whom. a writes, b watches, before the answers."""
    a, b = t.client(), t.client("b")
    r = t.root
    a.create(r)
    a.create(f"{r}/n")

    def arm():
        b.get(f"{r}/n", watch=True)
        b.get_children(f"{r}/n", watch=True)
        b.exists(f"{r}/new", watch=True)
        b.get_children2(r, watch=True)

    for action in (lambda: a.set(f"{r}/n", b"x"), lambda: a.create(f"{r}/n/c"),
                   lambda: a.set(f"{r}/n/c", b"x"), lambda: a.delete(f"{r}/n/c"),
                   lambda: a.set_acl(f"{r}/n", rawzk.WORLD_ALL), lambda: a.sync(f"{r}/n"),
                   lambda: a.create(f"{r}/new"), lambda: a.delete(f"{r}/new"),
                   lambda: a.create(f"{r}/new"), lambda: a.set(f"{r}/new", b""),
                   lambda: a.delete(f"{r}/n"), lambda: a.create(f"{r}/n")):
        arm()
        action()
        b.fence()
        action()
        b.fence()


@scenario
def watch_own_writes(t):
    """The writer's own events come before its answer."""
    a = t.client()
    a.create(t.root)
    a.get(t.root, watch=True)
    a.set(t.root, b"x")
    a.get_children(t.root, watch=True)
    a.create(f"{t.root}/c")
    a.exists(f"{t.root}/d", watch=True)
    a.create(f"{t.root}/d")
    a.get(f"{t.root}/d", watch=True)
    a.delete(f"{t.root}/d")


@scenario
def watch_registration(t):
    """Which calls leave a watch, failing ones included; repeating adds nothing."""
    a, b = t.client(), t.client("b")
    r = t.root
    a.create(r)
    for _ in range(3):
        b.get(r, watch=True)
        b.exists(r, watch=True)
    a.set(r, b"1")
    b.fence()
    a.set(r, b"2")
    b.fence()
    b.get(f"{r}/missing", watch=True)
    b.get_children(f"{r}/missing", watch=True)
    b.get_children2(f"{r}/missing", watch=True)
    a.create(f"{r}/missing")
    b.fence()
    b.request("exists with a watch byte of 2", rawzk.EXISTS, text(r) + b"\2", b.stat)
    a.set(r, b"3")
    b.fence()
    b.get_children(r, watch=True)
    a.set(r, b"4")
    b.fence()
    a.create(f"{r}/c")
    b.fence()


@scenario
def watch_deletion_once(t):
    """One Deleted for a connection that watches data and children."""
    a, b = t.client(), t.client("b")
    a.create(t.root)
    node = f"{t.root}/n"
    for watches in ((True, False), (False, True), (True, True)):
        a.create(node)
        if watches[0]:
            b.get(node, watch=True)
        if watches[1]:
            b.get_children(node, watch=True)
        a.delete(node)
        b.fence()
        a.create(node)
        b.fence()
        a.delete(node)
        b.fence()
    a.create(node)
    b.get(node, watch=True)
    b.get_children(node, watch=True)
    b.get_children(t.root, watch=True)
    b.exists(node, watch=True)
    a.delete(node)
    b.fence()


@scenario
def watch_before_answer_of_a_read(t):
    """No read shows a change before its event: pipelined reads of another client."""
    a, b = t.client(), t.client("b")
    a.create(t.root, b"0")
    for i in range(1, 30):
        b.quietly(rawzk.GET_DATA, text(t.root) + boolean(True))
        xids = [b.connection.send(rawzk.GET_DATA, text(t.root) + boolean(False))
                for _ in range(3)]
        a.quietly(rawzk.SET_DATA, text(t.root) + rawzk.buffer(b"%d" % i) + int32(-1))
        xids += [b.connection.send(rawzk.GET_DATA, text(t.root) + boolean(False))]
        seen = False
        while xids:
            reply = rawzk.Reply(b.connection.receive_frame())
            if reply.xid == rawzk.XID_EVENT:
                seen = True
            else:
                assert reply.xid == xids.pop(0)
                new = reply.body.buffer() == b"%d" % i
                if new and not seen:
                    b.say(f"round {i}: new data before the event")
        if not seen:
            b.say(f"round {i}: no event")
    b.say("done")


@scenario
def watch_persistent(t):
    a, b = t.client(), t.client("b")
    r = t.root
    node = f"{r}/n"
    a.create(r)
    b.add_watch(node, PERSISTENT)
    for _ in range(2):
        a.create(node)
        a.set(node, b"x")
        a.set(node, b"y")
        a.create(f"{node}/c")
        a.set(f"{node}/c", b"x")
        a.create(f"{node}/c/d")
        a.delete(f"{node}/c/d")
        a.delete(f"{node}/c")
        a.set_acl(node, rawzk.WORLD_ALL)
        a.delete(node)
        b.fence()
    a.multi(m_create(node), m_create(f"{node}/c"), m_delete(f"{node}/c"), m_delete(node))
    b.fence()


@scenario
def watch_recursive(t):
    a, b = t.client(), t.client("b")
    r = t.root
    node = f"{r}/n"
    a.create(r)
    b.add_watch(node, RECURSIVE)
    for _ in range(2):
        a.create(node)
        a.create(f"{r}/nn")
        a.set(f"{r}/nn", b"x")
        a.create(f"{node}/c")
        a.set(f"{node}/c", b"x")
        a.create(f"{node}/c/d")
        a.delete(f"{node}/c/d")
        a.delete(f"{node}/c")
        a.set(node, b"x")
        a.set_acl(node, rawzk.WORLD_ALL)
        a.delete(node)
        a.delete(f"{r}/nn")
        b.fence()


@scenario
def watch_recursive_everywhere(t):
    """A recursive watch on / sees everything; several on a path of ancestors tell once."""
    a, b = t.client(), t.client("b")
    r = t.root
    b.add_watch("/", RECURSIVE)
    a.create(r)
    a.create(f"{r}/a")
    a.create(f"{r}/a/b")
    b.fence()
    b.add_watch(r, RECURSIVE)
    b.add_watch(f"{r}/a", RECURSIVE)
    a.set(f"{r}/a/b", b"x")
    b.fence()
    b.get(f"{r}/a/b", watch=True)
    b.get_children(f"{r}/a", watch=True)
    a.set(f"{r}/a/b", b"y")
    a.delete(f"{r}/a/b")
    b.fence()


@scenario
def watch_add_refused(t):
    b = t.client("b")
    b.add_watch(t.root, 2)
    b.add_watch(t.root, -1)
    b.add_watch("relative", PERSISTENT)
    b.add_watch("", PERSISTENT)
    b.add_watch(f"{t.root}/", RECURSIVE)
    b.add_watch(t.root, PERSISTENT)
    b.create(t.root)


@scenario
def watch_kinds_together(t):
    """A one-shot and a persistent watch on one path."""
    a, b = t.client(), t.client("b")
    a.create(t.root)
    b.get(t.root, watch=True)
    b.add_watch(t.root, PERSISTENT)
    for data in (b"1", b"2"):
        a.set(t.root, data)
        b.fence()
    b.get(t.root, watch=True)
    for data in (b"3", b"4"):
        a.set(t.root, data)
        b.fence()
    b.get_children(t.root, watch=True)
    for name in ("c", "d"):
        a.create(f"{t.root}/{name}")
        b.fence()


@scenario
def watch_remove(t):
    a, b = t.client(), t.client("b")
    r = t.root
    a.create(r)
    for kind in (CHILDREN, DATA, ANY, 0, 6, -1):
        b.check_watches(r, kind)
        b.remove_watches(r, kind)
    b.get(r, watch=True)
    for kind in (CHILDREN, DATA, ANY):
        b.check_watches(r, kind)
    b.remove_watches(r, CHILDREN)
    b.remove_watches(r, DATA)
    b.remove_watches(r, DATA)
    b.get_children(r, watch=True)
    for kind in (CHILDREN, DATA, ANY):
        b.check_watches(r, kind)
    b.remove_watches(r, CHILDREN)
    b.get(r, watch=True)
    b.get_children(r, watch=True)
    b.remove_watches(r, ANY)
    a.set(r, b"x")
    a.create(f"{r}/c")
    b.fence()
    b.exists(f"{r}/missing", watch=True)
    b.check_watches(f"{r}/missing", DATA)
    b.remove_watches(f"{r}/missing", DATA)
    a.create(f"{r}/missing")
    b.fence()
    b.get(r, watch=True)
    a.check_watches(r, DATA)
    b.get_children(r, watch=True)
    b.remove_watches(r, DATA)
    a.set(r, b"y")
    a.create(f"{r}/d")
    b.fence()
    b.add_watch(r, PERSISTENT)
    b.remove_watches(r, ANY)
    b.add_watch(r, RECURSIVE)
    b.remove_watches(r, ANY)
    a.set(r, b"z")
    b.fence()
    b.check_watches("relative", ANY)


@scenario
def set_watches(t):
    """What a client sends on reconnecting: missed changes come at once, the rest is armed."""
    a = t.client()
    r = t.root
    a.create(r)
    for name in ("same", "changed", "gone", "child-same", "child-changed", "child-gone"):
        a.create(f"{r}/{name}")
    b = t.client("b")
    b.get(r)
    zxid = b.last_zxid
    a.set(f"{r}/changed", b"x")
    a.delete(f"{r}/gone")
    a.create(f"{r}/child-changed/c")
    a.delete(f"{r}/child-gone")
    a.create(f"{r}/made")
    b.drop()
    b.reattach()
    everything = dict(
        data=[f"{r}/same", f"{r}/changed", f"{r}/gone"],
        exist=[f"{r}/made", f"{r}/never"],
        child=[f"{r}/child-same", f"{r}/child-changed", f"{r}/child-gone"])
    b.set_watches(zxid, **everything)
    # What was told is not armed; the rest is.
    a.set(f"{r}/changed", b"y")
    a.create(f"{r}/gone")
    a.set(f"{r}/made", b"y")
    a.create(f"{r}/child-changed/d")
    b.fence()
    a.set(f"{r}/same", b"y")
    a.create(f"{r}/child-same/c")
    a.create(f"{r}/never")
    b.fence()
    b.set_watches(0)
    b.set_watches(0, data=[f"{r}/same"], child=[r])
    b.set_watches(1 << 60, data=[f"{r}/same"], child=[r])
    a.set(f"{r}/same", b"z")
    a.create(f"{r}/more")
    b.fence()


@scenario
def set_watches_2(t):
    a, b = t.client(), t.client("b")
    r = t.root
    a.create(r)

    def body(zxid, *lists):
        return int64(zxid) + b"".join(vector(names, text) for names in lists)

    b.request("setWatches2", rawzk.SET_WATCHES2,
              body(a.last_zxid, [r], [f"{r}/x"], [r], [f"{r}/p"], [f"{r}/q"]),
              xid=rawzk.XID_SET_WATCHES)
    for path in (f"{r}/x", f"{r}/p", f"{r}/p/c", f"{r}/q", f"{r}/q/c"):
        a.create(path)
        b.fence()
    a.set(r, b"")
    b.fence()
    b.request("setWatches2 without lists", rawzk.SET_WATCHES2,
              body(0, None, None, None, None, None), xid=rawzk.XID_SET_WATCHES)
    b.request("setWatches2 with three lists", rawzk.SET_WATCHES2, body(0, [], [], []),
              xid=rawzk.XID_SET_WATCHES)
    b.fence()


@scenario
def watch_ends_with_connection(t):
    a, b = t.client(), t.client("b")
    a.create(t.root)
    b.get(t.root, watch=True)
    b.drop()
    b.reattach()
    a.set(t.root, b"x")
    b.fence()
    b.check_watches(t.root, ANY)


@scenario
def watch_on_session_end(t):
    """Ephemerals that go with their session: each with its events, all of one transaction."""
    a, b = t.client(), t.client("b")
    r = t.root
    b.create(r)
    for name in ("1", "2"):
        a.create(f"{r}/{name}", flags=1)
        b.get(f"{r}/{name}", watch=True)
    b.get_children(r, watch=True)
    a.get_children(r, watch=True)
    a.close_session()
    a.closed()
    # In which order ephemerals go is not promised: only their number is.
    events = []
    for _ in range(3):
        reply = rawzk.Reply(b.connection.receive_frame())
        events.append((reply.body.int32(), reply.body.int32(), reply.body.text()))
    b.say(f"events {sorted(events)}")
    b.fence()
    b.get_children2(r)


@scenario
def watch_acl(t):
    """Events of what the watcher may not read: suppressed since 3.8.4 and 3.9.2."""
    a, b = t.client(), t.client("b")
    r = t.root
    a.auth("digest", "u:p")
    a.create(r)
    b.exists(f"{r}/closed", watch=True)
    a.create(f"{r}/closed", acl=[(31, "auth", "")])
    b.fence()
    a.create(f"{r}/n")
    b.get(f"{r}/n", watch=True)
    b.get_children(f"{r}/n", watch=True)
    a.set_acl(f"{r}/n", [(31, "auth", "")])
    a.set(f"{r}/n", b"secret")
    b.fence()
    a.create(f"{r}/n/c")
    b.fence()
    a.set_acl(f"{r}/n", rawzk.WORLD_ALL)
    a.set(f"{r}/n", b"open")
    b.fence()
    b.get(f"{r}/n", watch=True)
    a.delete(f"{r}/n/c")
    a.set_acl(f"{r}/n", [(31, "auth", "")])
    a.delete(f"{r}/n")
    b.fence()
