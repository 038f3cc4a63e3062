# SPDX-License-Identifier: Apache-2.0
"""Scenarios and their transcripts.

A scenario is a function of a Transcript. What it says is the same on every run against a server
that behaves the same: zxids and session ids are named in the order in which they appear (z1, s1),
times are left out, what comes in no order is sorted.
"""
import functools
import subprocess
import sys
import traceback

import rawzk
from rawzk import Closed, NoAnswer, boolean, buffer, int32, int64, text, vector

ERRORS = {
    -1: "SystemError", -2: "RuntimeInconsistency", -5: "MarshallingError", -6: "Unimplemented",
    -8: "BadArguments", -13: "NewConfigNoQuorum", -14: "ReconfigInProgress", -101: "NoNode",
    -102: "NoAuth", -103: "BadVersion", -108: "NoChildrenForEphemerals", -110: "NodeExists",
    -111: "NotEmpty", -112: "SessionExpired", -114: "InvalidAcl", -115: "AuthFailed",
    -118: "SessionMoved", -119: "NotReadOnly", -120: "EphemeralOnLocalSession",
    -121: "NoWatcher", -123: "ReconfigDisabled", -124: "SessionClosedRequireAuth",
    -125: "QuotaExceeded", -127: "ThrottledOp",
}
EVENTS = {1: "Created", 2: "Deleted", 3: "DataChanged", 4: "ChildrenChanged"}

SCENARIOS = {}


def scenario(function=None, *, servers=1, alone=False):
    """Registers a scenario. servers: how many it needs at least; alone: a server without peers."""
    if function is None:
        return functools.partial(scenario, servers=servers, alone=alone)
    function.servers, function.alone = servers, alone
    assert function.__name__ not in SCENARIOS
    SCENARIOS[function.__name__] = function
    return function


def error_name(code):
    return f"{code} {ERRORS[code]}" if code in ERRORS else str(code)


def shown(value):
    """Data or text, short and in ASCII."""
    if value is None:
        return "null"
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if len(value) > 200:
        return f"{len(value)} bytes of {shown(value[:1])}"
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}"
                         for b in value) + '"'


class Transcript:
    def __init__(self, name, servers, control=None):
        self.name, self.servers, self.control = name, servers, control
        self.root = "/t_" + name
        self.lines, self.names, self.at_end = [], {}, []

    def say(self, line):
        self.lines.append(line.rstrip())

    def named(self, kind, value):
        """z1, z2... for zxids and s1, s2... for sessions, in the order in which they appear."""
        if value in (0, -1):
            return str(value)
        known = self.names.setdefault(kind, {})
        return known.setdefault(value, f"{kind}{len(known) + 1}")

    def client(self, name="a", server=0, **fields):
        """A raw client with a session."""
        made = Client(self, name, self.servers[server])
        self.at_end.append(made.drop)
        made.connect(**fields)
        return made

    def bare(self, server=0, wait=10.0):
        """A socket without a session."""
        made = rawzk.Connection(self.servers[server], wait)
        self.at_end.append(made.close)
        return made

    def four_letters(self, word, server=0):
        bare = self.bare(server)
        bare.send_bytes(word.encode())
        got = b""
        while True:
            part = bare.socket.recv(65536)
            if not part:
                return got.decode()
            got += part

    def kazoo(self, **options):
        """A started kazoo client of the first server; options are KazooClient's."""
        from kazoo.client import KazooClient
        options.setdefault("hosts", self.servers[0])
        options.setdefault("timeout", 5.0)
        made = KazooClient(**options)
        self.at_end.append(lambda: (made.stop(), made.close()))
        made.start(timeout=15)
        return made

    def server_control(self, verb, server):
        """kill or start a server (counted from 0) by the callback of the command line."""
        subprocess.run([*self.control, verb, str(server + 1)], check=True, timeout=60)

    def wipe(self):
        """Removes what an earlier run left below the root of the scenario."""
        cleaner = Client(Transcript(self.name, self.servers), "cleaner", self.servers[0])
        cleaner.connect()
        cleaner.auth("digest", "super:secret", quiet=True)
        for root in (self.root, "/zookeeper/quota" + self.root):
            cleaner.remove_tree(root)
        cleaner.end()


