# SPDX-License-Identifier: Apache-2.0
"""Sessions: handshake, timeouts, attaching again, expiry, closing; and what the wire refuses."""
import time

import rawzk
from behaviour import error_name, scenario
from rawzk import Closed, NoAnswer, buffer, int32, int64, text


@scenario
def handshake(t):
    for wanted in (4000, 0, -1, 1, 999, 1000, 1001, 10000, 10001, 2147483647):
        a = t.client(timeout=wanted)
        a.say(f"timeout {wanted} -> {a.timeout}")
        a.end()
    for read_only in (None, False, True):
        bare = t.bare()
        answer = bare.handshake(read_only=read_only)
        t.say(f"readOnly {read_only} -> {len(answer.payload)} bytes, version {answer.version}, "
              f"password of {len(answer.password)} bytes, readOnly {answer.read_only}")
    bare = t.bare()
    answer = bare.handshake(password=b"any password here")
    t.say(f"a password for a new session -> timeout {answer.timeout}")
    for password in (b"", None, b"12345678", b"x" * 100):
        bare = t.bare()
        answer = bare.handshake(password=password)
        t.say(f"{password} -> timeout {answer.timeout}, {len(answer.password)} bytes")
    bare = t.bare()
    bare.send_frame(int32(7) + bare.connect_request()[4:])
    t.say(f"protocol version 7 -> {rawzk.Handshake(bare.receive_frame()).version}")
    bare = t.bare()
    bare.send_frame(bare.connect_request() + b"more than it should hold")
    t.say(f"more bytes -> timeout {rawzk.Handshake(bare.receive_frame()).timeout}")


@scenario
def handshake_refused(t):
    a = t.client()
    a.create(t.root)

    def attempt(label, **fields):
        bare = t.bare()
        try:
            answer = bare.handshake(**fields)
        except (Closed, NoAnswer) as why:
            t.say(f"{label} -> {type(why).__name__}")
            return
        t.say(f"{label} -> timeout={answer.timeout} session={answer.session} "
              f"password={answer.password.hex()} readOnly={answer.read_only}, "
              f"{'closed' if bare.is_closed() else 'open'}")

    attempt("an unknown session", session=0x1234567812345678)
    attempt("an unknown session, old form", session=0x1234567812345678, read_only=None)
    attempt("session -1", session=-1)
    attempt("a wrong password", session=a.session, password=b"0123456789abcdef")
    attempt("a short password", session=a.session, password=a.password[:8])
    attempt("no password", session=a.session, password=None)
    attempt("a zxid of the future", last_zxid=1 << 62)
    attempt("a zxid of the future for a session", last_zxid=1 << 62, session=a.session,
            password=a.password)
    for payload in (b"", b"\0", bytes(20), bytes(28) + int32(100)):
        bare = t.bare()
        bare.send_frame(payload)
        t.say(f"{len(payload)} bytes -> {'closed' if bare.is_closed(3) else 'open'}")


@scenario
def session_survives_wrong_password(t):
    """Asked for with a wrong password, a session lives on."""
    a = t.client()
    a.create(t.root)
    a.create(f"{t.root}/e", flags=1)
    bare = t.bare()
    t.say(f"timeout={bare.handshake(session=a.session, password=b'0' * 16).timeout}")
    a.drop()
    a.reattach()
    a.exists(f"{t.root}/e")


@scenario
def session_keeps_connection(t):
    """3.8.0 ends the connection of a session that somebody asks for with a wrong password."""
    a = t.client()
    bare = t.bare()
    t.say(f"timeout={bare.handshake(session=a.session, password=b'0' * 16).timeout}")
    try:
        a.fence()
    except Closed:
        a.say("closed")


@scenario
def session_attached_again(t):
    a = t.client()
    a.create(t.root)
    a.create(f"{t.root}/e", flags=1)
    a.drop()
    a.reattach()
    a.get(f"{t.root}/e")
    a.reattach(timeout=3000)
    a.ephemerals(t.root)
    # Two connections: the newer has it, the older is ended.
    old = a.connection
    a.reattach(read_only=None)
    a.say(f"the older connection is {'closed' if old.is_closed() else 'open'}")
    a.get(f"{t.root}/e")
    a.reattach(last_zxid=a.last_zxid)
    a.close_session()
    a.closed()
    a.reattach()
    b = t.client("b")
    b.exists(f"{t.root}/e")


@scenario
def session_moves(t):
    """A session moves between connections; what the older one sends does not count."""
    a = t.client()
    a.create(t.root)
    old = a.connection
    a.reattach()
    try:
        old.send(rawzk.CREATE, text(f"{t.root}/old") + buffer(b"") +
                 rawzk.acl(rawzk.WORLD_ALL) + int32(0))
        a.say(f"the older connection is {'closed' if old.is_closed() else 'open'}")
    except Closed:
        a.say("the older connection is closed")
    a.create(f"{t.root}/new", flags=1)
    a.get_children(t.root)


