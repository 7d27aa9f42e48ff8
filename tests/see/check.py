#!/usr/bin/env python3
"""Plays a page of `./run see` in Debian's chromium, without a network, by keyboard.

    check.py [--big] PAGE.html                   a page that was written
    check.py [--big] core/see/page.html TRACE.json   the page of a trace
    check.py --shot OUT.png [--keys "n l"] [--size 1600x1000] [--dark] PAGE.html [TRACE.json]

Exits 0 if all checks hold, 1 if not, and 77 without chromium. --big does not walk all steps,
--timed also fails where opening or a key takes too long.
"""
import argparse
import base64
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time


class Browser:
    """Chromium over the DevTools pipe: messages are JSON, each ended by a zero byte."""

    def __init__(self, size, dark):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_us, to_them = os.pipe(), os.pipe()

        def connect():  # chromium reads from 3 and writes to 4
            ours, theirs = os.dup(to_them[0]), os.dup(to_us[1])
            os.dup2(ours, 3)
            os.dup2(theirs, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--disable-background-networking", "--disable-component-update",
             f"--blink-settings=preferredColorScheme={0 if dark else 1}",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=connect, close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_them[0])
        os.close(to_us[1])
        self.out, self.into = to_them[1], os.fdopen(to_us[0], "rb")
        self.count, self.session, self.events, self.rest = 0, None, [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.into.fileno(), 1 << 20)
            if not more:
                raise RuntimeError("chromium has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=f"(async () => {{{script}}})()",
                           awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "?"))
        return answer["result"].get("value")

    def key(self, key):
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        self.into.close()
        self.profile.cleanup()


def write_page(arguments, folder):
    page = pathlib.Path(arguments.page)
    if not arguments.trace:
        return page
    text, trace = page.read_text(), pathlib.Path(arguments.trace).read_text()
    if text.count("/*TRACE*/null") != 1:
        sys.exit(f"{page}: must hold /*TRACE*/null once")
    out = pathlib.Path(folder) / "page.html"
    out.write_text(text.replace("/*TRACE*/null", trace.replace("<", "\\u003c")))
    return out


def numbers(n):
    return [float(v) for v in n["values"]] if n and "values" in n else None


def dense(g, shape):
    """A gradient of the trace as a flat list, None if its numbers were shortened."""
    v = numbers(g.get("numbers"))
    if g["kind"] == "dense" or v is None:
        return v
    out = [0.0] * math.prod(shape)
    if g["kind"] == "rows":
        width = len(v) // max(1, len(g["rows"]))
        for at, row in enumerate(g["rows"]):
            for i in range(width):
                out[row * width + i] += v[at * width + i]
    else:
        size, inner = g["numbers"]["shape"], math.prod(shape[g["axis"] + 1:])
        length = size[g["axis"]] * inner
        for i, x in enumerate(v):
            before, rest = divmod(i, length)
            out[before * shape[g["axis"]] * inner + g["begin"] * inner + rest] += x
    return out


def close(a, b):
    return len(a) == len(b) and all(
        x == y or (x != x and y != y) or abs(x - y) <= 1e-6 * max(1, abs(x), abs(y))
        for x, y in zip(a, b))


# What the page shows under a heading of the node panel: the numbers of its tables.
SHOWN = """
const read = box => [...box.querySelectorAll('.numbers')].map(t => t.dataset.norm !== undefined ?
  {norm: t.dataset.norm} : {values: [...t.querySelectorAll('td')].map(d => d.dataset.v),
  texts: [...t.querySelectorAll('td')].map(d => d.textContent)});
const head = [...document.querySelectorAll('#node h3')].find(h => h.textContent.startsWith('dy'));
const dy = [];
for (let e = head?.nextElementSibling; e && e.tagName !== 'H3'; e = e.nextElementSibling)
  if (e.matches('.numbers, .scroll')) dy.push(...read(e.matches('.numbers') ?
    {querySelectorAll: () => [e]} : e));
const parts = [...document.querySelectorAll('#node .part')];
const only = parts.length === 1 && /the only one, so it is dy/.test(parts[0].textContent);
return {dy, parts: only ? [dy] : parts.map(read), copies: only && read(parts[0]).length,
        title: document.querySelector('#node h2').textContent};
"""


