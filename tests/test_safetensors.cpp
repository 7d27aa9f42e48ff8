// Files of weights: what was saved comes back, and no bytes whatever are trusted.
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <sstream>
#include <thread>

#include "core/core.hpp"
#include "core/file.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;
using tests::Folder;
namespace fs = std::filesystem;

namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A file with this header and this many bytes of numbers.
std::string file_of(const std::string& header, std::size_t numbers = 0) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[std::size_t(i)] = char(header.size() >> (8 * i));
  return bytes + header + std::string(numbers, '\0');
}

std::string error_of(const std::string& path) {
  try {
    load_safetensors(path);
  } catch (const FileError& e) {
    const std::string text = e.what();
    REQUIRE(text.substr(0, path.size() + 2) == path + ": ");
    return text.substr(path.size() + 2);
  }
  return "read without an error";
}

StateDict sample() {
  Generator g(3);
  Array special = normal({2, 3}, g);
  special(0, 0) = std::numeric_limits<Real>::quiet_NaN();
  special(0, 1) = -std::numeric_limits<Real>::infinity();
  special(0, 2) = Real(-0.0);
  special(1, 0) = std::numeric_limits<Real>::denorm_min();
  return {{"b.weight", Tensor(special)},
          {"a", Tensor(full({}, 7))},
          {"none", Tensor(full({0, 4}, 0))},
          {"\xC3\xA9\"\\\n", Tensor(normal({1, 2, 1}, g))}};
}

}  // namespace

TEST_CASE("a state dict comes back bit for bit, with its metadata", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "model.safetensors";
  const StateDict state = sample();
  const Metadata metadata{{"words", "a \"b\"\n\xE2\x82\xAC"}, {"", ""}};
  save_safetensors(path, state, metadata);
  const Checkpoint back = load_safetensors(path);
  CHECK(back.metadata == metadata);
  REQUIRE(back.tensors.size() == state.size());
  for (const auto& [name, tensor] : state) {
    const Array& b = back.tensors.at(name);
    CHECK(b.shape() == tensor.shape());
    const std::size_t bytes = tensor.size() * sizeof(Real);  // of nothing, data() may be null
    CHECK((bytes == 0 || std::memcmp(b.data(), tensor.value().data(), bytes) == 0));
  }
  CHECK(folder.files() == 1);
  save_safetensors(path, {});
  CHECK(load_safetensors(path).tensors.empty());
  CHECK(load_safetensors(path).metadata.empty());
}

TEST_CASE("the bytes are those of the format", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "one";
  save_safetensors(path, {{"w", Tensor(full({1, 2}, 1))}}, {{"k", "v"}});
  const std::string header =
      sizeof(Real) == 4
          ? R"({"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}} )"
          : R"({"__metadata__":{"k":"v"},"w":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]}})";
  std::string padded = header;
  padded.resize((header.size() + 7) / 8 * 8, ' ');
  const Real ones[] = {1, 1};
  CHECK(read(path) ==
        file_of(padded) + std::string(reinterpret_cast<const char*>(ones), sizeof(ones)));

  // a file that others wrote, in the other precision and not in the order of the numbers
  const float f[] = {0.5f, -2};
  const double d[] = {0.25};
  write(path, file_of(R"({"d":{"dtype":"F64","shape":[],"data_offsets":[8,16]},)"
                      R"("f":{"shape":[2],"data_offsets":[0,8],"dtype":"F32"}})") +
                  std::string(reinterpret_cast<const char*>(f), sizeof(f)) +
                  std::string(reinterpret_cast<const char*>(d), sizeof(d)));
  const Checkpoint other = load_safetensors(path);
  CHECK(other.tensors.at("f")(0) == Real(0.5));
  CHECK(other.tensors.at("f")(1) == -2);
  CHECK(other.tensors.at("d")() == Real(0.25));
}

