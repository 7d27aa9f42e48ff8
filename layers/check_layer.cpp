#include "layers/check_layer.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradcheck.hpp"
#include "core/gradient.hpp"
#include "core/machine/threads.hpp"
#include "core/ops.hpp"
#include "optim/adam.hpp"
#include "optim/sgd.hpp"

namespace gradwalk {
namespace {

constexpr double kRounding = sizeof(Real) == 4 ? 1e-4 : 1e-10;
using Arrays = std::vector<Array>;

struct Skip : std::runtime_error {
  using runtime_error::runtime_error;
};
void need(bool have, const char* reason) { check<Skip>(have, reason); }
template <class... Args>
void expect(bool ok, const Args&... args) {
  check<std::runtime_error>(ok, args...);
}

// What is measured must not exceed what is allowed; NaN does.
struct Measured {
  double value = 0, allowed = 0;
};

// The slices `at` of an array along an axis; where `at` is outside, `outside`.
template <class A, class T>
A take(const A& a, std::size_t axis, const std::vector<std::size_t>& at, T outside) {
  Shape shape(a.shape().begin(), a.shape().end());
  check<std::invalid_argument>(axis < shape.size(), "check_layer: no axis ", axis, " in ", shape);
  const std::size_t n = shape[axis], inner = size_of({shape.begin() + axis + 1, shape.end()});
  const std::size_t outer = inner * n == 0 ? 0 : a.size() / (n * inner);
  shape[axis] = at.size();
  A out = empty<A>(shape);
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t k = 0; k < at.size(); ++k) {
      for (std::size_t i = 0; i < inner; ++i)
        out.data()[(o * at.size() + k) * inner + i] =
            at[k] < n ? a.data()[(o * n + at[k]) * inner + i]
                      : static_cast<decltype(+*a.data())>(outside);
    }
  }
  return out;
}

std::vector<std::size_t> range(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> at;
  for (; begin < end; ++begin) at.push_back(begin);
  return at;
}

// max |a - b| / max(1, max |b|); NaN counts as different from all but NaN.
double distance(const Array& a, const Array& b) {
  if (a.shape() != b.shape()) return HUGE_VAL;
  double most = 0, size = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = double{a.data()[i]}, y = double{b.data()[i]};
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    most = std::isfinite(x - y) ? std::max(most, std::abs(x - y)) : HUGE_VAL;
    size = std::max(size, std::abs(y));
  }
  return most / size;
}
double distance(const Arrays& a, const Arrays& b) {
  double most = a.size() == b.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::max(most, distance(a[i], b[i]));
  return most;
}
bool finite(const Arrays& arrays) {
  for (const Array& a : arrays) {
    for (const Real v : a) {
      if (!std::isfinite(v)) return false;
    }
  }
  return true;
}

struct Kit {
  const MakeLayer& make;
  const CallLayer& call_layer;
  const LayerTags& tags;
  LayerSample sample;

  // A layer, and the generator that it may go on drawing from.
  struct Made {
    Generator generator;
    std::shared_ptr<Module> layer;
    Made(const MakeLayer& make, std::uint64_t seed) : generator(seed), layer(make(generator)) {}
    Module* operator->() const { return layer.get(); }
    Arrays values() const {
      Arrays all;
      for (const Tensor& p : layer->parameters()) all.push_back(p.value());
      return all;
    }
  };

  // Values, and gradients of x and of the parameters.
  struct Result {
    Array y;
    Arrays dx, dp;
    Arrays all() const {
      Arrays joined{y};
      joined.insert(joined.end(), dx.begin(), dx.end());
      joined.insert(joined.end(), dp.begin(), dp.end());
      return joined;
    }
  };