class Client:
    """A raw client whose requests and answers are said. Methods named like ZooKeeper's calls."""

    def __init__(self, transcript, name, server):
        self.t, self.name, self.server = transcript, name, server
        self.connection = None
        self.session, self.password, self.last_zxid = 0, bytes(16), 0

    # --- sessions ---

    def connect(self, **fields):
        self.connection = rawzk.Connection(self.server)
        answer = self.connection.handshake(**fields)
        self.session, self.password = answer.session, answer.password
        self.timeout = answer.timeout
        return answer

    def reattach(self, server=None, **fields):
        """Another connection for the same session; says how the server answers."""
        if server is not None:
            self.server = self.t.servers[server]
        fields.setdefault("session", self.session)
        fields.setdefault("password", self.password)
        connection = rawzk.Connection(self.server)
        self.t.at_end.append(connection.close)
        try:
            answer = connection.handshake(**fields)
        except Closed:
            self.say("reattach -> closed")
            return None
        self.say(f"reattach -> timeout={answer.timeout} "
                 f"session={self.t.named('s', answer.session)} "
                 f"password={'same' if answer.password == self.password else 'other'}")
        self.connection = connection
        return answer

    def drop(self):
        """Ends the connection, not the session."""
        if self.connection:
            self.connection.close()
            self.connection = None

    def end(self):
        """Closes the session, unsaid."""
        if not self.connection:
            return
        try:
            self.connection.send(rawzk.CLOSE_SESSION)
            self.connection.is_closed(5)
        except Closed:
            pass
        self.drop()

    # --- requests ---

    def say(self, line):
        self.t.say(f"{self.name}: {line}")

    def event(self, reply):
        kind, state, path = reply.body.int32(), reply.body.int32(), reply.body.text()
        # A session that an earlier scenario left ends at any time, with its ephemerals.
        if path.startswith("/t_") and not path.startswith(self.t.root):
            return
        state = "" if state == 3 else f" state={state}"
        self.say(f"  event {EVENTS.get(kind, kind)} {path}{state}")

    def reply(self, xid, wait=None, quiet=False):
        """The answer to xid; events before it are said. Raises Closed or NoAnswer."""
        while True:
            reply = rawzk.Reply(self.connection.receive_frame(wait))
            if reply.xid == rawzk.XID_EVENT:
                if not quiet:
                    self.event(reply)
                continue
            if reply.xid != xid:
                raise AssertionError(f"answer to {reply.xid} instead of {xid}")
            if reply.zxid > 0:
                self.last_zxid = reply.zxid
            return reply

    def request(self, label, operation, body=b"", decode=None, xid=None, wait=None):
        """Sends, waits and says; returns the reply, or None when there is none."""
        try:
            reply = self.reply(self.connection.send(operation, body, xid), wait)
        except Closed:
            self.say(f"{label} -> closed")
            return None
        except NoAnswer:
            self.say(f"{label} -> no answer")
            return None
        if reply.error:
            more = f" and {reply.body.rest()} bytes" if reply.body.rest() else ""
            self.say(f"{label} -> {error_name(reply.error)}{more}")
        else:
            answer = decode(reply.body) if decode else "ok"
            more = f" and {reply.body.rest()} bytes more" if reply.body.rest() else ""
            self.say(f"{label} -> {answer}{more}")
        return reply

    def fence(self):
        """All events of what was answered to others have come when this returns."""
        self.request("ping", rawzk.PING, xid=rawzk.XID_PING)

    def await_events(self, count, wait=10.0):
        """Waits for so many events and says them."""
        for _ in range(count):
            try:
                reply = rawzk.Reply(self.connection.receive_frame(wait))
            except (Closed, NoAnswer) as why:
                self.say(f"  no event: {type(why).__name__}")
                return
            assert reply.xid == rawzk.XID_EVENT, f"answer {reply.xid} instead of an event"
            self.event(reply)

    def closed(self, wait=5.0):
        """Says whether the server ends the connection."""
        self.say("connection " + ("closed" if self.connection.is_closed(wait) else "open"))

    # --- what answers hold ---

    def stat(self, reader):
        z = functools.partial(self.t.named, "z")
        czxid, mzxid, ctime, mtime = (reader.int64() for _ in range(4))
        version, cversion, aversion = (reader.int32() for _ in range(3))
        owner, length, children = reader.int64(), reader.int32(), reader.int32()
        pzxid = reader.int64()
        self.last_stat = dict(czxid=czxid, mzxid=mzxid, ctime=ctime, mtime=mtime, version=version,
                              cversion=cversion, aversion=aversion, owner=owner, length=length,
                              children=children, pzxid=pzxid)
        return (f"[c={z(czxid)} m={z(mzxid)} p={z(pzxid)} v={version} cv={cversion} av={aversion} "
                f"owner={self.t.named('s', owner)} length={length} children={children}]")

    def path_stat(self, reader):
        return f"{shown(reader.text())} {self.stat(reader)}"

    def data_stat(self, reader):
        return f"{shown(reader.buffer())} {self.stat(reader)}"

    @staticmethod
    def acl_text(entries):
        if entries is None:
            return "null"
        plain = [[part if part is not None else "null" for part in entry] for entry in entries]
        return "{" + ", ".join(f"{p} {s}:{i}" for p, s, i in plain) + "}"

    @staticmethod
    def children(reader):
        return "(" + " ".join(shown(v)[1:-1] for v in sorted(reader.vector(reader.text) or [])) + ")"

    # --- ZooKeeper's calls ---

    def create(self, path, data=b"", acl=rawzk.WORLD_ALL, flags=0):
        return self.request(f"create {shown(path)} flags={flags}", rawzk.CREATE,
                            text(path) + buffer(data) + rawzk.acl(acl) + int32(flags),
                            lambda r: shown(r.text()))

    def create2(self, path, data=b"", acl=rawzk.WORLD_ALL, flags=0, operation=rawzk.CREATE2):
        label = "createContainer" if operation == rawzk.CREATE_CONTAINER else "create2"
        return self.request(f"{label} {shown(path)} flags={flags}", operation,
                            text(path) + buffer(data) + rawzk.acl(acl) + int32(flags),
                            self.path_stat)

    def container(self, path, data=b"", acl=rawzk.WORLD_ALL, flags=4):
        return self.create2(path, data, acl, flags, rawzk.CREATE_CONTAINER)

    def create_ttl(self, path, ttl, data=b"", acl=rawzk.WORLD_ALL, flags=5):
        return self.request(f"createTTL {shown(path)} flags={flags} ttl={ttl}", rawzk.CREATE_TTL,
                            text(path) + buffer(data) + rawzk.acl(acl) + int32(flags) + int64(ttl),
                            self.path_stat)

    def delete(self, path, version=-1):
        return self.request(f"delete {shown(path)} version={version}", rawzk.DELETE,
                            text(path) + int32(version))

    def exists(self, path, watch=False):
        return self.request(f"exists {shown(path)}{' watch' * watch}", rawzk.EXISTS,
                            text(path) + boolean(watch), self.stat)

    def get(self, path, watch=False):
        return self.request(f"getData {shown(path)}{' watch' * watch}", rawzk.GET_DATA,
                            text(path) + boolean(watch), self.data_stat)

    def set(self, path, data, version=-1):
        return self.request(f"setData {shown(path)} {shown(data)} version={version}",
                            rawzk.SET_DATA, text(path) + buffer(data) + int32(version), self.stat)

    def get_acl(self, path, ordered=True):
        """ordered False: what ids of scheme auth became comes in no order."""
        order = list if ordered else sorted
        return self.request(f"getACL {shown(path)}", rawzk.GET_ACL, text(path),
                            lambda r: f"{self.acl_text(order(r.acl()))} {self.stat(r)}")

    def set_acl(self, path, acl, version=-1):
        return self.request(f"setACL {shown(path)} {self.acl_text(acl)} version={version}",
                            rawzk.SET_ACL, text(path) + rawzk.acl(acl) + int32(version), self.stat)

    def get_children(self, path, watch=False):
        return self.request(f"getChildren {shown(path)}{' watch' * watch}", rawzk.GET_CHILDREN,
                            text(path) + boolean(watch), self.children)

    def get_children2(self, path, watch=False):
        return self.request(f"getChildren2 {shown(path)}{' watch' * watch}", rawzk.GET_CHILDREN2,
                            text(path) + boolean(watch),
                            lambda r: f"{self.children(r)} {self.stat(r)}")

    def sync(self, path):
        return self.request(f"sync {shown(path)}", rawzk.SYNC, text(path),
                            lambda r: shown(r.text()))

    def auth(self, scheme, credential, quiet=False):
        connection, body = self.connection, int32(0) + text(scheme) + text(credential)
        if quiet:
            return self.reply(connection.send(rawzk.AUTH, body, rawzk.XID_AUTH), quiet=True)
        return self.request(f"auth {shown(scheme)} {shown(credential)}", rawzk.AUTH, body,
                            xid=rawzk.XID_AUTH)

    def add_watch(self, path, mode):
        return self.request(f"addWatch {shown(path)} mode={mode}", rawzk.ADD_WATCH,
                            text(path) + int32(mode), lambda r: f"error={r.int32()}")

    def remove_watches(self, path, kind):
        return self.request(f"removeWatches {shown(path)} type={kind}", rawzk.REMOVE_WATCHES,
                            text(path) + int32(kind))

    def check_watches(self, path, kind):
        return self.request(f"checkWatches {shown(path)} type={kind}", rawzk.CHECK_WATCHES,
                            text(path) + int32(kind))

    def set_watches(self, zxid, data=(), exist=(), child=()):
        return self.request(f"setWatches data={list(data)} exist={list(exist)} "
                            f"child={list(child)}", rawzk.SET_WATCHES,
                            int64(zxid) + b"".join(vector(v, text) for v in (data, exist, child)),
                            xid=rawzk.XID_SET_WATCHES)

    def ephemerals(self, prefix):
        return self.request(f"getEphemerals {shown(prefix)}", rawzk.GET_EPHEMERALS, text(prefix),
                            self.children)

    def all_children_number(self, path):
        return self.request(f"getAllChildrenNumber {shown(path)}", rawzk.GET_ALL_CHILDREN_NUMBER,
                            text(path), lambda r: str(r.int32()))

    def who_am_i(self):
        return self.request("whoAmI", rawzk.WHO_AM_I, b"", lambda r: " ".join(
            sorted(r.vector(lambda: f"{r.text()}:{r.text()}"))))

    def close_session(self):
        return self.request("closeSession", rawzk.CLOSE_SESSION)

    # --- multi ---

    def multi(self, *operations, operation=rawzk.MULTI, label="multi"):
        """operations: (number, body, words for the transcript); see the functions below."""
        body = b"".join(int32(n) + b"\0" + int32(-1) + record for n, record, _ in operations)
        body += int32(-1) + b"\1" + int32(-1)
        words = "; ".join(word for _, _, word in operations)
        return self.request(f"{label} [{words}]", operation, body, self.results)

    def multi_read(self, *operations):
        return self.multi(*operations, operation=rawzk.MULTI_READ, label="multiRead")

    def results(self, reader):
        said = []
        while True:
            kind, done, error = reader.int32(), reader.boolean(), reader.int32()
            if done:
                end = "" if (kind, error) == (-1, -1) else f" end={kind},{error}"
                return "[" + "; ".join(said) + "]" + end
            header = f"{{{kind},{error}}}"
            if kind == -1:
                code = reader.int32()
                same = "" if code == error else f" header {error}"
                said.append(f"error {error_name(code)}{same}")
            elif kind == rawzk.CREATE:
                said.append(f"{header} {shown(reader.text())}")
            elif kind in (rawzk.CREATE2, rawzk.CREATE_CONTAINER, rawzk.CREATE_TTL):
                said.append(f"{header} {self.path_stat(reader)}")
            elif kind == rawzk.SET_DATA:
                said.append(f"{header} {self.stat(reader)}")
            elif kind == rawzk.GET_DATA:
                said.append(f"{header} {self.data_stat(reader)}")
            elif kind == rawzk.GET_CHILDREN:
                said.append(f"{header} {self.children(reader)}")
            else:
                said.append(header)

    # --- unsaid ---

    def quietly(self, operation, body):
        return self.reply(self.connection.send(operation, body), quiet=True)

    def quietly_ping(self):
        self.reply(self.connection.send(rawzk.PING, xid=rawzk.XID_PING), quiet=True)

    def remove_tree(self, root):
        reply = self.quietly(rawzk.GET_CHILDREN, text(root) + b"\0")
        if reply.error:
            return
        for child in reply.body.vector(reply.body.text):
            self.remove_tree(f"{root}/{child}")
        self.quietly(rawzk.DELETE, text(root) + int32(-1))


