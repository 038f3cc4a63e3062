# SPDX-License-Identifier: Apache-2.0
"""zkCli, the Java client's shell: zkcli.py HOST:PORT prints a session of commands with answers."""
import re
import subprocess
import sys

from servers import CLASS_PATH

ROOT = "/t_zkcli_client"
RUN_SECONDS = 60
# It answers in one known line, so it tells the answers of two commands apart.
MARK, MARK_ANSWER = "version", "ZooKeeper CLI version:"

COMMANDS = """
create ROOT value
create ROOT value
create ROOT/empty
create -e ROOT/e data
create -e ROOT/e/x data
create -s ROOT/s- data
create -s -e ROOT/s- data
create -c ROOT/c data
create -t 60000 ROOT/t data
create -t 0 ROOT/t0 data
create ROOT/missing/x data
create ROOT/x/ data
ls ROOT
ls -s ROOT
ls -R ROOT
ls -w ROOT
ls ROOT/missing
stat ROOT
stat -w ROOT/missing
get ROOT
get -s -w ROOT
get ROOT/missing
set ROOT changed
set -s ROOT changed
set -v 7 ROOT changed
set -v 2 ROOT again
sync ROOT
getEphemerals ROOT
getEphemerals
getAllChildrenNumber ROOT
getAllChildrenNumber ROOT/missing
getAcl ROOT
getAcl -s ROOT/empty
addauth digest u:p
whoami
create ROOT/closed secret auth::cdrwa
getAcl ROOT/closed
setAcl ROOT/closed world:anyone:r
getAcl ROOT/closed
set ROOT/closed x
setAcl ROOT/closed world:anyone:cdrwa
create ROOT/bad x world:nobody:r
create ROOT/readers x ip:127.0.0.1:r,digest:a:b:cdrwa
getAcl ROOT/readers
get ROOT/readers
set ROOT/readers x
addWatch ROOT/w
addWatch -m PERSISTENT ROOT/p
create ROOT/w
create ROOT/w/below
set ROOT/w/below x
create ROOT/p
create ROOT/p/child
delete ROOT/p/child
removewatches ROOT/w
removewatches ROOT/never
set ROOT/w unseen
create ROOT/q
setquota -n 2 ROOT/q
listquota ROOT/q
create ROOT/q/1
create ROOT/q/2
create ROOT/q/3
setquota -N 4 -B 100 ROOT/q
create ROOT/q/4
listquota ROOT/q
setquota -n 9 ROOT/q/1
delquota ROOT/q
delquota -n ROOT/q
listquota ROOT/q
ls /zookeeper
ls /zookeeper/quota/ROOTNAME
delete ROOT
delete -v 9 ROOT/empty
delete -v 0 ROOT/empty
delete ROOT/empty
delete /
deleteall ROOT
deleteall /zookeeper/quota/ROOTNAME
ls ROOT
"""


def normalised(line):
    line = re.sub(r"^([cmp]Zxid) = 0x[0-9a-f]+$", r"\1 = ZXID", line)
    line = re.sub(r"^([cm]time) = .*$", r"\1 = TIME", line)
    line = re.sub(r"^ephemeralOwner = 0x[0-9a-f]{2,}$", "ephemeralOwner = SESSION", line)
    line = re.sub(r" zxid: -?\d+$", "", line)
    match = re.fullmatch(r"\[(.*)\]", line)
    return f"[{', '.join(sorted(match.group(1).split(', ')))}]" if match else line


def session(server):
    commands = [line.replace("ROOTNAME", ROOT[1:]).replace("ROOT", ROOT)
                for line in COMMANDS.strip().splitlines()]
    typed = "".join(f"{MARK}\n{command}\n" for command in commands)
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp",
         CLASS_PATH, "org.apache.zookeeper.ZooKeeperMain", "-timeout", "10000", "-server", server],
        input=f"{typed}{MARK}\nquit\n".encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=RUN_SECONDS)
    answers, events, commands = [], [], commands + ["quit"]
    for line in done.stdout.decode(errors="backslashreplace").splitlines():
        line = line.rstrip()
        if line.startswith(MARK_ANSWER):
            answers.append(f"> {commands.pop(0)}")
        elif line.startswith("WatchedEvent"):
            # Events are printed by a thread of their own, between any two lines.
            if "type:None" not in line:
                events.append(normalised(line))
        elif line not in ("", "WATCHER::") and answers:
            answers.append(normalised(line))
    return answers, events, not commands


def main():
    answers, events, whole = session(sys.argv[1].split(",")[0])
    print("\n".join([*answers, "events:", *events]))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
