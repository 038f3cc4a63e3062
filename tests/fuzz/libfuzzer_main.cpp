// SPDX-License-Identifier: Apache-2.0
// One target for libFuzzer, named by ZKFS_FUZZ_TARGET. With the environment's ZKFS_FUZZ_SEEDS a
// directory, the target's seeds are written there first.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "ensemble/base/check.h"
#include "tests/fuzz/target.h"

namespace {

const zkfs::fuzz::Target& target() {
  for (const zkfs::fuzz::Target& candidate : zkfs::fuzz::targets()) {
    if (candidate.name == ZKFS_FUZZ_TARGET) return candidate;
  }
  ZKFS_CHECK(false, "no target {}", ZKFS_FUZZ_TARGET);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const char* directory = std::getenv("ZKFS_FUZZ_SEEDS");
  if (directory == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : target().seeds()) {
    const std::string path = fmt::format("{}/seed-{}", directory, number++);
    std::ofstream(path, std::ios::binary) << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
