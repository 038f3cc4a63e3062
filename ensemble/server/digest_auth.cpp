// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/digest_auth.h"

#include <array>

#include <openssl/evp.h>

#include "ensemble/base/check.h"
#include "ensemble/base/secret.h"

namespace zkfs::server {
namespace {

constexpr std::size_t kSha1Bytes = 20;
// Four characters for each three bytes begun, and the terminator that EVP_EncodeBlock writes.
constexpr std::size_t kBase64Bytes = 28;

}  // namespace

std::string digest_id(std::string_view user_password) {
  std::array<unsigned char, kSha1Bytes> digest{};
  const int made = EVP_Digest(user_password.data(), user_password.size(), digest.data(), nullptr,
                              EVP_sha1(), nullptr);
  ZKFS_CHECK(made == 1, "no SHA-1");
  std::array<unsigned char, kBase64Bytes + 1> text{};
  EVP_EncodeBlock(text.data(), digest.data(), kSha1Bytes);
  std::string id(user_password.substr(0, user_password.find(':')));
  return id.append(":").append(reinterpret_cast<const char*>(text.data()), kBase64Bytes);
}

bool is_super_digest(std::string_view super_digest, std::string_view user_password) {
  return same_secret(digest_id(user_password), super_digest);
}

}  // namespace zkfs::server
