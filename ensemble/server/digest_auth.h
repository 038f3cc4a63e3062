// SPDX-License-Identifier: Apache-2.0
// ZooKeeper's scheme `digest`: what stands for a user and a password in ACLs and in what a
// connection has proven (reference/zookeeper.md section 6).
#pragma once

#include <string>
#include <string_view>

namespace zkfs::server {

// Of "user:password" in clear: "user:base64(sha1(user:password))", as every client computes it. The
// user ends at the first ':'; without one, all of it is the user.
std::string digest_id(std::string_view user_password);

// True if `user_password` is the one whose digest_id is `super_digest` (the setting
// zookeeper.DigestAuthenticationProvider.superDigest); an empty setting is nobody's. How long it
// takes says nothing of the digest.
bool is_super_digest(std::string_view super_digest, std::string_view user_password);

}  // namespace zkfs::server