@scenario
def session_expires(t):
    a = t.client(timeout=1000)
    b = t.client("b")
    b.create(t.root)
    a.create(f"{t.root}/e", flags=1)
    a.create(f"{t.root}/stays")
    b.exists(f"{t.root}/e", watch=True)
    b.get_children(t.root, watch=True)
    a.drop()
    begin = time.monotonic()
    b.await_events(2)
    b.say(f"not before its time: {time.monotonic() - begin > 0.4}, "
          f"not long after: {time.monotonic() - begin < 5}")
    b.get_children2(t.root)
    a.reattach()
    # Connected, silent: the server ends the connection, and the session.
    c = t.client("c", timeout=1000)
    c.create(f"{t.root}/c", flags=1)
    b.exists(f"{t.root}/c", watch=True)
    c.closed(10)
    b.await_events(1)
    c.reattach()


@scenario
def session_kept_by_pings(t):
    a = t.client(timeout=1000)
    a.create(t.root, flags=1)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        a.quietly_ping()
        time.sleep(0.3)
    a.exists(t.root)
    # Any request does.
    end = time.monotonic() + 2
    while time.monotonic() < end:
        a.quietly(rawzk.EXISTS, text("/") + b"\0")
        time.sleep(0.3)
    a.exists(t.root)


@scenario
def session_reattached_keeps_alive(t):
    """A session that is dropped and attached in time never ends."""
    a = t.client(timeout=1000)
    a.create(t.root, flags=1)
    for _ in range(4):
        a.drop()
        time.sleep(0.5)
        a.reattach(timeout=1000)
    a.exists(t.root)


@scenario
def session_closes(t):
    a, b = t.client(), t.client("b")
    b.create(t.root)
    for name in ("x", "y"):
        a.create(f"{t.root}/{name}", flags=1)
        a.create(f"{t.root}/{name}-plain")
    b.create(f"{t.root}/b", flags=1)
    a.close_session()
    a.closed()
    b.get_children2(t.root)
    a.reattach()


@scenario
def session_close_pipelined(t):
    """As SessionInvalidationTest: handshake, close and create in one write."""
    bare = t.bare()
    bare.send_bytes(b"".join(buffer(frame) for frame in (
        bare.connect_request(read_only=None),
        int32(1) + int32(rawzk.CLOSE_SESSION),
        int32(2) + int32(rawzk.CREATE) + text(t.root) + buffer(b"") +
        rawzk.acl(rawzk.WORLD_ALL) + int32(1))))
    t.say(f"connection {'closed' if bare.is_closed() else 'open'}")
    a = t.client()
    a.exists(t.root)


@scenario
def requests_pipelined(t):
    """Answers come in the order of the requests."""
    a = t.client()
    a.create(t.root)
    frames, wanted = [], []
    for i in range(200):
        xid = i + 1000
        if i % 4 == 0:
            frames.append(int32(xid) + int32(rawzk.CREATE) + text(f"{t.root}/{i}") + buffer(b"") +
                          rawzk.acl(rawzk.WORLD_ALL) + int32(0))
        elif i % 4 == 1:
            frames.append(int32(xid) + int32(rawzk.EXISTS) + text(f"{t.root}/{i - 1}") + b"\0")
        elif i % 4 == 2:
            frames.append(int32(xid) + int32(rawzk.SYNC) + text(t.root))
        else:
            xid = rawzk.XID_PING
            frames.append(int32(xid) + int32(rawzk.PING))
        wanted.append(xid)
    a.connection.send_bytes(b"".join(map(buffer, frames)))
    got, failed, zxids = [], 0, []
    while len(got) < len(wanted):
        reply = rawzk.Reply(a.connection.receive_frame())
        got.append(reply.xid)
        zxids.append(reply.zxid)
        failed += reply.error != 0
    pings = [x for x in got if x != rawzk.XID_PING] == [x for x in wanted if x != rawzk.XID_PING]
    a.say(f"in order {pings}, pings {got.count(rawzk.XID_PING)}, {failed} failed, "
          f"zxids never fall {zxids == sorted(zxids)}")


@scenario
def requests_in_pieces(t):
    """Frames that come byte by byte, or several in one segment."""
    bare = t.bare()
    stream = buffer(bare.connect_request()) + buffer(
        int32(1) + int32(rawzk.EXISTS) + text("/") + b"\0")
    for i in range(len(stream)):
        bare.send_bytes(stream[i:i + 1])
    t.say(f"timeout {rawzk.Handshake(bare.receive_frame()).timeout}")
    t.say(f"exists {rawzk.Reply(bare.receive_frame()).error}")


@scenario
def xids(t):
    a = t.client()
    a.create(t.root)
    for xid in (2147483647, 1, 1, 0, -3, -2147483648, 7):
        a.request(f"exists with xid {xid}", rawzk.EXISTS, text(t.root) + b"\0", a.stat, xid=xid)


@scenario
def unknown_operations(t):
    a = t.client()
    a.create(t.root)
    for operation in (888, 10, 23, 50, 99, 108, 0, -1, -2, -100):
        b = t.client("b")
        b.request(f"operation {operation}", operation, text(t.root) + int32(-1), wait=2)
        b.closed(2)
    a.exists(t.root)


