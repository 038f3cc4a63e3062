// SPDX-License-Identifier: Apache-2.0
// Programs that know nothing of zkfs, with the idioms they are known for. zkfs(7), PROGRAMS, tells
// users of them.
#include <cstdlib>

#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Programs : public MountTest {
 protected:
  // Runs a script that needs a tool, or skips.
  void with_tool(const std::string& tool, const std::string& script) {
    if (std::system(("command -v " + tool + " > /dev/null").c_str()) != 0) {
      GTEST_SKIP() << tool << " is not installed";
    }
    // HOME: they look for their configuration there.
    sh("export HOME=$T; set -e; list() { cd $1; find . -printf '%p %m %l %TY\\n' | sort; };"
       " same() { diff -r --no-dereference $1 $2; cmp <(list $1) <(list $2); }\n" +
       script);
  }

  // A tree outside.
  static std::string tree() {
    return "mkdir -p $T/src/d/e; echo 1 > $T/src/f; head -c 3000 /dev/urandom > $T/src/d/bin;"
           ": > $T/src/d/e/empty; ln -s ../f $T/src/d/l; chmod 640 $T/src/f; chmod +x "
           "$T/src/d/bin; touch -d 2002-02-02 $T/src/d/bin;";
  }
};

TEST_F(Programs, RsyncCarriesATreeInAndOutAndThenFindsNothingToDo) {
  with_tool("rsync", tree() +
                         "rsync -a $T/src/ rs/; same $T/src rs;"
                         "[ $(rsync -ain $T/src/ rs/ | wc -l) = 0 ]; echo new > rs/f;"
                         "rsync -ac --inplace $T/src/ rs/; same $T/src rs;"
                         "rsync -a --delete rs/ $T/out/; same rs $T/out");
}

TEST_F(Programs, CopiesWithinTheMountAndMovesToAndFromItKeepEverything) {
  with_tool("cp", tree() +
                      "cp -a $T/src a; cp -a a b; same $T/src b; mv b $T/m; same $T/src $T/m;"
                      "mv $T/m c 2> $T/e; same $T/src c; install -m 750 -D a/f in/x/y;"
                      "[ $(stat -c %a in/x/y) = 750 ]; cp -u a/f in/; cp -b a/f in/; [ -e in/f~ ]");
}

TEST_F(Programs, GitWorksInADirectoryOfTheMount) {
  with_tool("git",
            "git config --global user.email a@b; git config --global user.name n;"
            "git init -q repo; cd repo; echo a > f; git add f; git commit -qm one; echo b >> f;"
            "git commit -qam two; git checkout -q -b other; git mv f g; git commit -qm three;"
            "git checkout -q -; git merge -q other; git gc -q; git fsck; cd ..;"
            "git clone -q repo copy; cat copy/g; [ -z \"$(git -C copy status --short)\" ]");
}

TEST_F(Programs, VimWritesAFileAndTheDataOfADirectory) {
  with_tool("vim",
            "mkdir d; echo a > f; echo a > d/.@data; for f in f d/.@data; do"
            " vim -u NONE -es -c s/a/b/ -c wq $f; [ $(cat $f) = b ];"
            " vim -u NONE -es -c 'set backup' -c s/b/c/ -c wq $f; [ $(cat $f) = c ]; done");
}

TEST_F(Programs, PerlEditsInPlaceAndUpdatesWithinAFile) {
  with_tool("perl",
            "echo X > f; perl -pi -e s/X/y/ f; perl -i.orig -pe s/y/z/ f; [ $(cat f f.orig | tr "
            "-d '\\n') = zy ];"
            "perl -e 'open(F, \"+<f\") or die; print F \"Q\"; close F or die'; [ $(cat f) = Q ]");
}

TEST_F(Programs, PythonsFileIdiomsWork) {
  with_tool("python3",
            "python3 - <<'P'\n"
            "import dbm.dumb, fileinput, os, shutil, tempfile, zipfile\n"
            "d = dbm.dumb.open('db', 'c'); d['k'] = 'v'; d.close()\n"
            "assert dbm.dumb.open('db')['k'] == b'v'\n"
            "fd, name = tempfile.mkstemp(dir='.'); os.write(fd, b'z'); os.close(fd)\n"
            "os.replace(name, 'r'); assert open('r').read() == 'z'\n"
            "with zipfile.ZipFile('z.zip', 'w') as z: z.writestr('a', 'b')\n"
            "assert zipfile.ZipFile('z.zip').read('a') == b'b'\n"
            "open('a', 'w').write('1\\n2\\n')\n"
            "for line in fileinput.input('a', inplace=True): print(line.strip() * 2)\n"
            "assert open('a').read() == '11\\n22\\n'\n"
            "shutil.copytree('.', os.environ['T'] + '/out'); shutil.move('a', 'b')\n"
            "with open('w', 'wb+') as f:\n"
            "    f.write(b'abc'); f.seek(1); f.write(b'X'); f.seek(0); assert f.read() == b'aXc'\n"
            "P");
}

TEST_F(Programs, DdAndTruncateWriteWhereTheyAreTold) {
  with_tool("dd",
            "dd if=/dev/zero of=f bs=1k count=10 status=none; printf x | dd of=f conv=notrunc "
            "status=none; [ $(stat -c %s f) = 10240 ]; dd if=f of=g conv=fsync,sparse status=none;"
            "cmp f g; truncate -s +10 f; [ $(stat -c %s f) = 10250 ]; truncate -c -s 1 no;"
            "[ ! -e no ]; dd if=/dev/zero of=h bs=1 seek=100 count=1 status=none;"
            "[ $(stat -c %s h) = 101 ]");
}

TEST_F(Programs, ALinkIsReplacedAtomically) {
  with_tool("ln",
            "mkdir v1 v2; ln -s v1 cur; ln -sfn v2 cur; [ $(readlink cur) = v2 ]; ln -s v1 new;"
            "mv -T new cur; [ $(readlink cur) = v1 ]; ln -sr v1/../v2 rel; [ $(readlink rel) = v2 "
            "]");
}

TEST_F(Programs, MakeComparesTimes) {
  with_tool("make",
            "printf 'o: i\\n\\tcp i o\\n' > Makefile; touch -d 2001-01-01 i; make -s; make -q;"
            "touch i; ! make -q");
}

// What is refused, as zkfs(7) says.
TEST_F(Programs, WhatIsNotSupportedIsRefusedAtOnce) {
  with_tool("python3",
            "echo abc > f; ! fallocate -l 10 f 2> $T/e || exit; grep -q 'not supported' $T/e;"
            "python3 - <<'P'\n"
            "import errno, mmap, os, tempfile\n"
            "def refused(call, code):\n"
            "    try: call()\n"
            "    except OSError as e: assert e.errno == code, e\n"
            "    else: raise SystemExit('not refused')\n"
            "f = open('f', 'r+')\n"
            "refused(lambda: mmap.mmap(f.fileno(), 0), errno.ENODEV)\n"
            "assert mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE)[:3] == b'abc'\n"
            "refused(lambda: os.open('.', os.O_TMPFILE | os.O_RDWR), errno.EOPNOTSUPP)\n"
            "t = tempfile.TemporaryFile(dir='.', buffering=0)\n"
            "refused(lambda: t.write(b'x'), errno.ESTALE)\n"
            "P");
}

}  // namespace
}  // namespace zkfs::test
