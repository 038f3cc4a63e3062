// SPDX-License-Identifier: Apache-2.0
// Random txns as prep would have made them: valid against the state that the Model shows.
#pragma once

#include "ensemble/base/random.h"
#include "ensemble/tree/txn.h"
#include "tests/tree/model.h"

namespace zkfs::tree::test {

Txn random_txn(Random& random, const Model& model);

// Random bytes, empty now and then.
std::string random_bytes(Random& random, std::size_t size_max);

}  // namespace zkfs::tree::test
