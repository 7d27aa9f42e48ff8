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

// A gradient at one element of a tensor of this shape, without making it dense.
double number_at(const Gradient& g, std::size_t output, std::size_t at, const Shape& shape) {
  if (auto* t = std::get_if<Tensor>(&g)) return static_cast<double>(t->value().data()[at]);
  if (auto* all = std::get_if<Tensors>(&g))
    return (*all)[output].defined() ? number_at((*all)[output], 0, at, shape) : 0;
  double sum = 0;
  if (auto* s = std::get_if<RowSparse>(&g)) {
    const std::size_t width = s->rows.size() == 0 ? 1 : s->values.size() / s->rows.size();
    for (std::size_t i = 0; i < s->rows.size(); ++i) {
      if (static_cast<std::size_t>(s->rows.data()[i]) == at / width)
        sum += static_cast<double>(s->values.value().data()[i * width + at % width]);
    }
  } else if (auto* slice = std::get_if<Slice>(&g)) {  // [outer, length * inner]
    const std::size_t inner = inner_size(shape, slice->axis), all = shape[slice->axis] * inner,
                      length = slice->dy.shape(slice->axis) * inner;
    const std::size_t from = at % all - slice->begin * inner;  // huge where it lies before
    if (from < length)
      sum = static_cast<double>(slice->dy.value().data()[at / all * length + from]);
  }
  return sum;
}

class Explainer {
 public:
  Explainer(const Tensor& loss, const Tensor& x, const ExplainOptions& options)
      : loss_(loss), options_(options) {
    options_.most = std::max<std::size_t>(options_.most, 2);  // halves, at least
    gradients(loss, {x}, false, /*retain_graph=*/true);
  }

  // `at`: which element, in row-major order. The part to follow comes last.
  ExplainedNumber number(const Tensor& x, std::size_t output, const Shape& shape, std::size_t at) {
    ExplainedNumber n{x, output, index_of(at, shape), 0, {}, {}};
    for (const auto& [y, dys] : turns_.all) {
      const Tensors& inputs = y.node()->inputs;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].node() != x.node()) continue;
        const std::size_t first = n.parts.size();
        for (std::size_t k = 0; k < dys.size(); ++k) {
          if (dys[k].defined())
            add_parts(n, y, i, k, dys, {output, at, shape}, 0, dys[k].size(), step_of(dys[k]));
        }
        std::stable_sort(n.parts.begin() + static_cast<std::ptrdiff_t>(first), n.parts.end(),
                         [](const Contribution& a, const Contribution& b) {
                           return std::abs(a.amount) > std::abs(b.amount);
                         });
        if (x.node()->leaf) note_lookups(n, rule_of(y, dys)[i], at);
      }
    }
    for (const Contribution& part : n.parts) n.gradient += part.amount;
    if (x.node() == loss_.node()) n.gradient = 1;
    return n;
  }

  // The largest part; of several elements at once the largest of them, found in ever smaller parts.
  std::optional<Contribution> largest(ExplainedNumber n, const Shape& shape, std::size_t at) {
    for (;;) {
      const auto found = std::max_element(n.parts.begin(), n.parts.end(),
                                          [](const Contribution& a, const Contribution& b) {
                                            return std::abs(a.amount) < std::abs(b.amount);
                                          });
      if (found == n.parts.end() || found->amount == 0) return {};
      const Contribution part = *found;
      if (part.end - part.begin == 1) return part;
      n.parts.clear();
      const std::size_t step = (part.end - part.begin + options_.most - 1) / options_.most;
      for (const auto& [y, dys] : turns_.all) {
        if (y.node() != part.y.node()) continue;
        for (std::size_t i = 0; i < y.node()->inputs.size(); ++i) {
          if (y.node()->inputs[i].node() == n.x.node())
            add_parts(n, y, i, part.output, dys, {n.output, at, shape}, part.begin, part.end, step);
        }
      }
    }
  }

 private:
  struct Target {
    std::size_t output, at;
    const Shape& shape;
  };

  // How many elements are asked at once: one; or a row, which may span several axes; or some rows.
  std::size_t step_of(const Tensor& dy) const {
    constexpr std::size_t kRowsEnough = 16;
    std::size_t rows = 1, step = dy.size();
    for (std::size_t axis = 0; axis < dy.dim() && rows < kRowsEnough && step > 1; ++axis) {
      const std::size_t n = dy.shape(axis),
                        at_once = (rows * n + options_.most - 1) / options_.most;
      step = step / n * at_once;
      rows *= n;
    }
    return std::max<std::size_t>(step, 1);
  }

  static Gradients rule_of(const Tensor& y, const Tensors& dys) {
    const Node& node = *y.node();
    return node.rule ? node.rule(y, dys[0]) : node.rule_of_many(dys);
  }

  void add_parts(ExplainedNumber& n, const Tensor& y, std::size_t input, std::size_t k,
                 const Tensors& dys, const Target& target, std::size_t begin, std::size_t end,
                 std::size_t step) {
    const Array& dy = dys[k].value();
    for (std::size_t b = begin; b < end; b += step) {
      const std::size_t e = std::min(b + step, end);
      Tensors masked(dys.size());
      Array only = full(dy.shape(), 0);
      std::copy(dy.data() + b, dy.data() + e, only.data() + b);
      masked[k] = Tensor(std::move(only));
      const Gradient dx = rule_of(y, masked)[input];
      const double amount = number_at(dx, target.output, target.at, target.shape);
      const double own = e - b == 1 ? static_cast<double>(dy.data()[b]) : norm(Gradient(masked[k]));
      if (amount != 0) n.parts.push_back({y, k, dy.shape(), b, e, own, amount});
    }
  }

  static void note_lookups(ExplainedNumber& n, const Gradient& dx, std::size_t at) {
    auto* s = std::get_if<RowSparse>(&dx);
    if (s == nullptr || s->rows.size() == 0) return;
    const std::size_t row = at / (s->values.size() / s->rows.size());
    for (std::size_t i = 0; i < s->rows.size(); ++i) {
      if (static_cast<std::size_t>(s->rows.data()[i]) == row)
        n.lookups.push_back(index_of(i, s->rows.shape()));
    }
  }

  Tensor loss_;
  NoGrad no_grad_;
  Turns turns_;
  ExplainOptions options_;
};

}  // namespace

