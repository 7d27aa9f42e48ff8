// A program to be debugged by check.py. An expectation stands below the lines that it is about: at
// the next statement gdb stops and is given what is left of `->`; what it prints, white space apart,
// must be what is right of it, where * is anything.
#include <limits>

#include "core/autograd.hpp"
#include "core/multi_output.hpp"
#include "core/ops.hpp"
#include "layers/module.hpp"
#include "optim/sgd.hpp"

using namespace gradwalk;

struct Head : Module {
  Head() : weight(parameter("weight", Array{{1, 2}})), bias(parameter("bias", Array{0.5})) {}
  Tensor weight, bias;
};

struct Model : Module {
  Model() : table(parameter("table", Array{{1, 2}, {3, 4}, {5, 6}})) { child("head", head); }
  Tensor table;
  Head head;
};

// a statement to stop at
template <class... T>
static void stop(const T&...) {}

static void arrays() {
  const Array numbers{{1, 2.5}, {-3, 4}}, scalar(7), none = empty({0, 3});
  // gdb: print numbers -> [2, 2] {{1, 2.5}, {-3, 4}}
  // gdb: print scalar -> [] {7}
  // gdb: print none -> [0, 3] {}
  // gdb: print numbers.m_shape -> [2, 2]
  Array large = full({10, 20}, 1);
  large(0, 1) = 2;
  large(9, 19) = std::numeric_limits<Real>::infinity();
  // gdb: print large -> [10, 20] {1, 2, 1, ..., 1, 1, inf}
  const Shape shape = large.shape(), nothing{};
  // gdb: print shape -> [10, 20]
  // gdb: print nothing -> []
  // gdb: print/r nothing -> {*m_begin = *
  const Indices ids{{3, 7}, {7, -1}}, no_ids = Indices::from_shape({0});
  // gdb: print ids -> [2, 2] {{3, 7}, {7, -1}}
  // gdb: print no_ids -> [0] {}
  const SharedIndices shared(ids);
  // gdb: print shared -> [2, 2] {{3, 7}, {7, -1}}
  stop();
}

static void tensors() {
  const Tensor a({0.5, -1}, true), b({2, 0.25}), undefined;
  // gdb: print a -> #1 leaf [2] {0.5, -1} requires_grad
  // gdb: print b -> #2 leaf [2] {2, 0.25}
  // gdb: print undefined -> undefined tensor
  // gdb: print a.node_ -> #1 leaf [2] {0.5, -1} requires_grad
  // gdb: print *a.node_._M_ptr -> #1 leaf [2] {0.5, -1} requires_grad
  Tensor product = a * b;  // steps: into the loop
  // gdb: print product -> #3 mul [2] {1, -0.25} requires_grad = { inputs[0] = #1 leaf [2] {0.5, -1} requires_grad, inputs[1] = #2 leaf [2] {2, 0.25} }
  Tensor y = sum(tanh(product) + product);
  // gdb: print y -> #6 sum_to [] {*} requires_grad = { inputs[0] = #5 add [2] {1.762, -0.4949} requires_grad }
  // gdb: gw graph y -> #6 sum_to [] {*} requires_grad <- #5 #5 add [2] {1.762, -0.4949} requires_grad <- #4, #3 #4 tanh [2] {0.7616, -0.2449} requires_grad <- #3 #3 mul [2] {1, -0.25} requires_grad <- #1, #2 #2 leaf [2] {2, 0.25} #1 leaf [2] {0.5, -1} requires_grad
  // gdb: gw graph a -> #1 leaf [2] {0.5, -1} requires_grad
  // gdb: gw graph undefined -> gw graph: undefined is an undefined tensor
  // gdb: gw graph -> gw graph: needs a tensor, as in: gw graph loss
  // gdb: gw graph nonsense -> gw graph: No symbol "nonsense" in current context.
  // gdb: gw graph 1 + 1 -> gw graph: 1 + 1 is no tensor but int
  // gdb: gw grad y -> #6 sum_to is no leaf, and only leaves keep a gradient; *
  // gdb: gw grad a -> #1 leaf: none
  // gdb: gw waiting -> gw waiting: the engine is not walking; try it at gw next-rule
  backward(y);
  // gdb: print y -> #6 sum_to [] {*} requires_grad, graph released
  // gdb: gw grad a -> #1 leaf: #* [2] {2.84, 0.485}
  // gdb: print a -> #1 leaf [2] {0.5, -1} requires_grad = { grad = #* mul [2] {2.84, 0.485} }
  // gdb: print *a.node_._M_ptr -> #1 leaf [2] {0.5, -1} requires_grad = { grad = #* mul [2] {2.84, 0.485} }
  const Tensor later = a * 2;
  // gdb: gw graph later -> #* scale [2] {1, -2} requires_grad <- #1 #1 leaf [2] {0.5, -1} requires_grad
  stop();
}

