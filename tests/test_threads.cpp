// The pool of threads: every part once, errors, the same numbers however many threads there
// are; fork(); and what threads of a program may share (docs/threads.md).
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "core/core.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/memory.hpp"
#include "core/machine/threads.hpp"
#include "core/ops/lookup.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/child.hpp"

using namespace gradwalk;

namespace {

// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(std::size_t n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }

 private:
  std::size_t before_;
};

// Can n parts run at once? Each of them waits for the others.
bool parts_meet(std::size_t n) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::atomic<std::size_t> here{0}, met{0};
  parallel(n, [&](std::size_t) {
    ++here;
    while (here < n && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    if (here == n) ++met;
  });
  return met == n;
}

// Runs f(0) ... f(n - 1) in n threads of their own.
template <class F>
void in_threads(std::size_t n, const F& f) {
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < n; ++k) threads.emplace_back([&f, k] { f(k); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("rows are summed one by one as by coalesce, in threads", "[threads]") {
  // a row that has half of the entries, some that come twice, many that come once
  const std::size_t n = 4000, width = 64;
  std::vector<std::int64_t> rows;
  Array values = empty({n, width});
  for (std::size_t i = 0; i < n; ++i)
    rows.push_back(static_cast<std::int64_t>(i % 2 == 0 ? 7 : i % 3 == 0 ? i / 4 : i));
  for (std::size_t i = 0; i < values.size(); ++i)
    values.data()[i] = Real(1) / static_cast<Real>(i % 977 + 1);
  const RowSparse g{Indices(rows), Tensor(values), n};
  std::vector<std::vector<Real>> expected(n);  // of each row, added in the order of the entries
  std::vector<std::int64_t> order;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<Real>& sum = expected[static_cast<std::size_t>(rows[i])];
    if (sum.empty()) order.push_back(rows[i]);
    sum.resize(width, 0);
    for (std::size_t j = 0; j < width; ++j) sum[j] += values(i, j);
  }
  for (const std::size_t threads : {1, 2, 5}) {
    const Threads guard(threads);
    SummedRows once(g);
    REQUIRE(std::vector<std::int64_t>(once.rows().begin(), once.rows().end()) == order);
    std::vector<std::vector<Real>> sums(order.size());
    std::vector<int> calls(order.size(), 0);
    once.each([&](std::size_t k, const Real* sum) {
      ++calls[k];
      sums[k].assign(sum, sum + width);
    });
    CHECK(calls == std::vector<int>(order.size(), 1));
    for (std::size_t k = 0; k < order.size(); ++k)
      CHECK(sums[k] == expected[static_cast<std::size_t>(order[k])]);
    const RowSparse coalesced = coalesce(g);
    CHECK(std::equal(order.begin(), order.end(), coalesced.rows.begin()));
    for (std::size_t k = 0; k < order.size(); ++k)
      CHECK(
          std::equal(sums[k].begin(), sums[k].end(), coalesced.values.value().data() + k * width));
  }
}

TEST_CASE("each part is called once, on more than one thread", "[threads]") {
  for (std::size_t n : {1, 2, 5}) {
    const Threads threads(n);
    for (std::size_t parts : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(parts);
      parallel(parts, [&](std::size_t k) { ++calls[k]; });
      for (const auto& c : calls) CHECK(c == 1);
    }
  }
}

TEST_CASE("there are as many threads as asked for, whatever there was before", "[threads]") {
  for (std::size_t n : {2, 5, 3, 1, 4}) {
    const Threads threads(n);
    CHECK(parts_meet(n));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // they fall asleep
    CHECK(parts_meet(n));
    std::mutex mutex;
    std::set<std::thread::id> ids;
    parallel(100, [&](std::size_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));  // for others to come
      const std::lock_guard<std::mutex> lock(mutex);
      ids.insert(std::this_thread::get_id());
    });
    CHECK(ids.size() <= n);
  }
}

TEST_CASE("ranges cover everything once and are not split below their grain", "[threads]") {
  const Threads threads(3);
  for (std::size_t n : {0, 1, 9, 10, 100, 101}) {
    std::vector<int> seen(n, 0);
    std::atomic<std::size_t> ranges{0};
    parallel_ranges(n, 10, [&](std::size_t begin, std::size_t end) {
      ++ranges;
      for (std::size_t i = begin; i < end; ++i) ++seen[i];
    });
    CHECK(std::accumulate(seen.begin(), seen.end(), 0) == static_cast<int>(n));
    CHECK(std::count(seen.begin(), seen.end(), 1) == static_cast<int>(n));
    CHECK(ranges == (n < 20 ? 1 : 3));
  }
}

