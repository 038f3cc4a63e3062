# SPDX-License-Identifier: Apache-2.0
"""The wire protocol of ZooKeeper's clients, by hand: what a library would refuse to send.

Encoders (int32, int64, boolean, text, buffer, vector, acl) give bytes; Reader takes them apart;
Connection speaks frames over one socket. Nothing here interprets an answer.
"""
import socket
import struct
import time

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN = 1, 2, 3, 4, 5, 6, 7, 8
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 9, 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER = 17, 18, 19, 20
CREATE_TTL, MULTI_READ = 21, 22
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I, CREATE_SESSION, CLOSE_SESSION = 105, 106, 107, -10, -11

XID_EVENT, XID_PING, XID_AUTH, XID_SET_WATCHES = -1, -2, -4, -8

WORLD_ALL = [(31, "world", "anyone")]


def int32(value):
    return struct.pack(">i", value)


def int64(value):
    return struct.pack(">q", value)


def boolean(value):
    return b"\1" if value else b"\0"


def buffer(value):
    return int32(-1) if value is None else int32(len(value)) + value


def text(value):
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return buffer(value)


def vector(values, encode):
    return int32(-1) if values is None else int32(len(values)) + b"".join(map(encode, values))


def acl(entries):
    """entries: None or a list of (permissions, scheme, id)."""
    return vector(entries, lambda e: int32(e[0]) + text(e[1]) + text(e[2]))


class Reader:
    """Takes a record apart from its front. Raises struct.error or ValueError at a broken one."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError("record ends early")
        self.at += size
        return self.data[self.at - size:self.at]

    def int32(self):
        return struct.unpack(">i", self.take(4))[0]

    def int64(self):
        return struct.unpack(">q", self.take(8))[0]

    def boolean(self):
        return self.take(1) != b"\0"

    def buffer(self):
        size = self.int32()
        return None if size == -1 else self.take(size)

    def text(self):
        value = self.buffer()
        return None if value is None else value.decode("utf-8", "backslashreplace")

    def vector(self, decode):
        count = self.int32()
        return None if count == -1 else [decode() for _ in range(count)]

    def acl(self):
        return self.vector(lambda: (self.int32(), self.text(), self.text()))

    def rest(self):
        return len(self.data) - self.at


class Closed(Exception):
    """The server closed the connection."""


class NoAnswer(Exception):
    """Nothing came in time."""


class Reply:
    def __init__(self, payload):
        reader = Reader(payload)
        self.xid, self.zxid, self.error = reader.int32(), reader.int64(), reader.int32()
        self.payload, self.body = payload, reader


class Handshake:
    def __init__(self, payload):
        reader = Reader(payload)
        self.payload, self.version, self.timeout = payload, reader.int32(), reader.int32()
        self.session, self.password = reader.int64(), reader.buffer()
        self.read_only = reader.boolean() if reader.rest() else None


class Connection:
    """One socket. `wait` bounds each answer, in seconds."""

    def __init__(self, server, wait=10.0):
        host, port = server.rsplit(":", 1)
        self.wait, self.received, self.xid = wait, b"", 0
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=wait)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Closed() from error

    def send_frame(self, payload):
        self.send_bytes(int32(len(payload)) + payload)

    def receive_frame(self, wait=None):
        """The payload of the next frame."""
        deadline = time.monotonic() + (self.wait if wait is None else wait)
        size = self._receive(4, deadline)
        size = struct.unpack(">i", size)[0]
        return self._receive(size, deadline)

    def _receive(self, size, deadline):
        while len(self.received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoAnswer()
            self.socket.settimeout(left)
            try:
                got = self.socket.recv(65536)
            except socket.timeout as error:
                raise NoAnswer() from error
            except OSError as error:
                raise Closed() from error
            if not got:
                raise Closed()
            self.received += got
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def connect_request(self, timeout=10000, session=0, password=bytes(16), last_zxid=0,
                        read_only=False):
        """read_only None: the old form, without that byte."""
        return (int32(0) + int64(last_zxid) + int32(timeout) + int64(session) + buffer(password) +
                (b"" if read_only is None else boolean(read_only)))

    def handshake(self, **fields):
        self.send_frame(self.connect_request(**fields))
        return Handshake(self.receive_frame())

    def send(self, operation, body=b"", xid=None):
        """Sends a request; returns its xid."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send_frame(int32(xid) + int32(operation) + body)
        return xid

    def is_closed(self, wait=None):
        """Whether the server ends the connection in time; what it still sends is dropped."""
        try:
            while True:
                self.receive_frame(wait)
        except Closed:
            return True
        except NoAnswer:
            return False

    def close(self):
        self.socket.close()
