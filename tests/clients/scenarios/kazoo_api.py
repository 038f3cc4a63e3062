# SPDX-License-Identifier: Apache-2.0
"""kazoo, as programs use it: its calls, transactions, authentication, reconnecting, recipes."""
import threading
import time

from kazoo import exceptions
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException
from kazoo.protocol.states import EventType
from kazoo.retry import KazooRetry
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl, make_digest_acl_credential

from behaviour import scenario, shown

WAIT = 15.0


def told(t, label, call, show=str):
    """Says what a call answers, or the name of what it raises."""
    try:
        answer = show(call())
    except (KazooException, ValueError, TypeError) as error:
        answer = type(error).__name__
    t.say(f"{label} -> {answer}")


def stat_text(stat):
    return (f"v={stat.version} cv={stat.cversion} av={stat.aversion} "
            f"length={stat.data_length} children={stat.numChildren} "
            f"ephemeral={stat.ephemeralOwner != 0}")


@scenario
def kazoo_calls(t):
    k = t.kazoo()
    r = t.root
    told(t, "create", lambda: k.create(r, b"x"))
    told(t, "create again", lambda: k.create(r))
    told(t, "create makepath", lambda: k.create(f"{r}/a/b/c", makepath=True))
    told(t, "create without parent", lambda: k.create(f"{r}/x/y"))
    told(t, "create ephemeral", lambda: k.create(f"{r}/e", ephemeral=True))
    told(t, "create below it", lambda: k.create(f"{r}/e/x"))
    told(t, "create sequence", lambda: k.create(f"{r}/s-", sequence=True))
    told(t, "create ephemeral sequence",
         lambda: k.create(f"{r}/s-", sequence=True, ephemeral=True))
    told(t, "create include_data", lambda: k.create(f"{r}/i", b"123", include_data=True),
         lambda got: f"{got[0]} {stat_text(got[1])}")
    told(t, "create double slash", lambda: k.create(f"{r}//dd/"))
    told(t, "create control", lambda: k.create(f"{r}/a\x1e"))
    told(t, "create null", lambda: k.create(f"{r}/a\x00"))
    told(t, "create unicode", lambda: k.create(f"{r}/\xe9\u4e2d").encode())
    told(t, "ensure_path", lambda: k.ensure_path(f"{r}/p/q/r"))
    told(t, "ensure_path again", lambda: k.ensure_path(f"{r}/p/q/r"))
    told(t, "exists", lambda: k.exists(r), stat_text)
    told(t, "exists missing", lambda: k.exists(f"{r}/missing"))
    told(t, "get", lambda: k.get(r), lambda got: f"{got[0]} {stat_text(got[1])}")
    told(t, "get missing", lambda: k.get(f"{r}/missing"))
    told(t, "set", lambda: k.set(r, b"y"), stat_text)
    told(t, "set version", lambda: k.set(r, b"y", version=1), stat_text)
    told(t, "set old version", lambda: k.set(r, b"y", version=1))
    told(t, "set missing", lambda: k.set(f"{r}/missing", b""))
    told(t, "get_children", lambda: sorted(k.get_children(r)),
         lambda got: [name.encode() for name in got])
    told(t, "get_children include_data", lambda: k.get_children(f"{r}/a", include_data=True),
         lambda got: f"{got[0]} {stat_text(got[1])}")
    told(t, "get_children missing", lambda: k.get_children(f"{r}/missing"))
    told(t, "sync", lambda: k.sync(r))
    told(t, "sync missing", lambda: k.sync(f"{r}/missing"))
    told(t, "get_acls", lambda: k.get_acls(r), lambda got: f"{got[0]} {stat_text(got[1])}")
    told(t, "set_acls", lambda: k.set_acls(r, OPEN_ACL_UNSAFE), stat_text)
    told(t, "set_acls empty", lambda: k.set_acls(r, []))
    told(t, "set_acls missing", lambda: k.set_acls(f"{r}/missing", OPEN_ACL_UNSAFE))
    told(t, "delete version", lambda: k.delete(f"{r}/i", version=9))
    told(t, "delete with children", lambda: k.delete(f"{r}/a"))
    told(t, "delete", lambda: k.delete(f"{r}/i"))
    told(t, "delete missing", lambda: k.delete(f"{r}/i"))
    told(t, "delete recursive", lambda: k.delete(f"{r}/a", recursive=True))
    told(t, "delete root", lambda: k.delete("/"))
    told(t, "create large", lambda: k.create(f"{r}/large", b"x" * 512 * 1024))
    told(t, "get large", lambda: len(k.get(f"{r}/large")[0]))