TEST_CASE("an exception in a part is thrown to the caller, and the pool goes on", "[threads]") {
  const Threads threads(2);
  for (int round = 0; round < 3; ++round) {
    CHECK(error_of<std::out_of_range>([] {
            parallel(8, [](std::size_t k) {
              if (k == 5) throw std::out_of_range("part 5");
            });
          }) == "part 5");
    std::atomic<int> calls{0};
    parallel(8, [&](std::size_t) { ++calls; });
    CHECK(calls == 8);
  }
}

TEST_CASE("of several exceptions the first part's is thrown, whenever it comes", "[threads]") {
  for (std::size_t n : {1, 2}) {
    const Threads threads(n);
    for (std::size_t late : {0, 1}) {
      std::atomic<bool> thrown{n == 1};
      CHECK(error_of<std::out_of_range>([&] {
              parallel(2, [&](std::size_t k) {
                if (k == late) {
                  while (!thrown) std::this_thread::yield();
                  std::this_thread::sleep_for(std::chrono::milliseconds(20));
                }
                thrown = true;
                throw std::out_of_range(message("part ", k));
              });
            }) == "part 0");
    }
  }
}

TEST_CASE("helpers leave signals to the program's threads, whoever starts them", "[threads]") {
  const Threads threads(2);  // a pool that is not there yet
  const auto waits = [](int signal) {
    sigset_t waiting;
    pthread_sigmask(SIG_BLOCK, nullptr, &waiting);
    return sigismember(&waiting, signal) == 1;
  };
  const std::thread::id own = std::this_thread::get_id();
  std::atomic<std::size_t> here{0};
  std::atomic<int> right{0};
  parallel(2, [&](std::size_t) {
    ++here;
    while (here < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == own)
      right += !waits(SIGINT);
    else
      right += waits(SIGINT) && !waits(SIGSEGV);
  });
  CHECK(right == 2);
}

TEST_CASE("a part is not split again", "[threads]") {
  const Threads threads(2);
  std::atomic<int> calls{0};
  parallel(2, [&](std::size_t) {  // no CHECK in here: Catch2's are for one thread
    if (!in_parallel()) calls += 100;
    parallel(3, [&](std::size_t) { ++calls; });
    parallel_ranges(1000, 1, [&](std::size_t begin, std::size_t end) {
      if (end - begin == 1000) ++calls;
    });
  });
  CHECK(calls == 8);
  CHECK(!in_parallel());
}

TEST_CASE("there must be a thread", "[threads]") {
  CHECK(error_of<std::invalid_argument>([] { set_num_threads(0); }) ==
        "set_num_threads: must be from 1 to 1024, got 0");
  CHECK(error_of<std::invalid_argument>([] { set_num_threads(1025); }) ==
        "set_num_threads: must be from 1 to 1024, got 1025");
  const Threads threads(2);
  CHECK(error_of<std::logic_error>([] { parallel(2, [](std::size_t) { set_num_threads(1); }); }) ==
        "set_num_threads: not inside a part of parallel()");
}

TEST_CASE("GRADWALK_NUM_THREADS is a whole number from 1 to 1024", "[threads][fork]") {
  if (const char* expected = std::getenv("GRADWALK_TEST_EXPECTS")) {  // run by the lines below
    std::string got;
    try {
      got = std::to_string(num_threads());
    } catch (const std::invalid_argument& e) {
      got = e.what();
    }
    std::_Exit(got == expected ? 0 : 1);
  }
  const auto check_value = [](const char* value, const std::string& expected) {
    INFO((value ? value : "unset"));
    CHECK(tests::in_child([&] {
      value ? setenv("GRADWALK_NUM_THREADS", value, 1) : unsetenv("GRADWALK_NUM_THREADS");
      setenv("GRADWALK_TEST_EXPECTS", expected.c_str(), 1);
      execl("/proc/self/exe", "gradwalk_tests", "GRADWALK_NUM_THREADS is *", nullptr);
      return false;
    }));
  };
  if (access("/proc/self/exe", X_OK) != 0) {
    WARN("skipped: no /proc/self/exe");
    return;
  }
  check_value(nullptr, std::to_string(std::max(1u, std::thread::hardware_concurrency())));
  for (const char* good : {"1", "7", "1024"}) check_value(good, good);
  for (const char* bad : {"", "0", "-1", "1025", "3x", "x", " 3", "3 ", "+3", "2.5", "4294967297",
                          "18446744073709551617", " -18446744073709551615"})
    check_value(bad,
                message("GRADWALK_NUM_THREADS: must be a number from 1 to 1024, got '", bad, "'"));
}

