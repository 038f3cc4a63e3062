// SPDX-License-Identifier: Apache-2.0
// What an open descriptor reads and stores while others change its file: contract section 2.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Descriptor : public MountTest {
 protected:
  // A program whose other(path, text) and others(command) are another process.
  void python(const std::string& program) {
    sh("cat > $T/p.py <<'END'\n"
       "import errno, fcntl, os, subprocess\n"
       "def others(command): subprocess.run(['sh', '-c', command], check=True)\n"
       "def other(path, text): others(f\"printf '{text}' > {path}\")\n"
       "def own(path, text):\n"
       "  with open(path, 'w') as f: f.write(text)\n"
       "def get(path):\n"
       "  with open(path) as f: return f.read()\n"
       "def stale(call):\n"
       "  try: call()\n"
       "  except OSError as e: assert e.errno == errno.ESTALE, e\n"
       "  else: raise SystemExit('not refused')\n" +
       program + "\nEND\nexec python3 $T/p.py");
  }
};

TEST_F(Descriptor, FstatAndReadAreOfOneValue) {
  python(
      "own('f', '{\"a\": 1, \"long\": \"xxxxxxxxxxxx\"}')\n"
      "fd = os.open('f', os.O_RDONLY)\n"
      "other('f', 'short')\n"
      "assert os.read(fd, os.fstat(fd).st_size) == b'short'\n"
      "other('f', 'longer than before')\n"
      "assert os.pread(fd, 100, 1) == b'hort', 'it has begun to read'");
}

TEST_F(Descriptor, AProcessReadsWhatItHasWrittenThroughAnother) {
  python(
      "own('f', 'old')\n"
      "w = os.open('f', os.O_WRONLY | os.O_TRUNC)\n"
      "os.write(w, b'new!')\n"
      "assert get('f') == 'new!'\n"
      "assert subprocess.check_output(['cat', 'f']) == b'old', 'not committed yet'\n"
      "os.close(w)\n"
      "a = os.open('f', os.O_WRONLY | os.O_APPEND)\n"
      "os.write(a, b' more')\n"
      "other('f', 'newest')\n"
      "assert get('f') == 'newest more'\n"
      "os.close(a)\n"
      "assert get('f') == 'newest more'");
}

TEST_F(Descriptor, ALinkThatTookTheNameIsNeverRead) {
  python(
      "own('f', 'value')\n"
      "fd = os.open('f', os.O_RDONLY)\n"
      "assert os.pread(fd, 100, 0) == b'value'\n"
      "others('ln -s target l; mv -T l f')\n"
      "assert os.pread(fd, 100, 0) == b'value'\n"
      "fcntl.flock(fd, fcntl.LOCK_SH)\n"
      "assert os.pread(fd, 100, 0) == b'value'\n"
      "assert os.readlink('f') == 'target'");
}

TEST_F(Descriptor, CompareAndSetIsNotRearmedByARename) {
  python(
      "own('f', 'x')\n"
      "own('tmp', 'old')\n"
      "fd = os.open('tmp', os.O_RDWR)\n"
      "other('tmp', 'acknowledged')\n"
      "os.rename('tmp', 'f')\n"
      "stale(lambda: os.pwrite(fd, b'mine', 0))\n"
      "assert get('f') == 'acknowledged'\n"
      "own('tmp', 'old')\n"
      "fd = os.open('tmp', os.O_RDWR)\n"
      "os.rename('tmp', 'f')\n"
      "os.pwrite(fd, b'mine', 0)\n"
      "assert get('f') == 'mine'");
}

TEST_F(Descriptor, DataOfANewDirectoryIsAddedToAndCompared) {
  python(
      "os.mkdir('d')\n"
      "fd = os.open('d/.@data', os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
      "others('echo theirs >> d/.@data')\n"
      "os.write(fd, b'ours\\n')\n"
      "os.close(fd)\n"
      "assert get('d/.@data') == 'theirs\\nours\\n'\n"
      "os.mkdir('e')\n"
      "fd = os.open('e/.@data', os.O_RDWR | os.O_CREAT)\n"
      "other('e/.@data', 'theirs')\n"
      "stale(lambda: os.write(fd, b'ours'))\n"
      "assert get('e/.@data') == 'theirs'");
}

TEST_F(Descriptor, CuttingWhatIsAppendedToLosesNothingOfOthers) {
  python(
      "own('f', 'aaaa')\n"
      "fd = os.open('f', os.O_WRONLY | os.O_APPEND)\n"
      "others('printf bbbb >> f')\n"
      "stale(lambda: (os.ftruncate(fd, 2), os.fsync(fd)))\n"
      "assert get('f') == 'aaaabbbb'");
}

// Made and removed before the maker is answered: an error would have the kernel, or the caller,
// make it again.
TEST_F(Descriptor, WhatAnotherRemovesAtOnceIsMadeOnce) {
  for (const char* make : {"mkdir n", "ln -s t n", "set -C; : > n"}) {
    m().door().hold();
    const pid_t maker = m().start(make);
    ASSERT_TRUE(m().drive_until([&] { return m().data("/n").has_value(); })) << make;
    m().door().inject_foreign(server::DeleteRequest{.target = {{}, "/n"}});
    m().door().release();
    const Ran ran = m().finish(maker);
    EXPECT_EQ(ran.status, 0) << make << ": " << ran.out;
    EXPECT_FALSE(m().data("/n").has_value()) << make;
  }
}

}  // namespace
}  // namespace zkfs::test
