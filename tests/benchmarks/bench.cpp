// How fast: runs each work in gradwalk, in libtorch and as its floor (see works.hpp, floor.cpp), in
// turns, and prints medians and their ratios. Look at the ratios; milliseconds belong to the machine.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/benchmarks/picture.hpp"
#include "tests/benchmarks/works.hpp"

namespace {

struct Side {
  std::string name, program;
  std::string environment;  // before the command
};

// libtorch whose waiting threads sleep instead of spinning, which is the better way on busy cores.
constexpr const char* kAsleep = "libtorch_asleep";
// What another commit measures as ours.
constexpr const char* kBefore = "before";

// OpenBLAS takes a processor that it does not know for a Prescott of 2004. All sides inherit what is
// said here; what the user has said stays.
void name_processor() {
#ifdef __x86_64__
  void* blas = dlopen("libopenblas.so.0", RTLD_LAZY);
  const auto name = blas == nullptr ? nullptr : dlsym(blas, "openblas_get_corename");
  if (name == nullptr || reinterpret_cast<const char* (*)()>(name)() != std::string("Prescott"))
    return;
  const char* better = __builtin_cpu_supports("avx512f") ? "SkylakeX"
                       : __builtin_cpu_supports("avx2")  ? "Haswell"
                                                         : "Prescott";
  setenv("OPENBLAS_CORETYPE", better, /*overwrite=*/0);
#endif
}

std::vector<Side> all_sides(const std::string& before) {
  const Side ours{"ours", BENCH_OURS, "OPENBLAS_NUM_THREADS=1"};
  if (!before.empty()) return {ours, {kBefore, before, ours.environment}};
  std::vector<Side> sides{ours, {"floor", BENCH_FLOOR, ours.environment}};
#ifdef BENCH_LIBTORCH
  // glibc's malloc maps and unmaps each large array of each step unless told to keep them.
  std::string environment =
      "MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=8589934592 "
      "MALLOC_TOP_PAD_=268435456";
#ifdef OPENMP_BLAS
  environment += " LD_LIBRARY_PATH='" OPENMP_BLAS "'";
#endif
  sides.push_back({"libtorch", BENCH_LIBTORCH, environment});
  sides.push_back({kAsleep, BENCH_LIBTORCH, environment + " OMP_WAIT_POLICY=PASSIVE"});
#endif
  return sides;
}

struct Measured {
  std::vector<double> losses, medians;  // medians: of each round
  double peak = 0;                      // MB
  double ms() const;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Measured::ms() const { return median(medians); }

// A round of one side. `sizes` are as child.cpp takes them.
void measure(const Side& side, const Work& work, int threads, int warm_up, const std::string& sizes,
             Measured& measured) {
  std::ostringstream text;
  text << side.environment << " OMP_NUM_THREADS=" << threads << " '" << side.program << "' "
       << work.name << " " << threads << " " << warm_up << " " << work.samples << " " << sizes;
  const std::string command = text.str();
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  std::vector<double> losses, times;
  char line[256];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    double value = 0;
    if (std::sscanf(line, "loss %lf", &value) == 1) losses.push_back(value);
    if (std::sscanf(line, "ms %lf", &value) == 1) times.push_back(value);
    if (std::sscanf(line, "peak %lf", &value) == 1) measured.peak = std::max(measured.peak, value);
  }
  if (pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  if (measured.losses.empty()) measured.losses = losses;
  measured.medians.push_back(median(times));
}

struct Row {
  Work work;
  int threads;
  std::map<std::string, Measured> sides;

