#include "layers/check_layer.hpp"

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

namespace gradwalk {
namespace {

constexpr double kRounding = sizeof(Real) == 4 ? 1e-4 : 1e-10;
using Arrays = std::vector<Array>;
using Kind = LayerReport::Verdict;

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

Axes first(std::size_t n) {
  Axes at(n);
  std::iota(at.begin(), at.end(), std::size_t{0});
  return at;
}
// The slices `at` of an array along an axis; `outside` where it has none.
template <class A>
A take(const A& a, std::size_t axis, const Axes& at, typename A::value_type outside = 0) {
  Shape shape = a.shape();
  check(axis < shape.size(), "check_layer: no axis ", axis, " in ", shape);
  const std::size_t n = shape[axis], inner = size_of({shape.begin() + axis + 1, shape.end()});
  shape[axis] = at.size();
  A out = full<A>(shape, outside);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t from = at[i / inner % at.size()], block = i / inner / at.size();
    if (from < n) out.data()[i] = a.data()[(block * n + from) * inner + i % inner];
  }
  return out;
}

// The largest |a - b| / max(1, |b|); NaN is like NaN only.
double distance(const Arrays& as, const Arrays& bs) {
  if (as.size() != bs.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t k = 0; k < as.size(); ++k) {
    if (as[k].shape() != bs[k].shape()) return HUGE_VAL;
    for (std::size_t i = 0; i < as[k].size(); ++i) {
      const double a = double{as[k].data()[i]}, b = double{bs[k].data()[i]};
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      const double off = std::abs(a - b) / std::max(1., std::abs(b));
      worst = std::isfinite(off) ? std::max(worst, off) : HUGE_VAL;
    }
  }
  return worst;
}
bool finite(const Array& a) {
  return std::all_of(a.begin(), a.end(), [](Real v) { return std::isfinite(v); });
}

// A loss whose gradient differs from number to number, but not with an example's place.
Tensor loss(const Tensor& y) {
  need(y.requires_grad(), "nothing to differentiate");
  return sum(softplus(y));
}

struct Kit {
  const MakeLayer& make;
  const CallLayer& call_layer;
  const LayerTags& tags;
  LayerSample sample;

  // The length of an axis of x, or of ids.
  std::size_t length(std::size_t axis) const {
    const Shape& shape = sample.x.empty() ? sample.ids.shape() : sample.x[0].shape();
    return axis < shape.size() ? shape[axis] : 0;
  }
  // The sample with other slices along an axis; beyond its end x is `outside`, an id padding_idx.
  LayerSample with(std::size_t axis, const Axes& at, Real outside = 0) const {
    LayerSample s = sample;
    for (Tensor& x : s.x) x = Tensor(take(x.value(), axis, at, outside), true);
    if (s.ids.dimension() > axis) s.ids = take(s.ids, axis, at, tags.padding_idx.value_or(0));
    if (axis != tags.batch_axis || sample.lengths.empty()) return s;
    s.lengths.clear();
    for (const std::size_t n : at) s.lengths.push_back(sample.lengths[n]);
    return s;
  }
};

// A layer, made from a seed, and what it is called with.
struct Trial : Kit {
  Generator generator;  // of parameters, and then of masks
  std::shared_ptr<Module> layer;
  double off = 0;  // what should be alike, at most

