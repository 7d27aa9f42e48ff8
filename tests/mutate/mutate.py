#!/usr/bin/env python3
"""mutate.py [OPTIONS] [FILE]: breaks the library, one change at a time; do the tests notice?

A change is one operator, literal, condition or statement of one line. It is made in a copy of the sources, only what it
touches is compiled, and the tests run against the new library: first those of its area, then all fast ones, then the
slow ones, until one fails. A hang or a crash is noticed, too. DIR/results.jsonl gets a line for each change, and
tests/mutate/equivalent.txt names those that cannot be noticed, with the reason.
"""
import argparse
import collections
import contextlib
import fnmatch
import hashlib
import html
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = None  # the folder of the build
EQUIVALENT = pathlib.Path(__file__).with_name("equivalent.txt")
MEMORY = 8 << 30  # bytes that the tests may map
CATCH, ESCAPED = r'[\\",\[]', r"\\\g<0>"  # what Catch2 must not read as more than a letter
SLOW = 3  # seconds: such tests come last
MOST = 10  # a change to a header that more files include is left out

# Area: its files, and the tags of the tests that are tried first.
AREAS = {
    "ops": ("core/ops/create.cpp core/ops/elementwise.cpp core/ops/matmul.cpp core/ops/shape.cpp core/ops/broadcast.hpp",
            "[ops],[autograd],[gradient]"),
    "losses, reductions, convolution": ("core/ops/loss.cpp core/ops/reduce.cpp core/ops/conv.* layers/losses.cpp",
                                        "[ops],[loss],[conv]"),
    "lookups": ("core/ops/lookup.* core/ops/bag.cpp layers/embedding*.cpp core/indices.hpp", "[embedding],[gradient]"),
    "recurrent": ("layers/recurrent/* layers/sequences.cpp", "[lstm],[recurrent]"),
    "state": ("core/state.cpp", "[state],[optim]"),
    "engine": ("core/autograd.cpp core/grad*.cpp core/multi_output.cpp core/observer.cpp core/random.cpp core/tensor.cpp "
               "core/twin.cpp", "[autograd],[gradient],[gradcheck],[observer],[twins],[random]"),
    "optimizers": ("optim/*", "[optim],[policies],[schedule],[clip]"),
    "files": ("layers/files/* core/file.cpp", "[file],[checkpoint],[word_vectors]"),
    "memory": ("core/machine/memory.cpp", "[memory]"),
    "threads": ("core/machine/threads.cpp", "[threads],[fork]"),
    "kernels": ("core/machine/*", "[kernels],[blas]"),
    "layers": ("layers/*", "[layers],[check_layer],[pooling],[norm],[init]"),
    "shown": ("core/explain.cpp core/print.cpp core/profile.cpp core/trace.cpp core/callers.cpp",  # only if named
              "[explain],[print],[profile],[trace]"),
}

SWAPS = {" + ": [" - "], " - ": [" + "], " * ": [" / "], " / ": [" * "], " % ": [" / "], " += ": [" -= ", " = "],
         " -= ": [" += "], " *= ": [" = "], " < ": [" <= "], " <= ": [" < "], " > ": [" >= "], " >= ": [" > "],
         " == ": [" != "], " != ": [" == "], " && ": [" || "], " || ": [" && "], "true": ["false"], "false": ["true"],
         "begin": ["end"], "end": ["begin"], "std::min": ["std::max"], "std::max": ["std::min"], "!": [""], "-": [""],
         "0": ["1"], "1": ["0", "2"], "2": ["1", "3"]}
WHERE = re.compile(r" (?:[-+*/%]|[-+*]=|[<>]=?|[!=]=|&&|\|\|) |\b(?:true|false|begin|end)\b|std::(?:min|max)\b|!(?=[\w(])"
                   r"|(?<=[(,=n] )-(?=\w)|(?<=\()-(?=\w)|(?<![\w.])[012](?![\w.'])")
