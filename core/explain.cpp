#include "core/explain.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

// Each rule that ran, with its dy, in order.
struct Turns : Observer {
  std::vector<std::pair<Tensor, Tensors>> all;
  void on_backward(const Tensor& y, const Tensors& dys, const Gradients&) override {
    all.emplace_back(y, dys);
  }
};

// One number: an element, in row-major order, of a tensor or of an output of an op with several.
struct Place {
  Tensor x;
  std::size_t output, at;
  Shape shape;
};

// A gradient at that element. A table's is not made dense for it.
double number_at(const Gradient& g, const Place& place) {
  auto* s = std::get_if<RowSparse>(&g);
  if (s == nullptr) {
    auto* all = std::get_if<Tensors>(&g);
    const Tensor t = all ? (*all)[place.output] : g.index() == 0 ? Tensor() : dense(g);
    return t.defined() ? static_cast<double>(t.value().data()[place.at]) : 0;
  }
  double sum = 0;
  const std::size_t width = s->rows.size() == 0 ? 1 : s->values.size() / s->rows.size();
  for (std::size_t i = 0; i < s->rows.size(); ++i) {
    if (static_cast<std::size_t>(s->rows.data()[i]) == place.at / width)
      sum += static_cast<double>(s->values.value().data()[i * width + place.at % width]);
  }
  return sum;
}

bool larger(const Contribution& a, const Contribution& b) {
  return std::abs(a.amount) > std::abs(b.amount);
}

class Explainer {
 public:
  Explainer(const Tensor& loss, const Tensor& x, const ExplainOptions& options)
      : loss_(loss), most_(std::max<std::size_t>(options.most, 2)) {  // halves, at least
    gradient_ = gradients(loss, {x}, false, /*retain_graph=*/true)[0];
  }
  double gradient(const Place& place) const { return number_at(gradient_, place); }

  ExplainedNumber number(const Place& place) const {
    ExplainedNumber n{place.x, place.output, index_of(place.at, place.shape), 0, {}, {}};
    for (const auto& [y, dys] : turns_.all) {
      std::vector<Contribution> parts;
      for (std::size_t k = 0; k < dys.size(); ++k) {
        if (dys[k].defined())
          ask(parts, y, dys, {y, k, dys[k].shape(), 0, dys[k].size(), 0, 0}, step_of(dys[k]),
              place);
      }
      std::stable_sort(parts.begin(), parts.end(), larger);
      n.parts.insert(n.parts.end(), parts.begin(), parts.end());
      if (place.x.node()->leaf) note_lookups(n, y, dys, place.at);
    }
    for (const Contribution& part : n.parts) n.gradient += part.amount;
    if (place.x.node() == loss_.node()) n.gradient = 1;
    return n;
  }

  // The largest part; of several elements at once the largest of them, found in ever smaller parts.
  std::optional<Contribution> largest(std::vector<Contribution> parts, const Place& place) const {
    for (;;) {  // `larger` says which comes first
      const auto found = std::min_element(parts.begin(), parts.end(), larger);
      if (found == parts.end() || found->amount == 0) return {};
      const Contribution part = *found;
      if (part.end - part.begin == 1) return part;
      parts.clear();
      for (const auto& [y, dys] : turns_.all) {
        if (y.node() == part.y.node())
          ask(parts, y, dys, part, (part.end - part.begin + most_ - 1) / most_, place);
      }
    }
  }

 private:
  // How many elements are asked at once: one, or some rows.
  std::size_t step_of(const Tensor& dy) const {
    const std::size_t row = dy.dim() < 2 ? 1 : dy.shape(dy.dim() - 1);
    if (dy.size() <= most_) return 1;
    return (dy.size() + most_ * row - 1) / (most_ * row) * row;
  }

  static Gradients rule_of(const Tensor& y, const Tensors& dys) {
    const Node& node = *y.node();
    return node.rule ? node.rule(y, dys[0]) : node.rule_of_many(dys);
  }

  // Adds what arrives at the place of each `step` elements of y's dy within `range`.
  static void ask(std::vector<Contribution>& parts, const Tensor& y, const Tensors& dys,
                  const Contribution& range, std::size_t step, const Place& place) {
    const Tensors& inputs = y.node()->inputs;
    const auto is_place = [&](const Tensor& x) { return x.node() == place.x.node(); };
    if (std::none_of(inputs.begin(), inputs.end(), is_place)) return;
    const Array& dy = dys[range.output].value();
    for (std::size_t begin = range.begin; begin < range.end; begin += step) {
      const std::size_t end = std::min(begin + step, range.end);
      Tensors masked(dys.size());
      Array only = full(dy.shape(), 0);
      std::copy(dy.data() + begin, dy.data() + end, only.data() + begin);
      masked[range.output] = Tensor(std::move(only));
      const Gradients dxs = rule_of(y, masked);
      double amount = 0;
      for (std::size_t i = 0; i < inputs.size(); ++i)
        amount += is_place(inputs[i]) ? number_at(dxs[i], place) : 0;
      const double own = end - begin == 1 ? static_cast<double>(dy.data()[begin])
                                          : norm(Gradient(masked[range.output]));
      if (amount != 0) parts.push_back({y, range.output, dy.shape(), begin, end, own, amount});
    }
  }

