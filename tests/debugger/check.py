"""check.py gdb|lldb PROGRAM: goes through session.cpp, whose comments say what is to be printed.

lldb is asked for what gdb prints before anything but `print` has moved the program. gdb runs this file too, as the half that asks. Without a debugger, its Python or leave to trace it
says so in a line that begins with `skipped: `, which ctest counts as skipped.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

folder = os.path.dirname(os.path.realpath(__file__))
root = os.path.dirname(os.path.dirname(folder))
session = os.path.join(folder, "session.cpp")
LEAST, LEAST_LLDB = 40, 20  # expectations: fewer were lost
STEPS = 12  # from `a * b` to its loop
FURTHER = 50


def expectations():
    """(line of the expectation, line of the statement below it, command, pattern), and `steps:`."""
    with open(session) as file:
        lines = file.read().splitlines()
    found, steps = [], None
    for i, line in enumerate(lines):
        if "// steps: " in line:
            steps = i + 1
        match = re.match(r"\s*// gdb: (.+?) ->(.*)$", line)
        if match:
            below = next(k for k in range(i, len(lines))
                         if lines[k].strip() and not lines[k].strip().startswith("//"))
            found.append((i + 1, below + 1, match[1].strip(), match[2].strip()))
    return found, steps


def ours(path):
    """The project's file of that name, if there is one: ccache may hand out another tree's."""
    parts = os.path.realpath(path).split(os.sep)
    tails = [os.path.join(root, *parts[i:]) for i in range(1, len(parts) - 1)]
    return next(filter(os.path.exists, tails), path)


# ---- inside gdb ----

def ask():
    import gdb
    found, steps = expectations()
    answers, at = [], None

    def execute(command):
        try:
            return gdb.execute(command, to_string=True)
        except gdb.error as e:
            return str(e)

    def where():
        sal = gdb.newest_frame().find_sal() if gdb.selected_thread() else None
        return (ours(sal.symtab.fullname()), sal.line) if sal and sal.symtab else ("", 0)

    def go_to(line, command):
        execute(f"tbreak session.cpp:{line}")
        said = execute(command)
        return where() == (session, line), said

    for _, below, command, _ in found:
        if below != at:
            reached, said = go_to(below, "continue" if at else "run")
            if not at and not reached:
                return {"no start": said}
            at = below
        answers.append(execute(command) if reached else f"gdb did not stop at line {below}")

    execute("kill")
    walked = []
    if go_to(steps, "run")[0]:
        for _ in range(STEPS + FURTHER + 1):
            walked.append(where())
            execute("step")
    return {"answers": answers, "steps": walked}


# ---- outside ----

def matches(pattern, answer):
    answer = " ".join(re.sub(r"^\$\d+ = ", "", answer).split())
    pattern = " ".join(pattern.split())
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), answer) is not None, answer


def in_loop(file, line):  # what computes an element: for_each's loop, or the function that it calls
    with open(file) as source:
        text = source.read().splitlines()[line - 1]
    return "for (" in text and "each(i)" in text


GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off"]
LLDB = ["lldb", "--no-lldbinit", "--batch"]


def environment(**more):
    """lldb's Python needs two: Debian's looks for its own files in a folder that it has not, and
    takes the first python3 in PATH for its home."""
    own = glob.glob("/usr/lib/llvm-*/lib/python3*/*-packages")
    return dict(os.environ, GRADWALK_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(own),
                PATH=f"/usr/bin{os.pathsep}{os.environ['PATH']}", **more)


def run(command, **more):
    return subprocess.run(command, env=environment(**more), stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600).stdout


def why_not(debugger):
    """Why a debugger cannot be tested here; empty if it can: it must get through /bin/true."""
    if not shutil.which(debugger):
        return f"there is no {debugger}"
    ask, option, command = ("python", "-ex", GDB) if debugger == "gdb" else ("script", "-o", LLDB)
    said = run(command + [option, f"{ask} print('pyt' + 'hon')", option, "run", shutil.which("true")])
    if not re.search("^python$", said, re.M):
        return f"this {debugger} has no Python"
    if not re.search("exited normally|exited with status = 0", said):
        return f"{debugger} may not trace a program here"
    return ""


def in_lldb(program):
    """What `frame variable` says where gdb would print a variable or a member."""
    asked, moved = [], None
    for line, below, command, pattern in expectations()[0]:
        if not command.startswith(("print ", "gw graph ")):
            moved = below
        if re.fullmatch(r"print \w+(\.\w+)*", command) and moved != below and "m_shape" not in command:
            line_only = pattern.split(" = {")[0].rstrip("*")
            # lldb shows a module of one's own as members, the base among them.
            line_only = re.sub(r"^\w+: (?=\d+ parameters)", "*Module: ", line_only)
            asked.append((line, below, command.split()[1], line_only))
    with tempfile.TemporaryDirectory() as scratch:
        script = os.path.join(scratch, "commands")
        with open(script, "w") as out:
            out.write(f"command script import {root}/core/debugger/lldb_kit.py\n")
            for below in sorted({below for _, below, _, _ in asked}):
                out.write(f"breakpoint set -f session.cpp -l {below}\n")
            at, command = None, "run"
            for line, below, name, _ in asked:
                if below != at:
                    out.write(command + "\n")
                    at, command = below, "continue"
                out.write(f"script print('line {line}')\nframe variable {name}\n")
        out = run(LLDB + ["-s", script, program])
    said = dict(re.findall(r"^line (\d+)\n\(lldb\)[^\n]*\n\([^\n]*?\) \S+ = (.*?)(?=^\(lldb\)|\Z)",
                           out, re.M | re.S))
    failed = 0
    for line, _, name, pattern in asked:
        good, answer = matches(pattern + "*", said.get(str(line), "nothing"))
        if not good:
            failed += 1
            print(f"{session}:{line}: frame variable {name}\n  expected {pattern}\n  got      {answer}")
    if len(asked) < LEAST_LLDB:
        failed += 1
        print(f"{session}: {len(asked)} expectations for lldb, of at least {LEAST_LLDB}")
    print(f"{len(asked)} expectations, {failed} failed")
    return failed > 0


def in_gdb(program):
    found, steps = expectations()
    with tempfile.TemporaryDirectory() as scratch:
        result = os.path.join(scratch, "result.json")
        said = run(GDB + ["-ex", f"source {root}/core/debugger/gdb.py", "-x", __file__, program],
                   CHECK_RESULT=result)
        got = {"no start": ""}
        if os.path.exists(result):
            with open(result) as file:
                got = json.load(file)
    if "no start" in got:
        print(said + got["no start"])
        return 1

    failed = 0
    for (line, _, command, pattern), answer in zip(found, got["answers"]):
        good, answer = matches(pattern, answer)
        if not good:
            failed += 1
            print(f"{session}:{line}: {command}\n  expected {pattern}\n  got      {answer}")
    for text in ("Python Exception", "Traceback"):
        if text in said:
            failed += 1
            print(said)
    if len(found) < LEAST or len(got["answers"]) != len(found):
        failed += 1
        print(f"{session}: {len(got['answers'])} expectations ran, of at least {LEAST}")

    walked = got["steps"]
    loop = next((i for i, place in enumerate(walked) if os.path.exists(place[0]) and
                 in_loop(*place)), None)
    if loop is None or loop > STEPS:
        failed += 1
        print(f"{session}:{steps}: the loop must be within {STEPS} steps, was at {loop}:")
        print("\n".join(f"  {i} {os.path.relpath(f, root)}:{n}" for i, (f, n) in enumerate(walked)))
    further = walked[loop or 0:][:FURTHER + 1]
    outside = [f"{f}:{n}" for f, n in further if not f.startswith(root + os.sep)]
    if outside or len(further) <= FURTHER:
        failed += 1
        print(f"{session}:{steps}: {len(further) - 1} steps from the loop led to {outside}")
    print(f"{len(found)} expectations, {loop} steps to the loop, {failed} failed")
    return failed > 0


if "CHECK_RESULT" in os.environ:
    answer = ask()
    with open(os.environ["CHECK_RESULT"], "w") as out:
        json.dump(answer, out)
elif len(sys.argv) == 3 and sys.argv[1] in ("gdb", "lldb"):
    reason = why_not(sys.argv[1])
    if reason:
        sys.exit(print(f"skipped: {reason}"))
    sys.exit((in_gdb if sys.argv[1] == "gdb" else in_lldb)(sys.argv[2]))
else:
    sys.exit("usage: check.py gdb|lldb PROGRAM")
