// SPDX-License-Identifier: Apache-2.0
#include "mount/marker.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "ensemble/base/duration.h"

namespace zkfs::mount {

namespace {

enum class Word : std::uint8_t { kNone, kSeq, kEph, kTtl, kContainer };

struct Suffix {
  Word word = Word::kNone;
  bool has_argument = false;
  std::string_view argument;
  std::string_view before;
};

Word word_of(std::string_view text) {
  if (text == "seq") return Word::kSeq;
  if (text == "eph") return Word::kEph;
  if (text == "ttl") return Word::kTtl;
  if (text == "container") return Word::kContainer;
  return Word::kNone;
}

// The last marker of `name`; kNone if it does not end in one.
Suffix last_suffix(std::string_view name) {
  const auto at = name.rfind('@');
  if (at == std::string_view::npos) return {};
  std::string_view text = name.substr(at + 1);
  Suffix suffix;
  suffix.before = name.substr(0, at);
  if (const auto equals = text.find('='); equals != std::string_view::npos) {
    suffix.has_argument = true;
    suffix.argument = text.substr(equals + 1);
    text = text.substr(0, equals);
  }
  suffix.word = word_of(text);
  return suffix;
}

template <typename Number>
std::optional<Number> positive(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number <= 0) return {};
  return number;
}

// With a unit, and above 0.
std::optional<std::int64_t> duration_ms(std::string_view text) {
  if (text.find_first_not_of("0123456789") == std::string_view::npos) return {};
  const auto duration = parse_duration(text);
  if (!duration || duration->count() == 0) return {};
  return duration->count();
}

bool set_type(Marker& marker, tree::NodeType type) {
  if (marker.type != tree::NodeType::kPersistent) return false;
  marker.type = type;
  return true;
}

bool take_ephemeral(Marker& marker, const Suffix& suffix) {
  if (!set_type(marker, tree::NodeType::kEphemeral)) return false;
  if (!suffix.has_argument) return true;
  if (suffix.argument == "fd") {
    marker.owner = Marker::Owner::kFile;
    return true;
  }
  const auto pid = positive<pid_t>(suffix.argument);
  marker.owner = Marker::Owner::kProcess;
  marker.pid = pid.value_or(0);
  return pid.has_value();
}

bool take_ttl(Marker& marker, const Suffix& suffix) {
  const auto ttl = duration_ms(suffix.argument);
  marker.ttl_ms = ttl.value_or(0);
  return set_type(marker, tree::NodeType::kTtl) && ttl.has_value();
}

// False if it is bad here.
bool take(Marker& marker, const Suffix& suffix) {
  switch (suffix.word) {
    case Word::kSeq:
      return !suffix.has_argument && !std::exchange(marker.sequential, true);
    case Word::kEph:
      return take_ephemeral(marker, suffix);
    case Word::kTtl:
      return take_ttl(marker, suffix);
    case Word::kContainer:
      return !suffix.has_argument && set_type(marker, tree::NodeType::kContainer);
    case Word::kNone:
      break;
  }
  return true;
}

}  // namespace

Marker parse_marker(std::string_view name) {
  Marker marker;
  std::string_view rest = name;
  for (Suffix suffix = last_suffix(rest); suffix.word != Word::kNone; suffix = last_suffix(rest)) {
    marker.any = true;
    if (!take(marker, suffix)) marker.bad = true;
    rest = suffix.before;
  }
  if (marker.any && rest.empty() && !marker.sequential) return Marker{.base = std::string(name)};
  marker.base = std::string(rest);
  return marker;
}

bool reads_as_marker(std::string_view name) {
  if (last_suffix(name).word == Word::kNone) return false;
  return parse_marker(name).any;
}

}  // namespace zkfs::mount