def shown_numbers(shown):
    for text, value in zip(shown["texts"], shown["values"]):
        if not math.isclose(float(text), float(value), rel_tol=6e-3) and text.lower() != value.lower():
            return None  # the digits are not those of the number behind them
    return [float(v) for v in shown["values"]]


def check_leaves(browser, trace, expect):
    shapes = {n["id"]: n.get("value", {}).get("shape", []) for n in trace["nodes"]}
    ops = {n["id"]: n["op"] for n in trace["nodes"]}
    count = full = 0
    for k, s in enumerate(trace["steps"]):
        if s["kind"] != "backward" or ops[s["node"]] != "leaf":
            continue
        for digit in str(k + 1):
            browser.key(digit)
        browser.key("Enter")
        browser.run("document.querySelector('[data-all]')?.click()")
        shown, name, shape = browser.run(SHOWN), f"leaf {s['node']}", shapes[s["node"]]
        count += 1
        expect(not shown["copies"], f"{name}: the only part is not shown twice")
        expect(len(shown["dy"]) == 1, f"{name}: its gradient is shown")
        if len(shown["dy"]) != 1:
            continue
        mine = shown["dy"][0]
        if "norm" in mine:
            expect(close([float(mine["norm"])], [float(s["dy"]["numbers"]["norm"])]),
                   f"{name}: the norm is the trace's")
            continue
        full += 1
        v = shown_numbers(mine)
        recorded = numbers(s["dy"]["numbers"])
        expect(v is not None and close(v, recorded), f"{name}: the gradient is the trace's")
        # the sum of the parts as the page shows them, in the kind that the trace gives
        total, whole = [0.0] * math.prod(shape), True
        for p, part in zip(s["parts"], shown["parts"] or [None] * len(s["parts"])):
            if part and "values" in part[0]:
                g = dict(p["gradient"], numbers=dict(p["gradient"]["numbers"],
                                                     values=shown_numbers(part[0])))
                total = [a + b for a, b in zip(total, dense(g, shape))]
            else:
                whole = whole and p["gradient"]["kind"] == "none"
        if whole:
            expect(close(total, dense(s["dy"], shape)), f"{name}: the parts add up to it")
    print(f"{count} leaves with a gradient, {full} with all numbers shown")
    expect(count > 0, "there is a leaf with a gradient")


STATE = """return [...document.querySelectorAll('header, main')].map(e => e.innerHTML).join('')
  .length + ':' + await (async () => { const text = [...document.querySelectorAll('header, main')]
  .map(e => e.innerHTML).join(''); let h = 0; for (let i = 0; i < text.length; ++i)
  h = Math.imul(h, 31) + text.charCodeAt(i) | 0; return h; })()"""
WHERE = "return document.getElementById('of').textContent"


def check_explain(browser, trace, expect, sent=False):
    """The contributions to a number add up to it: of a gradient, or of what a rule has sent."""
    before = check_explain.count
    for k, s in enumerate(trace["steps"]):
        if s["kind"] != "backward" or "values" not in s["dy"].get("numbers", {}):
            continue
        found = browser.run(f"""
go({k});
const own = d => d.dataset.of === '{s["node"]}';
const cells = [...document.querySelectorAll('#node td.ex')].filter(
  d => own(d) !== {str(sent).lower()} && d.dataset.v !== '0' && isFinite(d.dataset.v));
if (!cells.length) return null;
const cell = cells[Math.min(cells.length - 1, (cells.length >> 1) + 1)];
cell.click();
const text = document.getElementById('explain').textContent;
const place = cell.dataset.i;
const same = [...document.querySelectorAll('#node td.ex')].filter(
  d => d.dataset.i === place && d.dataset.of === cell.dataset.of);
return {{told: !/does not tell|shortened|smaller ones|where the walk starts/.test(text),
  terms: [...document.querySelectorAll('[data-term]')].map(t => +t.dataset.term),
  value: same.map(d => +d.dataset.v).reduce((a, b) => a + b)}};""")
        if found is None or not found["told"]:
            continue
        check_explain.count += 1
        terms = found["terms"]
        size = max([1e-9] + [abs(t) for t in terms if t is not None])
        expect(None not in terms and abs(sum(terms) - found["value"]) <= 1e-5 * size,
               f"step {k + 1}: the contributions {terms} add up to {found['value']}")
    print(f"{check_explain.count - before} numbers {'sent on' if sent else 'of gradients'} explained")
    expect(check_explain.count > before, f"a number is explained (sent on: {sent})")


