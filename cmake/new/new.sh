#!/usr/bin/env bash
# new.sh op|layer|optimizer NAME   from the templates beside it: all files are made in a folder of
# their own and checked before the first is put in its place. Called by ./run new.
# new.sh remove NAME   takes out what that wrote, with what stands in it now.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
kind=${1:-} given=${2:-}

refuse() { echo "new: $*" >&2; exit 2; }

case $kind in
  op | layer | optimizer | remove) [[ $# == 2 ]] || refuse "needs a name and no more: ./run new $kind NAME" ;;
  *) refuse "needs op, layer, optimizer or remove, and a name, got '$*'" ;;
esac

# ---- the name: my_name in files and errors, MyName of a class ----
snake='^[a-z][a-z0-9]+(_[a-z0-9]+)*$' camel='^[A-Z][A-Za-z0-9]+$'
keywords=' alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class
  co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete
  do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
  new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short
  signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid
  typename union unsigned using virtual void volatile wchar_t while xor xor_eq main '
if [[ $kind == op ]]; then
  [[ $given =~ $snake ]] || refuse "an op's name is like soft_sign: two or more of a-z, 0-9 and single _, got '$given'"
  my_name=$given MyName=$given
else
  [[ $given =~ $camel || $given =~ $snake ]] ||
    refuse "the name of a class is like SoftSign or soft_sign: letters a-z, digits, got '$given'"
  my_name=$(sed -E 's/([A-Z]+)([A-Z][a-z])/\1_\2/g; s/([a-z0-9])([A-Z])/\1_\2/g' <<<"$given" | tr "[:upper:]" "[:lower:]")
  MyName=$given
  if [[ $given =~ $snake ]]; then
    MyName=$(awk -F_ '{ for (i = 1; i <= NF; ++i) printf "%s", toupper(substr($i, 1, 1)) substr($i, 2) }' <<<"$given")
  fi
fi
[[ $kind != op || ! $keywords =~ [[:space:]]${my_name}[[:space:]] ]] || refuse "'$given' is a word of C++"

cd "$root"
remove=
if [[ $kind == remove ]]; then
  remove=1
  for kind in op layer optimizer ''; do [[ ! -f tests/own/${kind}_$my_name.cpp ]] || break; done
  [[ $kind ]] || refuse "nothing to remove: tests/own/ has no op, layer or optimizer $my_name"
fi

# What has that name in a header: for an op a function, else anything.
pattern="$MyName([^A-Za-z0-9_]|\$)"
[[ $kind != op ]] || pattern="$my_name *\\("
for header in core/ops.hpp $(find core layers optim -name '*.hpp'); do
  if [[ ! $remove ]] && sed 's://.*::' "$header" | grep -E "(^|[^A-Za-z0-9_])$pattern" >/dev/null; then
    refuse "$MyName exists already, in $header"
  fi
done

case $kind in
  op) made=(core/ops/$my_name.cpp) at=core/ops/$my_name.cpp edited=(CMakeLists.txt core/ops.hpp) ;;
  layer) made=(layers/$my_name.{hpp,cpp}) at=layers/$my_name.cpp edited=(CMakeLists.txt layers/layers.hpp) ;;
  optimizer)
    made=(optim/$my_name.{hpp,cpp}) at=optim/$my_name.cpp
    edited=(CMakeLists.txt optim/optim.hpp tests/optimizer_kinds.hpp)
    ;;
esac
made+=("tests/own/${kind}_$my_name.cpp")
for file in "${made[@]}"; do
  [[ $remove || ! -e $file ]] || refuse "$file exists already"
done

# ---- made in a folder of their own ----
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# before PATTERN LINES FILE   the one line that matches gets these before it
before() {
  LINES_=$2 awk -v pattern="$1" '$0 ~ pattern { print ENVIRON["LINES_"]; ++n } { print } END { exit n != 1 }' "$3" \
    >"$stage/now/$3" || refuse "found no place in $3: one line must match '$1'"
}

# include PATH FILE   in the order of the alphabet
include() {
  awk -v line="#include \"$1\"" '/^#include "/ && !n && $0 > line { print line; n = 1 } { print }
    END { if (!n) print line }' "$2" >"$stage/now/$2"
}