Explanation explain(const Tensor& loss, const Tensor& x, const Shape& index,
                    const ExplainOptions& options) {
  const Shape shape = x.shape(), strides = strides_in(shape, shape);
  bool inside = index.size() == shape.size();
  for (std::size_t axis = 0; inside && axis < index.size(); ++axis)
    inside = index[axis] < shape[axis];
  check<std::out_of_range>(inside, "explain: ", index, " is outside ", shape);
  std::size_t at = std::inner_product(index.begin(), index.end(), strides.begin(), std::size_t{0});
  Explainer explainer(loss, x, options);
  Explanation explanation;
  explanation.width = options.width;
  Tensor t = x;
  Shape of = shape;
  for (std::size_t output = 0; explanation.steps.size() < options.depth;) {
    explanation.steps.push_back(explainer.number(t, output, of, at));
    const auto next = explainer.largest(explanation.steps.back(), of, at);
    if (!next || next->y.node() == loss.node()) break;
    t = next->y, output = next->output, of = next->shape, at = next->begin;
  }
  return explanation;
}

Explanation explain(const std::function<Tensor()>& loss, Tensor x, const Shape& index,
                    const ExplainOptions& options) {
  Explanation explanation = explain(loss(), x, index, options);
  const NoGrad guard;
  const Shape strides = strides_in(x.shape(), x.shape());
  const std::uint64_t changed = x.node()->changed;
  Real* number = x.mutable_value().data() +
                 std::inner_product(index.begin(), index.end(), strides.begin(), std::size_t{0});
  // The old value comes back, so that graphs made of it stay as good as they were.
  struct Restore {
    Node& node;
    Real* number;
    Real before;
    std::uint64_t changed;
    ~Restore() { *number = before, node.changed = changed; }
  } const restore{*x.node(), number, *number, changed};
  const Real eps =
      (sizeof(Real) == 4 ? Real(1e-2) : Real(1e-6)) * std::max(Real(1), std::abs(restore.before));
  const auto loss_at = [&](Real v) {
    *number = v;
    return static_cast<double>(loss().item());
  };
  if (loss_at(restore.before) != loss_at(restore.before)) return explanation;  // random, or NaN
  const volatile Real up = restore.before + eps,
                      down = restore.before - eps;  // as they are rounded
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
    if (!n.lookups.empty()) {
      out << indent << "  row " << n.index[0] << " was looked up at ";
      for (std::size_t i = 0; i < std::min<std::size_t>(n.lookups.size(), 8); ++i)
        out << (i ? ", " : "") << n.lookups[i];
      out << (n.lookups.size() > 8 ? ", ...\n" : "\n");
    }
    for (std::size_t i = 0; i < n.parts.size();) {
      std::size_t end = i;
      double sum = 0;
      while (end < n.parts.size() && n.parts[end].y.node() == n.parts[i].y.node())
        sum += n.parts[end++].amount;
      const Node& op = *n.parts[i].y.node();
      out << indent << "  " << sum << " through #" << op.id << ' ' << op.op << '\n';
      for (std::size_t k = i; k < std::min(end, i + explanation.width); ++k) {
        const Contribution& c = n.parts[k];
        out << indent << "    " << c.amount << " from dy" << index_of(c.begin, c.shape);
        if (c.end - c.begin > 1) out << " to " << index_of(c.end - 1, c.shape) << ", norm";
        out << " = " << c.dy << '\n';
      }
      if (end - i > explanation.width)
        out << indent << "    and " << end - i - explanation.width << " smaller ones\n";
      i = end;
    }
    indent += "  ";
  }
  if (explanation.difference) {
    out << "finite difference " << *explanation.difference
        << (sizeof(Real) == 4 ? " (rough: numbers are floats)\n" : "\n");
  }
  return stream << out.str();
}

}  // namespace gradwalk