NO_CODE = re.compile(r"#|//|namespace|using|template|static_assert|extern|$")
NO_STATEMENT = re.compile(r"return\b|const\b|auto\b|else\b|if\b|for\b|while\b|case\b|[}#)]|$")
DECLARATION = re.compile(r"(?!throw )[\w:<>,*&]+(?: [\w:<>,*&]+)+(?: =|[;({[])")
TUNING = re.compile(r"^\s*(?:static )?constexpr|\bk(?:Product)?Grain\b")  # how much at once: only the speed depends on it


class Change(collections.namedtuple("Change", "file line count old new place")):
    """`count` lines from `line` on, joined `old`, become `new`; `place` tells equal lines of a file apart."""

    def key(self):
        return hashlib.sha1("\0".join([self.file, self.old, self.new, str(self.place)]).encode()).hexdigest()

    def text(self):
        """The file with the change; what follows keeps its line numbers."""
        lines = (ROOT / self.file).read_text().split("\n")
        lines[self.line:self.line + self.count] = [self.new] + [""] * (self.count - 1)
        return "\n".join(lines)


def blanked(text):
    """The text with comments and what is between quotes blanked, at the same places."""
    blank = lambda m: re.sub(r"[^\n\"]", "~", m[0])
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<!\w)'(?:\\.|[^'\\])'", blank, text, flags=re.S)


def changes(file):
    text = (ROOT / file).read_text()
    lines, seen = text.split("\n"), collections.Counter()
    code = blanked(text).split("\n")

    def change(i, count, new):
        old = " ".join(line.strip() for line in lines[i:i + count])
        new = new.strip()
        seen[old, new] += 1
        return Change(file, i, count, old, new, seen[old, new])

    for i, line in enumerate(code):
        if NO_CODE.match(line.strip()) or TUNING.search(line):
            continue
        for m in WHERE.finditer(line):
            if m[0] == " + " and '"' in line[:m.start()][-1:] + line[m.end():][:1]:
                continue  # strings have no minus
            for new in SWAPS[m[0]]:
                yield change(i, 1, lines[i][:m.start()] + new + lines[i][m.end():])
        if m := re.search(r"\b(?:if|while) \((?!!\()", line):
            depth = 1
            for end in range(m.end(), len(line)):
                depth += {"(": 1, ")": -1}.get(line[end], 0)
                if depth == 0:
                    yield change(i, 1, lines[i][:m.end()] + "!(" + lines[i][m.end():end] + ")" + lines[i][end:])
                    break
        if not NO_STATEMENT.match(line.strip()):  # a whole statement, perhaps of several lines
            for count in range(1, 7):
                whole = " ".join(code[i:i + count])
                if ";" in whole or "{" in whole:
                    if whole.rstrip().endswith(";") and whole.count(";") == 1 and whole.count("(") == whole.count(")") \
                            and not DECLARATION.match(whole.strip()):
                        yield change(i, count, ";")
                    break


def area_of(file):
    return next((a for a, (globs, _) in AREAS.items() if any(fnmatch.fnmatch(file, g) for g in globs.split())), None)


