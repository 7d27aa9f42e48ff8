// hint 1: First the whole gradient of c': dc plus what comes through h' = o * tanh(c').
// hint 2: double all = dc + dh * gate.o * (1 - t * t). Then f * c + i * g is a sum of two
//   products: f gets all * c, c gets all * f, i gets all * g, g gets all * i; and o gets dh * t.
// hint 3: Each gate is a sigmoid or tanh of its sum: a_i gets all * gate.g * gate.i * (1 -
//   gate.i), a_g gets all * gate.i * (1 - gate.g * gate.g); f as i with c, and o with dh * t.
// why: c gets f times the gradient of c': no weight matrix and no tanh lies on this path. With f
//   near 1 a gradient reaches far back in time, which a plain recurrent network does not allow.
#if ANSWER == 0
LstmSlopes lstm_rule(Gates gate, double c, double dh, double dc) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  double all = dc + dh * gate.o * (1 - t * t);
  return {{all * gate.g * gate.i * (1 - gate.i), all * c * gate.f * (1 - gate.f),
           all * gate.i * (1 - gate.g * gate.g), dh * t * gate.o * (1 - gate.o)},
          all * gate.f};
}
#elif ANSWER == 1  // says: dc is left out
LstmSlopes lstm_rule(Gates gate, double c, double dh, double) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  double all = dh * gate.o * (1 - t * t);
  return {{all * gate.g * gate.i * (1 - gate.i), all * c * gate.f * (1 - gate.f),
           all * gate.i * (1 - gate.g * gate.g), dh * t * gate.o * (1 - gate.o)},
          all * gate.f};
}
#elif ANSWER == 2  // says: go on through its sigmoid
LstmSlopes lstm_rule(Gates gate, double c, double dh, double dc) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  double all = dc + dh * gate.o * (1 - t * t);
  return {{all * gate.g, all * c, all * gate.i, dh * t}, all * gate.f};
}
#elif ANSWER == 3  // says: The derivative of tanh(c') is missing
LstmSlopes lstm_rule(Gates gate, double c, double dh, double dc) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  double all = dc + dh * gate.o;
  return {{all * gate.g * gate.i * (1 - gate.i), all * c * gate.f * (1 - gate.f),
           all * gate.i * (1 - gate.g * gate.g), dh * t * gate.o * (1 - gate.o)},
          all * gate.f};
}
#elif ANSWER == 4  // says: the factor tanh(c') is missing
LstmSlopes lstm_rule(Gates gate, double c, double dh, double dc) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  double all = dc + dh * gate.o * (1 - t * t);
  return {{all * gate.g * gate.i * (1 - gate.i), all * c * gate.f * (1 - gate.f),
           all * gate.i * (1 - gate.g * gate.g), dh * gate.o * (1 - gate.o)},
          all * gate.f};
}
#endif
