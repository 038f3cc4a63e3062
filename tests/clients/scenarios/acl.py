# SPDX-License-Identifier: Apache-2.0
"""ACL and authentication."""
import rawzk
from behaviour import scenario
from rawzk import buffer, int32, text

READ, WRITE, CREATE, DELETE, ADMIN, ALL = 1, 2, 4, 8, 16, 31


def digest_of(client, credential):
    """user:hash, as the server computes it: by an ACL of scheme auth."""
    import base64
    import hashlib
    digest = base64.b64encode(hashlib.sha1(credential.encode()).digest()).decode()
    return credential.split(":", 1)[0] + ":" + digest


@scenario
def acl_stored(t):
    """Which lists are accepted and how they are stored."""
    a = t.client()
    a.create(t.root)
    lists = [
        None, [], [(31, "world", "anyone")], [(31, "world", "nobody")], [(31, "world", "")],
        [(31, "world", None)], [(31, None, "anyone")], [(31, "", "anyone")],
        [(31, "unknown", "x")], [(31, "auth", "")], [(31, "auth", "x")], [(31, "super", "x")],
        [(31, "digest", "u:hash")], [(31, "digest", "u")], [(31, "digest", "u:h:x")],
        [(31, "digest", "")], [(31, "digest", ":")], [(31, "digest", None)],
        [(31, "ip", "127.0.0.1")], [(31, "ip", "127.0.0.0/8")], [(31, "ip", "127.0.0.1/32")],
        [(31, "ip", "0.0.0.0/0")], [(31, "ip", "127.0.0.1/33")], [(31, "ip", "127.0.0.1/-1")],
        [(31, "ip", "127.0.0.1/x")], [(31, "ip", "127.0.0")], [(31, "ip", "256.0.0.1")],
        [(31, "ip", "localhost")], [(31, "ip", "")], [(31, "ip", "1.2.3.4/")],
        [(0, "world", "anyone")], [(-1, "world", "anyone")], [(32, "world", "anyone")],
        [(1 << 30, "world", "anyone")],
        [(31, "world", "anyone"), (31, "world", "anyone")],
        [(1, "world", "anyone"), (31, "world", "anyone"), (1, "world", "anyone")],
        [(31, "world", "anyone"), (31, "digest", "u")],
    ]
    for number, entries in enumerate(lists):
        path = f"{t.root}/{number}"
        a.say(a.acl_text(entries))
        reply = a.create(path, acl=entries)
        if reply and not reply.error:
            a.get_acl(path)
    for entries in lists[:6]:
        a.set_acl(t.root, entries)


@scenario
def acl_ip_v6(t):
    a = t.client()
    a.create(t.root)
    for number, value in enumerate(["::1", "::1/128", "fe80::/10", "::ffff:127.0.0.1"]):
        a.create(f"{t.root}/{number}", acl=[(31, "ip", value)])


@scenario
def acl_permissions(t):
    """Each operation with only, and with all but, each permission."""
    a = t.client()
    a.auth("digest", "admin:x")
    a.create(t.root)
    b = t.client("b")
    for name, mine in (("only", lambda bit: bit), ("without", lambda bit: 31 & ~bit)):
        for bit in (READ, WRITE, CREATE, DELETE, ADMIN):
            node = f"{t.root}/{name}{bit}"
            admin = (31, "digest", digest_of(a, "admin:x"))
            a.create(node, b"d")
            a.create(f"{node}/c", b"d")
            a.set_acl(node, [(mine(bit), "world", "anyone"), admin])
            b.get(node)
            b.get_children(node)
            b.get_children2(node)
            b.all_children_number(node)
            b.get_acl(node)
            b.set(node, b"e")
            b.create(f"{node}/new")
            b.create(f"{node}/c")
            b.set(f"{node}/c", b"e")
            b.delete(f"{node}/missing")
            b.delete(f"{node}/c")
            b.delete(node)
            b.set_acl(node, [(mine(bit), "world", "anyone"), admin])
            b.set_acl(node, [])
            b.sync(node)


@scenario
def acl_exists(t):
    """READ for exists: asked for since 3.8.4 and 3.9.2."""
    a = t.client()
    a.auth("digest", "admin:x")
    a.create(t.root, acl=[(31, "auth", "")])
    a.create(f"{t.root}/c", acl=[(31, "auth", "")])
    b = t.client("b")
    b.exists(t.root)
    b.exists(f"{t.root}/c", watch=True)
    b.exists(f"{t.root}/missing", watch=True)


@scenario
def acl_digest(t):
    a = t.client()
    a.say(f"digest of u:p is {digest_of(a, 'u:p')}")
    a.create(t.root)
    a.create(f"{t.root}/n", b"secret", acl=[(31, "digest", digest_of(a, "u:p"))])
    a.get(f"{t.root}/n")
    a.get_acl(f"{t.root}/n")
    a.auth("digest", "u:wrong")
    a.get(f"{t.root}/n")
    a.auth("digest", "u:p")
    a.get(f"{t.root}/n")
    a.get_acl(f"{t.root}/n")
    a.set(f"{t.root}/n", b"x")
    a.create(f"{t.root}/n/c", acl=[(31, "auth", "")])
    a.get_acl(f"{t.root}/n/c", ordered=False)
    b = t.client("b")
    b.get(f"{t.root}/n")
    b.get_children(f"{t.root}/n")
    b.delete(f"{t.root}/n/c")
    b.delete(f"{t.root}/n")
    b.auth("digest", "u:p")
    b.delete(f"{t.root}/n/c")
    b.delete(f"{t.root}/n")