@scenario(alone=True)
def operations_not_for_clients(t):
    """deleteContainer, createSession, a check on its own: real answers are leaks or silence, and
    an ensemble of ZooKeeper 3.8.0 serves nobody any more afterwards."""
    a = t.client()
    a.create(t.root)
    for operation, body in ((rawzk.DELETE_CONTAINER, text(t.root)),
                            (rawzk.CREATE_SESSION, int32(5000)),
                            (rawzk.CHECK, text(t.root) + int32(0))):
        b = t.client("b")
        try:
            xid = b.connection.send(operation, body)
            reply = rawzk.Reply(b.connection.receive_frame(1.0))
            b.say(f"operation {operation} -> "
                  f"{error_name(reply.error) if reply.xid == xid else 'something else'}")
        except (Closed, NoAnswer) as why:
            b.say(f"operation {operation} -> {type(why).__name__}")
    a.create(t.root)


@scenario
def broken_records(t):
    """A record that does not parse is answered; the connection stays."""
    a = t.client()
    a.create(t.root)
    bodies = {
        rawzk.CREATE: text(t.root + "/x") + buffer(b"") + rawzk.acl(rawzk.WORLD_ALL) + int32(0),
        rawzk.DELETE: text(t.root + "/x") + int32(-1),
        rawzk.EXISTS: text(t.root) + b"\0",
        rawzk.GET_DATA: text(t.root) + b"\0",
        rawzk.SET_DATA: text(t.root) + buffer(b"") + int32(-1),
        rawzk.GET_ACL: text(t.root),
        rawzk.SET_ACL: text(t.root) + rawzk.acl(rawzk.WORLD_ALL) + int32(-1),
        rawzk.GET_CHILDREN: text(t.root) + b"\0",
        rawzk.GET_CHILDREN2: text(t.root) + b"\0",
        rawzk.SYNC: text(t.root),
        rawzk.GET_EPHEMERALS: text(t.root),
        rawzk.GET_ALL_CHILDREN_NUMBER: text(t.root),
        rawzk.ADD_WATCH: text(t.root) + int32(0),
        rawzk.CHECK_WATCHES: text(t.root) + int32(3),
        rawzk.REMOVE_WATCHES: text(t.root) + int32(3),
        rawzk.CREATE_TTL: text(t.root + "/x") + buffer(b"") + rawzk.acl(rawzk.WORLD_ALL) +
        int32(5) + int64(1000),
    }
    for operation, body in bodies.items():
        for cut in (0, 2, len(body) - 1):
            a.request(f"operation {operation} of {cut} bytes", operation, body[:cut])
    for size in (-2, -2147483648, 2147483647, 100, 10000000):
        a.request(f"getData of a path of {size} bytes", rawzk.GET_DATA, int32(size) + b"/x\0")
    a.request("create with 2^31-1 entries", rawzk.CREATE,
              text(f"{t.root}/x") + buffer(b"") + int32(2147483647) + int32(0))
    a.request("create with -2 entries", rawzk.CREATE,
              text(f"{t.root}/x") + buffer(b"") + int32(-2) + int32(0))
    a.request("getData and more bytes", rawzk.GET_DATA, text(t.root) + b"\0" + b"more", a.data_stat)
    a.get_children(t.root)


@scenario
def broken_frames(t):
    """Frames that cannot be: the server ends the connection without an answer."""
    for size in (-1, -2147483648, 0x100000, 0x7fffffff):
        a = t.client()
        a.connection.send_bytes(int32(size) + b"\0" * 16)
        a.say(f"a frame of {size} bytes")
        a.closed()
    for size in (0, 4, 7):
        a = t.client()
        a.connection.send_frame(bytes(size))
        a.say(f"a frame of {size} bytes: "
              f"{'closed' if a.connection.is_closed(2) else 'open'}")
    bare = t.bare()
    bare.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    t.say(f"HTTP: {'closed' if bare.is_closed() else 'open'}")
    bare = t.bare()
    bare.send_bytes(bytes(range(256)) * 300)
    t.say(f"garbage: {'closed' if bare.is_closed() else 'open'}")
    a = t.client()
    a.say(f"still there: {not a.quietly(rawzk.EXISTS, text(chr(47)) + bytes(1)).error}")


@scenario
def second_handshake(t):
    """A ConnectRequest on a connection that has a session is a request like others."""
    a = t.client()
    a.connection.send_frame(a.connection.connect_request())
    try:
        reply = rawzk.Reply(a.connection.receive_frame(2.0))
        a.say(f"xid {reply.xid}: {error_name(reply.error)}")
    except (Closed, NoAnswer) as why:
        a.say(type(why).__name__)


@scenario
def half_closed(t):
    """A client that sends no more still gets its answers, or an end."""
    bare = t.bare()
    bare.handshake()
    bare.send(rawzk.EXISTS, text("/") + b"\0")
    reply = rawzk.Reply(bare.receive_frame())
    t.say(f"exists {reply.error}")
    bare.socket.shutdown(1)
    t.say(f"after the end of what it sends: {'closed' if bare.is_closed() else 'open'}")