  Trial(const Kit& kit, std::uint64_t seed) : Kit(kit), generator(seed), layer(make(generator)) {
    for (Tensor& x : sample.x) x = Tensor(x.value(), true);  // its own: a call may spoil it
  }
  Module* operator->() const { return layer.get(); }
  Tensor call(std::uint64_t seed = 99) {
    generator = Generator(seed);  // the same masks each time
    return call_layer(*layer, sample);
  }
  StateDict leaves() const {  // x and then the parameters, by name
    StateDict all;
    for (const Tensor& x : sample.x) all.emplace_back(message("x[", all.size(), ']'), x);
    for (const auto& parameter : layer->state_dict()) all.push_back(parameter);
    return all;
  }
  std::map<std::string, Array> state() const {
    std::map<std::string, Array> values;
    for (const auto& [name, p] : layer->state_dict()) values[name] = p.value();
    need(!values.empty(), "no parameters");
    return values;
  }
  Arrays values() const {
    Arrays all;
    for (const auto& leaf : leaves()) all.push_back(leaf.second.value());
    return all;
  }
  Arrays gradients() const {
    Arrays all;
    for (const auto& [name, leaf] : leaves())
      all.push_back(leaf.grad().index() == 0 ? full(leaf.shape(), 0) : dense(leaf.grad()).value());
    return all;
  }
  // The output, and the gradients of the leaves; those of parameters may add up to earlier ones.
  Arrays run(bool add = false) {
    if (!add) layer->zero_grad();
    for (Tensor& x : sample.x) x.zero_grad();
    const Tensor y = call();
    if (y.requires_grad()) backward(loss(y));
    Arrays all = gradients();
    all.insert(all.begin(), y.value());
    return all;
  }
  // These should be the same: notes how far they are from it.
  void alike(const Arrays& a, const Arrays& b) { off = std::max(off, distance(a, b)); }
};

void derivatives(const Trial& at_seed_1, int order) {
  for (const std::uint64_t seed : {1, 2}) {
    Trial t(at_seed_1, seed);
    t.run();
    Tensors leaves;
    GradcheckOptions options;
    options.order = order;
    for (auto [name, leaf] : t.leaves()) {
      const bool parameter = leaves.size() >= t.sample.x.size();
      if (parameter && leaf.grad().index() == 0) continue;  // there is a check for that
      if (t.tags.changes_parameters) leaf.mutable_value() *= Real(0.5);  // away from a maximum
      leaves.push_back(leaf);
      options.names.push_back(name);
    }
    need(!leaves.empty(), "nothing to differentiate");
    check_gradients([&] { return t.call(); }, leaves, options);
  }
}
// What `whole` gives, slices of t's sample give by themselves; their parameters' gradients add up.
void slices_agree(Trial& t, const LayerSample& whole, std::size_t axis,
                  const std::vector<Axes>& parts) {
  Trial one(t, 1);
  one->eval();  // a mask would hit other numbers
  one.sample = whole;
  const Arrays all = one.run();
  const bool over_time = axis == t.tags.time_axis;
  const std::size_t num_x = whole.x.size(),
                    out = over_time ? axis : t.tags.out_batch_axis.value_or(axis);
  Arrays part;
  one->zero_grad();
  for (const Axes& at : parts) {
    one.sample = t.with(axis, at);
    part = one.run(/*add=*/true);
    const bool pooled = over_time && part[0].shape() == all[0].shape();
    t.alike({part[0]}, {pooled ? all[0] : take(all[0], out, at)});
    for (std::size_t i = 1; i <= num_x; ++i) t.alike({part[i]}, {take(all[i], axis, at)});
  }
  for (std::size_t i = num_x + 1; i < all.size(); ++i) t.alike({part[i]}, {all[i]});
}
void examples_agree(Trial& t, bool alone) {
  need(t.tags.batch_axis.has_value(), "needs the tag batch_axis");
  const std::size_t n = t.length(*t.tags.batch_axis);
  need(n > 1, "needs a sample of more than one example");
  std::vector<Axes> parts(alone ? n : 1);
  for (std::size_t i = 0; i < n; ++i) parts[alone ? i : 0].push_back((i + 1) % n);
  slices_agree(t, t.sample, *t.tags.batch_axis, parts);
}
// A sample so edited must be refused, by an Error that names the layer and what was given.
template <class Error, class Edit>
void refused(const Trial& t, const char* what, const std::string& given, const Edit& edit) {
  Trial bad(t, 1);
  edit(bad.sample);
  const auto text = thrown<Error>([&] { bad.call(); });  // another kind fails the check, too
  expect(text.has_value(), what, given, " is accepted");
  for (const std::string& part : {t.tags.name, given})
    expect(text->find(part) != std::string::npos, '"', *text, "\" does not say ", part);
}

using Run = std::function<void(Trial&)>;
using Add = std::function<void(const char* name, const char* hint, double allowed, const Run&)>;

// The checks, each with what usually causes a failure and how far things may be apart. Each gets a
// new trial, made from seed 1, whose sample it may change.
void each_check(const Add& add) {
  add("same seed, same parameters", "initial values come from the generator", 0, [](Trial& t) {
    bool drawn = false;  // numbers of which no two are alike
    for (const Tensor& p : t->parameters()) {
      const std::set<Real> different(p.value().begin(), p.value().end());
      drawn |= p.size() > 1 && different.size() == p.size();
    }
    expect(!drawn || distance(Trial(t, 2).values(), t.values()) > 0,
           "another seed changes nothing");
    t.alike(Trial(t, 1).values(), t.values());
  });
  add("names and shapes of parameters", "name each as PyTorch does", 0, [](Trial& t) {
    for (const auto& [name, p] : t->state_dict())
      expect(finite(p.value()), name, " holds numbers that are not finite");
    std::map<std::string, Array> stated;
    for (const auto& [name, shape] : t.tags.parameters) stated[name] = full(shape, 0);
    if (!stated.empty()) t->load_state_dict(stated);  // the error lists what differs
  });
  add("every parameter gets a gradient", "cut off by value() or NoGrad?", 0, [](Trial& t) {
    t.run();
    for (const auto& [name, p] : t->state_dict()) {
      const bool none = p.grad().index() == 0;
      expect(none == (t.tags.no_gradient.count(name) != 0), name,
             none ? " got none" : " got one, though it is tagged no_gradient");
    }
    for (auto [name, leaf] : t.leaves()) leaf.set_requires_grad(false);
    expect(!t.call().requires_grad(), "a tensor is trained, but is no parameter()");
    need(!t->parameters().empty(), "no parameters");
  });
  add("output shape", "does the sample fit? is N = 1, T = 1 or N = 0 squeezed?", 0, [](Trial& t) {
    need(t.tags.output_shape != nullptr, "needs the tag output_shape");
    std::vector<LayerSample> samples{t.sample};
    if (t.tags.time_axis && t.sample.lengths.empty())
      samples.push_back(t.with(*t.tags.time_axis, {0}));
    for (std::size_t n = 2; t.tags.batch_axis && n-- > 0;)
      samples.push_back(t.with(*t.tags.batch_axis, first(n)));
    for (const LayerSample& s : samples) {
      t.sample = s;
      thrown<std::invalid_argument>([&] {  // a batch of nothing may be refused
        const Shape got = t.call().shape(), want = t.tags.output_shape(s);
        expect(got == want, "is ", got, ", expected ", want);
      });
    }
  });
  add("a call changes nothing", "copy before you write", 0, [](Trial& t) {
    need(!t.tags.changes_parameters, "tagged changes_parameters");
    const Arrays before = t.values();
    t.call();
    t.alike(t.values(), before);
  });
  add("repeatable", "a call must not leave anything behind in the layer", 0, [](Trial& t) {
    t.alike(t.run(), t.run());
    t->eval();
    t.alike(t.run(), t.run());
  });
  add("first derivative", "read the rule that is named; is a float used?", 0,
      [](Trial& t) { derivatives(t, 1); });
  add("second derivative", "a rule must be made of ops of dy and the inputs", 0, [](Trial& t) {
    need(!thrown<std::exception>([&] { derivatives(t, 1); }), "the first derivative is wrong");
    derivatives(t, 2);
  });
  add("two backwards add up", "a rule must give the same each time", kRounding, [](Trial& t) {
    t.run();
    Arrays thrice = t.gradients();
    for (Array& a : thrice) a *= Real(3);
    const Tensor l = loss(t.call());
    backward(l, true);
    backward(l);
    t.alike(t.gradients(), thrice);
  });
  add("the same without a graph", "do not ask whether gradients are wanted", 0, [](Trial& t) {
    const Array with = t.call().value();
    const NoGrad guard;
    t.alike({t.call().value()}, {with});
  });
  add("nothing stays alive", "a rule must not capture its own output", 0, [](Trial& t) {
    t.run();
    const std::size_t before = live_nodes();
    for (int i = 0; i < 3; ++i) t.run();
    t.call();  // which no backward() releases
    const std::size_t after = live_nodes();
    expect(after <= before, after - before, " tensors do");
  });
  add("load into another", "what the output depends on must be a parameter", 0, [](Trial& t) {
    Trial second(t, 2);
    second->load_state_dict(t.state());
    t.alike(t.run(), second.run());
  });
  add("wrong state dicts are refused", "check all before anything is written", 0, [](Trial& t) {
    const Arrays before = t.values();
    auto wrong = t.state();
    for (auto& [name, value] : wrong) value += Real(1);
    wrong["no_such_name"] = full({1}, 0);
    expect(thrown<std::invalid_argument>([&] { t->load_state_dict(wrong); }).has_value(),
           "a name too many is accepted");
    t.alike(t.values(), before);
  });
  add("train and eval reach children", "child(), training(); is eval random?", 0, [](Trial& t) {
    const Tensor train = t.call(1);
    const bool random = distance({t.call(2).value()}, {train.value()}) > 0;
    Tensor total(full(train.shape(), 0));
    for (std::uint64_t seed = 0; random && seed < 400; ++seed)
      total.mutable_value() += t.call(seed).value() / Real(400);
    t->eval();
    const Tensor eval = t.call(1);
    t.alike({t.call(2).value()}, {eval.value()});
    expect(eval.requires_grad() == train.requires_grad(), "in eval mode no graph is recorded");
    // A factor that all of the output has in common; 400 draws are noisy.
    const Real factor = sum(total * eval).item() / sum(eval * eval).item();
    const bool common = norm(total - eval * factor) < 0.14 * norm(eval * factor);
    expect(t.off > 0 || !random || eval.size() < 4 || !common || std::abs(factor - 1) < 0.1,
           "on average training gives ", factor, " times what evaluation gives: 1 / (1 - p)?");
  });
  add("threads", "parts must not write to the same numbers, nor draw", 1e-5, [](Trial& t) {
    struct Restore {
      std::size_t n = num_threads();
      ~Restore() { set_num_threads(n); }
    } const restore;
    set_num_threads(1);
    const Arrays one = t.run();
    set_num_threads(2);
    t.alike(t.run(), one);
  });
  add("a batch is each alone", "something is mixed, or averaged, over the batch", kRounding,
      [](Trial& t) { examples_agree(t, true); });
  add("the order of a batch", "something depends on an example's place", kRounding,
      [](Trial& t) { examples_agree(t, false); });
  add("padding counts for nothing", "mask by where(): 0 * NaN is NaN", kRounding, [](Trial& t) {
    const Lengths& lengths = t.sample.lengths;
    need(t.tags.time_axis && (!lengths.empty() || t.tags.padding_idx),
         "needs the tag time_axis, and lengths or padding_idx");
    const std::size_t axis = *t.tags.time_axis, T = t.length(axis), N = lengths.size();
    for (const Real outside : {Real(7), Real(NAN)}) {
      LayerSample padded = t.with(axis, first(T + 2), outside);
      for (Tensor& x : padded.x) {  // [T + 2, N, ...]: also where nothing counts
        Array& a = x.mutable_value();
        const std::size_t step = a.size() / (T + 2);
        for (std::size_t i = 0; i < a.size() && N > 0; ++i)
          if (i / step >= lengths[i % step * N / step]) a.data()[i] = outside;
      }
      slices_agree(t, padded, axis, {first(T)});
    }
  });
  add("sparse is dense", "rows that are named twice must add up", kRounding, [](Trial& t) {
    need(t.tags.make_dense != nullptr, "needs the tag make_dense");
    t.alike(Trial(Kit{t.tags.make_dense, t.call_layer, t.tags, t.sample}, 1).run(), t.run());
  });
  add("rows that are not named", "only rows that are looked up may change", 0, [](Trial& t) {
    const std::set<std::size_t> ids(t.sample.ids.begin(), t.sample.ids.end());
    auto before = t.state();
    bool sparse = false;
    t.run();
    for (const auto& [name, p] : t->state_dict()) {
      const auto* g = std::get_if<RowSparse>(&p.grad());
      if (g == nullptr) continue;
      sparse = true;
      const std::set<std::size_t> named(g->rows.begin(), g->rows.end());
      for (const std::size_t row : first(g->num_rows)) {
        if (ids.count(row) != 0) continue;
        expect(named.count(row) == 0, name, "'s gradient names row ", row, ", not looked up");
        t.alike({take(p.value(), 0, {row})}, {take(before[name], 0, {row})});
      }
    }
    need(sparse, "no gradient is row-sparse");
  });
  add("rounding", "differences of large numbers lose digits", 1e-4, [](Trial& t) {
    need(sizeof(Real) == 8, "needs a library compiled for double");
    const Array exact = t.call().value();
    for (auto [name, leaf] : t.leaves()) {
      for (Real& v : leaf.mutable_value()) v = Real(float(v));
    }
    t.alike({t.call().value()}, {exact});
  });
  add("extreme inputs", "x - max before exp; epsilon inside sqrt; 0 * inf is NaN", 0, [](Trial& t) {
    need(!t.sample.x.empty(), "no x");
    for (const Real factor : {Real(1e4), Real(-1e4), Real(0)}) {
      Trial far(t, 1);
      for (Tensor& x : far.sample.x) x.mutable_value() *= factor;
      const Arrays all = far.run();
      expect(finite(all[0]), "the output of x * ", factor, " is not finite");
      for (const Array& a : all) expect(finite(a), "a gradient at x * ", factor, " is not finite");
    }
  });
  add("wrong arguments are refused", "check them first; an id is out_of_range", 0, [](Trial& t) {
    const auto& [x, ids, lengths] = t.sample;
    const bool has_ids = ids.dimension() > 0 && ids.size() > 0, has_lengths = !lengths.empty();
    need(!t.tags.any_shape || has_ids || has_lengths, "tagged any_shape");
    for (std::size_t i = 0; i < x.size() && !t.tags.any_shape; ++i) {
      Shape shape = x[i].shape();
      (t.tags.feature_axis < 0 ? shape.end() : shape.begin())[t.tags.feature_axis] += 1;
      const auto edit = [&](LayerSample& s) { s.x[i] = zeros(shape); };
      refused<std::invalid_argument>(t, "x ", message(shape), edit);
    }
    for (const std::size_t n : {std::size_t{0}, t.length(t.tags.time_axis.value_or(0)) + 1}) {
      const auto edit = [n](LayerSample& s) { s.lengths[0] = n; };
      if (has_lengths) refused<std::invalid_argument>(t, "length ", message(n), edit);
    }
    for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{1} << 40}) {
      const auto edit = [id](LayerSample& s) { s.ids.data()[0] = id; };
      if (has_ids) refused<std::out_of_range>(t, "id ", message(id), edit);
    }
  });
  add("stale graphs are refused", "a rule reads its inputs by value()", 0, [](Trial& t) {
    t.run();
    const Arrays right = t.gradients();
    for (std::size_t changed = 0; changed < right.size(); ++changed) {
      Trial fresh(t, 1);
      const Tensor l = loss(fresh.call());
      Tensor leaf = fresh.leaves()[changed].second;
      leaf.mutable_value() *= Real(1.5);
      const bool refused = thrown<std::logic_error>([&] { backward(l); }).has_value();
      expect(refused || distance(fresh.gradients(), right) <= kRounding,
             "a value is changed before backward(), and the gradients are wrong");
    }
  });
  add("learns eight samples", "wrong directions? all gradients zero at first?", 0.1, [](Trial& t) {
    need(!t->parameters().empty(), "no parameters");
    const auto batch = t.tags.batch_axis;
    if (batch && t.length(*batch) > 8) t.sample = t.with(*batch, first(8));
    t.off = HUGE_VAL;
    for (std::uint64_t seed = 7; t.off > 0.1 && seed < 13; seed += 2) {  // some relus may be dead
      Trial teacher(t, seed), student(t, seed + 1);
      Generator noise(9);
      for (Tensor p : teacher->parameters())
        p.mutable_value() += Real(0.3) * normal(p.shape(), noise);
      teacher->eval();
      student->eval();
      const Tensor target = teacher.call().detach();
      Adam adam(student->parameters(), AdamOptions{/*lr=*/0.03});
      std::vector<double> losses;
      for (int step = 0; step <= 300; ++step) {
        adam.zero_grad();
        const Tensor l = mse_loss(student.call(), target);
        losses.push_back(double{l.item()});
        backward(l);
        adam.step();
      }
      t.off = std::min(t.off, losses.back() / std::max(losses.front(), 1e-12));
    }
  });
}

}  // namespace