  double ms(const std::string& side) const {
    const auto found = sides.find(side);
    return found == sides.end() ? 0 : found->second.ms();
  }
  double peak(const std::string& side) const {
    const auto found = sides.find(side);
    return found == sides.end() ? 0 : found->second.peak;
  }
};

// Rounds take the sides in turn, so that a noisy moment hits all. The first compares losses, and
// needs more steps to do so than it takes to warm up. Of libtorch's two ways to wait the better one
// counts.
Row measure_work(const std::vector<Side>& sides, const Work& work, int threads, int rounds,
                 const std::string& sizes = "") {
  constexpr int kLosses = 6, kWarmUp = 2;
  Row row{work, threads, {}};
  const bool is_breadth = work.kind == Kind::kBreadth;  // which compares more than losses
  for (int round = 0; round < rounds; ++round) {
    for (const Side& side : sides) {
      const bool is_floor = side.name == "floor";
      if (is_floor && (work.kind == Kind::kChain || is_breadth)) continue;
      if (side.name == kAsleep && threads == 1) continue;
      try {
        measure(side, work, threads, round > 0 || is_floor || is_breadth ? kWarmUp : kLosses, sizes,
                row.sides[side.name]);
      } catch (const std::runtime_error&) {
        if (side.name != kBefore) throw;  // which may lack this work
      }
    }
  }
  for (const auto& [name, side] : row.sides) {
    if (side.medians.empty()) continue;
    const auto [least, most] = std::minmax_element(side.medians.begin(), side.medians.end());
    if (*most > 1.15 * *least)
      std::fprintf(stderr, "%s, %d threads: rounds of %s took %s to %s ms; is the machine busy?\n",
                   work.name.c_str(), threads, name.c_str(), number(*least).c_str(),
                   number(*most).c_str());
  }
  if (row.sides.count(kAsleep) && row.ms(kAsleep) < row.ms("libtorch"))
    row.sides["libtorch"] = row.sides[kAsleep];
  return row;
}

// Whether both sides have learnt the same from the same weights in five steps.
bool losses_agree(const Row& row) {
  auto other = row.sides.find("libtorch");
  if (other == row.sides.end()) other = row.sides.find(kBefore);
  if (other == row.sides.end()) return true;
  const std::vector<double>&a = row.sides.at("ours").losses, &b = other->second.losses;
  for (std::size_t k = 0; k < std::min(a.size(), b.size()); ++k) {
    if (std::abs(a[k] - b[k]) <= 1e-4 * std::abs(b[k])) continue;
    std::fprintf(stderr, "%s: after %zu steps the losses are ours %.7g, %s %.7g\n",
                 row.work.name.c_str(), k, a[k], other->first.c_str(), b[k]);
    return false;
  }
  return true;
}

std::string ratio(double a, double b) { return a > 0 && b > 0 ? number(a / b) : "-"; }

// In Markdown, which reads well on a terminal, too. The columns' widths are fixed: each row is
// printed as soon as it is there.
std::string table_line(const std::vector<std::string>& cells) {
  constexpr int kWidths[] = {-20, -33, 7, 7, 8, 7, 9, 6, 7, 8, 9};
  std::ostringstream line;
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const int width = kWidths[k];
    line << "| " << (width < 0 ? std::left : std::right) << std::setw(std::abs(width)) << cells[k]
         << " ";
  }
  line << "|\n";
  return line.str();
}

std::string table_head(bool against) {
  std::vector<std::string> names{"work",      "",       "threads", "ours ms",  "libtorch", "floor",
                                 "/libtorch", "/floor", "ours MB", "libtorch", "/libtorch"};
  if (against) names = {"work", "", "threads", "ours ms", "before", "/before"};
  std::vector<std::string> rule(2, "---");
  rule.resize(names.size(), "---:");
  return table_line(names) + table_line(rule);
}

// Round by round: what disturbs one side disturbs both.
double ratio_to_before(const Row& row) {
  const std::vector<double>&a = row.sides.at("ours").medians, &b = row.sides.at(kBefore).medians;
  std::vector<double> ratios;
  for (std::size_t k = 0; k < b.size(); ++k) ratios.push_back(a[k] / b[k]);
  return median(ratios);
}

std::string table_row(const Row& row) {
  const double ours = row.ms("ours"), libtorch = row.ms("libtorch"), floor = row.ms("floor");
  if (row.sides.count(kBefore)) {
    return table_line({row.work.name, row.work.what, std::to_string(row.threads), number(ours),
                       number(row.ms(kBefore)), number(ratio_to_before(row))});
  }
  return table_line({row.work.name, row.work.what, std::to_string(row.threads), number(ours),
                     number(libtorch), number(floor), ratio(ours, libtorch), ratio(ours, floor),
                     number(row.peak("ours")), number(row.peak("libtorch")),
                     ratio(row.peak("ours"), row.peak("libtorch"))});
}

std::string machine() {
  std::string cpu = "unknown CPU", version = __VERSION__;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) cpu = line.substr(line.find(':') + 2);
  }
  std::string text = cpu + ", " + std::to_string(std::thread::hardware_concurrency()) +
                     " cores, compiler " + version.substr(0, version.find(' ')) +
                     "; ours with " OUR_BLAS;
