#include "layers/files/safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/text.hpp"
#include "layers/files/json.hpp"

namespace gradwalk {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::uint64_t kMostNumbers = std::uint64_t(1) << 48;  // of an array: size_of()
constexpr const char* kRealName = sizeof(Real) == 4 ? "F32" : "F64";

constexpr std::size_t kMostAxes = 64;

struct Entry {
  std::string name, dtype;
  Shape shape;
  std::uint64_t begin, end;
};

// IEEE 754's half precision, and a float's upper half.
struct Half {
  std::uint16_t bits;
  operator float() const {
    const int exponent = bits >> 10 & 31;
    const auto fraction = static_cast<float>(bits & 1023);
    const float size = exponent == 31  ? (fraction == 0 ? HUGE_VALF : NAN)
                       : exponent == 0 ? std::ldexp(fraction, -24)
                                       : std::ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -size : size;
  }
};
struct Bfloat {
  std::uint16_t bits;
  operator float() const {
    const std::uint32_t whole = std::uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &whole, sizeof(x));
    return x;
  }
};

// Converts n numbers; false if one is whole and Real has no such number.
template <class Stored>
bool convert(std::size_t n, const char* from, Real* to) {
  for (std::size_t i = 0; i < n; ++i) {
    Stored x;
    std::memcpy(&x, from + i * sizeof(x), sizeof(x));
    to[i] = static_cast<Real>(x);
    if constexpr (std::is_integral_v<Stored>) {
      if (static_cast<long double>(to[i]) != static_cast<long double>(x)) return false;
    }
  }
  return true;
}

struct Type {
  std::size_t bytes;  // of a number
  bool (*convert)(std::size_t n, const char* from, Real* to);
};
const std::map<std::string, Type>& types() {
  static const std::map<std::string, Type> all{
      {"F32", {4, convert<float>}},        {"F64", {8, convert<double>}},
      {"F16", {2, convert<Half>}},         {"BF16", {2, convert<Bfloat>}},
      {"I64", {8, convert<std::int64_t>}}, {"U64", {8, convert<std::uint64_t>}},
      {"I32", {4, convert<std::int32_t>}}, {"U32", {4, convert<std::uint32_t>}},
      {"I16", {2, convert<std::int16_t>}}, {"U16", {2, convert<std::uint16_t>}},
      {"I8", {1, convert<std::int8_t>}},   {"U8", {1, convert<std::uint8_t>}},
      {"BOOL", {1, convert<std::uint8_t>}}};
  return all;
}

Json parse_header(const std::string& path, const std::string& text) {
  try {
    check_json(text);
  } catch (const FileError& e) {
    throw FileError(message(path, ": the header ", e.what()));
  }
  Json header = Json::parse(text);
  check<FileError>(header.is_object(), path, ": the header must be a JSON object");
  return header;
}

bool is_counts(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(),
                                        [](const Json& n) { return n.is_number_unsigned(); });
}

Entry parse_entry(const std::string& path, const std::string& name, const Json& json) {
  check<FileError>(json.is_object() && json.contains("dtype") && json["dtype"].is_string() &&
                       json.contains("shape") && is_counts(json["shape"]) &&
                       json.contains("data_offsets") && is_counts(json["data_offsets"]) &&
                       json["data_offsets"].size() == 2,
                   path, ": ", in_quotes(name), " must have a dtype, a shape and two data_offsets");
  const auto sizes = json["shape"].get<std::vector<std::size_t>>();
  Entry entry{name, json["dtype"], Shape(sizes.begin(), sizes.end()), json["data_offsets"][0],
              json["data_offsets"][1]};
  check<FileError>(sizes.size() <= kMostAxes, path, ": ", in_quotes(name), " has ", sizes.size(),
                   " axes, at most ", kMostAxes, " are read");
  const auto type = types().find(entry.dtype);
  check<FileError>(type != types().end(), path, ": ", in_quotes(name), " is ",
                   in_quotes(entry.dtype), ", of which nothing is known here");
  std::uint64_t numbers = 1;
  for (std::uint64_t n : entry.shape) {
    // also where another size is 0: strides are products of some of them
    check<FileError>(n == 0 || numbers <= kMostNumbers / n, path, ": the shape ", entry.shape,
                     " of ", in_quotes(name), " overflows");
    numbers *= std::max<std::uint64_t>(n, 1);
  }
  const bool none = std::count(entry.shape.begin(), entry.shape.end(), 0u) > 0;
  const std::uint64_t bytes = none ? 0 : numbers * type->second.bytes;
  check<FileError>(entry.begin <= entry.end && entry.end - entry.begin == bytes, path, ": ",
                   in_quotes(name), " ", entry.dtype, ' ', entry.shape, " needs ", bytes,
                   " bytes, its offsets are ", entry.begin, ':', entry.end);
  return entry;
}