TEST_CASE("what the reader refuses, and its words", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "bad";
  const auto refusal = [&](const std::string& header, std::size_t numbers = 0) {
    write(path, file_of(header, numbers));
    return error_of(path);
  };
  const auto entry = [](const std::string& name, const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
           R"(,"data_offsets":)" + offsets + "}";
  };

  CHECK(error_of(folder / "nowhere") == "cannot be opened: No such file or directory");
  CHECK(error_of(folder / "") == "must be a regular file");
  write(path, "1234567");
  CHECK(error_of(path) == "is no safetensors file: it has 7 bytes, at least 8 are needed");
  write(path, std::string(8, '\xFF'));
  CHECK_THAT(error_of(path), ContainsText("announces a header of 18446744073709551615 bytes"));
  write(path, file_of("{}").substr(0, 9));
  CHECK(error_of(path) ==
        "is no safetensors file, or truncated: it announces a header of 2 bytes and has 9");
  CHECK(refusal("") == "is no safetensors file: its header must start with '{'");
  CHECK(refusal(" {}") == "is no safetensors file: its header must start with '{'");
  CHECK_THAT(refusal("{\"a\""), ContainsText("the header is not valid JSON"));
  CHECK_THAT(refusal("{}x"), ContainsText("the header is not valid JSON"));
  CHECK_THAT(refusal("{\"\xFF\":1}"), ContainsText("the header is not valid JSON"));

  const std::string a = entry("a", "F32", "[1]", "[0,4]");
  CHECK(refusal("{" + a + "," + a + "}", 4) == "the header names 'a' twice");
  CHECK(refusal(R"({"__metadata__":{"k":"1","k":"2"}})") == "the header names 'k' twice");
  CHECK(refusal(R"({"__metadata__":[]})") == "__metadata__ must map strings to strings");
  CHECK(refusal(R"({"__metadata__":{"k":1}})") ==
        "__metadata__ must map strings to strings, 'k' does not");
  const std::string form = "'a' must have a dtype, a shape and two data_offsets";
  CHECK(refusal(R"({"a":1})") == form);
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4) == form);
  CHECK(refusal("{" + entry("a", "F32", "[-1]", "[0,4]") + "}", 4) == form);
  CHECK(refusal("{" + entry("a", "F32", "[1.0]", "[0,4]") + "}", 4) == form);
  CHECK(refusal("{" + entry("a", "F32", "1", "[0,4]") + "}", 4) == form);
  CHECK(refusal("{" + entry("a", "F32", "[1]", "[0,4,4]") + "}", 4) == form);
  CHECK(refusal(R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", 4) == form);
  for (const char* offsets :
       {"[-4,0]", "[0.0,4.0]", R"(["0","4"])", "[null,4]", R"({"0":0,"1":4})"})
    CHECK(refusal("{" + entry("a", "F32", "[1]", offsets) + "}", 4) == form);
  CHECK(refusal("{" + entry("a", "F32", "[18446744073709551616]", "[0,4]") + "}", 4) == form);
  CHECK(refusal("{" + entry("a", "F31", "[1]", "[0,4]") + "}", 4) ==
        "'a' is 'F31', of which nothing is known here");
  CHECK(refusal("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}") ==
        "the shape [4294967296, 4294967296] of 'a' overflows");
  CHECK(refusal("{" + entry("a", "F32", "[4611686018427387904]", "[0,0]") + "}") ==
        "the shape [4611686018427387904] of 'a' overflows");
  CHECK(refusal("{" + entry("a", "F32", "[2]", "[0,4]") + "}", 4) ==
        "'a' F32 [2] needs 8 bytes, its offsets are 0:4");
  CHECK(refusal("{" + entry("a", "F32", "[0]", "[4,0]") + "}", 4) ==
        "'a' F32 [0] needs 0 bytes, its offsets are 4:0");
  CHECK(refusal("{" + entry("a", "F32", "[1]", "[4,8]") + "}", 8) ==
        "'a' starts at byte 4 of the numbers, 0 was expected (a hole)");
  CHECK(refusal("{" + a + "," + entry("b", "F32", "[1]", "[0,4]") + "}", 4) ==
        "'b' starts at byte 0 of the numbers, 4 was expected (an overlap)");
  CHECK(refusal("{" + a + "}", 3) == "the header describes 4 bytes of numbers, the file has 3");
  CHECK(refusal("{" + a + "}", 5) == "the header describes 4 bytes of numbers, the file has 5");
  CHECK(refusal("{" + entry("a", "I64", "[1]", "[0,4]") + "}", 4) ==
        "'a' I64 [1] needs 8 bytes, its offsets are 0:4");
  CHECK(refusal("{" + entry("a", "F32", "[0,4611686018427387904,8]", "[0,0]") + "}") ==
        "the shape [0, 4611686018427387904, 8] of 'a' overflows");
  CHECK(refusal("{" + entry("a", "F32", "[562949953421312,0]", "[0,0]") + "}") ==  // 2^49
        "the shape [562949953421312, 0] of 'a' overflows");
  const auto nested = [&](std::size_t depth) {
    return refusal("{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}");
  };
  CHECK(nested(50) == "'a' must have a dtype, a shape and two data_offsets");
  CHECK(nested(51) == "the header is nested too deeply");
  // foreign text stays on one line, and short
  CHECK(refusal("{\"" + std::string(100, 'x') + "\\n\":1}") ==
        "'" + std::string(60, 'x') + "...' must have a dtype, a shape and two data_offsets");
  CHECK(refusal("{\"x\\n\":1}") == "'x?' must have a dtype, a shape and two data_offsets");
}

TEST_CASE("numbers of other kinds become ours, and unknown fields are passed over",
          "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "other";
  const auto read_as = [&](const char* dtype, auto numbers) {
    const std::size_t bytes = sizeof(numbers[0]) * numbers.size();
    write(path, file_of(message("{\"__metadata__\":null,\"a\":{\"dtype\":\"", dtype,
                                "\",\"shape\":[", numbers.size(), "],\"data_offsets\":[0,", bytes,
                                "],\"more\":{\"x\":[[1]]}}}")) +
                    std::string(reinterpret_cast<const char*>(numbers.data()), bytes));
    return load_safetensors(path).tensors.at("a");
  };
  using Halves = std::vector<std::uint16_t>;
  const Real inf = std::numeric_limits<Real>::infinity();
  const Array half = read_as("F16", Halves{0x3C00, 0xC000, 0x7BFF, 0x0001, 0x83FF, 0x0400, 0x7C00,
                                           0xFC00, 0x8000, 0x3555, 0x7E00});
  const Array expected{1,   -2,   65504,      Real(0x1p-24),   -Real(0x1.ff8p-15), Real(0x1p-14),
                       inf, -inf, Real(-0.0), Real(0x1.554p-2)};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(half(i) == expected(i));
  CHECK(std::signbit(half(8)));
  CHECK(std::isnan(half(10)));
  CHECK((read_as("BF16", Halves{0x3F80, 0x4049, 0xFF80}) == Array{1, Real(3.140625), -inf}));
  CHECK((read_as("I64", std::vector<std::int64_t>{-3, 1 << 24}) == Array{-3, 1 << 24}));
  CHECK((read_as("U64", std::vector<std::uint64_t>{1ull << 63}) == Array{Real(0x1p63)}));
  CHECK((read_as("I32", std::vector<std::int32_t>{-5}) == Array{-5}));
  CHECK((read_as("U32", std::vector<std::uint32_t>{1u << 31}) == Array{Real(0x1p31)}));
  CHECK((read_as("I16", std::vector<std::int16_t>{-300}) == Array{-300}));
  CHECK((read_as("U16", Halves{65535}) == Array{65535}));
  CHECK((read_as("I8", std::vector<std::int8_t>{-128}) == Array{-128}));
  CHECK((read_as("U8", std::vector<std::uint8_t>{255}) == Array{255}));
  CHECK((read_as("BOOL", std::vector<std::uint8_t>{0, 1}) == Array{0, 1}));
  const std::vector<float> many(200000, 1.5f);  // more than a piece
  CHECK((read_as("F32", many) == Array(full({200000}, Real(1.5)))));
  CHECK_THROWS_WITH(read_as("I64", std::vector<std::int64_t>{0, (1ll << 53) + 1}),
                    path + ": 'a' holds a whole number that this precision does not have");
}

TEST_CASE("a header of 100,000,000 bytes and not one more", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "long";
  std::string bytes = file_of("");
  bytes.resize(8 + 100'000'001, ' ');
  bytes[8] = '{';
  bytes[9] = '}';
  const auto write_length = [&](std::size_t n) {
    for (int i = 0; i < 8; ++i) bytes[std::size_t(i)] = char(n >> (8 * i));
    write(path, bytes.substr(0, 8 + n));
  };
  write_length(100'000'000);
  CHECK(load_safetensors(path).tensors.empty());
  write_length(100'000'001);
  CHECK_THAT(error_of(path), ContainsText("announces a header of 100000001 bytes"));
}

TEST_CASE("any bytes give a checkpoint or an error of ours", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "fuzzed";
  save_safetensors(path, sample(), {{"k", "v"}});
  const std::string good = read(path);
  for (std::size_t length = 0; length < good.size(); ++length) {
    write(path, good.substr(0, length));
    INFO("truncated to " << length);
    CHECK(error_of(path) != "read without an error");
  }
  Generator g(5);
  int refused = 0, read_well = 0;
  const std::string letters = "{}[]\",:0129-eF\\ \n\x01\xFF";
  for (int round = 0; round < 3000; ++round) {
    write(path, tests::damaged(good, letters, g));
    ++(error_of(path) == "read without an error" ? read_well : refused);
  }
  CHECK(refused > 1000);  // most changes hit the header; those that hit numbers are read
  CHECK(read_well > 100);
  // deep nesting must exhaust neither the stack nor the memory
  write(path, file_of("{\"a\":" + std::string(1'000'000, '[')));
  CHECK(error_of(path) == "the header is nested too deeply");
}

// A parser that looks at all names again after each of them would take minutes here.
TEST_CASE("a file of very many tensors is written and read", "[checkpoint]") {
  const Folder folder;
  StateDict state;
  for (int i = 0; i < 200000; ++i)
    state.emplace_back("t" + std::to_string(i), Tensor(full({1}, i)));
  save_safetensors(folder / "many", state);
  const StateValues read_back = load_safetensors(folder / "many").tensors;
  CHECK(read_back.size() == state.size());
  CHECK(read_back.at("t123456") == full({1}, 123456));
}

TEST_CASE("a save that fails leaves the old file and nothing else", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "model";
  save_safetensors(path, {{"w", Tensor(full({2}, 1))}});
  const std::string before = read(path);
  const Tensor w(full({2}, 2));
  CHECK_THROWS_AS(save_safetensors(path, {{"w", w}, {"w", w}}), std::invalid_argument);
  CHECK_THROWS_AS(save_safetensors(path, {{"\xFF", w}}), FileError);
  CHECK_THROWS_AS(save_safetensors(path, {{"w", w}}, {{"k", "\xC0\x80"}}), FileError);
  CHECK(read(path) == before);
  CHECK(folder.files() == 1);

  CHECK_THROWS_WITH(save_safetensors(path, {{"__metadata__", w}}), ContainsText("is taken"));
  fs::create_directories(folder / "folder");
  CHECK_THROWS_WITH(save_safetensors(folder / "folder", {{"w", w}}),
                    ContainsText("folder: is a directory, not a file"));
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(save_safetensors(folder / "fifo", {{"w", w}}),
                    ContainsText("fifo: must be a regular file"));
  CHECK(fs::is_fifo(folder / "fifo"));
  fs::remove(folder / "fifo");
  CHECK_THROWS_WITH(save_safetensors(folder / "no/model", {{"w", w}}),
                    ContainsText("no/model: cannot be written: "));
  CHECK(folder.files() == 2);

  // A disk without room: no file may grow beyond 20 bytes.
  rlimit before_limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before_limit) == 0);
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{20, before_limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", w}}), ContainsText("model: cannot be written: "));
  setrlimit(RLIMIT_FSIZE, &before_limit);
  std::signal(SIGXFSZ, before_signal);
  CHECK(read(path) == before);
  CHECK(folder.files() == 2);
}