LayerReport check_any_layer(const MakeLayer& make, const CallLayer& call,
                            const std::vector<LayerSample>& samples, const LayerTags& tags) {
  check<std::invalid_argument>(!samples.empty(), "check_layer: needs samples, got none");
  LayerReport report;
  const auto broken = thrown<std::exception>([&] {  // by plain calls
    for (const LayerSample& s : samples) Trial({make, call, tags, s}, 1).call();
  });
  each_check([&](const std::string& name, const char* hint, double allowed, const Run& run) {
    LayerReport::Row row{name, Kind::kSkipped, {}, 0, allowed, hint};
    for (const LayerSample& sample : samples) {
      try {
        need(!broken || name == "output shape", "no call succeeds: see output shape");
        expect(!broken, broken.value_or(""));
        Trial t({make, call, tags, sample}, 1);
        run(t);
        row.verdict = Kind::kPassed;
        row.measured = std::max(t.off, row.measured);
        row.why.clear();
        expect(t.off <= allowed, "off by ", t.off, ", allowed ", allowed);
      } catch (const Skip& skip) {
        if (row.verdict == Kind::kSkipped) row.why = skip.what();
      } catch (const std::exception& e) {
        row.verdict = Kind::kFailed;
        row.why = e.what();
        break;
      }
    }
    report.rows.push_back(row);
  });
  return report;
}