TEST_CASE("two threads of a program may use the pool at once", "[threads]") {
  const Threads threads(3);
  std::vector<std::size_t> wrong(2);
  in_threads(2, [&](std::size_t user) {
    for (std::size_t round = 0; round < 500; ++round) {
      std::size_t done[5] = {};
      parallel(5, [&](std::size_t k) {
        done[k] += user + round + 1;
        std::this_thread::yield();
      });
      for (std::size_t d : done) wrong[user] += d != user + round + 1;
    }
  });
  CHECK(wrong == std::vector<std::size_t>{0, 0});
}

namespace {

// A product large enough to be split.
Array product() {
  const NoGrad no_grad;
  Array a = empty({300, 200}), b = empty({200, 300});
  for (std::size_t i = 0; i < a.size(); ++i) {
    a.data()[i] = Real(i % 7);
    b.data()[i] = Real(i % 5);
  }
  return matmul(Tensor(std::move(a)), Tensor(std::move(b))).value();
}

}  // namespace

TEST_CASE("a forked child ends, computes and has threads of its own", "[threads][fork]") {
  const Threads threads(2);
  const Array expected = product();
  REQUIRE(parts_meet(2));  // the pool is there
  CHECK(tests::in_child([] { return true; }));
  CHECK(tests::in_child([&] { return product() == expected && parts_meet(2); }));
  CHECK(tests::in_child([&] {
    set_num_threads(3);
    return product() == expected && parts_meet(3);
  }));
  CHECK(tests::in_child([&] {  // and its own child
    return product() == expected && tests::in_child([&] { return product() == expected; });
  }));
  CHECK((product() == expected));
}

TEST_CASE("fork() while another thread computes", "[threads][fork]") {
  const Threads threads(2);
  const Array expected = product();
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  others.emplace_back([&] {  // holds the pool
    while (!stop) parallel(4, [](std::size_t) {});
  });
  others.emplace_back([&] {  // and the lists of free memory
    while (!stop) deallocate(allocate(100000), 100000);
  });
  int bad = 0;
  for (int round = 0; round < 40 && bad == 0; ++round)
    bad += !tests::in_child([&]() -> bool {
      // not exit(), which may report as a leak what the other threads held
      std::_Exit(product() == expected && parts_meet(2) ? 0 : 1);
    });
  stop = true;
  for (std::thread& other : others) other.join();
  CHECK(bad == 0);
}