TEST_CASE("of two writers of one file each writes its own, and the last one wins", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "file";
  write_file(path, [&](const File& first) {
    first.write("AAAA", 4);
    write_file(path, [](const File& second) { second.write("BB", 2); });
    CHECK(read(path) == "BB");
    first.write("AAAA", 4);
  });
  CHECK(read(path) == "AAAAAAAA");
  check_writable(path);
  check_writable(folder / "other");
  CHECK_THROWS_AS(check_writable(folder / "no/file"), FileError);
  CHECK(read(path) == "AAAAAAAA");
  CHECK(folder.files() == 1);
}

TEST_CASE("what a link points to is replaced, and the link stays", "[checkpoint]") {
  const Folder folder;
  write(folder / "file", "old");
  fs::create_symlink("file", folder / "link");
  write_file(folder / "link", [](const File& file) { file.write("new", 3); });
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read(folder / "file") == "new");
  CHECK(folder.files() == 2);
}

TEST_CASE("no file is saved whose header could not be read again", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "long";
  const Metadata empty_value{{"k", ""}};
  save_safetensors(path, {}, empty_value);
  const std::size_t rest = std::string(R"({"__metadata__":{"k":""}})").size();
  REQUIRE(read(path).size() == 8 + (rest + 7) / 8 * 8);
  save_safetensors(path, {}, {{"k", std::string(100'000'000 - rest, 'x')}});
  CHECK(load_safetensors(path).metadata.at("k").size() == 100'000'000 - rest);
  save_safetensors(path, {}, empty_value);
  CHECK_THROWS_WITH(
      save_safetensors(path, {}, {{"k", std::string(100'000'001 - rest, 'x')}}),
      path + ": the header would have 100000008 bytes, at most 100000000 are allowed");
  CHECK(load_safetensors(path).metadata == empty_value);
  CHECK(folder.files() == 1);
}

