#!/usr/bin/env python3
"""Plays pages of --report in Debian's chromium, without a network.

    check_report.py PAGE.html

Besides the page itself, it draws reports that are hard to draw: one epoch, NaN and inf, no
accuracies, 30 parameters, 500 epochs, nothing. Exits 0 if all checks hold, 1 if not, and 77 without
chromium.
"""
import json
import math
import pathlib
import re
import shutil
import sys
import tempfile
import time

from check import Browser, check_events

DATA = re.compile(r'(<script type="application/json" id="report">)(.*?)(</script>)', re.S)
SIZES = [(400, 900), (1600, 1000)]


def training(epochs, parameters, **figures):
    """A report whose figures are functions of the epoch."""
    norms = {f"block.{k // 4}.layer_{k}.weight_ih_l0_reverse": k for k in range(parameters)}

    def gradient(e, k):
        g = {"mean": 10.0 ** (-k / 4) / e, "largest": 2 * 10.0 ** (-k / 4)}
        return g if k else dict(g, step_rows=1e-4 * e / epochs, epoch_rows=0.5)

    return {"program": "test", "config": {"files": ["a", "b<c>"], "lr": 0.1}, "best_epoch": 1,
            "interrupted": False, "epochs": [
                {"epoch": e, **{name: f(e) for name, f in figures.items()}, "seconds": 0.5,
                 "gradients": {name: gradient(e, k) for name, k in norms.items()}}
                for e in range(1, epochs + 1)]}


def hard_cases():
    yield "one epoch", training(1, 4, loss=lambda e: 0.7, train=lambda e: 0.5, dev=lambda e: 1)
    yield "NaN and inf", training(
        9, 4, loss=lambda e: {3: "inf", 5: "nan", 7: "nan", 8: "nan"}.get(e, 1e6 / e),
        dev=lambda e: 0.0)
    yield "nothing but NaN", training(3, 1, loss=lambda e: "nan", perplexity=lambda e: "inf")
    yield "30 parameters, no accuracies", training(20, 30, loss=lambda e: 1 / e)
    yield "500 epochs", training(500, 8, loss=lambda e: 2 + math.sin(e / 9), dev=lambda e: e / 500)
    yield "no epoch", training(0, 0)


def real(v):
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.get(v, v)


def figure(epoch, line, column):
    """What the report says for a line of a chart; column 1: the largest gradient."""
    if line in epoch["gradients"]:
        return epoch["gradients"][line]["largest" if column else "mean"]
    name, _, kind = line.rpartition(" ")
    if name:
        return epoch["gradients"][name][kind + "_rows"]
    if "perplexity" in epoch and line != "loss":
        return epoch[{"train": "perplexity", "held-out": "held_out_perplexity"}[line]]
    return epoch[line]


CHARTS = """
const charts = [...document.querySelectorAll('section')].filter(s => s.querySelector('.chart'));
charts.forEach(s => s.querySelector('details').open = true);
await new Promise(r => setTimeout(r, 60));
return charts.map(s => ({title: s.querySelector('h2').textContent,
  lines: [...s.querySelectorAll('.legend li')].map(li => li.childNodes[2].data.trim()),
  points: [...s.querySelectorAll('.curve[data-line]')].map(c => (c.getAttribute('d').match(
    /[ML]/g) ?? []).length),
  labels: [...s.querySelectorAll('.end')].map(t => t.textContent),
  bad: s.querySelectorAll('.isbad').length, 
  numbers: [...s.querySelectorAll('.legend b')].map(b => b.textContent),
  heads: [...s.querySelectorAll('thead th')].map(h => h.textContent),
  places: [...s.querySelectorAll('.chart text')].map(t => t.getBoundingClientRect()).map(
    r => [r.left, r.right]), box: [s.getBoundingClientRect().left, s.getBoundingClientRect().right],
  rows: [...s.querySelectorAll('tbody tr')].map(tr => [...tr.children].map(
    c => [c.dataset.v ?? c.textContent, c.textContent]))}))"""
AT = """return {epoch: state.epoch, say: document.getElementById('say').textContent,
  on: [...document.querySelectorAll('tr.on th')].map(th => +th.textContent),
  cross: document.querySelectorAll('.cross line').length,
  numbers: [...document.querySelectorAll('.legend b')].map(b => b.textContent)}"""


