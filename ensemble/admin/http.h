// SPDX-License-Identifier: Apache-2.0
// A request of HTTP and its response, as values.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace zkfs::admin {

struct HttpRequest {
  std::string path;                                             // decoded, from the first '/' on
  std::vector<std::pair<std::string, std::string>> parameters;  // of the query, decoded
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

using HttpHandler = std::function<HttpResponse(const HttpRequest& request)>;

}  // namespace zkfs::admin