  static void note_lookups(ExplainedNumber& n, const Tensor& y, const Tensors& dys,
                           std::size_t at) {
    const Tensors& inputs = y.node()->inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].node() != n.x.node()) continue;
      const Gradient dx = rule_of(y, dys)[i];
      auto* s = std::get_if<RowSparse>(&dx);
      for (std::size_t k = 0; s != nullptr && k < s->rows.size(); ++k) {
        if (static_cast<std::size_t>(s->rows.data()[k]) == at / (s->values.size() / s->rows.size()))
          n.lookups.push_back(index_of(k, s->rows.shape()));
      }
    }
  }

  Tensor loss_;
  std::size_t most_;
  NoGrad no_grad_;
  Turns turns_;
  Gradient gradient_;
};

std::size_t place_in(const Shape& shape, const Shape& index) {
  bool inside = index.size() == shape.size();
  for (std::size_t axis = 0; inside && axis < index.size(); ++axis)
    inside = index[axis] < shape[axis];
  check<std::out_of_range>(inside, "explain: ", index, " is outside ", shape);
  const Shape strides = strides_in(shape, shape);
  return std::inner_product(index.begin(), index.end(), strides.begin(), std::size_t{0});
}

}  // namespace

Explanation explain(const Tensor& loss, const Tensor& x, const Shape& index,
                    const ExplainOptions& options) {
  Place place{x, 0, place_in(x.shape(), index), x.shape()};
  const Explainer explainer(loss, x, options);
  Explanation explanation;
  explanation.width = options.width;
  explanation.gradient = explainer.gradient(place);
  while (explanation.steps.size() < options.depth) {
    explanation.steps.push_back(explainer.number(place));
    const auto next = explainer.largest(explanation.steps.back().parts, place);
    if (!next || next->y.node() == loss.node()) break;
    place = {next->y, next->output, next->begin, next->shape};
  }
  return explanation;
}

Explanation explain(const std::function<Tensor()>& loss, Tensor x, const Shape& index,
                    const ExplainOptions& options) {
  Explanation explanation = explain(loss(), x, index, options);
  const NoGrad guard;
  // The old value comes back, so that graphs made of it stay as good as they were.
  struct Restore {
    Node& node;
    std::uint64_t changed;
    Real *number, before;
    ~Restore() { *number = before, node.changed = changed; }
  };
  const std::uint64_t changed = x.node()->changed;
  Real* number = x.mutable_value().data() + place_in(x.shape(), index);
  const Restore restore{*x.node(), changed, number, *number};
  const Real eps =
      (sizeof(Real) == 4 ? Real(1e-2) : Real(1e-6)) * std::max(Real(1), std::abs(restore.before));
  const auto loss_at = [&](Real v) {
    *number = v;
    return static_cast<double>(loss().item());
  };
  if (loss_at(restore.before) != loss_at(restore.before)) return explanation;  // random, or NaN
  const volatile Real up = restore.before + eps, down = restore.before - eps;  // as rounded
  explanation.difference = (loss_at(up) - loss_at(down)) / static_cast<double>(up - down);
  return explanation;
}

std::ostream& operator<<(std::ostream& stream, const Explanation& explanation) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  std::string indent;
  for (const ExplainedNumber& n : explanation.steps) {
    const Node& node = *n.x.node();
    out << indent << "dL/d#" << node.id << (node.leaf ? "" : message(' ', node.op)) << n.index
        << " = " << n.gradient << '\n';
    for (std::size_t i = 0; i < std::min<std::size_t>(n.lookups.size(), 8); ++i)
      out << (i ? ", " : indent + message("  row ", n.index[0], " was looked up at "))
          << n.lookups[i];
    if (!n.lookups.empty()) out << (n.lookups.size() > 8 ? ", ...\n" : "\n");
    for (auto part = n.parts.begin(); part != n.parts.end();) {
      const Node& op = *part->y.node();
      const auto end = std::find_if(part, n.parts.end(),
                                    [&](const Contribution& c) { return c.y.node().get() != &op; });
      double sum = 0;
      for (auto c = part; c != end; ++c) sum += c->amount;
      out << indent << "  " << sum << " through #" << op.id << ' ' << op.op << '\n';
      for (std::size_t k = 0; k < explanation.width && part != end; ++k, ++part) {
        out << indent << "    " << part->amount << " from dy" << index_of(part->begin, part->shape);
        if (part->end - part->begin > 1)
          out << " to " << index_of(part->end - 1, part->shape) << ", norm";
        out << " = " << part->dy << '\n';
      }
      if (part != end) out << indent << "    and " << end - part << " smaller ones\n";
      part = end;
    }
    indent += "  ";
  }
  const double sum = explanation.steps.empty() ? 0 : explanation.steps[0].gradient;
  if (std::abs(sum - explanation.gradient) > 1e-3 * std::max(1.0, std::abs(sum)))
    out << "the gradient is " << explanation.gradient << ": a rule is not linear in its dy\n";
  if (explanation.difference) {
    out << "finite difference " << *explanation.difference
        << (sizeof(Real) == 4 ? " (rough: numbers are floats)\n" : "\n");
  }
  return stream << out.str();
}

}  // namespace gradwalk