  static LayerSample leaves(const LayerSample& s) {
    LayerSample copy = s;
    for (Tensor& t : copy.x) t = Tensor(t.value(), true);
    return copy;
  }
  Tensor call(Made& m, const LayerSample& s, std::uint64_t seed = 99) const {
    m.generator = Generator(seed);  // the same masks each time
    return call_layer(*m.layer, s);
  }
  // A scalar that weighs each element of y differently, but alike wherever it stands in a batch.
  static Tensor loss(const Tensor& y) {
    Array c = empty(y.shape());
    const std::size_t last = y.dim() == 0 ? 1 : std::max<std::size_t>(y.shape(y.dim() - 1), 1);
    for (std::size_t i = 0; i < c.size(); ++i)
      c.data()[i] = static_cast<Real>(0.5 + 0.3 * static_cast<double>(i % last % 5));
    return sum(y * Tensor(c));
  }
  Result run(Made& m, const LayerSample& s) const {
    m->zero_grad();
    const LayerSample in = leaves(s);
    const Tensor y = call(m, in);
    Result r{y.value(), {}, {}};
    if (y.requires_grad()) backward(loss(y));
    const auto add = [](Arrays& to, const Tensor& t) {
      to.push_back(t.grad().index() == 0 ? full(t.shape(), 0) : dense(t.grad()).value());
    };
    for (const Tensor& t : in.x) add(r.dx, t);
    for (const Tensor& p : m->parameters()) add(r.dp, p);
    return r;
  }
  Result run(const LayerSample& s) const {
    Made m(make, 1);
    return run(m, s);
  }

  std::size_t batch() const {
    const auto& shape = sample.x.empty() ? sample.ids.shape() : sample.x[0].shape();
    return *tags.batch_axis < shape.size() ? shape[*tags.batch_axis] : 0;
  }
  std::size_t out_axis() const { return tags.out_batch_axis.value_or(*tags.batch_axis); }
  // The sample with other slices along an axis; outside it is x = `outside`, id = padding_idx.
  LayerSample with(std::size_t axis, const std::vector<std::size_t>& at, Real outside = 0) const {
    LayerSample s = sample;
    for (Tensor& t : s.x) t = Tensor(take(t.value(), axis, at, outside));
    if (s.ids.dimension() > axis) s.ids = take(s.ids, axis, at, tags.padding_idx.value_or(0));
    if (axis != tags.batch_axis) return s;
    Lengths lengths;
    for (std::size_t k : at) {
      if (k < s.lengths.size()) lengths.push_back(s.lengths[k]);
    }
    s.lengths = lengths;
    return s;
  }
};

using Kind = LayerReport::Verdict;
struct Check {
  const char *name, *hint;
  std::function<Measured(const Kit&)> run;
};

// ---- parameters ----

Measured same_seed(const Kit& k) {
  return {distance(Kit::Made(k.make, 1).values(), Kit::Made(k.make, 1).values()), 0};
}

Measured names_and_shapes(const Kit& k) {
  const Kit::Made m(k.make, 1);
  const StateDict all = m->state_dict();
  for (const auto& [name, t] : all) {
    expect(finite({t.value()}), name, " holds numbers that are not finite");
    const auto stated = k.tags.parameters.find(name);
    expect(k.tags.parameters.empty() || stated != k.tags.parameters.end(), name, " is not stated");
    expect(k.tags.parameters.empty() || stated->second == t.shape(), name, " is ", t.shape());
  }
  expect(k.tags.parameters.empty() || all.size() == k.tags.parameters.size(),
         "there are fewer parameters than stated");
  return {};
}

Measured all_get_gradients(const Kit& k) {
  Kit::Made m(k.make, 1);
  const StateDict all = m->state_dict();
  need(!all.empty(), "no parameters");
  const Kit::Result r = k.run(m, k.sample);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool none = all[i].second.grad().index() == 0;
    expect(none == (k.tags.no_gradient.count(all[i].first) != 0), all[i].first,
           none ? " got none" : " got one, though it is tagged no_gradient");
  }
  return {};
}

Measured saved_and_loaded(const Kit& k) {
  Kit::Made first(k.make, 1), second(k.make, 2);
  need(!first->parameters().empty(), "no parameters");
  std::map<std::string, Array> values;
  for (const auto& [name, t] : first->state_dict()) values[name] = t.value();
  second->load_state_dict(values);
  return {distance(k.run(first, k.sample).all(), k.run(second, k.sample).all()), 0};
}

