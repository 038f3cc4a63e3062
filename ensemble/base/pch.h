// SPDX-License-Identifier: Apache-2.0
// The one precompiled header of the product: the standard library and fmt/core.h, which nearly
// every file needs.
#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/core.h>
