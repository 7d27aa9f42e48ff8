#include "core/gradcheck.hpp"

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

constexpr bool kFloat = sizeof(Real) == 4;
constexpr double kStep = kFloat ? 1e-2 : 1e-5, kFirst = kFloat ? 2e-2 : 1e-6,
                 kSecond = kFloat ? 5e-2 : 1e-5, kSmall = kFloat ? 0.1 : 1e-3;

double dot(const Array& a, const Array& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a.data()[i]} * double{b.data()[i]};
  return sum;
}

struct Scalar {
  Tensor y;
  double value;  // not rounded to a Real
};

// sum_k <ys[k], cs[k]>, in one op whose rule needs no other: nothing is ever done to it but to
// differentiate it, so that its own dy is 1.
Scalar dots(const Tensors& ys, const Tensors& cs) {
  Tensors inputs = ys, swapped = cs;
  inputs.insert(inputs.end(), cs.begin(), cs.end());
  swapped.insert(swapped.end(), ys.begin(), ys.end());
  double sum = 0;
  for (std::size_t k = 0; k < ys.size(); ++k) sum += dot(ys[k].value(), cs[k].value());
  const Gradients partials(swapped.begin(), swapped.end());
  return {record("dots", inputs, full({}, static_cast<Real>(sum)),
                 [partials](const Tensor&, const Tensor&) { return partials; }),
          sum};
}

// The same direction with the signs of g, so that nothing cancels out in <g, u>.
Array along(Array u, const Array& g) {
  for (std::size_t i = 0; i < u.size(); ++i)
    if ((u.data()[i] < 0) != (g.data()[i] < 0)) u.data()[i] *= -1;
  return u;
}

double error_of(double engine, double numeric) {
  return std::abs(engine - numeric) / std::max({std::abs(engine), std::abs(numeric), kSmall});
}

// What a walk sees: the outputs of ops, in their order, and gradients that are finished.
struct Seen : Observer {
  Tensors made;
  std::map<std::uint64_t, Array> gradients;
  std::set<std::uint64_t> walked;
  void on_forward(const char*, const Tensors&, const Tensors& ys) override {
    if (Node::running == nullptr) made.insert(made.end(), ys.begin(), ys.end());
  }
  void on_gradient(const Tensor& x, const Gradient& dx) override {
    walked.insert(x.node()->id);
    if (!std::holds_alternative<Tensors>(dx)) gradients[x.node()->id] = dense(dx).value();
  }
};

// Moves the output of one op before anything reads it.
struct Nudge : Observer {
  std::size_t at;
  const Array& u;
  double step;
  Nudge(std::size_t which, const Array& direction, double eps)
      : at(which), u(direction), step(eps) {}
  void on_forward(const char*, const Tensors&, const Tensors& ys) override {
    for (const Tensor& y : ys) {
      if (Node::running != nullptr || at-- != 0) continue;
      for (std::size_t i = 0; i < u.size(); ++i)
        y.node()->value.data()[i] += static_cast<Real>(step * double{u.data()[i]});
    }
  }
};

class Checker {
 public:
  Checker(std::function<Tensor()> f, const Tensors& leaves, const GradcheckOptions& options)
      : f_(std::move(f)), all_(leaves), options_(options) {
    check<std::invalid_argument>(!leaves.empty(), "check_gradients: needs leaves, got none");
    if (options.generator) start_ = *options.generator;
    const Tensor y = call();
    const Array again = call().value();
    check<std::invalid_argument>(y.shape() == again.shape() && y.value() == again,
                                 "check_gradients: f() is not the same twice; give the generator "
                                 "that it draws from");
    c_ = Tensor(normal(y.shape(), random_), true);
    all_.push_back(c_);  // the cotangent is one more leaf: rules must keep dy's graph too
    for (const Tensor& x : all_) {
      u_.push_back(normal(x.shape(), random_));
      v_.emplace_back(normal(x.shape(), random_));
    }
  }