TEST_CASE("tensors of nothing may stand anywhere between the others", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "file";
  const auto entry = [](const char* name, const char* shape, const char* offsets) {
    return message('"', name, R"(":{"dtype":"F32","shape":)", shape, R"(,"data_offsets":)", offsets,
                   '}');
  };
  const std::vector<std::string> entries{entry("a", "[2]", "[0,8]"), entry("none", "[0]", "[0,0]"),
                                         entry("b", "[1]", "[8,12]"), entry("no", "[0]", "[8,8]")};
  for (const std::vector<int>& order : {std::vector<int>{0, 1, 2, 3}, {1, 0, 3, 2}, {3, 2, 1, 0}}) {
    std::string header;
    for (int i : order) header += (header.empty() ? "{" : ",") + entries[std::size_t(i)];
    write(path, file_of(header + "}", 12));
    CHECK(error_of(path) == "read without an error");
  }
}

// ---- File ----
namespace {

extern "C" void ignore_signal(int) {}

// Runs `f` in another thread, which may interrupt this one, while `g` runs here.
template <class F, class G>
void beside(F f, G g) {
  struct sigaction before, action{};
  action.sa_handler = ignore_signal;  // without SA_RESTART: what waits is interrupted
  REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
  alarm(60);  // the thread would wait for ever for what g failed to do
  const pthread_t here = pthread_self();
  std::thread other([&] {
    f([&] {
      const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
      pause();  // until it waits
      pthread_kill(here, SIGUSR1);
      pause();  // until it has noticed
    });
  });
  std::string error = "nothing was thrown";
  try {
    g();
  } catch (const std::exception& e) {
    error = e.what();
  }
  other.join();
  alarm(0);
  sigaction(SIGUSR1, &before, nullptr);
  CHECK(error == "nothing was thrown");
}

}  // namespace