@scenario
def kazoo_data(t):
    k = t.kazoo()
    for value in (None, b"", b"x", b"\0\xff"):
        told(t, f"create {value}", lambda v=value: k.create(t.root, v))
        told(t, "get", lambda: k.get(t.root)[0])
        told(t, f"set {value}", lambda v=value: k.set(t.root, v), stat_text)
        told(t, "get", lambda: k.get(t.root)[0])
        k.delete(t.root)


@scenario
def kazoo_too_large(t):
    """2 MiB: the connection is lost, and the client connects again."""
    k = t.kazoo(connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2))
    told(t, "create", lambda: k.create(t.root))
    told(t, "create 2 MiB", lambda: k.create(f"{t.root}/x", b"x" * 2 * 1024 * 1024))
    told(t, "exists", lambda: k.retry(k.exists, f"{t.root}/x"))


@scenario
def kazoo_transactions(t):
    k = t.kazoo()
    r = t.root
    k.create(r)

    def run(label, *calls):
        made = k.transaction()
        for name, *arguments in calls:
            keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
            getattr(made, name)(*arguments, **keywords)
        results = [stat_text(got) if hasattr(got, "version") else type(got).__name__
                   if isinstance(got, Exception) else str(got) for got in made.commit()]
        t.say(f"{label} -> {results}")

    run("create", ("create", f"{r}/a", b"1"), ("create", f"{r}/b"))
    run("all kinds", ("create", f"{r}/c"), ("set_data", f"{r}/a", b"2"), ("check", f"{r}/a", 1),
        ("delete", f"{r}/b"))
    run("sequence", ("create", f"{r}/s-", b"", {"sequence": True, "ephemeral": True}))
    run("fails", ("create", f"{r}/d"), ("delete", f"{r}/missing"), ("create", f"{r}/e"))
    run("bad version", ("check", f"{r}/a", 9), ("create", f"{r}/d"))
    run("bad version last", ("create", f"{r}/d"), ("delete", f"{r}/a", 9))
    run("bad acl", ("create", f"{r}/d", b"", {"acl": [make_acl("world", "nobody", all=True)]}))
    told(t, "children", lambda: sorted(k.get_children(r)))
    told(t, "context", lambda: context(k, r))
    told(t, "children", lambda: sorted(k.get_children(r)))


def context(k, root):
    with k.transaction() as made:
        made.create(f"{root}/with")
        made.delete(f"{root}/with")
    return "committed"


@scenario
def kazoo_authentication(t):
    digest = make_digest_acl("u", "p", all=True)
    t.say(f"credential {make_digest_acl_credential('u', 'p')}")
    a = t.kazoo(auth_data=[("digest", "u:p")])
    b = t.kazoo()
    r = t.root
    told(t, "create", lambda: a.create(r, b"secret", acl=[digest]))
    told(t, "owner gets", lambda: a.get(r)[0])
    told(t, "other gets", lambda: b.get(r)[0])
    told(t, "acls", lambda: a.get_acls(r)[0])
    told(t, "add_auth", lambda: b.add_auth("digest", "u:p"))
    told(t, "other gets", lambda: b.get(r)[0])
    told(t, "auth scheme", lambda: a.create(f"{r}/auth", acl=[make_acl("auth", "", all=True)]))
    told(t, "its acls", lambda: a.get_acls(f"{r}/auth")[0])
    told(t, "null id", lambda: a.create(f"{r}/null", acl=[make_acl("auth", None, all=True)]))
    told(t, "read only", lambda: a.create(f"{r}/ro", b"", acl=[
        make_digest_acl("u", "p", read=True), make_acl("world", "anyone", read=True)]))
    told(t, "set it", lambda: a.set(f"{r}/ro", b"x"))
    told(t, "doubled", lambda: a.create(f"{r}/doubled", acl=[digest, digest]))
    told(t, "its acls", lambda: a.get_acls(f"{r}/doubled")[0])
    # Wrong schemes end the connection.
    c = t.kazoo()
    told(t, "wrong scheme", lambda: c.add_auth("unknown", "x:y"))
    told(t, "afterwards", lambda: c.exists("/"), lambda got: "answered")