  void run() {
    const auto F = [this] { return dots({call()}, {c_}); };
    compare("first-order", F, false);
    if (options_.order < 2) return;
    // A rule may have two branches, one of them for create_graph.
    compare("first-order create_graph", F, true);
    const auto slope = [this, &F] {  // sum_i <dF/dx_i, v_i>
      Tensors ys, cs;
      const Gradients g = gradients(F().y, all_, true);
      for (std::size_t i = 0; i < g.size(); ++i) {
        if (std::holds_alternative<std::monostate>(g[i])) continue;
        ys.push_back(dense(g[i]));
        cs.push_back(v_[i]);
      }
      return dots(ys, cs);
    };
    compare("second-order", slope, false);
  }

 private:
  Tensor call() {
    if (options_.generator) *options_.generator = *start_;
    return f_();
  }

  // (F(x + eps u) - F(x - eps u)) / (2 eps); x is as before afterwards, whatever F throws.
  template <class F>
  static double difference(const F& f, Tensor x, const Array& u) {
    struct PutBack {
      Tensor& x;
      const Array before;
      ~PutBack() { x.mutable_value() = before; }
    } const original{x, x.value()};
    double ends[2];
    for (int side = 0; side < 2; ++side) {
      Array& moved = x.mutable_value();
      for (std::size_t i = 0; i < moved.size(); ++i)
        moved.data()[i] = static_cast<Real>(double{original.before.data()[i]} +
                                            (side ? -kStep : kStep) * double{u.data()[i]});
      ends[side] = f().value;
    }
    return (ends[0] - ends[1]) / (2 * kStep);
  }

  // The gradient of f against differences, one leaf at a time.
  template <class F>
  void compare(const std::string& what, const F& f, bool create_graph) {
    const bool first = what != "second-order";
    const double allowed = first ? kFirst : kSecond;
    const Tensor y = f().y;
    const Gradients engine =
        y.requires_grad() ? gradients(y, all_, create_graph) : Gradients(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Shape& shape = all_[i].shape();
      const bool none = std::holds_alternative<std::monostate>(engine[i]);
      const Array g = none ? full(shape, 0) : dense(engine[i]).value();
      const Array u = along(u_[i], g);
      const double numeric = difference(f, all_[i], u), ours = dot(g, u);
      const std::string leaf = i + 1 == all_.size()        ? "the output's gradient"
                               : i < options_.names.size() ? "'" + options_.names[i] + "'"
                                                           : message("input ", i);
      check<std::invalid_argument>(!first || !none || numeric != 0 || g.size() == 0,
                                   "check_gradients: f() does not depend on ", leaf);
      if (error_of(ours, numeric) <= allowed) continue;
      const auto [at, there] = worst_element(f, all_[i], g);
      throw std::runtime_error(message(
          "check_gradients: the rule of ", first ? culprit(i) : ops_of(call()), ": ", what,
          " derivative with respect to ", leaf, ' ', shape, ": at ", index_of(at, shape),
          " the engine says ", g.data()[at], ", differences say ", there, " (relative error ",
          error_of(ours, numeric), " along a direction, allowed ", allowed, ')'));
    }
  }

  // Where g is furthest from differences, and what they say there.
  template <class F>
  static std::pair<std::size_t, double> worst_element(const F& f, const Tensor& x, const Array& g) {
    double worst = -1;
    std::pair<std::size_t, double> found;
    Array one = full(x.shape(), 0);
    for (std::size_t k = 0; k < one.size(); ++k) {
      one.data()[k] = 1;
      const double d = difference(f, x, one), off = std::abs(d - double{g.data()[k]});
      one.data()[k] = 0;
      if (!(off <= worst)) worst = off, found = {k, d};
      if (std::isnan(off)) break;
    }
    return found;
  }