std::size_t LayerReport::count(Verdict verdict) const {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [=](const Row& row) { return row.verdict == verdict; }));
}
bool LayerReport::ok() const { return count(Verdict::kFailed) == 0 && count(Verdict::kPassed) > 0; }
void LayerReport::require() const {
  std::string all = count(Verdict::kFailed) == 0 ? "no check ran" : "failed:";
  for (const Row& row : rows)
    if (row.verdict == Verdict::kFailed)
      all += message("\n  ", row.check, ": ", row.why, " (", row.hint, ')');
  check<std::runtime_error>(ok(), "check_layer: ", all);
}

std::ostream& operator<<(std::ostream& out, const LayerReport& report) {
  for (const LayerReport::Row& row : report.rows) {
    out << std::left << std::setw(32) << row.check << "  ";
    if (row.verdict == Kind::kSkipped) out << "skipped (" << row.why << ')';
    if (row.verdict == Kind::kFailed) out << "FAILED: " << row.why << "\n    hint: " << row.hint;
    if (row.verdict == Kind::kPassed)
      out << (row.allowed > 0 ? message("ok: ", row.measured, ", allowed ", row.allowed) : "ok");
    out << '\n';
  }
  return out << message(report.rows.size(), " checks: ", report.count(Kind::kPassed), " passed, ",
                        report.count(Kind::kSkipped), " skipped, ", report.count(Kind::kFailed),
                        " failed\n");
}

}  // namespace gradwalk