# without FILE   loses what is said there of this name: a line, a part of ops.hpp, a statement of optimizer_kinds.hpp
without() {
  awk -v at="$at" -v name="$my_name" -v kind="optimizer_kind<${my_name//_/}>" '
    $0 == "  " at || $0 == "#include \"" substr(at, 1, length(at) - 3) "hpp\"" { next }
    /^(\/\/ ---- |}  \/\/ namespace)/ { part = $0 == "// ---- ops/" name ".cpp ----" }
    part { next }
    /^    all[.]push_back[(]/ { held = 1 }
    held { text = text $0 "\n" }
    held && /;$/ { if (!index(tolower(text), kind)) printf "%s", text; held = 0; text = ""; next }
    !held' "$1" >"$stage/now/$1"
}

for file in "${made[@]}" "${edited[@]}"; do mkdir -p "$stage"/{was,now}/"$(dirname "$file")"; done
for file in "${edited[@]}"; do
  cp -p "$file" "$stage/was/$file"
  [[ ! $remove ]] || without "$file"
done
for file in "${made[@]}"; do
  template=$kind.${file##*.}
  [[ $file != tests/* ]] || template=${kind}_check.cpp
  sed "s/my_name/$my_name/g; s/MyName/$MyName/g" "$here/$template" >"$stage/now/$file"
done
case $kind$remove in
  op)
    before '^  core/machine/blas[.]cpp ' "  $at" CMakeLists.txt
    before '^}  // namespace gradwalk$' "// ---- ops/$my_name.cpp ----
// y = x^2, elementwise: an example        dx = dy * 2 x
Tensor $my_name(const Tensor& x);
" core/ops.hpp
    ;;
  layer)
    before '^  layers/recurrent/cells[.]cpp ' "  $at" CMakeLists.txt
    include "layers/$my_name.hpp" layers/layers.hpp
    ;;
  optimizer)
    before '^  optim/adagrad[.]cpp ' "  $at" CMakeLists.txt
    include "optim/$my_name.hpp" optim/optim.hpp
    before '^    AdagradOptions a;$' "    all.push_back(
        optimizer_kind<$MyName>(message(\"$MyName \", decay), ${MyName}Options{0.1, decay}));" tests/optimizer_kinds.hpp
    ;;
esac
if command -v clang-format >/dev/null; then  # a long name moves the ends of lines
  for file in "${made[@]}" "${edited[@]}"; do
    [[ $file == *.?pp ]] || continue
    clang-format --assume-filename="$root/$file" <"$stage/now/$file" >"$stage/formatted"
    mv "$stage/formatted" "$stage/now/$file"
  done
fi

# lines WORD BEFORE AFTER   the lines that only AFTER has, with their places
lines() {
  local file
  for file in "${edited[@]}"; do
    { diff "$2/$file" "$3/$file" || true; } | awk -v to="$1 $file:" '
      /^[0-9]/ { split($0, n, "[acd,]"); at = n[2] }
      /^>/ { if (length($0) > 2) print to at ": " substr($0, 3); ++at }'
  done
}

# ---- put in their places, all or none ----
undo() {
  [[ $remove ]] || rm -f "${made[@]}"
  for file in "${edited[@]}"; do cmp -s "$stage/was/$file" "$file" || cp -p "$stage/was/$file" "$file"; done
  refuse "could not write; everything is as it was"
}
trap undo ERR INT TERM HUP
[[ $remove ]] || for file in "${made[@]}"; do cat "$stage/now/$file" >"$file"; done
for file in "${edited[@]}"; do cat "$stage/now/$file" >"$file"; done
trap - ERR INT TERM HUP

if [[ $remove ]]; then
  rm -f "${made[@]}"
  printf 'removed   %s\n' "${made[@]}"
  lines 'taken from' "$stage/now" "$stage/was"
  exit
fi
printf 'wrote     %s\n' "${made[@]}"
lines 'added to ' "$stage/was" "$stage/now"
grep -n 'not_written(' "$at" | sed -E 's/^([0-9]+): */fill in   '"${at//\//\\/}"':\1: /'
echo "check     ./run check $my_name; ./run new remove $my_name undoes this"
echo "The formula and the numbers are an example's: put your own where it says 'example' in"
grep -l example "${made[@]}" "${edited[@]:1}" | sed 's/^/          /'
