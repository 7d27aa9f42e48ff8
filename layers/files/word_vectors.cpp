#include "layers/files/word_vectors.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/text.hpp"

namespace gradwalk {

// ---- WordIndex ----

// The slot that holds `word`, or the free one where it belongs.
std::size_t WordIndex::slot(const std::vector<std::string>& words, std::string_view word) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = std::hash<std::string_view>()(word) & mask;
  while (slots_[at] != 0 && words[slots_[at] - 1] != word) at = (at + 1) & mask;
  return at;
}

std::optional<std::size_t> WordIndex::find(const std::vector<std::string>& words,
                                           std::string_view word) const {
  const std::uint32_t found = slots_.empty() ? 0 : slots_[slot(words, word)];
  return found == 0 ? std::nullopt : std::optional<std::size_t>(found - 1);
}

bool WordIndex::add(const std::vector<std::string>& words, std::size_t row) {
  check(row < std::numeric_limits<std::uint32_t>::max(),
        "word_index: holds 2^32 - 1 words at most");
  if (2 * (row + 1) > slots_.size()) {
    slots_.assign(std::max<std::size_t>(16, 2 * slots_.size()), 0);
    for (std::size_t i = 0; i < row; ++i)
      slots_[slot(words, words[i])] = static_cast<std::uint32_t>(i + 1);
  }
  std::uint32_t& place = slots_[slot(words, words[row])];
  if (place != 0) return false;
  place = static_cast<std::uint32_t>(row + 1);
  return true;
}

// ---- WordVectors ----

// Up to here no sum of products with a unit vector overflows.
constexpr Real kMaxNorm = std::numeric_limits<Real>::max() / 2;

WordVectors::WordVectors(std::vector<std::string> words, Array vectors)
    : words_(std::move(words)), vectors_(std::move(vectors)) {
  check(vectors_.dimension() == 2 && vectors_.shape(0) == size() && dim() > 0,
        "word_vectors: ", size(), " words need vectors [", size(), ", D], got ", vectors_.shape());
  norms_.reserve(size());
  for (std::size_t row = 0; row < size(); ++row) {
    check(index_.add(words_, row), "word_vectors: words must be distinct, got ",
          in_quotes(words_[row]), " again at ", row);
    norms_.push_back(std::sqrt(kernels::sum_of_squares(dim(), vectors_.data() + row * dim())));
    check(norms_.back() <= kMaxNorm, "word_vectors: lengths must be at most ", kMaxNorm, ", got ",
          norms_.back(), " for ", in_quotes(words_[row]));
  }
}

std::optional<std::size_t> WordVectors::find(std::string_view word) const {
  return index_.find(words_, word);
}

std::size_t WordVectors::row_of(const char* op, std::string_view word) const {
  const std::optional<std::size_t> row = find(word);
  check<std::out_of_range>(row.has_value(), op, ": ", in_quotes(word), " is not among the ", size(),
                           " words");
  return *row;
}

// v / |v|; zero stays zero
std::vector<double> WordVectors::unit(std::size_t row) const {
  std::vector<double> u(dim());
  const Real* v = vectors_.data() + row * dim();
  for (std::size_t k = 0; k < dim() && norms_[row] > 0; ++k) u[k] = double(v[k]) / norms_[row];
  return u;
}

double WordVectors::similarity(std::string_view a, std::string_view b) const {
  const std::vector<double> u = unit(row_of("similarity", a)), v = unit(row_of("similarity", b));
  return std::inner_product(u.begin(), u.end(), v.begin(), 0.0);
}

std::vector<WordVectors::Neighbour> WordVectors::nearest(std::string_view word,
                                                         std::size_t k) const {
  const std::size_t row = row_of("nearest", word);
  return nearest_to(unit(row), k, {row});
}

std::vector<WordVectors::Neighbour> WordVectors::nearest(const Array& vector, std::size_t k) const {
  check(vector.dimension() == 1 && vector.size() == dim(), "nearest: the vector must be [", dim(),
        "], got ", vector.shape());
  return nearest_to({vector.begin(), vector.end()}, k, {});
}