Measured bad_state_dicts(const Kit& k) {
  const Kit::Made m(k.make, 1);
  std::map<std::string, Array> right;
  for (const auto& [name, t] : m->state_dict()) right[name] = t.value() * Real(2);
  need(!right.empty(), "no parameters");
  const Arrays before = m.values();
  for (const std::string what : {"a missing", "an extra", "a misshapen"}) {
    std::map<std::string, Array> wrong = right;
    if (what == "a missing") wrong.erase(wrong.begin());
    if (what == "an extra") wrong["no_such_name"] = full({1}, 0);
    if (what == "a misshapen") wrong.begin()->second = full({9, 9, 9}, 0);
    bool refused = false;
    try {
      m->load_state_dict(wrong);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    expect(refused, what, " name is accepted");
    expect(distance(m.values(), before) == 0, what,
           " name is refused, but parameters have changed");
  }
  return {};
}

// ---- values ----

Measured output_shape(const Kit& k) {
  need(k.tags.output_shape != nullptr, "needs the tag output_shape");
  std::vector<LayerSample> samples{k.sample};
  if (k.tags.batch_axis) samples.push_back(k.with(*k.tags.batch_axis, {0}));
  if (k.tags.time_axis && k.sample.lengths.empty())
    samples.push_back(k.with(*k.tags.time_axis, {0}));
  if (k.tags.batch_axis) samples.push_back(k.with(*k.tags.batch_axis, {}));
  for (const LayerSample& s : samples) {
    Kit::Made m(k.make, 1);
    Shape got;
    try {
      got = k.call(m, s).shape();
    } catch (const std::invalid_argument&) {
      continue;  // documented, for a batch of nothing
    }
    const Shape want = k.tags.output_shape(s);
    expect(got == want, "is ", got, ", expected ", want);
  }
  return {};
}

void derivatives(const Kit& k, int order) {
  for (const std::uint64_t seed : {1, 2}) {
    Kit::Made m(k.make, seed);
    const LayerSample in = Kit::leaves(k.sample);
    GradcheckOptions options;
    options.order = order;
    Tensors leaves = in.x;
    for (std::size_t i = 0; i < in.x.size(); ++i) options.names.push_back(message("x[", i, ']'));
    k.run(m, k.sample);
    for (const auto& [name, t] : m->state_dict()) {
      if (t.grad().index() == 0) continue;  // there is a check for that
      leaves.push_back(t);
      options.names.push_back(name);
    }
    need(!leaves.empty(), "nothing to differentiate");
    check_gradients([&] { return k.call(m, in); }, leaves, options);
  }
}
Measured first_derivative(const Kit& k) { return derivatives(k, 1), Measured{}; }
Measured second_derivative(const Kit& k) {
  try {
    derivatives(k, 1);
  } catch (const std::exception&) {
    throw Skip("the first derivative is wrong");
  }
  return derivatives(k, 2), Measured{};
}

Measured two_backwards(const Kit& k) {
  Kit::Made m(k.make, 1);
  const Kit::Result once = k.run(m, k.sample);  // leaves .grad() as one backward() does
  const LayerSample in = Kit::leaves(k.sample);
  const Tensor y = k.call(m, in);
  need(y.requires_grad(), "nothing to differentiate");
  Arrays twice, doubled;
  gradients(Kit::loss(y), m->parameters(), false, true);
  backward(Kit::loss(y), true);
  backward(Kit::loss(y));
  const Tensors parameters = m->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Gradient& g = parameters[i].grad();
    twice.push_back(g.index() == 0 ? full(parameters[i].shape(), 0) : dense(g).value());
    doubled.push_back(once.dp[i] * Real(3));
  }
  return {distance(twice, doubled), kRounding};
}

Measured nothing_changes(const Kit& k) {
  need(!k.tags.changes_parameters, "tagged changes_parameters");
  Kit::Made m(k.make, 1);
  const Arrays before = m.values();
  const LayerSample in = Kit::leaves(k.sample);
  k.call(m, in);
  double most = distance(m.values(), before);
  for (std::size_t i = 0; i < in.x.size(); ++i)
    most = std::max(most, distance(in.x[i].value(), k.sample.x[i].value()));
  return {most, 0};
}

Measured no_grad(const Kit& k) {
  Kit::Made m(k.make, 1);
  const Array with = k.call(m, k.sample).value();
  const NoGrad guard;
  const Tensor without = k.call(m, k.sample);
  expect(!without.requires_grad(), "a graph is kept under NoGrad");
  return {distance(without.value(), with), 0};
}

