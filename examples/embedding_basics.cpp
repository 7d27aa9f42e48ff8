// An embedding is a table of vectors; looking up ids reads rows of it. The gradient of the table is
// therefore zero but for those rows, and only they are kept.
#include <cstdio>
#include <iostream>

#include "core/core.hpp"
#include "layers/embedding.hpp"
using namespace gradwalk;

namespace {

// The first numbers of each row of the gradient.
void print(const RowSparse& gradient) {
  const std::size_t D = gradient.values.shape(1);
  for (std::size_t i = 0; i < gradient.rows.size(); ++i) {
    const Real* v = gradient.values.value().data() + i * D;
    std::printf("  row %3lld   %g %g %g ...\n", static_cast<long long>(gradient.rows.data()[i]),
                double(v[0]), double(v[1]), double(v[2]));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    std::puts(
        "usage: embedding_basics\n\nids in, rows of a table out, and which rows get a gradient");
    return argv[1] == std::string("--help") ? 0 : 2;
  }
  Generator generator(1);
  const Embedding embedding(10000, 128, generator);
  const Tensor table = embedding.weight();
  std::cout << "table " << table.shape() << "\n\n";

  const Indices ids{2, 7, 435};
  const Tensor y = embedding(ids);
  std::cout << "ids " << ids.shape() << " -> y " << y.shape() << '\n';
  std::printf("  y[2, 0]       %.4f\n  table[435, 0] %.4f\n\n", double(y.value()(2, 0)),
              double(table.value()(435, 0)));

  const Indices more{{2, 7}, {435, 2}};  // ids may have any shape, and repeat
  const Tensor z = embedding(more);
  std::cout << "ids " << more.shape() << " -> z " << z.shape() << '\n';

  backward(sum(z));  // dsum(z)/dz is 1 everywhere
  const auto& gradient = std::get<RowSparse>(table.grad());
  std::printf("dsum(z)/dtable: %zu of %zu rows, as they came\n", gradient.rows.size(),
              gradient.num_rows);
  print(gradient);
  std::puts("each row once, repeated ones added up");
  print(coalesce(gradient));
}
