# SPDX-License-Identifier: Apache-2.0
"""multi and multiRead."""
import rawzk
from behaviour import (m_check, m_children, m_create, m_create_ttl, m_delete, m_get, m_set,
                       scenario)
from rawzk import int32, text


@scenario
def multi_succeeds(t):
    a = t.client()
    a.create(t.root)
    r = t.root
    a.multi()
    a.multi(m_create(f"{r}/a"), m_create(f"{r}/a/b", b"x"), m_set(f"{r}/a", b"y"),
            m_check(f"{r}/a", 1), m_create(f"{r}/s-", flags=2), m_create(f"{r}/s-", flags=2))
    a.exists(f"{r}/a")
    a.exists(f"{r}/a/b")
    a.exists(r)
    a.multi(m_delete(f"{r}/a/b"), m_delete(f"{r}/a"), m_create(f"{r}/a"))
    a.exists(f"{r}/a")
    a.exists(r)
    a.multi(m_create(f"{r}/e", flags=1), m_set(f"{r}/e", b"1", 0), m_set(f"{r}/e", b"2", 1),
            m_set(f"{r}/e", b"3", -1))
    a.get(f"{r}/e")
    a.multi(m_create(f"{r}/here"), m_delete(f"{r}/here"))
    a.exists(f"{r}/here")
    a.multi(m_check(r, -1), m_check(f"{r}/a", 0))
    a.multi(m_create_ttl(f"{r}/t", 60000), m_create_ttl(f"{r}/t-", 60000, 6))


@scenario
def multi_create_answers(t):
    """How the results of the kinds of create are framed."""
    a = t.client()
    a.create(t.root)
    a.multi(m_create(f"{t.root}/1"))
    a.multi(m_create(f"{t.root}/15", operation=rawzk.CREATE2))
    a.multi(m_create(f"{t.root}/19", operation=rawzk.CREATE_CONTAINER, flags=4))


@scenario
def multi_stats_are_of_their_steps(t):
    """Not of the end of the multi, where later operations have changed or deleted what was set."""
    a = t.client()
    r = t.root
    a.create(r)
    a.multi(m_set(r, b"ab"), m_set(r, b"abcd"), m_create(f"{r}/c"))
    a.multi(m_delete(f"{r}/c"), m_set(r, b"abc"), m_delete(r))


@scenario
def multi_of_thousands(t):
    """As many small operations as a frame holds."""
    a = t.client()
    r = t.root
    a.create(r)
    creates = [m_create(f"{r}/{i:05d}") for i in range(12000)]
    body = b"".join(int32(n) + b"\0" + int32(-1) + record for n, record, _ in creates)
    reply = a.quietly(rawzk.MULTI, body + int32(-1) + b"\1" + int32(-1))
    a.say(f"multi of {len(creates)} creates -> {reply.error}")
    a.delete(f"{r}/11999")


@scenario
def multi_fails(t):
    a = t.client()
    r = t.root
    a.create(r)
    a.create(f"{r}/n")
    a.create(f"{r}/n/c")
    made = m_create(f"{r}/made")
    for failing in (m_create(f"{r}/n"), m_create(f"{r}/missing/x"), m_create(f"{r}/x", acl=[]),
                    m_create(f"{r}/x", flags=9), m_create("relative"), m_create(f"{r}/x/"),
                    m_delete(f"{r}/missing"), m_delete(f"{r}/n"), m_delete(f"{r}/n/c", 4),
                    m_delete("/"), m_set(f"{r}/missing", b""), m_set(f"{r}/n", b"", 4),
                    m_check(f"{r}/missing", 0), m_check(f"{r}/n", 4), m_check("relative", 1),
                    m_create_ttl(f"{r}/x", 0)):
        a.multi(made, failing, m_create(f"{r}/never"), m_delete(f"{r}/n/c"))
        a.get_children(r)
    a.multi(failing)
    a.multi(m_check(f"{r}/missing", -1))
    a.multi(m_create(f"{r}/twice"), m_create(f"{r}/twice"))
    a.multi(m_create(f"{r}/e", flags=1), m_create(f"{r}/e/c"))
    a.exists(r)


@scenario
def multi_sequences(t):
    """A failed multi takes no number of a sequence."""
    a = t.client()
    r = t.root
    a.create(r)
    a.create(f"{r}/s-", flags=2)
    a.multi(m_create(f"{r}/s-", flags=2), m_create(f"{r}/s-", flags=2), m_check(r, 99))
    a.create(f"{r}/s-", flags=2)
    a.multi(m_create(f"{r}/p"), m_create(f"{r}/p/s-", flags=2), m_create(f"{r}/p/s-", flags=3),
            m_delete(f"{r}/p/s-0000000000"), m_create(f"{r}/p/s-", flags=2))
    a.get_children2(f"{r}/p")