#ifdef LIBTORCH_VERSION
  text += "; libtorch " LIBTORCH_VERSION;
#endif
  return text;
}

// The sentiment step, row-sparse, on one thread, as one of its sizes grows.
std::vector<Curve> measure_growth(std::vector<Side> sides, int rounds) {
  sides.erase(std::find_if(sides.begin(), sides.end(),
                           [](const Side& side) { return side.name == "floor"; }));
  std::vector<Curve> curves{{"V", {1e3, 1e4, 1e5, 1e6}, {}, {}},
                            {"T", {16, 32, 64, 128}, {}, {}},
                            {"N", {16, 32, 64, 128}, {}, {}},
                            {"H", {64, 128, 256, 512}, {}, {}}};
  Work work = find_work("W2-sparse");
  work.samples = 10;
  for (Curve& curve : curves) {
    std::printf("\n%10s %10s %10s\n", curve.size.c_str(), "ours", "libtorch");
    for (const double size : curve.at) {
      const Row row = measure_work(sides, work, 1, rounds,
                                   curve.size + "=" + std::to_string(static_cast<long>(size)));
      curve.ours.push_back(row.ms("ours"));
      if (row.sides.count("libtorch")) curve.libtorch.push_back(row.ms("libtorch"));
      std::printf("%10.0f %10s %10s\n", size, number(row.ms("ours")).c_str(),
                  number(row.ms("libtorch")).c_str());
      std::fflush(stdout);
    }
  }
  return curves;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  if (!(out << text).flush()) throw std::runtime_error(path + ": cannot be written");
}

// Better found out now than after ten minutes of measuring.
void check_output(const std::string& path) {
  if (path.empty()) return;
  const bool is_new = !std::ifstream(path);
  if (!std::ofstream(path, std::ios::app)) throw std::runtime_error(path + ": cannot be written");
  if (is_new) std::remove(path.c_str());
}

void write_json(const std::string& path, const std::vector<Row>& rows,
                const std::vector<Curve>& curves) {
  nlohmann::ordered_json json{{"machine", machine()}, {"works", nlohmann::json::array()}};
  for (const Row& row : rows) {
    nlohmann::ordered_json entry{{"work", row.work.name}, {"threads", row.threads}};
    for (const auto& [name, side] : row.sides)
      entry[name] = {{"ms", side.ms()}, {"rounds", side.medians}, {"peak_mb", side.peak}};
    json["works"].push_back(entry);
  }
  for (const Curve& curve : curves)
    json["growth"][curve.size] = {
        {"at", curve.at}, {"ours", curve.ours}, {"libtorch", curve.libtorch}};
  write(path, json.dump(1) + "\n");
}

// A page whose table stands between two marks.
struct Page {
  std::string path, before, after;

