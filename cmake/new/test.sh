#!/usr/bin/env bash
# test.sh BUILD   ./run new and ./run check in a copy of the sources, with the library of BUILD: what
# new writes builds, its check fails with the line to fill in, and passes once that is filled in.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && tar cf - --exclude=./build --exclude=./.git .) | tar xf - -C "$copy"
cd "$copy"
rm -f tests/own/{op,layer,optimizer}_*.cpp
mkdir -p build/double/check
ln -s "$1"/{libgradwalk.*,gradwalk*.cmake} build/double/
cp "$1/CMakeCache.txt" build/double/
touch build/double/check/built  # the library is as new as the sources

fail() { printf 'test.sh: %s\n' "$*" >&2; exit 1; }
tree() { find . -path ./build -prune -o ! -type d -print0 | sort -z | xargs -0 cksum; }

# refused TEXT COMMAND...   says that in one line, with code 2, and changes nothing
refused() {
  local text=$1 said code=0 before
  before=$(tree)
  said=$("${@:2}" 2>&1) || code=$?
  [[ $code == 2 && $said == *"$text"* && $said != *$'\n'* ]] || fail "${*:2}: code $code, said: $said"
  [[ $(tree) == "$before" ]] || fail "${*:2}: changed a file"
}

new=$(tree)
put() { sed "s|$1|$2|" "$3" >build/put && cat build/put >"$3"; }  # PATTERN TEXT FILE