def commands():
    """The compile command of each source file of the library, and the files it reads."""
    compile_of, reads = {}, {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        file = os.path.relpath(entry["file"], ROOT)
        if "/gradwalk.dir/" in entry["command"] and area_of(file):
            compile_of[file] = [w for w in shlex.split(entry["command"]) if os.path.basename(w) != "ccache"]
    for file in compile_of:
        reads[file], todo = set(), [file]
        while todo:
            found = todo.pop()
            if found not in reads[file] and (ROOT / found).exists():
                reads[file].add(found)
                todo += re.findall(r'#include "([^"]+)"', (ROOT / found).read_text())
    return compile_of, reads


def listed():
    """equivalent.txt: file, `- old`, `+ new`, reason, empty line. Each must still be a change of that file."""
    entries = {}
    for entry in re.split(r"\n\n+", re.sub(r"(?m)^#.*\n", "", EQUIVALENT.read_text()).strip()):
        if entry:
            parts = entry.split("\n", 3)
            if len(parts) < 4 or not parts[1].startswith("- ") or not parts[2].startswith("+ "):
                sys.exit(f"{EQUIVALENT}: needs the lines file, '- old', '+ new' and reason, got:\n{entry}")
            file, old, new, reason = parts[0], parts[1][2:], parts[2][2:], parts[3]
            if not (ROOT / file).exists() or not any((c.old, c.new) == (old, new) for c in changes(file)):
                sys.exit(f"{EQUIVALENT}: {file} has no such change any more:\n{entry}")
            entries[file, old, new] = reason
    return entries


def as_nobody():
    """Within bounds, and without root's rights: a broken check must do no harm."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))  # a test sets one of its own
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it, tests send it
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


class Worker:
    """A copy of the sources, and what is built of it."""

    def __init__(self, number, compile_of):
        self.folder, self.compile_of = BUILD / f"worker{number}", compile_of
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("core", "layers", "optim"):
            shutil.copytree(ROOT / part, self.folder / part)
        self.plain, self.temp = {}, self.folder / "temp"
        self.header = shutil.copy(ROOT / "core/machine/xtensor.hpp", self.folder)  # slow to read: compiled once
        subprocess.run(self.words("core/tensor.cpp", f"{self.header}.gch", self.header), cwd=BUILD, check=True)

    def words(self, file, made, source):
        """The command that compiles the file, for another source and object."""
        words = self.compile_of[file]
        at = words.index("-o")
        words = [f"-I{self.folder}" if w == f"-I{ROOT}" else w
                 for w in words[:at] + words[at + 2:] if w not in ("-c", str(ROOT / file))]
        how = ["-x", "c++-header"] if source == self.header else ["-c", "-include", self.header]
        return words + ["-O1", "-w", "-o", made] + how + [source]

    def compile(self, file):
        """The object of the copy's file, or nothing if that is refused."""
        made = self.folder / "changed.o"
        done = subprocess.run(self.words(file, made, self.folder / file), cwd=BUILD, capture_output=True)
        return made.read_bytes() if done.returncode == 0 else None

    def make(self, file, text, files):
        """Builds the library with another text of the file; '', or why there is nothing to test."""
        for user in files:
            if user not in self.plain:
                self.plain[user] = self.compile(user)
        path = self.folder / file
        before = path.read_text()
        path.write_text(text)
        objects = {user: self.compile(user) for user in files}
        path.write_text(before)
        if None in objects.values():
            return "does not compile"
        if objects.items() <= self.plain.items():
            return "same code"
        link = shlex.split((BUILD / "CMakeFiles/gradwalk.dir/link.txt").read_text())
        for user, code in objects.items():
            made = self.folder / (user.replace("/", "_") + ".o")
            made.write_bytes(code)
            link[link.index(self.compile_of[user][self.compile_of[user].index("-o") + 1])] = str(made)
        link[link.index("-o") + 1] = str(self.folder / "libgradwalk.so")
        # What is inline is in the test program, too: the library is to use its own.
        subprocess.run(link + ["-Wl,-Bsymbolic-functions"], cwd=BUILD, check=True, capture_output=True)
        return ""

    def test(self, tests, seconds, options=("--abort",)):
        """How the last of the tests failed, or None, and of each that ran its tags and seconds; tests = []: all."""
        shutil.rmtree(self.temp, ignore_errors=True)
        self.temp.mkdir()
        self.temp.chmod(0o777)
        (self.folder / "tests.txt").write_text("".join(f'"{re.sub(CATCH, ESCAPED, t)}"\n' for t in tests))
        report = self.temp / "report.xml"
        run = subprocess.Popen([BUILD / "tests/gradwalk_tests", "-r", "xml", "-o", report, "-d", "yes", *options] +
                               (["-f", self.folder / "tests.txt"] if tests else []), cwd=self.temp,
                               env={**os.environ, "TMPDIR": str(self.temp), "LD_LIBRARY_PATH": str(self.folder)},
                               preexec_fn=as_nobody, start_new_session=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            how = {0: ""}.get(run.wait(seconds), "fails" if run.returncode > 0 else f"signal {-run.returncode}")
        except subprocess.TimeoutExpired:
            how = "hangs"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)  # with the programs it has started
        run.wait()
        ran, name = {}, "?"
        for case in (report.read_text(errors="replace") if report.exists() else "").split("<TestCase ")[1:]:
            name, tags = (html.unescape(m) for m in re.search(r'^name="([^"]*)".*? tags="([^"]*)"', case).groups())
            if m := re.search(r'<OverallResult success="(true|false)".*durationInSeconds="([^"]+)"', case):
                ran[name] = tags, float(m[2]), m[1] == "true"
        if not how and len(ran) < len(tests):
            how, name = "ends early", "after " + name
        return (f"{name}: {how}" if how else None), ran


class Suite:
    """All tests as they ran without a change, and which have noticed changes of a file so far."""

    def __init__(self, worker):
        shutil.copy(BUILD / "libgradwalk.so", worker.folder)
        failed, self.tests = worker.test([], 3600, [])
        # ctest gives each test a process of its own, and some need it.
        self.alone = {t for t, (_, _, passed) in self.tests.items() if not passed}
        for test in self.alone:
            failed, ran = worker.test([test], 600)
            if failed:
                sys.exit(f"mutate: without a change all tests must pass, but: {failed}")
            self.tests.update(ran)
        self.noticed = collections.defaultdict(collections.Counter)

    def rounds(self, change):
        """The tests in the order in which they are tried, and how long each round may take."""
        tags = AREAS[area_of(change.file)][1].split(",")
        own = {t for t, (its, _, _) in self.tests.items() if any(tag in its for tag in tags)}
        usual = {t for t, _ in self.noticed[change.file].most_common(8)}
        slow = {t for t, (_, took, _) in self.tests.items() if took >= SLOW}
        rounds, left = [], set(self.tests)
        for wanted in usual - slow, own - slow, left - slow, left:
            rounds.append((wanted & left) - self.alone)
            rounds += [{t} for t in sorted(wanted & left & self.alone)]
            left -= wanted
        for tests in filter(None, rounds):
            yield sorted(tests), 20 + 8 * sum(self.tests[t][1] for t in tests)


def noticed_by(worker, tests, seconds):
    """The first of the tests that fails, also when it is run alone, as ctest runs it; or None."""
    while tests:
        by, _ = worker.test(tests, seconds)
        name, _, how = (by or "").rpartition(": ")
        if how != "fails" or tests == [name]:
            return by
        if worker.test([name], seconds)[0]:
            return by
        tests = [t for t in tests if t != name]


def tried(change, files, worker, suite):
    """The line of results.jsonl for a change."""
    start, by = time.monotonic(), None
    verdict = worker.make(change.file, change.text(), files)
    if not verdict:
        for tests, seconds in suite.rounds(change):
            by = noticed_by(worker, tests, seconds)
            if by:
                suite.noticed[change.file][by.rsplit(": ", 1)[0]] += 1
                break
        verdict = "noticed" if by else "survived"
    return {"key": change.key(), "verdict": verdict, "by": by, "file": change.file, "line": change.line + 1,
            "old": change.old, "new": change.new, "seconds": round(time.monotonic() - start, 1)}


def sources():
    """What the tests and the library are made of, as one number."""
    files = sorted(p for part in ("core", "layers", "optim", "examples", "tests") for p in (ROOT / part).rglob("*.?pp"))
    return hashlib.sha1(b"".join(p.read_bytes() for p in files)).hexdigest()


def main():
    parser = argparse.ArgumentParser(prog="./run mutate", description=__doc__.partition("\n\n")[2].strip())
    parser.add_argument("file", nargs="?", help="all changes of this file; without it, a sample of each area")
    parser.add_argument("--changes", type=int, default=500, help="of all areas together (500)")
    parser.add_argument("--seed", default="1", help="another seed takes other changes (1)")
    parser.add_argument("--resume", action="store_true", help="keep what DIR/results.jsonl says; only survivors are "
                        "tried again, if sources or tests have changed since")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutate", metavar="DIR",
                        help="the build of the preset mutate (build/mutate)")
    options = parser.parse_args()
    global BUILD
    BUILD = options.build.resolve()
    results = BUILD / "results.jsonl"
    compile_of, reads = commands()
    files_of = lambda file: [f for f in compile_of if file in reads[f]]
    equivalent = listed()

    # For each area its changes in the order of the seed. Each is tried until enough of them compile.
    queues, left_out = collections.defaultdict(list), []
    for file in [options.file] if options.file else sorted(set().union(*reads.values())):
        if area_of(file) in (None, "" if options.file else "shown") or not 0 < len(files_of(file)) <= MOST:
            left_out.append(file)
        else:
            queues[area_of(file)] += changes(file)
    if not queues:
        sys.exit(f"mutate: needs a source file of the library that at most {MOST} others include, got {options.file}")
    print("left out:", *left_out)
    for queue in queues.values():
        queue.sort(key=lambda c: hashlib.sha1((options.seed + c.key()).encode()).hexdigest())
    quota = {area: len(queue) for area, queue in queues.items()}
    if not options.file:  # small areas are tried as a whole, the others share the rest
        left = options.changes
        for n, area in enumerate(sorted(queues, key=lambda a: len(queues[a]))):
            quota[area] = min(len(queues[area]), -(-left // (len(queues) - n)))
            left -= quota[area]
    stamp, known = sources(), {}
    if options.resume and results.exists():
        for result in map(json.loads, results.read_text().splitlines()):
            if result["verdict"] != "survived" or result["stamp"] == stamp:
                known[result["key"]] = result
            else:
                known.pop(result["key"], None)
    else:
        results.write_text("")
    print("the tests without a change ...", flush=True)
    workers = [Worker(n, compile_of) for n in range(2)]
    suite, lock, start = Suite(workers[0]), threading.Lock(), time.monotonic()
    done, idle = {area: [] for area in queues}, {area: [] for area in queues}
    running = collections.Counter()

    def work(worker):
        while True:
            with lock:
                open_ = [a for a in queues if queues[a] and len(done[a]) + running[a] < quota[a]]
                area = min(open_, key=lambda a: len(done[a]) + running[a], default=None)
                if area:
                    change = queues[area].pop(0)
                    running[area] += 1
            if not area:
                if not any(running.values()):
                    return
                time.sleep(0.2)  # what the other worker tries may not compile
                continue
            result = known.get(change.key()) or {**tried(change, files_of(change.file), worker, suite), "stamp": stamp}
            with lock:
                running[area] -= 1
                (done if result["verdict"] in ("noticed", "survived") else idle)[area].append(result)
                if change.key() not in known:
                    with results.open("a") as out:
                        out.write(json.dumps(result) + "\n")
                    print("{verdict:9} {file}:{line}: {new}  {by} {seconds} s".format(**result), flush=True)

    threads = [threading.Thread(target=work, args=[w]) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(done, idle, equivalent, time.monotonic() - start)


def report(done, idle, equivalent, seconds):
    """The table, and each survivor as equivalent.txt takes it."""
    bad, rows, total = [], [], collections.Counter()
    for area, results in done.items():
        n = collections.Counter(r["verdict"] for r in idle[area])
        for r in results:
            listed_there = r["verdict"] == "survived" and (r["file"], r["old"], r["new"]) in equivalent
            n["listed" if listed_there else r["verdict"]] += 1
            if r["verdict"] == "survived" and not listed_there:
                bad.append(r)
        rows.append((area, n))
        total += n
    print(f"\n{'area':32} noticed  survived     %   listed  same code  does not compile")
    for area, n in rows + [("all", total)]:
        share = 100 * n["noticed"] / max(n["noticed"] + n["survived"], 1)
        print(f"{area:32} {n['noticed']:7}  {n['survived']:8} {share:5.1f}  {n['listed']:7}  {n['same code']:9}  "
              f"{n['does not compile']:16}")
    cpu = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{seconds / 60:.0f} minutes, {cpu / 60:.0f} minutes of CPU\n")
    for r in bad:
        print("{file}\n- {old}\n+ {new}\nline {line}: nothing notices it\n".format(**r))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
