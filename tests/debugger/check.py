"""check.py PROGRAM: gdb goes through session.cpp, whose comments say what it must print.

gdb runs this file too, as the half that asks. Without gdb, its Python or leave to trace it says
so in a line that begins with `skipped: `, which ctest counts as skipped.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

folder = os.path.dirname(os.path.realpath(__file__))
root = os.path.dirname(os.path.dirname(folder))
session = os.path.join(folder, "session.cpp")
LEAST = 40  # expectations: fewer were lost
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
        return (os.path.realpath(sal.symtab.fullname()), sal.line) if sal and sal.symtab else ("", 0)

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
    return "for (" in text and "f(i)" in text


def main(program):
    found, steps = expectations()
    with tempfile.TemporaryDirectory() as scratch:
        result = os.path.join(scratch, "result.json")
        environment = dict(os.environ, GRADWALK_NUM_THREADS="1", CHECK_RESULT=result)
        try:
            run = subprocess.run(
                ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off",
                 "-ex", f"source {root}/core/debugger/gdb.py", "-x", __file__, program],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, timeout=600)
        except FileNotFoundError:
            print("skipped: there is no gdb")
            return 0
        said = run.stdout + run.stderr
        if "Python scripting is not supported" in said or "Scripting in the \"Python\"" in said:
            print("skipped: this gdb has no Python")
            return 0
        if re.search(r"ptrace|Could not trace the inferior", said, re.I):
            print("skipped: gdb may not trace a program here")
            return 0
        if not os.path.exists(result):
            print(said)
            return 1
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
elif len(sys.argv) == 2:
    sys.exit(main(sys.argv[1]))
else:
    sys.exit("usage: check.py PROGRAM")
