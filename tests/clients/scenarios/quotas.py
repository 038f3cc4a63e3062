# SPDX-License-Identifier: Apache-2.0
"""Quotas, as zkCli's setquota makes them; the servers run with enforceQuota=true.

On a server alone: a leader of ZooKeeper checks a write against what it has applied itself, which
may be less than what a follower has answered.
"""
from behaviour import m_create, m_set, scenario

QUOTA = "/zookeeper/quota"


def set_quota(client, path, limits):
    """The znodes that setquota makes, unsaid where they exist."""
    parent = QUOTA
    for part in path.strip("/").split("/"):
        parent += "/" + part
        client.create(parent, None)
    client.create(f"{parent}/zookeeper_limits", limits)
    client.create(f"{parent}/zookeeper_stats", b"count=0,bytes=0")


@scenario(alone=True)
def quota_counts(t):
    """zookeeper_stats follows the subtree; its own stat does not change."""
    a = t.client()
    r = t.root
    a.create(r, b"12345")
    a.create(f"{r}/before", b"123")
    set_quota(a, r, b"count=-1,bytes=-1")
    stats = f"{QUOTA}{r}/zookeeper_stats"
    a.get(stats)
    a.create(f"{r}/a", b"1234567")
    a.get(stats)
    a.create(f"{r}/a/b", None)
    a.get(stats)
    a.set(f"{r}/a", b"1")
    a.get(stats)
    a.set(r, b"")
    a.get(stats)
    a.set(f"{r}/a/b", None)
    a.delete(f"{r}/a/b")
    a.get(stats)
    a.create(f"{r}/e", b"xx", flags=1)
    a.multi(m_create(f"{r}/m", b"123"), m_create(f"{r}/m/n", b"4"), m_set(f"{r}/m", b"12345"))
    a.get(stats)
    b = t.client("b")
    b.create(f"{r}/eb", b"xxx", flags=1)
    a.get(stats)
    b.close_session()
    b.closed()
    a.get(stats)
    a.delete(f"{r}/a")
    a.get(stats)
    a.create("/t_quota_countsother", b"not below it")
    a.delete("/t_quota_countsother")
    a.get(stats)


@scenario(alone=True)
def quota_soft(t):
    """Soft limits only warn."""
    a = t.client()
    r = t.root
    a.create(r)
    set_quota(a, r, b"count=1,bytes=1")
    a.create(f"{r}/a", b"12345")
    a.create(f"{r}/b")
    a.set(f"{r}/b", b"12345")
    a.get(f"{QUOTA}{r}/zookeeper_limits")
    a.get(f"{QUOTA}{r}/zookeeper_stats")


@scenario(alone=True)
def quota_hard_count(t):
    a = t.client()
    r = t.root
    a.create(r)
    set_quota(a, r, b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3")
    a.get(f"{QUOTA}{r}/zookeeper_limits")
    a.create(f"{r}/1")
    a.create(f"{r}/1/2", b"1234567890" * 10)
    a.create(f"{r}/3")
    a.create(f"{r}/1/3")
    a.create(f"{r}/1")
    a.create(f"{r}/missing/3")
    a.create(f"{r}/3", acl=[])
    a.create(f"{r}/e", flags=1)
    a.create(f"{r}/s-", flags=2)
    a.set(f"{r}/1", b"x")
    a.delete(f"{r}/1/2")
    a.create(f"{r}/3")
    a.multi(m_create(f"{r}/4"))
    a.get(f"{QUOTA}{r}/zookeeper_stats")


@scenario(alone=True)
def quota_hard_bytes(t):
    a = t.client()
    r = t.root
    a.create(r)
    set_quota(a, r, b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1")
    a.create(f"{r}/1", b"12345")
    a.create(f"{r}/2", b"123456")
    a.create(f"{r}/2", b"12345")
    a.create(f"{r}/3", b"1")
    a.create(f"{r}/3", b"")
    a.set(f"{r}/1", b"123456")
    a.set(f"{r}/1", b"1234567", 5)
    a.set(f"{r}/1", b"1234")
    a.set(f"{r}/2", b"123456")
    a.set(r, b"1")
    a.multi(m_set(f"{r}/2", b"1234567"))
    a.delete(f"{r}/1")
    a.set(f"{r}/2", b"1234567890")
    a.get(f"{QUOTA}{r}/zookeeper_stats")


@scenario(alone=True)
def quota_changed_and_removed(t):
    a = t.client()
    r = t.root
    a.create(r)
    set_quota(a, r, b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1")
    a.create(f"{r}/1")
    a.set(f"{QUOTA}{r}/zookeeper_limits",
          b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
    a.create(f"{r}/1")
    a.create(f"{r}/2")
    a.delete(f"{QUOTA}{r}/zookeeper_limits")
    a.delete(f"{QUOTA}{r}/zookeeper_stats")
    a.delete(f"{QUOTA}{r}")
    a.create(f"{r}/2")


@scenario(alone=True)
def quota_nested(t):
    """The quota of the longest path counts and limits."""
    a = t.client()
    r = t.root
    a.create(r)
    a.create(f"{r}/in")
    set_quota(a, f"{r}/in", b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
    a.create(f"{r}/1")
    a.create(f"{r}/2")
    a.create(f"{r}/in/1")
    a.create(f"{r}/in/2")
    a.create(f"{r}/inside")
    a.get(f"{QUOTA}{r}/in/zookeeper_stats")


@scenario(alone=True)
def quota_texts(t):
    """Limits in other words: what is understood, what limits nothing."""
    a = t.client()
    for number, limits in enumerate([
            b"countHardLimit=1", b"count=-1,bytes=-1,countHardLimit=1",
            b"count=-1;bytes=-1;countHardLimit=1", b"count=,bytes=,countHardLimit=1",
            b"countHardLimit=", b"byteHardLimit=0", b"count=-1,bytes=-1=;countHardLimit=1=x"]):
        r = f"{t.root}{number}"
        a.remove_tree(r)
        a.remove_tree(QUOTA + r)
        a.create(r, b"")
        set_quota(a, r, limits)
        a.say(limits.decode())
        a.create(f"{r}/1", b"x")
        a.remove_tree(r)
        a.remove_tree(QUOTA + r)