# fills KIND NAME FILE [MISSING LINE]...   new says what it wrote, remove undoes it; the check fails where the next line
# is missing, and passes with all
fills() {
  local kind=$1 name file=$3 said at line text before
  name=$(basename "$file" .cpp)
  before=$(tree)
  said=$(./run new "$kind" "$2")
  ./run new remove "$2" >build/removed
  [[ $(tree) == "$before" ]] || fail "new remove $2 did not undo new $kind $2, said: $(<build/removed)"
  [[ $(./run new "$kind" "$2") == "$said" ]] || fail "new $kind $2 is not the same after new remove $2"
  sed -n 's/^wrote *\(.*\)/removed   \1/p; s/^added to  \(.*\)/taken from \1/p' <<<"$said" | cmp -s - build/removed ||
    fail "new said: $said; new remove said: $(<build/removed)"
  for text in "$file" "tests/own/${kind}_$name.cpp"; do
    [[ $said == *"wrote     $text"$'\n'* ]] || fail "new $kind $2 said: $said"
  done
  [[ $(grep -c '^added to  ' <<<"$said") -ge 2 ]] || fail "new $kind $2 said: $said"
  while IFS=: read -r at line text; do
    [[ $(sed -n "${line}p" "$at") == "${text# }" ]] || fail "new $kind $2: $at:$line is not '${text# }'"
  done < <(sed -n 's/^added to  //p' <<<"$said")
  shift 3
  while (($#)); do
    at=$file:$(sed -n "/not_written(\"$1\"/=" "$file")
    [[ $said == *"fill in   $at: "* ]] || fail "new $kind $name said: $said"
    text=$(./run check "$name" 2>&1) && fail "check $name passed before $1 was written"
    [[ $text == *$'\n'"$at: $1 is not written yet" ]] || fail "check $name said: $text"
    [[ $text != *warning* ]] || fail "check $name warns: $text"
    put "not_written(\"$1\".*" "$2" "$file"
    shift 2
  done
  text=$(./run check "$name" 2>&1) || fail "check $name, with its lines written, said: $text"
}

for name in Soft soft-sign soft__sign _soft soft_ 9soft s 'soft sign' ../soft ''; do
  refused "an op's name is like soft_sign" ./run new op "$name"
done
for name in Soft-Sign 9Soft soft__sign 'Soft;' S; do
  refused "the name of a class is like SoftSign or soft_sign" ./run new layer "$name"
done
refused "'int' is a word of C++" ./run new op int
refused "'xor' is a word of C++" ./run new op xor
refused 'softplus exists already, in core/ops.hpp' ./run new op softplus
refused 'record exists already, in core/' ./run new op record
refused 'core/ops/lookup.cpp exists already' ./run new op lookup
refused 'Linear exists already, in layers/linear.hpp' ./run new layer linear
refused 'LayerNorm exists already, in layers/layer_norm.hpp' ./run new layer LayerNorm
refused 'optim/sgd.hpp exists already' ./run new optimizer sgd
refused 'needs op, layer, optimizer or remove, and a name' ./run new loss huber
refused 'nothing to remove: tests/own/ has no op, layer or optimizer relu' ./run new remove relu
refused 'the name of a class is like SoftSign' ./run new remove ../soft
refused 'needs a name and no more' ./run new op
refused "needs one of the names that ./run new has written, got 'soft_sign'" ./run check soft_sign

# A file that cannot be written, after one that was; a list that has lost the place for a new line.
ln -s none/none tests/own/op_soft.cpp
said=$(./run new op soft 2>&1) && fail 'new op wrote through a link to nowhere'
[[ $said == *'could not write; everything is as it was' && ! -e core/ops/soft.cpp ]] || fail "new op soft said: $said"
grep -q soft.cpp CMakeLists.txt && fail 'new op soft left a line in CMakeLists.txt'
put 'AdagradOptions a;' 'AdagradOptions b;' tests/optimizer_kinds.hpp
refused 'found no place in tests/optimizer_kinds.hpp' ./run new optimizer Lion
put 'AdagradOptions b;' 'AdagradOptions a;' tests/optimizer_kinds.hpp

fills op soft_sign core/ops/soft_sign.cpp 'the formula of soft_sign' 'value.data()[i] = v * v;' \
  'the rule of soft_sign' 'return {dy * x * 2};'
put 'x \* 2' 'x * 3' core/ops/soft_sign.cpp
said=$(./run check soft_sign 2>&1) && fail 'check soft_sign passed with a wrong rule'
[[ $said == *"the rule of 'soft_sign' for its input 0 [2, 2]: first-order derivative"* ]] || fail "check soft_sign said: $said"
fills layer HTTPScale layers/http_scale.cpp 'the formula of HTTPScale' 'return x * weight_;'
fills optimizer plain_descent optim/plain_descent.cpp 'the update of PlainDescent' 'w[i] -= rate_ * gi;'
refused 'soft_sign exists already, in core/ops.hpp' ./run new op soft_sign

# In the lists they are where they are sorted, once.
for line in '  core/ops/soft_sign.cpp' '  layers/http_scale.cpp' '  optim/plain_descent.cpp'; do
  [[ $(grep -cFx "$line" CMakeLists.txt) == 1 ]] || fail "CMakeLists.txt has no line '$line'"
done
for list in layers/layers.hpp optim/optim.hpp; do
  grep '^#include "' "$list" | LC_ALL=C sort -cu || fail "$list is not sorted"
done
grep -q '#include "layers/http_scale.hpp"' layers/layers.hpp || fail 'layers.hpp has no http_scale'
grep -q '<PlainDescent>' tests/optimizer_kinds.hpp || fail 'optimizer_kinds.hpp has no PlainDescent'
standard=$(sed -n 's/.*"cxx_std_\([0-9]*\)".*/\1/p' "$1"/gradwalk*.cmake | head -n 1)
cxx=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$1/CMakeCache.txt")
printf '#include "%s"\n' core/core.hpp layers/layers.hpp tests/optimizer_kinds.hpp |
  "$cxx" -std=c++"$standard" -fsyntax-only -I. -x c++ - || fail 'the lists do not compile'

# Each is removed without the others, whatever stands in its files; an optimizer with two kinds too.
put '^    AdagradOptions a;' '    all.push_back(\
        optimizer_kind<PlainDescent>(message("once more ", decay), PlainDescentOptions{0.2, decay}));\
&' tests/optimizer_kinds.hpp
for name in soft_sign PlainDescent http_scale; do
  ./run new remove "$name" >/dev/null || fail "new remove $name failed"
done
[[ $(tree) == "$new" ]] || fail "new remove has left something behind: $(diff <(echo "$new") <(tree))"
echo passed