  explicit Page(const std::string& file) : path(file) {
    const std::string begin = "<!-- bench -->", end = "<!-- /bench -->";
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    const std::size_t from = text.str().find(begin), to = text.str().find(end);
    if (from == std::string::npos || to == std::string::npos || to < from)
      throw std::runtime_error(path + ": must hold " + begin + " and, below it, " + end);
    before = text.str().substr(0, from + begin.size());
    after = text.str().substr(to);
  }
  void write_table(const std::string& table) const { write(path, before + "\n" + table + after); }
};

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Measures gradwalk beside libtorch and beside the least that the work takes");
  app.footer(
      "./run bench --openblas  ours and the floor take OpenBLAS's products\n"
      "./run bench programs    two example programs beside fastText");
  std::vector<std::string> wanted;
  std::vector<int> thread_counts{1, 2};
  int rounds = 3;
  bool growth = false, quick = false;
  std::string against, json, svg, page;
  std::string names;
  for (const Work& work : all_works()) names += " " + work.name;
  app.add_option("works", wanted, "Those whose names begin so; all unless given:" + names);
  auto* rounds_given = app.add_option("--rounds", rounds, "Of each work")
                           ->check(CLI::Range(1, 1000))
                           ->capture_default_str();
  app.add_option("--threads", thread_counts, "Of works that can be split: 1,2")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag(
      "--quick", quick,
      "A quarter of the samples, and one round beside libtorch; unless works are named, of\n"
      "W1-dense, W3-1e5, W5-chain and breadth, in less than two minutes");
  auto* growth_flag = app.add_flag("--growth", growth, "Also measure a step as V, T, N and H grow");
  app.add_option(
         "--against", against,  // of which ./run makes the path of a program
         "In turns with that commit instead of libtorch and the floor: is this tree slower?")
      ->type_name("COMMIT")
      ->check(CLI::ExistingFile)
      ->excludes(growth_flag);
  app.add_option("--json", json, "Write the figures")->type_name("FILE");
  app.add_option("--svg", svg, "Draw a picture")->type_name("FILE");
  app.add_option("--page", page,
                 "Put the table between its marks <!-- bench --> and <!-- /bench -->")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  if (quick && wanted.empty()) wanted = {"W1-dense", "W3-1e5", "W5-chain", "breadth"};
  if (quick && against.empty() && rounds_given->count() == 0) rounds = 1;

  std::vector<Work> works;
  for (Work& work : all_works()) {
    if (quick) work.samples = (work.samples + 3) / 4;
    if (wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
          return work.name.rfind(name, 0) == 0;
        }))
      works.push_back(work);
  }
  for (const std::string& name : wanted) {
    if (std::none_of(works.begin(), works.end(),
                     [&](const Work& work) { return work.name.rfind(name, 0) == 0; }))
      throw std::invalid_argument("no work's name begins with " + name + "; there are" + names);
  }

  name_processor();
  const std::vector<Side> sides = all_sides(against);
  const std::optional<Page> target = page.empty() ? std::nullopt : std::optional<Page>(page);
  for (const std::string& path : {json, svg, page}) check_output(path);

  std::vector<Row> rows;
  const std::string head =
      machine() + "; medians of " + std::to_string(rounds) + " rounds, in milliseconds" +
      (against.empty() ? "; megabytes at the peak" : "") + "\n\n" + table_head(!against.empty());
  std::cout << head << std::flush;
  bool agree = true;
  for (const Work& work : works) {
    for (const int threads : work.splits ? thread_counts : std::vector<int>{1}) {
      rows.push_back(measure_work(sides, work, threads, rounds));
      agree = losses_agree(rows.back()) && agree;
      std::cout << table_row(rows.back()) << std::flush;
    }
  }
  const std::vector<Curve> curves = growth ? measure_growth(sides, rounds) : std::vector<Curve>{};
  // What is slowest beside libtorch is to be seen first.
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.ms("ours") * b.ms("libtorch") > b.ms("ours") * a.ms("libtorch");
  });
  if (!json.empty()) write_json(json, rows, curves);
  if (target) {
    std::string table = head;
    for (const Row& row : rows) table += table_row(row);
    target->write_table(table);
  }
  if (!svg.empty()) {
    std::vector<Bar> bars;
    for (const Row& row : rows)
      bars.push_back({row.work.name + ", " + std::to_string(row.threads) + "t: " + row.work.what,
                      row.ms("ours"), row.ms("libtorch"), row.ms("floor")});
    write_svg(svg, machine(), bars, curves);
  }
  return agree ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench: %s\n", e.what());
  return 1;
}
