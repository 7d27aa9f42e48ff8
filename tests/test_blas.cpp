// Matrix products: views, threads and what is refused. Their derivatives are in test_ops.cpp.
#include "core/core.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/threads.hpp"
#include "tests/catch.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <pthread.h>
#include <sys/time.h>
#include <ucontext.h>

#include <chrono>
#include <csignal>
#include <vector>
#endif

using namespace gradwalk;

namespace {

Real element(Matrix m, std::size_t i, std::size_t j) {
  return m.transposed ? m.data[j * m.stride + i] : m.data[i * m.stride + j];
}

// The same product by hand, and how far c is from it.
double distance(Matrix a, Matrix b, Matrix c) {
  double worst = 0;
  for (std::size_t i = 0; i < c.rows; ++i) {
    for (std::size_t j = 0; j < c.cols; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < a.cols; ++k)
        sum += double(element(a, i, k)) * double(element(b, k, j));
      worst = std::max(worst, std::abs(sum - double(element(c, i, j))));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("a product is the same by any number of threads, whatever is transposed", "[blas]") {
  constexpr double kTolerance = sizeof(Real) == 4 ? 1e-3 : 1e-11;
  const std::size_t before = num_threads();
  Generator g(1);
  // threads share the columns of the first, and the rows of the second
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{8, 1200}, {1200, 8}}) {
    const std::size_t k = 512;
    const Array a = normal({m, k}, g), a_t = normal({k, m}, g), b = normal({k, n}, g),
                b_t = normal({n, k}, g);
    for (const Matrix& u : {matrix(a), matrix(a_t).T()}) {
      for (const Matrix& v : {matrix(b), matrix(b_t).T()}) {
        INFO(m << " x " << k << " x " << n << ", " << u.transposed << v.transposed);
        for (std::size_t threads : {1, 4}) {
          set_num_threads(threads);
          Array c = full({m, n}, std::numeric_limits<Real>::quiet_NaN());
          gemm(u, v, 0, matrix(c));
          CHECK(distance(u, v, matrix(c)) < kTolerance);
        }
      }
    }
  }
  set_num_threads(before);
}

TEST_CASE("a product of blocks reads and writes nothing else", "[blas]") {
  Generator g(2);
  Array a = normal({6, 7}, g), b = normal({8, 9}, g), c = full({5, 6}, 1);
  const Matrix u = matrix(a).row_range(1, 4).col_range(2, 7),
               v = matrix(b).T().row_range(3, 8).col_range(4, 6);
  CHECK(element(u, 0, 0) == a(1, 2));
  CHECK(element(v, 0, 0) == b(4, 3));
  gemm(u, v, 0, matrix(c).row_range(1, 4).col_range(2, 4));
  CHECK(distance(u, v, matrix(c).row_range(1, 4).col_range(2, 4)) < 1e-5);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      if (i < 1 || i >= 4 || j < 2 || j >= 4) CHECK(c(i, j) == 1);
    }
  }
}

TEST_CASE("a product over nothing is zero, or what was there times beta", "[blas]") {
  const Array a = empty({2, 0}), b = empty({0, 3});
  Array c = full({2, 3}, 5);
  gemm(matrix(a), matrix(b), 1, matrix(c));
  CHECK((c == full({2, 3}, 5)));
  gemm(matrix(a), matrix(b), 0, matrix(c));
  CHECK((c == full({2, 3}, 0)));
}

TEST_CASE("what a product refuses", "[blas]") {
  const std::size_t many = std::size_t{1} << 31;
  Real x = 0;
  const auto product = [&](std::size_t m, std::size_t n, std::size_t k, std::size_t stride) {
    return error_of<std::invalid_argument>(
        [&] { gemm(Matrix(&x, m, k, stride), Matrix(&x, k, n), 0, MutableMatrix(&x, m, n)); });
  };
  const std::string text = "gemm: sizes must fit in 31 bits, got ";
  CHECK(product(many, 1, 1, 1) == text + "2147483648 x 1 times 1 x 1, rows in memory 1, 1 and 1");
  CHECK(product(1, many, 1, 1) ==
        text + "1 x 1 times 1 x 2147483648, rows in memory 1, 2147483648 and 2147483648");
  CHECK(product(1, 1, many, many) ==
        text + "1 x 2147483648 times 2147483648 x 1, rows in memory 2147483648, 1 and 1");
  CHECK(product(1, 1, 1, many) == text + "1 x 1 times 1 x 1, rows in memory 2147483648, 1 and 1");
  CHECK(product(1, 1, 1, many - 1) == "nothing was thrown");
  Array c = empty({2, 3});
  const Array a = empty({2, 4}), b = empty({5, 3});
  CHECK(error_of<std::invalid_argument>([&] { gemm(matrix(a), matrix(b), 0, matrix(c)); }) ==
        "gemm: sizes must agree, got 2 x 4 times 5 x 3 into 2 x 3");
}

