// SPDX-License-Identifier: Apache-2.0
// A small seeded generator (xorshift64*): the same seed gives the same sequence on every machine,
// which the standard distributions do not promise and the simulator needs.
#pragma once

#include <cstdint>

namespace zkfs {

class Random {
 public:
  explicit Random(std::uint64_t seed)
      : state_(seed * 0x9e3779b97f4a7c15ULL + 0x2545f4914f6cdd1dULL) {
    if (state_ == 0) state_ = 1;
    for (int i = 0; i < 4; ++i) next();
  }

  std::uint64_t next() {
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    return state_ * 0x2545f4914f6cdd1dULL;
  }

  // In [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound) { return (next() >> 11U) % bound; }

  // In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }

  // True with a probability of `numerator` in `denominator`.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  std::uint64_t state_;
};

}  // namespace zkfs
