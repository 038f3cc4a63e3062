// SPDX-License-Identifier: Apache-2.0
// The fuzz targets where there is no libFuzzer: mutations of their seeds, the same on every run.
//   ZKFS_FUZZ_SECONDS   goes on for so long with each target, not for a fixed number of inputs
//   ZKFS_FUZZ_SEED      begins elsewhere (default 1)
#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "ensemble/base/random.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

constexpr int kInputs = 20'000;
constexpr std::size_t kInputBytesMax = 64 * 1024;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// In memory of its own, so that a sanitizer sees what is read beyond its ends.
bool run(const Target& target, const std::string& input) {
  const auto copy = std::make_unique<char[]>(input.size());
  input.copy(copy.get(), input.size());
  return target.run({copy.get(), input.size()});
}

class Mutations {
 public:
  Mutations(std::vector<std::string> seeds, std::uint64_t seed)
      : seeds_(std::move(seeds)), random_(seed) {}

  std::string next() {
    std::string input = pick();
    for (std::uint64_t changes = random_.between(1, 5); changes > 0; --changes) change(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
  }

 private:
  const std::string& pick() { return seeds_[random_.below(seeds_.size())]; }

  char byte() {
    static constexpr std::array<char, 6> kTelling{'\0', '\1', '\x7f', '\x80', '\xfe', '\xff'};
    if (random_.chance(1, 2)) return kTelling.at(random_.below(kTelling.size()));
    return static_cast<char>(random_.below(256));
  }

  void change(std::string& input) {
    const std::size_t at = random_.below(input.size() + 1);
    switch (random_.below(at == input.size() ? 2 : 7)) {
      case 0:
        input.insert(at, 1, byte());
        break;
      case 1: {
        const std::string& other = pick();
        input.insert(at, other, random_.below(other.size() + 1), random_.between(1, 64));
        break;
      }
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(at, random_.between(1, 8));
        break;
      case 4:
        input.replace(at, 4, 4, byte());
        break;
      case 5:
        input[at] = static_cast<char>(input[at] ^ static_cast<char>(1U << random_.below(8)));
        break;
      default:
        input[at] = byte();
    }
  }

  std::vector<std::string> seeds_;
  Random random_;
};

class SeededFuzz : public testing::TestWithParam<Target> {};

TEST_P(SeededFuzz, NoMutationOfAnyInputBreaksWhatMustHold) {
  const Target& target = GetParam();
  const std::uint64_t seed = number_from("ZKFS_FUZZ_SEED", 1);
  const std::uint64_t seconds = number_from("ZKFS_FUZZ_SECONDS", 0);
  const auto seeds = target.seeds();
  ASSERT_FALSE(seeds.empty());
  for (std::size_t i = 0; i < seeds.size(); ++i) ASSERT_TRUE(run(target, seeds[i])) << "seed " << i;
  Mutations mutations(seeds, seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (int i = 0; seconds == 0 ? i < kInputs : std::chrono::steady_clock::now() < end; ++i)
    run(target, mutations.next());
}

INSTANTIATE_TEST_SUITE_P(Targets,
                         SeededFuzz,
                         testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace zkfs::fuzz
