#include "layers/check_layer.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
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

// The text of the E that f throws; none if it throws nothing.
template <class E, class F>
std::optional<std::string> thrown(const F& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return {};
}

struct Skip : std::runtime_error {
  using runtime_error::runtime_error;
};
void need(bool have, const char* reason) { check<Skip>(have, reason); }
template <class... Args>
void expect(bool ok, const Args&... args) {
  check<std::runtime_error>(ok, args...);
}

// The slices `at` of an array along an axis; where `at` is outside, `outside`.
template <class A, class T>
A take(const A& a, std::size_t axis, const std::vector<std::size_t>& at, T outside) {
  Shape shape(a.shape().begin(), a.shape().end());
  check<std::invalid_argument>(axis < shape.size(), "check_layer: no axis ", axis, " in ", shape);
  const std::size_t n = shape[axis], inner = size_of({shape.begin() + axis + 1, shape.end()});
  shape[axis] = at.size();
  A out = empty<A>(shape);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t from = at[i / inner % at.size()], o = i / inner / at.size();
    out.data()[i] = from < n ? a.data()[(o * n + from) * inner + i % inner]
                             : static_cast<typename A::value_type>(outside);
  }
  return out;
}

std::vector<std::size_t> range(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> at(end - begin);
  std::iota(at.begin(), at.end(), begin);
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
  return std::all_of(arrays.begin(), arrays.end(), [](const Array& a) {
    return std::all_of(a.begin(), a.end(), [](Real v) { return std::isfinite(v); });
  });
}

// A layer, and the generator that it may go on drawing from.
struct Made {
  Generator generator;
  std::shared_ptr<Module> layer;
  Made(const MakeLayer& make, std::uint64_t seed) : generator(seed), layer(make(generator)) {
    expect(layer != nullptr, "make() returned no layer");
  }
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
Array numbers(const Tensor& leaf) {
  return leaf.grad().index() == 0 ? full(leaf.shape(), 0) : dense(leaf.grad()).value();
}

LayerSample leaves(const LayerSample& s) {
  LayerSample copy = s;
  for (Tensor& t : copy.x) t = Tensor(t.value(), true);
  return copy;
}
// A scalar in which each element of y counts differently, but alike wherever it stands in a batch.
Tensor loss(const Tensor& y) {
  Array c = empty(y.shape());
  const std::size_t last = y.dim() == 0 ? 1 : std::max<std::size_t>(y.shape(y.dim() - 1), 1);
  for (std::size_t i = 0; i < c.size(); ++i)
    c.data()[i] = static_cast<Real>(0.5 + 0.3 * static_cast<double>(i % last % 5));
  return sum(y * Tensor(c));
}

struct Kit {
  const MakeLayer& make;
  const CallLayer& call_layer;
  const LayerTags& tags;
  LayerSample sample;

  Tensor call(Made& m, const LayerSample& s, std::uint64_t seed = 99) const {
    m.generator = Generator(seed);  // the same masks each time
    return call_layer(*m.layer, s);
  }
  Array value(Made& m, std::uint64_t seed = 99) const { return call(m, sample, seed).value(); }
  Result run(Made& m, const LayerSample& s) const {
    m->zero_grad();
    const LayerSample in = leaves(s);
    const Tensor y = call(m, in);
    Result r{y.value(), {}, {}};
    if (y.requires_grad()) backward(loss(y));
    for (const Tensor& t : in.x) r.dx.push_back(numbers(t));
    for (const Tensor& p : m->parameters()) r.dp.push_back(numbers(p));
    return r;
  }
  Result run(Made& m) const { return run(m, sample); }