def within(condition, seconds=WAIT):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@scenario
def kazoo_watches(t):
    a, b = t.kazoo(), t.kazoo()
    r = t.root
    a.create(r)
    seen = []

    def watcher(event):
        seen.append(f"{event.type} {event.path}")

    def expect(label, count):
        within(lambda: len(seen) >= count, 5)
        b.sync(r)
        t.say(f"{label} -> {sorted(seen)}")
        seen.clear()

    b.get(r, watch=watcher)
    b.get_children(r, watch=watcher)
    b.exists(f"{r}/new", watch=watcher)
    a.set(r, b"1")
    expect("set", 1)
    a.create(f"{r}/new")
    expect("create", 2)
    a.set(r, b"2")
    expect("not armed", 0)
    b.get(f"{r}/new", watch=watcher)
    b.get_children(f"{r}/new", watch=watcher)
    a.delete(f"{r}/new")
    expect("delete", 2)
    assert EventType.DELETED == "DELETED"


@scenario
def kazoo_recipes_watch(t):
    """DataWatch and ChildrenWatch."""
    a, b = t.kazoo(), t.kazoo()
    r = t.root
    a.create(r, b"0")
    data, children = [], []
    b.DataWatch(f"{r}", lambda value, stat: data.append(value))
    b.ChildrenWatch(r, lambda names: children.append(sorted(names)))
    within(lambda: data and children)
    for i in range(1, 6):
        a.set(r, b"%d" % i)
        within(lambda i=i: data[-1] == b"%d" % i)
        a.create(f"{r}/{i}")
        within(lambda i=i: len(children[-1]) == i)
    a.delete(f"{r}/3")
    within(lambda: len(children[-1]) == 4)
    t.say(f"data {data}")
    t.say(f"children {children}")
    missing = []
    b.DataWatch(f"{r}/missing", lambda value, stat: missing.append(value))
    within(lambda: missing)
    a.create(f"{r}/missing", b"there")
    within(lambda: len(missing) == 2)
    a.delete(f"{r}/missing")
    within(lambda: len(missing) == 3)
    t.say(f"missing {missing}")


@scenario
def kazoo_recipes_lock(t):
    """Lock: one at a time, in the order of asking; Semaphore; Election."""
    clients = [t.kazoo() for _ in range(3)]
    k = clients[0]
    order, held, most = [], [], []
    locks = [c.Lock(f"{t.root}/lock", f"client{i}") for i, c in enumerate(clients)]
    locks[0].acquire()
    t.say(f"held by {locks[0].contenders()}")
    told(t, "second without waiting", lambda: locks[1].acquire(blocking=False))

    def work(i):
        with locks[i]:
            order.append(i)
            held.append(i)
            most.append(len(held))
            time.sleep(0.02)
            held.remove(i)

    threads = []
    for i in (1, 2):
        threads.append(threading.Thread(target=work, args=(i,)))
        threads[-1].start()
        within(lambda i=i: len(k.get_children(f"{t.root}/lock")) == i + 1)
    t.say(f"contenders {locks[0].contenders()}")
    locks[0].release()
    for thread in threads:
        thread.join(WAIT)
    t.say(f"order {order}, at once {max(most)}")
    told(t, "left", lambda: k.get_children(f"{t.root}/lock"))
    semaphores = [c.Semaphore(f"{t.root}/sem", max_leases=2) for c in clients]
    told(t, "first", lambda: semaphores[0].acquire())
    told(t, "second", lambda: semaphores[1].acquire())
    told(t, "third without waiting", lambda: semaphores[2].acquire(blocking=False))
    semaphores[0].release()
    told(t, "third", lambda: semaphores[2].acquire(timeout=WAIT))
    leaders = []
    elections = [c.Election(f"{t.root}/election", f"client{i}") for i, c in enumerate(clients)]
    for i, election in enumerate(elections):
        thread = threading.Thread(target=election.run, args=(leaders.append, i))
        thread.start()
        thread.join(WAIT)
    t.say(f"leaders {leaders}")


