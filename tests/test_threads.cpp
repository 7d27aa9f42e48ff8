// The pool of threads: every part once, errors, and the same numbers however many threads there are.
#include <atomic>
#include <numeric>

#include "core/core.hpp"
#include "core/machine/threads.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

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

}  // namespace

TEST_CASE("each part is called once, on more than one thread", "[threads]") {
  for (std::size_t n : {1, 2, 5}) {
    const Threads threads(n);
    for (std::size_t parts : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(parts);
      parallel(parts, [&](std::size_t k) { ++calls[k]; });
      for (const auto& c : calls) CHECK(c == 1);
    }
    std::atomic<bool> met{n == 1};  // two parts that wait for each other
    std::atomic<int> here{0};
    if (n > 1)
      parallel(2, [&](std::size_t) {
        ++here;
        while (here < 2) {
        }
        met = true;
      });
    CHECK(met);
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

namespace {

// Some steps of a model large enough that everything is split; its weights after them.
std::vector<Array> train(std::size_t n, bool sparse) {
  const Threads threads(n);
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
