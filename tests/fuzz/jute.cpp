// SPDX-License-Identifier: Apache-2.0
// jute::Reader: the first byte says how many reads follow, then one byte each, then what is read.
#include "ensemble/jute/jute.h"

#include "ensemble/base/check.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

// Returns how many bytes the reader must have taken at least.
std::size_t read_one(unsigned what, jute::Reader& reader) {
  switch (what % 6) {
    case 0:
      reader.read_byte();
      return 1;
    case 1:
      reader.read_bool();
      return 1;
    case 2:
      reader.read_int();
      return 4;
    case 3:
      reader.read_long();
      return 8;
    case 4:
      return 4 + reader.read_buffer().value_or(ByteView{}).size();
    default: {
      const std::size_t least = what / 6 + 1;
      const std::size_t count = reader.read_count(least).value_or(0);
      ZKFS_CHECK(count * least <= reader.rest().size(), "{} elements of {} bytes in {}", count,
                 least, reader.rest().size());
      return 4;
    }
  }
}

}  // namespace

bool run_jute(ByteView input) {
  const std::size_t reads = take_byte(input);
  ByteView script = input.substr(0, reads);
  input.remove_prefix(script.size());
  jute::Reader reader(input);
  while (!script.empty()) {
    const bool was_good = reader.good();
    const std::size_t before = reader.rest().size();
    const std::size_t taken = read_one(take_byte(script), reader);
    ZKFS_CHECK(was_good || !reader.good(), "good again");
    if (reader.good()) {
      ZKFS_CHECK(reader.rest().size() + taken == before, "{} bytes of {} left after {}",
                 reader.rest().size(), before, taken);
    } else {
      ZKFS_CHECK(reader.at_end(), "broken with something left");
    }
  }
  return reader.good();
}

std::vector<std::string> jute_seeds() {
  std::string all("\6\0\1\2\3\4\5", 7);
  jute::Writer writer(all);
  writer.write_byte(7);
  writer.write_bool(true);
  writer.write_int(-2);
  writer.write_long(3);
  writer.write_buffer("buffer");
  writer.write_count(2);
  all += "ab";
  std::string nulls("\2\4\5", 3);
  jute::Writer(nulls).write_null();
  jute::Writer(nulls).write_null();
  return {all, nulls};
}

}  // namespace zkfs::fuzz