Measured live(const Kit& k) {
  Kit::Made m(k.make, 1);
  k.run(m, k.sample);
  m->zero_grad();
  const std::size_t before = live_nodes();
  for (int i = 0; i < 3; ++i) k.run(m, k.sample);
  k.call(m, k.sample);  // no backward() releases it
  m->zero_grad();
  return {static_cast<double>(live_nodes()) - static_cast<double>(before), 0};
}

// ---- modes, repetition, threads ----

Measured eval_reaches_children(const Kit& k) {
  Kit::Made m(k.make, 1);
  const Array train = k.call(m, k.sample, 1).value();
  m->eval();
  expect(!m->training(), "training() is true after eval()");
  const double random = distance(k.call(m, k.sample, 1).value(), k.call(m, k.sample, 2).value());
  expect(random == 0, "random numbers are drawn in eval mode");
  m->train();
  return {distance(k.call(m, k.sample, 1).value(), train), 0};
}

Measured repeatable(const Kit& k) {
  Kit::Made m(k.make, 1);
  const double train = distance(k.run(m, k.sample).all(), k.run(m, k.sample).all());
  m->eval();
  return {std::max(train, distance(k.run(m, k.sample).all(), k.run(m, k.sample).all())), 0};
}

Measured threads(const Kit& k) {
  const std::size_t before = num_threads();
  struct Restore {
    std::size_t n;
    ~Restore() { set_num_threads(n); }
  } const restore{before};
  set_num_threads(1);
  const Arrays one = k.run(k.sample).all();
  expect(distance(k.run(k.sample).all(), one) == 0, "one thread gives other bits the second time");
  set_num_threads(2);
  return {distance(k.run(k.sample).all(), one), 1e-5};
}

// ---- batches and padding ----

// Example by example: what the batch gives, its slices in another order or alone.
Measured slices_agree(const Kit& k, bool alone) {
  need(k.tags.batch_axis.has_value(), "needs the tag batch_axis");
  const std::size_t n = k.batch(), axis = *k.tags.batch_axis;
  need(n > 1, "needs a sample of more than one example");
  Kit::Made m(k.make, 1);
  m->eval();  // a mask would hit other examples
  const Kit::Result whole = k.run(m, k.sample);
  std::vector<std::vector<std::size_t>> parts;
  for (std::size_t i = 0; i < n; ++i) parts.push_back({i});
  if (!alone) {
    parts = {range(1, n)};
    parts[0].push_back(0);
  }
  double most = 0;
  Arrays dp;
  for (const auto& at : parts) {
    const Kit::Result part = k.run(m, k.with(axis, at));
    most = std::max(most, distance(part.y, take(whole.y, k.out_axis(), at, 0)));
    for (std::size_t i = 0; i < whole.dx.size(); ++i)
      most = std::max(most, distance(part.dx[i], take(whole.dx[i], axis, at, 0)));
    for (std::size_t i = 0; i < part.dp.size(); ++i) {
      if (i == dp.size()) dp.push_back(full(part.dp[i].shape(), 0));
      dp[i] += part.dp[i];
    }
  }
  return {std::max(most, distance(dp, whole.dp)), kRounding};
}
Measured each_alone(const Kit& k) { return slices_agree(k, true); }
Measured permuted(const Kit& k) { return slices_agree(k, false); }

