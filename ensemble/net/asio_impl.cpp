// SPDX-License-Identifier: Apache-2.0
// asio, compiled once (ASIO_SEPARATE_COMPILATION).
#include <asio/impl/src.hpp>
