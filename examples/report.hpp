// What --report writes while a program trains.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/observer.hpp"
#include "layers/module.hpp"

bool is_page(const std::string& path);  // ends in .html

// Watches the gradients that an optimizer uses, and keeps of each epoch a few figures.
class Report : public gradwalk::Observer {
 public:
  using Json = nlohmann::ordered_json;
  using Paths = std::vector<std::string>;

  // A path that ends in .html gets a page that draws the figures, another one the JSON alone; an
  // empty path gets nothing. The configuration is what the program was told to do.
  Report(Paths paths, const char* program, const Json& config,
         const gradwalk::StateDict& parameters);

  void on_update(const gradwalk::Tensor& parameter, const char* policy, bool done) override;
  // An epoch is over: its figures, with what was seen of the gradients, join those before it. If
  // that cannot be written, it is told, and the training goes on: the next epoch writes all.
  void end_epoch(Json figures, bool best = false);
  // The training is over. Throws gradwalk::FileError if this cannot be written.
  void end(bool interrupted);

  std::string figures() const;  // of the epochs that are over, as load_state_dict() reads them
  // What was seen of this epoch.
  gradwalk::StateDict state_dict() const;
  void load_state_dict(const std::string& figures, gradwalk::StateValues seen);

  Json json;
  gradwalk::StateValues more;  // what else a program draws it from; a checkpoint keeps it, too

 private:
  std::string dumped(int indent) const;
  void write() const;

  struct Seen {  // of the gradients of one parameter, in this epoch
    std::size_t steps = 0;
    double norms = 0, largest = 0;  // the sum of the norms, and the largest of them
    double shares = 0;              // the sum of the shares of rows
    std::vector<bool> touched;      // the rows, if gradients are row-sparse
  };

  const Paths paths_;
  const gradwalk::StateDict parameters_;
  std::vector<Seen> seen_;  // one for each of them
};