Measured padding(const Kit& k) {
  need(k.tags.time_axis && (!k.sample.lengths.empty() || k.tags.padding_idx),
       "needs the tag time_axis, and lengths or padding_idx");
  Kit::Made m(k.make, 1);
  m->eval();
  const Kit::Result plain = k.run(m, k.sample);
  LayerSample s = k.sample;
  if (!s.lengths.empty()) {  // [T, N, ...]: NaN where nothing counts
    for (Tensor& t : s.x) {
      Array a = t.value();
      const std::size_t N = s.lengths.size(),
                        row = a.size() / std::max<std::size_t>(1, a.shape()[0] * N);
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (i / (row * N) >= s.lengths[i / row % N]) a.data()[i] = Real(NAN);
      }
      t = Tensor(a);
    }
    const Kit::Result nan = k.run(m, s);
    expect(distance(nan.y, plain.y) <= kRounding, "NaN in the padding reaches the output");
    expect(finite(nan.dx) && distance(nan.dx, plain.dx) <= kRounding,
           "NaN in the padding reaches the gradient of x");
    expect(distance(nan.dp, plain.dp) <= kRounding,
           "NaN in the padding reaches the gradients of parameters");
  }
  const auto& shape = k.sample.x.empty() ? k.sample.ids.shape() : k.sample.x[0].shape();
  const Kit::Result more =
      k.run(m, k.with(*k.tags.time_axis, range(0, shape[*k.tags.time_axis] + 2), Real(7)));
  Array y = more.y;
  if (y.shape() != plain.y.shape())
    y = take(y, *k.tags.time_axis, range(0, plain.y.shape()[*k.tags.time_axis]), 0);
  return {std::max(distance(y, plain.y), distance(more.dp, plain.dp)), kRounding};
}

// ---- sparse gradients ----

Measured sparse_is_dense(const Kit& k) {
  need(k.tags.make_dense != nullptr, "needs the tag make_dense");
  Kit::Made sparse(k.make, 1), dense(k.tags.make_dense, 1);
  return {distance(k.run(sparse, k.sample).all(), k.run(dense, k.sample).all()), kRounding};
}

Measured lazy_rows(const Kit& k) {
  for (const SparsePolicy policy :
       {SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify}) {
    Kit::Made m(k.make, 1);
    k.run(m, k.sample);
    AdamOptions options;
    options.policy = policy;
    const Tensors parameters = m->parameters();
    need(std::any_of(parameters.begin(), parameters.end(),
                     [](const Tensor& p) { return std::get_if<RowSparse>(&p.grad()) != nullptr; }),
         "no gradient is row-sparse");
    Adam adam(parameters, options);
    const Arrays before = m.values();
    adam.step();
    for (std::size_t i = 0; policy == SparsePolicy::kLazy && i < before.size(); ++i) {
      auto* g = std::get_if<RowSparse>(&parameters[i].grad());
      if (g == nullptr) continue;
      const std::set<std::int64_t> named(g->rows.begin(), g->rows.end()),
          ids(k.sample.ids.begin(), k.sample.ids.end());
      for (const std::int64_t row : named)
        expect(ids.count(row) != 0, "the gradient names row ", row, ", which was not looked up");
      const std::size_t width = before[i].size() / g->num_rows;
      for (std::size_t at = 0; at < before[i].size(); ++at)
        expect(named.count(static_cast<std::int64_t>(at / width)) != 0 ||
                   parameters[i].value().data()[at] == before[i].data()[at],
               "row ", at / width, " moved, though the gradient does not name it");
    }
  }
  return {};
}

// ---- numbers, errors, learning ----

Measured rounded_to_float(const Kit& k) {
  need(sizeof(Real) == 8, "needs a library compiled for double");
  Kit::Made m(k.make, 1);
  const auto rounded = [](Array a) {
    for (Real& v : a) v = Real(float(v));
    return a;
  };
  const Array exact = k.run(m, k.sample).y;
  LayerSample s = k.sample;
  for (Tensor& t : s.x) t = Tensor(rounded(t.value()));
  for (Tensor p : m->parameters()) p.mutable_value() = rounded(p.value());
  return {distance(k.run(m, s).y, exact), 1e-4};
}

Measured extreme_inputs(const Kit& k) {
  need(!k.sample.x.empty(), "no x");
  for (const Real factor : {Real(1e4), Real(-1e4), Real(0)}) {
    LayerSample s = k.sample;
    for (Tensor& t : s.x) t = Tensor(t.value() * factor);
    const Kit::Result r = k.run(s);
    expect(finite({r.y}), "the output of x * ", factor, " is not finite");
    expect(finite(r.dx) && finite(r.dp), "a gradient at x * ", factor, " is not finite");
  }
  return {};
}

template <class Error>
void refused(const Kit& k, const LayerSample& s, const std::string& what,
             const std::string& shape) {
  Kit::Made m(k.make, 1);
  try {
    k.call(m, s);
  } catch (const Error& e) {
    const std::string text = e.what();
    for (const std::string& part : {k.tags.name, shape})
      expect(text.find(part) != std::string::npos, what, ": \"", text, "\" does not say ", part);
    return;
  } catch (const std::exception& e) {
    expect(false, what, " throws another kind of exception: ", e.what());
  }
  expect(false, what, " is accepted");
}

