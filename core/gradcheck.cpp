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

void add(Array& x, const Array& u, double step) {
  for (std::size_t i = 0; i < u.size(); ++i)
    x.data()[i] = static_cast<Real>(double{x.data()[i]} + step * double{u.data()[i]});
}

struct Scalar {
  Tensor y;
  double value;  // not rounded to a Real
};
using Function = std::function<Scalar()>;

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

// (f(eps) - f(-eps)) / (2 eps)
double slope_of(const std::function<double(double)>& f) {
  const double end = f(kStep);
  return (end - f(-kStep)) / (2 * kStep);
}

double error_of(double engine, double numeric) {
  return std::abs(engine - numeric) / std::max({std::abs(engine), std::abs(numeric), kSmall});
}

// What a walk sees: the outputs of ops, in their order, and gradients that are finished.
struct Seen : Observer {
  Tensors made;
  std::map<std::uint64_t, Array> gradients;
  void on_forward(const char*, const Tensors&, const Tensors& ys) override {
    if (Node::running == nullptr) made.insert(made.end(), ys.begin(), ys.end());
  }
  void on_gradient(const Tensor& x, const Gradient& dx) override {
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
    for (const Tensor& y : ys)
      if (Node::running == nullptr && at-- == 0) add(y.node()->value, u, step);
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
    compare("first-order", F_, false);
    if (options_.order < 2) return;
    // A rule may have two branches, one of them for create_graph.
    compare("first-order create_graph", F_, true);
    const auto slope = [this] {  // sum_i <dF/dx_i, v_i>
      Tensors ys, cs;
      const Gradients g = gradients(F_().y, all_, true);
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
  static double difference(const Function& f, Tensor x, const Array& u) {
    struct PutBack {
      Tensor& x;
      const Array before;
      ~PutBack() { x.mutable_value() = before; }
    } const original{x, x.value()};
    return slope_of([&](double step) {
      add(x.mutable_value() = original.before, u, step);
      return f().value;
    });
  }

  // The gradient of f against differences, one leaf at a time.
  void compare(const std::string& what, const Function& f, bool create_graph) {
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
      throw std::runtime_error(message(
          "check_gradients: the rule of ", culprit(i, first), ": ", what,
          " derivative with respect to ", leaf, ' ', shape, ": ", elements(f, all_[i], g),
          " (relative error ", error_of(ours, numeric), " along a direction, allowed ", allowed,
          first ? ")"
                : "); the first order is right: is the graph cut inside the rule, by value() or "
                  "detach()?"));
    }
  }

  // Where g is furthest from differences, both numbers, and what is wrong if all elements show it.
  static std::string elements(const Function& f, const Tensor& x, const Array& g) {
    const std::pair<double, const char*> kinds[] = {{0, ": no gradient arrives"},
                                                    {-1, ": the sign is wrong in every element"},
                                                    {2, ": every element is twice as large"},
                                                    {0.5, ": every element is half as large"}};
    double worst = -1, most = 0, offs[4] = {};
    std::string text;
    Array one = full(x.shape(), 0);
    for (std::size_t k = 0; k < one.size() && !std::isnan(worst); ++k) {
      one.data()[k] = 1;
      const double d = difference(f, x, one), off = std::abs(g.data()[k] - d);
      one.data()[k] = 0;
      most = std::max(most, std::abs(d));
      for (int i = 0; i < 4; ++i)
        offs[i] = std::max(offs[i], std::abs(g.data()[k] - kinds[i].first * d));
      if (off <= worst) continue;
      worst = off;
      text = message("at ", index_of(k, x.shape()), " the engine says ", g.data()[k],
                     ", differences say ", d);
    }
    for (int i = 0; i < 4; ++i)
      if (offs[i] <= kFirst * most && !std::isnan(worst)) return text + kinds[i].second;
    return text;
  }

  static std::string one_of(const std::set<std::string>& all) {
    std::string text;
    for (const std::string& name : all) text += (text.empty() ? "" : " or ") + name;
    return text.empty() ? "no op" : text;
  }

  // A rule is wrong if the gradients of its outputs are right and that of an input is not. So: the
  // ops that use the youngest tensor with a wrong gradient, or leaf `i`. At second order all ops.
  std::string culprit(std::size_t i, bool first) {
    Seen seen;
    gradients(F_().y, all_, false, /*retain_graph=*/true);
    const Tensors made = seen.made;  // in what follows others are made
    difference(F_, all_[i], u_[i]);
    // Where made[k] is made again, with the leaf moved; itself, if f then made another number.
    const std::size_t moved = seen.made.size() == 3 * made.size() ? made.size() : 0;
    std::size_t k = made.size() - 1;  // the last is F
    Tensor wrong = all_[i];
    while (first && k-- > 0) {
      const auto g = seen.gradients.find(made[k].node()->id);
      if (g == seen.gradients.end()) continue;
      const Array u = along(normal(made[k].shape(), random_), g->second);
      const double numeric = slope_of([&](double step) {
        const Nudge nudge(k, u, step);
        return F_().value;
      });
      if (error_of(dot(g->second, u), numeric) <= kFirst) continue;
      wrong = made[k];
      break;
    }
    std::set<std::string> ops, cuts;
    for (k = 0; k + 1 < made.size(); ++k) {
      const std::string op = message('\'', made[k].node()->op, '\'');
      const bool used = seen.gradients.count(made[k].node()->id) != 0;
      if (used && !first) ops.insert(op);
      const Tensors &xs = inputs_of(made[k]), &there = inputs_of(seen.made[moved + k]);
      for (std::size_t j = 0; first && j < std::min(xs.size(), there.size()); ++j) {
        const std::string input = message("input ", j, ' ', xs[j].shape());
        if (used && xs[j].node() == wrong.node()) ops.insert(op + " for its " + input);
        // Outside the graph, but it moves with the leaf: a rule cannot know.
        if (!xs[j].requires_grad() && xs[j].value() != there[j].value())
          cuts.insert(input + " of " + op);
      }
    }
    if (!ops.empty() && cuts.empty()) return one_of(ops);
    return one_of(ops) + (ops.empty() ? ", but" : ", or") + " value(), detach() or NoGrad" +
           (cuts.empty() ? "" : " before " + one_of(cuts));
  }

  // What an op has made y from, by itself or with other outputs.
  static const Tensors& inputs_of(const Tensor& y) {
    const Tensors& xs = y.node()->inputs;
    return xs.size() == 1 && xs[0].node()->rule_of_many ? xs[0].node()->inputs : xs;
  }

  std::function<Tensor()> f_;
  Function F_ = [this] { return dots({call()}, {c_}); };
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