  // The length of an axis of x, or of ids.
  std::size_t length(std::size_t axis) const {
    const Shape shape = sample.x.empty()
                            ? Shape(sample.ids.shape().begin(), sample.ids.shape().end())
                            : sample.x[0].shape();
    return axis < shape.size() ? shape[axis] : 0;
  }
  // The sample with other slices along an axis; outside it is x = `outside`, id = padding_idx.
  LayerSample with(std::size_t axis, const std::vector<std::size_t>& at, Real outside = 0) const {
    LayerSample s = sample;
    for (Tensor& t : s.x) t = Tensor(take(t.value(), axis, at, outside));
    if (s.ids.dimension() > axis) s.ids = take(s.ids, axis, at, tags.padding_idx.value_or(0));
    if (axis != tags.batch_axis) return s;
    s.lengths.clear();
    for (std::size_t k : at) {
      if (k < sample.lengths.size()) s.lengths.push_back(sample.lengths[k]);
    }
    return s;
  }
};

void derivatives(const Kit& k, int order) {
  for (const std::uint64_t seed : {1, 2}) {
    Made m(k.make, seed);
    const LayerSample in = leaves(k.sample);
    GradcheckOptions options;
    options.order = order;
    Tensors all = in.x;
    for (std::size_t i = 0; i < in.x.size(); ++i) options.names.push_back(message("x[", i, ']'));
    k.run(m);
    for (auto [name, t] : m->state_dict()) {
      if (t.grad().index() == 0) continue;                            // there is a check for that
      if (k.tags.changes_parameters) t.mutable_value() *= Real(0.5);  // away from a maximum
      all.push_back(t);
      options.names.push_back(name);
    }
    need(!all.empty(), "nothing to differentiate");
    check_gradients([&] { return k.call(m, in); }, all, options);
  }
}
// Example by example: what the batch gives, its slices in another order or alone.
double slices_agree(const Kit& k, Made& m, bool alone) {
  need(k.tags.batch_axis.has_value(), "needs the tag batch_axis");
  const std::size_t axis = *k.tags.batch_axis, n = k.length(axis);
  need(n > 1, "needs a sample of more than one example");
  m->eval();  // a mask would hit other examples
  const Result whole = k.run(m);
  std::vector<std::vector<std::size_t>> parts{range(1, n)};
  parts[0].push_back(0);
  if (alone) parts.clear();
  for (std::size_t i = 0; alone && i < n; ++i) parts.push_back({i});
  double most = 0;
  Arrays dp;
  for (const Array& a : whole.dp) dp.push_back(full(a.shape(), 0));
  for (const auto& at : parts) {
    const Result part = k.run(m, k.with(axis, at));
    const std::size_t out = k.tags.out_batch_axis.value_or(axis);
    most = std::max(most, distance(part.y, take(whole.y, out, at, 0)));
    for (std::size_t i = 0; i < whole.dx.size(); ++i)
      most = std::max(most, distance(part.dx[i], take(whole.dx[i], axis, at, 0)));
    for (std::size_t i = 0; i < dp.size(); ++i) dp[i] += part.dp[i];
  }
  return std::max(most, distance(dp, whole.dp));
}
template <class Error>
void refused(const Kit& k, Made& m, const LayerSample& s, const std::string& what,
             const std::string& shape) {
  std::optional<std::string> text;
  const auto other = thrown<std::exception>([&] { text = thrown<Error>([&] { k.call(m, s); }); });
  expect(!other, what, " throws another kind of exception: ", other.value_or(""));
  expect(text.has_value(), what, " is accepted");
  for (const std::string& part : {k.tags.name, shape})
    expect(text->find(part) != std::string::npos, what, ": \"", *text, "\" does not say ", part);
}

struct Check {
  const char *name, *hint;
  double allowed;
  std::function<double(const Kit&, Made&)> run;  // returns what is measured, or throws
};
// m was made from seed 1.
const std::vector<Check> kChecks{
    {"same seed, same parameters", "initial values must come from the generator", 0,
     [](const Kit& k, Made& m) {
       const Arrays one = m.values();
       const bool drawn = std::any_of(one.begin(), one.end(), [](const Array& a) {  // no two alike
         return a.size() > 1 && std::set<Real>(a.begin(), a.end()).size() == a.size();
       });
       expect(!drawn || distance(Made(k.make, 2).values(), one) > 0,
              "another seed changes nothing");
       return distance(Made(k.make, 1).values(), one);
     }},
    {"names and shapes of parameters", "name each as PyTorch does", 0,
     [](const Kit& k, Made& m) {
       std::map<const Node*, std::string> seen;
       std::map<std::string, Shape> missing = k.tags.parameters;
       for (const auto& [name, t] : m->state_dict()) {
         const auto [other, fresh] = seen.emplace(t.node().get(), name);
         expect(fresh, name, " is the same tensor as ", other->second);
         expect(finite({t.value()}), name, " holds numbers that are not finite");
         const auto stated = k.tags.parameters.find(name);
         expect(k.tags.parameters.empty() || stated != k.tags.parameters.end(), name,
                " is not stated");
         expect(k.tags.parameters.empty() || stated->second == t.shape(), name, " is ", t.shape());
         missing.erase(name);
       }
       expect(missing.empty(), missing.empty() ? "" : missing.begin()->first,
              " is stated but missing");
       return 0;
     }},
    {"every parameter gets a gradient", "call() must use it; cut off by value() or NoGrad?", 0,
     [](const Kit& k, Made& m) {
       const LayerSample in = leaves(k.sample);
       Tensors waiting{k.call(m, in)}, known = m->parameters();
       known.insert(known.end(), in.x.begin(), in.x.end());
       std::set<const Node*> seen;
       for (const Tensor& t : known) seen.insert(t.node().get());
       while (!waiting.empty()) {
         const std::shared_ptr<Node> n = waiting.back().node();
         waiting.pop_back();
         if (n == nullptr || !n->requires_grad || !seen.insert(n.get()).second) continue;
         expect(!n->leaf, "a tensor ", n->value.shape(), " is trained, but is no parameter()");
         waiting.insert(waiting.end(), n->inputs.begin(), n->inputs.end());
       }
       const StateDict all = m->state_dict();
       need(!all.empty(), "no parameters");
       k.run(m);
       for (const auto& [name, t] : all) {
         const bool none = t.grad().index() == 0;
         expect(none == (k.tags.no_gradient.count(name) != 0), name,
                none ? " got none" : " got one, though it is tagged no_gradient");
       }
       return 0;
     }},
    {"output shape", "is N = 1, T = 1 or N = 0 squeezed away?", 0,
     [](const Kit& k, Made& m) {
       need(k.tags.output_shape != nullptr, "needs the tag output_shape");
       std::vector<LayerSample> samples{k.sample};
       if (k.tags.time_axis && k.sample.lengths.empty())
         samples.push_back(k.with(*k.tags.time_axis, {0}));
       for (std::size_t n = 2; k.tags.batch_axis && n-- > 0;)
         samples.push_back(k.with(*k.tags.batch_axis, range(0, n)));
       for (const LayerSample& s : samples) {
         Shape got;
         if (thrown<std::invalid_argument>([&] { got = k.call(m, s).shape(); }))
           continue;  // documented, for a batch of nothing
         const Shape want = k.tags.output_shape(s);
         expect(got == want, "is ", got, ", expected ", want);
       }
       return 0;
     }},
    {"a call changes nothing", "copy before you write", 0,
     [](const Kit& k, Made& m) {
       need(!k.tags.changes_parameters, "tagged changes_parameters");
       const Arrays before = m.values();
       const LayerSample in = leaves(k.sample);
       k.call(m, in);
       double most = distance(m.values(), before);
       for (std::size_t i = 0; i < in.x.size(); ++i)
         most = std::max(most, distance(in.x[i].value(), k.sample.x[i].value()));
       return most;
     }},
    {"repeatable", "a call must not leave anything behind in the layer", 0,
     [](const Kit& k, Made& m) {
       const double train = distance(k.run(m).all(), k.run(m).all());
       m->eval();
       return std::max(train, distance(k.run(m).all(), k.run(m).all()));
     }},
    {"first derivative",
     "read the rule that is named, if the checks above passed; is a float used?", 0,
     [](const Kit& k, Made&) { return derivatives(k, 1), 0; }},
    {"second derivative", "a rule must be made of ops of dy and of the inputs", 0,
     [](const Kit& k, Made&) {
       need(!thrown<std::exception>([&] { derivatives(k, 1); }), "the first derivative is wrong");
       return derivatives(k, 2), 0;
     }},
    {"two backwards add up", "gradients are added to .grad, and only by backward()", kRounding,
     [](const Kit& k, Made& m) {
       Arrays thrice, all = k.run(m).dp;  // leaves .grad() as one backward() does
       const Tensor y = k.call(m, leaves(k.sample));
       need(y.requires_grad(), "nothing to differentiate");
       Tensors some = m->parameters();
       const auto frozen = [](const Tensor& p) { return !p.requires_grad(); };
       some.erase(std::remove_if(some.begin(), some.end(), frozen), some.end());
       gradients(loss(y), some, false, true);  // leaves .grad() alone
       backward(loss(y), true);
       backward(loss(y));
       for (Array& a : all) a *= Real(3);
       for (const Tensor& p : m->parameters()) thrice.push_back(numbers(p));
       return distance(thrice, all);
     }},
    {"the same without a graph", "call() must not ask whether gradients are wanted", 0,
     [](const Kit& k, Made& m) {
       const Array with = k.value(m);
       const NoGrad guard;
       const Tensor without = k.call(m, k.sample);
       expect(!without.requires_grad(), "a graph is kept under NoGrad");
       return distance(without.value(), with);
     }},
    {"nothing stays alive", "a rule must not capture its own output", 0,
     [](const Kit& k, Made& m) {
       k.run(m);
       m->zero_grad();
       const std::size_t before = live_nodes();
       for (int i = 0; i < 3; ++i) k.run(m);
       k.call(m, k.sample);  // no backward() releases it
       m->zero_grad();
       return static_cast<double>(live_nodes()) - static_cast<double>(before);
     }},
    {"load into another", "all that the output depends on must be a parameter", 0,
     [](const Kit& k, Made& m) {
       Made second(k.make, 2);
       need(!m->parameters().empty(), "no parameters");
       std::map<std::string, Array> values;
       for (const auto& [name, t] : m->state_dict()) values[name] = t.value();
       second->load_state_dict(values);
       return distance(k.run(m).all(), k.run(second).all());
     }},
    {"wrong state dicts are refused", "check all before anything is written", 0,
     [](const Kit&, Made& m) {
       std::map<std::string, Array> right;
       for (const auto& [name, t] : m->state_dict()) right[name] = t.value() * Real(2);
       need(!right.empty(), "no parameters");
       const Arrays before = m.values();
       auto missing = right, extra = right, misshapen = right;
       missing.erase(missing.begin());
       extra["no_such_name"] = full({1}, 0);
       misshapen.begin()->second = full({9, 9, 9}, 0);
       for (const auto& [what, wrong] :
            {std::pair{"a missing", missing}, {"an extra", extra}, {"a misshapen", misshapen}}) {
         const auto load = [&m, w = wrong] { m->load_state_dict(w); };
         expect(thrown<std::invalid_argument>(load).has_value(), what, " name is accepted");
         expect(distance(m.values(), before) == 0, what,
                " name is refused, but parameters changed");
       }
       return 0;
     }},
    {"train and eval reach children", "register children by child(); ask training()", 0,
     [](const Kit& k, Made& m) {
       const Tensor train = k.call(m, k.sample, 1);
       const bool random = distance(k.value(m, 2), train.value()) > 0;
       Array total = full(train.shape(), 0);
       for (std::uint64_t seed = 0; random && seed < 400; ++seed)
         total += k.value(m, seed) / Real(400);
       m->eval();
       expect(!m->training(), "training() is true after eval()");
       const Tensor eval = k.call(m, k.sample, 1);
       expect(distance(k.value(m, 2), eval.value()) == 0,
              "two calls in eval mode differ: a mask is drawn, or a state kept");
       expect(eval.requires_grad() == train.requires_grad(), "in eval mode no graph is recorded");
       // A factor that all of the output has in common; 400 draws are noisy.
       const double ratio = sum(Tensor(total) * eval).item() / sum(eval * eval).item();
       total -= Real(ratio) * eval.value();
       const double rest = sum(pow(Tensor(total), 2)).item() / sum(pow(ratio * eval, 2)).item();
       expect(!random || eval.size() < 4 || !(rest < 0.02) || std::abs(ratio - 1) < 0.1,
              "on average training gives ", ratio, " times what evaluation gives: 1 / (1 - p)?");
       m->train();
       return distance(k.value(m, 1), train.value());
     }},
    {"threads", "parts must not write to the same numbers, nor draw their own", 1e-5,
     [](const Kit& k, Made& m) {
       struct Restore {
         std::size_t n = num_threads();
         ~Restore() { set_num_threads(n); }
       } const restore;
       set_num_threads(1);
       const Arrays one = k.run(m).all();
       expect(distance(k.run(m).all(), one) == 0, "one thread gives other bits the second time");
       set_num_threads(2);
       return distance(k.run(m).all(), one);
     }},
    {"a batch is each alone", "something is mixed, or averaged, over the batch", kRounding,
     [](const Kit& k, Made& m) { return slices_agree(k, m, true); }},
    {"the order of a batch", "something depends on an example's place", kRounding,
     [](const Kit& k, Made& m) { return slices_agree(k, m, false); }},
    {"padding counts for nothing", "neither in a sum nor as a step: use the lengths", kRounding,
     [](const Kit& k, Made& m) {
       need(k.tags.time_axis && (!k.sample.lengths.empty() || k.tags.padding_idx),
            "needs the tag time_axis, and lengths or padding_idx");
       m->eval();
       const std::size_t axis = *k.tags.time_axis, T = k.length(axis), N = k.sample.lengths.size();
       const Result plain = k.run(m);
       double off = 0;
       for (const Real outside :
            {Real(7), Real(NAN)}) {  // where nothing counts, and in two more steps
         LayerSample s = k.with(axis, range(0, T + 2), outside);
         for (std::size_t i = 0; N > 0 && i < s.x.size(); ++i) {  // [T, N, ...]
           Array& a = s.x[i].mutable_value();
           const std::size_t row = std::max<std::size_t>(1, a.size() / (a.shape()[0] * N));
           for (std::size_t at = 0; at < a.size(); ++at) {
             if (at / (row * N) >= s.lengths[at / row % N]) a.data()[at] = outside;
           }
         }
         Result more = k.run(m, s);
         if (more.y.shape() != plain.y.shape())
           more.y = take(more.y, axis, range(0, plain.y.shape()[axis]), 0);
         for (Array& dx : more.dx) dx = take(dx, axis, range(0, T), 0);
         off = distance(more.all(), plain.all());
         expect(off <= kRounding || outside == 7,
                "NaN in the padding leaks: mask by where(), since 0 * NaN is NaN");
         if (off > kRounding) break;
       }
       return off;
     }},
    {"sparse is dense", "rows that are named twice must add up; padding_idx in both?", kRounding,
     [](const Kit& k, Made& m) {
       need(k.tags.make_dense != nullptr, "needs the tag make_dense");
       Made dense(k.tags.make_dense, 1);
       return distance(k.run(m).all(), k.run(dense).all());
     }},
    {"rows that are not named", "only rows that are looked up may change", 0,
     [](const Kit& k, Made&) {
       for (const auto policy :
            {SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify}) {
         Made m(k.make, 1);
         const Arrays before = m.values();
         k.run(m);
         AdamOptions options;
         options.policy = policy;
         const Tensors parameters = m->parameters();
         need(std::any_of(
                  parameters.begin(), parameters.end(),
                  [](const Tensor& p) { return std::holds_alternative<RowSparse>(p.grad()); }),
              "no gradient is row-sparse");
         Adam(parameters, options).step();
         for (std::size_t i = 0; policy == SparsePolicy::kLazy && i < before.size(); ++i) {
           auto* g = std::get_if<RowSparse>(&parameters[i].grad());
           if (g == nullptr) continue;
           const std::set<std::int64_t> named(g->rows.begin(), g->rows.end()),
               ids(k.sample.ids.begin(), k.sample.ids.end());
           for (const std::int64_t row : named)
             expect(ids.count(row) != 0, "the gradient names row ", row,
                    ", which was not looked up");
           const std::size_t width = before[i].size() / g->num_rows;
           for (std::size_t at = 0; at < before[i].size(); ++at)
             expect(named.count(static_cast<std::int64_t>(at / width)) != 0 ||
                        parameters[i].value().data()[at] == before[i].data()[at],
                    "row ", at / width, " moved, though the gradient does not name it");
         }
       }
       return 0;
     }},
    {"rounding", "differences of large numbers lose digits", 1e-4,
     [](const Kit& k, Made& m) {
       need(sizeof(Real) == 8, "needs a library compiled for double");
       const Array exact = k.value(m);
       LayerSample s = leaves(k.sample);
       Tensors all = m->parameters();
       all.insert(all.end(), s.x.begin(), s.x.end());
       for (Tensor& t : all) {
         for (Real& v : t.mutable_value()) v = Real(float(v));
       }
       return distance(k.call(m, s).value(), exact);
     }},
    {"extreme inputs", "no x may make a number that is not finite", 0,
     [](const Kit& k, Made& m) {
       need(!k.sample.x.empty(), "no x");
       for (const Real factor : {Real(1e4), Real(-1e4), Real(0)}) {
         LayerSample s = k.sample;
         for (Tensor& t : s.x) t = Tensor(t.value() * factor);
         const Result r = k.run(m, s);
         const char* cause = factor == 0
                                 ? "; epsilon inside the root? where() lets 0 * inf through"
                                 : "; subtract the maximum before exp, log1p for log(1 + x)";
         expect(finite({r.y}), "the output of x * ", factor, " is not finite", cause);
         expect(finite(r.dx) && finite(r.dp), "a gradient at x * ", factor, " is not finite",
                cause);
       }
       return 0;
     }},
    {"wrong arguments are refused", "check shapes and ids first; name the layer and both shapes", 0,
     [](const Kit& k, Made& m) {
       const bool ids = k.sample.ids.dimension() > 0 && k.sample.ids.size() > 0;
       need(!k.tags.any_shape || ids || !k.sample.lengths.empty(), "tagged any_shape");
       for (std::size_t i = 0; i < k.sample.x.size() && !k.tags.any_shape; ++i) {
         LayerSample s = k.sample;
         const int dim = static_cast<int>(s.x[i].dim()), at = k.tags.feature_axis;
         const std::size_t axis = static_cast<std::size_t>(at < 0 ? at + dim : at);
         s.x[i] = Tensor(take(s.x[i].value(), axis, range(0, s.x[i].shape(axis) + 1), 0));
         const std::string shape = message(s.x[i].shape());
         refused<std::invalid_argument>(k, m, s, "x " + shape, shape);
       }
       for (const std::size_t length :
            {std::size_t{0}, k.length(k.tags.time_axis.value_or(0)) + 1}) {
         LayerSample s = k.sample;
         if (s.lengths.empty()) break;
         s.lengths[0] = length;
         refused<std::invalid_argument>(k, m, s, message("length ", length),
                                        std::to_string(length));
       }
       for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{1} << 40}) {
         LayerSample s = k.sample;
         if (ids) s.ids.data()[0] = id;
         if (ids) refused<std::out_of_range>(k, m, s, message("id ", id), std::to_string(id));
       }
       return 0;
     }},
    {"stale graphs are refused", "a rule reads its inputs by value(), which notices", 0,
     [](const Kit& k, Made& m) {
       const Arrays right = k.run(m).all();
       for (std::size_t changed = 0; changed < right.size() - 1; ++changed) {
         Made fresh(k.make, 1);
         Tensors all = leaves(k.sample).x;
         LayerSample in = k.sample;
         in.x = all;
         const Tensor y = k.call(fresh, in);
         need(y.requires_grad(), "nothing to differentiate");
         for (const Tensor& p : fresh->parameters()) all.push_back(p);
         const Tensor l = loss(y);
         all[changed].mutable_value() *= Real(1.5);
         expect(thrown<std::logic_error>([&] {
                  backward(l);  // refused, or not needed: then the gradients are the old ones
                  for (std::size_t i = 0; i < all.size(); ++i)
                    expect(all[i].grad().index() == 0 ||
                               distance(numbers(all[i]), right[i + 1]) <= kRounding,
                           "a value is changed before backward(), and the gradients are wrong");
                  backward(l);
                }).has_value(),
                "a released graph is walked again");
       }
       return 0;
     }},
    {"learns eight samples", "does each parameter move in its gradient's direction?", 0.1,
     [](const Kit& k, Made&) {
       const auto batch = k.tags.batch_axis;
       const LayerSample eight =
           batch && k.length(*batch) > 8 ? k.with(*batch, range(0, 8)) : k.sample;
       double best = HUGE_VAL;
       for (std::uint64_t seed = 7; best > 0.1 && seed < 13; seed += 2) {  // some relus may be dead
         Made teacher(k.make, seed), student(k.make, seed + 1);
         const Tensors parameters = student->parameters();
         need(!parameters.empty(), "no parameters");
         Generator noise(9);
         for (Tensor p : teacher->parameters())
           p.mutable_value() += Real(0.3) * normal(p.shape(), noise);
         teacher->eval();
         student->eval();
         const Tensor target(k.call(teacher, eight).value());
         AdamOptions options;
         options.lr = 0.03;
         Adam adam(parameters, options);
         double first = 0, last = 0, slope = 0;
         for (int step = 0; step <= 300; ++step) {
           adam.zero_grad();
           const Tensor off = k.call(student, eight) - target, l = mean(off * off);
           last = double{l.item()};
           if (step == 0) first = last;
           backward(l);
           for (const Tensor& p : parameters) slope += norm(p.grad());
           if (slope == 0 && last > 0) break;
           adam.step();
         }
         best = std::min(best, last / std::max(first, 1e-12));
         expect(slope > 0 || last == 0 || seed < 11,
                "all gradients are zero from the start: ", "other initial values?");
       }
       return best;
     }}};