Measured wrong_arguments(const Kit& k) {
  const bool ids = k.sample.ids.dimension() > 0 && k.sample.ids.size() > 0;
  need(!k.tags.any_shape || ids, "tagged any_shape");
  for (std::size_t i = 0; i < k.sample.x.size() && !k.tags.any_shape; ++i) {
    LayerSample s = k.sample;
    const int dim = static_cast<int>(s.x[i].dim()), at = k.tags.feature_axis;
    const std::size_t axis = static_cast<std::size_t>(at < 0 ? at + dim : at);
    s.x[i] = Tensor(take(s.x[i].value(), axis, range(0, s.x[i].shape(axis) + 1), 0));
    const std::string shape = message(s.x[i].shape());
    refused<std::invalid_argument>(k, s, "x " + shape, shape);
  }
  for (const std::int64_t id : {std::int64_t{-7}, std::int64_t{1} << 40}) {
    if (!ids) break;
    LayerSample s = k.sample;
    s.ids.data()[0] = id;
    refused<std::out_of_range>(k, s, message("id ", id), std::to_string(id));
  }
  return {};
}

Measured stale_graphs(const Kit& k) {
  Kit::Made m(k.make, 1);
  const Arrays right = k.run(m, k.sample).all();
  for (std::size_t changed = 0; changed < right.size() - 1; ++changed) {
    Kit::Made fresh(k.make, 1);
    const LayerSample in = Kit::leaves(k.sample);
    const Tensor y = k.call(fresh, in);
    need(y.requires_grad(), "nothing to differentiate");
    Tensors all = in.x;
    const Tensors parameters = fresh->parameters();
    all.insert(all.end(), parameters.begin(), parameters.end());
    const Tensor l = Kit::loss(y);
    all[changed].mutable_value() *= Real(1.5);
    try {
      backward(l);  // refused, or not needed: then the gradients are the old ones
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].grad().index() != 0)
          expect(distance(dense(all[i].grad()).value(), right[i + 1]) <= kRounding,
                 "a value is changed before backward(), and the gradients are wrong");
      }
      backward(l);
    } catch (const std::logic_error&) {
      continue;
    }
    throw std::runtime_error("a released graph is walked again");
  }
  return {};
}

Measured overfits(const Kit& k) {
  Kit::Made teacher(k.make, 7), student(k.make, 8);
  const Tensors parameters = student->parameters();
  need(!parameters.empty(), "no parameters");
  Generator noise(9);
  for (Tensor p : teacher->parameters()) p.mutable_value() += Real(0.3) * normal(p.shape(), noise);
  teacher->eval();
  student->eval();
  const bool cut = k.tags.batch_axis && k.batch() > 8;
  const LayerSample eight = cut ? k.with(*k.tags.batch_axis, range(0, 8)) : k.sample;
  const Tensor target(k.call(teacher, eight).value());
  AdamOptions options;
  options.lr = 0.03;
  Adam adam(parameters, options);
  double first = 0, last = 0;
  for (int step = 0; step <= 300; ++step) {
    adam.zero_grad();
    const Tensor off = k.call(student, eight) - target, l = mean(off * off);
    last = double{l.item()};
    if (step == 0) first = last;
    backward(l);
    adam.step();
  }
  return {last / std::max(first, 1e-12), 0.1};
}