# Operations of a multi.

def m_create(path, data=b"", acl=rawzk.WORLD_ALL, flags=0, operation=rawzk.CREATE):
    word = {rawzk.CREATE: "create", rawzk.CREATE2: "create2",
            rawzk.CREATE_CONTAINER: "createContainer"}[operation]
    return (operation, text(path) + buffer(data) + rawzk.acl(acl) + int32(flags),
            f"{word} {path} flags={flags}")


def m_create_ttl(path, ttl, flags=5):
    return (rawzk.CREATE_TTL, text(path) + buffer(b"") + rawzk.acl(rawzk.WORLD_ALL) +
            int32(flags) + int64(ttl), f"createTTL {path} flags={flags}")


def m_delete(path, version=-1):
    return rawzk.DELETE, text(path) + int32(version), f"delete {path} version={version}"


def m_set(path, data, version=-1):
    return (rawzk.SET_DATA, text(path) + buffer(data) + int32(version),
            f"setData {path} version={version}")


def m_check(path, version):
    return rawzk.CHECK, text(path) + int32(version), f"check {path} version={version}"


def m_get(path):
    return rawzk.GET_DATA, text(path) + b"\0", f"getData {path}"


def m_children(path):
    return rawzk.GET_CHILDREN, text(path) + b"\0", f"getChildren {path}"


def run(name, servers, control=None):
    """Runs one scenario. Returns its transcript as text, and whether it came to its end."""
    transcript, whole = Transcript(name, servers, control), True
    try:
        transcript.wipe()
        SCENARIOS[name](transcript)
    except Exception as error:  # pylint: disable=broad-except
        whole = False
        transcript.say(f"scenario failed: {type(error).__name__}")
        where = traceback.extract_tb(error.__traceback__)
        print(f"{name}: {type(error).__name__}: {error}; at " + ", ".join(
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in where),
              file=sys.stderr)
    for ending in reversed(transcript.at_end):
        try:
            ending()
        except Exception:  # pylint: disable=broad-except
            pass
    try:
        transcript.wipe()
    except Exception:  # pylint: disable=broad-except
        whole = False
    return "".join(line + "\n" for line in transcript.lines), whole