def same(text, value):
    x = {"NaN": math.nan, "inf": math.inf, "-inf": -math.inf, "–": None}.get(text, text)
    if value is None or x is None:
        return x is value
    x, value = float(x), float(value)
    return x == value or (x != x and value != value) or math.isclose(x, value, rel_tol=6e-3)


def check_charts(browser, report, expect):
    epochs = report["epochs"]
    charts = browser.run(CHARTS)
    lines = [line for c in charts for line in c["lines"]]
    for name in ("loss", "train", "dev", "purity"):
        if epochs and name in epochs[0]:
            expect(name in lines, f"{name} is drawn")
    for name in epochs[0]["gradients"] if epochs else []:
        expect(name in lines, f"the gradient of {name} is drawn")
        if "step_rows" in epochs[0]["gradients"][name]:
            expect({f"{name} step", f"{name} epoch"} <= set(lines), f"rows of {name} are drawn")
    for c in charts:
        labels = set(c["labels"])
        expect(len(c["lines"]) == len(labels) <= 6, f"{c['title']}: names differ: {labels}")
        outside = [p for p in c["places"] if p[0] < c["box"][0] - 1 or p[1] > c["box"][1] + 1]
        expect(not outside, f"{c['title']}: no text leaves the card {outside[:2]}")
        expect(len(c["rows"]) == len(epochs), f"{c['title']}: a row for each epoch")
        tops = "largest" in c["heads"]
        for k, line in enumerate(c["lines"]):
            values = [real(figure(e, line, 0)) for e in epochs]
            finite = [v for v in values if math.isfinite(v)]
            expect(c["points"][k] == len(finite), f"{line}: {len(finite)} points, {c['points'][k]}")
            named = [label for label in c["labels"] if label.strip("…") in line]
            expect(named, f"{line}: the line has its name")
            for column in range(1 + tops):
                cells = [row[1 + k * (1 + tops) + column] for row in c["rows"]]
                wanted = [real(figure(e, line, column)) for e in epochs]
                ok = all(same(text, v) and (str(real(v)) == v0.lower() or same(v0, v))
                         for (v0, text), v in zip(cells, wanted))
                expect(ok, f"{line}: the table's numbers are the report's")
        runs = sum(not math.isfinite(v) and (i == 0 or math.isfinite(values[i - 1]))
                   for values in [[real(figure(e, line, 0)) for e in epochs] for line in c["lines"]]
                   for i, v in enumerate(values))
        expect(c["bad"] == runs, f"{c['title']}: {runs} runs of NaN or inf are marked, {c['bad']}")


def check_keys(browser, report, expect):
    n, first = len(report["epochs"]), 0 if "map" in report else min(1, len(report["epochs"]))
    charts = len(browser.run(CHARTS))

    def at(epoch, how):
        now = browser.run(AT)
        expect(now["epoch"] == epoch, f"{how}: epoch {epoch}, not {now['epoch']}")
        if epoch:
            expect(now["on"] == [epoch] * charts, f"{how}: all tables mark epoch {epoch}")
            expect(now["cross"] == charts, f"{how}: all charts have a crosshair")
            expect(now["say"].startswith(f"epoch {epoch} of {n}: "), f"{how}: {now['say']}")
        return now["numbers"]

    at(n, "at first")
    for key, epoch in (("Home", first), ("ArrowLeft", first), ("ArrowRight", min(first + 1, n)),
                       ("End", n), ("ArrowRight", n), ("ArrowLeft", max(n - 1, first))):
        browser.key(key)
        numbers = at(epoch, key)
        if epoch:
            e = report["epochs"][epoch - 1]
            lines = [line for c in browser.run(CHARTS) for line in c["lines"]]
            expect(all(same(text.split(" to ")[0], real(figure(e, line, 0)))
                       for text, line in zip(numbers, lines)), f"{key}: numbers of {epoch}")
    browser.key("Home")
    browser.key(" ")
    expect(browser.run("return !!state.playing") == (n > first), "space plays")
    browser.key(" ")
    expect(not browser.run("return state.playing"), "space stops")
    browser.key("End")
    if n > 1:
        browser.run("document.querySelector('.chart').scrollIntoView({block: 'center'})")
        x, y = browser.run("""const r = document.querySelector('.chart').getBoundingClientRect();
          return [r.left + CHARTS[0].x(1), r.top + 60]""")
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        at(1, "the pointer")
        text = browser.run("return document.getElementById('help').textContent")
        expect("optimizer" in text, "the chart under the pointer is explained")
    expect(browser.run("""return [...document.querySelectorAll('h2')].every(h => {
      h.focus(); const help = document.getElementById('help').textContent;
      return h === document.activeElement && help.length > 40 && !/^Left and/.test(help); })"""),
           "every heading that has the focus is explained")