check_explain.count = 0


def holds_bad(part):
    if isinstance(part, dict):
        return part.get("bad", 0) > 0 or any(map(holds_bad, part.values()))
    if isinstance(part, list):
        return any(map(holds_bad, part))
    return part in ("nan", "inf", "-inf")


def first_step(trace, wanted):
    """The first step whose numbers, or those of a leaf it reads, hold one of `wanted`."""
    nodes = {n["id"]: n for n in trace["nodes"]}

    def holds(part):
        if isinstance(part, (dict, list)):
            return any(map(holds, part.values() if isinstance(part, dict) else part))
        return part in wanted

    for k, s in enumerate(trace["steps"]):
        read = nodes[s["node"]]["inputs"] if s["kind"] == "forward" else []
        made = [s["node"], *s.get("outputs", []), *(i for i in read if nodes[i]["op"] == "leaf")]
        values = [nodes[i].get("value") for i in made if s["kind"] == "forward"]
        if holds(values + [s.get(name) for name in ("dy", "to", "after")]):
            return k
    return None


def check_births(browser, trace, expect):
    """n goes to the first infinity or NaN, then to the first NaN; the example shows it."""
    first, nan = first_step(trace, ("nan", "inf", "-inf")), first_step(trace, ("nan",))
    stops = [(first, "NaN" if first == nan else "inf")]
    if nan not in (None, first):
        stops.append((nan, "NaN"))
    browser.key("Home")
    for k, what in stops:
        if browser.run("return state.k") != k:
            browser.key("n")
        expect(browser.run("return state.k") == k, f"n goes to step {k + 1}")
        text = browser.run("return document.getElementById('say').textContent")
        expect(f"The first {what} is born here" in text, f"step {k + 1} says so: {text[-90:]}")
        results = browser.run("return [...document.querySelectorAll('#formula b')]"
                              ".map(b => b.textContent)")
        expect(not results or what in results or "-" + what in results,
               f"step {k + 1}: the example shows what broke, not only {results}")
        expect(f"⚠{what}" in browser.run("return document.getElementById('graph').textContent"),
               f"step {k + 1}: the graph marks the birthplace")


def check_panels(browser, trace, expect, lstm):
    bad = holds_bad([{k: v for k, v in s.items() if k != "inner"} for s in trace["steps"]] +
                    [n.get("value") for n in trace["nodes"]])
    expect(browser.run("return !document.getElementById('nan').hidden") == bad,
           "the button to the first NaN is there if there is one")
    browser.key("n")
    if bad:
        check_births(browser, trace, expect)
    browser.key("End")
    browser.key("l")
    columns = browser.run("return document.querySelectorAll('.cells th[scope=col]').length")
    expect(columns == lstm, f"{lstm} time steps of LSTMs are shown, not {columns}")
    browser.key("e")
    for s in trace["steps"]:
        if s["kind"] != "backward" or s["dy"]["kind"] != "rows":
            continue
        text = browser.run(f"select('n{s['node']}');"
                           "return document.getElementById('view-other').textContent")
        expect(f"{len(set(s['dy']['rows']))} rows instead" in text,
               f"the embedding panel coalesces the rows of {s['node']}")
        expect(("but not add up" in text) == ("values" not in s["dy"]["numbers"]),
               f"{s['node']}: the panel says so where it cannot add up the rows")
    browser.key("g")
    check_words(browser, trace, expect)


