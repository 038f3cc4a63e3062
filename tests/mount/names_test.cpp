// SPDX-License-Identifier: Apache-2.0
// Directories, names, rename, whole trees.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Names : public MountTest {};

TEST_F(Names, MkdirAndRmdir) {
  sh("mkdir d && [ -d d ] && ! mkdir d 2>/dev/null && rmdir d && [ ! -e d ]");
}

TEST_F(Names, RmdirOfADirectoryWithChildrenFails) {
  sh("mkdir d; touch d/f; ! rmdir d 2>$T/e || exit; grep -q 'not empty' $T/e; [ -f d/f ]");
}

TEST_F(Names, RmdirKeepsADirectoryWithData) {
  sh("mkdir d; echo v > d/.@data; ! rmdir d 2>$T/e || exit; grep -q 'not empty' $T/e; rm d/.@data; "
     "rmdir "
     "d");
}

TEST_F(Names, UnlinkOfADirectoryFails) {
  sh("mkdir d; python3 -c 'import os\ntry: os.unlink(\"d\")\nexcept IsADirectoryError: print(1)' | "
     "grep 1");
}

TEST_F(Names, LinkCountsAreThoseOfExt4) {
  EXPECT_EQ(sh("mkdir -p d/a d/b; touch d/f; stat -c %h d d/f"), "4\n1\n");
}

TEST_F(Names, RenameReplacesAndKeepsTheTargetsIdentity) {
  EXPECT_EQ(sh("echo a > a; echo b > b; stat -c %i b > $T/i; mv a b; cat b; [ ! -e a ];"
               "[ $(stat -c %i b) = $(cat $T/i) ] && echo same"),
            "a\nsame\n");
  EXPECT_EQ(m().door().tree().find_path("/b")->stat.version, 1);
}

TEST_F(Names, RenameNoReplaceRefuses) {
  sh("echo a > a; echo b > b; mv -n a b; [ $(cat b) = b ] && [ $(cat a) = a ];"
     "python3 -c 'import ctypes, errno\nc = ctypes.CDLL(None, use_errno=True)\n"
     "assert c.renameat2(-100, b\"a\", -100, b\"b\", 1) == -1\n"
     "assert ctypes.get_errno() == errno.EEXIST'");
}

TEST_F(Names, RenameExchangeSwaps) {
  sh("echo a > a; mkdir b; touch b/x; python3 -c 'import ctypes\n"
     "assert ctypes.CDLL(None).renameat2(-100, b\"a\", -100, b\"b\", 2) == 0';"
     "[ $(cat b) = a ] && [ -f a/x ]");
}

TEST_F(Names, RenameMovesASubtree) {
  sh("mkdir -p a/b/c d; echo x > a/b/c/f; mv a d/e; [ $(cat d/e/b/c/f) = x ] && [ ! -e a ]");
}

TEST_F(Names, RenameIntoItselfFails) {
  sh("mkdir -p a/b; ! mv a a/b/c 2>/dev/null || exit; [ -d a/b ]");
}

TEST_F(Names, Symlinks) {
  EXPECT_EQ(sh("echo x > f; ln -s f l; readlink l; cat l; stat -c %F l; rm l; [ -f f ]"),
            "f\nx\nsymbolic link\n");
}

TEST_F(Names, DevicesAndHardLinksAreRefused) {
  sh("touch f; ! mkfifo p 2>$T/e || exit; grep -q 'not permitted' $T/e;"
     "! ln f g 2>$T/e || exit; grep -q 'not permitted' $T/e; ! mknod c c 1 3 2>$T/e");
}

TEST_F(Names, TooLongANameIsRefused) {
  sh("n=$(printf '%0255d' 0); touch $n && [ -f $n ] && rm $n;"
     "! touch ${n}0 2>$T/e; grep -q 'too long' $T/e");
}

TEST_F(Names, NotUtf8IsRefused) {
  sh("! touch $'a\\xff' 2>$T/e; grep -q 'Invalid argument' $T/e");
}

TEST_F(Names, InodeNumbersStay) {
  sh("touch f; a=$(stat -c %i f); echo x > f; mv f g; [ $(stat -c %i g) = $a ];"
     "[ $(ls -i g | cut -d' ' -f1) = $a ]");
}