def check_map(browser, report, expect):
    words = report["map"]["words"]
    browser.key("End")
    seen = """await new Promise(r => setTimeout(r, 900));
      return [...document.querySelectorAll('.word')].map(w => [w.querySelector('.name').textContent,
      getComputedStyle(w).transform.match(/-?[\\d.]+/g).slice(-2).map(Number)])"""
    shown = browser.run(seen)
    expect([w for w, _ in shown] == words, "every word is on the map")
    last = report["map"]["places"][-1]
    far = max(math.dist(a, b) for a in last[:20] for b in last[:20])
    scale = [math.dist(shown[0][1], s[1]) / math.dist(last[0], p)
             for s, p in zip(shown[1:], last[1:]) if math.dist(last[0], p) > far / 3]
    expect(scale and max(scale) < 1.03 * min(scale), "distances are those of the report")
    browser.key("Home")
    moved = browser.run(seen)
    expect(max(math.dist(a[1], b[1]) for a, b in zip(shown, moved)) > 20, "words move")
    for epoch in (0, len(report["epochs"])):
        browser.key("Home" if epoch == 0 else "End")
        text = browser.run("""const w = document.getElementById('word'); w.value = '3';
          w.dispatchEvent(new Event('change'));
          return document.getElementById('near').textContent""")
        near = report["map"]["neighbours"][epoch][3]
        expect(text.startswith(words[3]) and all(f"{w} {c:.4g}"[:-1] in text for w, c in near),
               f"the neighbours of {words[3]} at epoch {epoch}: {text}")
    path = browser.run("return document.querySelector('.path').getAttribute('d')")
    expect(len(re.findall("[ML]", path)) == len(report["map"]["places"]), "its path is drawn")
    browser.run("document.querySelectorAll('.word')[7].scrollIntoView({block: 'center'})")
    for _ in range(20):  # words may still be on their way
        x, y = browser.run("""const r = document.querySelectorAll('.word text')[14]
          .getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]""")
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        chosen = browser.run("return document.getElementById('near').textContent")
        if not chosen.startswith(words[3] + " "):
            break
        time.sleep(0.2)
    expect(not chosen.startswith(words[3] + " "), f"a word under the pointer is chosen: {chosen}")


def check_page(path, report, expect):
    for size in SIZES:
        browser = Browser(size, dark=size[0] == 400)
        try:
            browser.open(path)
            check_charts(browser, report, expect)
            width = browser.run("return document.documentElement.scrollWidth")
            expect(width <= size[0], f"{size[0]} px: no scrolling to the right ({width})")
            check_keys(browser, report, expect)
            if "map" in report:
                check_map(browser, report, expect)
            check_events(browser, expect)
        finally:
            browser.close()


def main():
    page = pathlib.Path(sys.argv[1]).read_text()
    if not shutil.which("chromium"):
        print("skipped: there is no chromium")
        return 77
    failed, passed = [], []
    cases = [("the page", json.loads(DATA.search(page)[2])), *hard_cases()]
    with tempfile.TemporaryDirectory() as folder:
        for name, report in cases:
            def expect(ok, what, name=name):
                (passed if ok else failed).append(what)
                if not ok:
                    print(f"FAILED: {name}: {what}")

            out = pathlib.Path(folder) / "report.html"
            data = json.dumps(report).replace("<", "\\u003c")
            out.write_text(DATA.sub(lambda m: m[1] + data + m[3], page))
            try:
                check_page(out, report, expect)
            except RuntimeError as error:
                expect(False, str(error))
    print(f"{len(passed)} checks hold, {len(failed)} do not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