#ifndef GRADWALK_SANITIZE  // whose own memory cannot be limited
TEST_CASE("where threads cannot start, fewer do the work", "[threads][fork]") {
  if (tests::pages().mapped == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  CHECK(tests::in_child([] {
    if (!tests::limit_memory(std::size_t{40} << 20)) return false;  // a few stacks
    set_num_threads(1000);
    std::atomic<int> calls{0};
    for (int round = 0; round < 3; ++round) parallel(500, [&](std::size_t) { ++calls; });
    return calls == 1500;
  }));
}
#endif

namespace {

// Some steps of a model large enough that everything is split; its weights after them.
std::vector<Array> train(bool sparse) {
  Generator g(1);
  EmbeddingOptions table;
  table.sparse = sparse;
  LstmOptions options;
  options.bidirectional = true;
  Embedding embedding(2000, 64, g, table);
  LSTM lstm(64, 64, g, options);
  Linear head(128, 2, g);
  std::vector<Tensor> parameters;
  for (Module* m : {static_cast<Module*>(&embedding), static_cast<Module*>(&lstm),
                    static_cast<Module*>(&head)}) {
    for (const Tensor& p : m->parameters()) parameters.push_back(p);
  }
  Adam adam(parameters);
  std::vector<std::size_t> lengths(32);
  for (std::size_t k = 0; k < lengths.size(); ++k) lengths[k] = 32 - k / 2;
  for (int step = 0; step < 3; ++step) {
    Indices ids = empty<Indices>({32, 32}), targets = empty<Indices>({32});
    for (std::int64_t& id : ids) id = static_cast<std::int64_t>(g.below(2000));
    for (std::int64_t& target : targets) target = static_cast<std::int64_t>(g.below(2));
    adam.zero_grad();
    const Tensor x = dropout(embedding(ids), 0.3, g);
    backward(softmax_cross_entropy(head(lstm(Sequences{x, lengths}).last), targets));
    clip_grad_norm(parameters, 0.5);
    adam.step();
  }
  std::vector<Array> weights;
  for (const Tensor& p : parameters) weights.push_back(p.value());
  return weights;
}

std::vector<Array> train(std::size_t n, bool sparse) {
  const Threads threads(n);
  return train(sparse);
}

}  // namespace

TEST_CASE("a number of threads gives the same bits each time, another the same values",
          "[threads]") {
  for (bool sparse : {true, false}) {
    const std::vector<Array> one = train(1, sparse), two = train(2, sparse),
                             three = train(3, sparse);
    CHECK(train(2, sparse) == two);
    CHECK(train(3, sparse) == three);
    for (std::size_t k = 0; k < one.size(); ++k) {
      double worst = 0;
      for (std::size_t i = 0; i < one[k].size(); ++i) {
        for (const auto* other : {&two, &three})
          worst = std::max(worst, std::abs(double(one[k].data()[i]) - (*other)[k].data()[i]));
      }
      CHECK(worst < (sizeof(Real) == 4 ? 1e-4 : 1e-10));
    }
  }
}

TEST_CASE("two threads train a model each, and neither notices the other", "[threads]") {
  const Threads threads(2);
  const std::vector<Array> expected[] = {train(false), train(true)};
  std::vector<Array> got[2];
  in_threads(2, [&](std::size_t k) { got[k] = train(k == 1); });
  for (std::size_t k : {0, 1}) CHECK((got[k] == expected[k]));
}

#if defined(__SSE2__) || defined(__aarch64__)

namespace {

constexpr Real kLeast = std::numeric_limits<Real>::min();
constexpr Real kTiny = kLeast / 4;  // below the normal range

// What this thread does with such numbers: are they zeros as results, and as inputs?
bool flushes_results() {
  const volatile Real least = kLeast;
  const Real quarter = least / 4;
  return std::memcmp(&quarter, &kTiny, sizeof(Real)) != 0;
}
bool flushes_inputs() {
  const volatile Real tiny = kTiny;
  return tiny == 0;
}

bool is_zero(const Array& a) {
  return std::all_of(a.begin(), a.end(), [](Real x) { return x == 0; });
}

// A loss whose gradient is kTiny in each element of x.
Tensor loss_of_tiny_gradient(const Tensor& x) {
  return record("tiny", {x}, full({}, 1), [x](const Tensor&, const Tensor&) -> Gradients {
    return {Tensor(full(x.shape(), kTiny))};
  });
}

}  // namespace

TEST_CASE("sums of rows have the same bits with any number of threads", "[threads]") {
  constexpr std::size_t kRows = 5000, kTable = 900, kWidth = 40;
  Generator generator(1);
  const Tensor table(normal({kTable, kWidth}, generator), true);
  const Tensor slope(normal({kRows, kWidth}, generator)), weight(normal({kRows}, generator), true);
  Indices ids = empty<Indices>({kRows}), bags = empty<Indices>({kRows});
  for (std::size_t i = 0; i < kRows; ++i) {  // most rows many times, in a wild order, some never
    ids(i) = static_cast<std::int64_t>(i * 7919 % 701);
    bags(i) = static_cast<std::int64_t>(i * 104729 % 433);
  }
  const auto run = [&](std::size_t threads) {
    const Threads guard(threads);
    std::vector<Array> results;
    for (const std::string order : {"wild", "sorted", "uneven", "one"}) {
      for (std::size_t i = 0; order != "wild" && i < kRows; ++i)  // some of 500 never, at both ends
        bags(i) = order == "sorted" ? static_cast<std::int64_t>(5 + i / 11)
                  : order == "uneven" && (i < 40 || i > kRows - 40)
                      ? static_cast<std::int64_t>(i < 40 ? i : 449 + i - (kRows - 40))
                      : 300;
      results.push_back(weighted_rows(table, ids, bags, 500, weight).value());
      results.push_back(scatter_rows(slope, bags, 500).value());
    }
    for (std::size_t i = 0; i < kRows; ++i) bags(i) = static_cast<std::int64_t>(i * 104729 % 433);
    for (bool sparse : {true, false}) {
      const Tensor x = gather_rows(table, ids, {}, sparse),
                   bag = weighted_rows(table, ids, bags, 500, weight, sparse);
      for (const Tensor& loss : {sum(x * slope), sum(bag * bag)}) {
        const Gradient g = gradients(loss, {table}, false, true)[0];
        results.push_back(dense(g).value());
        if (sparse) results.push_back(coalesce(std::get<RowSparse>(g)).values.value());
      }
      results.push_back(bag.value());
      results.push_back(dense(gradients(sum(bag * bag), {weight})[0]).value());
    }
    return results;
  };
  std::vector<Array> one = run(1);
  for (std::size_t threads : {2, 3, 6}) CHECK(run(threads) == one);
  one.erase(one.begin(), one.begin() + 8);
  double expected = 0;  // of one element, by hand
  for (std::size_t i = 0; i < kRows; ++i)
    if (ids(i) == 5) expected += double(slope.value()(i, 7));
  CHECK_THAT(double(one[0](5, 7)), WithinAbs(expected, 1e-5));
}

TEST_CASE("rows that become one are summed in blocks, with the same bits", "[threads]") {
  Generator generator(11);
  for (std::size_t n : {1, 33, 700}) {
    const std::size_t rows = 200'003 / n;  // with a block that is not full
    const Tensor x(normal({rows, n}, generator));
    Tensor w(normal({n}, generator), true);
    const auto sums = [&](std::size_t threads) {
      const Threads set(threads);
      w.zero_grad();
      backward(sum(x * w));
      return std::pair(sum(x, {0}).value(), dense(w.grad()).value());
    };
    const auto [total, gradient] = sums(1);
    for (std::size_t threads : {2, 3, 5}) CHECK(sums(threads) == std::pair(total, gradient));
    for (std::size_t j = 0; j < n; ++j) {
      double expected = 0;
      for (std::size_t i = 0; i < rows; ++i) expected += double(x.value()(i, j));
      CHECK_THAT(total(j), WithinAbs(expected, sizeof(Real) == 4 ? 1e-2 : 1e-9));
      CHECK_THAT(gradient(j), WithinAbs(expected, sizeof(Real) == 4 ? 1e-2 : 1e-9));
    }
  }
}

TEST_CASE("subnormal numbers are zeros in every loop, with any number of threads", "[threads]") {
  REQUIRE_FALSE((flushes_results() || flushes_inputs()));
  for (std::size_t n : {1, 2, 3}) {
    const Threads threads(n);
    for (std::size_t size : {6, 300000}) {
      const Tensor tiny(full({size, 2}, kTiny)), one(full({2, 2}, 1));
      CHECK(is_zero((tiny * 1).value()));                  // for_each()
      CHECK(is_zero((tiny * select(one, 0, 0)).value()));  // parallel_ranges()
      CHECK(is_zero(matmul(tiny, one).value()));           // gemm()
      CHECK(is_zero(weighted_rows(tiny, {0, 1}, {0, 0}, 1, Tensor({1, 1})).value()));
      Tensor w(full({size}, kTiny), true);
      w.mutable_grad() = Tensor(full({size}, 0));
      SGD(Tensors{w}, {0.1, 0, false, 0.1}).step();
      CHECK(is_zero(w.value()));
    }
    Tensor w({1, 2, 3}, true);
    w.mutable_grad() = Tensor({kTiny, 3, 4});
    clip_grad_norm({w}, 1);
    CHECK(std::get<Tensor>(w.grad()).value()(0) == 0);
    Generator g(1);
    LSTM lstm(2, 3, g);
    backward(loss_of_tiny_gradient(lstm(Tensor(full({4, 2, 2}, 1))).last));
    for (const Tensor& p : lstm.parameters()) CHECK(is_zero(dense(p.grad()).value()));
    Tensor table(full({5, 2}, kTiny), true);
    SGD exact({table}, {0.1, 0.9, false, 0.1, SparsePolicy::kExact});
    table.mutable_grad() = RowSparse{{1}, Tensor({{1, 1}}), 5};
    exact.step();
    CHECK(table.value()(4, 1) == 0);  // which has now taken the step it missed
  }
}

TEST_CASE("what a thread does with subnormal numbers is its own affair again", "[threads]") {
  const Threads threads(2);
  const auto train = [] {
    Tensor w(full({300000}, 1), true);
    Adam adam({w});
    backward(sum(w * w));
    adam.step();
    const auto fail = [](std::size_t) { throw std::runtime_error("a part"); };
    CHECK_THROWS_AS(parallel(2, fail), std::runtime_error);
    CHECK_THROWS_AS(parallel_ranges(1, 1, [&](std::size_t, std::size_t) { fail(0); }),
                    std::runtime_error);
  };
  train();
  CHECK_FALSE((flushes_results() || flushes_inputs()));
  {
    const FlushSubnormals asked;
    train();
    CHECK((flushes_results() && flushes_inputs()));
  }
  CHECK_FALSE((flushes_results() || flushes_inputs()));
  std::atomic<int> here{0}, flushed{0};  // both threads of the pool do
  parallel(2, [&](std::size_t) {
    for (++here; here < 2;) std::this_thread::yield();
    flushed += flushes_results() && flushes_inputs();
  });
  CHECK(flushed == 2);
}

#endif

namespace {

struct Shared : Module {
  explicit Shared(Generator& g) : embedding(500, 16, g, sparse()), lstm(16, 24, g), head(24, 2, g) {
    child("embedding", embedding);
    child("lstm", lstm);
    child("head", head);
  }
  Tensor operator()(const Indices& ids) const { return head(lstm(embedding(ids)).last); }
  static EmbeddingOptions sparse() {
    EmbeddingOptions options;
    options.sparse = true;
    return options;
  }
  Embedding embedding;
  LSTM lstm;
  Linear head;
};

Indices ids_for(std::size_t k) {
  Indices ids = empty<Indices>({12, 8});
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids.data()[i] = static_cast<std::int64_t>((i * 31 + k * 7) % 500);
  return ids;
}

}  // namespace

TEST_CASE("four threads read one model and one table", "[threads]") {
  const Threads threads(2);
  Generator g(1);
  const Shared model(g);
  Array expected[4], got[4], rows[4];
  for (std::size_t k = 0; k < 4; ++k) expected[k] = model(ids_for(k)).value();
  in_threads(4, [&](std::size_t k) {
    for (int round = 0; round < 5; ++round) {
      const bool record = round % 2 == 0;
      const NoGrad no_grad(!record);
      got[k] = model(ids_for(k)).value();
      rows[k] = gather_rows(model.embedding.weight(), ids_for(k)).value();
    }
  });
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK((got[k] == expected[k]));
    CHECK((rows[k] == model.embedding(ids_for(k)).value()));
  }
}

TEST_CASE("four threads add their gradients to one model", "[threads]") {
  const Threads threads(2);
  Generator g(1);
  const Shared model(g);
  const auto add_gradients = [&](std::size_t k) {
    const Indices targets = full<Indices>({8}, static_cast<std::int64_t>(k % 2));
    backward(softmax_cross_entropy(model(ids_for(k)), targets));
  };
  std::vector<Array> expected;
  for (std::size_t k = 0; k < 4; ++k) add_gradients(k);
  for (Tensor p : model.parameters()) {
    expected.push_back(dense(p.grad()).value());
    p.zero_grad();
  }
  for (int round = 0; round < 5; ++round) {
    in_threads(4, add_gradients);
    double worst = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      Tensor p = model.parameters()[k];
      const Array sum = dense(p.grad()).value();
      for (std::size_t i = 0; i < sum.size(); ++i)
        worst = std::max(worst, std::abs(double(sum.data()[i]) - expected[k].data()[i]));
      p.zero_grad();
    }
    CHECK(worst < (sizeof(Real) == 4 ? 1e-6 : 1e-14));
  }
}
