# A formula for Homebrew. Its syntax was checked (ruby -c); `brew install` was not tried.
# SOURCE_URL and SOURCE_SHA256 are placeholders: the project names no host. To try it with sources of your own:
#   git archive --prefix=gradwalk-0.1.0/ -o gradwalk-0.1.0.tar.gz HEAD && sha256sum gradwalk-0.1.0.tar.gz
# and file:///... of that archive as url.
class Gradwalk < Formula
  desc "Minimal autograd framework in C++17, to learn from"
  url "SOURCE_URL"
  version "0.1.0"
  sha256 "SOURCE_SHA256"
  license "MIT"

  depends_on "cli11" => :build
  depends_on "cmake" => [:build, :test]
  depends_on "nlohmann-json" => :build
  depends_on "openblas"
  depends_on "xtensor" # its headers are part of ours

  def install
    # OpenBLAS: oneDNN's products need OpenMP, which Apple's compiler does not come with.
    system "cmake", "-S", ".", "-B", "build", "-DGRADWALK_NATIVE=OFF", "-DGRADWALK_BLAS=cblas",
           "-DGRADWALK_BUILD_TESTS=OFF", "-DGRADWALK_INSTALL_PROGRAMS=ON", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
    pkgshare.install "tests/consumer"
  end

  test do
    system "cmake", "-S", pkgshare/"consumer", "-B", "build"
    system "cmake", "--build", "build"
    system "build/consumer"
  end
end