@scenario
def kazoo_recipes_lock_lost(t):
    """A holder whose session ends lets the next one in."""
    a, b = t.kazoo(timeout=2.0), t.kazoo()
    lock, next_lock = a.Lock(f"{t.root}/lock", "a"), b.Lock(f"{t.root}/lock", "b")
    lock.acquire()
    waiter = threading.Thread(target=next_lock.acquire)
    waiter.start()
    within(lambda: len(b.get_children(f"{t.root}/lock")) == 2)
    a.stop()
    waiter.join(WAIT)
    t.say(f"held by {next_lock.contenders()}, {next_lock.is_acquired}")


@scenario
def kazoo_recipes_more(t):
    """Barrier, DoubleBarrier, Queue, LockingQueue, Counter, Party."""
    a, b = t.kazoo(), t.kazoo()
    r = t.root
    barrier = a.Barrier(f"{r}/barrier")
    told(t, "no barrier", lambda: barrier.wait(1))
    barrier.create()
    told(t, "barrier", lambda: b.Barrier(f"{r}/barrier").wait(0.2))
    threading.Timer(0.1, barrier.remove).start()
    told(t, "removed", lambda: b.Barrier(f"{r}/barrier").wait(WAIT))
    doubles = [c.DoubleBarrier(f"{r}/double", 2) for c in (a, b)]
    entered = []

    def enter(one):
        one.enter()
        entered.append(one.participating)
        one.leave()
        entered.append(one.participating)

    threads = [threading.Thread(target=enter, args=(one,)) for one in doubles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    t.say(f"double barrier {sorted(entered)}")
    queue = a.Queue(f"{r}/queue")
    for value in (b"1", b"2"):
        queue.put(value)
    queue.put(b"urgent", priority=1)
    t.say(f"queue of {len(queue)}: {[b.Queue(f'{r}/queue').get() for _ in range(4)]}")
    locking = a.LockingQueue(f"{r}/locking")
    locking.put_all([b"x", b"y"])
    other = b.LockingQueue(f"{r}/locking")
    told(t, "locking", lambda: (other.get(5), other.holds_lock(), other.consume(), other.get(5),
                                other.release(), len(locking)))
    counters = [c.Counter(f"{r}/counter") for c in (a, b)]
    threads = [threading.Thread(target=lambda c=c: [c.__add__(1) for _ in range(20)])
               for c in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    told(t, "counter", lambda: a.Counter(f"{r}/counter").value)
    parties = [c.Party(f"{r}/party", name) for c, name in ((a, "a"), (b, "b"))]
    for party in parties:
        party.join()
    told(t, "party", lambda: sorted(parties[0]))
    parties[0].leave()
    told(t, "party", lambda: sorted(parties[1]))


@scenario
def kazoo_chroot(t):
    """Paths below a chroot are the client's affair; watches and sequences come out right."""
    plain = t.kazoo()
    plain.create(t.root)
    a = t.kazoo(hosts=t.servers[0] + t.root)
    seen = []
    told(t, "create", lambda: a.create("/x", b"1"))
    told(t, "sequence", lambda: a.create("/s-", sequence=True))
    told(t, "children", lambda: sorted(a.get_children("/")))
    told(t, "plain", lambda: sorted(plain.get_children(t.root)))
    a.get("/x", watch=lambda event: seen.append(f"{event.type} {event.path}"))
    plain.set(f"{t.root}/x", b"2")
    within(lambda: seen)
    t.say(f"seen {seen}")
    told(t, "transaction", lambda: context(a, ""))
    below = t.kazoo(hosts=t.servers[0] + t.root + "/not/there")
    told(t, "missing chroot", lambda: below.create("/x"))
    told(t, "made by ensure_path", lambda: (below.ensure_path("/"), below.create("/x"))[1])


@scenario
def kazoo_session_kept(t):
    """The connection breaks: the same session goes on, with its ephemerals and watches."""
    a, b = t.kazoo(connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2)), t.kazoo()
    a.create(t.root)
    a.create(f"{t.root}/e", ephemeral=True)
    data, states = [], []
    a.DataWatch(t.root, lambda value, stat: data.append(value))
    a.add_listener(states.append)
    before = a.client_id
    a._connection._socket.shutdown(2)
    within(lambda: states[-1:] == [KazooState.CONNECTED])
    t.say(f"states {states}, same session {a.client_id == before}")
    told(t, "exists", lambda: a.exists(f"{t.root}/e"), stat_text)
    b.set(t.root, b"after")
    within(lambda: data[-1] == b"after")
    t.say(f"data {data}")


@scenario
def kazoo_session_lost(t):
    """The session is closed behind the client's back: LOST, then a new one."""
    a = t.kazoo(timeout=2.0, connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2))
    b = t.kazoo()
    a.create(t.root)
    a.create(f"{t.root}/e", ephemeral=True)
    states = []
    a.add_listener(states.append)
    before = a.client_id
    twin = KazooClient(hosts=t.servers[0], client_id=before, timeout=2.0)
    t.at_end.append(twin.close)
    twin.start(timeout=WAIT)
    twin.stop()
    within(lambda: states[-1:] == [KazooState.CONNECTED] and KazooState.LOST in states)
    t.say(f"lost {KazooState.LOST in states}, connected again {a.connected}, "
          f"other session {a.client_id[0] != before[0]}")
    told(t, "ephemeral", lambda: b.exists(f"{t.root}/e"))