static void walk_back() {
  const Tensor a({0.5, -1}, true);
  Tensor y = sum(exp(a) * a);
  // gdb: gw next-rule -> rule of #* sum_to [] {*} requires_grad dy = #* leaf [] {1}
  // gdb: gw waiting -> has its turn: #* sum_to [] {*} requires_grad nothing is waiting
  // gdb: gw next-rule -> rule of #* mul [2] {0.8244, -0.3679} requires_grad dy = #* broadcast_to [2] {1, 1}
  // gdb: gw next-rule -> rule of #* exp [2] {1.649, 0.3679} requires_grad dy = #* mul [2] {0.5, -1}
  // gdb: gw waiting -> has its turn: #* exp [2] {1.649, 0.3679} requires_grad #* leaf: #* mul [2] {1.649, 0.3679}
  // gdb: gw into -> #0 *operator()*elementwise.cpp:*
  // gdb: print dy -> #* mul [2] {0.5, -1}*
  // gdb: gw next-op -> *gradwalk::operator* (a=*elementwise.cpp:*zip("mul"*
  // gdb: print a -> #* mul [2] {0.5, -1}
  // gdb: print b -> #* exp [2] {1.649, 0.3679} requires_grad*
  backward(y);
  // gdb: gw grad a -> #* leaf: #* [2] {2.473, *}
  stop();
}

static void many_wait() {
  const Tensor a({1}, true), b({2}, true), c({3}, true), d({4}, true);
  const Tensor early = tanh(a), product = c * d;
  Tensor y = sum(early * b + product);
  // gdb: gw next-rule -> *
  // gdb: gw next-rule -> *
  // gdb: gw next-rule -> rule of #* mul [1] {1.523} requires_grad dy = #* broadcast_to [1] {1}
  // gdb: gw waiting -> has its turn: #* mul [1] {1.523} requires_grad #* mul: #* broadcast_to [1] {1}
  // gdb: gw next-rule -> rule of #* mul [1] {12} requires_grad dy = #* broadcast_to [1] {1}
  // gdb: gw next-rule -> rule of #* tanh [1] {0.7616} requires_grad dy = #* mul [1] {2}
  // gdb: gw waiting -> has its turn: #* tanh [1] {0.7616} requires_grad #* leaf: #* mul [1] {3} #* leaf: #* mul [1] {4} #* leaf: #* mul [1] {0.7616}
  backward(y);
}

static void sparse() {
  Model model;
  // gdb: print model.table -> #* leaf [3, 2] {{1, 2}, {3, 4}, {5, 6}} requires_grad
  // gdb: print model -> Model: 3 parameters, 9 numbers, training = { table = #* leaf [3, 2] {{1, 2}, {3, 4}, {5, 6}} requires_grad, head.weight = #* leaf [1, 2] {{1, 2}} requires_grad, head.bias = #* leaf [1] {0.5} requires_grad }
  model.head.eval();
  // gdb: print model.head -> Head: 2 parameters, 3 numbers, eval*
  Tensor rows = gather_rows(model.table, {2, 0, 2});
  backward(sum(rows * rows));
  // gdb: gw grad model.table -> #* leaf: rows [3] {2, 0, 2} of 3: values [3, 2] {{10, 12}, {2, 4}, {10, 12}} row 2: {10, 12} row 0: {2, 4} row 2: {10, 12}
  const RowSparse unique = coalesce(std::get<RowSparse>(model.table.grad()));
  // gdb: print unique -> rows [2] {2, 0} of 3, coalesced: values [2, 2] {{20, 24}, {2, 4}} = { rows = [2] {2, 0}, values = #* [2, 2] {{20, 24}, {2, 4}} }
  Gradient none, dense_one = Tensor({1, 2}), row = unique, part = Slice{Tensor({1, 2}), {5}, 0, 3},
                 list = Tensors{Tensor({1}), Tensor()};
  // gdb: print none -> none
  // gdb: print dense_one -> #* leaf [2] {1, 2}
  // gdb: print row -> rows [2] {2, 0} of 3, coalesced: values [2, 2] {{20, 24}, {2, 4}} = {*
  // gdb: print part -> slice from 3 along axis 0 of [5]: [2] {1, 2} = {*
  // gdb: print list -> 2 tensors = { [0] = #* leaf [1] {1}, [1] = undefined tensor }
  SGD sgd(model.parameters(), {0.5});
  // gdb: break gradwalk::Optimizer::step_rows -> Breakpoint *
  // gdb: continue -> *
  // gdb: frame -> #0 gradwalk::Optimizer::step_rows (*
  // gdb: print g -> rows [3] {2, 0, 2} of 3: *
  // gdb: delete ->
  sgd.step();
  // gdb: print model.table -> #* leaf [3, 2] {{0, 0}, {3, 4}, {-5, -6}} requires_grad = { grad = rows [3] {2, 0, 2} of 3: *
  model.table.mutable_grad() = Tensor({{1, 1}, {1, 1}, {1, 1}});
  // gdb: break gradwalk::Optimizer::step_all -> Breakpoint *
  // gdb: continue -> *
  // gdb: frame -> #0 gradwalk::Optimizer::step_all (*
  // gdb: print g -> #* leaf [3, 2] {{1, 1}, {1, 1}, {1, 1}}
  // gdb: delete ->
  sgd.step();
  // gdb: print model.table -> #* leaf [3, 2] {{-0.5, -0.5}, {2.5, 3.5}, {-5.5, -6.5}} requires_grad*
  Tensor twice = gather_rows(model.table, {1}) + gather_rows(model.table, {1});
  // gdb: break gradwalk::GradientSum::add -> Breakpoint *
  // gdb: continue -> *
  // gdb: frame -> #0 gradwalk::GradientSum::add (*
  // gdb: print g -> #* leaf [] {1}
  // gdb: print *this -> none
  // gdb: delete ->
  backward(sum(twice));
}