@scenario
def acl_auth_expands(t):
    a = t.client()
    a.create(t.root)
    a.create(f"{t.root}/none", acl=[(31, "auth", "")])
    a.auth("ip", "1.2.3.4")
    a.create(f"{t.root}/only-ip", acl=[(31, "auth", "")])
    a.auth("digest", "u:p")
    a.create(f"{t.root}/one", acl=[(31, "auth", "")])
    a.get_acl(f"{t.root}/one")
    a.create(f"{t.root}/null", acl=[(31, "auth", None)])
    a.get_acl(f"{t.root}/null")
    a.auth("digest", "v:q")
    a.auth("digest", "v:q")
    a.create(f"{t.root}/two", acl=[(7, "auth", "ignored"), (1, "world", "anyone")])
    a.get_acl(f"{t.root}/two", ordered=False)
    a.create(f"{t.root}/doubled", acl=[(31, "auth", ""), (31, "digest", digest_of(a, "u:p"))])
    a.get_acl(f"{t.root}/doubled", ordered=False)
    a.who_am_i()


@scenario
def acl_masked(t):
    """getACL hides hashes from who has no ADMIN, and is refused to who has neither."""
    a = t.client()
    a.auth("digest", "u:p")
    secret = (31, "digest", digest_of(a, "u:p"))
    a.create(t.root)
    b = t.client("b")
    for bits in (0, 1, 2, 16, 17, 31):
        a.create(f"{t.root}/{bits}", acl=[secret, (bits, "world", "anyone"),
                                          (1, "ip", "10.0.0.0/8")])
        a.get_acl(f"{t.root}/{bits}")
        b.get_acl(f"{t.root}/{bits}")


@scenario
def acl_ip_matches(t):
    a = t.client()
    a.create(t.root)
    for number, value in enumerate(["127.0.0.1", "127.0.0.2", "127.0.0.0/8", "127.0.0.0/32",
                                    "0.0.0.0/0", "10.0.0.0/8", "128.0.0.0/1", "64.0.0.0/2"]):
        a.create(f"{t.root}/{number}", b"x", acl=[(31, "ip", value)])
        a.say(value)
        a.get(f"{t.root}/{number}")


@scenario
def acl_super(t):
    a = t.client()
    a.create(t.root)
    a.create(f"{t.root}/n", acl=[(31, "digest", "nobody:hash")])
    a.get(f"{t.root}/n")
    a.auth("digest", "super:wrong")
    a.get(f"{t.root}/n")
    a.auth("digest", "super:secret")
    a.get(f"{t.root}/n")
    a.get_acl(f"{t.root}/n")
    a.set_acl(f"{t.root}/n", [(0, "world", "anyone")])
    a.create(f"{t.root}/n/c")
    a.create(f"{t.root}/mine", acl=[(31, "auth", "")])
    a.get_acl(f"{t.root}/mine", ordered=False)
    a.who_am_i()


@scenario
def acl_order_of_checks(t):
    a = t.client()
    a.auth("digest", "u:p")
    closed = [(31, "auth", "")]
    a.create(t.root)
    a.create(f"{t.root}/n", acl=closed)
    a.create(f"{t.root}/n/c", acl=closed)
    a.create(f"{t.root}/n/e", acl=closed, flags=1)
    b = t.client("b")
    node = f"{t.root}/n"
    b.create(f"{node}/c")
    b.create(f"{node}/new", acl=[])
    b.create(f"{node}/bad\x01")
    b.create(f"{node}/e/x")
    b.delete(f"{node}/missing")
    b.delete(f"{node}/c", 7)
    b.delete(f"{node}/missing/x")
    b.set(f"{node}/c", b"", 7)
    b.set(f"{node}/missing", b"", 7)
    b.set_acl(f"{node}/c", [], 7)
    b.set_acl(f"{node}/c", rawzk.WORLD_ALL, 7)
    b.get(f"{node}/missing")
    b.get_children(f"{node}/missing")
    b.multi((rawzk.CHECK, text(f"{node}/c") + int32(7), f"check {node}/c"))
    b.get_acl(f"{node}/c")


@scenario
def auth_answers(t):
    a = t.client()
    a.auth("digest", "")
    a.auth("digest", "nocolon")
    a.auth("digest", "a:b:c")
    a.auth("ip", "")
    a.auth("ip", "anything")
    a.who_am_i()
    for scheme, credential in (("unknown", "x"), ("world", "anyone"), ("auth", "x"), ("", ""),
                               (None, None), ("digest", None), ("sasl", "x"), ("super", "x")):
        b = t.client("b")
        b.auth(scheme, credential)
        b.closed()


@scenario
def auth_is_of_the_connection(t):
    a = t.client()
    a.auth("digest", "u:p")
    a.create(t.root, acl=[(31, "auth", "")])
    a.get(t.root)
    a.drop()
    a.reattach()
    a.get(t.root)
    a.auth("digest", "u:p")
    a.get(t.root)
    # As clients do on reconnecting: everything in one write.
    a.drop()
    a.connection = t.bare()
    a.connection.send_bytes(b"".join(rawzk.buffer(frame) for frame in (
        a.connection.connect_request(session=a.session, password=a.password),
        int32(-4) + int32(rawzk.AUTH) + int32(0) + text("digest") + buffer(b"u:p"),
        int32(1) + int32(rawzk.GET_DATA) + text(t.root) + b"\0")))
    rawzk.Handshake(a.connection.receive_frame())
    for _ in range(2):
        reply = rawzk.Reply(a.connection.receive_frame())
        a.say(f"xid {reply.xid} -> {reply.error}")