@scenario
def kazoo_session_reused(t):
    """kazoo takes over id and password of a session that another client began."""
    a = t.client()
    a.create(t.root, b"x")
    a.create(f"{t.root}/e", flags=1)
    b = t.kazoo(client_id=(a.session, a.password))
    t.say(f"same session {b.client_id[0] == a.session}")
    told(t, "get", lambda: b.get(t.root)[0])
    told(t, "stop", b.stop)
    c = t.kazoo(client_id=(a.session, a.password))
    t.say(f"afterwards another session {c.client_id[0] != a.session}")
    told(t, "ephemeral", lambda: c.exists(f"{t.root}/e"))
    d = t.client("d")
    e = t.kazoo(client_id=(d.session, b"x" * 16))
    t.say(f"wrong password: another session {e.client_id[0] != d.session}")


@scenario
def kazoo_asynchronous(t):
    """Many requests at once: answers to each, in order."""
    k = t.kazoo()
    k.create(t.root)
    made = [k.create_async(f"{t.root}/{i:03}", b"%d" % i) for i in range(500)]
    read = [k.get_async(f"{t.root}/{i:03}") for i in range(500)]
    t.say(f"created {[m.get(timeout=WAIT) for m in made] == [f'{t.root}/{i:03}' for i in range(500)]}")
    t.say(f"read {[m.get(timeout=WAIT)[0] for m in read] == [b'%d' % i for i in range(500)]}")
    told(t, "missing", lambda: k.get_async(f"{t.root}/missing").get(timeout=WAIT))
    told(t, "delete", lambda: k.delete(t.root, recursive=True))


@scenario
def kazoo_server_says(t):
    """What kazoo learns by four-letter words."""
    k = t.kazoo()
    version = k.server_version()
    t.say(f"version has {len(version)} numbers, is at least 3.5 {version >= (3, 5)}")
    t.say(f"ruok {shown(k.command(b'ruok'))}, isro {shown(k.command(b'isro'))}")
    t.say(f"Mode {b'Mode: ' in k.command(b'srvr').encode()}")
    assert exceptions.NoNodeError.code == -101