static void not_a_number() {
  const Tensor x({4, 0, 1}, true);
  // gdb: gw until-nan -> -inf at [1] in #* log [3] {1.386, -inf, 0}, made from #* leaf [3] {4, 0, 1} requires_grad #2 *gradwalk::log *elementwise.cpp:*
  // gdb: print x -> #* leaf [3] {4, 0, 1} requires_grad
  Tensor y = log(x);
  Tensor finite = sum(sqrt(x));
  // gdb: gw until-nan -> inf at [0] in #* pair [1] {inf}, made from #* log [3] {1.386, -inf, 0} requires_grad #* not_a_number () at *
  record_many("pair", {y}, {Array{1}, Array{std::numeric_limits<Real>::infinity()}},
              [](const Tensors&) { return Gradients(1); });
  // gdb: gw until-nan -> inf at [1] in #* div [3] {0.25, inf, 0.5}, made from #* [3] {1, 1, 1} #* [3] {4, 0, 2} *
  backward(finite);
  Tensor wrong = sum(record("own", {x}, Array{1}, [](const Tensor&, const Tensor&) -> Gradients {
    return {Tensor({0, std::numeric_limits<Real>::quiet_NaN(), 0})};
  }));
  // gdb: gw until-nan -> the rule of #* own makes nan at [1] in the gradient of #* leaf [3] {4, 0, 1} requires_grad*gradwalk::apply_rule*
  backward(wrong);
  const Real most = std::numeric_limits<Real>::max();
  const auto huge = [&](const Tensor& t) {
    return record("huge", {t}, Array{1},
                  [most](const Tensor&, const Tensor&) -> Gradients { return {Tensor({most})}; });
  };
  const Tensor z = Tensor({1}, true) * 1;
  Tensor both = sum(huge(z) + huge(z));
  // gdb: gw until-nan -> the gradients that arrived at #* scale [1] {1} requires_grad add up to inf at [0] #0 gradwalk::apply_rule (*
  backward(both);
}

static void before_it_is_made() {
  alignas(Tensor) unsigned char bytes[sizeof(Tensor)];
  alignas(Array) unsigned char more[sizeof(Array)];
  std::fill_n(bytes, sizeof bytes, 0x5a);
  std::fill_n(more, sizeof more, 0x5a);
  auto* tensor = reinterpret_cast<Tensor*>(bytes);
  auto* array = reinterpret_cast<Array*>(more);
  // gdb: print *tensor -> <unreadable>
  // gdb: print *array -> <*>
  // gdb: gw graph *tensor -> gw graph: *
  // gdb: print *(gradwalk::Tensor*)8 -> Cannot access memory at address 0x8
  // gdb: print *(gradwalk::Gradient*)more -> <not constructed>
  // gdb: print *(gradwalk::RowSparse*)more -> <unreadable>*
  // gdb: print *(gradwalk::Node*)more -> <*>
  stop(tensor, array);
}

int main() {
  arrays();
  tensors();
  walk_back();
  many_wait();
  sparse();
  not_a_number();
  before_it_is_made();
}
