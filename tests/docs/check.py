"""check.py [--build DIR] [PAGE...]: README.md, CONTRIBUTING.md and docs/*.md say what is so.

Code is compiled and run, what it prints is compared, links, paths, names and commands are looked up.
CONTRIBUTING.md says how a block is marked. DIR (build/double) holds the library in double, the
example programs and docs_flags.json, how to compile. The last line counts what was checked.
"""

import argparse
import collections
import concurrent.futures
import difflib
import glob
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Pages whose blocks another test compares with a file, and runs.
ELSEWHERE = {"docs/pytorch.md": "tests/test_docs_pytorch.cpp"}
TOOLS = {"c++", "cd", "cmake", "clang-format", "command", "ctest", "dot", "export", "gdb", "lldb", "python3", "source"}
# What every program of a page may use; compiled once.
HEADER = "".join(f"#include {h}\n" for h in (
    "<algorithm>", "<cmath>", "<cstdio>", "<fstream>", "<iostream>", "<set>", '"core/core.hpp"', '"layers/layers.hpp"',
    '"optim/optim.hpp"'))

Block = collections.namedtuple("Block", "page line language text mark fenced")
counts = collections.Counter()
failures = []


def fail(page, line, *text):
    failures.append(f"{page}:{line}: " + "\n  ".join(text))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


# ---- a page: blocks, and the lines around them ----

def parse(page):
    """Its blocks, and (number, line) of its prose. A mark is the comment right before a block."""
    blocks, prose = [], []
    lines = read(page).splitlines()
    i, mark = 0, ""
    while i < len(lines):
        line, start = lines[i], i + 1
        if line.startswith("<!--"):
            while "-->" not in lines[i]:
                i += 1
            comment = "\n".join(lines[start - 1:i + 1])[4:].split("-->")[0]
            word = comment.split(None, 1)[0] if comment.split() else ""
            if word == "cpp":  # code that is not shown
                blocks.append(Block(page, start + 1, "cpp", comment.split("\n", 1)[1], "", False))
            elif word == "program":
                blocks.append(Block(page, start, "program", "", "", False))
            else:
                mark = comment.strip()
        elif line.strip().startswith("```"):
            indent = len(line) - len(line.lstrip())
            language = line.strip()[3:].strip()
            i += 1
            body = []
            while i < len(lines) and lines[i].strip() != "```":
                body.append(lines[i][indent:])
                i += 1
            blocks.append(Block(page, start, language, "\n".join(body), mark, True))
            mark = ""
        else:
            prose.append((start, line))
            if line.strip():
                mark = ""
        i += 1
    return blocks, prose


# ---- code ----

