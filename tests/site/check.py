#!/usr/bin/env python3
"""Checks a built site: every link leads somewhere, and a browser without a network can read and
search it from file:.

    check.py SITE
    check.py --shot OUT.png [--size 1600x1000] [--dark] [--script JS] SITE/PAGE.html[?QUERY]

Exits 0 if all checks hold, 1 if not; says "skipped: " where there is no chromium.
"""
import argparse
import base64
import html.parser
import pathlib
import re
import shutil
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "see"))
from check import Browser, check_events  # noqa: E402


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes[k] for k in ("id", "name") if attributes.get(k)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif attributes.get("src") or (tag == "link" and attributes.get("href")):
            self.loads.append(attributes.get("src") or attributes["href"])


def check_links(site, expect):
    pages = {p: Page(p.read_text()) for p in sorted(site.rglob("*.html"))}
    count = 0
    for path, page in pages.items():
        for link in page.links + page.loads:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                expect(link not in page.loads or url.scheme == "data", f"{path.name} loads nothing from {link[:60]}")
                continue
            to = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            count += 1
            if not expect(to.is_file(), f"{path.relative_to(site)}: {link} is there"):
                continue
            expect(not url.fragment or to not in pages or urllib.parse.unquote(url.fragment) in pages[to].ids,
                   f"{path.relative_to(site)}: {link} is in that page")
    for path in site.rglob("*.css"):
        text = path.read_text()
        expect("url(http" not in text and "url(//" not in text and "@import url(" not in text, f"{path.name} loads nothing")
    home, performance = ((site / page).read_text() for page in ("index.html", "performance.html"))
    figures = re.findall(r"\d+\.\d+", home[home.index('id="speed"'):home.index('id="the-same-numbers-as-pytorch"')])
    expect(len(figures) >= 4, "the landing page says how fast it is")
    for figure in figures:
        expect(re.search(rf"\b{re.escape(figure)}\b", performance), f"the landing page's {figure} is a figure of performance.md")
    print(f"{len(pages)} pages, {count} links within the site")
    expect(count > 1000, "links were found")
    return pages


def open_page(browser, path, query=""):
    browser.events = [e for e in browser.events if e.get("method") != "Page.loadEventFired"]
    browser.call("Page.navigate", url=path.resolve().as_uri() + query)
    while not any(e.get("method") == "Page.loadEventFired" for e in browser.events):
        browser.events.append(browser.receive())


HITS = "return [...document.querySelectorAll('#search-results li a')].map(a => a.textContent + ' ' + a.href)"


def search(browser, site, word):
    """Types the word into the landing page's own search field; returns the hits."""
    open_page(browser, site / "index.html")
    browser.run("document.querySelector('.sidebar-search').focus()")
    for letter in word:
        browser.key(letter)
    browser.key("Enter")
    hits, end = [], time.time() + 20
    while not hits and time.time() < end:  # the results come in one by one
        time.sleep(0.3)
        try:
            hits = browser.run(HITS)
        except RuntimeError:
            pass  # between two pages
    time.sleep(0.5)
    return browser.run(HITS)


def check_in_browser(site, expect, size, dark):
    name = f"{size[0]} px, {'dark' if dark else 'light'}"
    browser = Browser(size, dark)
    try:
        chapter = sorted(p for p in site.glob("[0-9]*.html"))[0]
        for page in (site / "index.html", chapter, site / "api/core/ops.hpp.html", site / "genindex.html"):
            open_page(browser, page)
            wide = browser.run("return document.documentElement.scrollWidth")
            expect(wide <= size[0], f"{name}: {page.name} is not wider than the window: {wide}")
            colour = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            expect((sum(colour[:3]) < 300) == dark, f"{name}: {page.name} has the background {colour}")
            broken = browser.run("return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
            expect(not broken, f"{name}: pictures of {page.name} are shown: {broken}")
        if not dark:
            expect(chapter.name in str(search(browser, site, "gradient")), f"{name}: a word is found in {chapter.name}")
            hits = search(browser, site, "softmax_cross_entropy")
            expect(any("ops.hpp.html#" in hit for hit in hits), f"{name}: a symbol is found: {hits[:3]}")
            expect(not search(browser, site, "qqqzzz"), f"{name}: nonsense is not found")
            open_page(browser, site / "index.html")
            browser.run("document.querySelector('iframe').scrollIntoView()")
            end = time.time() + 20
            shown = None
            while not shown and time.time() < end:
                time.sleep(0.3)
                frames = browser.call("Page.getFrameTree")["frameTree"].get("childFrames", [])
                shown = [f for f in frames if f["frame"]["url"].endswith("/first_model.html")]
            expect(shown, f"{name}: the page of a step is in the landing page")
        check_events(browser, expect)
    finally:
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site")
    parser.add_argument("--shot")
    parser.add_argument("--script", default="")
    parser.add_argument("--size", default="1600x1000")
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("chromium"):
        print("skipped: there is no chromium")
        return 0
    if arguments.shot:
        browser = Browser(tuple(map(int, arguments.size.split("x"))), arguments.dark)
        path, _, query = arguments.site.partition("?")
        open_page(browser, pathlib.Path(path), "?" + query if query else "")
        browser.run(arguments.script)
        time.sleep(1)
        picture = browser.call("Page.captureScreenshot", captureBeyondViewport=False)
        pathlib.Path(arguments.shot).write_bytes(base64.b64decode(picture["data"]))
        browser.close()
        return 0
    failed, passed = [], []

    def expect(ok, what):
        (passed if ok else failed).append(what)
        if not ok:
            print("FAILED:", what)
        return ok

    site = pathlib.Path(arguments.site).resolve()
    if not (site / "index.html").is_file():
        print("skipped: the site was not built")
        return 0
    check_links(site, expect)
    try:
        for size in ((1600, 1000), (400, 900)):
            for dark in (False, True):
                check_in_browser(site, expect, size, dark)
    except RuntimeError as error:
        expect(False, str(error))
    print(f"{len(passed)} checks hold, {len(failed)} do not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