TEST_F(Names, ListingIsStableWhileEntriesGo) {
  sh("mkdir d; for i in $(seq 500); do : > d/f$i; done; python3 - <<'P'\n"
     "import os\n"
     "seen = []\n"
     "with os.scandir('d') as it:\n"
     "    for e in it:\n"
     "        seen.append(e.name)\n"
     "        if len(seen) % 2: os.unlink('d/' + e.name)\n"
     "assert len(seen) == len(set(seen)) == 500, len(seen)\n"
     "assert len(os.listdir('d')) == 250\n"
     "P");
}

TEST_F(Names, RewindShowsTheNewState) {
  sh("python3 - <<'P'\n"
     "import ctypes\n"
     "c = ctypes.CDLL(None)\n"
     "c.opendir.restype = c.readdir.restype = ctypes.c_void_p\n"
     "d = ctypes.c_void_p(c.opendir(b'.'))\n"
     "def count():\n"
     "    n = 0\n"
     "    while c.readdir(d): n += 1\n"
     "    return n\n"
     "assert count() == 2\n"
     "open('f', 'w').close()\n"
     "assert count() == 0\n"
     "c.rewinddir(d)\n"
     "assert count() == 3\n"
     "P");
}

TEST_F(Names, RemovesThousands) {
  sh("mkdir d; python3 -c '\nfor i in range(3000): open(\"d/f%d\" % i, \"w\").close()';"
     "[ $(ls d | wc -l) = 3000 ]; rm -r d; [ ! -e d ]");
}

constexpr const char* kTree =
    "mkdir -p $T/t/a/b $T/t/c; echo 1 > $T/t/f; echo 2 > $T/t/a/g; : > $T/t/a/b/empty;"
    "ln -s ../f $T/t/c/l; chmod 600 $T/t/f; touch -d 2001-02-03 $T/t/a/g;";

TEST_F(Names, CopyOfATreeIsTheTree) {
  sh(std::string(kTree) + "cp -r $T/t t && diff -r $T/t t && cp -r t $T/u && diff -r $T/t $T/u");
}

TEST_F(Names, ArchiveCopyKeepsTimesAndModes) {
  sh(std::string(kTree) +
     "cp -a $T/t t && [ $(stat -c %Y t/a/g) = $(stat -c %Y $T/t/a/g) ];"
     "[ $(stat -c %a t/f) = 600 ] && diff -r $T/t t");
}

TEST_F(Names, TarThereAndBackAgain) {
  sh(std::string(kTree) +
     "tar -C $T -cf - t | tar xf - && diff -r $T/t t;"
     "mkdir $T/back; tar cf - t | tar -C $T/back -xf - && diff -r $T/t $T/back/t;"
     "[ $(stat -c %Y t/a/g) = $(stat -c %Y $T/t/a/g) ]");
}

TEST_F(Names, RsyncsFinalRenameIsAtomic) {
  sh("echo old > f; echo new > .f.AbC; mv .f.AbC f; [ $(cat f) = new ] && [ $(ls -A | wc -l) = 1 "
     "]");
}

TEST_F(Names, ModesAndOwners) {
  EXPECT_EQ(sh("umask 022; touch f; mkdir d; stat -c %a f d; chmod 640 f; chown 7:8 f;"
               "stat -c '%a %u %g' f; chmod +x f; stat -c %a f"),
            "644\n755\n640 7 8\n750\n");
}

TEST_F(Names, ForeignNamesThatWouldMeanSomethingAreEscaped) {
  m().door().inject_foreign(server::CreateRequest{
      .target = {{}, "/job@seq"}, .data = Blob("x"), .acl = tree::open_acl()});
  EXPECT_EQ(sh("ls; cat job%40seq; [ ! -e job@seq ]; rm job%40seq; ls"), "job%40seq\nx");
}

TEST_F(Names, ForeignLeafThatGetsAChildBecomesADirectory) {
  m().door().inject_foreign(
      server::CreateRequest{.target = {{}, "/n"}, .data = Blob("x"), .acl = tree::open_acl()});
  sh("[ -f n ]");
  m().door().inject_foreign(
      server::CreateRequest{.target = {{}, "/n/c"}, .data = Blob("y"), .acl = tree::open_acl()});
  EXPECT_EQ(sh("[ -d n ]; cat n/c n/.@data"), "yx");
}