def check_words(browser, trace, expect):
    """What the panels say of lookups, updates, and of a node that is not the step's."""
    nodes = {n["id"]: n for n in trace["nodes"]}
    panel = "return document.getElementById('node').textContent"
    for k, s in enumerate(trace["steps"]):
        op = nodes[s["node"]]["op"]
        if s["kind"] == "backward" and op == "gather_rows" and s["to"][0]["gradient"]["kind"] == "rows":
            ids = ", ".join(map(str, s["to"][0]["gradient"]["rows"][:6]))
            browser.run(f"go(node({s['node']}).forward[0])")
            expect(f"looks up the rows {ids}" in browser.run(
                "return document.getElementById('say').textContent"), f"lookup {s['node']} says {ids}")
        if s["kind"] == "update":
            heads = browser.run(f"go({k}); return [...document.querySelectorAll('#node h3, #node h3 + "
                                "div .dim')].map(e => e.textContent).filter(t => !/[0-9]/.test(t))")
            expect(heads[:3] == ["value, after and before the update", "after", "before"],
                   f"step {k + 1} shows after and before: {heads[:3]}")
            expect("every row had" in browser.run(panel) or s["policy"] != "dense",
                   f"step {k + 1} explains its policy")
        if op != "leaf" and s["kind"] == "backward" and nodes[s["node"]]["inputs"]:
            browser.run(f"go({k}); select('n{nodes[s['node']]['inputs'][0]}')")
            expect(browser.run("return !document.getElementById('formula').textContent"),
                   f"step {k + 1}: no formula above another node")
    sent = browser.run("""
show('lstm');
const missing = [];
for (const cell of layers.flat()) for (const l of cell.linears) for (const k of node(l).backward) {
  go(k);
  if (!document.getElementById('view-other').textContent.includes('sent in this step')) missing.push(k + 1);
}
show('graph');
return missing;""")
    expect(not sent, f"the LSTM panel shows what is sent in steps {sent}")