std::vector<WordVectors::Neighbour> WordVectors::analogy(std::string_view a, std::string_view b,
                                                         std::string_view c, std::size_t k) const {
  const std::size_t row_a = row_of("analogy", a), row_b = row_of("analogy", b),
                    row_c = row_of("analogy", c);
  const std::vector<double> from = unit(row_a), to = unit(row_b);
  std::vector<double> sum = unit(row_c);
  for (std::size_t i = 0; i < dim(); ++i) sum[i] += to[i] - from[i];
  return nearest_to(sum, k, {row_a, row_b, row_c});
}

std::vector<WordVectors::Neighbour> WordVectors::nearest_to(
    const std::vector<double>& vector, std::size_t k,
    const std::vector<std::size_t>& without) const {
  const double norm =
      std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
  check(std::isfinite(norm), "nearest: the vector's length must be finite, got ", norm);
  Array query = full({dim()}, 0);
  for (std::size_t i = 0; i < dim() && norm > 0; ++i) {
    query.data()[i] = static_cast<Real>(vector[i] / norm);
  }
  std::vector<Real> cosine(size());
  gemm(matrix(vectors_), Matrix(query.data(), dim(), 1), 0, {cosine.data(), size(), 1});
  std::vector<std::size_t> rows;
  rows.reserve(size());
  for (std::size_t row = 0; row < size(); ++row) {
    if (norms_[row] < 1e-30)  // products take subnormal numbers for zeros
      cosine[row] = kernels::dot(dim(), vectors_.data() + row * dim(), query.data());
    cosine[row] = norms_[row] > 0 ? static_cast<Real>(cosine[row] / norms_[row]) : 0;
    if (std::find(without.begin(), without.end(), row) == without.end()) rows.push_back(row);
  }
  k = std::min(k, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(k), rows.end(),
                    [&](std::size_t i, std::size_t j) {
                      return cosine[i] != cosine[j] ? cosine[i] > cosine[j] : i < j;
                    });
  std::vector<Neighbour> neighbours;
  for (std::size_t i = 0; i < k; ++i) {
    neighbours.push_back({words_[rows[i]], double(cosine[rows[i]])});
  }
  return neighbours;
}

// ---- into a table ----

Coverage fill_table(Array& table, const std::vector<std::string>& row_words,
                    const WordVectors& vectors, Generator& generator, MissingRows missing) {
  const std::size_t D = vectors.dim();
  check(table.dimension() == 2 && table.shape(0) == row_words.size() && table.shape(1) == D,
        "fill_table: ", row_words.size(), " words with vectors of ", D, " need a table ",
        Shape{row_words.size(), D}, ", got ", table.shape());
  Coverage coverage;
  double squares = 0;
  std::vector<std::size_t> missing_rows;
  for (std::size_t row = 0; row < row_words.size(); ++row) {
    if (row_words[row].empty()) continue;
    if (const std::optional<std::size_t> found = vectors.find(row_words[row])) {
      const Real* vector = vectors.vectors().data() + *found * D;
      std::copy_n(vector, D, table.data() + row * D);
      squares += kernels::sum_of_squares(D, vector);
      ++coverage.found;
    } else {
      missing_rows.push_back(row);
    }
  }
  coverage.missing = missing_rows.size();
  const double spread =
      coverage.found == 0 ? 1 : std::sqrt(squares / static_cast<double>(coverage.found * D));
  coverage.missing_rows = missing == MissingRows::kZero ? "set to zero"
                          : missing == MissingRows::kKeep
                              ? "kept"
                              : message("drawn from N(0, ", spread, "^2)");
  if (missing == MissingRows::kKeep) return coverage;
  for (std::size_t row : missing_rows) {
    for (Real* x = table.data() + row * D; x != table.data() + (row + 1) * D; ++x) {
      *x = missing == MissingRows::kZero ? 0 : static_cast<Real>(spread * generator.normal());
    }
  }
  return coverage;
}

}  // namespace gradwalk