def flush_left(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def index_of(piece, whole):
    return next((i for i in range(len(whole) - len(piece) + 1) if whole[i:i + len(piece)] == piece), None)


def check_file(block, path):
    """The block is that file, or lines of it that follow one another."""
    if not os.path.exists(os.path.join(ROOT, path)):
        return fail(block.page, block.line, f"there is no {path}")
    counts["blocks compared with a file"] += 1
    piece, whole = flush_left(block.text), flush_left(read(path))
    if index_of(piece, whole) is None:
        missing = [line for line in piece if line not in whole]
        fail(block.page, block.line, f"is not in {path} as it stands here" + (", nor is:" if missing else ""), *missing)


def at_file_scope(text):
    first = next((l for l in text.splitlines() if l.strip() and not l.startswith("//")), "")
    return bool(re.match(r"#include|class |struct |template|namespace |using namespace|enum ", first) or
                re.match(r"(static |inline |int )*[\w:<>,&* ]+[ &*]\w+\([^;]*\) (const )?(override )?\{(.*\})?$", first)
                and not re.match(r"(for|if|while|const auto)\b", first))


class Program:
    """The code of a page up to `<!-- program -->`: functions and classes first, the rest is main()."""

    def __init__(self, page):
        self.page, self.code, self.outputs, self.printed = page, [], [], None  # None: it has not run

    def text(self):
        top, body = [], []
        for block in self.code:
            part = f'#line {block.line + 1} "{self.page}"\n{block.text}\n'
            (top if at_file_scope(block.text) else body).append(part)
        return "using namespace gradwalk;\n" + "".join(top) + "int main() {\n" + "".join(body) + "}\n"


class Compiler:
    def __init__(self, build):
        with open(os.path.join(build, "docs_flags.json")) as file:
            flags = json.load(file)
        listed = lambda name: [x for x in flags[name].split(";") if x]
        self.folder = os.path.join(build, "docs")
        self.compile = [flags["compiler"], f"-std=c++{flags['standard']}", "-O0", "-w", f"-I{ROOT}"]
        self.compile += [f"-I{d}" for d in listed("includes") if d != ROOT] + [f"-D{d}" for d in listed("definitions")]
        self.link = [flags["library"]] + listed("libraries") + ["-pthread", "-ldl"]
        self.header = os.path.join(self.folder, "all.hpp")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(os.path.join(self.folder, "run", "build"))
        with open(self.header, "w") as file:
            file.write(HEADER)
        subprocess.run(self.compile + ["-x", "c++-header", self.header, "-o", self.header + ".gch"], check=True)

    def run(self, number, program):
        """Why it does not compile or run; empty if it does."""
        name = os.path.join(self.folder, f"{number}_" + re.sub(r"\W+", "_", program.page))
        with open(name + ".cpp", "w") as file:
            file.write(program.text())
        made = subprocess.run(self.compile + ["-include", self.header, name + ".cpp", "-o", name] + self.link,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            return "does not compile\n" + "\n".join(made.stdout.splitlines()[:12])
        ran = run_program([name], os.path.join(self.folder, "run"))
        if ran.returncode == 0:
            program.printed = ran.stdout
        return f"ends with code {ran.returncode}\n{ran.stderr}" if ran.returncode else ""


def run_program(command, folder):
    environment = dict(os.environ, GRADWALK_NUM_THREADS="1")
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)


# ---- what is printed ----

def masked(text, varies):
    return [re.sub(varies, "", line.rstrip()) if varies else line.rstrip() for line in text.strip("\n").splitlines()]


def shown(expected, printed):
    """Do the expected lines follow one another in what is printed? `...` stands for any lines."""
    pieces, at = [[]], 0
    for line in expected:
        if line.strip() == "...":
            pieces.append([])
        else:
            pieces[-1].append(line)
    for piece in pieces:
        found = index_of(piece, printed[at:])
        if found is None:
            return False
        at += found + len(piece)
    return True


def check_output(block, printed, varies):
    counts["output blocks compared"] += 1
    expected, printed = masked(block.text, varies), masked(printed, varies)
    if not shown(expected, printed):
        different = difflib.unified_diff(expected, printed, "the page", "the program", lineterm="", n=1)
        fail(block.page, block.line, "the program does not print this", *list(different)[:40])


class Programs:
    """`./run NAME ARGS` as the build has it, each run once."""

    def __init__(self, build):
        self.build, self.ran = build, {}
        self.folder = os.path.join(build, "docs", "run")

    def path(self, words):
        name = "_".join(words[:2]) if words[0] == "evening" else words[0]
        return os.path.join(self.build, "examples", name), words[2 if words[0] == "evening" else 1:]

    def printed(self, command):
        if command not in self.ran:
            out = ""
            for part in command.split("; "):  # one after the other, in one folder
                path, arguments = self.path(shlex.split(part))
                if not os.path.exists(path):
                    return None, f"there is no {os.path.relpath(path, ROOT)}: is it built?"
                result = run_program([path] + arguments, self.folder)
                if result.returncode:
                    return None, f"{part}: ends with code {result.returncode}\n{result.stderr}"
                out += result.stdout
            self.ran[command] = out
            counts["programs run"] += 1
        return self.ran[command], ""


# ---- sessions in gdb ----

def check_gdb(blocks, build):
    """`(gdb) command` and what it prints; the blocks of a page for one program are one session."""
    words = blocks[0].mark.split()[1:]
    name = "_".join(words)
    program = next(filter(os.path.exists, (os.path.join(build, "tests", name + "_debug"),
                                           os.path.join(ROOT, "build/debug/examples", name))), "")
    commands = [line[6:] for block in blocks for line in block.text.splitlines() if line.startswith("(gdb) ")]
    if not shutil.which("gdb") or not program:
        counts["gdb answers skipped"] += len(commands)
        return
    script = ["set debuginfod enabled off", f"source {ROOT}/core/debugger/gdb.py", "set width 0", "start"]
    for k, command in enumerate(commands):
        script += [f"echo \\n<<{k}>>\\n", command]
    arguments = [word for line in script for word in ("-ex", line)]
    said = run_program(["gdb", "-nx", "-batch"] + arguments + [program], build).stdout
    answers = dict((int(k), text) for k, text in re.findall(r"<<(\d+)>>\n(.*?)(?=\n<<\d+>>|\Z)", said, re.S))
    if not answers:  # it may not trace a program here
        counts["gdb answers skipped"] += len(commands)
        return
    k = -1
    for block in blocks:
        for line in block.text.splitlines() + ["(gdb) "]:
            if line.startswith("(gdb) "):
                if k >= 0 and expected is not None:
                    counts["gdb answers compared"] += 1
                    got = [" ".join(l.split()) for l in answers.get(k, "").splitlines() if l.strip()]
                    if not gdb_shown(expected, got):
                        fail(block.page, at, f"gdb answers otherwise to '{commands[k]}'", *got[:20])
                expected, at = ([], block.line) if line != "(gdb) " else (None, 0)
                k += line != "(gdb) "
            elif line.strip():
                expected.append(" ".join(line.split()))


def gdb_shown(expected, got):
    """Each line in this order; `...` at its end cuts a line, a line of its own stands for any."""
    at = 0
    for line in expected:
        if line == "...":
            continue
        cut = line.endswith("...")
        while at < len(got) and not (got[at].startswith(line[:-3]) if cut else got[at] == line):
            at += 1
        if at == len(got):
            return False
        at += 1
    return True


# ---- links, paths, names ----

def anchors(page):
    found, fenced = collections.Counter(), False
    out = set()
    for line in read(page).splitlines():
        fenced ^= line.startswith("```")
        match = re.match(r"#+ +(.*)", line)
        if match and not fenced:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", match[1]).replace("`", "")
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            out.add(slug if not found[slug] else f"{slug}-{found[slug]}")
            found[slug] += 1
    return out


def check_links(page, prose):
    for number, line in prose:
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            counts["links followed"] += 1
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(os.path.join(ROOT, path)):
                fail(page, number, f"the link {target} leads nowhere")
            elif anchor and anchor not in anchors(path):
                fail(page, number, f"the link {target}: {path} has no such heading")


def tree():
    names = collections.defaultdict(list)
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in ("build", ".git")]
        for file in files:
            names[file].append(os.path.relpath(os.path.join(folder, file), ROOT))
    return names


def check_paths(page, prose, names):
    def exists(path):
        return any(os.path.exists(os.path.join(ROOT, base, path)) for base in ("", os.path.dirname(page)))

    for number, line in prose:
        for code in re.findall(r"`([^`]+)`", line):
            match = re.fullmatch(r"([\w.\-/]+?)(?::(\d+))?", code)
            if not match or "NAME" in code or "PROGRAM" in code or code.startswith(("build/", "xtensor/")):
                continue
            path, at = match[1], match[2]
            source = re.search(r"\w\.(hpp|cpp|py|md|svg|html)$", path)
            if "/" in path and (source or path.endswith("/") or path.startswith(".ci/")):
                if not exists(path):
                    fail(page, number, f"there is no {path}")
                    continue
            elif source and source[1] in ("hpp", "cpp", "py"):
                if path not in names:
                    fail(page, number, f"there is no {path}")
                    continue
                path = names[path][0]
            else:
                continue
            counts["paths looked up"] += 1
            if at and len(read(path).splitlines()) < int(at):
                fail(page, number, f"{code}: the file has fewer lines")


def check_names(page, prose, names):
    """`name` in `path`; and in a list item that begins with a path, all names after it."""
    def look(number, name, path):
        if not re.fullmatch(r"(operator\S{1,2}|[\w:~]+)(\(\))?", name):
            return
        if path not in names and not os.path.exists(os.path.join(ROOT, path)):
            return  # check_paths says so
        counts["names found in their files"] += 1
        path = path if os.path.exists(os.path.join(ROOT, path)) else names[path][0]
        bare = name[:-2] if name.endswith("()") else name
        text = read(path)
        for part in {bare, bare.split("::")[-1]}:
            if re.search(rf"(?<![\w~]){re.escape(part)}" + r"(?!\w)" * (part[-1].isalnum()), text):
                return
        fail(page, number, f"there is no {name} in {path}")

    file = r"`([\w./\-]+\.(?:hpp|cpp|py))`"
    item = None
    for number, line in prose:
        for name, path in re.findall(rf"`([^`]+)` in {file}", line):
            look(number, name, path)
        begins = re.match(rf"- {file}", line)
        item = begins[1] if begins else item if line.startswith("  ") else None
        if item:
            for name in re.findall(r"`([^`]+)`", line[begins.end():] if begins else line):
                if "/" not in name and not re.search(r"\.(hpp|cpp)$", name):
                    look(number, name, item)


# ---- commands ----

def commands_of_run():
    patterns = re.search(r"\ncase \$\{1:-\} in\n(.*?)\nesac", read("run"), re.S)[1]
    return {word for line in re.findall(r"^  ([\w' |-]+)\)", patterns, re.M) for word in re.split(r"[ |']+", line)} - {""}


def check_command(page, number, words, known, presets):
    while words and re.fullmatch(r"\w+=\S*|time|\(|\)", words[0]):
        words = words[1:]
    if not words:
        return
    counts["commands looked up"] += 1
    if words[0] == "./run":
        if len(words) == 1:
            return
        if words[1] not in known and words[1].islower():
            fail(page, number, f"run has no command '{words[1]}'")
        if words[1] == "evening" and len(words) > 2 and words[2].isdigit():
            if not glob.glob(os.path.join(ROOT, "examples/evening", words[2] + "_*.cpp")):
                fail(page, number, f"there is no chapter {words[2]}")
        if words[1] == "learn" and len(words) > 2 and words[2].isdigit():
            if not glob.glob(os.path.join(ROOT, "examples/course", words[2] + "_*.cpp")):
                fail(page, number, f"there is no exercise {words[2]}")
    elif words[0].startswith(("build/", ".")):
        path = words[0]
        if path.startswith("build/") and path.split("/")[1] not in presets:
            fail(page, number, f"{path}: there is no preset of that name")
        if path.startswith(".") and not os.path.exists(os.path.join(ROOT, path)):
            fail(page, number, f"there is no {path}")
    elif words[0] not in TOOLS:
        fail(page, number, f"'{words[0]}' is no command known here; check.py lists them")
    for option, value in zip(words, words[1:]):
        if option == "--preset" and value.islower() and value not in presets:
            fail(page, number, f"there is no preset '{value}'")


def check_sh(page, line, text, known, presets):
    for k, command in enumerate(text.splitlines()):
        for part in re.split(r"&&|\||;", re.sub(r"(^|\s)#.*", "", command)):
            words = part.replace("(", " ").replace(")", " ").split()
            check_command(page, line + 1 + k, words, known, presets)


# ---- chapters ----

def check_numbers(page, prose, blocks, printed):
    """Each number with a point that a chapter names is printed by its program, or stands in it."""
    number = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")
    seen = set(number.findall(printed)) | {n.lstrip("-") for n in number.findall(printed)}
    drawn = [(b.line, b.text) for b in blocks if b.mark.startswith("drawing")]
    for at, text in prose + drawn:
        for found in number.findall(re.sub(r"\]\([^)]*\)", "", text)):
            counts["numbers found in an output"] += 1
            if found not in seen and found.lstrip("-") not in seen:
                fail(page, at, f"{found} is neither printed by the chapter's programs nor stands in them")


def check_picture(page, path, programs):
    """The picture's texts are those of the graph that the chapter's program draws."""
    dot, why = programs.printed(f"evening {page[5:7]} draw")
    texts = {html.unescape(t) for t in re.findall(r"<text [^>]*>(.*?)</text>", read(path))}
    labels = {part for label in re.findall(r'label="(.*?)"', dot or "") for part in label.split("\\n")}
    counts["pictures compared"] += 1
    if why or texts != labels:
        fail(page, 1, f"{path} is not what `./run evening {page[5:7]} draw` draws", why, *sorted(texts ^ labels))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--build", default=os.path.join(ROOT, "build/double"))
    arguments.add_argument("pages", nargs="*")
    options = arguments.parse_args()
    build = os.path.realpath(options.build)
    pages = options.pages or ["README.md", "CONTRIBUTING.md"] + sorted(
        os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "docs/*.md")))

    names, known = tree(), commands_of_run()
    presets = {p["name"] for p in json.loads(read("CMakePresets.json"))["configurePresets"]}
    compiler, programs = Compiler(build), Programs(build)
    parsed = {page: parse(page) for page in pages}

    # Code first: the programs of all pages, side by side.
    of_page, all_programs, files = {}, [], collections.Counter()
    for page, (blocks, _) in parsed.items():
        program = Program(page)
        of_page[page] = [program]
        for block in blocks:
            if block.language == "program":
                program = Program(page)
                of_page[page].append(program)
            elif block.language == "cpp":
                counts["cpp blocks"] += 1
                if page in ELSEWHERE or block.mark.startswith("file "):
                    check_file(block, ELSEWHERE.get(page) or block.mark.split()[1])
                    files[page] += 1
                else:
                    program.code.append(block)
                    counts["cpp blocks compiled and run"] += 1
            elif block.mark.split(";")[0].strip() == "output":
                program.outputs.append(block)
        all_programs += [p for p in of_page[page] if p.code]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, why in zip(all_programs, pool.map(compiler.run, range(len(all_programs)), all_programs)):
            counts["programs compiled"] += 1
            if why:
                fail(program.page, program.code[0].line, *why.splitlines())

        list(pool.map(programs.printed, {b.mark.partition("; varies: ")[0][len("output of "):]
                                         for blocks, _ in parsed.values() for b in blocks if b.mark.startswith("output of ")}))

    for page, (blocks, prose) in parsed.items():
        printed, sessions = "", collections.defaultdict(list)
        for program in of_page[page]:
            printed += program.printed or ""
            for block in program.outputs:
                check_output(block, program.printed or "", block.mark.partition("; varies: ")[2])
        for block in blocks:
            mark, _, varies = block.mark.partition("; varies: ")
            if block.language in ("", "text"):
                if mark.startswith("output of "):
                    out, why = programs.printed(mark[len("output of "):])
                    if why:
                        fail(page, block.line, *why.splitlines())
                    else:
                        check_output(block, out, varies)
                        printed += out
                elif mark.startswith("gdb "):
                    sessions[mark].append(block)
                    printed += block.text
                elif not mark.startswith(("drawing", "output")):
                    fail(page, block.line, "a block without a language needs a mark: output, gdb or drawing")
                counts["drawings"] += mark.startswith("drawing")
            elif block.language == "sh":
                counts["sh blocks"] += 1
                check_sh(page, block.line, block.text, known, presets)
            elif block.language == "cpp":
                printed += block.text
            elif block.language != "program":
                counts[f"{block.language} blocks"] += 1
        for session in sessions.values():
            check_gdb(session, build)
        fences = re.findall(r"^ *```", read(page), re.M)
        code = [b for b in blocks if b.language == "cpp"]
        checked = sum(len(p.code) for p in of_page[page] if p.printed is not None) + files[page]
        if len(fences) != 2 * sum(b.fenced for b in blocks) or len(code) != checked:
            fail(page, 1, f"{len(code)} blocks of C++, of which {checked} were checked; {len(fences)} fences")
        check_links(page, prose)
        check_paths(page, prose, names)
        check_names(page, prose, names)
        for number, line in prose:
            for code in re.findall(r"`(\./run[^`]*|cmake --preset[^`]*)`", line):
                check_command(page, number, code.split(), known, presets)
        if page == "docs/mistakes.md":  # each is made in a test of its name
            tests = set(re.findall(r'TEST_CASE\("(.*?)"', read("tests/test_mistakes.cpp")))
            for name in tests ^ {line[3:] for _, line in prose if line.startswith("## ")}:
                fail(page, 1, f"'{name}' is not both a heading and a test in tests/test_mistakes.cpp")
        if re.match(r"docs/\d\d-", page):
            counts["chapters"] += 1
            for path in glob.glob(os.path.join(ROOT, "examples/evening", page[5:7] + "_*.cpp")):
                printed += read(path)
            check_numbers(page, prose, blocks, printed)
            for path in glob.glob(os.path.join(ROOT, "docs/pictures", page[5:7] + "-*.svg")):
                check_picture(page, os.path.relpath(path, ROOT), programs)
            if glob.glob(os.path.join(ROOT, "examples/evening", page[5:7] + "_*")) and not any(b.mark.startswith(f"output of evening {page[5:7]}") for b in blocks):
                fail(page, 1, "the chapter shows no output of its program")

    for text in failures:
        print(text)
    print(", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    print(f"{len(pages)} pages, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
