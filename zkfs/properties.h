// SPDX-License-Identifier: Apache-2.0
// The syntax of a Java properties file, which is what zoo.cfg is: comments that begin with # or !,
// `key=value`, `key:value` or `key value`, backslash escapes (\t \n \r \f \uXXXX), a backslash at
// the end of a line to go on in the next. It never fails: every text is some list of properties.
// What the keys mean is config.h's affair.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zkfs {

struct Property {
  std::string key;
  std::string value;  // without blanks around it, as ZooKeeper trims it
  int line = 0;       // of the key, counted from 1; 0: not from a file
};

// In the order of the file; a key given twice is there twice.
std::vector<Property> parse_properties(std::string_view text);

}  // namespace zkfs