TEST_CASE("reading and writing go on after a signal, and after a part", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "fifo";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const File file(path, O_RDWR);  // of a fifo: both of its ends
  std::string got(6, ' ');
  beside(
      [&](const auto& interrupt) {
        interrupt();
        file.write("abc", 3);
        interrupt();
        file.write("def", 3);
      },
      [&] { file.read(got.data(), got.size()); });
  CHECK(got == "abcdef");

  std::string sent(200'000, 'x');  // more than a fifo holds
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = char('a' + i % 23);
  got.assign(sent.size(), ' ');
  beside(
      [&](const auto& interrupt) {
        interrupt();  // ends a write that has put a part
        interrupt();  // and one that has put nothing
        file.read(got.data(), got.size());
      },
      [&] { file.write(sent.data(), sent.size()); });
  CHECK((got == sent));
}

TEST_CASE("a file that ends too soon is an error", "[checkpoint]") {
  const Folder folder;
  write(folder / "file", "abc");
  const File file = open_to_read(folder / "file");
  char bytes[8];
  alarm(60);  // a reader that goes on for ever must not hang the tests
  CHECK_THROWS_WITH(file.read(bytes, 8), folder / "file" + ": ended while it was being read");
  alarm(0);
}

TEST_CASE("a fifo in the place of a file is refused, and nobody waits for it", "[checkpoint]") {
  const Folder folder;
  const std::string path = folder / "fifo";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  auto error = std::async(std::launch::async, [&] { return error_of(path); });
  const bool in_time = error.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  if (!in_time) const File end_of_wait(path, O_RDWR);
  CHECK(error.get() == "must be a regular file");
  CHECK(in_time);
}