const std::vector<Check> kChecks{
    {"same seed, same parameters", "initial values must come from the generator", same_seed},
    {"names and shapes of parameters", "name each as PyTorch does", names_and_shapes},
    {"every parameter gets a gradient", "call() must use it; cut off by value() or NoGrad?",
     all_get_gradients},
    {"output shape", "is N = 1, T = 1 or N = 0 squeezed away?", output_shape},
    {"first derivative", "read the rule that is named", first_derivative},
    {"second derivative", "a rule must be made of ops of dy and of the inputs", second_derivative},
    {"two backwards add up", "gradients are added to .grad, and only by backward()", two_backwards},
    {"a call changes nothing", "copy before you write", nothing_changes},
    {"the same without a graph", "call() must not ask whether gradients are wanted", no_grad},
    {"nothing stays alive", "a rule must not capture its own output", live},
    {"load into another", "all that the output depends on must be a parameter", saved_and_loaded},
    {"wrong state dicts are refused", "check all before anything is written", bad_state_dicts},
    {"train and eval reach children", "register children by child()", eval_reaches_children},
    {"repeatable", "a call must not leave anything behind in the layer", repeatable},
    {"threads", "parts must not write to the same numbers", threads},
    {"a batch is each alone", "something is mixed, or averaged, over the batch", each_alone},
    {"the order of a batch", "something depends on an example's place", permuted},
    {"padding counts for nothing", "mask by where(), not by multiplying with 0", padding},
    {"sparse is dense", "rows that are named twice must add up", sparse_is_dense},
    {"rows that are not named", "the gradient's rows must be those looked up", lazy_rows},
    {"rounding", "differences of large numbers lose digits", rounded_to_float},
    {"extreme inputs", "subtract the maximum before exp, log1p for log(1 + x)", extreme_inputs},
    {"wrong arguments are refused", "check shapes and ids first; name the layer and both shapes",
     wrong_arguments},
    {"stale graphs are refused", "a rule reads its inputs by value(), which notices", stale_graphs},
    {"learns eight samples", "does each parameter move in its gradient's direction?", overfits}};

}  // namespace

LayerReport check_any_layer(const MakeLayer& make, const CallLayer& call,
                            const std::vector<LayerSample>& samples, const LayerTags& tags) {
  check<std::invalid_argument>(!samples.empty(), "check_layer: needs samples, got none");
  LayerReport report;
  for (const Check& c : kChecks) {
    LayerReport::Row row{c.name, Kind::kSkipped, {}, 0, 0, c.hint};
    for (const LayerSample& sample : samples) {
      try {
        const Measured m = c.run(Kit{make, call, tags, sample});
        if (row.verdict == Kind::kSkipped || m.value > row.measured)
          row.measured = m.value, row.allowed = m.allowed;
        row.verdict = m.value <= m.allowed ? Kind::kPassed : Kind::kFailed;
        row.why = row.verdict == Kind::kFailed
                      ? message("off by ", m.value, ", allowed ", m.allowed)
                      : "";
      } catch (const Skip& skip) {
        if (row.verdict == Kind::kSkipped) row.why = skip.what();
      } catch (const std::exception& e) {
        row.verdict = Kind::kFailed;
        row.why = e.what();
      }
      if (row.verdict == Kind::kFailed) break;
    }
    report.rows.push_back(row);
  }
  return report;
}

std::size_t LayerReport::count(Verdict verdict) const {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [=](const Row& row) { return row.verdict == verdict; }));
}
bool LayerReport::ok() const { return count(Verdict::kFailed) == 0 && count(Verdict::kPassed) > 0; }
void LayerReport::require() const {
  std::string all;
  for (const Row& row : rows) {
    if (row.verdict == Verdict::kFailed)
      all += message("\n  ", row.check, ": ", row.why, " (", row.hint, ')');
  }
  check<std::runtime_error>(ok(), "check_layer: ", all.empty() ? "no check ran" : "failed:" + all);
}

std::ostream& operator<<(std::ostream& out, const LayerReport& report) {
  for (const LayerReport::Row& row : report.rows) {
    const char* verdict = row.verdict == Kind::kPassed ? "ok" : "skipped";
    out << std::left << std::setw(32) << row.check << "  "
        << (row.verdict == Kind::kFailed ? "FAILED" : verdict);
    if (row.allowed > 0 && row.verdict == Kind::kPassed)
      out << ": " << row.measured << ", allowed " << row.allowed;
    if (!row.why.empty()) out << ": " << row.why;
    if (row.verdict == Kind::kFailed) out << "\n    hint: " << row.hint;
    out << '\n';
  }
  return out << report.rows.size() << " checks: " << report.count(Kind::kPassed) << " passed, "
             << report.count(Kind::kSkipped) << " skipped, " << report.count(Kind::kFailed)
             << " failed\n";
}

}  // namespace gradwalk