// Piece by piece, so that there are never two of a large table.
Array read_numbers(const std::string& path, const File& file, const Entry& entry) {
  constexpr std::size_t kPiece = 1 << 16;
  const auto& [bytes, convert] = types().at(entry.dtype);
  Array a = empty(entry.shape);
  std::vector<char> piece(bytes * std::min(kPiece, a.size()));
  for (std::size_t at = 0; at < a.size(); at += kPiece) {
    const std::size_t n = std::min(kPiece, a.size() - at);
    file.read(piece.data(), bytes * n);
    check<FileError>(convert(n, piece.data(), a.data() + at), path, ": ", in_quotes(entry.name),
                     " holds a whole number that this precision does not have");
  }
  return a;
}

}  // namespace

void save_safetensors(const std::string& path, const StateDict& state, const Metadata& metadata) {
  std::string text = "{";  // entry by entry: in the state's order, which an object would not keep
  std::set<std::string> names{"__metadata__"};
  try {
    if (!metadata.empty()) text += "\"__metadata__\":" + Json(metadata).dump();
    std::uint64_t offset = 0;
    for (const auto& [name, tensor] : state) {
      check(names.insert(name).second, "save_safetensors: the name ", in_quotes(name), " is taken");
      check(tensor.dim() <= kMostAxes, "save_safetensors: ", in_quotes(name), " has ", tensor.dim(),
            " axes, at most ", kMostAxes, " are written");
      const std::uint64_t end = offset + tensor.size() * sizeof(Real);
      if (text.size() > 1) text += ',';
      text += Json(name).dump() + ":{\"dtype\":\"" + kRealName +
              "\",\"shape\":" + Json(tensor.shape()).dump() +
              ",\"data_offsets\":" + Json({offset, end}).dump() + '}';
      offset = end;
    }
  } catch (const Json::exception& e) {
    throw FileError(message(path, ": names and metadata must be UTF-8: ", e.what()));
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the numbers are aligned
  check<FileError>(text.size() <= kMaxHeader, path, ": the header would have ", text.size(),
                   " bytes, at most ", kMaxHeader, " are allowed");
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(text.size() >> (8 * i));

  write_file(path, [&](const File& file) {
    file.write(length, sizeof(length));
    file.write(text.data(), text.size());
    for (const auto& entry : state)
      file.write(entry.second.value().data(), entry.second.size() * sizeof(Real));
  });
}

Checkpoint load_safetensors(const std::string& path) {
  const File file = open_to_read(path);
  const std::uint64_t size = file.size();
  check<FileError>(size >= 8, path, ": is no safetensors file: it has ", size,
                   " bytes, at least 8 are needed");
  unsigned char bytes[8];
  file.read(bytes, sizeof(bytes));
  std::uint64_t length = 0;
  for (int i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  check<FileError>(length <= kMaxHeader && length <= size - 8, path,
                   ": is no safetensors file, or truncated: it announces a header of ", length,
                   " bytes and has ", size);
  std::string text(length, ' ');
  file.read(text.data(), text.size());
  check<FileError>(!text.empty() && text[0] == '{', path,
                   ": is no safetensors file: its header must start with '{'");
  const Json header = parse_header(path, text);

  Checkpoint checkpoint;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(path, name, json));
      continue;
    }
    if (json.is_null()) continue;
    check<FileError>(json.is_object(), path, ": __metadata__ must map strings to strings");
    for (const auto& [key, value] : json.items()) {
      check<FileError>(value.is_string(), path, ": __metadata__ must map strings to strings, ",
                       in_quotes(key), " does not");
      checkpoint.metadata[key] = value.get<std::string>();
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    check<FileError>(entry.begin == at, path, ": ", in_quotes(entry.name), " starts at byte ",
                     entry.begin, " of the numbers, ", at, " was expected (",
                     entry.begin > at ? "a hole)" : "an overlap)");
    at = entry.end;
  }
  check<FileError>(at == size - 8 - length, path, ": the header describes ", at,
                   " bytes of numbers, the file has ", size - 8 - length);
  for (const Entry& entry : entries) {
    checkpoint.tensors[entry.name] = read_numbers(path, file, entry);
  }
  return checkpoint;
}

}  // namespace gradwalk