@scenario
def multi_refused(t):
    """What may not be in a multi refuses it as a whole."""
    a = t.client()
    a.create(t.root)
    acl = (rawzk.SET_ACL, text(t.root) + rawzk.acl(rawzk.WORLD_ALL) + int32(-1), "setACL")
    nested = (rawzk.MULTI, int32(-1) + b"\1" + int32(-1), "multi")
    for content in (acl, m_get(t.root), m_children(t.root), nested,
                    (rawzk.EXISTS, text(t.root) + b"\0", "exists"), (888, b"", "888"),
                    (rawzk.SYNC, text(t.root), "sync"), (0, b"", "0"),
                    (rawzk.CLOSE_SESSION, b"", "closeSession")):
        a.multi(m_create(f"{t.root}/x"), content)
    a.multi_read(m_get(t.root), m_create(f"{t.root}/x"))
    a.get_children(t.root)
    # Without its end, and with other marks in its headers.
    whole = int32(rawzk.CREATE) + b"\0" + int32(-1) + m_create(f"{t.root}/cut")[1]
    a.request("multi without its end", rawzk.MULTI, whole, a.results)
    a.request("multi of a half", rawzk.MULTI, whole[:-6], a.results)
    a.request("multi of nothing", rawzk.MULTI, b"", a.results)
    a.request("multi whose end says done only", rawzk.MULTI,
              whole + int32(0) + b"\1" + int32(0), a.results)
    a.get_children(t.root)


@scenario
def multi_reads(t):
    a = t.client()
    r = t.root
    a.auth("digest", "u:p")
    a.create(r, b"data")
    a.create(f"{r}/a", None)
    a.create(f"{r}/closed", acl=[(31, "auth", "")])
    a.multi_read()
    a.multi_read(m_get(r), m_children(r), m_get(f"{r}/a"), m_children(f"{r}/a"))
    a.multi_read(m_get(f"{r}/missing"), m_get(r), m_children(f"{r}/missing"), m_get("relative"))
    b = t.client("b")
    b.multi_read(m_get(f"{r}/closed"), m_children(f"{r}/closed"), m_get(r))


@scenario
def multi_permissions(t):
    a = t.client()
    r = t.root
    a.auth("digest", "u:p")
    a.create(r)
    a.create(f"{r}/closed", acl=[(31, "auth", "")])
    a.create(f"{r}/closed/c")
    b = t.client("b")
    for content in (m_create(f"{r}/closed/x"), m_delete(f"{r}/closed/c"),
                    m_set(f"{r}/closed", b""), m_check(f"{r}/closed", 0)):
        b.multi(m_create(f"{r}/x"), content)
    b.get_children(r)
    a.multi(m_create(f"{r}/own", acl=[(31, "auth", "")]), m_create(f"{r}/own/c"))
    a.get_acl(f"{r}/own")
    b.multi(m_create(f"{r}/own/d"))
    b.multi(m_create(f"{r}/mine", acl=[(1, "world", "anyone")]), m_create(f"{r}/mine/x"))


@scenario
def multi_watches(t):
    """Events come in the order of the operations, a one-shot watch once, before the answer."""
    a = t.client()
    r = t.root
    a.create(r)
    a.create(f"{r}/n")
    b = t.client("b")
    for c in (a, b):
        c.get(f"{r}/n", watch=True)
        c.get_children(r, watch=True)
        c.exists(f"{r}/new", watch=True)
    a.multi(m_set(f"{r}/n", b"1"), m_create(f"{r}/new"), m_set(f"{r}/n", b"2"),
            m_create(f"{r}/other"), m_delete(f"{r}/new"))
    b.fence()
    for c in (a, b):
        c.get(f"{r}/n", watch=True)
        c.get_children(r, watch=True)
    a.multi(m_set(f"{r}/n", b"3"), m_check(r, 99))
    b.fence()
    a.multi(m_create(f"{r}/n/c"), m_delete(f"{r}/n/c"), m_delete(f"{r}/n"))
    b.fence()


@scenario
def multi_large(t):
    a = t.client()
    a.create(t.root)
    many = [m_create(f"{t.root}/{i:04}") for i in range(1000)]
    body = b"".join(int32(n) + b"\0" + int32(-1) + record for n, record, _ in many)
    reply = a.quietly(rawzk.MULTI, body + int32(-1) + b"\1" + int32(-1))
    a.say(f"{a.results(reply.body).count(';') + 1} results")
    reply = a.quietly(rawzk.GET_CHILDREN, text(t.root) + b"\0")
    a.say(f"{len(reply.body.vector(reply.body.text))} children")
    a.exists(t.root)
    half = m_create(f"{t.root}/a", b"x" * 400000), m_create(f"{t.root}/b", b"x" * 400000)
    a.multi(*half)
    a.get(f"{t.root}/b")
