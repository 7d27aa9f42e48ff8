#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  Generator generator(13);
  for (int round = 0; round < 3; ++round) {
    const Real ai = generator.normal(), af = generator.normal(), ag = generator.normal(),
               ao = generator.normal(), c = generator.normal(), dh = generator.normal(),
               dc = round == 0 ? 0 : generator.normal();
    const auto s = [](Real a) { return 1 / (1 + std::exp(-a)); };
    const Gates gate{s(ai), s(af), std::tanh(ag), s(ao)};
    const LstmSlopes got = lstm_rule(gate, c, dh, dc);
    const Real t = std::tanh(gate.f * c + gate.i * gate.g);
    const Real through_h = dh * gate.o * (1 - t * t), all = through_h + dc;
    const auto one = [&](const char* name, double is, Real factor, Real gate_slope) {
      same(message(name, " for dh = ", dh, ", dc = ", dc), is, all * factor * gate_slope,
           {{number(through_h * factor * gate_slope),
             "dc is left out: c' is used by the next step, too. Add it to what comes through h'."},
            {number(dc * factor * gate_slope),
             "What comes to c' through h' is left out: dh * o * (1 - tanh(c')^2)."},
            {number((dh * gate.o + dc) * factor * gate_slope),
             "The derivative of tanh(c') is missing: 1 - tanh(c')^2."},
            {number((dh * (1 - t * t) + dc) * factor * gate_slope), "o is missing in dc'."},
            {number(all * factor),
             "This is the gradient of the gate itself: go on through its sigmoid or tanh."}});
    };
    one("dL/dc", got.c, gate.f, 1);
    one("dL/da_i", got.a.i, gate.g, gate.i * (1 - gate.i));
    one("dL/da_f", got.a.f, c, gate.f * (1 - gate.f));
    one("dL/da_g", got.a.g, gate.i, 1 - gate.g * gate.g);
    same("dL/da_o", got.a.o, dh * t * gate.o * (1 - gate.o),
         {{number(dh * t), "This is the gradient of the gate itself: go on through its sigmoid."},
          {number(dh * gate.o * (1 - gate.o)),
           "h' = o * tanh(c'): the factor tanh(c') is missing."}});
  }
}

}  // namespace course