// ZooKeeper's rules: no control characters, nothing beyond the basic plane.
TEST_F(Names, WhatZooKeeperRefusesInAPathIsInvalid) {
  sh("for n in $'\\x01' $'\\x7f' $'\\xed\\xa0\\x80' $'\\xf0\\x9f\\x98\\x80' $'\\xef\\xbf\\xbf'; do"
     " ! touch \"$n\" 2>$T/e || exit; grep -q 'Invalid argument' $T/e; done;"
     "touch 'a b' $'\\xc3\\xa4\\xe2\\x82\\xac' '*'; [ $(ls | wc -l) = 3 ]");
}

TEST_F(Names, ANameMadeAgainHasAnotherInodeNumber) {
  sh("touch f; a=$(stat -c %i f); rm f; touch f; [ $(stat -c %i f) != $a ]");
}

TEST_F(Names, SizeAndTimesAreThoseOfTheZnode) {
  sh("printf 12345 > f; [ \"$(stat -c '%s %b' f)\" = '5 1' ];"
     "[ $(stat -c %Y f) = $(($(getfattr --only-values -n user.zk.mtime f) / 1000)) ];"
     "touch -d 2001-01-01 f; c=$(stat -c %.9Z f); chmod 600 f; [ $(stat -c %.9Z f) != $c ];"
     "[ $(stat -c %y f | cut -c 1-4) = 2001 ]; [ $(stat -c %Z f) -gt $(stat -c %Y f) ]");
}

TEST_F(Names, OpenDescriptorsOutliveTheTurnIntoADirectory) {
  EXPECT_EQ(sh("echo v > f; exec 3<f 4>>f; mkdir f@dir/c; [ -d f ]; cat <&3; echo w >&4;"
               "exec 4>&-; cat f/.@data"),
            "v\nv\nw\n");
}

TEST_F(Names, AForeignNodeThatHadChildrenStaysADirectory) {
  for (const char* path : {"/n", "/n/c"}) {
    m().door().inject_foreign(
        server::CreateRequest{.target = {{}, path}, .data = {}, .acl = tree::open_acl()});
  }
  sh("rm n/c; [ -d n ]");
}

TEST_F(Names, SocketsAreRefused) {
  sh("python3 -c 'import socket\ntry: socket.socket(socket.AF_UNIX).bind(\"s\")\n"
     "except PermissionError: print(1)' | grep 1; [ -z \"$(ls)\" ]");
}

TEST_F(Names, ZooKeepersOwnIsThereAndNotListed) {
  sh("[ -d zookeeper/quota ] && [ -f zookeeper/config ] && [ $(stat -c %h .) = 2 ];"
     "[ -z \"$(ls -A)\" ]; mkdir d; [ \"$(ls -A; find . -type d)\" = $'d\\n.\\n./d' ];"
     "[ \"$(ls -A zookeeper)\" = $'config\\nquota' ]; mkdir -p zookeeper/quota/a/b;"
     "[ $(stat -c %h .) = 3 ]; ! mkdir zookeeper 2>$T/e || exit; grep -q 'File exists' $T/e");
}

TEST_F(Names, ZooKeepersOwnCannotBeRemovedMovedOrReplaced) {
  sh("no() { ! \"$@\" 2>$T/e || exit; grep -q 'not permitted' $T/e || { cat $T/e; exit 1; }; }; "
     "mkdir d;"
     "no rmdir zookeeper/quota; no rm -r zookeeper; no rm -f zookeeper/config; no mv zookeeper x;"
     "no mv -T d zookeeper/quota; echo x > f; no mv f zookeeper/config;"
     "[ -d zookeeper/quota ] && [ -e zookeeper/config ]");
}

TEST_F(Names, DfCountsZnodesAndTheirData) {
  sh("touch a b c; [ $(df --output=iused . | tail -1) = 4 ];"
     "head -c 409600 /dev/zero > a; [ $(df -k --output=used . | tail -1) = 400 ]");
}

}  // namespace
}  // namespace zkfs::test
