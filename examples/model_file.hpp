// What the model files of the programs have in common: a safetensors file whose metadata hold the
// name of a format, a configuration and vocabularies, as JSON. Any bytes give a model or one
// gradwalk::FileError.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/text.hpp"
#include "layers/files/safetensors.hpp"

// Hands the file to `parse`; whatever that objects to is told of the file. The format is the right
// one then, and all numbers are finite.
void read_model_file(const std::string& path, const std::string& format,
                     const std::function<void(const gradwalk::Checkpoint&)>& parse);

// The metadata's `config`, an object.
nlohmann::json config_of(const gradwalk::Checkpoint& file);
// Its fields.
std::size_t size_at(const nlohmann::json& config, const char* key, std::size_t low,
                    std::size_t high);
bool flag_at(const nlohmann::json& config, const char* key);
std::string choice_at(const nlohmann::json& config, const char* key,
                      const std::vector<std::string>& choices);
// The texts that are listed in the metadata's `key`.
std::vector<std::string> texts_of(const gradwalk::Checkpoint& file, const char* key);

// That the weights have this shape, before a model of the size is allocated.
void check_shape(const gradwalk::Checkpoint& file, const std::string& name,
                 const gradwalk::Shape& shape);

// Weights may be finite and yet so large that what is made of them is not.
class Overflow : public std::runtime_error {
 public:
  Overflow();
};
// Throws Overflow where there is no greatest logit.
void check_finite(const gradwalk::Array& logits);
// Calls run. An Overflow is told of the model's file.
int with_model_file(const std::string& path, const std::function<int()>& run);