using Kind = LayerReport::Verdict;

}  // namespace

LayerReport check_any_layer(const MakeLayer& make, const CallLayer& call,
                            const std::vector<LayerSample>& samples, const LayerTags& tags) {
  check<std::invalid_argument>(!samples.empty(), "check_layer: needs samples, got none");
  LayerReport report;
  for (const Check& c : kChecks) {
    LayerReport::Row row{c.name, Kind::kSkipped, {}, 0, c.allowed, c.hint};
    for (const LayerSample& sample : samples) {
      try {
        Made m(make, 1);  // on a copy of the sample: a call may spoil it
        const double off = c.run(Kit{make, call, tags, leaves(sample)}, m);
        row.measured = row.verdict == Kind::kSkipped ? off : std::max(off, row.measured);
        row.why.clear();
        row.verdict = Kind::kPassed;
        expect(off <= c.allowed, "off by ", off, ", allowed ", c.allowed);  // NaN is not
      } catch (const Skip& skip) {
        if (row.verdict == Kind::kSkipped) row.why = skip.what();
      } catch (const std::exception& e) {
        row.verdict = Kind::kFailed;
        row.why = e.what();
        break;
      }
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
    if (row.verdict == Kind::kSkipped) out << " (" << row.why << ')';
    if (row.verdict == Kind::kFailed) out << ": " << row.why;
    if (row.verdict == Kind::kFailed) out << "\n    hint: " << row.hint;
    out << '\n';
  }
  return out << report.rows.size() << " checks: " << report.count(Kind::kPassed) << " passed, "
             << report.count(Kind::kSkipped) << " skipped, " << report.count(Kind::kFailed)
             << " failed\n";
}

}  // namespace gradwalk
