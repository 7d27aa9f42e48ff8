#include "examples/translate/search.hpp"

#include <algorithm>

#include "core/core.hpp"
#include "examples/model_file.hpp"

using gradwalk::Array;
using gradwalk::Indices;
using gradwalk::Tensor;

namespace translate {
namespace {

constexpr auto kFirstToken = static_cast<std::size_t>(Vocabulary::kEnd);  // of a translation

Indices column(const Ids& ids) {
  Indices out = gradwalk::empty<Indices>({ids.size()});
  std::copy(ids.begin(), ids.end(), out.data());
  return out;
}

// One step of all rows: ids [N] -> logits [N, V]. Throws Overflow.
Translator::Decoded step(const Translator& translator, const Ids& ids, const Memory& memory,
                         const State& state) {
  Indices now = column(ids);
  now.reshape({1, ids.size()});
  Translator::Decoded out = translator.decode(now, memory, state);
  out.logits = reshape(out.logits, {ids.size(), out.logits.shape(2)});
  check_finite(out.logits.value());
  return out;
}

// Row n of the result is row rows[n] of x [1, N, D].
Tensor reordered(const Tensor& x, const Ids& rows) {
  const std::size_t D = x.shape(2);
  return reshape(gather_rows(reshape(x, {x.shape(1), D}), column(rows)), {1, rows.size(), D});
}

}  // namespace

std::vector<Ids> greedy(const Translator& translator, const std::vector<Ids>& sources,
                        std::size_t max_output) {
  const gradwalk::NoGrad no_grad;
  auto [memory, state] = translator.encode(make_batch(sources));
  const std::size_t N = sources.size();
  std::vector<Ids> outputs(N);
  Ids last(N, Vocabulary::kEnd);
  std::size_t running = N;
  for (std::size_t u = 0; u < max_output && running > 0; ++u) {
    const Translator::Decoded out = step(translator, last, memory, state);
    state = out.state;
    const std::size_t V = out.logits.shape(1);
    for (std::size_t n = 0; n < N; ++n) {
      if (u > 0 && outputs[n].back() == Vocabulary::kEnd) continue;
      const auto* row = out.logits.value().data() + n * V;
      last[n] = std::max_element(row + kFirstToken, row + V) - row;
      outputs[n].push_back(last[n]);
      running -= last[n] == Vocabulary::kEnd;
    }
  }
  return outputs;
}

std::vector<Hypothesis> beam_search(const Translator& translator, const Ids& source,
                                    std::size_t width, std::size_t max_output) {
  const gradwalk::NoGrad no_grad;
  struct Candidate {
    double log_probability;
    std::size_t from;  // the hypothesis that it continues
    std::int64_t token;
  };
  std::vector<Hypothesis> ended, live(1);
  const auto [memory, start] = translator.encode(make_batch({source}));
  State state = start;
  for (std::size_t u = 0; u < max_output && !live.empty(); ++u) {
    Ids last;
    for (const Hypothesis& h : live) last.push_back(u == 0 ? Vocabulary::kEnd : h.ids.back());
    const auto for_all = [&](const Tensor& x) {  // each hypothesis looks at the one sentence
      return broadcast_to(x, {live.size(), x.shape(1), x.shape(2)});
    };
    const Translator::Decoded out = step(
        translator, last, {for_all(memory.values), for_all(memory.keys), memory.padding}, state);
    const Array log_p = log_softmax(out.logits, 1).value();

    std::vector<Candidate> candidates;
    for (std::size_t k = 0; k < live.size(); ++k) {
      for (std::size_t v = kFirstToken; v < log_p.shape()[1]; ++v) {
        candidates.push_back(
            {live[k].log_probability + double(log_p(k, v)), k, static_cast<std::int64_t>(v)});
      }
    }
    const std::size_t kept = std::min(width - ended.size(), candidates.size());
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(kept),
                      candidates.end(), [](const Candidate& a, const Candidate& b) {
                        return a.log_probability > b.log_probability;
                      });
    candidates.resize(kept);

    std::vector<Hypothesis> longer;
    Ids rows;
    for (const Candidate& c : candidates) {
      Hypothesis h{live[c.from].ids, c.log_probability};
      h.ids.push_back(c.token);
      if (c.token == Vocabulary::kEnd) {
        ended.push_back(std::move(h));
      } else {
        longer.push_back(std::move(h));
        rows.push_back(static_cast<std::int64_t>(c.from));
      }
    }
    live = std::move(longer);
    if (!live.empty()) state = {reordered(out.state.h, rows), reordered(out.state.c, rows)};
  }
  ended.insert(ended.end(), live.begin(), live.end());
  std::sort(ended.begin(), ended.end(),
            [](const Hypothesis& a, const Hypothesis& b) { return a.score() > b.score(); });
  return ended;
}

}  // namespace translate