def check_keys(browser, trace, expect, walk):
    n = len(trace["steps"])
    browser.key("Home")
    expect(browser.run(WHERE) == f"1 of {n}", "Home is the first step")
    browser.key("End")
    expect(browser.run(WHERE) == f"{n} of {n}", "End is the last step")
    target = max(1, n // 2)
    for digit in str(target):
        browser.key(digit)
    browser.key("Enter")
    expect(browser.run(WHERE) == f"{target} of {n}", "a number and Enter go to that step")
    browser.key("Home")
    forth, count = [browser.run(STATE)], n if walk else min(n, 60)
    for _ in range(count - 1):
        browser.key("ArrowRight")
        forth.append(browser.run(STATE))
    expect(browser.run(WHERE) == f"{count} of {n}", "right walks through the steps")
    expect(len(set(forth)) == count, "every step looks different")
    back = [forth[-1]]
    for _ in range(count - 1):
        browser.key("ArrowLeft")
        back.insert(0, browser.run(STATE))
    wrong = [k + 1 for k in range(count) if forth[k] != back[k]]
    expect(not wrong, f"the same step looks the same from both sides (differs: {wrong[:5]})")
    print(f"{count} of {n} steps walked forwards and back")
    browser.key(" ")
    time.sleep(2.2)
    browser.key(" ")
    now = browser.run(WHERE)
    expect(now in (f"{k} of {n}" for k in (2, 3, 4)), f"space plays (now {now})")
    time.sleep(1)
    expect(browser.run(WHERE) == now, "space stops")


def check_prediction(browser, trace, expect):
    hidden = "return !document.getElementById('ask').hidden"
    verdict = "return document.getElementById('verdict').textContent"
    browser.key("Home")
    before = browser.run("return document.getElementById('say').textContent")
    browser.key("p")

    def on_to_a_question(condition="true"):  # an op with several outputs has none
        for _ in range(500):
            browser.key("ArrowRight")
            if browser.run(f"{hidden} && !!({condition})"):
                return
        raise RuntimeError("prediction mode asks nothing")

    on_to_a_question("document.querySelector('#formula b')")
    expect(browser.run(hidden), "p hides the next number")
    answer = browser.run("return question(state.k).answer")
    expect(browser.run("return [...document.querySelectorAll('#formula b')].every("
                       "b => b.textContent === '?')"), "the formula has no result yet")
    for letter in f"{answer:.5g}":
        browser.key(letter)
    browser.key("Enter")
    expect(browser.run(verdict).startswith("Right"), f"the right number {answer:.5g} is right")
    on_to_a_question()
    browser.key("Enter")
    expect(browser.run(verdict).startswith("Skipped"), "Enter alone skips")
    on_to_a_question()
    for letter in f"{browser.run('return question(state.k).answer') + 7:.5g}":
        browser.key(letter)
    browser.key("Enter")
    expect(re.search(r"^Wrong.* 7\.?$|^Wrong.* [67]\.\d+\.$", browser.run(verdict), re.S),
           "a wrong number is wrong, by how much")
    help_line = browser.run("return document.getElementById('help').textContent")
    expect("Type the number" not in help_line, "once answered, the help line asks for no number")
    check_predicted_updates(browser, trace, expect)
    browser.key("p")
    browser.key("Home")
    expect(browser.run("return document.getElementById('say').textContent") == before,
           "p again shows everything")


def check_predicted_updates(browser, trace, expect):
    """An update is asked about by the table's row, and what was there before is no right answer."""
    said = 0
    for k, s in enumerate(trace["steps"]):
        old, new = numbers(s.get("before")), numbers(s.get("after"))
        asked = old and browser.run(f"state.answers.clear(); go({k}); return question({k})")
        if not asked:
            continue
        i = k % len(old)
        width = math.prod(s["before"]["shape"][1:])
        row = i // width
        if s["policy"] in ("lazy", "exact") and "rows" in s["gradient"]:
            row = list(dict.fromkeys(s["gradient"]["rows"]))[row]
        expect(not s["before"]["shape"] or f"number [{row}" in asked["text"],
               f"step {k + 1}: the question names row {row}")
        expect(math.isclose(asked["answer"], new[i] - old[i], abs_tol=1e-12),
               f"step {k + 1}: the answer is the change")
        if old[i] != new[i]:
            for guess in (old[i], 0, 0.9 * (new[i] - old[i])):
                verdict = browser.run(f"""state.answers.clear(); answer('{guess}');
                    return state.answers.get({k})""")
                expect(verdict.startswith("Wrong"), f"step {k + 1}: {guess} is wrong")
            said += 1
    if any(s["kind"] == "update" and numbers(s["after"]) for s in trace["steps"]):
        expect(said > 0, "an update is asked about")


def check_without_mouse(browser, trace, expect):
    """What a click does, the keyboard does: a number explained, a node chosen, a module folded."""
    last = max(k for k, s in enumerate(trace["steps"])
               if s["kind"] == "backward" and "values" in s["dy"].get("numbers", {}))
    browser.run(f"go({last}); document.querySelector('#node .grid td[data-i]').closest('.grid').focus()")
    browser.key("Enter")
    browser.key("ArrowRight")
    expect("Numbers of a gradient" in browser.run("return document.getElementById('help').textContent"),
           "a number that has the focus is explained")
    before = browser.run(WHERE)
    browser.key("Enter")
    expect(browser.run("return !!document.getElementById('explain')"), "Enter on a number explains it")
    browser.key("Escape")
    expect(browser.run(WHERE) == before, "arrows among numbers do not step")
    chosen = "return state.selected"
    browser.run("go(0); document.getElementById('graph').focus()")
    browser.key("ArrowDown")
    expect(browser.run(chosen) is not None, "down chooses a node of the graph")
    if browser.run("return scopes.length > 0 && node(steps[0].node).path.length > 0"):
        is_open = "return openScopes(state.k).size"
        count = browser.run(is_open)
        browser.key("f")
        expect(browser.run(is_open) < count, "f folds the module")
        browser.key("ArrowDown")
        browser.key("ArrowUp")
        browser.run("select(layout(openScopes(0)).shows.get(steps[0].node))")
        browser.key("Enter")
        expect(browser.run(is_open) == count, "Enter opens it")


def check_speed(browser, trace, path, expect, timed):
    """How long a key takes, from its event to the frame in which it was painted: steps spread
    over the whole trace are gone to by number, walked around, and looked at in every panel."""
    opened = browser.run("const t = performance.getEntriesByType('navigation')[0];"
                         "return t.loadEventEnd - t.startTime")
    pressed, walked = browser.run("""
const pressed = [], walked = new Set(), n = steps.length;
const places = Math.min(40, Math.ceil(n / 8));
document.activeElement.blur();
async function press(...keys) {
  for (const key of keys) {
    await new Promise(f => requestAnimationFrame(f));
    const start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    await new Promise(f => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = f;
      channel.port2.postMessage(0);
    }));
    pressed.push([performance.now() - start, `${key} to step ${state.k + 1}, ${state.tab}`]);
    walked.add(state.k);
  }
}
for (let i = 0; i < places; ++i) {
  const to = 1 + Math.round(i * (n - 1) / Math.max(1, places - 1)), r = 'ArrowRight', l = 'ArrowLeft';
  await press(...String(to), 'Enter', r, r, r, r, r, l, l, l);
  for (const tab of ['l', 'e', 'w', 'g']) await press(tab, r, r, l);
  await press('Home', 'End');
}
await press('n', 'p', 'p');
return [pressed.sort((a, b) => a[0] - b[0]), walked.size];""")
    median, most = (pressed[int(len(pressed) * share)][0] for share in (.5, .95))
    kilobytes = os.path.getsize(path) / 1000
    print(f"{len(trace['nodes'])} nodes, {len(trace['steps'])} steps, {kilobytes:.0f} kB; opened in "
          f"{opened:.0f} ms; key press to paint, {len(pressed)} presses over {walked} steps: "
          f"median {median:.0f} ms, 95 % {most:.0f} ms, slowest "
          + ", ".join(f"{t:.0f} ms ({what})" for t, what in pressed[:-4:-1]))
    if timed:
        expect(opened < 1000, "opens in less than a second")
        expect(walked >= min(300, len(trace["steps"])), f"{walked} steps are timed")
        expect(most < 50, f"a key press is painted within 50 ms: 95 % take {most:.0f} ms")


def check_help(browser, expect):
    """Whatever Tab reaches, and every part of the page, has an explanation."""
    missing = browser.run("""
return [...document.querySelectorAll('button, input, [tabindex]')].filter(e => e.checkVisibility() &&
  e.type !== 'submit' && e.closest('form, #ask') === null && !e.closest('[data-help]'))
  .map(e => e.outerHTML.slice(0, 80))""")
    expect(not missing, f"everything that can have the focus is explained (not: {missing[:3]})")
    browser.run("document.getElementById('slider').focus()")
    text = browser.run("return document.getElementById('help').textContent")
    expect(text.startswith("Every step"), "the help line follows the focus")
    browser.run("document.activeElement.blur()")


def check_events(browser, expect):
    errors, requests = [], []
    for e in browser.events:
        p = e.get("params", {})
        if e.get("method") == "Runtime.exceptionThrown":
            errors.append(p["exceptionDetails"].get("exception", {}).get("description", "?"))
        elif e.get("method") == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning"):
            errors.append(str(p["args"][:1]))
        elif e.get("method") == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            errors.append(p["entry"]["text"])
        elif e.get("method") == "Network.requestWillBeSent":
            requests.append(p["request"]["url"])
    others = [r for r in requests if not r.startswith(("file:", "about:", "data:"))]
    expect(not errors, f"no error in the console {errors[:3]}")
    expect(len(requests) > 0 and not others, f"no request but file: {others[:3]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("trace", nargs="?")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--timed", action="store_true", help="also fail where it is slow")
    parser.add_argument("--lstm", type=int, default=0, help="time steps of composed LSTMs")
    parser.add_argument("--shot")
    parser.add_argument("--keys", default="")
    parser.add_argument("--script", default="")
    parser.add_argument("--size", default="1600x1000")
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    for name in filter(None, (arguments.page, arguments.trace)):
        if not os.path.exists(name):
            sys.exit(f"{name}: no such file")
    if not shutil.which("chromium"):
        print("skipped: there is no chromium")
        return 77
    failed, passed = [], []

    def expect(ok, what):
        (passed if ok else failed).append(what)
        if not ok:
            print("FAILED:", what)

    with tempfile.TemporaryDirectory() as folder:
        page = write_page(arguments, folder)
        browser = Browser(tuple(map(int, arguments.size.split("x"))), arguments.dark)
        try:
            browser.open(page)
            if arguments.shot:
                for key in arguments.keys.split():
                    browser.key(key)
                browser.run(arguments.script)
                picture = browser.call("Page.captureScreenshot", captureBeyondViewport=False)
                pathlib.Path(arguments.shot).write_bytes(base64.b64decode(picture["data"]))
            else:
                trace = browser.run("return TRACE")
                check_leaves(browser, trace, expect)
                if not arguments.big:
                    check_explain(browser, trace, expect)
                    check_explain(browser, trace, expect, sent=True)
                check_panels(browser, trace, expect, arguments.lstm)
                check_keys(browser, trace, expect, not arguments.big)
                check_prediction(browser, trace, expect)
                check_without_mouse(browser, trace, expect)
                check_help(browser, expect)
                check_speed(browser, trace, page, expect, arguments.timed)
            check_events(browser, expect)
        except RuntimeError as error:
            expect(False, str(error))
        finally:
            browser.close()
    print(f"{len(passed)} checks hold, {len(failed)} do not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
