// Ids that look up rows of a table, or name classes: whole numbers, in an array of any shape. They
// are not tensors and have no gradient.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/array.hpp"

namespace gradwalk {

// From nested braces, a std::vector, or an xtensor array or expression of whole numbers. Real
// numbers do not compile: they would be truncated without a word.
class Indices : public ArrayOf<std::int64_t> {
  using Base = ArrayOf<std::int64_t>;
  using List = std::initializer_list<std::int64_t>;

 public:
  Indices() = default;
  explicit Indices(std::int64_t id) : Base(id) {}  // without axes
  Indices(List ids) : Base(ids) {}
  Indices(std::initializer_list<List> ids) : Base(ids) {}
  Indices(std::initializer_list<std::initializer_list<List>> ids) : Base(ids) {}
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  Indices(const std::vector<T>& ids) : Base(Base::from_shape({ids.size()})) {
    std::copy(ids.begin(), ids.end(), begin());
  }
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  Indices(const std::vector<std::vector<T>>& rows)  // of one length, or std::invalid_argument
      : Base(Base::from_shape({rows.size(), rows.empty() ? 0 : rows[0].size()})) {
    auto to = begin();
    for (const std::vector<T>& row : rows) {
      if (row.size() != shape(1)) throw std::invalid_argument("indices: rows differ in length");
      to = std::copy(row.begin(), row.end(), to);
    }
  }
  // Any xtensor array or expression of integers; one of real numbers does not compile.
  template <class E, class = std::enable_if_t<std::is_integral_v<typename E::value_type>>>
  Indices(const xt::xexpression<E>& ids) : Base(ids) {}

  // Ids that are not written yet.
  static Indices from_shape(const Shape& shape) {
    Indices ids;
    ids.Base::operator=(Base::from_shape(shape));
    return ids;
  }
};

// Ids behind a handle, for all who need to keep them: copying it copies no ids.
class SharedIndices {
 public:
  SharedIndices(Indices ids) : ids_(std::make_shared<const Indices>(std::move(ids))) {}
  SharedIndices(std::initializer_list<std::int64_t> ids = {}) : SharedIndices(Indices(ids)) {}
  operator const Indices&() const { return *ids_; }
  const Indices& operator*() const { return *ids_; }
  const std::int64_t* data() const { return ids_->data(); }
  auto begin() const { return ids_->begin(); }
  auto end() const { return ids_->end(); }
  std::size_t size() const { return ids_->size(); }
  const Shape& shape() const { return ids_->shape(); }

 private:
  std::shared_ptr<const Indices> ids_;
};

}  // namespace gradwalk