TEST_CASE("the library's products are those of plain loops, whatever is transposed", "[blas]") {
  constexpr double kTolerance = sizeof(Real) == 4 ? 2e-4 : 1e-12;
  Generator g(4);
  for (const auto& [m, n, k] : {std::tuple<std::size_t, std::size_t, std::size_t>{1, 1, 1},
                                {3, 5, 0},
                                {17, 33, 65},
                                {64, 1, 128},
                                {1, 300, 7},
                                {128, 128, 128}}) {
    // wider than the blocks that are multiplied: rows in memory have numbers of others in between
    Array a = normal({m + 2, k + 3}, g), a_t = normal({k + 2, m + 3}, g),
          b = normal({k + 2, n + 3}, g), b_t = normal({n + 2, k + 3}, g);
    for (const Matrix& u : {Matrix(matrix(a)).row_range(1, m + 1).col_range(1, k + 1),
                            matrix(a_t).T().row_range(1, m + 1).col_range(1, k + 1)}) {
      for (const Matrix& v : {Matrix(matrix(b)).row_range(1, k + 1).col_range(1, n + 1),
                              matrix(b_t).T().row_range(1, k + 1).col_range(1, n + 1)}) {
        for (const Real beta : {Real(0), Real(1), Real(-0.5)}) {
          INFO(m << " x " << k << " x " << n << ", " << u.transposed << v.transposed << ", "
                 << beta);
          Array c = normal({m, n + 4}, g), plain = c;
          gemm(u, v, beta, matrix(c).col_range(2, n + 2));
          gemm_plain(u, v, beta, matrix(plain).col_range(2, n + 2));
          for (std::size_t i = 0; i < c.size(); ++i)
            REQUIRE(std::abs(double{c.data()[i]} - double{plain.data()[i]}) < kTolerance);
        }
      }
    }
  }
}

// The thread sanitizer puts signals off.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_THREAD__)
namespace {
const char *stack_begin, *stack_end;
volatile std::sig_atomic_t signals, astray;

void count_signal(int, siginfo_t*, void* context) {
  const greg_t sp = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP];
  const char* top = reinterpret_cast<const char*>(sp);
  signals = signals + 1;
  if (top < stack_begin || top >= stack_end) astray = astray + 1;
}
}  // namespace

// A handler writes below the stack register. oneDNN points it into the heap during a product.
TEST_CASE("a signal during a product finds the stack where it belongs", "[blas]") {
  pthread_attr_t attributes;
  void* begin;
  std::size_t bytes;
  REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
  pthread_attr_getstack(&attributes, &begin, &bytes);
  pthread_attr_destroy(&attributes);
  stack_begin = static_cast<char*>(begin);
  stack_end = stack_begin + bytes;

  // The handler itself runs on memory of its own, so that a failure corrupts nothing.
  std::vector<char> aside(1 << 20);
  stack_t other{}, stack_before;
  other.ss_sp = aside.data();
  other.ss_size = aside.size();
  REQUIRE(sigaltstack(&other, &stack_before) == 0);
  struct sigaction action = {}, action_before;
  action.sa_sigaction = count_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  REQUIRE(sigaction(SIGALRM, &action, &action_before) == 0);
  const std::size_t threads = num_threads();
  set_num_threads(1);
  signals = astray = 0;

  Generator g(4);
  const Array a = normal({512, 256}, g), b = normal({256, 512}, g);
  Array c = full({512, 512}, 0);
  const itimerval each_millisecond{{0, 1000}, {0, 1000}}, never{};
  setitimer(ITIMER_REAL, &each_millisecond, nullptr);
  const auto start = std::chrono::steady_clock::now();
  while (signals < 30 && std::chrono::steady_clock::now() - start < std::chrono::seconds(60))
    gemm(matrix(a), matrix(b), 0, matrix(c));
  setitimer(ITIMER_REAL, &never, nullptr);

  set_num_threads(threads);
  sigaction(SIGALRM, &action_before, nullptr);
  sigaltstack(&stack_before, nullptr);
  CHECK(signals >= 30);
  CHECK(astray == 0);
}

// Whether signals wait depends on the library, but not on the products within.
TEST_CASE("many products nest, and give the thread's signals back", "[blas]") {
  const auto waits = [](int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, signal) == 1;
  };
  const auto product = [](std::size_t n, std::size_t cols) {
    const Array a = full({n, n}, 1), b = full({n, cols}, 1);
    Array c = full({n, n}, 0);
    gemm(matrix(a), matrix(b), 0, matrix(c));
  };
  sigset_t one, before;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &one, &before) == 0);
  try {
    const ManyProducts outer;
    const bool at_first = waits(SIGALRM);
    { const ManyProducts inner; }
    product(64, 64);
    CHECK(waits(SIGALRM) == at_first);
    product(64, 63);
  } catch (const std::invalid_argument&) {
  }
  product(64, 64);
  CHECK(waits(SIGUSR2));
  CHECK_FALSE(waits(SIGALRM));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
#endif