  // The ops in quotes, each once.
  static std::string quoted(const std::set<std::string>& ops) {
    std::string all;
    for (const std::string& op : ops) all += (all.empty() ? "'" : "' or '") + op;
    return all.empty() ? "no op (cut off by value(), detach() or NoGrad?)" : all + '\'';
  }
  static std::string ops_of(const Tensor& y) {
    std::set<std::string> ops;
    std::set<const Node*> known;
    Tensors waiting{y};
    while (!waiting.empty()) {
      const Tensor t = waiting.back();
      waiting.pop_back();
      if (t.node()->leaf || !known.insert(t.node().get()).second) continue;
      ops.insert(t.node()->op);
      waiting.insert(waiting.end(), t.node()->inputs.begin(), t.node()->inputs.end());
    }
    return quoted(ops);
  }

  // A rule is wrong if the gradients of its outputs are right and that of an input is not. So: the
  // ops that use the youngest tensor whose gradient is wrong; if all between are right, leaf `i`.
  std::string culprit(std::size_t i) {
    Seen seen;
    const Scalar F = dots({call()}, {c_});
    gradients(F.y, all_, false, /*retain_graph=*/true);
    const Tensors made = seen.made;  // in what follows others are made
    std::size_t k = made.size();
    Tensor wrong = all_[i];
    while (k-- > 0) {
      const auto g = seen.gradients.find(made[k].node()->id);
      if (g == seen.gradients.end() || made[k].node() == F.y.node()) continue;
      const Array u = along(normal(made[k].shape(), random_), g->second);
      double ends[2];
      for (int side = 0; side < 2; ++side) {
        const Nudge nudge(k, u, side ? -kStep : kStep);
        ends[side] = dot(call().value(), c_.value());
      }
      if (error_of(dot(g->second, u), (ends[0] - ends[1]) / (2 * kStep)) <= kFirst) continue;
      wrong = made[k];
      break;
    }
    std::set<std::string> ops;
    const auto uses = [&](const Node& n) {
      for (const Tensor& x : n.inputs) {
        if (x.node() == wrong.node() && seen.walked.count(n.id) != 0) ops.insert(n.op);
      }
    };
    for (const Tensor& y : made) {
      if (y.node() == F.y.node()) continue;
      uses(*y.node());
      for (const Tensor& x : y.node()->inputs) {  // of an op with several outputs
        if (x.node()->rule_of_many) uses(*x.node());
      }
    }
    return quoted(ops);
  }

  std::function<Tensor()> f_;
  Tensors all_;
  GradcheckOptions options_;
  std::optional<Generator> start_;
  Generator random_{20180405};
  Tensor c_;
  std::vector<Array> u_;
  Tensors v_;
};

}  // namespace

void check_gradients(const std::function<Tensor()>& f, const Tensors& leaves,
                     const GradcheckOptions& options) {
  Checker(f, leaves, options).run();
}

void check_gradients(const std::function<Tensor(const Tensors&)>& f,
                     const std::vector<Array>& inputs, const GradcheckOptions& options) {
  Tensors xs;
  for (const Array& x : inputs) xs.emplace_back(x, true);
  check_gradients([&] { return f(xs); }, xs, options);
}

void check_op(const std::function<Tensor(const Tensors&)>& f, const std::vector<Array>& inputs,
              const Array& expected, const GradcheckOptions& options) {
  Tensors xs;
  for (const Array& x : inputs) xs.emplace_back(x, true);
  const Tensor y = f(xs);
  check<std::runtime_error>(y.shape() == expected.shape(), "check_op: '", y.node()->op, "' made ",
                            y.shape(), ", expected ", expected.shape());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double got = double{y.value().data()[i]}, want = double{expected.data()[i]};
    check<std::runtime_error>(
        std::abs(got - want) <= (kFloat ? 1e-5 : 1e-12) * (1 + std::abs(want)), "check_op: '",
        y.node()->op, "' made ", got, " at ", index_of(i, y.shape()), ", expected ", want);
  }
  for (std::size_t k = 0; k < xs.size(); ++k)
    check<std::runtime_error>(xs[k].value() == inputs[k], "check_op: '", y.node()->op,
                              "' changed its input ", k);
  check_gradients([&] { return f(xs); }, xs, options);
}

}  // namespace gradwalk
